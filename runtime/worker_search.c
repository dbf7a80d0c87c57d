/* worker_search.c - a worker has nothing of its own: it searches, dozes, sleeps. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker_search.h"

#include "runtime/tuning.h"
#include "runtime/worker_take.h"
#include "runtime/worker_wake.h"

/*
 * Whether anything could be taken, or the sleep would be for nothing. What gave way is looked at
 * last: see local.h.
 */
static bool work_in_sight(const struct jd_worker *w)
{
	const struct jd_workers *all = w->all;

	if (jd_workers_stopping(all) || !jd_injector_empty(&all->injector) ||
	    !jd_foreign_empty(&all->foreign) || jd_fork_host_has_work(&all->forks))
		return true;
	for (unsigned i = 0; i < all->count; i++) {
		if (!jd_local_empty(&all->workers[i].local))
			return true;
	}
	return false;
}

/*
 * Looks at everything some times. *again tells that there was something at the last look, which was
 * left to a worker that comes for it.
 */
static struct jd_runnable *search(struct jd_worker *w, bool *again)
{
	for (int round = 0; round < JD_WORKER_SEARCH_ROUNDS && !jd_workers_stopping(w->all);
	     round++) {
		struct jd_runnable *r;

		*again = false;
		jd_worker_take_fired(w, true);
		r = jd_local_pop(&w->local);
		if (!r)
			r = jd_worker_take_injected(w, true);
		if (!r)
			r = jd_local_pop_yielded(&w->local);
		if (!r)
			r = jd_worker_take_stolen(w, again);
		if (!r)
			r = jd_worker_take_forked(w);
		if (r)
			return r;
		/* With the looks themselves longer than a short task: see local.h. */
		jd_cpu_relax();
	}
	return NULL;
}

/*
 * Whether to doze before sleeping: when sleeps have been short lately and nobody else wants the
 * CPU. The second is asked now and then, because it costs as much as a system call.
 */
static bool may_doze(struct jd_worker *w)
{
	if (!w->doze_ns || !w->all->dozes)
		return false;
	if (w->dozes++ % JD_WORKER_CROWD_LOOK)
		return true;
	if (!jd_cpu_crowded())
		return true;
	w->dozes = 0;
	w->doze_ns = 0;
	w->doze_not = JD_WORKER_CROWD_LOOK;
	return false;
}

/*
 * Looks at the own word, which has a cache line to itself, and at no queue: who posts finds this
 * worker as he finds a sleeper, but needs no system call, nor does the worker. It gives way now and
 * then, as who is going to post may be waiting for this very CPU: a sleeper is often woken where
 * its waker runs.
 */
static void doze(struct jd_worker *w, uint64_t deadline)
{
	uint64_t end = jd_clock_now() + w->doze_ns;

	jd_worker_count(&w->stats.dozes, 1);
	if (end > deadline)
		end = deadline;
	for (int round = 0; round < JD_WORKER_DOZE_ROUNDS && jd_clock_now() < end; round++) {
		for (int i = 0; i < JD_WORKER_DOZE_PAUSES; i++)
			jd_cpu_relax();
		if (round % JD_WORKER_DOZE_YIELD == JD_WORKER_DOZE_YIELD - 1)
			jd_thread_yield();
		if (atomic_load_explicit(&w->word, memory_order_relaxed) != JD_IDLE_DOZING)
			return;
	}
}

/* Waits on the word, and learns from how long that was whether to doze the next time. */
static void sleep_deep(struct jd_worker *w, uint64_t deadline)
{
	uint64_t start = jd_clock_now();

	jd_worker_count(&w->stats.parks, 1);
	while (atomic_load_explicit(&w->word, memory_order_relaxed) == JD_IDLE_SLEEPING) {
		if (jd_futex_wait(&w->word, JD_IDLE_SLEEPING, deadline) == JD_ETIMEDOUT)
			break;
	}
	if (jd_clock_now() - start > JD_WORKER_DOZE_NS)
		w->doze_ns /= 4;
	else if (w->doze_not)
		w->doze_not--;
	else if (w->doze_ns < JD_WORKER_DOZE_NS)
		w->doze_ns += JD_WORKER_DOZE_NS / 4;
}

/* Sleeps until woken or needed; the worker is a searcher afterwards. Whether it was woken. */
static bool sleep_idle(struct jd_worker *w, bool searching)
{
	struct jd_workers *all = w->all;
	uint64_t next = jd_timekeeper_next(&all->timers);
	uint64_t deadline = jd_timekeeper_take_post(&all->timers, w->index, next);

	w->armed = false;
	w->stream = 0;
	uint32_t others = jd_idle_enter(&all->idle, &w->word, searching);

	/*
	 * Once more, now that posts and kicks see us: a deadline may have come meanwhile, too. Work
	 * can be left to those who search; they will look again.
	 */
	if ((others || !work_in_sight(w)) && !jd_workers_stopping(all) &&
	    jd_timekeeper_next(&all->timers) >= next) {
		if (may_doze(w))
			doze(w, deadline);
		if (jd_idle_fall_asleep(&w->word))
			sleep_deep(w, deadline);
	}
	jd_timekeeper_leave_post(&all->timers, w->index, deadline);
	bool woken = jd_idle_leave(&all->idle, &w->word);

	jd_worker_count(&w->stats.woken, woken);
	return woken;
}

/* Whether another worker should be up too: for more work, or because nobody keeps the time. */
static bool more_to_do(const struct jd_worker *w)
{
	const struct jd_workers *all = w->all;

	return work_in_sight(w) ||
	       (jd_timekeeper_next(&all->timers) != JD_NEVER && !jd_timekeeper_post(&all->timers));
}

/*
 * Somebody is busy with short tasks, one after the other. To look at it all the time would slow it
 * down, to sleep would have each of them wake us: so we stay a searcher and close our eyes.
 */
static void nap(struct jd_worker *w)
{
	uint64_t deadline = jd_clock_now() + JD_WORKER_NAP_NS;
	uint64_t next = jd_timekeeper_next(&w->all->timers);

	(void)jd_futex_wait(&w->word, JD_IDLE_RUNNING, deadline < next ? deadline : next);
}

struct jd_runnable *jd_worker_search(struct jd_worker *w)
{
	struct jd_workers *all = w->all;

	jd_worker_tell_ended(w);
	bool searching = jd_idle_search(&all->idle, all->search_max);
	bool woken = false;

	/* A search is a look, too, and more. */
	w->looked_ns = 0;
	w->look_in = JD_WORKER_LOOK_FIRST;
	for (;;) {
		bool again = false;
		struct jd_runnable *r = searching ? search(w, &again) : NULL;

		if (!r && again && !jd_workers_stopping(all)) {
			nap(w);
			continue;
		}

		jd_worker_count(&w->stats.searches, searching);
		jd_worker_count(&w->stats.useful, woken && r);
		if (r || jd_workers_stopping(all)) {
			if (searching && jd_idle_found(&all->idle) && more_to_do(w))
				jd_worker_wake_posted(all);
			return r;
		}
		woken = sleep_idle(w, searching);
		searching = true;
	}
}
