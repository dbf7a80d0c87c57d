/* exec_frame.c - which session is current on this thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/exec_frame.h"

#include "runtime/exec_session.h"

_Thread_local struct jd_exec_frame *jd_exec_frame_top;

struct jd_exec_frame *jd_exec_frame_find(const struct jd_exec_context *context)
{
	for (struct jd_exec_frame *f = jd_exec_frame_top; f; f = f->outer) {
		if (f->kind == JD_EXEC_BARRIER)
			return NULL;
		if (f->context == context)
			return f;
		if (f->kind == JD_EXEC_POLL)
			return NULL;
	}
	return NULL;
}

struct jd_exec_task *jd_exec_frame_task(void)
{
	struct jd_exec_frame *f = jd_exec_frame_top;

	while (f && f->kind == JD_EXEC_SCOPE)
		f = f->outer;
	return f && f->kind == JD_EXEC_POLL ? f->task : NULL;
}

bool jd_exec_frame_inside_record(const struct jd_exec_record *record)
{
	for (const struct jd_exec_frame *f = jd_exec_frame_top; f; f = f->outer) {
		if (f->kind == JD_EXEC_POLL && f->task->record == record)
			return true;
	}
	return false;
}

bool jd_exec_frame_inside_context(const struct jd_exec_context *context)
{
	for (const struct jd_exec_frame *f = jd_exec_frame_top; f; f = f->outer) {
		if (f->kind == JD_EXEC_POLL && f->context == context)
			return true;
	}
	return false;
}

jd_status jd_exec_frame_set(struct jd_exec_context *context, jd_exec_session session)
{
	static _Thread_local struct jd_exec_frame base;
	struct jd_exec_frame *frame = jd_exec_frame_find(context);

	if (!frame) {
		if (jd_exec_frame_top)
			return jd_exec_frame_top->kind == JD_EXEC_BASE ? JD_EBUSY : JD_EPERM;
		base = (struct jd_exec_frame){.kind = JD_EXEC_BASE, .context = context};
		frame = &base;
		jd_exec_frame_push(frame);
	}
	frame->session = session;
	frame->record = NULL;
	if (!session && jd_exec_frame_top == &base)
		jd_exec_frame_pop(&base);
	return JD_OK;
}
