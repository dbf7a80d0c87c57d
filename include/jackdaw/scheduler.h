/* scheduler.h - what a scheduler is: runnables, the operations table and the rules it obeys. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_SCHEDULER_H
#define JACKDAW_SCHEDULER_H

#include <stdio.h>

#include <jackdaw/base.h>
#include <jackdaw/future.h>

JD_BEGIN_DECLS

struct jd_fork_host;
struct jd_main_loop;
struct jd_parker;
struct jd_registry;
struct jd_runnable;
struct jd_scheduler;
struct jd_timer;

/* --- Runnables: one unit of work, embedded in what it belongs to ---------------------------- */

/* What people are told about a runnable: in dumps, deadlock reports, traces. */
struct jd_runnable_info {
	jd_task_id id;         /* 0: not a task */
	jd_label label;        /* may be NULL */
	jd_session_id session; /* 0: background */
	const char *site;      /* "file:line" of the spawn, may be NULL */
	const char *state;     /* one word, static */
};

/*
 * run and cancel each take the ownership of the runnable back from the scheduler, which must not
 * touch it afterwards; exactly one of them is called, once. cancel says: it will not run; whoever
 * waits must learn that. worker is a hint of the scheduler to be passed on, or NULL.
 */
struct jd_runnable_ops {
	void (*run)(struct jd_runnable *self, struct jd_worker *worker);
	void (*cancel)(struct jd_runnable *self);
	/* Optional. Called by the owner of the runnable only. */
	void (*describe)(const struct jd_runnable *self, struct jd_runnable_info *info);
};

enum {
	/* Work admitted earlier goes on: a closed scheduler still takes it until destroy. */
	JD_RUNNABLE_RESUME = 1u << 0,
	/*
	 * run is short, allocates nothing and only wakes. A timer calls it right where it fires and
	 * never queues it; see cancel_timer. In the other schedule calls it means nothing.
	 */
	JD_RUNNABLE_INLINE = 1u << 1,
	/*
	 * It gave way to others (woke itself while it ran): queue it behind what is there. Its run
	 * returns next; until then others may not get at it.
	 */
	JD_RUNNABLE_YIELDED = 1u << 2,
};

/*
 * Owned by the caller until a schedule call returned JD_OK, by the scheduler until run or cancel.
 * While a scheduler owns it, next belongs to the scheduler.
 */
struct jd_runnable {
	const struct jd_runnable_ops *ops;
	struct jd_runnable *next; /* intrusive link of whoever owns the runnable */
	jd_session_id session;    /* set by schedule_foreground */
	uint32_t flags;           /* JD_RUNNABLE_*; the caller sets them before it schedules */
	uint32_t _reserved;
};

#define JD_RUNNABLE_INIT(ops_)        \
	{                             \
		(ops_), NULL, 0, 0, 0 \
	}

static inline void jd_runnable_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	runnable->ops->run(runnable, worker);
}

static inline void jd_runnable_cancel(struct jd_runnable *runnable)
{
	runnable->ops->cancel(runnable);
}

/* --- Timers: a runnable that is scheduled at an instant ------------------------------------- */

/*
 * Memory of one armed timer, embedded by its user. Zero it before its first use. It may be armed
 * again as soon as it fired (its runnable was entered) or cancel_timer returned JD_OK, and must
 * not be freed or moved while it is armed. All fields belong to the scheduler.
 *
 * Slack. A timer never fires early. How late it fires, on an idle machine, is the time a thread
 * takes to wake up (tens of us), and its slack: a wake-up costs more than a hundred timers, so
 * those that have the time fire together, at instants that are multiples of a power of two. By
 * default the slack is an eighth of the delay, and at most 524 us; for an instant far from the
 * clock's last reading, at most 524 us. In tests, where time is virtual, there is none.
 */
struct jd_timer {
	uint64_t _deadline_ns;
	union {
		struct jd_timer *_next;   /* in a list, of whoever holds it */
		struct jd_timer **_entry; /* in a slot of the wheel: where it is written down */
		uint32_t _index;          /* in a heap of the wheel */
		void *_wakes; /* when it is armed: memory that run will touch, or NULL */
	};
	uint32_t _slot;
	uint32_t _slack_ns; /* + 1; see jd_timer_set_slack. 0: the default */
	struct jd_runnable *_runnable;
	JD_ATOMIC(void *) _owner;
	JD_ATOMIC(void *) _cell; /* what stands for it in the scheduler; NULL: not armed */
};

/*
 * From its next arming on, the timer may fire up to slack_ns late on purpose; 0: as precisely as
 * the system can wake a thread. Above 4.29 s counts as that. Not while it is armed.
 */
static inline void jd_timer_set_slack(struct jd_timer *timer, uint64_t slack_ns)
{
	timer->_slack_ns = slack_ns < UINT32_MAX ? (uint32_t)slack_ns + 1 : UINT32_MAX;
}

/* --- The operations ------------------------------------------------------------------------- */

/*
 * Rules for every member:
 *  - Any thread may call it, also from inside a runnable, a waker or a timer, unless it says
 *    otherwise. It never calls run before it returns and holds no lock while it calls user code.
 *  - Ownership: JD_OK moves the runnable to the scheduler; after an error the caller has it still.
 *    The scheduler never drops a runnable silently: it runs or cancels each one.
 *  - Order: what the caller did before a schedule call happens before the run.
 *  - The caller holds a reference on the scheduler during the call; what runs meanwhile may
 *    release others, so the implementation touches only itself after it has published a runnable.
 *  - After close, schedule calls return JD_ECLOSED, but a runnable with JD_RUNNABLE_RESUME is
 *    taken until shutdown begins. From then on everything returns JD_ECLOSED.
 *  - Members marked optional may be NULL; the callers below then do what is said there.
 */
struct jd_scheduler_ops {
	const char *name; /* "ws", "test", ...; static */

	/*
	 * Run it exactly once, later, on some worker. JD_OK, JD_ECLOSED, JD_ENOMEM; JD_EWOULDBLOCK
	 * from a scheduler with a bound, for new work only: never with JD_RUNNABLE_RESUME.
	 */
	jd_status (*schedule)(struct jd_scheduler *self, struct jd_runnable *runnable);

	/* The same with a label. Optional: then it is schedule. */
	jd_status (*schedule_labeled)(struct jd_scheduler *self, struct jd_runnable *runnable,
				      jd_label label);

	/*
	 * Run it on the main thread, FIFO among those of its session (not 0). While a foreground
	 * call waits in park in session S, runnables of S do not run, those of other sessions may.
	 * Optional: then JD_ENOTSUP.
	 */
	jd_status (*schedule_foreground)(struct jd_scheduler *self, struct jd_runnable *runnable,
					 jd_session_id session);

	/* Run it on a thread that may block without holding a worker. Optional: then JD_ENOTSUP. */
	jd_status (*schedule_blocking)(struct jd_scheduler *self, struct jd_runnable *runnable);

	/*
	 * Schedule it once now() >= the deadline, an instant of now(); never early. JD_NEVER is
	 * armed and does not fire. JD_EBUSY when the timer is armed already. At shutdown a pending
	 * runnable is cancelled.
	 */
	jd_status (*schedule_at)(struct jd_scheduler *self, struct jd_timer *timer,
				 struct jd_runnable *runnable, uint64_t deadline_ns);

	/*
	 * The same at now() + delay, the now() of the call or one a little later. An overflow is
	 * JD_NEVER. Optional: then it is schedule_at, at the now() of the call.
	 */
	jd_status (*schedule_after)(struct jd_scheduler *self, struct jd_timer *timer,
				    struct jd_runnable *runnable, uint64_t delay_ns);

	/*
	 * JD_OK: it will not fire, the runnable is the caller's again, the memory is free.
	 * JD_EALREADY: it fired (its runnable runs, ran or was cancelled) or never was armed.
	 * Nothing else, also during and after shutdown.
	 * The owner of a JD_RUNNABLE_INLINE may wait, after JD_EALREADY, until its run or cancel
	 * has been called. So timers are claimed one by one, also those that are due together or
	 * are cancelled at shutdown: once cancel_timer would say JD_EALREADY for one, the thread
	 * that claimed it enters its run or cancel next, with no lock held that anybody would
	 * wait for, before it claims another or calls anything else.
	 * One call at a time for one timer: once one has said JD_OK, the memory may be gone.
	 */
	jd_status (*cancel_timer)(struct jd_scheduler *self, struct jd_timer *timer);

	/*
	 * Wait until the parker is unparked (JD_OK) or now() >= deadline (JD_ETIMEDOUT); consumes
	 * the unpark. Blocks. What waiting means is the scheduler's business: a plain thread
	 * sleeps, a worker lets another thread take its place, a test steps its world. JD_EDEADLK
	 * when nothing could ever end the wait; JD_EAGAIN when no thread can take the place.
	 */
	jd_status (*park)(struct jd_scheduler *self, struct jd_parker *parker,
			  uint64_t deadline_ns);

	/*
	 * The parker was unparked while a park slept: end that sleep. Does not block. Optional:
	 * then it is jd_parker_wake, which is enough for parks that sleep in jd_parker_sleep.
	 */
	void (*unpark)(struct jd_scheduler *self, struct jd_parker *parker);

	/* Whether the caller is on the main thread (in tests: inside a foreground runnable). */
	bool (*is_main_thread)(struct jd_scheduler *self);

	/* The monotonic clock, ns. */
	uint64_t (*now)(struct jd_scheduler *self);

	/* No new work from now on. Does not block. JD_OK, JD_EALREADY. */
	jd_status (*close)(struct jd_scheduler *self);

	/*
	 * Stop for good; blocks. Closes; lets the runnables that are running return; cancels what
	 * is queued, armed and parked; ends the scheduler's threads. JD_EDEADLK when called from a
	 * runnable of this scheduler, JD_EPERM off the main thread of a scheduler that has one,
	 * JD_EALREADY the second time. After it every call returns JD_ECLOSED.
	 */
	jd_status (*shutdown)(struct jd_scheduler *self);

	/* A human-readable snapshot. Any thread, any time; figures may be a moment old. */
	void (*dump)(struct jd_scheduler *self, FILE *out);

	/* The last reference is gone: free the memory. After shutdown only. */
	void (*free)(struct jd_scheduler *self);
};

/* What an observer (a tracer, a test) is told. task may be NULL for JD_EVENT_UNPARK. */
enum jd_event {
	JD_EVENT_SPAWN,
	JD_EVENT_WAKE,       /* somebody calls a waker of the task */
	JD_EVENT_WAKER_DROP, /* somebody gives up a waker of the task */
	JD_EVENT_POLL,       /* a poll begins */
	JD_EVENT_PARKED,     /* a poll ended pending */
	JD_EVENT_FINISH,     /* the future is gone: finished or cancelled */
	JD_EVENT_UNPARK,
};

/* Called on the thread where it happens; must not call back into the scheduler. */
struct jd_observer {
	void (*event)(struct jd_observer *self, enum jd_event event, struct jd_task *task);
};

/*
 * What every implementation embeds, first or not: it finds itself with jd_container_of.
 * Access: I immutable after init, A any thread, atomic.
 */
struct jd_scheduler {
	const struct jd_scheduler_ops *ops;   /* I */
	const struct jd_allocator *allocator; /* I */
	struct jd_observer *observer;         /* I: NULL when nobody looks */
	struct jd_registry *registry;         /* I: the live tasks */
	struct jd_main_loop *main_loop;       /* I: what main_loop.h drives; NULL: nothing */
	struct jd_fork_host *fork_host;       /* I: who helps with forks; NULL: nobody */
	unsigned num_cpus;                    /* I: runnables that can run at once */
	JD_ATOMIC(uint64_t) _next_session;    /* A */
	JD_ATOMIC(uint64_t) _refs;            /* A: creator, live tasks, parkers, who retains */
};

/* --- For users ---------------------------------------------------------------------------------
 * Each calls the operation of that name; see there. NULL arguments give JD_EINVAL. */

JD_API JD_MUST_CHECK jd_status jd_schedule(struct jd_scheduler *scheduler,
					   struct jd_runnable *runnable);
JD_API JD_MUST_CHECK jd_status jd_schedule_labeled(struct jd_scheduler *scheduler,
						   struct jd_runnable *runnable, jd_label label);
/* JD_EINVAL for session 0. */
JD_API JD_MUST_CHECK jd_status jd_schedule_foreground(struct jd_scheduler *scheduler,
						      struct jd_runnable *runnable,
						      jd_session_id session);
JD_API JD_MUST_CHECK jd_status jd_schedule_blocking(struct jd_scheduler *scheduler,
						    struct jd_runnable *runnable);
/* At now() + delay_ns; an overflow, like JD_NEVER, means that it never fires. */
JD_API JD_MUST_CHECK jd_status jd_schedule_after(struct jd_scheduler *scheduler,
						 struct jd_timer *timer,
						 struct jd_runnable *runnable, uint64_t delay_ns);
JD_API JD_MUST_CHECK jd_status jd_schedule_at(struct jd_scheduler *scheduler,
					      struct jd_timer *timer, struct jd_runnable *runnable,
					      uint64_t deadline_ns);
JD_API jd_status jd_cancel_timer(struct jd_scheduler *scheduler, struct jd_timer *timer);
JD_API bool jd_is_main_thread(struct jd_scheduler *scheduler);
JD_API uint64_t jd_now(struct jd_scheduler *scheduler);
JD_API unsigned jd_num_cpus(const struct jd_scheduler *scheduler);
JD_API void jd_dump(struct jd_scheduler *scheduler, FILE *out);

/* True while the task's future exists: queued, running or waiting. Any thread. */
JD_API bool jd_is_task_running(struct jd_scheduler *scheduler, jd_task_id id);

/* A foreground session id that this scheduler never gave before. */
JD_API jd_session_id jd_session_new(struct jd_scheduler *scheduler);

/* One reference more or less on the memory. The creator's goes with jd_scheduler_destroy. */
JD_API struct jd_scheduler *jd_scheduler_retain(struct jd_scheduler *scheduler);
JD_API void jd_scheduler_release(struct jd_scheduler *scheduler);

JD_API jd_status jd_scheduler_close(struct jd_scheduler *scheduler);

/*
 * Waits until no task is left (JD_OK) or the deadline passed (JD_ETIMEDOUT). Blocks; usually
 * called after close, so that running work can finish before destroy cancels the rest.
 */
JD_API jd_status jd_scheduler_drain(struct jd_scheduler *scheduler, uint64_t deadline_ns);

/*
 * Shuts down (see the operation) and gives up the creator's reference. On an error nothing was
 * released. Handles and wakers of its tasks stay valid and see the tasks cancelled. NULL is
 * allowed and does nothing.
 */
JD_API jd_status jd_scheduler_destroy(struct jd_scheduler *scheduler);

/* --- Parkers: the object of one blocking call ---------------------------------------------------
 * An unpark that comes first is kept, one at most, and makes the next park return at once. */

/* One reference for the caller. JD_ENOMEM. */
JD_API JD_MUST_CHECK jd_status jd_parker_new(struct jd_scheduler *scheduler,
					     struct jd_parker **parker);
/* One thread at a time per parker. See the park operation. */
JD_API jd_status jd_parker_park(struct jd_parker *parker, uint64_t deadline_ns);
/* Any thread, never blocks. What happened before it is visible after the park it ends. */
JD_API void jd_parker_unpark(struct jd_parker *parker);
JD_API void jd_parker_retain(struct jd_parker *parker);
JD_API void jd_parker_release(struct jd_parker *parker);
/* A waker that unparks; owns a reference of its own. */
JD_API struct jd_waker jd_parker_waker(struct jd_parker *parker);

/* --- For implementations -------------------------------------------------------------------- */

/* Sets up the base with one reference. allocator NULL is the default. JD_ENOMEM, JD_EINVAL. */
JD_API JD_MUST_CHECK jd_status jd_scheduler_init(struct jd_scheduler *self,
						 const struct jd_scheduler_ops *ops,
						 const struct jd_allocator *allocator);
/* Releases what init made; called by ops->free. */
JD_API void jd_scheduler_fini(struct jd_scheduler *self);

/*
 * For shutdown: cancels every live task and returns when none is left. Call it when no runnable
 * runs any more, all queues and timers were cancelled, and schedule calls give JD_ECLOSED; on the
 * main thread if there is one. Futures are dropped on the calling thread. A task whose runnable
 * somebody holds is waited for: a waker that is about to schedule it gives it up at once, whoever
 * made it with jd_task_new when he schedules or cancels it. It blocks until then, without an end
 * if that never comes, rather than let the task outlive its scheduler's threads.
 */
JD_API void jd_scheduler_cancel_tasks(struct jd_scheduler *self);

/* Calls fn for every live task (at most once each) until it returns false. Any thread. */
JD_API void jd_scheduler_each_task(struct jd_scheduler *self,
				   bool (*fn)(void *arg, const struct jd_runnable_info *info),
				   void *arg);

/* Live tasks now. */
JD_API uint64_t jd_scheduler_task_count(struct jd_scheduler *self);

/*
 * A park for a thread that has nothing better to do: sleeps on the parker. `now` is the clock of
 * deadline_ns, which must be the platform's monotonic clock. jd_parker_wake ends such a sleep.
 */
JD_API jd_status jd_parker_sleep(struct jd_parker *parker, uint64_t deadline_ns);
JD_API void jd_parker_wake(struct jd_parker *parker);
/* Takes a pending unpark, if there is one, and returns whether there was. */
JD_API bool jd_parker_try(struct jd_parker *parker);

JD_END_DECLS

#endif
