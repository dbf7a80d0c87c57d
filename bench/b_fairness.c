/* b_fairness.c - a hundred equal tasks compute and give way: how unequal is their progress? */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/gap.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "bench/workers.h"

/*
 * The row's figure is the progress of the slowest task over that of the fastest after half a
 * second: 1 is perfect, 0 means that somebody did not run at all.
 */
enum {
	FAIR_TASKS = 100,
	FAIR_MS = 500,
	FAIR_QUICK_MS = 200,
	FAIR_STEPS = 2000, /* some microseconds of work between two yields */
};

struct fair_data {
	uint64_t progress[FAIR_TASKS]; /* each by its task; read when all have ended */
	_Atomic(uint32_t) stop;        /* A */
};

struct fair_task {
	struct jd_future base;
	struct fair_data *data;
	uint64_t *progress;
	uint64_t state;
};

static jd_status fair_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct fair_task *self = jd_container_of(future, struct fair_task, base);

	(void)result;
	for (int i = 0; i < FAIR_STEPS; i++)
		self->state = self->state * 6364136223846793005u + 1442695040888963407u;
	*self->progress += 1 + (self->state == 0);
	if (atomic_load_explicit(&self->data->stop, memory_order_relaxed))
		return JD_OK;
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

static void fair_reset(void *arg)
{
	struct fair_data *data = arg;

	atomic_store_explicit(&data->stop, 0, memory_order_relaxed);
	for (int i = 0; i < FAIR_TASKS; i++)
		data->progress[i] = 0;
}

static jd_status fair_run(void *arg, struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {.poll = fair_poll,
						 .size = sizeof(struct fair_task)};
	struct fair_data *data = arg;
	jd_status status = JD_OK;

	for (uint64_t i = 0; i < FAIR_TASKS && status == JD_OK; i++) {
		struct fair_task task = {{&ops}, data, &data->progress[i], i + 1};

		status = jd_spawn(scheduler, &task.base, NULL);
	}
	if (status == JD_OK)
		status = bench_gap(scheduler, (bench_is_quick() ? FAIR_QUICK_MS : FAIR_MS) * JD_MS);
	atomic_store_explicit(&data->stop, 1, memory_order_relaxed);
	jd_status drained = jd_scheduler_drain(scheduler, JD_NEVER);

	return status == JD_OK ? drained : status;
}

static void extremes(const struct fair_data *data, uint64_t *least, uint64_t *most, uint64_t *sum)
{
	*least = UINT64_MAX;
	*most = 0;
	*sum = 0;
	for (int i = 0; i < FAIR_TASKS; i++) {
		uint64_t progress = data->progress[i];

		*least = progress < *least ? progress : *least;
		*most = progress > *most ? progress : *most;
		*sum += progress;
	}
}

/* The last poll, after the stop, counts too: a task that has none never ran. */
static const char *fair_check(void *arg)
{
	uint64_t least, most, sum;

	extremes(arg, &least, &most, &sum);
	return least > 0 ? NULL : "a task did not end";
}

static void fair_report(void *arg, struct jd_bench_state *state)
{
	uint64_t least, most, sum;

	extremes(arg, &least, &most, &sum);
	jd_bench_counter(state, "fairness", (double)least / (double)most, JD_BENCH_PLAIN);
	jd_bench_counter(state, "pieces", (double)sum, JD_BENCH_PLAIN);
}

void b_fairness(void)
{
	static struct fair_data data;
	static const struct bench_workload workload = {.name = "fairness",
						       .ops = 1,
						       .runs = 1,
						       .data = &data,
						       .reset = fair_reset,
						       .parallel = fair_run,
						       .check = fair_check,
						       .report = fair_report};

	bench_workload_add(&workload);
}
