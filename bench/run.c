/* run.c - measures a workload on a contender and checks every answer. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/run.h"

#include <stdio.h>
#include <stdlib.h>

#include <jackdaw/task.h>

#include "bench/peak.h"
#include "bench/shim/jd_bench.h"
#include "bench/workers.h"

/* --- A run as a future ------------------------------------------------------------------------ */

static jd_status run_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct bench_run *run = jd_container_of(future, struct bench_run, base);

	(void)result;
	if (!run->started) {
		run->started = true;
		bench_join_init(&run->join, context->waker);
		run->start(run, context->scheduler, run->arg);
		bench_join_leave(&run->join);
	}
	if (!bench_join_done(&run->join))
		return JD_PENDING;
	return (jd_status)atomic_load_explicit(&run->status, memory_order_relaxed);
}

jd_status bench_run_block(struct bench_run *run, struct jd_scheduler *scheduler,
			  void (*start)(struct bench_run *run, struct jd_scheduler *scheduler,
					void *arg),
			  void *arg)
{
	static const struct jd_future_ops ops = {.poll = run_poll,
						 .size = sizeof(struct bench_run)};

	*run = (struct bench_run){.base = {&ops}, .start = start, .arg = arg};
	return jd_block(scheduler, &run->base, NULL);
}

void bench_run_error(struct bench_run *run, jd_status status)
{
	int32_t none = JD_OK;

	if (status != JD_OK)
		atomic_compare_exchange_strong_explicit(&run->status, &none, status,
							memory_order_relaxed, memory_order_relaxed);
}

jd_status bench_run_spawn(struct bench_run *run, struct jd_scheduler *scheduler,
			  struct jd_future *future)
{
	bench_join_add(&run->join, 1);
	jd_status status = jd_spawn(scheduler, future, NULL);

	if (status != JD_OK) {
		bench_run_error(run, status);
		bench_join_finish(&run->join);
	}
	return status;
}

jd_status bench_task_run(struct jd_scheduler *scheduler, struct jd_future *future)
{
	struct jd_task *task;
	jd_status status = jd_spawn(scheduler, future, &task);

	return status == JD_OK ? jd_task_join(task, NULL) : status;
}

/* --- Rows ------------------------------------------------------------------------------------- */

struct row {
	const struct bench_workload *workload;
	const struct bench_contender *contender; /* NULL: serial */
	struct row *next;
};

/* All that were registered; they live as long as the program. */
static struct row *rows;

static void fail_status(struct jd_bench_state *state, const char *what, jd_status status)
{
	char message[120];

	snprintf(message, sizeof(message), "%s: %s", what, jd_status_text(status));
	jd_bench_fail(state, message);
}

static jd_status call(const struct row *row, struct jd_scheduler *scheduler,
		      struct jd_bench_state *state)
{
	const struct bench_workload *workload = row->workload;

	if (!row->contender)
		return workload->serial(workload->data);
	if (workload->whole)
		return workload->whole(workload->data, row->contender,
				       (unsigned)jd_bench_get_arg(state, 0));
	return workload->parallel(workload->data, scheduler);
}

/* One run and its check. False: the row has failed. */
static bool run_once(const struct row *row, struct jd_scheduler *scheduler,
		     struct jd_bench_state *state)
{
	const struct bench_workload *workload = row->workload;

	if (workload->reset) {
		jd_bench_pause(state);
		workload->reset(workload->data);
		jd_bench_resume(state);
	}
	jd_status status = call(row, scheduler, state);

	if (status == JD_ENOTSUP) {
		jd_bench_skip(state, "not on this scheduler");
		return false;
	}
	if (status == JD_ETIMEDOUT) {
		jd_bench_skip(state, "given up: the machine was too busy");
		return false;
	}
	if (status != JD_OK) {
		fail_status(state, "the run ended with", status);
		return false;
	}
	if (!workload->check)
		return true;
	jd_bench_pause(state);
	const char *wrong = workload->check(workload->data);

	if (wrong)
		jd_bench_fail(state, wrong);
	else
		jd_bench_resume(state);
	return !wrong;
}

static void run_all(const struct row *row, struct jd_scheduler *scheduler,
		    struct jd_bench_state *state)
{
	const struct bench_workload *workload = row->workload;
	int64_t n;

	/* The clock has not started: threads, caches and the allocator come into their stride. */
	if (workload->runs > 1 && !bench_is_once() && !run_once(row, scheduler, state))
		return;
	while ((n = jd_bench_next(state)) > 0)
		for (int64_t i = 0; i < n; i++)
			if (!run_once(row, scheduler, state))
				return;
	jd_bench_ns_per_op(state, workload->ops);
	bench_report_peak(state);
	if (workload->report)
		workload->report(workload->data, state);
}

/* The answer may be right and tasks be left: that is a failure too. */
static void finish(struct jd_scheduler *scheduler, struct jd_bench_state *state)
{
	jd_status status = jd_scheduler_close(scheduler);

	if (status == JD_OK)
		status = jd_scheduler_drain(scheduler, jd_now(scheduler) + 10 * JD_SEC);
	if (status != JD_OK)
		fail_status(state, "tasks were left", status);
	status = jd_scheduler_destroy(scheduler);
	if (status != JD_OK)
		fail_status(state, "destroying the scheduler", status);
}

static void row_run(struct jd_bench_state *state, void *user)
{
	const struct row *row = user;
	const struct bench_workload *workload = row->workload;
	struct jd_scheduler *scheduler = NULL;
	jd_status status = JD_OK;

	if (row->contender && !workload->whole)
		status = row->contender->make((unsigned)jd_bench_get_arg(state, 0), &scheduler);
	if (status == JD_ENOTSUP) {
		jd_bench_skip(state, "not on this system");
		return;
	}
	if (status != JD_OK) {
		fail_status(state, "making the scheduler", status);
		return;
	}
	if (!workload->setup || workload->setup(workload->data, state))
		run_all(row, scheduler, state);
	if (scheduler)
		finish(scheduler, state);
	if (workload->teardown)
		workload->teardown(workload->data);
}

static void add_rows(const struct bench_workload *workload, const struct bench_contender *contender)
{
	struct row *row = malloc(sizeof(*row));
	char name[80];

	if (!row)
		abort();
	*row = (struct row){workload, contender, rows};
	rows = row;
	snprintf(name, sizeof(name), "%s/%s", workload->name,
		 contender ? contender->name : "serial");
	struct jd_bench *bench = jd_bench_add(name, row_run, row);

	jd_bench_iterations(bench, bench_runs(workload->runs));
	if (workload->own_time)
		jd_bench_set_clock(bench, JD_BENCH_MANUAL);
	if (!contender) {
		jd_bench_arg(bench, 1);
		return;
	}
	if (contender->workers) {
		jd_bench_arg(bench, contender->workers());
		return;
	}
	unsigned workers[BENCH_WORKERS_MAX];
	size_t count = bench_workers(workers);

	for (size_t i = 0; i < count; i++)
		jd_bench_arg(bench, workers[i]);
}

void bench_workload_add(const struct bench_workload *workload)
{
	static const struct bench_contender *const contenders[] = {
#define CONTENDER_ROWS(name) &c_##name,
		BENCH_CONTENDERS(CONTENDER_ROWS)
#undef CONTENDER_ROWS
	};

	if (workload->serial)
		add_rows(workload, NULL);
	for (size_t i = 0; i < sizeof(contenders) / sizeof(contenders[0]); i++)
		if ((workload->simulate || !contenders[i]->simulated) &&
		    (contenders[i]->forks || !workload->forks))
			add_rows(workload, contenders[i]);
}
