/* timer.h - futures of time: a sleep, a deadline for another future, ticks of an interval. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_TIMER_H
#define JACKDAW_TIMER_H

#include <jackdaw/base.h>
#include <jackdaw/future.h>
#include <jackdaw/scheduler.h>

JD_BEGIN_DECLS

/*
 * Time is the scheduler's clock (jd_now). In production that is the monotonic clock of the system:
 * setting the date, leap seconds and time zones do not touch it. It stands still while the machine
 * is suspended, and so do all delays and deadlines: an hour of sleep that a suspend of eight hours
 * falls into takes nine by the wall clock. Who needs an hour of the wall clock compares that one
 * after each wake-up. In tests the clock is virtual.
 */

/*
 * A future that ends at an instant of a scheduler's clock, never before it. It allocates nothing:
 * its timer and runnable are part of it. Result: none. Status:
 *   JD_OK         the instant has come
 *   JD_ECANCELED  the scheduler was shut down while it waited
 *   JD_ECLOSED, JD_ENOMEM, JD_ENOTSUP  the timer could not be armed
 *
 * The clock is that of the scheduler it is polled on first; there the timer is armed. It may then
 * be polled on another scheduler. Dropping it cancels the timer and leaves nothing behind; a drop
 * that meets the firing on another thread waits for the few instructions in which that thread
 * still uses the memory. Drop it before the last reference on that scheduler is released.
 *
 *   struct jd_sleep nap;
 *
 *   jd_sleep_init(&nap, 10 * JD_MS);
 *   jd_status status = jd_block(scheduler, &nap.base, NULL);
 *   jd_future_drop(&nap.base);
 */
struct jd_sleep {
	struct jd_future base;
	uint64_t _time_ns;               /* the delay before the first poll, then the deadline */
	struct jd_scheduler *_scheduler; /* where the timer is armed; borrowed */
	struct jd_timer _timer;
	JD_ATOMIC(uint32_t) _state; /* from the end of _timer on: what a firing touches */
	bool _is_deadline;
	struct jd_runnable _runnable;
	struct jd_waker _waker; /* by the rules of _state; see runtime/timer.c */
};

/* delay_ns from the first poll. 0 is ready at once; JD_NEVER, or a sum beyond it, never fires. */
JD_API void jd_sleep_init(struct jd_sleep *self, uint64_t delay_ns);

/* Until an instant of the clock (jd_now). One that has passed is ready at once. */
JD_API void jd_sleep_init_until(struct jd_sleep *self, uint64_t deadline_ns);

/* delay_ns from now by this scheduler's clock, however late the first poll. 0, JD_NEVER: same. */
JD_API void jd_sleep_init_from_now(struct jd_sleep *self, struct jd_scheduler *scheduler,
				   uint64_t delay_ns);

/* See jd_timer_set_slack. Before the first poll. */
static inline void jd_sleep_set_slack(struct jd_sleep *self, uint64_t slack_ns)
{
	jd_timer_set_slack(&self->_timer, slack_ns);
}

/*
 * Gives another future a deadline. Result: none of its own; what the inner future yields goes to
 * the place given at init. Status: that of the inner future, or
 *   JD_ETIMEDOUT  the deadline passed, and one more poll after it found the inner future pending
 *   JD_ECANCELED, JD_ECLOSED, JD_ENOMEM, JD_ENOTSUP  it is pending and there is no timer for it;
 *                 see struct jd_sleep (an inner future may end with these codes too)
 * An inner future that ends at its first poll costs no timer.
 *
 * After JD_ETIMEDOUT a borrowed inner future is as it was: not cancelled, to be polled again.
 *
 *   struct jd_timeout limit;
 *
 *   if (jd_timeout_init(&limit, &request.base, &reply, JD_SEC, JD_BORROW) != JD_OK)
 *           ...
 *   switch (jd_block(scheduler, &limit.base, NULL)) {
 *   case JD_ETIMEDOUT: ...
 */
struct jd_timeout {
	struct jd_future base;
	struct jd_future *_inner; /* NULL once an owned one was dropped */
	void *_result;
	struct jd_sleep _sleep;
	bool _owned;
	bool _started;
};

/*
 * At most delay_ns from the first poll, or until an instant of the clock. result has room for the
 * inner future's result, or is NULL when that is empty. JD_EINVAL: NULL instead of a future, or of
 * a place for a result that is not empty; then nothing is owned.
 */
JD_API JD_MUST_CHECK jd_status jd_timeout_init(struct jd_timeout *self, struct jd_future *inner,
					       void *result, uint64_t delay_ns,
					       enum jd_ownership ownership);
JD_API JD_MUST_CHECK jd_status jd_timeout_init_until(struct jd_timeout *self,
						     struct jd_future *inner, void *result,
						     uint64_t deadline_ns,
						     enum jd_ownership ownership);

/* What an interval does when ticks have gone by before it was polled for them. */
enum jd_missed_ticks {
	/* All come, one after the other, until it has caught up: their number is right. */
	JD_MISSED_BURST,
	/* They are left out; the next is the next instant of the grid: their phase is right. */
	JD_MISSED_SKIP,
	/* They are left out and the grid moves: the next tick is a full period from now. */
	JD_MISSED_DELAY,
};

/*
 * A future that ends again and again, at the instants start, start + period, ...: after JD_OK poll
 * it for the next tick. Result: uint64_t, the instant that the tick is for, which is not later than
 * now. The other codes are those of struct jd_sleep, and end it for good: after one of them it must
 * only be dropped. It allocates nothing; dropping it leaves nothing behind.
 *
 * It has missed a tick when it is polled a period or more after the tick's instant. The tick it was
 * waiting for always comes, and says which instant it was for. Then:
 *   BURST  the ones between come at once, each for its own instant;
 *   SKIP   the next tick is for the first instant of the grid that is after now;
 *   DELAY  the next tick is for now + period.
 * A tick that is late by less than a period is nothing missed: the grid stays.
 *
 *   struct jd_interval beat;
 *   uint64_t instant;
 *
 *   jd_interval_init(&beat, 100 * JD_MS, JD_MISSED_SKIP);
 *   while (jd_block(scheduler, &beat.base, &instant) == JD_OK && goes_on())
 *           ...
 *   jd_future_drop(&beat.base);
 */
struct jd_interval {
	struct jd_future base;
	uint64_t _period_ns;
	uint64_t _next_ns; /* of the tick that is waited for */
	struct jd_sleep _sleep;
	enum jd_missed_ticks _missed;
	bool _started;
};

/*
 * The first tick is one period after the first poll, or at an instant of the clock. JD_EINVAL: a
 * period of 0, or no such policy; then nothing is to be dropped. JD_NEVER as a period: at most the
 * first tick of init_at comes.
 */
JD_API JD_MUST_CHECK jd_status jd_interval_init(struct jd_interval *self, uint64_t period_ns,
						enum jd_missed_ticks missed);
JD_API JD_MUST_CHECK jd_status jd_interval_init_at(struct jd_interval *self, uint64_t start_ns,
						   uint64_t period_ns, enum jd_missed_ticks missed);

/* See jd_timer_set_slack; by default an eighth of the period, at most 524 us. Before the first
 * poll. */
JD_API void jd_interval_set_slack(struct jd_interval *self, uint64_t slack_ns);

/* The grid begins anew: the next tick is one period from the next poll. Between polls only. */
JD_API void jd_interval_reset(struct jd_interval *self);

JD_END_DECLS

#endif
