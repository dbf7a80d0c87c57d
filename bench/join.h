/* join.h - counts unfinished parts and wakes who waits for them; what fork/join will replace. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_JOIN_H
#define JD_BENCH_JOIN_H

#include <jackdaw/future.h>

#include "platform/atomic.h"
#include "platform/compiler.h"

/*
 * The owner is a future that is being polled: it sets the join up with one part for itself, adds a
 * part before it spawns each child, and at the end of that poll gives up its own part; children
 * give up theirs when they finish. Whoever gives up the last part wakes the owner, whose next poll
 * sees bench_join_done.
 *
 * The last child moves the waker out before it says that all is done, and does not touch the join
 * afterwards: so the owner may go away as soon as it sees done, however it came to be polled.
 */
struct bench_join {
	_Atomic(uint64_t) parts; /* A */
	_Atomic(uint32_t) done;  /* A */
	struct jd_waker waker;   /* owner until it left; then whoever gives up the last part */
};

static inline void bench_join_init(struct bench_join *join, const struct jd_waker *waker)
{
	atomic_init(&join->parts, 1);
	atomic_init(&join->done, 0);
	join->waker = jd_waker_clone(waker);
}

/* By somebody who holds a part. */
static inline void bench_join_add(struct bench_join *join, uint64_t parts)
{
	atomic_fetch_add_explicit(&join->parts, parts, memory_order_relaxed);
}

static inline bool bench_join_last(struct bench_join *join)
{
	/* order: (BJ1) acq_rel - the last part sees, and passes on, what all others did; pairs with
	 * (BJ1). */
	return atomic_fetch_sub_explicit(&join->parts, 1, memory_order_acq_rel) == 1;
}

/* A child's part. Do not touch the join, or what it is embedded in, afterwards. */
static inline void bench_join_finish(struct bench_join *join)
{
	if (!bench_join_last(join))
		return;
	struct jd_waker waker = join->waker;

	/* order: (BJ2) release - the waker was moved out, all parts are done; pairs with (BJ3). */
	atomic_store_explicit(&join->done, 1, memory_order_release);
	jd_waker_wake(&waker);
}

/* The owner's part. True: nothing is left to wait for. */
static inline bool bench_join_leave(struct bench_join *join)
{
	if (!bench_join_last(join))
		return false;
	jd_waker_drop(&join->waker);
	atomic_store_explicit(&join->done, 1, memory_order_relaxed);
	return true;
}

/* For the owner. True: what all parts did is visible, and nobody touches the join any more. */
static inline bool bench_join_done(struct bench_join *join)
{
	/* order: (BJ3) acquire - what all parts did, and the waker moved; pairs with (BJ2). */
	return atomic_load_explicit(&join->done, memory_order_acquire) != 0;
}

#endif
