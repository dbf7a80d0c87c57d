/* exec_context.c - the calls of an execution context, whatever its form. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/exec_context.h>

#include <inttypes.h>

#include "runtime/exec_frame.h"
#include "runtime/exec_session.h"

/* --- Making and ending ------------------------------------------------------------------------ */

static bool ops_complete(const struct jd_exec_context_ops *ops)
{
	return ops && ops->name && ops->free && !ops->task_begins == !ops->task_ends;
}

jd_status jd_exec_context_init(struct jd_exec_context *self, const struct jd_exec_context_ops *ops,
			       struct jd_scheduler *scheduler)
{
	if (!self || !ops_complete(ops) || !scheduler)
		return JD_EINVAL;
	*self = (struct jd_exec_context){.ops = ops, .scheduler = scheduler};
	jd_status status = jd_exec_core_new(scheduler->allocator, &self->_core);

	if (status == JD_OK)
		jd_scheduler_retain(scheduler);
	return status;
}

void jd_exec_context_fini(struct jd_exec_context *self)
{
	jd_exec_core_free(self->_core);
	jd_scheduler_release(self->scheduler);
}

struct jd_scheduler *jd_exec_get_scheduler(const struct jd_exec_context *context)
{
	return context->scheduler;
}

static void join_begin(struct jd_exec_join *self, struct jd_exec_record *record, bool cancel);

/* Takes over the reference. deadline_ns JD_NEVER: none. */
static jd_status join_blocking(struct jd_exec_record *record, bool cancel, uint64_t deadline_ns)
{
	struct jd_scheduler *scheduler = record->context->scheduler;
	struct jd_exec_join join;
	jd_status status;

	join_begin(&join, record, cancel);
	if (deadline_ns == JD_NEVER) {
		status = jd_block(scheduler, &join.base, NULL);
	} else {
		uint64_t now = jd_now(scheduler);

		status = jd_block_with_timeout(scheduler, &join.base,
					       deadline_ns > now ? deadline_ns - now : 0, NULL);
	}
	jd_future_drop(&join.base);
	return status;
}

static jd_status report_left(struct jd_exec_record *record)
{
	struct jd_exec_context *context = record->context;
	struct jd_exec_counts counts = jd_exec_record_counts(record);

	if (jd_exec_record_phase(record) != JD_EXEC_OPEN || !context->ops->session_left)
		return JD_OK;
	return context->ops->session_left(context, record->session, &counts);
}

jd_status jd_exec_context_destroy(struct jd_exec_context *context)
{
	jd_status verdict = JD_OK;

	if (!context)
		return JD_OK;
	if (jd_exec_frame_inside_context(context))
		return JD_EDEADLK;
	atomic_store_explicit(&context->_core->closed, 1, memory_order_relaxed);
	for (;;) {
		struct jd_exec_record *record = jd_exec_record_any(context->_core);

		if (!record)
			break;
		jd_status left = report_left(record);
		jd_status status = join_blocking(record, true, JD_NEVER);

		if (status != JD_OK)
			return status;
		if (verdict == JD_OK)
			verdict = left;
	}
	jd_exec_release(context);
	return verdict;
}

static void dump_record(void *arg, struct jd_exec_record *record)
{
	static const char *const phases[] = {"open", "validated", "cancelled"};
	FILE *out = arg;

	jd_lock_acquire(&record->lock);
	fprintf(out,
		"  session %" PRIu64 " %s: %" PRIu64 " running, %" PRIu64 " registered, %" PRIu64
		" finished, %" PRIu64 " cancelled\n",
		record->session, phases[record->phase], record->counts.running,
		record->counts.registered, record->counts.finished, record->counts.cancelled);
	for (const struct jd_exec_task *task = record->head; task; task = task->next) {
		const char *label = jd_task_get_label(task->task);
		const char *site = jd_task_get_site(task->task);

		fprintf(out, "    task %" PRIu64 " %s label=%s%s, spawned at %s\n",
			jd_task_get_id(task->task), jd_task_get_state(task->task),
			label ? label : "-", task->registered ? " registered" : "",
			site ? site : "?");
	}
	jd_lock_release(&record->lock);
}

void jd_exec_context_dump(struct jd_exec_context *context, FILE *out)
{
	if (!context || !out)
		return;
	fprintf(out, "execution context %s on scheduler %s\n", context->ops->name,
		context->scheduler->ops->name);
	jd_exec_record_each(context->_core, dump_record, out);
}

/* --- The current session ---------------------------------------------------------------------- */

/* The record of the current session: borrowed from a frame, or found by id and then ours. */
struct current {
	struct jd_exec_record *record; /* NULL: none */
	bool owned;
};

static jd_status current_begin(struct jd_exec_context *context, struct current *current)
{
	const struct jd_exec_frame *frame = jd_exec_frame_find(context);

	*current = (struct current){.record = frame ? frame->record : NULL};
	if (!frame || !frame->session || frame->record)
		return JD_OK;
	jd_status status = jd_exec_record_find(context, frame->session, &current->record);

	current->owned = status == JD_OK;
	return status;
}

static void current_end(const struct current *current)
{
	if (current->owned)
		jd_exec_record_release(current->record);
}

/* The session, if it is open. */
static jd_status find_open(struct jd_exec_context *context, jd_exec_session session,
			   struct jd_exec_record **out)
{
	jd_status status = jd_exec_record_find(context, session, out);

	if (status == JD_OK && jd_exec_record_phase(*out) != JD_EXEC_OPEN) {
		jd_exec_record_release(*out);
		status = JD_EALREADY;
	}
	return status;
}

jd_exec_session jd_exec_get_current_session(struct jd_exec_context *context)
{
	const struct jd_exec_frame *frame = jd_exec_frame_find(context);

	return frame ? frame->session : 0;
}

jd_status jd_exec_set_current_session(struct jd_exec_context *context, jd_exec_session session)
{
	struct jd_exec_record *record;

	if (!context)
		return JD_EINVAL;
	if (session) {
		jd_status status = find_open(context, session, &record);

		if (status != JD_OK)
			return status;
		jd_exec_record_release(record);
	}
	return jd_exec_frame_set(context, session);
}

jd_status jd_exec_with_session(struct jd_exec_context *context, jd_exec_session session,
			       void (*fn)(void *arg), void *arg)
{
	struct jd_exec_record *record;

	if (!context || !fn)
		return JD_EINVAL;
	jd_status status = find_open(context, session, &record);

	if (status != JD_OK)
		return status;
	struct jd_exec_frame frame = {
		.kind = JD_EXEC_SCOPE, .context = context, .session = session, .record = record};

	jd_exec_frame_push(&frame);
	fn(arg);
	jd_exec_frame_pop(&frame);
	jd_exec_record_release(record);
	return JD_OK;
}

/* --- Sessions --------------------------------------------------------------------------------- */

jd_status jd_exec_create_session(struct jd_exec_context *context, jd_exec_session *session)
{
	return context && session ? jd_exec_record_new(context, session) : JD_EINVAL;
}

/* The calling task, if it is one of the session: it cannot have ended. */
static const struct jd_exec_task *caller_in(const struct jd_exec_record *record)
{
	const struct jd_exec_task *task = jd_exec_frame_task();

	return task && task->record == record ? task : NULL;
}

jd_status jd_exec_validate_session_cleanup(struct jd_exec_context *context, jd_exec_session session,
					   struct jd_exec_cleanup *cleanup)
{
	struct jd_exec_record *record;

	if (!context || (cleanup && cleanup->capacity && !cleanup->tasks))
		return JD_EINVAL;
	if (cleanup) {
		cleanup->listed = 0;
		cleanup->count = 0;
		cleanup->session = session;
	}
	jd_status status = jd_exec_record_find(context, session, &record);

	if (status != JD_OK)
		return status;
	status = jd_exec_record_validate(record, caller_in(record), cleanup);
	jd_exec_record_release(record);
	return status;
}

void jd_exec_cleanup_print(const struct jd_exec_cleanup *cleanup, FILE *out)
{
	if (!cleanup || !out)
		return;
	fprintf(out, "session %" PRIu64 ": %" PRIu64 " tasks left that nobody registered%s\n",
		cleanup->session, cleanup->count, cleanup->count ? ":" : "");
	for (size_t i = 0; i < cleanup->listed; i++) {
		const struct jd_runnable_info *task = &cleanup->tasks[i];

		fprintf(out, "  task %" PRIu64 " %s", task->id, task->state);
		if (task->label)
			fprintf(out, " label \"%s\"", task->label);
		fprintf(out, ", spawned at %s\n", task->site ? task->site : "?");
	}
	if (cleanup->count > cleanup->listed)
		fprintf(out, "  and %" PRIu64 " more\n", cleanup->count - cleanup->listed);
}

jd_status jd_exec_session_counts(struct jd_exec_context *context, jd_exec_session session,
				 struct jd_exec_counts *counts)
{
	struct jd_exec_record *record;

	if (!context || !counts)
		return JD_EINVAL;
	jd_status status = jd_exec_record_find(context, session, &record);

	if (status != JD_OK)
		return status;
	*counts = jd_exec_record_counts(record);
	jd_exec_record_release(record);
	return JD_OK;
}

jd_status jd_exec_session_set(struct jd_exec_context *context, jd_exec_session session,
			      const void *key, void *value, void (*drop)(void *value))
{
	struct jd_exec_record *record;

	if (!context || !key)
		return JD_EINVAL;
	jd_status status = jd_exec_record_find(context, session, &record);

	if (status != JD_OK)
		return status;
	status = jd_exec_record_set(record, key, value, drop);
	jd_exec_record_release(record);
	return status;
}

void *jd_exec_session_get(struct jd_exec_context *context, const void *key)
{
	struct current current;

	if (!context || current_begin(context, &current) != JD_OK || !current.record)
		return NULL;
	void *value = jd_exec_record_get(current.record, key);

	current_end(&current);
	return value;
}

/* --- Waiting for a session -------------------------------------------------------------------- */

static jd_status join_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_exec_join *self = jd_container_of(future, struct jd_exec_join, base);
	struct jd_exec_record *record = self->_session;
	enum jd_exec_phase was;

	(void)result;
	if (!record)
		return JD_OK;
	if (jd_exec_frame_inside_record(record))
		return JD_EDEADLK;
	if (self->_cancel) {
		self->_cancel = false;
		jd_exec_record_cancel(record, &was);
	}
	return jd_exec_record_join(record, self, context->waker);
}

static void join_drop(struct jd_future *future)
{
	struct jd_exec_join *self = jd_container_of(future, struct jd_exec_join, base);

	if (!self->_session)
		return;
	jd_exec_record_unjoin(self->_session, self);
	jd_exec_record_release(self->_session);
}

/* Takes over the reference. */
static void join_begin(struct jd_exec_join *self, struct jd_exec_record *record, bool cancel)
{
	static const struct jd_future_ops ops = {
		.poll = join_poll, .drop = join_drop, .size = sizeof(struct jd_exec_join)};

	*self = (struct jd_exec_join){.base = {&ops}, ._session = record, ._cancel = cancel};
}

jd_status jd_exec_join_init(struct jd_exec_join *self, struct jd_exec_context *context,
			    jd_exec_session session)
{
	struct jd_exec_record *record;

	if (!self || !context)
		return JD_EINVAL;
	jd_status status = jd_exec_record_find(context, session, &record);

	if (status == JD_ENOENT)
		return status;
	join_begin(self, record, false);
	return JD_OK;
}

jd_status jd_exec_cancel_init(struct jd_exec_join *self, struct jd_exec_context *context,
			      jd_exec_session session)
{
	struct jd_exec_record *record;

	if (!self || !context)
		return JD_EINVAL;
	jd_status status = jd_exec_record_find(context, session, &record);

	if (status == JD_OK)
		join_begin(self, record, true);
	return status;
}

jd_status jd_exec_session_join(struct jd_exec_context *context, jd_exec_session session,
			       uint64_t deadline_ns)
{
	struct jd_exec_record *record;

	if (!context)
		return JD_EINVAL;
	jd_status status = jd_exec_record_find(context, session, &record);

	if (status == JD_ENOENT)
		return status;
	return record ? join_blocking(record, false, deadline_ns) : JD_OK;
}

jd_status jd_exec_session_cancel(struct jd_exec_context *context, jd_exec_session session)
{
	struct jd_exec_record *record;

	if (!context)
		return JD_EINVAL;
	jd_status status = jd_exec_record_find(context, session, &record);

	return status == JD_OK ? join_blocking(record, true, JD_NEVER) : status;
}

/* --- Tasks ------------------------------------------------------------------------------------ */

static uint64_t latency_of(struct jd_exec_context *context, enum jd_exec_call call)
{
	return context->ops->latency ? context->ops->latency(context, call) : 0;
}

jd_status jd_exec_spawn_with(struct jd_exec_context *context, struct jd_future *future,
			     const struct jd_task_options *options, struct jd_task **task)
{
	struct current current;

	if (!context)
		return JD_EINVAL;
	jd_status status = current_begin(context, &current);

	if (status != JD_OK)
		return JD_ECLOSED;
	if (!current.record && !context->ops->task_begins)
		return jd_task_spawn(context->scheduler, future, options, task);
	status = jd_exec_task_spawn(context, current.record, future, options, false, task);
	current_end(&current);
	return status;
}

jd_status jd_exec_spawn_at(struct jd_exec_context *context, struct jd_future *future,
			   jd_label label, const char *site, struct jd_task **task)
{
	const struct jd_task_options options = {
		.kind = JD_TASK_BACKGROUND, .label = label, .site = site};

	return jd_exec_spawn_with(context, future, &options, task);
}

jd_status jd_exec_wait_until_at(struct jd_exec_context *context, struct jd_future *future,
				jd_label label, const char *site, struct jd_task **task)
{
	const struct jd_task_options options = {
		.kind = JD_TASK_BACKGROUND, .label = label, .site = site};
	struct current current;

	if (!context)
		return JD_EINVAL;
	jd_status status = current_begin(context, &current);

	if (status != JD_OK)
		return JD_ECLOSED;
	if (!current.record)
		return JD_EPERM;
	uint64_t latency_ns = latency_of(context, JD_EXEC_WAIT_UNTIL);

	if (latency_ns)
		status = jd_exec_task_spawn_late(context, current.record, future, &options,
						 latency_ns, task);
	else
		status = jd_exec_task_spawn(context, current.record, future, &options, true, task);
	current_end(&current);
	return status;
}

jd_status jd_exec_wait_until_task(struct jd_exec_context *context, jd_task_id id)
{
	struct current current;

	if (!context)
		return JD_EINVAL;
	jd_status status = current_begin(context, &current);

	if (status != JD_OK)
		return JD_ENOENT;
	if (!current.record)
		return JD_EPERM;
	status = jd_exec_record_register(current.record, id);
	current_end(&current);
	return status;
}

void jd_exec_delay(struct jd_exec_context *context, struct jd_sleep *sleep, uint64_t delay_ns)
{
	jd_sleep_init_from_now(sleep, context->scheduler, delay_ns);
}

void jd_exec_pass_through(struct jd_exec_context *context, struct jd_sleep *sleep)
{
	jd_exec_delay(context, sleep, latency_of(context, JD_EXEC_PASS_THROUGH));
}

bool jd_exec_is_task_running(struct jd_exec_context *context, jd_task_id id)
{
	if (!context || !id)
		return false;
	return context->ops->is_task_running ? context->ops->is_task_running(context, id)
					     : jd_is_task_running(context->scheduler, id);
}
