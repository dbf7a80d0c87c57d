/* model.h - runs a few threads of real lock-free code in every order that matters. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_MODEL_MODEL_H
#define JD_TESTS_MODEL_MODEL_H

/*
 * A model test is a setup, two to four threads and a final check. The explorer runs them as
 * coroutines of one thread, over and over: before every atomic access it may go on with another
 * thread, and every load may return any value that C11 allows it to see. All choices of a run are
 * one list; a failing run prints its list and a trace, and JD_MODEL_REPLAY=<list> repeats it.
 *
 * The code under test is the product's, compiled with JD_ATOMIC_HEADER set to model_atomic.h.
 *
 * What is explored
 *  - depth first, exhaustively, up to `preemptions` switches away from a thread that could go on
 *    (switches at its end, or while it is blocked or yields, are free) and up to `stale` loads
 *    that do not return the newest value; ALL means no bound;
 *  - then, if asked for, at random without bounds, from a seed.
 *
 * What memory does
 *  - Each location has the list of its stores. A thread sees none older than the newest it knows
 *    of: read, written, or learnt of by an acquire that read a release (or a read-modify-write
 *    after one: C++20's release sequence; a plain relaxed store in between ends it).
 *  - A read-modify-write reads the newest store. So does a CAS that succeeds; one that fails may
 *    read an old one.
 *  - seq_cst accesses are ordered as in RC11: each load is checked against the partial SC order.
 *  - Values are not made out of thin air: no load buffering (RC11 and x86; not Arm without
 *    dependencies).
 *  - Stores of two threads to one location are ordered as they run: the "2+2W" result is missing.
 *    Nothing here stores to one location from two threads other than by read-modify-write.
 *
 * What is an error, besides a failed assertion: model_read and model_write (plain data) that race;
 * an atomic read of what was not initialised, or initialised without happening before; use
 * after free, and a free that does not happen after every access; a leak; all threads blocked or
 * yielding for ever; more than MODEL_STEPS accesses.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jackdaw/base.h>

enum {
	MODEL_THREADS = 4,   /* besides the one that runs setup and finish */
	MODEL_STEPS = 2000,  /* atomic accesses of one execution */
	MODEL_ALL = 1000000, /* no bound */
	MODEL_LOCALS = 2,    /* variables, see model_local */
	MODEL_LOCAL = 32,    /* their bytes */
};

/* The orders, for litmus tests and mutations: plain names of memory_order_*. */
enum {
	RLX = __ATOMIC_RELAXED,
	ACQ = __ATOMIC_ACQUIRE,
	REL = __ATOMIC_RELEASE,
	AR = __ATOMIC_ACQ_REL,
	SC = __ATOMIC_SEQ_CST,
};

struct model_program {
	const char *name;
	void (*setup)(void);                  /* alone, first; may be NULL */
	void (*threads[MODEL_THREADS])(void); /* NULL where there are fewer */
	void (*finish)(void);                 /* alone, when all have ended; may be NULL */
};

enum model_change {
	MODEL_ORDER, /* the access has `order` instead of its own */
	MODEL_SKIP,  /* a store or initialisation does not happen; an exchange only loads */
	MODEL_SPLIT, /* a read-modify-write is a load, then a store: others may come between */
};

/*
 * A bug to seed: what to change at the accesses in function `func` (a name) on the object spelled
 * `object` in the code ("&d->top") by `op` ("load", "store", "exchange", "cas", "add", "sub",
 * "or", "and", "init").
 */
struct model_mutation {
	const char *name, *func, *op, *object;
	enum model_change change;
	int order;
};

struct model_options {
	unsigned preemptions; /* per execution */
	unsigned stale;       /* per execution */
	unsigned spurious;    /* returns of a wait without a wake, per execution */
	uint64_t executions;  /* give up the exhaustive search after so many; 0: never */
	uint64_t random;      /* so many more at random */
	uint64_t seed;
	const struct model_mutation *mutation; /* or NULL */
	bool quiet;                            /* a failure is expected: no trace */
};

struct model_result {
	bool failed;
	bool complete;       /* the bounded search saw everything */
	uint64_t executions; /* all of them */
	uint64_t hits;       /* accesses that the mutation changed */
	char what[160];      /* of the failure */
};

void model_explore(const struct model_program *program, const struct model_options *options,
		   struct model_result *result);

/* --- For the threads of a program ---------------------------------------------------------- */

/* Ends this execution as a failure. */
_Noreturn void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define MODEL_CHECK(cond) ((cond) ? (void)0 : model_fail("%s (%s:%d)", #cond, __FILE__, __LINE__))

/* Tells the race detector about an access to plain memory. Not a point of choice. */
void model_read(const void *address);
void model_write(const void *address);

/* A number below n, every one of them in some execution. */
unsigned model_choose(unsigned n);

/*
 * Nothing to do until another thread has stored something: for loops that wait. What was stored
 * before is read from then on (without knowing what led to it), so that such loops end.
 */
void model_yield(void);

/* A futex: sleeps while *word (a 32-bit atomic) is `expected`, until woken. */
void model_wait(const void *word, uint32_t expected);
void model_wake(const void *word, unsigned count);

/* For setup: each thread has its own value of this thread-local variable of the product; it begins
 * with the value that setup leaves. */
void model_local(void *variable, size_t size);

/* For setup: nobody else looks at what the function of this name accesses, such as counters. */
void model_quiet(const char *function);

/* From now on this memory, atomics included, has the values that were written to it plainly. */
void model_defined(const void *start, size_t size);

/* Memory whose use is checked. Freed memory is not given out again in the same execution. */
const struct jd_allocator *model_allocator(void);

/* The number of the calling thread: 1 for threads[0]; 0 in setup and finish. */
unsigned model_self(void);

#endif
