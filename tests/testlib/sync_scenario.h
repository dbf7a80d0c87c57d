/* sync_scenario.h - tasks that use the synchronisation objects at random, and what must hold. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_SYNC_SCENARIO_H
#define JD_TESTS_TESTLIB_SYNC_SCENARIO_H

/*
 * The same programs run on the test scheduler under many seeds, where each run can be repeated, and
 * on real threads under the sanitizers. Each spawns its tasks, waits for all of them, and finds
 * every lost wake-up (a wait that never ends), lost or doubled item, broken exclusion and leak.
 */
#include <jackdaw/co.h>
#include <jackdaw/scheduler.h>
#include <jackdaw/task.h>
#include <jackdaw/timer.h>

#include "platform/atomic.h"

#define SYNC_ACTORS_MAX 64

/* All times are a few of these, so that deadlines often meet with what they limit. */
#define SYNC_TICK (20 * JD_US)

struct sync_world {
	struct jd_scheduler *schedulers[2]; /* tasks are spread over them */
	unsigned count;                     /* of these: 1 or 2 */
	uint64_t seed;
	unsigned actors;             /* tasks of a scenario, 4 to SYNC_ACTORS_MAX */
	unsigned rounds;             /* of each */
	_Atomic(const char *) error; /* A: the first check that failed */
};

struct sync_scenario {
	const char *name;
	void (*run)(struct sync_world *world);
};

/* The list ends with one without a name. */
extern const struct sync_scenario sync_scenarios[];

/* Runs one; NULL, or what went wrong first. */
const char *sync_scenario_run(const struct sync_scenario *scenario, struct sync_world *world);

/* --- For the scenarios ------------------------------------------------------------------------ */

void sync_world_fail(struct sync_world *world, const char *what);

#define SYNC_STR(x) #x
#define SYNC_XSTR(x) SYNC_STR(x)

/* On any thread. Goes on after a failure: the tasks have to end. */
#define SYNC_CHECK(world_, cond_) \
	((cond_) ? (void)0        \
		 : sync_world_fail((world_), __FILE__ ":" SYNC_XSTR(__LINE__) ": " #cond_))

/* A number below n, from the caller's own state. */
uint64_t sync_random(uint64_t *rng, uint64_t n);

/* Spawns on one of the schedulers; aborts when it cannot. Every handle is to be joined. */
struct jd_task *sync_spawn(struct sync_world *world, unsigned i, struct jd_future *future);

/* Waits for its end; a failed wait is a failed check. Returns the task's status. */
jd_status sync_join(struct sync_world *world, struct jd_task *task, void *result);

/*
 * A deadline that is stricter than struct jd_timeout: once the time is over it does not look at
 * the inner future again, but drops it as it is: perhaps with what it was just given.
 */
struct sync_hasty {
	struct jd_future base;
	struct jd_future *inner;
	struct jd_sleep sleep;
};

/* What all actors share: their random numbers, a pause, and a wait with a deadline or without. */
struct sync_actor {
	struct jd_co co;
	struct sync_world *world;
	uint64_t rng;
	unsigned index;
	unsigned round;
	struct jd_sleep nap;
	struct jd_timeout limit;
	struct sync_hasty hasty;
};

void sync_actor_init(struct sync_actor *self, struct sync_world *world, unsigned i,
		     const struct jd_future_ops *ops);

/*
 * Wraps a wait: half of the time in a deadline of one kind or the other, of a few ticks or 0.
 * Dropping the limit drops the wait.
 */
struct jd_future *sync_limited(struct sync_actor *self, struct jd_future *wait);

/* Half of the time ready at once, else a short sleep. */
struct jd_future *sync_pause(struct sync_actor *self);

/* In sync_locks.c and sync_flow.c. */
void sync_scenario_mutex(struct sync_world *world);
void sync_scenario_semaphore(struct sync_world *world);
void sync_scenario_notify(struct sync_world *world);
void sync_scenario_wait_group(struct sync_world *world);
void sync_scenario_channel(struct sync_world *world);
void sync_scenario_oneshot(struct sync_world *world);
void sync_scenario_timers(struct sync_world *world);
void sync_scenario_combinators(struct sync_world *world);

#endif
