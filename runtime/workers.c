/* workers.c - the workers of a scheduler: their beginning and their end. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker.h"

#include "runtime/memory.h"
#include "runtime/runnable.h"
#include "runtime/tuning.h"
#include "runtime/worker_wake.h"

static void run_stolen(struct jd_runnable *job, struct jd_worker *worker)
{
	struct jd_worker *w = jd_container_of(job, struct jd_worker, run_stolen);
	/* The frame may block, and another thread may drive w before it returns. */
	struct jd_fork_stolen stolen = w->stolen;

	(void)worker;
	jd_fork_host_run(&stolen, w->fork);
}

static void not_queued(struct jd_runnable *job)
{
	(void)job;
	JD_ASSERT(!"a stolen frame is run at once, never queued");
}

/* A worker is driven from creation to shutdown; the pool never cancels that job. */
static void drive_cancel(struct jd_runnable *job)
{
	(void)job;
	JD_ASSERT(!"the job of driving a worker was cancelled");
}

static jd_status worker_init(struct jd_worker *w, struct jd_workers *all, unsigned index)
{
	static const struct jd_runnable_ops drive_ops = {.run = jd_worker_drive,
							 .cancel = drive_cancel};
	static const struct jd_runnable_ops fork_ops = {.run = run_stolen, .cancel = not_queued};

	w->all = all;
	w->index = index;
	w->look_in = w->look_every = JD_WORKER_LOOK_FIRST;
	w->rng = 0x9E3779B97F4A7C15ull * (index + 1);
	w->drive = (struct jd_runnable)JD_RUNNABLE_INIT(&drive_ops);
	w->run_stolen = (struct jd_runnable)JD_RUNNABLE_INIT(&fork_ops);
	w->victims = jd_memory_zalloc(all->allocator, all->count, sizeof(*w->victims),
				      alignof(struct jd_victim));
	if (!w->victims)
		return JD_ENOMEM;
	jd_worker_order_victims(w);
	jd_status status = jd_local_init(&w->local, JD_WORKER_DEQUE_CAPACITY, all->allocator,
					 all->reclaimer.reclaim);

	if (status != JD_OK) {
		jd_memory_free(all->allocator, w->victims, all->count * sizeof(*w->victims),
			       alignof(struct jd_victim));
		w->victims = NULL;
	}
	return status;
}

static void forks_published(struct jd_fork_host *host)
{
	jd_worker_wake_posted(jd_container_of(host, struct jd_workers, forks));
}

/* In a join that takes long. If there is no thread for the worker now, it is asked for again. */
static void forks_block(struct jd_fork_host *host)
{
	struct jd_workers *all = jd_container_of(host, struct jd_workers, forks);

	if (jd_workers_self(all))
		(void)jd_workers_hand_on(all);
}

jd_status jd_workers_init(struct jd_workers *all, unsigned count_,
			  const struct jd_allocator *allocator,
			  const struct jd_placement *placement, struct jd_thread_pool *pool)
{
	all->count = count_;
	all->search_max = count_ > 3 ? count_ / 2 : 1;
	all->allocator = allocator;
	all->placement = placement;
	all->pool = pool;
	all->workers = jd_memory_zalloc(allocator, count_, sizeof(*all->workers), JD_CACHE_LINE);
	if (!all->workers)
		return JD_ENOMEM;
	jd_status status = jd_fork_host_init(&all->forks, allocator, count_ + JD_FORK_GUESTS,
					     JD_FORK_SLOTS, forks_published);

	if (status != JD_OK) {
		jd_memory_free(allocator, all->workers, count_ * sizeof(*all->workers),
			       JD_CACHE_LINE);
		all->workers = NULL;
		return status;
	}
	all->forks.blocks = forks_block;
	jd_reclaimer_init(&all->reclaimer);
	jd_injector_init(&all->injector);
	jd_foreign_init(&all->foreign, allocator, all->reclaimer.reclaim);
	status = jd_timekeeper_init(&all->timers, allocator, count_);
	for (unsigned i = 0; i < count_ && status == JD_OK; i++)
		status = worker_init(&all->workers[i], all, i);
	if (status != JD_OK)
		jd_workers_fini(all);
	return status;
}

void jd_workers_fini(struct jd_workers *all)
{
	for (unsigned i = 0; i < all->count && all->workers[i].victims; i++) {
		struct jd_worker *w = &all->workers[i];

		jd_local_fini(&w->local);
		jd_memory_free(all->allocator, w->victims, all->count * sizeof(*w->victims),
			       alignof(struct jd_victim));
	}
	jd_timekeeper_fini(&all->timers);
	jd_foreign_fini(&all->foreign);
	jd_reclaimer_fini(&all->reclaimer);
	jd_fork_host_fini(&all->forks);
	jd_memory_free(all->allocator, all->workers, all->count * sizeof(*all->workers),
		       JD_CACHE_LINE);
	all->workers = NULL;
}

/* --- Shutdown ------------------------------------------------------------------------------- */

struct jd_runnable *jd_workers_close(struct jd_workers *all)
{
	jd_gate_close(&all->gate);
	jd_foreign_close(&all->foreign);
	return jd_runnable_unmark_list(jd_injector_close(&all->injector));
}

void jd_workers_stop(struct jd_workers *all)
{
	/* order: (W2) release - what led to the stop; pairs with (W1). */
	atomic_store_explicit(&all->stop, 1, memory_order_release);
	for (unsigned i = 0; i < all->count; i++) {
		/* As a post to one worker: it sees the stop, or we see it asleep. */
		jd_idle_add_searcher(&all->idle);
		if (!jd_worker_wake(all, i))
			(void)jd_idle_found(&all->idle);
	}
}

struct jd_runnable *jd_workers_rest(struct jd_workers *all)
{
	struct jd_runnable *foreign = jd_foreign_rest(&all->foreign);

	if (foreign) {
		jd_runnable_unmark(foreign);
		return foreign;
	}
	for (unsigned i = 0; i < all->count; i++) {
		struct jd_local *local = &all->workers[i].local;
		struct jd_runnable *r = jd_local_pop_private(local);

		if (!r)
			r = jd_local_pop(local);

		if (!r)
			r = jd_local_pop_yielded(local);
		if (r) {
			jd_runnable_unmark(r);
			return r;
		}
	}
	return NULL;
}
