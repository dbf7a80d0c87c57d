/* spawn.c - the short forms of spawning: a future, a plain function, blocking work. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

jd_status jd_spawn_at(struct jd_scheduler *scheduler, struct jd_future *future, jd_label label,
		      const char *site, struct jd_task **task)
{
	const struct jd_task_options options = {
		.kind = JD_TASK_BACKGROUND, .label = label, .site = site};

	return jd_task_spawn(scheduler, future, &options, task);
}

jd_status jd_spawn_foreground_at(struct jd_scheduler *scheduler, jd_session_id session,
				 struct jd_future *future, const char *site, struct jd_task **task)
{
	const struct jd_task_options options = {
		.kind = JD_TASK_FOREGROUND, .session = session, .site = site};

	return jd_task_spawn(scheduler, future, &options, task);
}

struct fn_future {
	struct jd_future base;
	void *(*fn)(void *arg);
	void *arg;
};

static jd_status fn_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct fn_future *self = jd_container_of(future, struct fn_future, base);

	(void)context;
	*(void **)result = self->fn(self->arg);
	return JD_OK;
}

static jd_status spawn_fn(struct jd_scheduler *scheduler, void *(*fn)(void *arg), void *arg,
			  const struct jd_task_options *options, struct jd_task **task)
{
	static const struct jd_future_ops ops = {
		.poll = fn_poll,
		.size = sizeof(struct fn_future),
		.result_size = sizeof(void *),
	};

	if (!fn)
		return JD_EINVAL;
	struct fn_future future = {{&ops}, fn, arg};

	return jd_task_spawn(scheduler, &future.base, options, task);
}

jd_status jd_spawn_fn_at(struct jd_scheduler *scheduler, void *(*fn)(void *arg), void *arg,
			 const char *site, struct jd_task **task)
{
	const struct jd_task_options options = {.kind = JD_TASK_BACKGROUND, .site = site};

	return spawn_fn(scheduler, fn, arg, &options, task);
}

jd_status jd_spawn_blocking_at(struct jd_scheduler *scheduler, void *(*fn)(void *arg), void *arg,
			       const char *site, struct jd_task **task)
{
	const struct jd_task_options options = {.kind = JD_TASK_BLOCKING, .site = site};

	return spawn_fn(scheduler, fn, arg, &options, task);
}
