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
 * join, and what comes after it, the one that the fork was given. Who forks several frames in a
 * loop goes back from point to point with jd_fork_outer.
 *
 * Where a point cannot be passed along, jd_fork_here and jd_join_here find it through the thread;
 * a pair then costs about half a nanosecond more, and outside of any region they are serial calls.
 *
 * Works inside tasks, on threads that are no workers, nested, on every scheduler: on one without
 * support frames simply run at their join; on the TestScheduler the seed decides whether an idle
 * worker would have run a frame early. There is no limit of depth: beyond 65,536 frames that are
 * open at once on one stack, deeper ones are not offered to others.
 *
 * Waiting for a stolen frame: the owner helps the thief with what the thief forks (leapfrogging,
 * Wagner and Calder, PPoPP 1993), so its stack grows no deeper than a serial run's would, and it
 * never runs what is not below its own frame; nothing that waits for it can end up on top of it
 * (the proof is in runtime/fork_host.h).
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

/*
 * Where the caller is in its thread's stack of frames. A value; belongs to one call chain. Not two
 * pointers: gcc 12 would store those as one vector and then wait for it to load one half.
 */
struct jd_fork_point {
	struct jd_fork_stack *_stack;
	uint64_t _top; /* how many frames are open below */
};

typedef void jd_fork_fn(struct jd_fork_frame *frame, struct jd_fork_point fork);

/* The head of what is forked, embedded in the user's struct. Needs no initialisation. */
struct jd_fork_frame {
	jd_fork_fn *_run;
	JD_ATOMIC(uintptr_t) _state; /* see runtime/fork_host.h */
	uint64_t _at;                /* its slot, if it was forked through the thread */
};

enum {
	JD_FORK_NEAR_SLOTS_ = 14, /* those on the line of the public word; the others follow */
};

/*
 * Access: O the thread in the region, A any thread, atomic, I immutable while claimed. Two lines:
 * the owner reads the first at every fork and join, thieves write the second. The first slots are
 * on the second: a thief that sees a frame has them already.
 */
struct jd_fork_stack {
	alignas(128) JD_ATOMIC(uint64_t) _limit;  /* A: fork takes the slow way from this top on */
	uint64_t _split;                          /* O: frames below are public */
	uint64_t _slots;                          /* I: how many */
	struct jd_fork_host *_host;               /* I */
	alignas(128) JD_ATOMIC(uint64_t) _public; /* A: see runtime/fork_host.h */
	JD_ATOMIC(uint32_t) _word;                /* A: the owner sleeps here in a join */
	JD_ATOMIC(uint32_t) _claimed;             /* A */
	jd_fork_slot _slot[JD_FORK_NEAR_SLOTS_];  /* A: _slots of them */
};

/* One entry into fork/join, in the caller's memory. */
struct jd_fork_region {
	struct jd_fork_stack *_stack;
	struct jd_fork_point _outer;
};

/*
 * Begins and ends a region; between the two the calling thread may fork, and that thread ends it.
 * Any thread; regions nest, and may be in a frame. scheduler may be NULL: then, and on one that
 * does not support it, and without memory, everything runs serially, so this never fails. Does not
 * block. Costs some ten ns.
 */
JD_API struct jd_fork_point jd_fork_enter(struct jd_scheduler *scheduler,
					  struct jd_fork_region *region);
JD_API void jd_fork_leave(struct jd_fork_region *region);

/* The slow ways; for the inline functions below only. */
JD_API void jd_fork_slow(struct jd_fork_stack *stack, uint64_t top, struct jd_fork_frame *frame);
JD_API bool jd_join_slow(struct jd_fork_stack *stack, uint64_t top);

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
	jd_fork_slot *slots = fork._stack->_slot;

	frame->_run = run;
	if (__builtin_expect(fork._top >= JD_FORK_LOAD_(&fork._stack->_limit), 0))
		jd_fork_slow(fork._stack, fork._top, frame);
	else
		JD_FORK_STORE_(slots + fork._top, frame);
	fork._top++;
	return fork;
}

/* What jd_fork was given, from what it returned. */
static inline struct jd_fork_point jd_fork_outer(struct jd_fork_point inner)
{
	inner._top--;
	return inner;
}

/*
 * Ends a fork; fork is the value that jd_fork was given. True: nobody took the frame, and it is
 * the caller's to do now, with `fork`. False: it was run, and what it wrote is visible. Blocks
 * only while somebody else runs the frame.
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

/* --- Through the thread ----------------------------------------------------------------------- */

/*
 * The same where points are not passed along: through functions of others, or for less to write.
 * The thread knows the point; at the begin of a region, of a stolen frame and of a piece of a loop
 * it is right. Code that was handed a point and has forked with it does not call code of this form
 * before the join, unless in a region inside: the two would use the same slots.
 */

/* Of the calling thread; for the inline functions below. */
JD_API struct jd_fork_point *jd_fork_thread_point(void);

#ifdef __ELF__
/* Found by an offset from the thread's register, also from within shared objects. */
JD_API extern __thread
	__attribute__((tls_model("initial-exec"))) struct jd_fork_point jd_fork_thread;
#define JD_FORK_THREAD_ (&jd_fork_thread)
#else
#define JD_FORK_THREAD_ jd_fork_thread_point() /* a DLL does not export thread-locals */
#endif

/* Where the calling thread is: for a call that wants a point, with no fork of this form in it. */
static inline struct jd_fork_point jd_fork_self(void)
{
	return *JD_FORK_THREAD_;
}

/* As jd_fork. Outside of a region the frame is simply the caller's at its join. */
static inline void jd_fork_here(struct jd_fork_frame *frame, jd_fork_fn *run)
{
	struct jd_fork_point *here = JD_FORK_THREAD_;
	struct jd_fork_point fork = {here->_stack, here->_top};

	/* The join finds it here sooner: it need not wait for what all between has stored there. */
	frame->_at = fork._top;
	here->_top = fork._top + 1;
	(void)jd_fork(fork, frame, run);
}

/* As jd_join, for the last frame that was forked and not joined. */
static inline bool jd_join_here(struct jd_fork_frame *frame)
{
	struct jd_fork_point *here = JD_FORK_THREAD_;
	struct jd_fork_point fork = {here->_stack, frame->_at};

	here->_top = fork._top;
	return jd_join(fork, frame);
}

/* The same, and runs the frame if need be. */
static inline void jd_join_run_here(struct jd_fork_frame *frame)
{
	if (jd_join_here(frame))
		frame->_run(frame, jd_fork_self());
}

/* --- Loops ------------------------------------------------------------------------------------ */

/*
 * A piece of a loop: begin <= i < end. Called on any thread; it may block, and fork: by the form
 * above, or with jd_fork_self for loops inside.
 */
typedef void jd_range_fn(void *arg, uint64_t begin, uint64_t end);

/*
 * Calls body for pieces of [begin, end) of at most grain (0: chosen, for some 256 pieces) that
 * together cover it once; end <= begin: not at all. Returns when all are done, and their writes are
 * visible. From inside a region. A loop cannot be cancelled: a body that has nothing more to do
 * returns. What pieces there are depends on the arguments only.
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
 * Reduces [begin, end) into *result, which it initialises; an empty range gives the neutral
 * element. grain as above; the functions may do what a piece of a loop may. The shape of the tree
 * depends on the arguments only, not on who runs what: the same result every time, also with
 * floating point. JD_EINVAL: size 0 or too large, a function missing.
 */
JD_API jd_status jd_parallel_reduce(struct jd_fork_point fork, uint64_t begin, uint64_t end,
				    uint64_t grain, const struct jd_reduce_ops *ops, void *arg,
				    void *result);

JD_END_DECLS

#endif
