/* b_wake.c - how long an idle scheduler takes to start a task from another thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/gap.h"
#include "bench/os/usage.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "platform/platform.h"

enum {
	WAKE_SAMPLES = 3000,
	WAKE_GAP_US = 1000, /* between two: every worker has gone to sleep by then */
};

struct wake_data {
	double cpu_s; /* of all threads, also the one that submits, over all samples and gaps */
	uint64_t ns[WAKE_SAMPLES];
};

struct sample {
	uint64_t began_ns; /* written by the task */
};

static void *note_start(void *arg)
{
	((struct sample *)arg)->began_ns = jd_clock_now();
	return NULL;
}

static jd_status wake_run(void *arg, struct jd_scheduler *scheduler)
{
	struct wake_data *data = arg;
	struct bench_usage before, after;

	bench_usage_all(&before);
	for (int i = 0; i < WAKE_SAMPLES; i++) {
		struct sample sample = {0};
		struct jd_task *task;
		jd_status status = bench_gap(scheduler, WAKE_GAP_US * JD_US);

		if (status != JD_OK)
			return status;
		uint64_t start = jd_clock_now();

		status = jd_spawn_fn(scheduler, note_start, &sample, &task);
		if (status == JD_OK)
			status = jd_task_join(task, NULL);
		if (status != JD_OK)
			return status;
		data->ns[i] = sample.began_ns - start;
	}
	bench_usage_all(&after);
	data->cpu_s = after.cpu_s - before.cpu_s;
	return JD_OK;
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static const char *wake_check(void *arg)
{
	const struct wake_data *data = arg;

	for (int i = 0; i < WAKE_SAMPLES; i++)
		if (data->ns[i] > 10 * JD_SEC)
			return "a task began before it was spawned, or very late";
	return NULL;
}

static void wake_report(void *arg, struct jd_bench_state *state)
{
	static const struct {
		const char *name;
		int index;
	} percentiles[] = {
		{"p50_ns", WAKE_SAMPLES / 2},
		{"p90_ns", WAKE_SAMPLES * 9 / 10},
		{"p99_ns", WAKE_SAMPLES * 99 / 100},
		{"max_ns", WAKE_SAMPLES - 1},
	};
	struct wake_data *data = arg;
	uint64_t sum = 0;

	qsort(data->ns, WAKE_SAMPLES, sizeof(data->ns[0]), compare);
	for (int i = 0; i < WAKE_SAMPLES; i++)
		sum += data->ns[i];
	jd_bench_add_time(state, (double)sum * 1e-9);
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
		jd_bench_counter(state, percentiles[i].name, (double)data->ns[percentiles[i].index],
				 JD_BENCH_PLAIN);
	jd_bench_counter(state, "cpu_ms", data->cpu_s * 1e3, JD_BENCH_PLAIN);
}

void b_wake(void)
{
	static struct wake_data data;
	static const struct bench_workload workload = {.name = "wake",
						       .ops = WAKE_SAMPLES,
						       .runs = 1,
						       .own_time = true,
						       .data = &data,
						       .parallel = wake_run,
						       .check = wake_check,
						       .report = wake_report};

	bench_workload_add(&workload);
}
