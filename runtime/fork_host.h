/* fork_host.h - the stacks of forked frames of one scheduler, and how they are stolen from. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_FORK_HOST_H
#define JD_RUNTIME_FORK_HOST_H

/*
 * A stack of slots has a public part, [tail, split), from which thieves take the oldest frame, and
 * a private part, [split, top), which only the owner touches; top is nowhere in memory, it travels
 * with struct jd_fork_point. tail and split share one word, so that a thief's claim and the owner's
 * taking back are CASes on the same thing.
 *
 *   fork    private, unless top has reached `limit`: the end of the slots, or NULL because a thief
 *           found nothing public (or nothing was ever published): then half of the private part,
 *           rounded up and not too much of it, becomes public, and a sleeper is woken
 *   join    of a private frame: a comparison. Of a public one: if tail has not passed it, split
 *           comes down to half-way between the two; otherwise it was stolen, and the owner waits
 *   steal   CAS tail + 1, then read the slot. After the CAS, since before it the slot could be one
 *           of an earlier use of the same indices. The slot stays as it is until the thief has
 *           said in the frame who it is: the owner, waiting, works one slot higher
 *
 * A frame's state, from when it is public: 0 forked, 1 done, otherwise the thief's stack, plus 2
 * when the owner sleeps. A thief that runs serially, its stack part of a region that may end any
 * time, is named by a stack of the host that is always empty.
 *
 * A waiting owner helps its thief, but only with frames that the stolen one has forked. The thief
 * may be done and at something else between the look at the frame's state and the claim, with the
 * same indices; so the word also counts how often something was published, and a claim by the old
 * word fails (it wraps after 2^30 times, which is harmless unless the helper slept exactly so long:
 * then it helps with a frame of somebody else).
 *
 * Stacks belong to regions, not to workers: a task that blocks in a region keeps its stack while
 * its worker is driven by another thread. Frames that are public then can still be stolen, and
 * those that are not wait for their join, as in a serial run.
 */
#include <jackdaw/fork.h>

#include "platform/platform.h"

/* Access: I immutable after new, A any thread, atomic. */
struct jd_fork_host {
	const struct jd_allocator *allocator; /* I */
	unsigned count;                       /* I: of stacks */
	unsigned slots;                       /* I: of each */
	_Atomic(uint32_t) used;               /* A: stacks that were ever claimed; only grows */
	/* Frames were published: wake somebody. Called by any thread that forks. */
	void (*published)(struct jd_fork_host *self); /* I */
	/*
	 * The calling thread has waited long in a join and goes on waiting: if it drives a worker,
	 * another thread should. The thief may be blocked, and wait for what that worker would run.
	 */
	void (*blocks)(struct jd_fork_host *self); /* I: init sets one that does nothing */
	/* For tests: nobody steals, but a choice of 0 or 1 decides who would have. */
	uint64_t (*choose)(struct jd_fork_host *self, uint64_t n); /* I: NULL in production */
	struct jd_fork_stack *stacks; /* I: the array, count + 1; A: its elements */
};

/* What a thief holds between the claim and the run. */
struct jd_fork_stolen {
	struct jd_fork_frame *frame;
	struct jd_fork_stack *victim;
};

/*
 * count stacks of so many slots (at most 131,071), which are allocated when first used. published
 * may be NULL. JD_ENOMEM.
 */
jd_status jd_fork_host_init(struct jd_fork_host *self, const struct jd_allocator *allocator,
			    unsigned count, unsigned slots,
			    void (*published)(struct jd_fork_host *self));
/* No region is open. */
void jd_fork_host_fini(struct jd_fork_host *self);

/* As jd_fork_enter, for the host itself. */
struct jd_fork_point jd_fork_host_enter(struct jd_fork_host *self, struct jd_fork_region *region);

/*
 * Claims the oldest public frame of any stack, for a thief whose own stack is empty. Where there is
 * nothing public, the owner is asked for something. start: where to begin looking.
 */
bool jd_fork_host_steal(struct jd_fork_host *self, struct jd_fork_point thief, unsigned start,
			struct jd_fork_stolen *stolen);

/* Runs what was stolen and tells its owner. */
void jd_fork_host_run(const struct jd_fork_stolen *stolen, struct jd_fork_point thief);

/* Whether there is a public frame somewhere; exact for what was published before a fence. */
bool jd_fork_host_has_work(const struct jd_fork_host *self);

#endif
