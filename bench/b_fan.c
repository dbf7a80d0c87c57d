/* b_fan.c - one task fans out to many and waits until all of them are done, again and again. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/co.h>
#include <jackdaw/sync.h>

#include "bench/files.h"
#include "bench/run.h"

enum {
	FAN_WIDTH = 64,
	FAN_ROUNDS = 5000,
};

struct fan_data {
	struct jd_wait_group group;
	_Atomic(uint64_t) sum; /* A */
};

struct leaf {
	struct jd_future base;
	struct fan_data *data;
	uint32_t value;
};

struct root {
	struct jd_co co;
	struct jd_wait_group_wait wait;
	struct fan_data *data;
	uint32_t round;
};

static jd_status leaf_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct leaf *self = jd_container_of(future, struct leaf, base);

	(void)context;
	(void)result;
	atomic_fetch_add_explicit(&self->data->sum, self->value, memory_order_relaxed);
	jd_wait_group_done(&self->data->group);
	return JD_OK;
}

/* The leaves that could not be spawned count as done. */
static jd_status fan_out(struct fan_data *data, struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {.poll = leaf_poll, .size = sizeof(struct leaf)};
	jd_status status = jd_wait_group_add(&data->group, FAN_WIDTH);
	uint32_t i = 0;

	for (; i < FAN_WIDTH && status == JD_OK; i++) {
		struct leaf leaf = {{&ops}, data, i};

		status = jd_spawn(scheduler, &leaf.base, NULL);
	}
	if (status != JD_OK)
		for (i--; i < FAN_WIDTH; i++)
			jd_wait_group_done(&data->group);
	return status;
}

static JD_CO_FN jd_status root_poll(struct jd_future *future, struct jd_context *context,
				    void *result)
{
	struct root *self = jd_container_of(future, struct root, co.base);
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (self->round = 0; self->round < FAN_ROUNDS; self->round++) {
		status = fan_out(self->data, context->scheduler);
		if (status != JD_OK)
			JD_CO_RETURN(status);
		jd_wait_group_wait_init(&self->wait, &self->data->group);
		JD_CO_AWAIT(status, &self->wait.base, NULL);
	}
	JD_CO_END(JD_OK);
}

static void fan_reset(void *arg)
{
	struct fan_data *data = arg;

	jd_wait_group_init(&data->group);
	atomic_store_explicit(&data->sum, 0, memory_order_relaxed);
}

static jd_status fan_run(void *arg, struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {
		.poll = root_poll, .drop = jd_co_drop, .size = sizeof(struct root)};
	struct root root = {.data = arg};

	jd_co_init(&root.co, &ops);
	return bench_task_run(scheduler, &root.co.base);
}

static const char *fan_check(void *arg)
{
	struct fan_data *data = arg;
	uint64_t right = (uint64_t)FAN_ROUNDS * FAN_WIDTH * (FAN_WIDTH - 1) / 2;

	return atomic_load_explicit(&data->sum, memory_order_relaxed) == right ? NULL : "wrong sum";
}

void b_fan(void)
{
	static struct fan_data data;
	static const struct bench_workload workload = {.name = "fan_out_in",
						       .ops = FAN_WIDTH * FAN_ROUNDS,
						       .runs = 2,
						       .simulate = true,
						       .data = &data,
						       .reset = fan_reset,
						       .parallel = fan_run,
						       .check = fan_check};

	bench_workload_add(&workload);
}
