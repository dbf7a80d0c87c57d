/* b_inject.c - empty tasks spawned by threads that are no workers. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/run.h"
#include "bench/sizes.h"
#include "platform/platform.h"

/*
 * The producers do not wait for the workers, so a row shows the slower of the two sides. Starting
 * the threads is measured too; it is a small part.
 */
struct inject_data {
	int threads;
	_Atomic(uint64_t) ran; /* A */
};

struct producer {
	struct jd_thread thread;
	struct inject_data *data;
	struct jd_scheduler *scheduler;
	int count;
	jd_status status;
};

static void *count_run(void *arg)
{
	struct inject_data *data = arg;

	atomic_fetch_add_explicit(&data->ran, 1, memory_order_relaxed);
	return NULL;
}

static void produce(void *arg)
{
	struct producer *producer = arg;

	for (int i = 0; i < producer->count && producer->status == JD_OK; i++)
		producer->status =
			jd_spawn_fn(producer->scheduler, count_run, producer->data, NULL);
}

static void inject_reset(void *arg)
{
	struct inject_data *data = arg;

	atomic_store_explicit(&data->ran, 0, memory_order_relaxed);
}

static jd_status inject_run(void *arg, struct jd_scheduler *scheduler)
{
	struct inject_data *data = arg;
	struct producer producers[INJECT_THREADS_MAX];
	jd_status status = JD_OK;
	int started = 0;

	for (; started < data->threads && status == JD_OK; started++) {
		struct producer *producer = &producers[started];

		producer->data = data;
		producer->scheduler = scheduler;
		producer->count = INJECT_COUNT / data->threads;
		producer->status = JD_OK;
		status = jd_thread_start(&producer->thread, "producer", 0, produce, producer);
	}
	if (status != JD_OK)
		started--;
	for (int i = 0; i < started; i++) {
		jd_thread_join(&producers[i].thread);
		if (status == JD_OK)
			status = producers[i].status;
	}
	jd_status drained = jd_scheduler_drain(scheduler, JD_NEVER);

	return status == JD_OK ? drained : status;
}

static const char *inject_check(void *arg)
{
	struct inject_data *data = arg;

	return atomic_load_explicit(&data->ran, memory_order_relaxed) == INJECT_COUNT
		       ? NULL
		       : "not every task ran exactly once";
}

void b_inject(void)
{
	static struct inject_data data[] = {
		{.threads = 1}, {.threads = 2}, {.threads = 4}, {.threads = 8}};
	static const char *const names[] = {"inject1", "inject2", "inject4", "inject8"};
	static struct bench_workload workloads[4];

	for (int i = 0; i < 4; i++) {
		workloads[i] = (struct bench_workload){.name = names[i],
						       .ops = INJECT_COUNT,
						       .runs = 4,
						       .data = &data[i],
						       .reset = inject_reset,
						       .parallel = inject_run,
						       .check = inject_check};
		bench_workload_add(&workloads[i]);
	}
}
