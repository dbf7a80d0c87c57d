/* b_idle.c - what a scheduler costs while it has nothing to do. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/files.h"
#include "bench/gap.h"
#include "bench/os/usage.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "bench/workers.h"

/*
 * Five seconds in which nobody asks for anything, after some work, so that all threads are there.
 * cpu_ms and switches are those of all threads but the measuring one: any of the latter is a
 * wake-up nobody asked for. idle_cpu_ppm is the processor time of a second in us. The threads of a
 * contender whose pool is the process's (GCD) stay for good and are counted in the rows after it,
 * so a row should have a process of its own, as scripts/bench sees to.
 */
enum {
	IDLE_MS = 5000,
	IDLE_QUICK_MS = 400, /* instead, when in haste */
	IDLE_WARM_UP = 1000, /* tasks before */
	IDLE_SETTLE_MS = 50, /* then all have gone to sleep */
};

struct idle_data {
	uint64_t ms;
	double cpu_s;
	uint64_t switches;
};

static void *nothing(void *arg)
{
	return arg;
}

static jd_status warm_up(struct jd_scheduler *scheduler)
{
	jd_status status = JD_OK;

	for (int i = 0; i < IDLE_WARM_UP && status == JD_OK; i++)
		status = jd_spawn_fn(scheduler, nothing, NULL, NULL);
	if (status == JD_OK)
		status = jd_scheduler_drain(scheduler, JD_NEVER);
	return status == JD_OK ? bench_gap(scheduler, IDLE_SETTLE_MS * JD_MS) : status;
}

static jd_status idle_run(void *arg, struct jd_scheduler *scheduler)
{
	struct idle_data *data = arg;
	struct bench_usage before, after;
	jd_status status = warm_up(scheduler);

	if (status != JD_OK)
		return status;
	bench_usage_others(&before);
	status = bench_gap(scheduler, data->ms * JD_MS);
	bench_usage_others(&after);
	/* Two calls a reading: off by the microsecond between them, either way. */
	data->cpu_s = after.cpu_s > before.cpu_s ? after.cpu_s - before.cpu_s : 0;
	data->switches = after.switches - before.switches;
	return status;
}

static void idle_report(void *arg, struct jd_bench_state *state)
{
	const struct idle_data *data = arg;

	jd_bench_add_time(state, data->cpu_s);
	jd_bench_counter(state, "idle_cpu_ppm", data->cpu_s * 1e9 / (double)data->ms,
			 JD_BENCH_PLAIN);
	jd_bench_counter(state, "cpu_ms", data->cpu_s * 1e3, JD_BENCH_PLAIN);
	jd_bench_counter(state, "switches", (double)data->switches, JD_BENCH_PLAIN);
}

void b_idle(void)
{
	static struct idle_data data;
	static struct bench_workload workload = {.name = "idle",
						 .runs = 1,
						 .own_time = true,
						 .data = &data,
						 .parallel = idle_run,
						 .report = idle_report};

	data.ms = bench_is_quick() ? IDLE_QUICK_MS : IDLE_MS;
	workload.ops = (double)data.ms * 1e-3;
	bench_workload_add(&workload);
}
