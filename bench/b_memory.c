/* b_memory.c - what a waiting task costs in memory, its timer or its place in a line included. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <jackdaw/sync.h>
#include <jackdaw/task.h>
#include <jackdaw/timer.h>

#include "bench/files.h"
#include "bench/gap.h"
#include "bench/os/usage.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "platform/platform.h"

/*
 * The growth of the resident memory while so many tasks come to wait, divided by their number:
 * what the allocator and the scheduler need is in it, handles that the benchmark keeps are not.
 *
 * memory_sleeping: the future of a task is a sleep of an hour; its timer is armed.
 * memory_parked: the future of a task waits to be notified.
 */
enum {
	MEMORY_TASKS = 1000 * 1000,
	MEMORY_STEP = 2000, /* then all so far wait: a queue of many would count as theirs */
};

struct memory_data {
	bool sleeping;
	struct jd_notify notify;
	struct jd_task **tasks;
	uint64_t bytes;
	uint64_t alive; /* tasks, when the memory was read */
};

static jd_status spawn_waiter(struct memory_data *data, struct jd_scheduler *scheduler,
			      struct jd_task **task)
{
	struct jd_sleep sleep;
	struct jd_notify_wait wait;

	if (data->sleeping) {
		jd_sleep_init(&sleep, 3600 * JD_SEC);
		return jd_spawn(scheduler, &sleep.base, task);
	}
	jd_notify_wait_init(&wait, &data->notify);
	return jd_spawn(scheduler, &wait.base, task);
}

static bool all_wait(const struct memory_data *data, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (jd_task_get_state(data->tasks[i])[0] != 'w')
			return false;
	return true;
}

static jd_status memory_run(void *arg, struct jd_scheduler *scheduler)
{
	struct memory_data *data = arg;
	uint64_t before = bench_resident_bytes();
	jd_status status = before ? JD_OK : JD_ENOTSUP;
	size_t count = 0;

	while (count < MEMORY_TASKS && status == JD_OK) {
		size_t from = count;

		for (int i = 0; i < MEMORY_STEP && status == JD_OK; i++) {
			status = spawn_waiter(data, scheduler, &data->tasks[count]);
			count += status == JD_OK;
		}
		while (status == JD_OK && !all_wait(data, from, count))
			status = bench_gap(scheduler, JD_MS / 10);
	}
	uint64_t after = bench_resident_bytes();

	data->bytes = after > before ? after - before : 0;
	data->alive = jd_scheduler_task_count(scheduler);
	while (count > 0)
		jd_task_drop(data->tasks[--count]);
	jd_status drained = jd_scheduler_drain(scheduler, JD_NEVER);

	return status == JD_OK ? drained : status;
}

static bool memory_setup(void *arg, struct jd_bench_state *state)
{
	struct memory_data *data = arg;

	jd_notify_init(&data->notify);
	data->tasks = malloc(MEMORY_TASKS * sizeof(*data->tasks));
	if (!data->tasks) {
		jd_bench_fail(state, "out of memory");
		return false;
	}
	/* Touched: it is not to count. */
	for (int i = 0; i < MEMORY_TASKS; i++)
		data->tasks[i] = NULL;
	return true;
}

static const char *memory_check(void *arg)
{
	const struct memory_data *data = arg;

	return data->alive == MEMORY_TASKS ? NULL : "not every task was waiting";
}

static void memory_report(void *arg, struct jd_bench_state *state)
{
	const struct memory_data *data = arg;

	jd_bench_counter(state, "bytes_per_task", (double)data->bytes / MEMORY_TASKS,
			 JD_BENCH_PLAIN);
}

static void memory_teardown(void *arg)
{
	free(((struct memory_data *)arg)->tasks);
}

void b_memory(void)
{
	static struct memory_data data[] = {{.sleeping = true}, {.sleeping = false}};
	static struct bench_workload workloads[] = {{.name = "memory_sleeping"},
						    {.name = "memory_parked"}};

	for (int i = 0; i < 2; i++) {
		workloads[i].ops = MEMORY_TASKS;
		workloads[i].runs = 1;
		workloads[i].data = &data[i];
		workloads[i].setup = memory_setup;
		workloads[i].parallel = memory_run;
		workloads[i].check = memory_check;
		workloads[i].report = memory_report;
		workloads[i].teardown = memory_teardown;
		bench_workload_add(&workloads[i]);
	}
}
