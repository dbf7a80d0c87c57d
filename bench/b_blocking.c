/* b_blocking.c - how fast the pool for blocking jobs grows: all of them wait for each other. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/run.h"
#include "platform/platform.h"

/*
 * 64 jobs that each block until all 64 are running. A pool that reuses a blocked thread, or grows
 * once a second, shows here; one that cannot grow so far fails.
 */
enum {
	BLOCKING_JOBS = 64,
	BLOCKING_LIMIT_S = 20,
};

struct blocking_data {
	_Atomic(uint32_t) running; /* A */
	_Atomic(uint32_t) open;    /* A: the last one lets all go */
	_Atomic(uint32_t) late;    /* A: who gave up */
};

static void *job(void *arg)
{
	struct blocking_data *data = arg;
	uint64_t limit = jd_clock_now() + BLOCKING_LIMIT_S * JD_SEC;

	if (atomic_fetch_add_explicit(&data->running, 1, memory_order_relaxed) ==
	    BLOCKING_JOBS - 1) {
		atomic_store_explicit(&data->open, 1, memory_order_relaxed);
		jd_futex_wake_all(&data->open);
	}
	while (!atomic_load_explicit(&data->open, memory_order_relaxed)) {
		if (jd_futex_wait(&data->open, 0, limit) == JD_ETIMEDOUT) {
			atomic_fetch_add_explicit(&data->late, 1, memory_order_relaxed);
			break;
		}
	}
	return NULL;
}

static void blocking_reset(void *arg)
{
	struct blocking_data *data = arg;

	atomic_store_explicit(&data->running, 0, memory_order_relaxed);
	atomic_store_explicit(&data->open, 0, memory_order_relaxed);
	atomic_store_explicit(&data->late, 0, memory_order_relaxed);
}

static jd_status blocking_run(void *arg, struct jd_scheduler *scheduler)
{
	struct blocking_data *data = arg;
	jd_status status = JD_OK;

	for (int i = 0; i < BLOCKING_JOBS && status == JD_OK; i++)
		status = jd_spawn_blocking(scheduler, job, data, NULL);
	if (status != JD_OK) {
		atomic_store_explicit(&data->open, 1, memory_order_relaxed);
		jd_futex_wake_all(&data->open);
	}
	jd_status drained = jd_scheduler_drain(scheduler, JD_NEVER);

	return status == JD_OK ? drained : status;
}

static const char *blocking_check(void *arg)
{
	struct blocking_data *data = arg;

	if (atomic_load_explicit(&data->late, memory_order_relaxed) > 0)
		return "the jobs never ran all at once";
	return atomic_load_explicit(&data->running, memory_order_relaxed) == BLOCKING_JOBS
		       ? NULL
		       : "not every job ran exactly once";
}

void b_blocking(void)
{
	static struct blocking_data data;
	/* One run: in a second one the threads would be there. */
	static const struct bench_workload workload = {.name = "blocking_growth",
						       .ops = BLOCKING_JOBS,
						       .runs = 1,
						       .data = &data,
						       .reset = blocking_reset,
						       .parallel = blocking_run,
						       .check = blocking_check};

	bench_workload_add(&workload);
}
