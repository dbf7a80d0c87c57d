/* worker.c - the worker's loop: take, run, search, sleep. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker.h"

#include "runtime/memory.h"
#include "runtime/runnable.h"
#include "runtime/task.h"
#include "runtime/tuning.h"

static void count(_Atomic(uint64_t) *counter, uint64_t n)
{
	/* One writer at a time: the thread that drives the worker. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* --- Waking --------------------------------------------------------------------------------- */

/* Makes a sleeping worker notified; the caller has claimed a searcher. False: it does not sleep. */
static bool wake(struct jd_workers *all, unsigned index)
{
	uint32_t was = jd_idle_claim(&all->workers[index].word);

	if (was == JD_IDLE_RUNNING)
		return false;
	atomic_fetch_add_explicit(&all->wakes, 1, memory_order_relaxed);
	if (was == JD_IDLE_SLEEPING)
		jd_futex_wake_one(&all->workers[index].word);
	return true;
}

/* Wakes the first sleeper whose CPU is so far from this one; cpu < 0: the first of all. */
static bool wake_at(struct jd_workers *all, int cpu, unsigned distance, unsigned keeper)
{
	for (unsigned i = 0; i < all->count; i++) {
		if (i + 1 == keeper ||
		    (cpu >= 0 && jd_placement_from(all->placement, cpu, i) != distance))
			continue;
		if (wake(all, i))
			return true;
	}
	return false;
}

/*
 * Wakes one sleeper, not the timekeeper if there is another; the caller has claimed a searcher. The
 * nearest to the calling thread where workers have CPUs of their own. Otherwise always the first
 * one: where little is to do, the same worker does it, with warm caches, on a CPU that was awake a
 * moment ago. (In turn: 25 % slower at the median, 35 % at the 99th percentile.)
 */
static bool wake_any(struct jd_workers *all)
{
	unsigned keeper = jd_timekeeper_post(&all->timers);
	int cpu = jd_placement_here(all->placement);

	for (unsigned d = 0; d <= (cpu >= 0 ? JD_TOPOLOGY_FARTHEST : 0); d++) {
		if (wake_at(all, cpu, d, keeper))
			return true;
	}
	return keeper && wake(all, keeper - 1);
}

/* A post claimed a searcher: find a sleeper to be it. */
JD_COLD static void wake_claimed(struct jd_workers *all)
{
	bool claimed = true;

	while (claimed && !wake_any(all))
		claimed = jd_idle_give_back(&all->idle);
}

/* Work was published: wake one worker for it, if one sleeps and none is searching. */
static void notify(struct jd_workers *all)
{
	if (JD_UNLIKELY(jd_idle_post(&all->idle)))
		wake_claimed(all);
}

/* The same after a push that ended with a seq_cst exchange. */
static void notify_pushed(struct jd_workers *all)
{
	if (JD_UNLIKELY(jd_idle_post_exchanged(&all->idle)))
		wake_claimed(all);
}

/* A timer was armed: see that somebody looks in time; see timekeeper.h. */
static void announce_timer(struct jd_workers *all)
{
	if (!jd_idle_any_asleep(&all->idle) || jd_timekeeper_in_time(&all->timers))
		return;
	jd_idle_add_searcher(&all->idle);
	unsigned keeper = jd_timekeeper_post(&all->timers);

	if (keeper && wake(all, keeper - 1))
		return;
	if (jd_idle_give_back(&all->idle))
		wake_claimed(all);
}

/* --- Taking --------------------------------------------------------------------------------- */

/* Puts a list, oldest first, into the own deque so that the oldest is popped first; returns it. */
static struct jd_runnable *adopt(struct jd_worker *w, struct jd_runnable *list)
{
	struct jd_runnable *first = list, *newest;
	size_t n = 0;

	if (!first)
		return NULL;
	for (struct jd_runnable *r = first; r; r = r->next)
		n++;
	count(&w->stats.injected, n);
	list = first->next;
	if (!list)
		return first;
	if (jd_deque_reserve(&w->local.newest, n - 1) != JD_OK) {
		/* No memory for them here: back they go; whoever comes next takes them again. */
		if (jd_injector_push_list(&w->all->injector, list) == JD_INJECTOR_CLOSED)
			jd_runnable_cancel_list(
				jd_runnable_unmark_list(list)); /* as shutdown does */
		notify(w->all);
		return first;
	}
	newest = jd_injector_reverse(list);
	for (struct jd_runnable *r = newest, *next; r; r = next) {
		next = r->next;
		jd_status status = jd_deque_push(&w->local.newest, r);

		JD_ASSERT(status == JD_OK); /* reserved */
	}
	/* On their way here nobody could see them: who looked then and fell asleep is wanted. */
	notify(w->all);
	return first;
}

static struct jd_runnable *take_injected(struct jd_worker *w)
{
	return adopt(w, jd_injector_take(&w->all->injector));
}

/* A timer fired, found by this worker. */
struct delivery {
	struct jd_timer_delivery base;
	struct jd_worker *worker;
};

static void deliver(struct jd_timer_delivery *base, struct jd_runnable *r)
{
	struct jd_worker *w = jd_container_of(base, struct delivery, base)->worker;

	if (r->flags & JD_RUNNABLE_INLINE)
		jd_runnable_run(r, w);
	else if (jd_workers_schedule(w->all, r) != JD_OK)
		jd_runnable_cancel(r);
}

/* Enters what is due; runnables that are not inline go to the own queue. */
static void fire_timers(struct jd_worker *w, bool idle)
{
	struct delivery delivery = {{deliver}, w};

	jd_timekeeper_fire(&w->all->timers, w->index, idle, &delivery.base);
}

static uint64_t next_random(struct jd_worker *w)
{
	/* Marsaglia's xorshift64*; only spreads thieves. */
	w->rng ^= w->rng >> 12;
	w->rng ^= w->rng << 25;
	w->rng ^= w->rng >> 27;
	return w->rng * 0x2545F4914F6CDD1Dull;
}

/* One look at a worker. *again tells that it had something, which was not to be had. */
static struct jd_runnable *steal_from(struct jd_worker *w, struct jd_victim *victim, bool *again)
{
	struct jd_loot loot = jd_local_steal(&w->all->workers[victim->index].local, &w->local,
					     JD_WORKER_STEAL_MAX, &victim->seen);

	if (loot.first)
		count(&w->stats.stolen, loot.moved);
	else
		*again |= loot.again;
	return loot.first;
}

/* One look at every other worker: the nearest first, those equally far from a random start. */
static struct jd_runnable *steal(struct jd_worker *w, bool *again)
{
	unsigned others = w->all->count - 1;

	for (unsigned first = 0, next; first < others; first = next) {
		next = w->victims[first].next_class;

		unsigned n = next - first, start = n > 1 ? (unsigned)(next_random(w) % n) : 0;

		for (unsigned i = 0; i < n; i++) {
			struct jd_victim *victim = &w->victims[first + (start + i) % n];
			struct jd_runnable *r = steal_from(w, victim, again);

			if (r)
				return r;
		}
	}
	return NULL;
}

static void run_stolen(struct jd_runnable *job, struct jd_worker *worker)
{
	struct jd_worker *w = jd_container_of(job, struct jd_worker, run_stolen);
	/* The frame may block, and another thread may drive w before it returns. */
	struct jd_fork_stolen stolen = w->stolen;

	(void)worker;
	jd_fork_host_run(&stolen, w->fork);
}

/* A forked frame, as a runnable. */
static struct jd_runnable *steal_fork(struct jd_worker *w)
{
	unsigned start = (unsigned)(next_random(w) >> 32);

	return jd_fork_host_steal(&w->all->forks, w->fork, start, &w->stolen) ? &w->run_stolen
									      : NULL;
}

/* Every few ticks: timers, and in turn those outside and what waits longest here. */
JD_COLD static struct jd_runnable *take_fair(struct jd_worker *w)
{
	struct jd_runnable *r;

	fire_timers(w, false);
	if (w->tick / JD_WORKER_FAIR_TICKS % 2)
		r = jd_local_pop_oldest(&w->local);
	else
		r = take_injected(w);
	return r;
}

/* The next runnable without going far. */
static struct jd_runnable *take_local(struct jd_worker *w)
{
	struct jd_runnable *r = NULL;

	if (JD_UNLIKELY(++w->tick % JD_WORKER_FAIR_TICKS == 0))
		r = take_fair(w);
	if (!r)
		r = jd_local_pop(&w->local);
	if (!r)
		r = take_injected(w);
	return r ? r : jd_local_pop_yielded(&w->local);
}

/* --- Searching and sleeping ----------------------------------------------------------------- */

static bool stopping(const struct jd_workers *all)
{
	/* order: (W1) acquire - what led to the stop; pairs with (W2). */
	return atomic_load_explicit(&all->stop, memory_order_acquire);
}

/*
 * Whether anything could be taken, or the sleep would be for nothing. What gave way is looked at
 * last: see local.h.
 */
static bool work_in_sight(const struct jd_worker *w)
{
	const struct jd_workers *all = w->all;

	if (stopping(all) || !jd_injector_empty(&all->injector) ||
	    jd_fork_host_has_work(&all->forks))
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
	for (int round = 0; round < JD_WORKER_SEARCH_ROUNDS && !stopping(w->all); round++) {
		struct jd_runnable *r;

		*again = false;
		fire_timers(w, true);
		r = jd_local_pop(&w->local);
		if (!r)
			r = take_injected(w);
		if (!r)
			r = jd_local_pop_yielded(&w->local);
		if (!r)
			r = steal(w, again);
		if (!r)
			r = steal_fork(w);
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
 * worker as he finds a sleeper, but needs no system call, nor does the worker.
 */
static void doze(struct jd_worker *w, uint64_t deadline)
{
	uint64_t end = jd_clock_now() + w->doze_ns;

	if (end > deadline)
		end = deadline;
	for (int round = 0; round < JD_WORKER_DOZE_ROUNDS && jd_clock_now() < end; round++) {
		for (int i = 0; i < JD_WORKER_DOZE_PAUSES; i++)
			jd_cpu_relax();
		if (atomic_load_explicit(&w->word, memory_order_relaxed) != JD_IDLE_DOZING)
			return;
	}
}

/* Waits on the word, and learns from how long that was whether to doze the next time. */
static void sleep_deep(struct jd_worker *w, uint64_t deadline)
{
	uint64_t start = jd_clock_now();

	count(&w->stats.parks, 1);
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
	uint32_t others = jd_idle_enter(&all->idle, &w->word, searching);

	/*
	 * Once more, now that posts and kicks see us: a deadline may have come meanwhile, too. Work
	 * can be left to those who search; they will look again.
	 */
	if ((others || !work_in_sight(w)) && !stopping(all) &&
	    jd_timekeeper_next(&all->timers) >= next) {
		if (may_doze(w))
			doze(w, deadline);
		if (jd_idle_fall_asleep(&w->word))
			sleep_deep(w, deadline);
	}
	jd_timekeeper_leave_post(&all->timers, w->index, deadline);
	bool woken = jd_idle_leave(&all->idle, &w->word);

	count(&w->stats.woken, woken);
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

/* Before it turns to anything but a task of its scheduler: see registry.h. */
static void tell_ended(struct jd_worker *w)
{
	if (w->lane.tally->unchecked)
		jd_registry_check(w->lane.scheduler->registry, w->lane.tally);
}

/* Searches and sleeps until there is something; NULL when the loop is to end. */
static struct jd_runnable *find_work(struct jd_worker *w)
{
	struct jd_workers *all = w->all;

	tell_ended(w);
	bool searching = jd_idle_search(&all->idle, all->search_max);
	bool woken = false;

	for (;;) {
		bool again = false;
		struct jd_runnable *r = searching ? search(w, &again) : NULL;

		if (!r && again && !stopping(all)) {
			nap(w);
			continue;
		}

		count(&w->stats.searches, searching);
		count(&w->stats.useful, woken && r);
		if (r || stopping(all)) {
			if (searching && jd_idle_found(&all->idle) && more_to_do(w))
				notify(all);
			return r;
		}
		woken = sleep_idle(w, searching);
		searching = true;
	}
}

/* --- The loop ------------------------------------------------------------------------------- */

static void drive_loop(struct jd_worker *w, struct jd_pool_thread *self)
{
	struct jd_workers *all = w->all;

	while (!stopping(all)) {
		struct jd_runnable *r = take_local(w);

		if (!r)
			r = find_work(w);
		if (!r)
			break;
		if (JD_UNLIKELY(w->armed)) {
			w->armed = false;
			announce_timer(all);
		}
		if (r != &w->run_stolen)
			jd_runnable_unmark(r);
		if (!jd_task_belongs(r, w->lane.scheduler))
			tell_ended(w);
		count(&w->local.turns, 1);
		jd_runnable_run(r, w);
		if (JD_UNLIKELY(self->worker != w))
			return; /* a task blocked: another thread drives w now */
	}
	tell_ended(w);
	self->worker = NULL;
}

/* The job: this thread drives the worker until the end, or until a task of it blocks. */
static void drive(struct jd_runnable *job, struct jd_worker *unused)
{
	struct jd_worker *w = jd_container_of(job, struct jd_worker, drive);
	struct jd_workers *all = w->all;
	struct jd_pool_thread *self = jd_pool_self;

	(void)unused;
	self->worker = w;
	if (jd_placement_bind(all->placement, w->index))
		self->leave = true; /* no other job should be confined to these CPUs */
	struct jd_fork_region region;

	w->fork = jd_fork_host_enter(&all->forks, &region);
	jd_reclaimer_attach(&all->reclaimer);
	drive_loop(w, self);
	jd_reclaimer_detach(&all->reclaimer);
	jd_fork_leave(&region);
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

/* --- From outside --------------------------------------------------------------------------- */

jd_status jd_workers_schedule(struct jd_workers *all, struct jd_runnable *runnable)
{
	struct jd_worker *w = jd_workers_self(all);

	jd_runnable_mark(runnable);
	if (w && (runnable->flags & JD_RUNNABLE_YIELDED)) {
		/* Behind all others; this worker comes for one of them, or for it, at once. */
		if (jd_local_yield(&w->local, runnable) == JD_OK)
			return JD_OK;
	} else if (w && jd_local_push(&w->local, runnable) == JD_OK) {
		notify_pushed(all);
		return JD_OK;
	}
	if (jd_injector_push(&all->injector, runnable) == JD_INJECTOR_CLOSED) {
		jd_runnable_unmark(runnable);
		return JD_ECLOSED;
	}
	notify_pushed(all);
	return JD_OK;
}

jd_status jd_workers_arm(struct jd_workers *all, struct jd_timer *timer,
			 struct jd_runnable *runnable, uint64_t time_ns, bool relative)
{
	struct jd_worker *w = jd_workers_self(all);
	enum jd_timer_announce announce;
	jd_status status = jd_timekeeper_arm(&all->timers, w ? w->index : JD_TIMEKEEPER_OUTSIDE,
					     timer, runnable, time_ns, relative, &announce);

	if (announce == JD_TIMER_SOON)
		w->armed = true;
	else if (announce == JD_TIMER_NOW)
		announce_timer(all);
	return status;
}

jd_status jd_workers_cancel(struct jd_workers *all, struct jd_timer *timer)
{
	const struct jd_worker *w = jd_workers_self(all);

	return jd_timekeeper_cancel(&all->timers, w ? w->index : JD_TIMEKEEPER_OUTSIDE, timer);
}

jd_status jd_workers_hand_on(struct jd_workers *all)
{
	struct jd_pool_thread *self = jd_pool_self;
	struct jd_worker *w = self->worker;

	if (w->armed) {
		w->armed = false;
		announce_timer(all);
	}
	count(&w->stats.handed, 1);
	self->worker = NULL;
	jd_status status = jd_thread_pool_submit_now(all->pool, &w->drive);

	if (status != JD_OK)
		self->worker = w;
	return status;
}

struct jd_runnable *jd_workers_close(struct jd_workers *all)
{
	return jd_runnable_unmark_list(jd_injector_close(&all->injector));
}

void jd_workers_stop(struct jd_workers *all)
{
	/* order: (W2) release - what led to the stop; pairs with (W1). */
	atomic_store_explicit(&all->stop, 1, memory_order_release);
	for (unsigned i = 0; i < all->count; i++) {
		/* As a post to one worker: it sees the stop, or we see it asleep. */
		jd_idle_add_searcher(&all->idle);
		if (!wake(all, i))
			(void)jd_idle_found(&all->idle);
	}
}

struct jd_runnable *jd_workers_rest(struct jd_workers *all)
{
	for (unsigned i = 0; i < all->count; i++) {
		struct jd_local *local = &all->workers[i].local;
		struct jd_runnable *r = jd_local_pop(local);

		if (!r)
			r = jd_local_pop_yielded(local);
		if (r) {
			jd_runnable_unmark(r);
			return r;
		}
	}
	return NULL;
}

/* --- Life cycle ----------------------------------------------------------------------------- */

static jd_status worker_init(struct jd_worker *w, struct jd_workers *all, unsigned index)
{
	static const struct jd_runnable_ops drive_ops = {.run = drive, .cancel = drive_cancel};
	static const struct jd_runnable_ops fork_ops = {.run = run_stolen, .cancel = not_queued};

	w->all = all;
	w->index = index;
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
	notify(jd_container_of(host, struct jd_workers, forks));
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
	jd_reclaimer_fini(&all->reclaimer);
	jd_fork_host_fini(&all->forks);
	jd_memory_free(all->allocator, all->workers, all->count * sizeof(*all->workers),
		       JD_CACHE_LINE);
	all->workers = NULL;
}
