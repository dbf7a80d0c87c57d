/* b_startup.c - a scheduler is made, runs one task, and is destroyed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/run.h"

enum {
	STARTUP_COUNT = 50
};

struct startup_data {
	uint32_t ran;
};

static void *run_one(void *arg)
{
	((struct startup_data *)arg)->ran++;
	return NULL;
}

static jd_status startup_once(struct startup_data *data, const struct bench_contender *contender,
			      unsigned workers)
{
	struct jd_scheduler *scheduler;
	struct jd_task *task;
	jd_status status = contender->make(workers, &scheduler);

	if (status != JD_OK)
		return status;
	status = jd_spawn_fn(scheduler, run_one, data, &task);
	if (status == JD_OK)
		status = jd_task_join(task, NULL);
	jd_status destroyed = jd_scheduler_destroy(scheduler);

	return status == JD_OK ? destroyed : status;
}

static jd_status startup_run(void *arg, const struct bench_contender *contender, unsigned workers)
{
	jd_status status = JD_OK;

	for (int i = 0; i < STARTUP_COUNT && status == JD_OK; i++)
		status = startup_once(arg, contender, workers);
	return status;
}

static void startup_reset(void *arg)
{
	((struct startup_data *)arg)->ran = 0;
}

static const char *startup_check(void *arg)
{
	return ((struct startup_data *)arg)->ran == STARTUP_COUNT ? NULL : "not every task ran";
}

void b_startup(void)
{
	static struct startup_data data;
	static const struct bench_workload workload = {.name = "startup_shutdown",
						       .ops = STARTUP_COUNT,
						       .runs = 4,
						       .simulate = true,
						       .data = &data,
						       .reset = startup_reset,
						       .whole = startup_run,
						       .check = startup_check};

	bench_workload_add(&workload);
}
