/* b_region.c - entering fork/join from a thread that is no worker, and a stolen frame's way. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/fork.h>

#include "bench/files.h"
#include "bench/run.h"
#include "platform/atomic.h"

/*
 * "region": enter and leave, nothing forked. "steal": fork a frame, wait until a worker has begun
 * it, join it. Both on the measuring thread, so the workers are all idle, or thieves.
 */
enum {
	REGION_COUNT = 1000 * 1000,
	STEAL_COUNT = 100 * 1000,
};

struct region_data {
	uint64_t done;
};

static void region_reset(void *arg)
{
	((struct region_data *)arg)->done = 0;
}

static jd_status region_run(void *arg, struct jd_scheduler *scheduler)
{
	struct region_data *data = arg;

	if (!scheduler->fork_host)
		return JD_ENOTSUP;
	for (int i = 0; i < REGION_COUNT; i++) {
		struct jd_fork_region region;

		data->done += jd_fork_enter(scheduler, &region)._stack != NULL;
		jd_fork_leave(&region);
	}
	return JD_OK;
}

static const char *region_check(void *arg)
{
	return ((struct region_data *)arg)->done == REGION_COUNT ? NULL : "a region too few";
}

struct stolen {
	struct jd_fork_frame frame;
	_Atomic(uint32_t) begun;
};

static void stolen_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct stolen *s = jd_container_of(frame, struct stolen, frame);

	(void)fork;
	atomic_store_explicit(&s->begun, 1, memory_order_relaxed);
}

static jd_status steal_run(void *arg, struct jd_scheduler *scheduler)
{
	struct region_data *data = arg;
	struct jd_fork_region region;

	/* Nobody would ever take a frame. */
	if (!scheduler->fork_host)
		return JD_ENOTSUP;
	struct jd_fork_point fork = jd_fork_enter(scheduler, &region);

	for (int i = 0; i < STEAL_COUNT; i++) {
		struct stolen s;

		atomic_init(&s.begun, 0);
		jd_fork(fork, &s.frame, stolen_run);
		while (!atomic_load_explicit(&s.begun, memory_order_relaxed))
			;
		data->done += !jd_join(fork, &s.frame);
	}
	jd_fork_leave(&region);
	return JD_OK;
}

static const char *steal_check(void *arg)
{
	return ((struct region_data *)arg)->done == STEAL_COUNT ? NULL : "not all were stolen";
}

void b_region(void)
{
	static struct region_data data;
	static const struct bench_workload region = {.name = "region",
						     .ops = REGION_COUNT,
						     .runs = 3,
						     .forks = true,
						     .data = &data,
						     .reset = region_reset,
						     .parallel = region_run,
						     .check = region_check};
	static const struct bench_workload steal = {.name = "steal",
						    .ops = STEAL_COUNT,
						    .runs = 3,
						    .forks = true,
						    .data = &data,
						    .reset = region_reset,
						    .parallel = steal_run,
						    .check = steal_check};

	bench_workload_add(&region);
	bench_workload_add(&steal);
}
