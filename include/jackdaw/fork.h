/* fork.h - structured fork/join: frames on the caller's stack, nothing locked unless stolen. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_FORK_H
#define JACKDAW_FORK_H

/*
 * A function forks a frame, goes on, and joins it; frames are joined in the reverse order of their
 * forks, before the function returns. Whoever is idle may run a forked frame meanwhile; if nobody
 * does, the join runs it, as a direct call the compiler can inline:
 *
 *   struct fib {
 *           struct jd_fork_frame frame;
 *           int n;
 *           long value;
 *   };
 *
 *   static long fib(struct jd_fork_point fork, int n);
 *
 *   static void fib_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
 *   {
 *           struct fib *f = jd_container_of(frame, struct fib, frame);
 *
 *           f->value = fib(fork, f->n);
 *   }
 *
 *   static long fib(struct jd_fork_point fork, int n)
 *   {
 *           if (n < 2)
 *                   return n;
 *           struct fib f = {.n = n - 1};
 *           struct jd_fork_point inner = jd_fork(fork, &f.frame, fib_run);
 *           long other = fib(inner, n - 2);
 *
 *           if (jd_join(fork, &f.frame))
 *                   return fib(fork, n - 1) + other;
 *           return f.value + other;
 *   }
 *
 *   struct jd_fork_region region;
 *   long value = fib(jd_fork_enter(scheduler, &region), 40);
 *   jd_fork_leave(&region);
 *
 * struct jd_fork_point says where the caller is: pass it on by value (it travels in two
 * registers). What is called between a fork and its join gets the one that the fork returned; the
 * join, and what comes after it, the one that the fork was given.
 *
 * Works inside tasks, on threads that are no workers, nested, on every scheduler: on one without
 * support frames simply run at their join; on the TestScheduler the seed decides whether an idle
 * worker would have run a frame early. There is no limit of depth: beyond 65,536 frames that are
 * open at once on one stack, deeper ones are not offered to others.
 *
 * Waiting for a stolen frame: the owner helps the thief with what the thief forks (leapfrogging,
 * Wagner and Calder, PPoPP 1993), so its stack grows no deeper than a serial run's would, and it
 * never runs what is not below its own frame; nothing that waits for it can end up on top of it.
 * Do not hold a lock over a join that a frame may want. A frame may block as a task may, also for
 * a task that its worker would run: a worker whose join takes long is handed on to another thread.
 *
 * The idea of a private and a public part of the stack is that of Lace (van Dijk and van de Pol,
 * "Lace: non-blocking split deque for work-stealing", MuCoCoS 2014).
 */
#ifndef __cplusplus
#include <stdalign.h>
#endif

#include <jackdaw/base.h>
#include <jackdaw/scheduler.h>

JD_BEGIN_DECLS

struct jd_fork_frame;
struct jd_fork_host;
struct jd_fork_stack;

/* A slot of the stack: which frame was forked there. */
typedef JD_ATOMIC(struct jd_fork_frame *) jd_fork_slot;

/* Where the caller is in its thread's stack of frames. A value; belongs to one call chain. */
struct jd_fork_point {
	struct jd_fork_stack *_stack;
	jd_fork_slot *_top;
};

typedef void jd_fork_fn(struct jd_fork_frame *frame, struct jd_fork_point fork);

/* The head of what is forked, embedded in the user's struct. Needs no initialisation. */
struct jd_fork_frame {
	jd_fork_fn *_run;
	JD_ATOMIC(uintptr_t) _state; /* see runtime/fork.c */
};

/*
 * Access: O the thread in the region, A any thread, atomic, I immutable while claimed. Three
 * lines: the owner reads the first at every fork and join, thieves write the second.
 */
struct jd_fork_stack {
	alignas(128) JD_ATOMIC(jd_fork_slot *) _limit; /* A: fork takes the slow way from here */
	jd_fork_slot *_split;                          /* O: frames below are public */
	jd_fork_slot *_base;                           /* I */
	jd_fork_slot *_end;                            /* I */
	struct jd_fork_host *_host;                    /* I */
	alignas(128) JD_ATOMIC(uint64_t) _public;      /* A: see runtime/fork.c */
	JD_ATOMIC(uint32_t) _word;                     /* A: the owner sleeps here in a join */
	JD_ATOMIC(uint32_t) _claimed;                  /* A */
};

/* One entry into fork/join, in the caller's memory. */
struct jd_fork_region {
	struct jd_fork_stack *_stack;
	struct jd_fork_stack _serial; /* used when there is nobody to share with */
	jd_fork_slot _slot;
};

/*
 * Begins and ends a region; between the two the calling thread may fork. Any thread; regions nest.
 * Never fails: without memory or support everything runs serially. Costs some ten ns.
 */
JD_API struct jd_fork_point jd_fork_enter(struct jd_scheduler *scheduler,
					  struct jd_fork_region *region);
JD_API void jd_fork_leave(struct jd_fork_region *region);

/* The slow ways; for the inline functions below only. */
JD_API jd_fork_slot *jd_fork_slow(struct jd_fork_stack *stack, jd_fork_slot *top);
JD_API bool jd_join_slow(struct jd_fork_stack *stack, jd_fork_slot *top);

#ifdef __cplusplus
#define JD_FORK_LOAD_(ptr) ((ptr)->load(std::memory_order_relaxed))
#define JD_FORK_STORE_(ptr, value) ((ptr)->store((value), std::memory_order_relaxed))
#else
#define JD_FORK_LOAD_(ptr) atomic_load_explicit((ptr), memory_order_relaxed)
#define JD_FORK_STORE_(ptr, value) atomic_store_explicit((ptr), (value), memory_order_relaxed)
#endif

/*
 * Offers run(frame, ...) to idle workers. The frame stays where it is until joined. What the
 * caller wrote before is visible to run. Returns what to pass to calls before the join.
 */
static inline struct jd_fork_point jd_fork(struct jd_fork_point fork, struct jd_fork_frame *frame,
					   jd_fork_fn *run)
{
	/* In scalars: copied as a whole, gcc 12 moves the two words through a vector register. */
	struct jd_fork_stack *stack = fork._stack;
	jd_fork_slot *top = fork._top;

	frame->_run = run;
	JD_FORK_STORE_(top, frame);
	if (__builtin_expect(top >= JD_FORK_LOAD_(&stack->_limit), 0))
		top = jd_fork_slow(stack, top);
	else
		top++;
	struct jd_fork_point inner = {stack, top};

	return inner;
}

/*
 * Ends a fork; fork is the value that jd_fork was given. True: nobody took the frame, and it is
 * the caller's to do now, with `fork`. False: it was run, and what it wrote is visible.
 */
static inline bool jd_join(struct jd_fork_point fork, struct jd_fork_frame *frame)
{
	/* The slow way finds the frame in the slot: so it need not be kept at hand for that. */
	(void)frame;
	if (__builtin_expect(fork._top >= fork._stack->_split, 1))
		return true;
	return jd_join_slow(fork._stack, fork._top);
}

/* The same, and runs the frame if need be. */
static inline void jd_join_run(struct jd_fork_point fork, struct jd_fork_frame *frame)
{
	if (jd_join(fork, frame))
		frame->_run(frame, fork);
}

/* --- Loops ------------------------------------------------------------------------------------ */

/* A piece of a loop: begin <= i < end. */
typedef void jd_range_fn(void *arg, uint64_t begin, uint64_t end);

/*
 * Calls body for pieces of [begin, end) of at most grain (0: chosen) that together cover it once.
 * Returns when all are done. From inside a region.
 */
JD_API void jd_parallel_for(struct jd_fork_point fork, uint64_t begin, uint64_t end, uint64_t grain,
			    jd_range_fn *body, void *arg);

/* The largest accumulator of a reduction, bytes. */
#define JD_REDUCE_MAX 256

struct jd_reduce_ops {
	size_t size; /* of the accumulator, at most JD_REDUCE_MAX; aligned for anything */
	void (*init)(void *arg, void *accumulator); /* the neutral element */
	void (*body)(void *arg, uint64_t begin, uint64_t end, void *accumulator); /* adds a piece */
	/* left = left . right; the pieces of left come before those of right. */
	void (*combine)(void *arg, void *left, const void *right);
};

/*
 * Reduces [begin, end) into *result, which it initialises. The shape of the tree depends on the
 * arguments only, not on who runs what: the same result every time, also with floating point.
 * JD_EINVAL: size 0 or too large, a function missing.
 */
JD_API jd_status jd_parallel_reduce(struct jd_fork_point fork, uint64_t begin, uint64_t end,
				    uint64_t grain, const struct jd_reduce_ops *ops, void *arg,
				    void *result);

JD_END_DECLS

#endif
