/* b_wake.c - how long an idle scheduler takes to start a task from another thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/gap.h"
#include "bench/histogram.h"
#include "bench/os/usage.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "bench/sizes.h"
#include "bench/workers.h"
#include "platform/platform.h"

struct wake_data {
	jd_status (*gap)(struct jd_scheduler *scheduler); /* before each sample */
	double cpu_s; /* of all threads, also the one that submits, over all samples and gaps */
	int samples;
	struct bench_histogram ns;
};

struct sample {
	uint64_t began_ns; /* written by the task */
};

static void *note_start(void *arg)
{
	((struct sample *)arg)->began_ns = jd_clock_now();
	return NULL;
}

static jd_status gap_asleep(struct jd_scheduler *scheduler)
{
	return bench_gap(scheduler, WAKE_GAP_US * JD_US);
}

static jd_status gap_busy(struct jd_scheduler *scheduler)
{
	uint64_t end = jd_clock_now() + WAKE_OFTEN_GAP_US * JD_US;

	(void)scheduler;
	while (jd_clock_now() < end)
		jd_cpu_relax();
	return JD_OK;
}

static jd_status wake_run(void *arg, struct jd_scheduler *scheduler)
{
	struct wake_data *data = arg;
	struct bench_usage before, after;

	bench_usage_all(&before);
	for (int i = 0; i < data->samples; i++) {
		struct sample sample = {0};
		struct jd_task *task;
		jd_status status = data->gap(scheduler);

		if (status != JD_OK)
			return status;
		uint64_t start = jd_clock_now();

		status = jd_spawn_fn(scheduler, note_start, &sample, &task);
		if (status == JD_OK)
			status = jd_task_join(task, NULL);
		if (status != JD_OK)
			return status;
		bench_histogram_add(&data->ns, sample.began_ns - start);
	}
	bench_usage_all(&after);
	data->cpu_s = after.cpu_s - before.cpu_s;
	return JD_OK;
}

static void wake_reset(void *arg)
{
	bench_histogram_clear(&((struct wake_data *)arg)->ns);
}

static const char *wake_check(void *arg)
{
	const struct wake_data *data = arg;

	if (data->ns.total != (uint64_t)data->samples)
		return "not every task ran";
	return data->ns.max <= 10 * JD_SEC ? NULL
					   : "a task began before it was spawned, or very late";
}

static void wake_report(void *arg, struct jd_bench_state *state)
{
	const struct wake_data *data = arg;

	jd_bench_add_time(state, data->ns.sum * 1e-9);
	bench_histogram_report(&data->ns, state);
	jd_bench_counter(state, "cpu_ms", data->cpu_s * 1e3, JD_BENCH_PLAIN);
}

/* A task now and then, from a thread that sleeps in between. */
static struct wake_data rare = {.gap = gap_asleep};
/* One after the other, from a thread that does something else in between. */
static struct wake_data often = {.gap = gap_busy};

void b_wake(void)
{
	static struct bench_workload workloads[] = {
		{.name = "wake", .data = &rare},
		{.name = "wake_often", .data = &often},
	};

	rare.samples = bench_is_quick() ? WAKE_QUICK : WAKE_SAMPLES;
	often.samples = bench_is_quick() ? WAKE_OFTEN_QUICK : WAKE_OFTEN_SAMPLES;
	for (int i = 0; i < 2; i++) {
		struct bench_workload *workload = &workloads[i];

		workload->ops = ((struct wake_data *)workload->data)->samples;
		workload->runs = 1;
		workload->own_time = true;
		workload->reset = wake_reset;
		workload->parallel = wake_run;
		workload->check = wake_check;
		workload->report = wake_report;
		bench_workload_add(workload);
	}
}
