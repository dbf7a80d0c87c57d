/* probe.h - a future, and a waker, that count what happens to them. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_PROBE_H
#define JD_TESTS_TESTLIB_PROBE_H

#include <jackdaw/future.h>

#include "platform/atomic.h"

/*
 * The counters of one future; outlives it. A atomic; the rest is set before the spawn, or touched
 * by poll only.
 */
struct probe {
	_Atomic(unsigned) polls;        /* A: POLL */
	_Atomic(unsigned) drops;        /* A: DF */
	_Atomic(unsigned) result_drops; /* A: DT */
	_Atomic(unsigned) polling;      /* A: 1 during a poll */
	_Atomic(unsigned) overlaps;     /* A: polls or drops during a poll: must stay 0 */
	unsigned ready_after;           /* so many polls are pending first */
	jd_status end;                  /* then this */
	bool keep_waker;                /* a pending poll stores its waker below */
	struct jd_waker waker;
	struct jd_task *task; /* of the last poll's context */
	struct jd_worker *worker;
	struct jd_scheduler *scheduler;
	/* May be NULL. Called within each poll, before it returns, and within drop. */
	void (*on_poll)(struct probe *self, struct jd_context *context);
	void (*on_drop)(struct probe *self);
	void *arg;
};

/* What a successful probe yields: who owns it must drop it. */
struct probe_result {
	struct probe *probe;
	uint64_t check;
};

struct probe_future {
	struct jd_future base;
	struct probe *probe;
	struct probe_future *self; /* where it was first polled: a polled future must not move */
};

void probe_future_init(struct probe_future *self, struct probe *probe);

/* Whether it is what a probe yields; then drops it (counted). */
bool probe_result_drop(struct probe_result *result);

/* A waker that counts; outlives its copies. A atomic. */
struct probe_waker {
	_Atomic(unsigned) wakes;                    /* A */
	_Atomic(unsigned) refs;                     /* A: wakers out there */
	void (*on_wake)(struct probe_waker *self);  /* may be NULL */
	void (*on_clone)(struct probe_waker *self); /* may be NULL */
	void *arg;
};

/* One waker of it. */
struct jd_waker probe_waker_get(struct probe_waker *self);

/* The counters order memory, so that tests can use them as flags between threads. */
static inline unsigned probe_get(_Atomic(unsigned) *counter)
{
	/* order: (TP1) acquire - what was done before the count; pairs with (TP2), (TP3). */
	return atomic_load_explicit(counter, memory_order_acquire);
}

/* Returns what it was. */
static inline unsigned probe_add(_Atomic(unsigned) *counter)
{
	/* order: (TP2) acq_rel - count what was done before; pairs with (TP1), (TP2), (TP3). */
	return atomic_fetch_add_explicit(counter, 1, memory_order_acq_rel);
}

static inline unsigned probe_sub(_Atomic(unsigned) *counter)
{
	/* order: (TP3) acq_rel - as (TP2); pairs with (TP1), (TP2). */
	return atomic_fetch_sub_explicit(counter, 1, memory_order_acq_rel);
}

#endif
