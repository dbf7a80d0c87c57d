/* fork_run.h - runs a fork/join computation on a worker, so that N workers are N threads. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_FORK_RUN_H
#define JD_BENCH_FORK_RUN_H

#include <jackdaw/fork.h>
#include <jackdaw/task.h>

struct bench_fork_run {
	struct jd_scheduler *scheduler;
	void (*body)(struct jd_fork_point fork, void *arg);
	void *arg;
};

static inline void *bench_fork_task(void *arg)
{
	struct bench_fork_run *run = arg;
	struct jd_fork_region region;

	run->body(jd_fork_enter(run->scheduler, &region), run->arg);
	jd_fork_leave(&region);
	return NULL;
}

/* Calls body in a region, in a task; returns when it has returned. The caller only sleeps.
 * JD_ENOTSUP on a scheduler that would run it serially. */
static inline jd_status bench_fork_run(struct jd_scheduler *scheduler,
				       void (*body)(struct jd_fork_point fork, void *arg),
				       void *arg)
{
	struct bench_fork_run run = {scheduler, body, arg};
	struct jd_task *task;
	void *result;

	if (!scheduler->fork_host)
		return JD_ENOTSUP;
	jd_status status = jd_spawn_fn(scheduler, bench_fork_task, &run, &task);

	return status == JD_OK ? jd_task_join(task, &result) : status;
}

#endif
