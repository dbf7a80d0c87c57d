/* exec_context.h - sessions: which tasks belong to a request, and what may be left when it ends. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_EXEC_CONTEXT_H
#define JACKDAW_EXEC_CONTEXT_H

#include <stdio.h>

#include <jackdaw/base.h>
#include <jackdaw/future.h>
#include <jackdaw/scheduler.h>
#include <jackdaw/task.h>
#include <jackdaw/timer.h>

JD_BEGIN_DECLS

/*
 * An execution context lets the author of a server say: when the response is sent, the tasks of
 * this request are finished, except those registered to outlive it. It sits on any scheduler.
 *
 *   jd_exec_create_session(context, &session);
 *   jd_exec_with_session(context, session, handle_request, request);
 *   ...                                     the response is ready
 *   if (jd_exec_validate_session_cleanup(context, session, &cleanup) == JD_EBUSY)
 *           jd_exec_cleanup_print(&cleanup, stderr);
 *
 * The current session. It belongs to a call or to a poll, not to a thread: it is in force inside
 * jd_exec_with_session, and in every poll and in the drop of each task that was spawned while it
 * was current; so children inherit it. What is polled meanwhile on the same thread, because a task
 * blocks or a test steps the world, sees its own session or none. Functions that are forked
 * (fork.h) run on any worker: there is no telling which session is current in them. Neither
 * jd_exec_with_session nor a poll may be left by longjmp.
 *
 * A session is open until it is validated or cancelled; then it ends when its last task has ended,
 * and its id is never given again. A call on a session that is over says JD_EALREADY, on an id that
 * never was one JD_ENOENT.
 *
 * Two forms, one interface. Simulated (jd_exec_simulated_new): for tests, on the TestScheduler;
 * the platform takes its time, 10 ms of the scheduler's, and a session that nobody ends is an
 * error. Production (jd_exec_production_new): no delay that was not asked for; sessions cost the
 * tasks that are in one, nothing else. Sessions themselves are the same code in both, so that a
 * test exercises what will run.
 *
 * All calls may be made from any thread and do not block unless they say so.
 */
struct jd_exec_context;

/* A session of a context: never 0, never given again by that context. */
typedef uint64_t jd_exec_session;

/* --- For implementations: what a form decides ------------------------------------------------- */

/* Calls that a platform may answer late. */
enum jd_exec_call {
	JD_EXEC_WAIT_UNTIL,
	JD_EXEC_PASS_THROUGH,
};

/* What is known about the tasks of a session. */
struct jd_exec_counts {
	uint64_t spawned;    /* in all */
	uint64_t running;    /* of these: not finished, not registered */
	uint64_t registered; /* not finished, registered to outlive the session */
	uint64_t finished;   /* their futures ended, whatever the status */
	uint64_t cancelled;  /* their futures were dropped before */
};

/*
 * Members marked optional may be NULL. None may call back into the context. The rules of struct
 * jd_scheduler_ops about threads and locks hold here too.
 */
struct jd_exec_context_ops {
	const char *name; /* "production", "simulated", ...; static */

	/* How long the platform takes over a call, in the scheduler's time. Optional: 0. */
	uint64_t (*latency)(struct jd_exec_context *self, enum jd_exec_call call);

	/*
	 * A task of this context has its id and is about to be scheduled; its future is gone.
	 * *mark is a word for the form's own use. An error refuses the spawn. Both or none;
	 * without them a task that is in no session costs nothing more than jd_task_spawn.
	 */
	jd_status (*task_begins)(struct jd_exec_context *self, jd_task_id id, void **mark);
	void (*task_ends)(struct jd_exec_context *self, jd_task_id id, void *mark);

	/* See jd_exec_is_task_running. Optional: jd_is_task_running. */
	bool (*is_task_running)(struct jd_exec_context *self, jd_task_id id);

	/*
	 * The context is destroyed and this session was neither validated nor cancelled. The
	 * status is what jd_exec_context_destroy returns in the end. Optional: JD_OK.
	 */
	jd_status (*session_left)(struct jd_exec_context *self, jd_exec_session session,
				  const struct jd_exec_counts *counts);

	/* The last task is gone: free the memory, having called jd_exec_context_fini. */
	void (*free)(struct jd_exec_context *self);
};

struct jd_exec_core;

/* What every form embeds. Access: I immutable after init. */
struct jd_exec_context {
	const struct jd_exec_context_ops *ops; /* I */
	struct jd_scheduler *scheduler;        /* I: one reference */
	struct jd_exec_core *_core;            /* I: the sessions */
};

/* Sets up the base. JD_ENOMEM, JD_EINVAL. Memory is the scheduler's allocator's. */
JD_API JD_MUST_CHECK jd_status jd_exec_context_init(struct jd_exec_context *self,
						    const struct jd_exec_context_ops *ops,
						    struct jd_scheduler *scheduler);
JD_API void jd_exec_context_fini(struct jd_exec_context *self);

/* --- Making and ending ------------------------------------------------------------------------ */

/* Zero is the default for every field. */
struct jd_exec_simulated_options {
	uint64_t latency_ns; /* of wait_until and pass_through; 0: 10 ms */
	FILE *report; /* where sessions that nobody ended are named; NULL: stderr. Borrowed */
};

/* Zero is the default for every field. */
struct jd_exec_production_options {
	/*
	 * Answer jd_exec_is_task_running from a table of the context's own, without a lock. Costs
	 * every task that is spawned through the context (docs/SESSIONS.md says how much). Off, the
	 * scheduler is asked, which takes a lock.
	 */
	bool track_tasks;
	size_t tasks_expected; /* at once; the table grows beyond it. 0: 512 */
};

/*
 * Make a context over the scheduler, of which it keeps a reference; options NULL are all defaults.
 * The caller owns *context and ends it with jd_exec_context_destroy. JD_EINVAL, JD_ENOMEM.
 */
JD_API JD_MUST_CHECK jd_status jd_exec_simulated_new(
	struct jd_scheduler *scheduler, const struct jd_exec_simulated_options *options,
	struct jd_exec_context **context);
JD_API JD_MUST_CHECK jd_status jd_exec_production_new(
	struct jd_scheduler *scheduler, const struct jd_exec_production_options *options,
	struct jd_exec_context **context);

/*
 * Cancels every session and waits until their tasks are dropped; blocks. Nothing else may be called
 * on the context any more, but by its tasks, which get JD_ECLOSED. JD_EDEADLK: called from one of
 * its tasks; an error of the wait (jd_block): nothing was released. JD_EBUSY, from the simulated
 * form only: it was all done, but somebody forgot to validate a session, which was reported. NULL
 * is JD_OK. May be called before or after the scheduler is destroyed.
 */
JD_API jd_status jd_exec_context_destroy(struct jd_exec_context *context);

JD_API struct jd_scheduler *jd_exec_get_scheduler(const struct jd_exec_context *context);

/* A human-readable snapshot: each session with its counts and its tasks. */
JD_API void jd_exec_context_dump(struct jd_exec_context *context, FILE *out);

/* --- Sessions --------------------------------------------------------------------------------- */

/* JD_ENOMEM, JD_ECLOSED (the context is being destroyed). */
JD_API JD_MUST_CHECK jd_status jd_exec_create_session(struct jd_exec_context *context,
						      jd_exec_session *session);

/*
 * Calls fn(arg) with the session as the current one, and restores the one before. Nests. JD_OK: fn
 * was called. JD_ENOENT, JD_EALREADY: it was not.
 */
JD_API jd_status jd_exec_with_session(struct jd_exec_context *context, jd_exec_session session,
				      void (*fn)(void *arg), void *arg);

/* 0: none. */
JD_API jd_exec_session jd_exec_get_current_session(struct jd_exec_context *context);

/*
 * Replaces the current session until the innermost jd_exec_with_session, or poll of a task in a
 * session, returns; outside of both, on a thread of your own, until the next call there, which has
 * to come (0: none) before the context is destroyed. JD_ENOENT, JD_EALREADY. JD_EPERM: in a poll of
 * a task that is in no session, or inside jd_exec_with_session of another context: nobody would
 * restore it. JD_EBUSY: on this thread another context is in that state.
 */
JD_API jd_status jd_exec_set_current_session(struct jd_exec_context *context,
					     jd_exec_session session);

/*
 * What is left when a session should be clean. The caller supplies room for capacity tasks (NULL
 * and 0: none); the call fills in the rest.
 */
struct jd_exec_cleanup {
	struct jd_runnable_info *tasks; /* id, label, spawn site and state; in order of spawning */
	size_t capacity;
	size_t listed;           /* of the tasks below, as many as there was room for */
	uint64_t count;          /* tasks that run and are not registered */
	jd_exec_session session; /* which was validated */
};

/*
 * Ends the session, if no task of it is left but those registered with wait_until, what these
 * spawned, and the calling one. JD_OK: from now on only registered tasks may spawn in it, others
 * get JD_ECLOSED. JD_EBUSY: tasks are left; *cleanup lists them and the session is as before.
 * JD_EALREADY: it was validated or cancelled before. JD_ENOENT: never was one. cleanup may be NULL.
 */
JD_API jd_status jd_exec_validate_session_cleanup(struct jd_exec_context *context,
						  jd_exec_session session,
						  struct jd_exec_cleanup *cleanup);

/* One line with the count, and one for each task that is listed, with its spawn site. */
JD_API void jd_exec_cleanup_print(const struct jd_exec_cleanup *cleanup, FILE *out);

/*
 * Cancels all tasks of the session, registered ones too, and blocks until their futures are
 * dropped. From the start it takes no new tasks. JD_EALREADY: it was over. JD_ENOENT. JD_EDEADLK:
 * called from one of its tasks; errors of jd_block: the tasks are cancelled, but not all dropped.
 */
JD_API jd_status jd_exec_session_cancel(struct jd_exec_context *context, jd_exec_session session);

/*
 * Blocks until the session has no task (JD_OK) or the deadline, an instant of the scheduler's
 * clock, has passed (JD_ETIMEDOUT). It may be open, validated or over. JD_ENOENT. JD_EDEADLK:
 * called from one of its tasks; errors of jd_block.
 */
JD_API jd_status jd_exec_session_join(struct jd_exec_context *context, jd_exec_session session,
				      uint64_t deadline_ns);

/*
 * The same two as futures, for tasks that must not block: cancel cancels at its first poll. Status:
 * JD_OK, or JD_EDEADLK when polled by a task of that session. Init returns JD_ENOENT, and
 * JD_EALREADY for a cancel that has nothing left to cancel.
 */
struct jd_exec_join {
	struct jd_future base;
	void *_session; /* one reference; NULL: over */
	struct jd_exec_join *_next;
	struct jd_exec_join **_pprev;
	struct jd_waker _waker;
	bool _cancel;
};
JD_API JD_MUST_CHECK jd_status jd_exec_join_init(struct jd_exec_join *self,
						 struct jd_exec_context *context,
						 jd_exec_session session);
JD_API JD_MUST_CHECK jd_status jd_exec_cancel_init(struct jd_exec_join *self,
						   struct jd_exec_context *context,
						   jd_exec_session session);

/* JD_ENOENT, JD_EALREADY (it is over and its last task ended). */
JD_API jd_status jd_exec_session_counts(struct jd_exec_context *context, jd_exec_session session,
					struct jd_exec_counts *counts);

/*
 * Values of a session: what all of its tasks should find (a request, a user, a trace). A key is an
 * address of yours, for example of a static variable; it is set once. drop, unless NULL, is called
 * with the value when the session is over and its last task gone, on the thread that ends it.
 * JD_EBUSY: the key is set. JD_ENOENT, JD_EALREADY, JD_ENOMEM, JD_EINVAL (no key).
 */
JD_API jd_status jd_exec_session_set(struct jd_exec_context *context, jd_exec_session session,
				     const void *key, void *value, void (*drop)(void *value));

/*
 * The value of a key in the current session, NULL: none. Takes no lock. It stays valid during this
 * call of jd_exec_with_session or this task.
 */
JD_API void *jd_exec_session_get(struct jd_exec_context *context, const void *key);

/* --- Tasks ------------------------------------------------------------------------------------ */

/*
 * Spawns as jd_task_spawn, in the current session if there is one. The task is still one
 * allocation. JD_ECLOSED: the session is over; or as of jd_task_spawn.
 */
#define jd_exec_spawn(context_, future_, task_) \
	jd_exec_spawn_at((context_), (future_), NULL, JD_SITE, (task_))
#define jd_exec_spawn_labeled(context_, future_, label_, task_) \
	jd_exec_spawn_at((context_), (future_), (label_), JD_SITE, (task_))
JD_API jd_status jd_exec_spawn_at(struct jd_exec_context *context, struct jd_future *future,
				  jd_label label, const char *site, struct jd_task **task);
/* Foreground and blocking tasks too. */
JD_API jd_status jd_exec_spawn_with(struct jd_exec_context *context, struct jd_future *future,
				    const struct jd_task_options *options, struct jd_task **task);

/*
 * The same for a task that may outlive the session: it and what it spawns there does not count when
 * the session is validated. JD_EPERM: there is no current session. In the simulated form the task
 * does not end before 10 ms have passed; the future is polled as soon as ever.
 */
#define jd_exec_wait_until(context_, future_, task_) \
	jd_exec_wait_until_at((context_), (future_), NULL, JD_SITE, (task_))
#define jd_exec_wait_until_labeled(context_, future_, label_, task_) \
	jd_exec_wait_until_at((context_), (future_), (label_), JD_SITE, (task_))
JD_API jd_status jd_exec_wait_until_at(struct jd_exec_context *context, struct jd_future *future,
				       jd_label label, const char *site, struct jd_task **task);

/*
 * Registers a task of the current session that runs already, by its id; takes time in proportion to
 * the session's tasks. JD_EPERM: there is no current session. JD_ENOENT: it is not one of its
 * tasks, or has ended. JD_EALREADY: it is registered.
 */
JD_API jd_status jd_exec_wait_until_task(struct jd_exec_context *context, jd_task_id id);

/* Makes *sleep a future that ends in delay_ns of the scheduler's time, counted from now. */
JD_API void jd_exec_delay(struct jd_exec_context *context, struct jd_sleep *sleep,
			  uint64_t delay_ns);

/* Makes *sleep what a call that the platform only passes through costs: 10 ms simulated, or 0. */
JD_API void jd_exec_pass_through(struct jd_exec_context *context, struct jd_sleep *sleep);

/*
 * Whether the future of a task spawned through this context exists: queued, running or waiting. A
 * context that does not track tasks asks the scheduler, which may say so for a moment longer.
 */
JD_API bool jd_exec_is_task_running(struct jd_exec_context *context, jd_task_id id);

JD_END_DECLS

#endif
