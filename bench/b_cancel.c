/* b_cancel.c - from the cancelling of a waiting task until its future is gone. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/gap.h"
#include "bench/histogram.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "platform/platform.h"

enum {
	CANCEL_TASKS = 500
};

struct cancel_data {
	_Atomic(uint32_t) waiting;      /* A: tasks that were polled */
	uint64_t dropped[CANCEL_TASKS]; /* each by its task's end */
	struct jd_task *tasks[CANCEL_TASKS];
	struct bench_histogram ns;
};

struct waiter {
	struct jd_future base;
	struct cancel_data *data;
	uint64_t *dropped_ns;
};

static jd_status waiter_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct waiter *self = jd_container_of(future, struct waiter, base);

	(void)context;
	(void)result;
	atomic_fetch_add_explicit(&self->data->waiting, 1, memory_order_relaxed);
	return JD_PENDING;
}

static void waiter_drop(struct jd_future *future)
{
	*jd_container_of(future, struct waiter, base)->dropped_ns = jd_clock_now();
}

static void cancel_reset(void *arg)
{
	struct cancel_data *data = arg;

	atomic_store_explicit(&data->waiting, 0, memory_order_relaxed);
	bench_histogram_clear(&data->ns);
}

static jd_status cancel_one(struct cancel_data *data, int i)
{
	uint64_t start = jd_clock_now();
	jd_status status = jd_task_cancel(data->tasks[i]);

	if (status != JD_OK)
		return status;
	status = jd_task_join(data->tasks[i], NULL);
	if (status != JD_ECANCELED)
		return status == JD_OK ? JD_EFAILED : status;
	bench_histogram_add(&data->ns, data->dropped[i] - start);
	return JD_OK;
}

static jd_status cancel_run(void *arg, struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {
		.poll = waiter_poll, .drop = waiter_drop, .size = sizeof(struct waiter)};
	struct cancel_data *data = arg;
	jd_status status = JD_OK;
	int spawned = 0, cancelled = 0;

	while (spawned < CANCEL_TASKS && status == JD_OK) {
		struct waiter waiter = {{&ops}, data, &data->dropped[spawned]};

		status = jd_spawn(scheduler, &waiter.base, &data->tasks[spawned]);
		spawned += status == JD_OK;
	}
	while (status == JD_OK &&
	       atomic_load_explicit(&data->waiting, memory_order_relaxed) < CANCEL_TASKS)
		status = bench_gap(scheduler, JD_MS);
	while (status == JD_OK && cancelled < spawned)
		status = cancel_one(data, cancelled++);
	while (cancelled < spawned)
		jd_task_drop(data->tasks[cancelled++]);
	return status;
}

static const char *cancel_check(void *arg)
{
	const struct cancel_data *data = arg;

	if (data->ns.total != CANCEL_TASKS)
		return "not every task was cancelled";
	return data->ns.max < 10 * JD_SEC ? NULL : "a future was dropped before it was cancelled";
}

static void cancel_report(void *arg, struct jd_bench_state *state)
{
	const struct cancel_data *data = arg;

	jd_bench_add_time(state, data->ns.sum * 1e-9);
	bench_histogram_report(&data->ns, state);
}

void b_cancel(void)
{
	static struct cancel_data data;
	static const struct bench_workload workload = {.name = "cancel",
						       .ops = CANCEL_TASKS,
						       .runs = 1,
						       .own_time = true,
						       .data = &data,
						       .reset = cancel_reset,
						       .parallel = cancel_run,
						       .check = cancel_check,
						       .report = cancel_report};

	bench_workload_add(&workload);
}
