/* b_parked.c - how much memory a task takes that waits for something. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/sync.h>
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/os/usage.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "bench/sizes.h"
#include "bench/workers.h"

/*
 * Tasks that have no state of their own but what it takes to wait for a notification, all alive at
 * once. bytes is what the process grew by for each: header, waiter, and what the allocator and
 * the scheduler's tables add. ns_per_op is the time to spawn one, to park, wake and end it.
 */
struct parked_data {
	int count;
	double bytes;
};

static jd_status parked_run(void *arg, struct jd_scheduler *scheduler)
{
	struct parked_data *data = arg;
	struct jd_notify notify;
	struct jd_notify_wait wait;
	jd_status status = JD_OK;

	jd_notify_init(&notify);
	uint64_t before = bench_usage_memory();

	for (int i = 0; i < data->count && status == JD_OK; i++) {
		jd_notify_wait_init(&wait, &notify);
		status = jd_spawn(scheduler, &wait.base, NULL);
	}
	data->bytes = (double)(bench_usage_memory() - before) / data->count;
	jd_notify_all(&notify);

	jd_status drained = jd_scheduler_drain(scheduler, JD_NEVER);

	if (drained == JD_OK)
		drained = jd_notify_fini(&notify);
	return status == JD_OK ? drained : status;
}

static void parked_report(void *arg, struct jd_bench_state *state)
{
	jd_bench_counter(state, "bytes", ((struct parked_data *)arg)->bytes, JD_BENCH_PLAIN);
}

void b_parked(void)
{
	static struct parked_data data;
	static struct bench_workload workload = {.name = "parked",
						 .runs = 1,
						 .data = &data,
						 .parallel = parked_run,
						 .report = parked_report};

	data.count = bench_is_quick() ? PARKED_QUICK : PARKED_COUNT;
	workload.ops = data.count;
	bench_workload_add(&workload);
}
