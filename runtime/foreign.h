/* foreign.h - lanes of threads that are no workers: queues for what they bring. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_FOREIGN_H
#define JD_RUNTIME_FOREIGN_H

/*
 * A thread that is no worker (foreign) spawns as one that is: it borrows a lane with blocks,
 * references and a tally (lane.h), and puts what it spawns into the queue of that lane. There
 * are so many lanes, made with the scheduler, and any thread may hold any of them, one at a
 * time, for the few instructions of a spawn. A thread begins at a lane of its own, by its
 * number, and where it meets another thread it moves to the next one and stays there; so
 * threads that are no more than lanes end up with one each, whose lines are in their caches.
 *
 * Nobody waits. A lane is entered by one CAS that may fail; where two lanes are taken the task
 * gets memory of its own and goes through the injector. A thread that is stopped while it holds
 * a lane keeps others out of that lane, not out of the scheduler, and hides nothing that was
 * handed in before: workers take from the queue without holding the lane. Only the end of the
 * scheduler waits for the holder.
 *
 * Nothing belongs to a thread: it may end, or the scheduler, in any order. What a thread remembers
 * is a number, and which lane it holds, during a call.
 *
 * The queue is a deque (deque.h) whose owner is the holder, who pushes and nothing else. Workers
 * take up to a batch with one CAS, so they have all pointers at once and can fetch what is behind
 * them: the blocks are in the producer's cache, and one after the other each is a way there and
 * back. Order: what one thread hands in comes out in that order, unless it met another in its lane.
 *
 * A queue is made when its lane has been entered some times, and stays. `open` says which there
 * are. Sleeping workers: a push is the publishing half of the handshake of idle.h (DQ12), and
 * jd_foreign_empty the looking half. A sleeper that looks before it can see the bit of a new queue
 * (FL4) announced itself before the bit was set (FL3) in the order of seq_cst operations, and the
 * push, and the look at the counts that follows it, come later still.
 *
 * Rejected. A lane for each thread and scheduler, found through a thread-local: no CAS, but what
 * ends first, thread or scheduler, must find and empty the other's, under a lock; threads that come
 * and go by the thousand would leave queues behind. A linked list through the runnables instead of
 * the queue: the taker waits for one block after the other (half of the time of a spawn).
 */
#include <jackdaw/scheduler.h>

#include "deque/deque.h"
#include "platform/atomic.h"
#include "platform/compiler.h"
#include "runtime/lane.h"
#include "runtime/tuning.h"

enum {
	JD_FOREIGN_FREE,
	JD_FOREIGN_HELD,
	JD_FOREIGN_CLOSED, /* for good */
};

/* Access: I immutable after init, A any thread, atomic, H the thread that holds it. */
struct jd_foreign_lane {
	JD_CACHE_ALIGNED _Atomic(uint32_t) held; /* A */
	uint32_t visits;                         /* H: until the queue is made */
	bool queued;                             /* H: it is made */
	uint64_t room;                           /* H: taken ahead from the gate, see gate.h */
	struct jd_foreign *all;                  /* I */
	struct jd_lane lane;                     /* H: inited by the scheduler */
	struct jd_deque queue;                   /* H is its owner */
};

struct jd_foreign {
	_Atomic(uint32_t) open;               /* A: bit i: lane i has a queue */
	const struct jd_allocator *allocator; /* I */
	struct jd_reclaim *reclaim;           /* I */
	struct jd_foreign_lane lanes[JD_FOREIGN_LANES];
};

/* What a thread remembers. */
struct jd_foreign_self {
	struct jd_foreign_lane *held; /* NULL: none */
	uint32_t at;                  /* which lane it tries first, + 1; 0: not chosen yet */
	bool inside;                  /* it runs a runnable for which there was no room */
};

extern _Thread_local struct jd_foreign_self jd_foreign_self;

/* In zeroed memory. */
void jd_foreign_init(struct jd_foreign *self, const struct jd_allocator *allocator,
		     struct jd_reclaim *reclaim);
/* When it is closed and all queues are empty. */
void jd_foreign_fini(struct jd_foreign *self);

/*
 * A lane for the calling thread, which gives it back soon and calls no code of users before. NULL:
 * they are taken, or closed, or the thread holds one already.
 */
struct jd_foreign_lane *jd_foreign_enter(struct jd_foreign *self);

static inline void jd_foreign_leave(struct jd_foreign_lane *lane)
{
	jd_foreign_self.held = NULL;
	/* order: (FL1) release - what was done to the lane; pairs with (FL2), (FL5). */
	atomic_store_explicit(&lane->held, JD_FOREIGN_FREE, memory_order_release);
}

/* Leaves the lane that the calling thread holds, if it does. */
static inline void jd_foreign_leave_any(void)
{
	if (jd_foreign_self.held)
		jd_foreign_leave(jd_foreign_self.held);
}

/* The lane of this scheduler that the calling thread holds; NULL: none. */
static inline struct jd_foreign_lane *jd_foreign_here(const struct jd_foreign *self)
{
	struct jd_foreign_lane *held = jd_foreign_self.held;

	return held && held->all == self ? held : NULL;
}

/* Queues the runnable, posted (see above). The holder. False: there is no queue, or no memory. */
static inline bool jd_foreign_push(struct jd_foreign_lane *lane, struct jd_runnable *runnable)
{
	if (!lane->queued)
		return false;
	jd_deque_fetch(&lane->queue, JD_FOREIGN_AHEAD);
	return jd_deque_push_post(&lane->queue, runnable) == JD_OK;
}

/* How many are queued, about. Any thread. */
size_t jd_foreign_size(const struct jd_foreign *self);

/* Whether there is something, as far as one can see. Any thread. */
static inline bool jd_foreign_has(const struct jd_foreign *self)
{
	return atomic_load_explicit(&self->open, memory_order_relaxed) && jd_foreign_size(self);
}

/*
 * Takes up to max out of one queue, oldest first, from lane `start` on, whatever the number. Any
 * thread that may steal. Returns how many.
 */
size_t jd_foreign_take(struct jd_foreign *self, unsigned start, void **items, size_t max);

/* Any thread, after it announced its sleep: false when there may be something; see above. */
bool jd_foreign_empty(const struct jd_foreign *self);

/* Closes all lanes; waits for those that hold one. What is queued can still be taken. */
void jd_foreign_close(struct jd_foreign *self);

/* When it is closed and nobody takes any more: one that is left; NULL: none is. */
struct jd_runnable *jd_foreign_rest(struct jd_foreign *self);

/* One line. Any thread. */
void jd_foreign_dump(const struct jd_foreign *self, FILE *out);

#endif
