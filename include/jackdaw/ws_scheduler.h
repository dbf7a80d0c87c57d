/* ws_scheduler.h - the production scheduler: work stealing over all CPUs. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_WS_SCHEDULER_H
#define JACKDAW_WS_SCHEDULER_H

#include <jackdaw/base.h>
#include <jackdaw/main_loop.h>
#include <jackdaw/scheduler.h>

JD_BEGIN_DECLS

/*
 * One worker per CPU, each with a queue of its own; whoever has nothing to do takes from others,
 * then sleeps. Threads that are not workers hand their work in through one lock-free queue.
 *
 * A task that blocks (jd_block, jd_task_join) hands its worker to another thread while it
 * sleeps, so blocked tasks never keep others from running; each costs a thread meanwhile, and
 * without one to be had the wait fails with JD_EAGAIN. Blocking system calls belong in
 * jd_spawn_blocking.
 *
 * Order: a worker runs its newest work first, with looks at the oldest, so that nothing starves.
 * A task that wakes itself while it runs goes behind what else is there.
 */

/*
 * Which CPUs a worker's thread may run on, and with that, whom it steals from first and who is
 * woken for a submission. No policy puts two workers on one core while another one will do. "By
 * cache": bound to the CPUs that share one.
 *
 * On one socket with one shared cache, all of these leave the choice to the kernel. That is
 * also the default elsewhere: a bound thread cannot go to a CPU that is idle. A machine with
 * several caches or nodes that runs nothing else is where to try the others.
 */
enum jd_placement_policy {
	JD_PLACEMENT_NONE,    /* anywhere; the kernel decides */
	JD_PLACEMENT_COMPACT, /* fill one cache, then one NUMA node, before the next; by cache */
	JD_PLACEMENT_SCATTER, /* spread over the nodes, then the caches; bound by cache */
	JD_PLACEMENT_NUMA,    /* spread over the nodes, together within each; bound by node */
};

/*
 * What happens to new work from a thread outside when as much as inject_max waits already. Until
 * the scheduler is closed; from then on JD_ECLOSED, also for those who wait here.
 */
enum jd_inject_policy {
	/*
	 * The caller waits until about half of it was taken. A thread that works for another
	 * scheduler of this kind cannot wait, it gets JD_EWOULDBLOCK. Not for a thread without
	 * which the work that waits cannot go on.
	 */
	JD_INJECT_BLOCK,
	/* JD_EWOULDBLOCK; the runnable, or the future, is still the caller's, nothing was kept. */
	JD_INJECT_REJECT,
	/*
	 * The caller runs it before the call returns, JD_OK: the one exception to the rule that
	 * schedule calls never run anything. So hold no lock that it may want. What it schedules
	 * meanwhile on this thread is taken in any case.
	 */
	JD_INJECT_RUN_INLINE,
};

/* Zero is the default for every field. */
struct jd_ws_options {
	/*
	 * Workers; 0: what the environment variable JD_WORKERS says, a number from 1 to 1024; if
	 * it is not set, or empty, one per CPU this process may use (affinity and CPU quota), at
	 * least 2.
	 */
	unsigned workers;
	enum jd_placement_policy placement;
	/*
	 * Bind each worker to one CPU instead of to those that share the cache or the node (none
	 * counts as compact then). A pinned thread waits for that CPU, whoever else is on it:
	 * wake-ups may take several times as long. For CPUs that nothing else uses.
	 */
	bool pin;
	/* The creating thread is the main thread: it runs foreground work in jd_main_loop_run. */
	bool main_thread;
	/* Blocking jobs (jd_spawn_blocking) at once; more wait in line. 0: 512. */
	unsigned blocking_max;
	/*
	 * Bounded backlog: while so many runnables, or more, are queued at a worker, background
	 * work that is spawned there runs at once, on the stack of the spawner, until its first
	 * pending or its end, as if it were called; at most 64 deep, then it is queued all the
	 * same. A spawner of millions then needs memory for thousands, and pays for what it spawns.
	 * 0: no bound, spawning never runs anything.
	 *
	 * With a bound, a task must not be spawned under a lock that it takes, nor block (jd_block,
	 * jd_task_join) until its spawner does something after the spawn: the spawner is below it.
	 * To await it does no harm. Foreign threads, wakes, foreground work and tasks of sessions
	 * know no bound; the TestScheduler has none, and finds none of these mistakes.
	 */
	unsigned max_backlog;
	/*
	 * The bound on new work from threads outside (spawns, schedule calls) that no worker has
	 * taken yet, and what happens beyond. 0: no bound, which costs nothing. Up to a quarter of
	 * it may be out of use for a while, if it is 64 or more, because threads reserve room
	 * ahead; a worker takes up to 32 at a time, which then do not count any more. Wakes are no
	 * new work: they are taken always, from anywhere. So is what the scheduler's own threads
	 * schedule, foreground and blocking work, and timers.
	 */
	unsigned inject_max;
	enum jd_inject_policy inject_policy;
	/*
	 * How long a thread that has no job (the last blocking one is done, the task it slept for
	 * was woken) stays before it ends, ns. 0: 10 seconds. JD_NEVER: until the end.
	 */
	uint64_t keep_alive_ns;
	/*
	 * First part of the threads' names, at most 9 bytes count; copied. NULL: "jackdaw". The
	 * thread that drives worker 3 is called "jackdaw-3", whichever it is at the moment; one
	 * that does blocking work, waits in a task or has no job "jackdaw-b7", the 8th started.
	 */
	const char *name;
	/* Must outlive everything spawned. NULL: jd_allocator_default(). */
	const struct jd_allocator *allocator;
};

/*
 * Starts a scheduler; options NULL are all defaults. The caller owns *scheduler and ends it with
 * jd_scheduler_destroy. JD_EINVAL (NULL, an unknown placement or policy, a JD_WORKERS that is none
 * of these numbers), JD_ENOMEM, JD_ERANGE (more than 1024 workers or 65,535 blocking jobs),
 * JD_EAGAIN (the system gave no thread); on an error nothing is left behind.
 */
JD_API JD_MUST_CHECK jd_status jd_ws_scheduler_new(const struct jd_ws_options *options,
						   struct jd_scheduler **scheduler);

/* What workers have done since their scheduler was made. */
struct jd_ws_stats {
	uint64_t run;            /* runnables and forked frames run */
	uint64_t stolen;         /* taken from other workers */
	uint64_t injected;       /* taken from what other threads handed in */
	uint64_t searches;       /* looks for work everywhere, each of some rounds */
	uint64_t dozes;          /* times a worker spun, a sleeper already, before it slept */
	uint64_t parks;          /* times one slept in the kernel */
	uint64_t handed_on;      /* times one changed its thread because a task blocked */
	uint64_t wakes_sent;     /* sleepers woken, dozing ones included; of the whole scheduler */
	uint64_t wakes_useful;   /* of these, who found something at once */
	uint64_t wakes_spurious; /* who found nothing: somebody else was faster */
};

/* For jd_ws_scheduler_stats: all workers together. */
#define JD_WS_ALL UINT32_MAX

/*
 * Reads the counters of one worker, or of all (JD_WS_ALL). Any thread, any time until destroy; does
 * not block, and costs the workers nothing: each counts for itself, without a locked instruction.
 * What happened before the call is counted; of what goes on meanwhile one counter may know and
 * another not, and a wake-up under way is sent, but neither useful nor spurious yet. No counter
 * goes back. JD_EINVAL: NULL, no such worker; JD_ENOTSUP: another kind of scheduler.
 */
JD_API jd_status jd_ws_scheduler_stats(struct jd_scheduler *scheduler, uint32_t worker,
				       struct jd_ws_stats *stats);

JD_END_DECLS

#endif
