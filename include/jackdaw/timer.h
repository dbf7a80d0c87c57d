/* timer.h - futures of time: sleep until an instant, and a deadline for another future. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_TIMER_H
#define JACKDAW_TIMER_H

#include <jackdaw/base.h>
#include <jackdaw/future.h>
#include <jackdaw/scheduler.h>

JD_BEGIN_DECLS

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
	struct jd_waker _waker;          /* by the rules of _state; see runtime/timer.c */
	struct jd_timer _timer;
	struct jd_runnable _runnable;
	JD_ATOMIC(uint32_t) _state;
	bool _is_deadline;
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

JD_END_DECLS

#endif
