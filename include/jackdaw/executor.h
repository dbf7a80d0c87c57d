/* executor.h - handles through which a program spawns: background work, a foreground session. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_EXECUTOR_H
#define JACKDAW_EXECUTOR_H

/*
 * Two values to be passed around and copied instead of the scheduler itself, so that a function
 * says by its parameters where its work will run. They own nothing; the scheduler must live as
 * long as they are used. Functions without a word about threads may be called from any.
 *
 *   struct jd_background_executor background = jd_background_executor_on(scheduler);
 *   struct jd_foreground_executor window = jd_foreground_executor_on(scheduler);
 *
 *   jd_background_spawn(&background, &load.base, &loading);
 *   jd_foreground_spawn(&window, &redraw.base, NULL);
 *
 * The calls under "For tests" do what they say on a test scheduler (test_scheduler.h), on its
 * thread. On any other scheduler they change nothing and run nothing.
 */
#include <jackdaw/base.h>
#include <jackdaw/future.h>
#include <jackdaw/scheduler.h>
#include <jackdaw/task.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/timer.h>

JD_BEGIN_DECLS

/* Runs work on any worker. */
struct jd_background_executor {
	struct jd_scheduler *scheduler;
};

/* Runs work on the main thread, in the order of its session. */
struct jd_foreground_executor {
	struct jd_scheduler *scheduler;
	jd_session_id session;
};

static inline struct jd_background_executor
jd_background_executor_on(struct jd_scheduler *scheduler)
{
	struct jd_background_executor executor = {scheduler};

	return executor;
}

/* With a session of its own: its work keeps its order, and waits while the session blocks. */
static inline struct jd_foreground_executor
jd_foreground_executor_on(struct jd_scheduler *scheduler)
{
	struct jd_foreground_executor executor = {scheduler, jd_session_new(scheduler)};

	return executor;
}

/* --- Spawning ------------------------------------------------------------------------------------
 * As jd_spawn (task.h). The macros record the line they stand on. JD_EINVAL: NULL. */

#define jd_background_spawn(executor_, future_, task_) \
	jd_background_spawn_at((executor_), (future_), NULL, JD_SITE, (task_))
#define jd_background_spawn_labeled(executor_, future_, label_, task_) \
	jd_background_spawn_at((executor_), (future_), (label_), JD_SITE, (task_))
#define jd_foreground_spawn(executor_, future_, task_) \
	jd_foreground_spawn_at((executor_), (future_), NULL, JD_SITE, (task_))
#define jd_foreground_spawn_labeled(executor_, future_, label_, task_) \
	jd_foreground_spawn_at((executor_), (future_), (label_), JD_SITE, (task_))

JD_API jd_status jd_background_spawn_at(const struct jd_background_executor *executor,
					struct jd_future *future, jd_label label, const char *site,
					struct jd_task **task);

/* JD_ENOTSUP: the scheduler has no main thread. */
JD_API jd_status jd_foreground_spawn_at(const struct jd_foreground_executor *executor,
					struct jd_future *future, jd_label label, const char *site,
					struct jd_task **task);

/* --- Time and waiting ------------------------------------------------------------------------ */

/* A sleep that counts from now: see jd_sleep_init_from_now. */
static inline void jd_background_timer(const struct jd_background_executor *executor,
				       struct jd_sleep *sleep, uint64_t delay_ns)
{
	jd_sleep_init_from_now(sleep, executor->scheduler, delay_ns);
}

static inline void jd_foreground_timer(const struct jd_foreground_executor *executor,
				       struct jd_sleep *sleep, uint64_t delay_ns)
{
	jd_sleep_init_from_now(sleep, executor->scheduler, delay_ns);
}

/* As jd_block and jd_block_with_timeout. */
static inline jd_status jd_background_block(const struct jd_background_executor *executor,
					    struct jd_future *future, void *result)
{
	return jd_block(executor->scheduler, future, result);
}

static inline jd_status
jd_background_block_with_timeout(const struct jd_background_executor *executor,
				 struct jd_future *future, uint64_t timeout_ns, void *result)
{
	return jd_block_with_timeout(executor->scheduler, future, timeout_ns, result);
}

/*
 * The same, meant for the main thread. The session that is held up meanwhile is that of the
 * runnable which blocks, whatever executor it uses.
 */
static inline jd_status jd_foreground_block(const struct jd_foreground_executor *executor,
					    struct jd_future *future, void *result)
{
	return jd_block(executor->scheduler, future, result);
}

static inline jd_status
jd_foreground_block_with_timeout(const struct jd_foreground_executor *executor,
				 struct jd_future *future, uint64_t timeout_ns, void *result)
{
	return jd_block_with_timeout(executor->scheduler, future, timeout_ns, result);
}

/* As jd_now and jd_num_cpus. */
static inline uint64_t jd_background_now(const struct jd_background_executor *executor)
{
	return jd_now(executor->scheduler);
}

static inline uint64_t jd_foreground_now(const struct jd_foreground_executor *executor)
{
	return jd_now(executor->scheduler);
}

static inline unsigned jd_background_num_cpus(const struct jd_background_executor *executor)
{
	return jd_num_cpus(executor->scheduler);
}

static inline unsigned jd_foreground_num_cpus(const struct jd_foreground_executor *executor)
{
	return jd_num_cpus(executor->scheduler);
}

/* --- For tests -------------------------------------------------------------------------------
 * What each does on a test scheduler is said at jd_test_<name>, with its status. On another one:
 * JD_OK, false from tick, and a random delay that is ready at once. */

JD_API jd_status jd_executor_deprioritize(struct jd_scheduler *scheduler, jd_label label);
JD_API bool jd_executor_tick(struct jd_scheduler *scheduler);
JD_API jd_status jd_executor_run_until_parked(struct jd_scheduler *scheduler);
JD_API jd_status jd_executor_advance_clock(struct jd_scheduler *scheduler, uint64_t delay_ns);

static inline jd_status jd_background_deprioritize(const struct jd_background_executor *executor,
						   jd_label label)
{
	return jd_executor_deprioritize(executor->scheduler, label);
}

static inline jd_status jd_foreground_deprioritize(const struct jd_foreground_executor *executor,
						   jd_label label)
{
	return jd_executor_deprioritize(executor->scheduler, label);
}

static inline bool jd_background_tick(const struct jd_background_executor *executor)
{
	return jd_executor_tick(executor->scheduler);
}

static inline bool jd_foreground_tick(const struct jd_foreground_executor *executor)
{
	return jd_executor_tick(executor->scheduler);
}

static inline jd_status
jd_background_run_until_parked(const struct jd_background_executor *executor)
{
	return jd_executor_run_until_parked(executor->scheduler);
}

static inline jd_status
jd_foreground_run_until_parked(const struct jd_foreground_executor *executor)
{
	return jd_executor_run_until_parked(executor->scheduler);
}

static inline jd_status jd_background_advance_clock(const struct jd_background_executor *executor,
						    uint64_t delay_ns)
{
	return jd_executor_advance_clock(executor->scheduler, delay_ns);
}

static inline jd_status jd_foreground_advance_clock(const struct jd_foreground_executor *executor,
						    uint64_t delay_ns)
{
	return jd_executor_advance_clock(executor->scheduler, delay_ns);
}

/* Makes *delay a future that yields a random number of times; await and drop it. */
static inline void
jd_background_simulate_random_delay(const struct jd_background_executor *executor,
				    struct jd_random_delay *delay)
{
	(void)executor;
	jd_test_simulate_random_delay(delay);
}

static inline void
jd_foreground_simulate_random_delay(const struct jd_foreground_executor *executor,
				    struct jd_random_delay *delay)
{
	(void)executor;
	jd_test_simulate_random_delay(delay);
}

JD_END_DECLS

#endif
