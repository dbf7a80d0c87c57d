/* exec_frame.h - which session is current: a stack of frames on each thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_EXEC_FRAME_H
#define JD_RUNTIME_EXEC_FRAME_H

/*
 * The current session belongs to a call or a poll. Each of these pushes a frame that lies on its
 * stack and pops it when it returns; a search goes from the innermost outwards and stops where
 * another poll begins:
 *
 *  scope    jd_exec_with_session; the search goes on behind it for other contexts
 *  poll     poll or drop of a task that knows of a context; nothing behind it is seen
 *  barrier  where a scheduler begins to run other people's work: nothing behind it is seen
 *  base     jd_exec_set_current_session with none of these around: one a thread, at the bottom
 *
 * Barriers make the rule hold for tasks that know of no context. A thread of a pool has one at the
 * bottom, so that a task cannot leave a session behind for the next. A park has one around the
 * scheduler's operation, which may run others on the stack of who waits; what runs them without a
 * park too (the TestScheduler, a main loop) has one around each runnable.
 */
#include <jackdaw/exec_context.h>

#include "platform/compiler.h"

struct jd_exec_record;
struct jd_exec_task;

enum jd_exec_frame_kind {
	JD_EXEC_BARRIER,
	JD_EXEC_SCOPE,
	JD_EXEC_POLL,
	JD_EXEC_BASE,
};

/* One thread, the one whose stack it is on, touches a frame. */
struct jd_exec_frame {
	struct jd_exec_frame *outer;
	enum jd_exec_frame_kind kind;
	/* The rest not of a barrier. */
	struct jd_exec_context *context;
	jd_exec_session session;       /* 0: none */
	struct jd_exec_record *record; /* of that session; borrowed; NULL: to be found by id */
	struct jd_exec_task *task;     /* of a poll */
};

extern _Thread_local struct jd_exec_frame *jd_exec_frame_top;

static inline void jd_exec_frame_push(struct jd_exec_frame *frame)
{
	frame->outer = jd_exec_frame_top;
	jd_exec_frame_top = frame;
}

static inline void jd_exec_frame_pop(struct jd_exec_frame *frame)
{
	JD_ASSERT(jd_exec_frame_top == frame);
	jd_exec_frame_top = frame->outer;
}

static inline void jd_exec_frame_push_barrier(struct jd_exec_frame *frame)
{
	frame->kind = JD_EXEC_BARRIER;
	jd_exec_frame_push(frame);
}

/* The frame that says what is current for a context; NULL: none does. */
struct jd_exec_frame *jd_exec_frame_find(const struct jd_exec_context *context);

/* The task whose poll this is, if it knows of a context. */
struct jd_exec_task *jd_exec_frame_task(void);

/* Whether a poll of one of its tasks is anywhere on this thread's stack. */
bool jd_exec_frame_inside_record(const struct jd_exec_record *record);
bool jd_exec_frame_inside_context(const struct jd_exec_context *context);

/* See jd_exec_set_current_session; whether the session exists is the caller's question. */
jd_status jd_exec_frame_set(struct jd_exec_context *context, jd_exec_session session);

#endif
