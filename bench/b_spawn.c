/* b_spawn.c - what a task costs: spawn, spawn and await, a chain of spawns, giving way. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/run.h"
#include "bench/sizes.h"

/*
 * The tasks do next to nothing, so a row shows the whole price of one: allocate, queue, run, count
 * it as done where somebody waits for it, release. A run ends when no task is left.
 */
struct spawn_data {
	const struct jd_future_ops *ops; /* of the first tasks */
	uint32_t tasks;                  /* so many of them */
	uint32_t count;                  /* what each of them counts down */
	_Atomic(uint64_t) finished;      /* A: by those that say so */
	_Atomic(int32_t) status;         /* A: of whatever failed */
};

/* A future that counts down from data->count. */
struct counter {
	struct jd_future base;
	struct spawn_data *data;
	uint32_t left;
	struct jd_task *child; /* spawn_join */
};

static jd_status counter_end(struct counter *self, jd_status status)
{
	if (status == JD_OK)
		atomic_fetch_add_explicit(&self->data->finished, 1, memory_order_relaxed);
	else
		atomic_store_explicit(&self->data->status, status, memory_order_relaxed);
	return status;
}

static jd_status give_way(struct jd_context *context)
{
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

static void *nothing(void *arg)
{
	return arg;
}

/* --- spawn: waves of empty tasks ------------------------------------------------------------ */

struct spawner {
	struct counter counter;
	struct bench_join wave; /* the children of the current wave */
	jd_status wave_status;
	bool in_wave;
};

static void *finish_part(void *join)
{
	bench_join_finish(join);
	return NULL;
}

/* The children that could not be spawned give up their parts at once. */
static jd_status spawn_wave(struct spawner *self, struct jd_context *context)
{
	uint32_t left = self->counter.left < SPAWN_WAVE ? self->counter.left : SPAWN_WAVE;
	jd_status status = JD_OK;

	self->counter.left -= left;
	bench_join_init(&self->wave, context->waker);
	bench_join_add(&self->wave, left);
	for (; left > 0 && status == JD_OK; left--)
		status = jd_spawn_fn(context->scheduler, finish_part, &self->wave, NULL);
	if (status != JD_OK)
		for (left++; left > 0; left--)
			bench_join_finish(&self->wave);
	bench_join_leave(&self->wave);
	return status;
}

static jd_status spawn_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct spawner *self = jd_container_of(future, struct spawner, counter.base);

	(void)result;
	for (;;) {
		if (self->in_wave && !bench_join_done(&self->wave))
			return JD_PENDING;
		if (self->counter.left == 0 || self->wave_status != JD_OK)
			return counter_end(&self->counter, self->wave_status);
		self->in_wave = true;
		self->wave_status = spawn_wave(self, context);
	}
}

/* --- spawn_join: one child at a time, awaited ------------------------------------------------- */

static jd_status join_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct counter *self = jd_container_of(future, struct counter, base);
	jd_status status = JD_OK;

	(void)result;
	while (self->left > 0) {
		if (!self->child)
			status = jd_spawn_fn(context->scheduler, nothing, NULL, &self->child);
		if (status == JD_OK)
			status = jd_task_poll(self->child, context, NULL);
		if (status == JD_PENDING)
			return JD_PENDING;
		if (status != JD_OK)
			break;
		jd_task_detach(self->child);
		self->child = NULL;
		self->left--;
	}
	return counter_end(self, status);
}

static void join_drop(struct jd_future *future)
{
	jd_task_drop(jd_container_of(future, struct counter, base)->child);
}

/* --- chain: each task spawns the next --------------------------------------------------------- */

static jd_status chain_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct counter *self = jd_container_of(future, struct counter, base);

	(void)result;
	if (--self->left == 0)
		return counter_end(self, JD_OK);
	struct counter next = *self;
	jd_status status = jd_spawn(context->scheduler, &next.base, NULL);

	return status == JD_OK ? JD_OK : counter_end(self, status);
}

/* --- yield: a task wakes itself --------------------------------------------------------------- */

static jd_status yield_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct counter *self = jd_container_of(future, struct counter, base);

	(void)result;
	return --self->left > 0 ? give_way(context) : counter_end(self, JD_OK);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void spawn_reset(void *arg)
{
	struct spawn_data *data = arg;

	atomic_store_explicit(&data->finished, 0, memory_order_relaxed);
	atomic_store_explicit(&data->status, JD_OK, memory_order_relaxed);
}

static jd_status spawn_run(void *arg, struct jd_scheduler *scheduler)
{
	struct spawn_data *data = arg;

	for (uint32_t i = 0; i < data->tasks; i++) {
		struct spawner first = {
			.counter = {.base = {data->ops}, .data = data, .left = data->count}};
		jd_status status = jd_spawn(scheduler, &first.counter.base, NULL);

		if (status != JD_OK)
			return status;
	}
	return jd_scheduler_drain(scheduler, JD_NEVER);
}

static const char *spawn_check(void *arg)
{
	struct spawn_data *data = arg;
	jd_status status = (jd_status)atomic_load_explicit(&data->status, memory_order_relaxed);

	if (status != JD_OK)
		return jd_status_text(status);
	if (atomic_load_explicit(&data->finished, memory_order_relaxed) != data->tasks)
		return "not every task came to its end";
	return NULL;
}

static void add(struct bench_workload *workload, const char *name, struct spawn_data *data)
{
	workload->name = name;
	workload->data = data;
	workload->ops = (double)data->tasks * data->count;
	workload->runs = data->tasks == STORM_TASKS ? 4 : 8;
	workload->simulate = true;
	workload->reset = spawn_reset;
	workload->parallel = spawn_run;
	workload->check = spawn_check;
	bench_workload_add(workload);
}

void b_spawn(void)
{
	static const struct jd_future_ops spawn_ops = {.poll = spawn_poll,
						       .size = sizeof(struct spawner)};
	static const struct jd_future_ops join_ops = {
		.poll = join_poll, .drop = join_drop, .size = sizeof(struct counter)};
	static const struct jd_future_ops chain_ops = {.poll = chain_poll,
						       .size = sizeof(struct counter)};
	static const struct jd_future_ops yield_ops = {.poll = yield_poll,
						       .size = sizeof(struct counter)};
	static struct spawn_data data[] = {
		{.ops = &spawn_ops, .tasks = 1, .count = SPAWN_COUNT},
		{.ops = &join_ops, .tasks = 1, .count = JOIN_COUNT},
		{.ops = &chain_ops, .tasks = 1, .count = CHAIN_COUNT},
		{.ops = &yield_ops, .tasks = 1, .count = YIELD_COUNT},
		{.ops = &yield_ops, .tasks = YIELD_TASKS, .count = YIELD_COUNT / YIELD_TASKS},
		{.ops = &yield_ops, .tasks = STORM_TASKS, .count = STORM_YIELDS},
	};
	static struct bench_workload workloads[6];

	add(&workloads[0], "spawn", &data[0]);
	add(&workloads[1], "spawn_join", &data[1]);
	add(&workloads[2], "chain", &data[2]);
	add(&workloads[3], "yield", &data[3]);
	add(&workloads[4], "yield_100", &data[4]);
	add(&workloads[5], "yield_1000", &data[5]);
}
