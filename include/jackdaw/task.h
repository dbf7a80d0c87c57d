/* task.h - a future that a scheduler drives: spawning, awaiting, cancelling. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_TASK_H
#define JACKDAW_TASK_H

#include <jackdaw/base.h>
#include <jackdaw/future.h>
#include <jackdaw/scheduler.h>

JD_BEGIN_DECLS

/*
 * A task is one block of memory: header, state word, future and result. It appears in three roles.
 *
 * The runnable exists exactly while the task is scheduled and is not running; running it polls the
 * future once, cancelling it ends the task. Wakers exist while somebody may still wake it; a wake
 * during a poll schedules the task again after the poll. The handle, struct jd_task *, belongs to
 * whoever spawned: awaiting, cancelling and detaching are the owner's, one thread at a time.
 *
 * Cancelling never drops a future while it is polled and never on the thread of the canceller: a
 * waiting task is scheduled once more so that its scheduler drops the future. The same happens to
 * a detached waiting task when its last waker goes, since nothing could ever wake it.
 * A future is dropped before the result is published and before the awaiter is woken.
 */
struct jd_task;

enum jd_task_kind {
	JD_TASK_BACKGROUND, /* any worker */
	JD_TASK_FOREGROUND, /* the main thread, FIFO in its session */
	JD_TASK_BLOCKING,   /* a thread that may block */
};

struct jd_task_options {
	enum jd_task_kind kind;
	jd_label label;        /* NULL: none */
	jd_session_id session; /* foreground only, not 0 */
	const char *site;      /* JD_SITE of the spawn */
};

/*
 * Makes a task and does not schedule it. The state that starts with *future is copied with memcpy
 * (ops->size bytes); on JD_OK the task owns what it holds, on an error the caller still does. The
 * caller owns *runnable (schedule, run or cancel it once) and *task. The task is alive from now on:
 * drain, and destroy, which cannot take the runnable from the caller, wait until it is given up.
 * JD_ENOMEM, JD_EINVAL (NULL, size too small, foreground without session).
 */
JD_API JD_MUST_CHECK jd_status jd_task_new(struct jd_scheduler *scheduler, struct jd_future *future,
					   const struct jd_task_options *options,
					   struct jd_runnable **runnable, struct jd_task **task);

/*
 * Makes a task and schedules it. task NULL detaches it. Any thread; does not block, unless the
 * scheduler was told to (jd_ws_options.inject_max). Ownership of the future's state as in
 * jd_task_new; on an error nothing was spawned and nothing dropped: JD_ENOMEM, JD_EINVAL,
 * JD_ECLOSED, JD_ENOTSUP (foreground or blocking work on a scheduler without), JD_EWOULDBLOCK
 * (where there is a bound: it is reached).
 */
JD_API jd_status jd_task_spawn(struct jd_scheduler *scheduler, struct jd_future *future,
			       const struct jd_task_options *options, struct jd_task **task);

/* The usual spawns; they record the line they stand on. task_ may be NULL. */
#define jd_spawn(scheduler_, future_, task_) \
	jd_spawn_at((scheduler_), (future_), NULL, JD_SITE, (task_))
#define jd_spawn_labeled(scheduler_, future_, label_, task_) \
	jd_spawn_at((scheduler_), (future_), (label_), JD_SITE, (task_))
#define jd_spawn_foreground(scheduler_, session_, future_, task_) \
	jd_spawn_foreground_at((scheduler_), (session_), (future_), JD_SITE, (task_))
#define jd_spawn_fn(scheduler_, fn_, arg_, task_) \
	jd_spawn_fn_at((scheduler_), (fn_), (arg_), JD_SITE, (task_))
#define jd_spawn_blocking(scheduler_, fn_, arg_, task_) \
	jd_spawn_blocking_at((scheduler_), (fn_), (arg_), JD_SITE, (task_))

JD_API jd_status jd_spawn_at(struct jd_scheduler *scheduler, struct jd_future *future,
			     jd_label label, const char *site, struct jd_task **task);
JD_API jd_status jd_spawn_foreground_at(struct jd_scheduler *scheduler, jd_session_id session,
					struct jd_future *future, const char *site,
					struct jd_task **task);
/* Runs fn(arg) once on a worker; the task's result is the void * that fn returns. */
JD_API jd_status jd_spawn_fn_at(struct jd_scheduler *scheduler, void *(*fn)(void *arg), void *arg,
				const char *site, struct jd_task **task);
/* Runs fn(arg) once on a thread where it may block without holding a worker. */
JD_API jd_status jd_spawn_blocking_at(struct jd_scheduler *scheduler, void *(*fn)(void *arg),
				      void *arg, const char *site, struct jd_task **task);

/*
 * Awaits. JD_PENDING: context->waker is woken when the task has ended (one awaiter at a time: the
 * latest counts). JD_OK: *result was filled and is the caller's (result may be NULL if the
 * result is empty or not wanted; then it is destroyed). JD_ECANCELED: it was cancelled, and its
 * future is gone. Another error: the future ended with it. JD_ECONSUMED: the result was taken
 * before.
 */
JD_API jd_status jd_task_poll(struct jd_task *task, struct jd_context *context, void *result);

/*
 * Asks the task to end without finishing; the handle stays. JD_OK: awaiting it yields
 * JD_ECANCELED once its future is gone (also when the current poll happens to finish it: that
 * result is destroyed). JD_EALREADY: it had finished, or was cancelled, before.
 */
JD_API jd_status jd_task_cancel(struct jd_task *task);

/* Gives up the handle; the task goes on, its result is destroyed. NULL is allowed. */
JD_API void jd_task_detach(struct jd_task *task);

/* Cancels and gives up the handle. NULL is allowed. */
JD_API void jd_task_drop(struct jd_task *task);

/* Finished or cancelled (perhaps with its future not yet dropped). */
JD_API bool jd_task_is_finished(const struct jd_task *task);

JD_API jd_task_id jd_task_get_id(const struct jd_task *task);
JD_API jd_label jd_task_get_label(const struct jd_task *task);
JD_API jd_session_id jd_task_get_session(const struct jd_task *task);
JD_API const char *jd_task_get_site(const struct jd_task *task);
JD_API struct jd_scheduler *jd_task_get_scheduler(const struct jd_task *task);
/* "scheduled", "running", "waiting", "closing", "done"; a moment old. */
JD_API const char *jd_task_get_state(const struct jd_task *task);

/*
 * The bytes of one task whose future and result have these sizes, for planning memory: what the
 * allocator is asked for, or, where tasks come from slabs, up to 64 more or 16 less.
 */
JD_API size_t jd_task_size(size_t future_size, size_t result_size);

/*
 * Awaiting as a future: owns the handle until it is dropped (which cancels the task unless it was
 * awaited to the end). A poll writes the task's result to *result, which has to have room for it,
 * or destroys it when result is NULL; so spawned as a task of its own it passes on the status only.
 */
struct jd_task_future {
	struct jd_future base;
	struct jd_task *task;
};
JD_API void jd_task_future_init(struct jd_task_future *self, struct jd_task *task);

/* --- Blocking ------------------------------------------------------------------------------- */

/*
 * Polls the future on this thread until it ends, waiting in between as the scheduler's park does;
 * returns its status and writes its result. The caller keeps the future and drops it. From a
 * worker: see park. JD_ENOMEM, JD_EDEADLK, JD_EAGAIN leave the future pending and the caller's.
 */
JD_API jd_status jd_block(struct jd_scheduler *scheduler, struct jd_future *future, void *result);

/*
 * The same, at most until timeout_ns from now: then JD_ETIMEDOUT, after one last poll at the
 * deadline. The future is not cancelled; it can be polled again later. 0 polls once.
 */
JD_API jd_status jd_block_with_timeout(struct jd_scheduler *scheduler, struct jd_future *future,
				       uint64_t timeout_ns, void *result);

/* Blocks until the task ended and gives up the handle. Errors of the wait leave the handle. */
JD_API jd_status jd_task_join(struct jd_task *task, void *result);

JD_END_DECLS

#endif
