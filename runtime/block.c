/* block.c - waiting for a future or a task on the calling thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

/*
 * Poll, wait, poll again; at the deadline one last poll, since the wake may just have come. A park
 * that finds a token does not look at the clock, and a future that wakes itself in every poll
 * always leaves one: so the clock is looked at here too.
 */
static jd_status poll_until(struct jd_future *future, struct jd_context *context,
			    struct jd_parker *parker, uint64_t deadline_ns, void *result)
{
	for (;;) {
		jd_status status = jd_future_poll(future, context, result);

		if (status != JD_PENDING)
			return status;
		jd_status parked = jd_parker_park(parker, deadline_ns);

		if (parked == JD_OK &&
		    (deadline_ns == JD_NEVER || jd_now(context->scheduler) < deadline_ns))
			continue;
		if (parked != JD_OK && parked != JD_ETIMEDOUT)
			return parked;
		status = jd_future_poll(future, context, result);
		return status == JD_PENDING ? JD_ETIMEDOUT : status;
	}
}

static jd_status block_until(struct jd_scheduler *scheduler, struct jd_future *future,
			     uint64_t deadline_ns, void *result)
{
	struct jd_parker *parker;
	jd_status status = jd_parker_new(scheduler, &parker);

	if (status != JD_OK)
		return status;
	struct jd_waker waker = jd_parker_waker(parker);
	struct jd_context context = {.scheduler = scheduler, .waker = &waker};

	status = poll_until(future, &context, parker, deadline_ns, result);
	jd_waker_drop(&waker);
	jd_parker_release(parker);
	return status;
}

jd_status jd_block(struct jd_scheduler *scheduler, struct jd_future *future, void *result)
{
	if (!scheduler || !future || !future->ops)
		return JD_EINVAL;
	return block_until(scheduler, future, JD_NEVER, result);
}

jd_status jd_block_with_timeout(struct jd_scheduler *scheduler, struct jd_future *future,
				uint64_t timeout_ns, void *result)
{
	if (!scheduler || !future || !future->ops)
		return JD_EINVAL;
	if (timeout_ns)
		return block_until(scheduler, future,
				   jd_deadline_after(jd_now(scheduler), timeout_ns), result);
	/* Nobody will wait, so nobody need be woken. */
	struct jd_waker waker = {0};
	struct jd_context context = {.scheduler = scheduler, .waker = &waker};
	jd_status status = jd_future_poll(future, &context, result);

	return status == JD_PENDING ? JD_ETIMEDOUT : status;
}

/* --- Tasks ---------------------------------------------------------------------------------- */

static jd_status task_future_poll(struct jd_future *future, struct jd_context *context,
				  void *result)
{
	struct jd_task_future *self = jd_container_of(future, struct jd_task_future, base);

	return jd_task_poll(self->task, context, result);
}

static void task_future_drop(struct jd_future *future)
{
	struct jd_task_future *self = jd_container_of(future, struct jd_task_future, base);

	jd_task_drop(self->task);
}

void jd_task_future_init(struct jd_task_future *self, struct jd_task *task)
{
	static const struct jd_future_ops ops = {
		.poll = task_future_poll,
		.drop = task_future_drop,
		.size = sizeof(struct jd_task_future),
	};

	*self = (struct jd_task_future){.base = {&ops}, .task = task};
}

/* A wait may fail with a code that tasks use too, so what ended is noted here. */
struct join_future {
	struct jd_future base;
	struct jd_task *task;
	bool ended;
};

static jd_status join_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct join_future *self = jd_container_of(future, struct join_future, base);
	jd_status status = jd_task_poll(self->task, context, result);

	self->ended = status != JD_PENDING;
	return status;
}

jd_status jd_task_join(struct jd_task *task, void *result)
{
	static const struct jd_future_ops ops = {.poll = join_poll,
						 .size = sizeof(struct join_future)};

	if (!task)
		return JD_EINVAL;
	struct join_future future = {{&ops}, task, false};
	jd_status status = jd_block(jd_task_get_scheduler(task), &future.base, result);

	if (future.ended)
		jd_task_detach(task);
	return status;
}
