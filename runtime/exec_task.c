/* exec_task.c - the wrapper of a task that belongs to a session, and its spawning. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/timer.h>

#include "runtime/exec_frame.h"
#include "runtime/exec_session.h"

static struct jd_exec_task *task_of(struct jd_future *future)
{
	return jd_container_of(future, struct jd_exec_task, base.base);
}

/* --- The session of a poll -------------------------------------------------------------------- */

static void frame_init(struct jd_exec_frame *frame, struct jd_exec_task *self)
{
	*frame = (struct jd_exec_frame){
		.kind = JD_EXEC_POLL,
		.context = self->context,
		.session = self->record->session,
		.record = self->record,
		.task = self,
	};
}

static jd_status poll_inside(struct jd_exec_task *self, struct jd_future *future,
			     struct jd_context *context, void *result)
{
	struct jd_exec_frame frame;

	if (!self->record)
		return jd_future_poll(future, context, result);
	frame_init(&frame, self);
	jd_exec_frame_push(&frame);
	jd_status status = jd_future_poll(future, context, result);

	jd_exec_frame_pop(&frame);
	return status;
}

static void drop_inside(struct jd_exec_task *self, struct jd_future *future)
{
	struct jd_exec_frame frame;

	if (!self->record) {
		jd_future_drop(future);
		return;
	}
	frame_init(&frame, self);
	jd_exec_frame_push(&frame);
	jd_future_drop(future);
	jd_exec_frame_pop(&frame);
}

/* --- The end ---------------------------------------------------------------------------------- */

/* The future is gone, or was never ours: nobody will look for the task here any more. */
static void let_go(struct jd_exec_task *self, enum jd_exec_leave how)
{
	struct jd_exec_context *context = self->context;
	struct jd_exec_record *record = self->record;

	if (context->ops->task_ends)
		context->ops->task_ends(context, jd_task_get_id(self->task), self->mark);
	if (record)
		jd_exec_record_leave(record, self, how);
	else
		jd_exec_release(context);
}

static void end(struct jd_exec_task *self)
{
	let_go(self, self->finished ? JD_EXEC_FINISHED : JD_EXEC_DROPPED);
}

static jd_status exec_task_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_exec_task *self = task_of(future);
	jd_status status =
		poll_inside(self, jd_task_wrapped(&self->base, sizeof(*self)), context, result);

	self->finished = status != JD_PENDING;
	return status;
}

static void exec_task_drop(struct jd_future *future)
{
	struct jd_exec_task *self = task_of(future);

	drop_inside(self, jd_task_wrapped(&self->base, sizeof(*self)));
	end(self);
}

/* --- A platform that takes its time ----------------------------------------------------------- */

/* Ends when the future has ended and a time has passed. Access: P, as the task. */
struct late_task {
	struct jd_exec_task base;
	struct jd_sleep sleep;
	bool slept;
	jd_status status; /* of the future, which is gone unless this is JD_PENDING */
	void *result;     /* where it lies */
};

static jd_status late_task_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct late_task *self = jd_container_of(future, struct late_task, base.base.base);
	struct jd_future *inner = jd_task_wrapped(&self->base.base, sizeof(*self));

	if (self->status == JD_PENDING) {
		self->status = poll_inside(&self->base, inner, context, result);
		self->result = result;
		if (self->status != JD_PENDING)
			drop_inside(&self->base, inner);
	}
	/* A time that cannot be waited for is over. */
	if (!self->slept)
		self->slept = jd_future_poll(&self->sleep.base, context, NULL) != JD_PENDING;
	if (!self->slept)
		return JD_PENDING;
	self->base.finished = self->status != JD_PENDING;
	return self->status;
}

static void late_task_drop(struct jd_future *future)
{
	struct late_task *self = jd_container_of(future, struct late_task, base.base.base);
	void (*drop_result)(void *result) = self->base.base.ops.drop_result;

	if (self->status == JD_PENDING)
		drop_inside(&self->base, jd_task_wrapped(&self->base.base, sizeof(*self)));
	else if (self->status == JD_OK && !self->base.finished && drop_result)
		drop_result(self->result);
	jd_future_drop(&self->sleep.base);
	end(&self->base);
}

/* --- Spawning --------------------------------------------------------------------------------- */

/* The task exists and nobody knows of it: makes it known, then schedules it. */
static jd_status launch(struct jd_exec_task *self, bool registered)
{
	struct jd_exec_context *context = self->context;
	struct jd_exec_record *record = self->record;
	jd_status status = JD_OK;

	if (context->ops->task_begins)
		status =
			context->ops->task_begins(context, jd_task_get_id(self->task), &self->mark);
	if (status != JD_OK)
		return status;
	if (record)
		status = jd_exec_record_enter(record, self, jd_exec_frame_task(), registered);
	if (status != JD_OK) {
		if (context->ops->task_ends)
			context->ops->task_ends(context, jd_task_get_id(self->task), self->mark);
		return status;
	}
	if (!record)
		jd_exec_retain(context);
	status = jd_task_schedule(self->task);
	if (status != JD_OK)
		let_go(self, JD_EXEC_NEVER_RAN);
	return status;
}

/* The wrapper starts with self; size is that of all of it. */
static jd_status spawn(const struct jd_exec_task *wrapper, size_t size, struct jd_future *future,
		       const struct jd_task_options *options, bool registered, struct jd_task **out)
{
	struct jd_task *task;
	jd_status status = jd_task_new_around(wrapper->context->scheduler, &wrapper->base, size,
					      future, options, out != NULL, &task);

	if (status != JD_OK)
		return status;
	struct jd_exec_task *self =
		jd_container_of(jd_task_get_wrapper(task), struct jd_exec_task, base);

	self->task = task;
	status = launch(self, registered);
	if (status != JD_OK)
		jd_task_abandon(task, out != NULL);
	else if (out)
		*out = task;
	return status;
}

jd_status jd_exec_task_spawn(struct jd_exec_context *context, struct jd_exec_record *record,
			     struct jd_future *future, const struct jd_task_options *options,
			     bool registered, struct jd_task **task)
{
	const struct jd_exec_task wrapper = {
		.base.ops = {.poll = exec_task_poll, .drop = exec_task_drop},
		.context = context,
		.record = record,
	};

	return spawn(&wrapper, sizeof(wrapper), future, options, registered, task);
}

jd_status jd_exec_task_spawn_late(struct jd_exec_context *context, struct jd_exec_record *record,
				  struct jd_future *future, const struct jd_task_options *options,
				  uint64_t late_ns, struct jd_task **task)
{
	struct late_task wrapper = {
		.base = {.base.ops = {.poll = late_task_poll, .drop = late_task_drop},
			 .context = context,
			 .record = record},
		.status = JD_PENDING,
	};

	jd_sleep_init_from_now(&wrapper.sleep, context->scheduler, late_ns);
	return spawn(&wrapper.base, sizeof(wrapper), future, options, true, task);
}
