/* pool_scheduler.h - a scheduler over a thread pool that is there already. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_POOL_SCHEDULER_H
#define JACKDAW_POOL_SCHEDULER_H

#include <jackdaw/base.h>
#include <jackdaw/scheduler.h>

JD_BEGIN_DECLS

/*
 * For a pool that can do two things: call us soon, and call us at an instant. What else a
 * scheduler promises, and pools mostly do not, is kept on this side:
 *  - timers with a real cancel: a wheel of our own; the pool sees one alarm, the next deadline;
 *  - blocking work: threads of our own, so that it does not hold threads of the pool;
 *  - foreground sessions: the main loop (main_loop.h);
 *  - close and shutdown, with everything run or cancelled exactly once.
 *
 * It can be asked in two ways, and fills in one of call and submit:
 *  - call: runnables wait in a queue of ours, the pool calls us once for each, and each call runs
 *    the oldest. When a task waits (jd_block, a park), a thread of our own stands in for the thread
 *    of the pool that sleeps, so waiting tasks hold up nobody, however slowly the pool grows.
 *  - submit: the pool has a queue that takes our runnables. That saves two atomic operations and a
 *    short lock, but what the pool has got only the pool can run: a task that waits holds its
 *    thread, and how soon that is made up for is the pool's matter.
 *
 * Nothing is allocated here on the way of a runnable.
 */
struct jd_pool;

struct jd_pool_ops {
	/* Of the scheduler ("gcd"); static. */
	const char *name;

	/*
	 * Have a thread of the pool call jd_pool_scheduler_call(self) once more, soon, and not from
	 * inside this call. It cannot fail, and what is asked for at once may be a million calls:
	 * a pool that needs memory for each waits until it has some.
	 */
	void (*call)(struct jd_pool *self);

	/*
	 * Have a thread of the pool call jd_pool_scheduler_run(self, runnable), soon, once, and not
	 * from inside this call; what happened before this call is visible there. Until then
	 * runnable->next is the pool's. After an error it is not called. JD_ENOMEM, JD_EAGAIN.
	 */
	jd_status (*submit)(struct jd_pool *self, struct jd_runnable *runnable);

	/*
	 * Have some thread call jd_pool_scheduler_alarm(self) at deadline_ns of jd_now, or soon
	 * after; one that comes too early, or once more, only costs. Replaces what was set before.
	 * Called under a lock: does not block, does not call back.
	 */
	void (*set_alarm)(struct jd_pool *self, uint64_t deadline_ns);

	/*
	 * The thread that is in this jd_pool_scheduler_call will sleep, perhaps for long: for pools
	 * that others use too and that can be told so. May be NULL.
	 */
	void (*sleeps)(struct jd_pool *self, void *call);

	/*
	 * Blocks until no alarm is running, and none will. Nothing of ours runs in the pool any
	 * more, and nothing is asked for or set. Called once, by the thread that shuts down.
	 */
	void (*stop)(struct jd_pool *self);

	/* The last reference to the scheduler is gone. Any thread, also one of the pool. */
	void (*free)(struct jd_pool *self);

	/* One line or more, indented by two. Any thread. May be NULL. */
	void (*dump)(struct jd_pool *self, FILE *out);
};

/* Embedded by the implementation. */
struct jd_pool {
	const struct jd_pool_ops *ops;  /* set before jd_pool_scheduler_new */
	struct jd_scheduler *scheduler; /* set by jd_pool_scheduler_new */
};

/* Zero is the default for every field. */
struct jd_pool_options {
	/* What jd_num_cpus says; 0: the CPUs this process may use. */
	unsigned num_cpus;
	/* The creating thread is the main thread; see main_loop.h. */
	bool main_thread;
	/* Blocking jobs (jd_spawn_blocking) at once; more wait in line. 0: 512. */
	unsigned blocking_max;
	/* First part of these threads' names, at most 9 bytes count; copied. NULL: "jackdaw". */
	const char *name;
	/* Must outlive everything spawned. NULL: jd_allocator_default(). */
	const struct jd_allocator *allocator;
};

/*
 * Makes the scheduler; it owns the pool from now on. On an error the caller still does, and no
 * operation was called. JD_EINVAL, JD_ENOMEM, JD_ERANGE (more than 65,535 blocking jobs).
 */
JD_API JD_MUST_CHECK jd_status jd_pool_scheduler_new(struct jd_pool *pool,
						     const struct jd_pool_options *options,
						     struct jd_scheduler **scheduler);

/* What a thread of the pool calls, once for each ops->call. call is handed to sleeps. */
JD_API void jd_pool_scheduler_call(struct jd_pool *pool, void *call);

/* What a thread of the pool calls, once for each ops->submit. */
JD_API void jd_pool_scheduler_run(struct jd_pool *pool, struct jd_runnable *runnable);

/* What the alarm calls. */
JD_API void jd_pool_scheduler_alarm(struct jd_pool *pool);

JD_END_DECLS

#endif
