/* worker_take.c - where a worker takes from what is not its own: outside, timers, others. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker_take.h"

#include "runtime/runnable.h"
#include "runtime/tuning.h"
#include "runtime/worker_wake.h"

/* --- From outside --------------------------------------------------------------------------- */

/* What came in by the gate is out of the queues: there is room for as many. */
static void give_room(struct jd_workers *all, uint64_t n)
{
	if (n && jd_gate_give(&all->gate, n))
		jd_gate_wake(&all->gate);
}

/* Whether it takes room, which it will not any more. */
static bool uncount(struct jd_runnable *runnable)
{
	bool counted = runnable->flags & JD_RUNNABLE_COUNTED;

	if (JD_UNLIKELY(counted))
		runnable->flags &= ~JD_RUNNABLE_COUNTED;
	return counted;
}

/* No memory for the rest of a chain: back it goes; whoever comes next takes it again. */
JD_COLD static void give_back(struct jd_worker *w, struct jd_runnable *newest)
{
	struct jd_runnable *oldest = newest;

	while (oldest->next)
		oldest = oldest->next;
	if (jd_injector_push_chain(&w->all->injector, newest, oldest) == JD_INJECTOR_CLOSED)
		jd_runnable_cancel_list(jd_runnable_unmark_list(newest)); /* as shutdown does */
}

/* What everybody can push to: into the own deque, so that the oldest is popped first. */
static struct jd_runnable *take_shared(struct jd_worker *w)
{
	struct jd_runnable *r = jd_injector_grab(&w->all->injector);
	uint64_t n = 1, counted = 0;

	if (!r)
		return NULL;
	for (struct jd_runnable *next; (next = r->next) != NULL; r = next, n++) {
		bool one = uncount(r);

		if (JD_UNLIKELY(jd_deque_push(&w->local.newest, r) != JD_OK)) {
			r->flags |= one ? JD_RUNNABLE_COUNTED : 0;
			give_back(w, r);
			r = jd_local_pop(&w->local);
			break;
		}
		counted += one;
	}
	if (JD_LIKELY(r != NULL))
		counted += uncount(r);
	give_room(w->all, counted);
	jd_worker_count(&w->stats.injected, n);
	/* On their way here nobody could see them: who looked then and fell asleep is wanted. */
	if (n > 1)
		jd_worker_wake_posted(w->all);
	return r;
}

/*
 * A worker that keeps up with a producer finds one runnable at a time, and the lines of the queue
 * and of the block go to and fro for each: three times the work for both. When that goes on it lets
 * some come together. Who comes to a worker that sleeps is not kept waiting by this.
 */
static bool let_come(struct jd_worker *w, size_t there)
{
	if (there >= JD_FOREIGN_FEW || w->stream < JD_FOREIGN_STREAM)
		return false;
	for (int i = 0; i < JD_FOREIGN_PAUSES; i++)
		jd_cpu_relax();
	return true;
}

/* All lines of the blocks that will be run next; what comes later is fetched in time by itself. */
static void fetch(void *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t line = 0; line < JD_FOREIGN_FETCH; line += JD_LANE_UNIT)
			JD_PREFETCH((const char *)items[i] + line);
	}
}

/* From the lanes of foreign threads, in the same way. */
static struct jd_runnable *take_lanes(struct jd_worker *w, bool idle)
{
	void *items[JD_FOREIGN_TAKE];
	size_t n = jd_foreign_size(&w->all->foreign);

	if (!n)
		return NULL;
	if (idle && let_come(w, n))
		n = JD_FOREIGN_TAKE;
	n = n < JD_FOREIGN_TAKE ? n : JD_FOREIGN_TAKE;
	if (n > 1 && jd_deque_reserve(&w->local.newest, n - 1) != JD_OK)
		n = 1;
	n = jd_foreign_take(&w->all->foreign, w->stream, items, n);
	if (!n)
		return NULL;
	JD_ASSERT(n <= JD_FOREIGN_TAKE);
	w->stream++;
	fetch(items, n);
	if (JD_UNLIKELY(w->all->gate.capacity))
		give_room(w->all, n);
	for (size_t i = n; i-- > 1;) {
		struct jd_deque *own = &w->local.newest;
		jd_status status = i > 1 ? jd_deque_push(own, items[i])
					 : jd_deque_push_post(own, items[i]);

		JD_ASSERT(status == JD_OK); /* reserved */
	}
	jd_worker_count(&w->stats.injected, n);
	if (n > 1)
		jd_worker_wake_pushed(w->all); /* as above; no RMW where the producers look */
	return items[0];
}

struct jd_runnable *jd_worker_take_injected(struct jd_worker *w, bool idle)
{
	struct jd_runnable *r = take_lanes(w, idle);

	return r ? r : take_shared(w);
}

/* --- Timers --------------------------------------------------------------------------------- */

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

void jd_worker_take_fired(struct jd_worker *w, bool idle)
{
	struct delivery delivery = {{deliver}, w};

	jd_timekeeper_fire(&w->all->timers, w->index, idle, &delivery.base);
}

/* --- From other workers --------------------------------------------------------------------- */

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
		jd_worker_count(&w->stats.stolen, loot.moved);
	else
		*again |= loot.again;
	return loot.first;
}

struct jd_runnable *jd_worker_take_stolen(struct jd_worker *w, bool *again)
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

struct jd_runnable *jd_worker_take_forked(struct jd_worker *w)
{
	unsigned start = (unsigned)(next_random(w) >> 32);

	return jd_fork_host_steal(&w->all->forks, w->fork, start, &w->stolen) ? &w->run_stolen
									      : NULL;
}

/*
 * So many runnables until the next look that it comes in time: fewer at once, more little by
 * little. How long they take is not known after a search: it begins with one.
 */
static void pace(struct jd_worker *w, uint64_t now)
{
	uint64_t took = now - w->looked_ns, every = w->look_every;

	if (!w->looked_ns)
		every = 1;
	else if (took > JD_WORKER_LOOK_NS)
		every = every * JD_WORKER_LOOK_NS / took;
	else if (took < JD_WORKER_LOOK_NS / 2)
		every *= 2;
	if (every < 1)
		every = 1;
	else if (every > JD_WORKER_LOOK_TICKS)
		every = JD_WORKER_LOOK_TICKS;
	w->looked_ns = now;
	w->look_in = w->look_every = (uint32_t)every;
}

/* From a worker that has more to do, or is stuck: otherwise nobody would, while all are busy. */
static struct jd_runnable *take_balance(struct jd_worker *w)
{
	unsigned others = w->all->count - 1;

	if (!others)
		return NULL;
	struct jd_victim *victim = &w->victims[next_random(w) % others];
	struct jd_loot loot = jd_local_balance(&w->all->workers[victim->index].local, &w->local,
					       JD_WORKER_STEAL_MAX, &victim->seen);

	jd_worker_count(&w->stats.stolen, loot.moved);
	if (loot.moved > 1)
		jd_worker_wake_posted(w->all);
	return loot.first;
}

struct jd_runnable *jd_worker_take_fair(struct jd_worker *w)
{
	uint64_t now = jd_clock_now();
	struct jd_runnable *r = NULL;

	pace(w, now);
	jd_worker_take_fired(w, false);
	if (now - w->balanced_ns >= JD_WORKER_BALANCE_NS) {
		w->balanced_ns = now;
		r = take_balance(w);
	}
	if (r)
		return r;
	return w->looks++ % 2 ? jd_local_pop_oldest(&w->local) : jd_worker_take_injected(w, false);
}
