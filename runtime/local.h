/* local.h - what is queued at a worker: the newest first, what gave way last, one kept close. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_LOCAL_H
#define JD_RUNTIME_LOCAL_H

/*
 * Nothing but C11 atomics here, so that a model checker can run it as it stands.
 *
 * Three places, all of which thieves can reach:
 *   single   one runnable that was pushed while nothing else was there. In a chain, a ping-pong, a
 *            spawn that is awaited, all goes through here: one exchange in, one out.
 *   newest   a deque: what is pushed while others wait. The owner pops it before the single, so
 *            that the two together are one stack: the single is its lowest item.
 *   yielded  a deque of which the owner, too, takes the oldest only: a queue of runnables that
 *            gave way to the others.
 * And one that they cannot reach:
 *   private  what the runnable that is about to return left behind when it gave way: itself. Its
 *            worker turns to it at once. If it is the only one it runs again, and has cost no
 *            locked instruction; otherwise it goes to `yielded` before another is taken.
 *
 * Who gets a runnable. single: all who take it do so by a read-modify-write that leaves NULL, and
 * only the owner puts something there, when it is NULL. The deques: see deque.h.
 *
 * Thieves let a worker be that has only one runnable and keeps coming for more: the way to another
 * core and back takes longer than a short task, and its owner would come next. `turns` counts what
 * the owner entered; a thief that finds the same count twice has waited through a pause (the
 * caller's) during which the owner did not come back, and takes what there is. So a runnable waits
 * for its own worker no longer than for two looks of a thief.
 *
 * Posting (idle.h). A push ends with a seq_cst exchange, of single or of the deque's bottom, and
 * looks then at the counts of idle workers; a sleeper announces itself there by a seq_cst
 * read-modify-write and looks then at all places: jd_local_empty. One sees the other.
 * What gives way is not posted: its worker takes the next runnable at once, and that is it if there
 * is no other. A sleeper that misses it has missed nothing that waits: the runnable taken instead,
 * U, was posted. The owner made what gave way visible before it took U, by a releasing
 * read-modify-write; a sleeper that finds U gone sees that one, and looks at `yielded` after all
 * places where U may have been.
 */
#include <jackdaw/scheduler.h>

#include "deque/deque.h"
#include "platform/atomic.h"

/* Access: O owner, W owner writes and any thread reads (atomic), A any thread, atomic. */
struct jd_local {
	struct jd_deque newest;
	struct jd_deque yielded;
	struct jd_runnable *private;                             /* O */
	JD_CACHE_ALIGNED JD_ATOMIC(struct jd_runnable *) single; /* A */
	JD_ATOMIC(uint64_t) turns;                               /* W: runnables entered */
};

JD_MUST_CHECK jd_status jd_local_init(struct jd_local *local, size_t capacity,
				      const struct jd_allocator *allocator,
				      struct jd_reclaim *reclaim);
/* When all is empty. */
void jd_local_fini(struct jd_local *local);

/* Queues it, posted (see above), if nothing else is there; otherwise false. Owner. */
static inline bool jd_local_push_single(struct jd_local *local, struct jd_runnable *runnable)
{
	if (atomic_load_explicit(&local->single, memory_order_relaxed) ||
	    !jd_deque_bare(&local->newest))
		return false;
	/* order: (LQ1) seq_cst - the runnable, and before the counts are looked at; pairs with
	 * (LQ2), (LQ3). */
	atomic_exchange_explicit(&local->single, runnable, memory_order_seq_cst);
	return true;
}

/* Queues it above the others, posted. Owner. JD_ENOMEM: it is still the caller's. */
static inline JD_MUST_CHECK jd_status jd_local_push_newest(struct jd_local *local,
							   struct jd_runnable *runnable)
{
	return jd_deque_push_post(&local->newest, runnable);
}

/* Whether thieves could find nothing here. Owner. */
static inline bool jd_local_bare(const struct jd_local *local)
{
	return jd_deque_bare(&local->newest) && jd_deque_bare(&local->yielded) &&
	       !atomic_load_explicit(&local->single, memory_order_relaxed);
}

/* The private one, for good. Owner. */
static inline struct jd_runnable *jd_local_pop_private(struct jd_local *local)
{
	struct jd_runnable *runnable = local->private;

	local->private = NULL;
	return runnable;
}

/* Queues the private one, which there is, behind all others that gave way. Owner. */
static inline void jd_local_queue_private(struct jd_local *local)
{
	jd_status status = jd_deque_push(&local->yielded, jd_local_pop_private(local));

	JD_ASSERT(status == JD_OK); /* there is room */
}

/*
 * It gives way, and the owner takes the next runnable at once. There is always room for the private
 * one, so that no memory is needed when others come first. False: jd_local_give_way_slow. Owner.
 */
static inline bool jd_local_give_way(struct jd_local *local, struct jd_runnable *runnable)
{
	if (JD_UNLIKELY(local->private || !jd_deque_has_room(&local->yielded)))
		return false;
	local->private = runnable;
	return true;
}

/* The same, by making room. JD_ENOMEM: it is still the caller's. Owner. */
JD_COLD JD_MUST_CHECK jd_status jd_local_give_way_slow(struct jd_local *local,
						       struct jd_runnable *runnable);

/* Takes the single one, if it is there. Any thread. */
static inline struct jd_runnable *jd_local_take_single(struct jd_local *local)
{
	if (!atomic_load_explicit(&local->single, memory_order_relaxed))
		return NULL;
	/* order: (LQ2) acq_rel - what its pusher did; what gave way before; pairs with (LQ1),
	 * (LQ3). */
	return atomic_exchange_explicit(&local->single, NULL, memory_order_acq_rel);
}

/* Takes the newest. Owner. */
static inline struct jd_runnable *jd_local_pop(struct jd_local *local)
{
	struct jd_runnable *runnable = jd_deque_pop(&local->newest);

	return runnable ? runnable : jd_local_take_single(local);
}

/* Takes what gave way first; NULL also when a thief was faster. Owner. */
static inline struct jd_runnable *jd_local_pop_yielded(struct jd_local *local)
{
	return jd_deque_pop_oldest(&local->yielded);
}

/* Takes what has waited longest, of what gave way or of the others. Owner. */
static inline struct jd_runnable *jd_local_pop_oldest(struct jd_local *local)
{
	struct jd_runnable *runnable = jd_deque_pop_oldest(&local->yielded);

	if (!runnable)
		runnable = jd_local_take_single(local);
	return runnable ? runnable : jd_deque_pop_oldest(&local->newest);
}

/* How many there are, about. Any thread. */
static inline size_t jd_local_size(const struct jd_local *local)
{
	return jd_deque_size(&local->newest) + jd_deque_size(&local->yielded) +
	       (atomic_load_explicit(&local->single, memory_order_relaxed) ? 1 : 0);
}

/* Any thread, after it announced its sleep: false when there may be something; see above. */
static inline bool jd_local_empty(const struct jd_local *local)
{
	if (!jd_deque_empty(&local->newest))
		return false;
	/* order: (LQ3) seq_cst - after the announcement in S; pairs with (LQ1), (LQ2). */
	if (atomic_load_explicit(&local->single, memory_order_seq_cst))
		return false;
	return jd_deque_empty(&local->yielded);
}

/* What a thief got from a victim. */
struct jd_loot {
	struct jd_runnable *first; /* to be run at once; NULL: nothing */
	size_t moved;              /* with those in the thief's own queue */
	bool again;                /* there may be more: lost a race, or left to the victim */
};

/*
 * Takes up to half, at most max, of what waits longest at the victim, into the thief's own queue.
 * *seen is the thief's memory of this victim: its turns at the last look. Owner of thief.
 */
struct jd_loot jd_local_steal(struct jd_local *victim, struct jd_local *thief, size_t max,
			      uint64_t *seen);

/*
 * The same by a thief that has work itself: half of what the victim has more, at most max; half of
 * all it has if its turns are what they were at the last look, some time ago. The caller posts for
 * what it moved, because on the way nobody could see it.
 */
struct jd_loot jd_local_balance(struct jd_local *victim, struct jd_local *thief, size_t max,
				uint64_t *seen);

#endif
