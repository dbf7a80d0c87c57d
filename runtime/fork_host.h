/* fork_host.h - the stacks of forked frames of one scheduler, and how they are stolen from. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_FORK_HOST_H
#define JD_RUNTIME_FORK_HOST_H

/*
 * A stack of slots has a public part, [tail, split), from which thieves take the oldest frame, and
 * a private part, [split, top), which only the owner touches; top is nowhere in memory, it travels
 * with struct jd_fork_point. tail and split share one word, so that a thief's claim and the owner's
 * taking back are CASes on the same thing; what is above both is how often frames were published.
 *
 *   fork    private, unless top has reached `limit`: the end of the slots, or 0 because a thief
 *           found nothing public (or nothing was ever published): then half of the private part,
 *           rounded up and not too much of it, becomes public, and a sleeper is woken
 *   join    of a private frame: a comparison. Of a public one: if tail has not passed it, split
 *           comes down to half-way between the two; otherwise it was stolen, and the owner waits
 *   steal   CAS tail + 1, then read the slot, then say in the frame who one is
 *
 * A frame's state, from when it is public: 0 forked, 1 done, otherwise the thief's stack, plus 2
 * when the owner sleeps. A thief that runs serially is named by a stack of the host that is always
 * empty.
 *
 * Proof
 *
 * Every frame is run once. The owner takes a private frame back by itself; a public one by a CAS
 * that moves split below it, a thief by one that moves tail above it, and both succeed only on the
 * word they looked at. Between two publications tail only rises and split only falls, so the word
 * with tail < split does not come back; and a publication changes the count. (The count wraps after
 * 2^30 times, and all the rest of the word must be the same again: a thief would have to stop for
 * that long between two instructions, some seconds at least.)
 *
 * A thief reads the right slot. It reads after its CAS, and (F1) sees what (F2) released. The owner
 * does not store into that slot again before it has joined the frame; it waits until the state has
 * been set (F4, F5), which the thief does after reading; and what it runs while it waits is forked
 * one slot higher.
 *
 * Who waits for a stolen frame x helps the thief, but only with what x has forked. By the state,
 * the thief was at x at some time after the load of the word: had it published something after the
 * end of x, the load would have seen x done (F2, F10). If it does so after that look, the count is
 * another one and the CAS fails. And before x the thief had nothing public: it took x when it had
 * nothing to do, or while it waited for a frame of its own, below which all was stolen.
 *
 * Therefore
 *  - no deadlock: what is on a thread's stack of calls, from the bottom to the top, is a path in
 *    the tree of forks, since each was forked, however indirectly, by the one that it was put on.
 *    Who waits, waits for a child of the topmost; so everybody waits for something deeper in the
 *    tree, and the deepest does not wait;
 *  - the stack of calls does not grow without bound: for the same reason it holds at most as many
 *    frames as the longest path from the root, which is what a serial run needs, each with one call
 *    of jd_join_slow more;
 *  - a frame that blocks blocks its own path. The worker of a thread that waits long is handed on,
 *    so that tasks which that frame waits for are run elsewhere.
 *
 * No request of a thief is lost for ever: it asks each time it finds nothing, and the last thing
 * before it sleeps is to look at all words (jd_fork_host_has_work). An owner that publishes tells
 * (published), after the word.
 *
 * tests/model/test_model_fork.c runs this file's functions under all interleavings of small
 * programs, and finds the bugs that are planted in them.
 *
 * Stacks belong to regions, not to workers: a task that blocks in a region keeps its stack while
 * its worker is driven by another thread. Frames that are public then can still be stolen, and
 * those that are not wait for their join, as in a serial run.
 */
#include <jackdaw/fork.h>

#include "platform/platform.h"

#ifndef __ELF__
extern __thread struct jd_fork_point jd_fork_thread;
#endif

/* Access: I immutable after new, A any thread, atomic. */
struct jd_fork_host {
	const struct jd_allocator *allocator; /* I */
	unsigned count;                       /* I: of stacks, at most */
	unsigned slots;                       /* I: of each */
	_Atomic(uint32_t) used;               /* A: stacks there are; only grows */
	/* Frames were published: wake somebody. Called by any thread that forks. */
	void (*published)(struct jd_fork_host *self); /* I */
	/*
	 * The calling thread has waited long in a join and goes on waiting: if it drives a worker,
	 * another thread should. The thief may be blocked, and wait for what that worker would run.
	 */
	void (*blocks)(struct jd_fork_host *self); /* I: init sets one that does nothing */
	/* For tests: nobody steals, but a choice of 0 or 1 decides who would have. */
	uint64_t (*choose)(struct jd_fork_host *self, uint64_t n); /* I: NULL in production */
	_Atomic(struct jd_fork_stack *) *stacks; /* I: the array; A: its elements, once not NULL */
	struct jd_fork_stack nobody;             /* A: the name of thieves without a stack */
};

/* What a thief holds between the claim and the run. */
struct jd_fork_stolen {
	struct jd_fork_frame *frame;
	struct jd_fork_stack *victim;
};

/*
 * At most count stacks of so many slots (at most 131,071), allocated when they are first needed.
 * published may be NULL. JD_ENOMEM.
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
