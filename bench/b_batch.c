/* b_batch.c - a thread that is no worker spawns batches of tasks and waits for each batch. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/sync.h>
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/run.h"

/*
 * What a request handler does that hands a few pieces of work over and needs all the answers: the
 * price of a batch has the way in, the wake of sleeping workers and the way back in it.
 */
enum {
	BATCH_SIZE = 64,
	BATCH_COUNT = 2000,
};

struct batch_data {
	struct jd_wait_group group;
	_Atomic(uint64_t) ran; /* A */
};

static void *one(void *arg)
{
	struct batch_data *data = arg;

	atomic_fetch_add_explicit(&data->ran, 1, memory_order_relaxed);
	jd_wait_group_done(&data->group);
	return NULL;
}

static void batch_reset(void *arg)
{
	struct batch_data *data = arg;

	jd_wait_group_init(&data->group);
	atomic_store_explicit(&data->ran, 0, memory_order_relaxed);
}

static jd_status batch_run(void *arg, struct jd_scheduler *scheduler)
{
	struct batch_data *data = arg;
	jd_status status = JD_OK;

	for (int batch = 0; batch < BATCH_COUNT && status == JD_OK; batch++) {
		struct jd_wait_group_wait wait;
		int spawned = 0;

		status = jd_wait_group_add(&data->group, BATCH_SIZE);
		while (spawned < BATCH_SIZE && status == JD_OK) {
			status = jd_spawn_fn(scheduler, one, data, NULL);
			spawned += status == JD_OK;
		}
		for (; spawned < BATCH_SIZE; spawned++)
			jd_wait_group_done(&data->group);
		jd_wait_group_wait_init(&wait, &data->group);
		jd_status waited = jd_block(scheduler, &wait.base, NULL);

		jd_future_drop(&wait.base);
		status = status == JD_OK ? waited : status;
	}
	return status;
}

static const char *batch_check(void *arg)
{
	struct batch_data *data = arg;

	return atomic_load_explicit(&data->ran, memory_order_relaxed) == BATCH_SIZE * BATCH_COUNT
		       ? NULL
		       : "not every task ran exactly once";
}

void b_batch(void)
{
	static struct batch_data data;
	static const struct bench_workload workload = {.name = "spawn_batch",
						       .ops = BATCH_SIZE * BATCH_COUNT,
						       .runs = 2,
						       .simulate = true,
						       .data = &data,
						       .reset = batch_reset,
						       .parallel = batch_run,
						       .check = batch_check};

	bench_workload_add(&workload);
}
