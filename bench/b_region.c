/* b_region.c - entering fork/join from outside, a stolen frame's way, a frame on the heap. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <jackdaw/fork.h>

#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"
#include "platform/atomic.h"
#include "platform/platform.h"

/*
 * "region": enter and leave, nothing forked. "steal": fork a frame, wait until a worker has begun
 * it, join it. Both on the measuring thread, so the workers are all idle, or thieves.
 *
 * "fork_heap": on a worker, a frame is taken from the allocator, forked, joined (which runs it, if
 * nobody came for it) and given back. What a task costs that may outlive a function but not its
 * join; one that is scheduled, awaited and named is "spawn_join".
 */
enum {
	REGION_COUNT = 1000 * 1000,
	STEAL_COUNT = 100 * 1000,
	STEAL_LIMIT_S = 3, /* without a CPU for the thief a steal takes a slice of the system's */
	STEAL_LOOK = 1 << 14, /* at the clock, once in so many rounds */
	HEAP_COUNT = 1000 * 1000,
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
	uint64_t limit_ns = jd_clock_now() + STEAL_LIMIT_S * JD_SEC;
	struct jd_fork_region region;
	bool late = false;

	/* Nobody would ever take a frame. */
	if (!scheduler->fork_host)
		return JD_ENOTSUP;
	struct jd_fork_point fork = jd_fork_enter(scheduler, &region);

	for (int i = 0; i < STEAL_COUNT && !late; i++) {
		struct stolen s;

		atomic_init(&s.begun, 0);
		jd_fork(fork, &s.frame, stolen_run);
		for (uint32_t spins = 1;
		     !late && !atomic_load_explicit(&s.begun, memory_order_relaxed); spins++)
			late = spins % STEAL_LOOK == 0 && jd_clock_now() > limit_ns;
		data->done += !jd_join(fork, &s.frame);
	}
	jd_fork_leave(&region);
	return late ? JD_ETIMEDOUT : JD_OK;
}

static const char *steal_check(void *arg)
{
	return ((struct region_data *)arg)->done == STEAL_COUNT ? NULL : "not all were stolen";
}

struct heap_frame {
	struct jd_fork_frame frame;
	uint64_t ran;
};

static void heap_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	(void)fork;
	jd_container_of(frame, struct heap_frame, frame)->ran++;
}

static void heap_body(struct jd_fork_point fork, void *arg)
{
	struct region_data *data = arg;

	for (int i = 0; i < HEAP_COUNT; i++) {
		struct heap_frame *h = malloc(sizeof(*h));

		if (!h)
			return;
		h->ran = 0;
		jd_fork(fork, &h->frame, heap_run);
		jd_join_run(fork, &h->frame);
		data->done += h->ran;
		free(h);
	}
}

static jd_status heap_frames(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, heap_body, arg);
}

static const char *heap_check(void *arg)
{
	return ((struct region_data *)arg)->done == HEAP_COUNT ? NULL : "a frame too few";
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

	static const struct bench_workload heap = {.name = "fork_heap",
						   .ops = HEAP_COUNT,
						   .runs = 4,
						   .forks = true,
						   .data = &data,
						   .reset = region_reset,
						   .parallel = heap_frames,
						   .check = heap_check};

	bench_workload_add(&region);
	bench_workload_add(&steal);
	bench_workload_add(&heap);
}
