/* worker_wake.h - work was published: whether to wake a worker, and which. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_WORKER_WAKE_H
#define JD_RUNTIME_WORKER_WAKE_H

#include "runtime/runnable.h"
#include "runtime/worker.h"

/* Makes a sleeping worker notified; the caller has claimed a searcher. False: it does not sleep. */
bool jd_worker_wake(struct jd_workers *all, unsigned index);

/* A post claimed a searcher: find a sleeper to be it. */
JD_COLD void jd_worker_wake_claimed(struct jd_workers *all);

/* A timer was armed: see that somebody looks in time; see timekeeper.h. */
void jd_worker_wake_timer(struct jd_workers *all);

/* Work was published: wake one worker for it, if one sleeps and none is searching. */
static inline void jd_worker_wake_posted(struct jd_workers *all)
{
	if (JD_UNLIKELY(jd_idle_post(&all->idle)))
		jd_worker_wake_claimed(all);
}

/* The same after a push that ended with a seq_cst exchange. */
static inline void jd_worker_wake_pushed(struct jd_workers *all)
{
	if (JD_UNLIKELY(jd_idle_post_exchanged(&all->idle)))
		jd_worker_wake_claimed(all);
}

/*
 * jd_schedule for new work of a worker that the calling thread drives: nothing is looked up again.
 * JD_ECLOSED. It may run before this returns: see the option max_backlog.
 */
static inline jd_status jd_worker_spawn(struct jd_worker *w, struct jd_runnable *runnable)
{
	if (JD_UNLIKELY(w->all->max_backlog != 0) &&
	    jd_local_size(&w->local) >= w->all->max_backlog && jd_worker_run_now(w, runnable))
		return JD_OK;
	/* order: (S3) acquire - as (S1); pairs with (S2). */
	if (JD_UNLIKELY(atomic_load_explicit(&w->all->phase, memory_order_acquire) != 0))
		return JD_ECLOSED;
	jd_runnable_mark(runnable);
	if (!jd_local_push_single(&w->local, runnable))
		return jd_worker_push_newest(w, runnable);
	jd_worker_wake_pushed(w->all);
	return JD_OK;
}

#endif
