/* worker.h - a worker: its queue, and the loop in which some thread drives it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_WORKER_H
#define JD_RUNTIME_WORKER_H

/*
 * The way of a runnable: schedule puts it into the queue of the worker it was called on, or into
 * the injector; a worker pops, takes or steals it; run.
 *
 * A worker is not a thread. The thread that drives it may hand it on in the middle of a runnable
 * that blocks; so after each run the loop asks whether the worker is still its own. The worker
 * pointer that a runnable is given is a hint for the same reason: after a blocking call it may
 * belong to another thread.
 */
#include <jackdaw/scheduler.h>
#include <jackdaw/ws_scheduler.h>

#include "deque/injector.h"
#include "platform/platform.h"
#include "runtime/foreign.h"
#include "runtime/fork_host.h"
#include "runtime/gate.h"
#include "runtime/idle.h"
#include "runtime/lane.h"
#include "runtime/local.h"
#include "runtime/placement.h"
#include "runtime/reclaimer.h"
#include "runtime/thread_pool.h"
#include "runtime/timekeeper.h"

/* Counted by the driving thread, read by anyone; relaxed. */
struct jd_worker_stats {
	_Atomic(uint64_t) stolen;   /* taken from other workers */
	_Atomic(uint64_t) injected; /* taken from the injector */
	_Atomic(uint64_t) searches; /* times it looked for work everywhere */
	_Atomic(uint64_t) dozes;    /* times it dozed before it slept, or instead */
	_Atomic(uint64_t) parks;    /* times it went to sleep */
	_Atomic(uint64_t) woken;    /* times somebody woke it */
	_Atomic(uint64_t) useful;   /* of these, it found something in its first search */
	_Atomic(uint64_t) handed;   /* times it changed threads because a task blocked */
};

/* What a thief knows of another worker. */
struct jd_victim {
	uint64_t seen; /* its turns at the last look */
	unsigned index;
	unsigned next_class; /* where in the list the next distance begins */
};

/* Access: I immutable after init, O the driving thread, A any thread, atomic. */
struct jd_worker {
	struct jd_local local;              /* owner's side: O */
	JD_CACHE_ALIGNED jd_idle_word word; /* A: see idle.h */
	struct jd_workers *all;             /* I */
	unsigned index;                     /* I */
	uint32_t look_in;                   /* O: runnables until it looks beyond its own queue */
	uint32_t look_every;                /* O: runnables between two such looks */
	uint32_t looks;                     /* O: such looks, counted */
	uint64_t looked_ns;                 /* O: when it did last; 0: it was idle since */
	uint64_t balanced_ns;               /* O: when it last looked at the queue of another */
	uint32_t stream;                    /* O: visits to lanes since it slept that found some */
	uint64_t rng;                       /* O */
	uint32_t doze_ns;                   /* O: how long it dozes before it sleeps */
	uint32_t dozes;                     /* O: times it has dozed */
	uint32_t doze_not;                  /* O: so many short sleeps until it may again */
	bool armed;                         /* O: a timer of this run is to be announced */
	struct jd_victim *victims;          /* O: the others, nearest first */
	struct jd_runnable drive;           /* I: the job of driving it */
	struct jd_fork_point fork;          /* O: where the driving thread runs what it steals */
	struct jd_fork_stolen stolen;       /* O: between search and run */
	struct jd_runnable run_stolen;      /* O: the job of running it */
	struct jd_lane lane;                /* O: inited by the scheduler */
	struct jd_worker_stats stats;
};

/* What the workers of one scheduler share. */
struct jd_workers {
	struct jd_worker *workers;            /* I: count of them */
	unsigned count;                       /* I */
	unsigned search_max;                  /* I: searchers at once */
	bool dozes;                           /* I: there may be a CPU to spare */
	const struct jd_allocator *allocator; /* I */
	const struct jd_placement *placement; /* I */
	struct jd_thread_pool *pool;          /* I */
	struct jd_reclaimer reclaimer;
	struct jd_timekeeper timers;          /* A */
	struct jd_fork_host forks;            /* A */
	struct jd_injector injector;          /* A: for all that has no lane */
	struct jd_foreign foreign;            /* A */
	struct jd_gate gate;                  /* A: the bound on what comes from outside */
	enum jd_inject_policy full;           /* I: what happens then */
	JD_CACHE_ALIGNED struct jd_idle idle; /* A */
	_Atomic(uint64_t) wakes;              /* A: sleepers that were woken */
	_Atomic(uint32_t) phase;              /* A: the scheduler's; 0: new work is taken */
	unsigned max_backlog;                 /* I: at a worker; 0: no bound */
	_Atomic(uint32_t) stop;               /* A: the loops end */
};

/* On an error nothing is left behind. */
jd_status jd_workers_init(struct jd_workers *all, unsigned count,
			  const struct jd_allocator *allocator,
			  const struct jd_placement *placement, struct jd_thread_pool *pool);
/* When no thread drives a worker any more and the queues are empty. */
void jd_workers_fini(struct jd_workers *all);

static inline bool jd_workers_stopping(const struct jd_workers *all)
{
	/* order: (W1) acquire - what led to the stop; pairs with (W2). */
	return atomic_load_explicit(&all->stop, memory_order_acquire);
}

/* Adds to one of the worker's counts. One writer at a time: the thread that drives the worker. */
static inline void jd_worker_count(_Atomic(uint64_t) *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* The worker that the calling thread drives, if it is one of these; otherwise NULL. */
static inline struct jd_worker *jd_workers_self(const struct jd_workers *all)
{
	const struct jd_pool_thread *self = jd_pool_self;

	return self && self->pool == all->pool ? self->worker : NULL;
}

/*
 * The worker that the calling thread drives, if it is one of this scheduler. Valid until the thread
 * calls something that may block, because that can hand the worker on.
 */
static inline struct jd_worker *jd_worker_here(const struct jd_scheduler *scheduler)
{
	const struct jd_pool_thread *self = jd_pool_self;
	struct jd_worker *w = self ? self->worker : NULL;

	return w && w->lane.scheduler == scheduler ? w : NULL;
}

/* Its lane, likewise. */
static inline struct jd_lane *jd_worker_lane(const struct jd_scheduler *scheduler)
{
	struct jd_worker *w = jd_worker_here(scheduler);

	return w ? &w->lane : NULL;
}

/* Queues the runnable and sees that somebody runs it. JD_ECLOSED after jd_workers_close. */
jd_status jd_workers_schedule(struct jd_workers *all, struct jd_runnable *runnable);

/* The same on the worker that the thread drives, when other work waits there; marked already. */
jd_status jd_worker_push_newest(struct jd_worker *w, struct jd_runnable *runnable);

/*
 * The backlog of w, which the calling thread drives, is at its bound: runs new work here and now.
 * Other people's work, so it sees neither the spawner's session nor its forks. False: as many are
 * on the stack as may be, or nothing new is taken. Afterwards the thread may not drive w any more.
 */
bool jd_worker_run_now(struct jd_worker *w, struct jd_runnable *runnable);

/* Arms a timer, at an instant or after a delay, and sees that somebody looks in time. */
jd_status jd_workers_arm(struct jd_workers *all, struct jd_timer *timer,
			 struct jd_runnable *runnable, uint64_t time_ns, bool relative);

jd_status jd_workers_cancel(struct jd_workers *all, struct jd_timer *timer);

/*
 * The calling thread, which drives one of these workers, is going to block: another thread takes
 * the worker over. JD_EAGAIN, JD_ENOMEM, JD_ECLOSED: it keeps it.
 */
jd_status jd_workers_hand_on(struct jd_workers *all);

/* Refuses new work from outside; returns what the injector held. */
struct jd_runnable *jd_workers_close(struct jd_workers *all);

/* Makes all loops end after their current runnable. */
void jd_workers_stop(struct jd_workers *all);

/* One that is still queued at a worker, after all threads have ended; NULL: none is. */
struct jd_runnable *jd_workers_rest(struct jd_workers *all);

/* The job: this thread drives the worker until the end, or until a task of it blocks. */
void jd_worker_drive(struct jd_runnable *job, struct jd_worker *unused);

/* Fills the worker's victims, class by class of distance. Needs its index and the placement. */
void jd_worker_order_victims(struct jd_worker *w);

/* Adds up the counters of the workers [first, end). */
void jd_workers_stats(const struct jd_workers *all, unsigned first, unsigned end,
		      struct jd_ws_stats *stats);

void jd_workers_dump(const struct jd_workers *all, FILE *out);

#endif
