/* conformance.h - what a test of the suite sees: the scheduler under test, checks and helpers. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_CONFORMANCE_CONFORMANCE_H
#define JD_TESTS_CONFORMANCE_CONFORMANCE_H

/*
 * The suite is the definition of "a scheduler": whatever passes it may replace any other. It sees
 * only include/, so it can be pointed at a scheduler of somebody else's.
 *
 * A test is a function that gets a fresh scheduler, checks, and returns. The runner then asks the
 * backend for its verdict, destroys the scheduler and looks whether all memory came back. Memory
 * that a scheduler may still touch then comes from conf_alloc, never from the test's stack, so that
 * a test may return at any time.
 *
 * Waiting is done with latches: on a parker of the scheduler, so that every kind of scheduler goes
 * on meanwhile (the main thread runs foreground work, the single-threaded ones run everything).
 */
#include <stdatomic.h>

#include <jackdaw/scheduler.h>
#include <jackdaw/task.h>

#include "tests/conformance/backend.h"
#include "tests/conformance/count_allocator.h"
#include "tests/conformance/gate.h"

struct conf_arena;

struct conf {
	const struct conf_backend *backend;
	struct jd_scheduler *scheduler; /* NULL: the test makes its own, or has destroyed it */
	struct count_allocator memory;  /* of every scheduler of the test */
	uint64_t seed;
	_Atomic(unsigned) failures; /* A */
	struct conf_arena *arena;   /* blocks of conf_alloc */
};

/* What a test wants; beside what it needs, see conf_test.needs. */
enum {
	CONF_OWN = 1u << 16,     /* no scheduler is made for it */
	CONF_FOREIGN = 1u << 17, /* other threads call the scheduler: needs CONF_THREADS */
	CONF_ONCE = 1u << 18,    /* one seed is enough: long, or not a matter of choices */
	CONF_WITHOUT = 1u << 19, /* only for backends that lack all of what else is named */
};

struct conf_test {
	const char *name;
	void (*fn)(struct conf *c);
	unsigned needs; /* CONF_* of backend.h and of above */
};

/* A file of the suite: its tests, ended by an empty one. */
extern const struct conf_test conf_schedule_tests[], conf_foreground_tests[], conf_session_tests[],
	conf_blocking_tests[], conf_timer_tests[], conf_park_tests[], conf_task_tests[],
	conf_spawn_tests[], conf_life_tests[], conf_shutdown_tests[];

/* --- Checks: any thread; they note a failure and go on --------------------------------------- */

bool conf_check(struct conf *c, bool good, const char *what, const char *site);
bool conf_check_status(struct conf *c, jd_status got, jd_status want, const char *what,
		       const char *site);
bool conf_check_equal(struct conf *c, uint64_t got, uint64_t want, const char *what,
		      const char *site);

#define CHECK(c, cond) conf_check((c), (cond), #cond, JD_SITE)
#define CHECK_STATUS(c, call, want) conf_check_status((c), (call), (want), #call, JD_SITE)
#define CHECK_EQUAL(c, got, want) \
	conf_check_equal((c), (uint64_t)(got), (uint64_t)(want), #got " == " #want, JD_SITE)

/* --- Making things --------------------------------------------------------------------------- */

/* Zeroed memory that lives until the test's schedulers are gone. */
void *conf_alloc(struct conf *c, size_t size);
#define conf_new(c, type) ((type *)conf_alloc((c), sizeof(type)))
#define conf_array(c, type, n) ((type *)conf_alloc((c), sizeof(type) * (size_t)(n)))

/* A scheduler of the backend under test, not destroyed by the runner. Fails the test if NULL. */
struct jd_scheduler *conf_make(struct conf *c, const struct conf_options *options);

/* A random number that depends on the test's seed and n alone. Any thread. */
uint64_t conf_random(const struct conf *c, uint64_t n);

static inline void conf_add(_Atomic(unsigned) *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline unsigned conf_get(_Atomic(unsigned) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* --- Latches: counted down by anybody, waited for by the test -------------------------------- */

struct conf_latch {
	struct conf *c;
	struct jd_parker *parker;
	pthread_mutex_t lock;
	unsigned count; /* L */
};

/* In conf_alloc memory of a test whose scheduler it waits with. */
struct conf_latch *conf_latch_new(struct conf *c);
struct conf_latch *conf_latch_new_on(struct conf *c, struct jd_scheduler *scheduler);
/* Lets go of the parker; only needed before a scheduler is destroyed by the test. */
void conf_latch_close(struct conf_latch *latch);
void conf_latch_hit(struct conf_latch *latch);
unsigned conf_latch_count(struct conf_latch *latch);
/*
 * Waits on the scheduler until the count is n; false, and a failed check, when that does not
 * happen. One thread at a time.
 */
bool conf_latch_wait(struct conf_latch *latch, unsigned n, const char *site);
#define WAIT(latch, n) conf_latch_wait((latch), (n), JD_SITE)

/* What jd_dump writes, at most size - 1 bytes. */
void conf_dump(struct conf *c, struct jd_scheduler *scheduler, char *text, size_t size);

/* Waits for a millisecond of the scheduler's time, so that others can go on. */
void conf_let_run(struct conf *c);

/* --- Jobs: runnables that count -------------------------------------------------------------- */

struct conf_job {
	struct jd_runnable base;
	struct conf *c;
	void (*fn)(struct conf_job *self); /* may be NULL */
	void *arg;
	struct conf_latch *latch;  /* hit after fn, or at cancel; may be NULL */
	_Atomic(unsigned) runs;    /* A */
	_Atomic(unsigned) cancels; /* A */
	struct jd_timer timer;
	uint64_t deadline_ns;
	unsigned index;
};

void conf_job_init(struct conf_job *job, struct conf *c, void (*fn)(struct conf_job *self),
		   void *arg, struct conf_latch *latch);
/* n of them with indices, in conf_alloc memory. */
struct conf_job *conf_jobs(struct conf *c, unsigned n, void (*fn)(struct conf_job *self), void *arg,
			   struct conf_latch *latch);
/* Checks that each of them ran once and was never cancelled. */
void conf_jobs_ran_once(struct conf *c, struct conf_job *jobs, unsigned n, const char *site);
#define CHECK_RAN_ONCE(c, jobs, n) conf_jobs_ran_once((c), (jobs), (n), JD_SITE)

/* --- Nodes: futures that count; an event unless told otherwise ------------------------------- */

struct conf_node;

/* The result of a node that ends well. */
struct conf_value {
	struct conf_node *node;
	uint64_t value;
};

/* In conf_alloc memory; outlives the future. L: under lock. */
struct conf_node {
	struct conf *c;
	/* Instead of waiting for the event; may be NULL. */
	jd_status (*poll)(struct conf_node *self, struct jd_context *context);
	void (*on_drop)(struct conf_node *self); /* may be NULL */
	void *arg;
	jd_status end;              /* how the event ends it */
	uint64_t value;             /* of the result */
	struct conf_latch *polled;  /* hit by every poll; may be NULL */
	struct conf_latch *dropped; /* hit by drop; may be NULL */
	_Atomic(unsigned) polls;    /* A */
	_Atomic(unsigned) drops;    /* A */
	_Atomic(unsigned)
		result_drops;   /* A: results that nobody took, or that CHECK'ed takers drop */
	_Atomic(unsigned) busy; /* A: in poll or drop */
	pthread_mutex_t lock;
	bool set;              /* L */
	bool gone;             /* L: dropped */
	struct jd_waker waker; /* L: of the last pending poll */
};

struct conf_future {
	struct jd_future base;
	struct conf_node *node;
	unsigned plain; /* counts polls, not atomic: the scheduler orders polls, or TSan tells */
};

struct conf_node *conf_node_new(struct conf *c);
struct conf_node *conf_nodes(struct conf *c, unsigned n);
/* A future of it, for one use. */
struct conf_future conf_node_future(struct conf_node *node);
/* Ends an event: wakes whoever polled. Any thread. */
void conf_node_set(struct conf_node *node);
/* A clone of the stored waker, or an empty one. */
struct jd_waker conf_node_waker(struct conf_node *node);
/* Spawns a background task of it on the test's scheduler; checks JD_OK. task NULL: detached. */
bool conf_node_spawn(struct conf_node *node, struct jd_task **task);
bool conf_node_spawn_on(struct conf_node *node, struct jd_scheduler *scheduler,
			const struct jd_task_options *options, struct jd_task **task);
/* Checks polls or none, one drop, and result_drops. */
void conf_node_ended(struct conf_node *node, unsigned result_drops, const char *site);
#define CHECK_ENDED(node, result_drops) conf_node_ended((node), (result_drops), JD_SITE)
/* Joins; checks the status; a result must be the node's and is counted as dropped. */
void conf_node_join(struct conf_node *node, struct jd_task *task, jd_status want, const char *site);
#define JOIN(node, task, want) conf_node_join((node), (task), (want), JD_SITE)

/* --- Wakers that count ----------------------------------------------------------------------- */

struct conf_waker {
	struct conf *c;
	void (*on_wake)(struct conf_waker *self); /* may be NULL */
	void *arg;
	_Atomic(unsigned) wakes; /* A */
	_Atomic(unsigned) refs;  /* A */
};

struct jd_waker conf_waker_get(struct conf_waker *self);

#endif
