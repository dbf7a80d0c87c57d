/* os_scheduler.h - schedulers over the thread pools that operating systems bring along. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_OS_SCHEDULER_H
#define JACKDAW_OS_SCHEDULER_H

#include <jackdaw/base.h>
#include <jackdaw/scheduler.h>

JD_BEGIN_DECLS

/*
 * They keep every promise of scheduler.h; what the pool does not do itself is done as
 * pool_scheduler.h says. For programs that live with such a pool anyway, and for comparison: the
 * production scheduler is ws_scheduler.h.
 */

/* --- Grand Central Dispatch -----------------------------------------------------------------
 * Work runs on a global queue of libdispatch, which decides how many threads there are. A task
 * that waits (jd_block, a park) sleeps on its thread; one of our own stands in for that thread, as
 * libdispatch would take a second to add one, and has a limit (255 threads). A task that blocks in
 * any other way has only libdispatch's help: use jd_spawn_blocking.
 *
 * The first scheduler of the process loads libdispatch (on Apple it is there), which then stays
 * with its threads until the process ends. It must not be used in a child after fork. */

/* The service class of the global queue. Off Apple all classes are equal before the kernel. */
enum jd_gcd_qos {
	JD_GCD_DEFAULT,
	JD_GCD_USER_INTERACTIVE,
	JD_GCD_USER_INITIATED,
	JD_GCD_UTILITY,
	JD_GCD_BACKGROUND,
};

/* Zero is the default for every field. */
struct jd_gcd_options {
	enum jd_gcd_qos qos;
	/* The creating thread is the main thread; main_loop.h says how it runs its work. */
	bool main_thread;
	/*
	 * The main dispatch queue runs foreground work too, 10 ms a turn; implies main_thread. For
	 * programs whose main thread drains that queue: with a run loop of Apple's or, elsewhere,
	 * of Swift's Foundation. Not with dispatch_main(), which off Apple drains it on other
	 * threads: that aborts. The memory goes at the queue's next turn after destroy.
	 */
	bool main_queue;
	/* Blocking jobs (jd_spawn_blocking) at once, on threads of our own. 0: 512. */
	unsigned blocking_max;
	/* First part of these threads' names, at most 9 bytes count; copied. NULL: "jackdaw". */
	const char *name;
	/* Must outlive everything spawned. NULL: jd_allocator_default(). */
	const struct jd_allocator *allocator;
};

/*
 * Makes a scheduler; options NULL are all defaults. The caller owns *scheduler and ends it with
 * jd_scheduler_destroy. When there is no memory for a runnable libdispatch waits until there is.
 * JD_ENOTSUP: this build is without libdispatch, or it cannot be loaded here. JD_EINVAL,
 * JD_ENOMEM, JD_ERANGE (more than 65,535 blocking jobs), JD_EAGAIN (no descriptor to be had).
 */
JD_API JD_MUST_CHECK jd_status jd_gcd_scheduler_new(const struct jd_gcd_options *options,
						    struct jd_scheduler **scheduler);

/* --- The thread pool of Windows --------------------------------------------------------------
 * Work runs as callbacks of a thread pool, the one of the process or one of its own. A task that
 * waits (jd_block, a park) sleeps on its thread; one of our own stands in for that thread, and the
 * pool is told (CallbackMayRunLong) for the sake of others that use it. A task that blocks in any
 * other way has only the pool's help, which adds threads slowly: use jd_spawn_blocking.
 *
 * Timers come at their instant, not at the next tick of the system (15.6 ms); a finer tick is asked
 * for only in the last ticks before one. The main thread runs its work in main_loop.h's calls; a
 * thread with windows waits on jd_main_loop_handle. */

/* Which callbacks the pool begins first; says nothing about threads. */
enum jd_winpool_priority {
	JD_WINPOOL_NORMAL,
	JD_WINPOOL_HIGH,
	JD_WINPOOL_LOW,
};

/* Zero is the default for every field. */
struct jd_winpool_options {
	enum jd_winpool_priority priority;
	/* Threads of a pool of its own, min <= max. max 0: the pool of the process. */
	unsigned threads_min, threads_max;
	/* The creating thread is the main thread; main_loop.h says how it runs its work. */
	bool main_thread;
	/* Blocking jobs (jd_spawn_blocking) at once, on threads of our own. 0: 512. */
	unsigned blocking_max;
	/* First part of these threads' names, at most 9 bytes count; copied. NULL: "jackdaw". */
	const char *name;
	/* Must outlive everything spawned. NULL: jd_allocator_default(). */
	const struct jd_allocator *allocator;
};

/*
 * Makes a scheduler; options NULL are all defaults. The caller owns *scheduler and ends it with
 * jd_scheduler_destroy. JD_ENOTSUP: this is not Windows. JD_EINVAL, JD_ENOMEM, JD_ERANGE (more than
 * 65,535 blocking jobs), JD_EAGAIN (the system has no pool, or no thread, to give).
 */
JD_API JD_MUST_CHECK jd_status jd_winpool_scheduler_new(const struct jd_winpool_options *options,
							struct jd_scheduler **scheduler);

JD_END_DECLS

#endif
