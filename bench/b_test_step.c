/* b_test_step.c - what a step of the test scheduler costs, with few and with very many queued. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <jackdaw/task.h>
#include <jackdaw/test_scheduler.h>

#include "bench/files.h"
#include "bench/shim/jd_bench.h"

/*
 * A step picks one of all that is queued, uniformly. Nothing in it may depend on how many there
 * are but the distance to memory: a row with a million should stay below five times the row with a
 * thousand.
 *
 * test_steps: runnables that queue themselves again, so that there are always as many.
 * test_tasks: empty tasks, spawned before the clock starts, run until none is left.
 */
enum {
	FEW = 1000,
	MANY = 1000 * 1000,
	STEPS = 2 * MANY, /* of one measurement */
};

struct again {
	struct jd_runnable runnable;
	struct jd_scheduler *scheduler;
	jd_status *status;
};

static void again_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct again *self = jd_container_of(runnable, struct again, runnable);
	jd_status status = jd_schedule(self->scheduler, runnable);

	(void)worker;
	if (status != JD_OK)
		*self->status = status;
}

static void again_cancel(struct jd_runnable *runnable)
{
	(void)runnable; /* its memory belongs to the row */
}

static void *nothing(void *arg)
{
	return arg;
}

/* --- The two kinds of work -------------------------------------------------------------------- */

/* Queues n runnables; *memory is to be freed behind the scheduler. */
static jd_status queue_runnables(struct jd_scheduler *scheduler, long n, void **memory,
				 jd_status *status)
{
	static const struct jd_runnable_ops ops = {.run = again_run, .cancel = again_cancel};
	struct again *all = calloc((size_t)n, sizeof(*all));

	*memory = all;
	if (!all)
		return JD_ENOMEM;
	for (long i = 0; i < n; i++) {
		all[i] = (struct again){JD_RUNNABLE_INIT(&ops), scheduler, status};
		jd_status scheduled = jd_schedule(scheduler, &all[i].runnable);

		if (scheduled != JD_OK)
			return scheduled;
	}
	return JD_OK;
}

static jd_status queue_tasks(struct jd_scheduler *scheduler, long n)
{
	for (long i = 0; i < n; i++) {
		jd_status status = jd_spawn_fn(scheduler, nothing, NULL, NULL);

		if (status != JD_OK)
			return status;
	}
	return JD_OK;
}

static jd_status tick(struct jd_test_scheduler *ts, long steps)
{
	for (long i = 0; i < steps; i++) {
		if (!jd_test_tick(ts))
			return JD_EFAILED;
	}
	return JD_OK;
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void steps_row(struct jd_bench_state *state, void *user)
{
	const long n = *(const long *)user;
	struct jd_test_scheduler *ts = NULL;
	jd_status status = jd_test_scheduler_new(NULL, &ts), late = JD_OK;
	void *memory = NULL;

	if (status == JD_OK)
		status = queue_runnables(jd_test_scheduler_base(ts), n, &memory, &late);
	/* Into its stride: every runnable was run, most of them more than once. */
	if (status == JD_OK)
		status = tick(ts, 2 * n);
	for (int64_t left; status == JD_OK && (left = jd_bench_next(state)) > 0;) {
		while (left-- && status == JD_OK)
			status = tick(ts, STEPS);
	}
	jd_scheduler_destroy(jd_test_scheduler_base(ts));
	free(memory);
	if (status != JD_OK || late != JD_OK)
		jd_bench_fail(state, jd_status_text(status != JD_OK ? status : late));
	else
		jd_bench_ns_per_op(state, STEPS);
}

static jd_status run_tasks(struct jd_bench_state *state, long n)
{
	struct jd_test_scheduler *ts;

	jd_bench_pause(state);
	jd_status status = jd_test_scheduler_new(NULL, &ts);

	if (status != JD_OK)
		return status;
	status = queue_tasks(jd_test_scheduler_base(ts), n);
	jd_bench_resume(state);
	if (status == JD_OK)
		status = jd_test_run_until_parked(ts);
	jd_bench_pause(state);
	if (status == JD_OK && jd_test_steps(ts) != (uint64_t)n)
		status = JD_EFAILED;
	jd_scheduler_destroy(jd_test_scheduler_base(ts));
	jd_bench_resume(state);
	return status;
}

static void tasks_row(struct jd_bench_state *state, void *user)
{
	const long n = *(const long *)user;
	jd_status status = JD_OK;

	for (int64_t left; status == JD_OK && (left = jd_bench_next(state)) > 0;) {
		for (int64_t i = 0; i < left * (STEPS / n) && status == JD_OK; i++)
			status = run_tasks(state, n);
	}
	if (status != JD_OK)
		jd_bench_fail(state, jd_status_text(status));
	else
		jd_bench_ns_per_op(state, STEPS);
}

void b_test_step(void)
{
	static long few = FEW, many = MANY;

	jd_bench_iterations(jd_bench_add("test_steps_1k/test/1", steps_row, &few), 1);
	jd_bench_iterations(jd_bench_add("test_steps_1m/test/1", steps_row, &many), 1);
	jd_bench_iterations(jd_bench_add("test_tasks_1k/test/1", tasks_row, &few), 1);
	jd_bench_iterations(jd_bench_add("test_tasks_1m/test/1", tasks_row, &many), 1);
}
