/* hand_scheduler.h - a scheduler whose queue a test empties by hand; counts what it is asked. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_HAND_SCHEDULER_H
#define JD_TESTS_TESTLIB_HAND_SCHEDULER_H

#include <pthread.h>

#include <jackdaw/scheduler.h>

#include "tests/conformance/count_allocator.h"

/*
 * Nothing runs unless the test runs it: hand_pop() gives the oldest runnable to do with as the
 * test likes. Only a park (jd_block, jd_task_join) runs what is queued by itself. Any thread may
 * schedule. Timers are not supported.
 */
struct hand_scheduler {
	struct jd_scheduler base;
	struct count_allocator *memory;
	pthread_mutex_t lock;
	struct jd_runnable *head; /* L: oldest */
	struct jd_runnable **tail;
	unsigned queued;          /* L */
	unsigned scheds;          /* L: schedule calls of any kind that were taken */
	unsigned labeled;         /* L: of these, with a label */
	unsigned foreground;      /* L: of these, to the main thread */
	unsigned blocking;        /* L: of these, on a thread that may block */
	jd_label label;           /* L: the last one's */
	jd_session_id session;    /* L: the last one's */
	uint32_t flags;           /* L: of the last runnable */
	bool closed;              /* L: takes JD_RUNNABLE_RESUME only */
	bool stopped;             /* L: takes nothing */
	bool no_sleep;            /* set by the test: a park with nothing to run is JD_EDEADLK */
	jd_status refuse;         /* set by the test: what schedule calls return, if not JD_OK */
	_Atomic(unsigned) *freed; /* set by the test, may be NULL: counts the free operation */
	/* Set by the test, may be NULL: owns the runnable instead of the queue. */
	void (*on_schedule)(struct hand_scheduler *self, struct jd_runnable *runnable);
	unsigned after_hook; /* schedule calls that went on after on_schedule */
	void *arg;           /* for the test's hooks */
};

/* Optional operations and number of CPUs as wished. Aborts when there is no memory. */
struct hand_scheduler *hand_new(struct count_allocator *memory);

/* Shuts down and gives up the creator's reference; expects JD_OK. */
void hand_destroy(struct hand_scheduler *self);

/* The oldest runnable, now the caller's, or NULL. */
struct jd_runnable *hand_pop(struct hand_scheduler *self);

/* Runs the oldest runnable; false when there is none. */
bool hand_run(struct hand_scheduler *self);

/* Runs until nothing is queued; returns how many ran. */
unsigned hand_run_all(struct hand_scheduler *self);

unsigned hand_queued(struct hand_scheduler *self);
unsigned hand_scheds(struct hand_scheduler *self);

#endif
