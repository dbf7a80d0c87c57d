/* test_foreign.c - other threads in a test: told on, or slept for when they are allowed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/test_scheduler.h"

#include "runtime/parker.h"

/*
 * Sleeping and notifying meet on the word activity, so that one sleep ends by an unpark, by new
 * work, or by a move of the clock:
 *
 *   notifier                                 sleeper
 *   publish (queue, parker, clock)  w[P]     waiters++                 w[W]
 *   activity++  (seq_cst)           w[A]     ticket = activity         r[A]
 *   if (waiters) wake all           r[W]     look at what was published r[P]
 *                                            futex_wait(activity == ticket)
 *
 * A notifier that reads waiters == 0 is ordered before waiters++, so its activity++ is before the
 * sleeper's ticket, and the sleeper's look sees what it published. A notifier that sees a waiter
 * wakes it, or changes activity before the sleeper sleeps, which then does not.
 */
static uint32_t sleep_prepare(struct jd_test_scheduler *ts)
{
	/* order: (TS1) seq_cst - announce, then look; pairs with (TS4). */
	atomic_fetch_add_explicit(&ts->waiters, 1, memory_order_seq_cst);
	/* order: (TS2) seq_cst - sees what was published before the change; pairs with (TS3). */
	return atomic_load_explicit(&ts->activity, memory_order_seq_cst);
}

static void sleep_done(struct jd_test_scheduler *ts)
{
	atomic_fetch_sub_explicit(&ts->waiters, 1, memory_order_relaxed);
}

void jd_test_foreign_notify(struct jd_test_scheduler *ts)
{
	/* order: (TS3) seq_cst - after what was published; pairs with (TS2). */
	atomic_fetch_add_explicit(&ts->activity, 1, memory_order_seq_cst);
	/* order: (TS4) seq_cst - the second half of the drawing; pairs with (TS1). */
	if (atomic_load_explicit(&ts->waiters, memory_order_seq_cst))
		jd_futex_wake_all(&ts->activity);
}

void jd_test_foreign_unpark(struct jd_scheduler *base, struct jd_parker *parker)
{
	(void)parker;
	jd_test_foreign_notify(jd_container_of(base, struct jd_test_scheduler, base));
}

/* --- Sleeping ---------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Until the parker is unparked, something else happens, or the real deadline (false). */
static bool sleep_until(struct jd_test_scheduler *ts, struct jd_parker *parker,
			uint64_t real_deadline)
{
	uint32_t ticket = sleep_prepare(ts);
	bool woken = false, late = false;

	while (!woken && !late) {
		woken = atomic_load_explicit(&parker->word, memory_order_relaxed) ==
				JD_PARKER_NOTIFIED ||
			jd_test_step_possible(ts);
		if (!woken)
			late = jd_futex_wait(&ts->activity, ticket, real_deadline) == JD_ETIMEDOUT;
		woken |= atomic_load_explicit(&ts->activity, memory_order_relaxed) != ticket;
	}
	sleep_done(ts);
	return woken;
}

bool jd_test_foreign_sleep(struct jd_test_scheduler *ts, struct jd_parker *parker,
			   uint64_t until_ns)
{
	uint64_t clock = jd_test_clock_now(ts);
	uint64_t begin = jd_clock_now();
	uint64_t limit = jd_deadline_after(begin, ts->options.park_limit_ns);
	uint64_t due = until_ns == JD_NEVER ? JD_NEVER : jd_deadline_after(begin, until_ns - clock);
	uint32_t empty = JD_PARKER_EMPTY, sleeping = JD_PARKER_SLEEPING;

	/* SLEEPING is the state in which an unpark tells the scheduler. */
	if (!atomic_compare_exchange_strong_explicit(&parker->word, &empty, sleeping,
						     memory_order_relaxed, memory_order_relaxed))
		return true;
	bool woken = sleep_until(ts, parker, earlier(limit, due));

	/* An unpark stays for the wait to take, with the order it needs. */
	atomic_compare_exchange_strong_explicit(&parker->word, &sleeping, JD_PARKER_EMPTY,
						memory_order_relaxed, memory_order_relaxed);
	jd_test_clock_move(ts, earlier(until_ns, clock + (jd_clock_now() - begin)));
	return woken || jd_test_clock_now(ts) == until_ns;
}

/* What ends the wait of another thread. */
static jd_status foreign_state(struct jd_test_scheduler *ts, struct jd_parker *parker,
			       uint64_t deadline_ns)
{
	if (jd_parker_try(parker))
		return JD_OK;

	jd_lock_acquire(&ts->lock);
	bool down = ts->phase == JD_TEST_SHUTDOWN;

	jd_lock_release(&ts->lock);
	if (down)
		return JD_ECLOSED;
	return jd_test_clock_now(ts) >= deadline_ns ? JD_ETIMEDOUT : JD_PENDING;
}

jd_status jd_test_foreign_park(struct jd_test_scheduler *ts, struct jd_parker *parker,
			       uint64_t deadline_ns)
{
	jd_status status = JD_PENDING;

	jd_test_foreign_check(ts, JD_TEST_FOREIGN_PARK, NULL);
	if (!atomic_load_explicit(&ts->parking, memory_order_relaxed))
		return JD_EPERM;
	if (!jd_parker_enter(parker))
		return JD_OK;
	while (status == JD_PENDING) {
		uint32_t ticket = sleep_prepare(ts);

		status = foreign_state(ts, parker, deadline_ns);
		if (status == JD_PENDING &&
		    jd_futex_wait(&ts->activity, ticket,
				  jd_deadline_after(jd_clock_now(), ts->options.park_limit_ns)) ==
			    JD_ETIMEDOUT)
			status = JD_EDEADLK;
		sleep_done(ts);
	}
	if (status != JD_OK && jd_parker_leave(parker))
		status = JD_OK;
	return status;
}

/* --- Telling on -------------------------------------------------------------------------- */

bool jd_test_foreign_check(struct jd_test_scheduler *ts, enum jd_test_foreign_kind kind,
			   const struct jd_runnable_info *info)
{
	uint64_t thread = jd_thread_self();

	if (JD_LIKELY(thread == ts->owner))
		return false;
	if (atomic_load_explicit(&ts->parking, memory_order_relaxed) ||
	    atomic_load_explicit(&ts->ended, memory_order_relaxed))
		return true;
	jd_lock_acquire(&ts->lock);
	if (ts->foreign_count < JD_TEST_FOREIGN_KEPT) {
		struct jd_test_foreign *seen = &ts->foreign[ts->foreign_count];

		*seen = (struct jd_test_foreign){.kind = kind, .thread = thread};
		if (info) {
			seen->id = info->id;
			seen->label = info->label;
			seen->site = info->site;
		}
	}
	ts->foreign_count++;
	jd_lock_release(&ts->lock);
	return true;
}

const char *jd_test_foreign_text(enum jd_test_foreign_kind kind)
{
	switch (kind) {
	case JD_TEST_FOREIGN_SCHEDULE:
		return "schedule";
	case JD_TEST_FOREIGN_WAKE:
		return "wake";
	case JD_TEST_FOREIGN_WAKER_DROP:
		return "release of a waker";
	case JD_TEST_FOREIGN_UNPARK:
		return "unpark";
	case JD_TEST_FOREIGN_TIMER:
		return "timer";
	case JD_TEST_FOREIGN_CANCEL_TIMER:
		return "cancelled timer";
	case JD_TEST_FOREIGN_PARK:
		return "park";
	case JD_TEST_FOREIGN_CLOSE:
		return "close";
	}
	return "?";
}
