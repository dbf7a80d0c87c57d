/* b_mutex.c - eight tasks contend for one mutex that is held across awaits. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/co.h>
#include <jackdaw/sync.h>

#include "bench/files.h"
#include "bench/run.h"
#include "bench/sizes.h"

struct mutex_data {
	struct jd_mutex mutex;
	uint64_t held; /* by whoever has the mutex */
	struct jd_wait_group group;
	_Atomic(int32_t) status; /* A */
};

struct contender {
	struct jd_co co;
	struct jd_mutex_lock lock;
	struct mutex_data *data;
	uint32_t left;
};

static JD_CO_FN jd_status contender_poll(struct jd_future *future, struct jd_context *context,
					 void *result)
{
	struct contender *self = jd_container_of(future, struct contender, co.base);
	jd_status status = JD_OK;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (self->left = MUTEX_LOCKS / MUTEX_TASKS; self->left > 0; self->left--) {
		jd_mutex_lock_init(&self->lock, &self->data->mutex);
		JD_CO_AWAIT(status, &self->lock.base, NULL);
		if (status != JD_OK)
			break;
		self->data->held++;
		jd_mutex_unlock(&self->data->mutex);
	}
	if (status != JD_OK)
		atomic_store_explicit(&self->data->status, status, memory_order_relaxed);
	jd_wait_group_done(&self->data->group);
	JD_CO_END(status);
}

static void mutex_reset(void *arg)
{
	struct mutex_data *data = arg;

	jd_mutex_init(&data->mutex);
	jd_wait_group_init(&data->group);
	data->held = 0;
	atomic_store_explicit(&data->status, JD_OK, memory_order_relaxed);
}

static jd_status mutex_run(void *arg, struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {
		.poll = contender_poll, .drop = jd_co_drop, .size = sizeof(struct contender)};
	struct mutex_data *data = arg;
	struct jd_wait_group_wait wait;
	jd_status status = jd_wait_group_add(&data->group, MUTEX_TASKS);

	for (int i = 0; i < MUTEX_TASKS; i++) {
		struct contender contender = {.data = data};

		jd_co_init(&contender.co, &ops);
		if (status == JD_OK)
			status = jd_spawn(scheduler, &contender.co.base, NULL);
		if (status != JD_OK)
			jd_wait_group_done(&data->group);
	}
	jd_wait_group_wait_init(&wait, &data->group);
	jd_status waited = jd_block(scheduler, &wait.base, NULL);

	jd_future_drop(&wait.base);
	if (status == JD_OK)
		status = (jd_status)atomic_load_explicit(&data->status, memory_order_relaxed);
	return status == JD_OK ? waited : status;
}

static const char *mutex_check(void *arg)
{
	return ((struct mutex_data *)arg)->held == MUTEX_LOCKS ? NULL : "the mutex did not exclude";
}

void b_mutex(void)
{
	static struct mutex_data data;
	static const struct bench_workload workload = {.name = "mutex_contended",
						       .ops = MUTEX_LOCKS,
						       .runs = 2,
						       .simulate = true,
						       .data = &data,
						       .reset = mutex_reset,
						       .parallel = mutex_run,
						       .check = mutex_check};

	bench_workload_add(&workload);
}
