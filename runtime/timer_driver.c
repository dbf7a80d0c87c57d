/* timer_driver.c - arming, cancelling and claiming the timers of a scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/timer_driver.h"

#include "runtime/tuning.h"

void jd_timer_driver_init(struct jd_timer_driver *driver, const struct jd_allocator *allocator,
			  uint64_t now_ns)
{
	atomic_init(&driver->lock._word, 0);
	driver->closed = false;
	atomic_init(&driver->next, JD_NEVER);
	jd_wheel_init(&driver->wheel, allocator, now_ns, JD_TIMER_WHEEL_SHIFT);
}

void jd_timer_driver_fini(struct jd_timer_driver *driver)
{
	jd_wheel_fini(&driver->wheel);
}

static void publish_next(struct jd_timer_driver *driver)
{
	atomic_store_explicit(&driver->next, jd_wheel_next_deadline(&driver->wheel),
			      memory_order_relaxed);
}

jd_status jd_timer_driver_arm(struct jd_timer_driver *driver, struct jd_timer *timer,
			      struct jd_runnable *runnable, uint64_t deadline_ns, bool *earlier)
{
	jd_status status = JD_OK;

	*earlier = false;
	jd_lock_acquire(&driver->lock);
	if (driver->closed) {
		status = JD_ECLOSED;
	} else if (jd_wheel_holds(timer)) {
		status = JD_EBUSY;
	} else {
		timer->_runnable = runnable;
		timer->_owner = driver;
		status = jd_wheel_insert(&driver->wheel, timer, deadline_ns, 0);
		*earlier = status == JD_OK && deadline_ns < jd_timer_driver_next(driver);
		if (*earlier)
			atomic_store_explicit(&driver->next, deadline_ns, memory_order_relaxed);
	}
	jd_lock_release(&driver->lock);
	return status;
}

jd_status jd_timer_driver_cancel(struct jd_timer_driver *driver, struct jd_timer *timer)
{
	jd_status status = JD_EALREADY;

	jd_lock_acquire(&driver->lock);
	if (jd_wheel_holds(timer)) {
		bool first = timer->_deadline_ns == jd_timer_driver_next(driver);

		jd_wheel_remove(&driver->wheel, timer);
		if (first)
			publish_next(driver);
		status = JD_OK;
	}
	jd_lock_release(&driver->lock);
	return status;
}

struct jd_runnable *jd_timer_driver_claim(struct jd_timer_driver *driver, uint64_t now_ns)
{
	struct jd_runnable *runnable = NULL;

	if (now_ns < jd_timer_driver_next(driver))
		return NULL;
	jd_lock_acquire(&driver->lock);
	struct jd_timer *timer = jd_wheel_pop(&driver->wheel, now_ns);

	if (timer) {
		runnable = timer->_runnable;
		JD_ASSERT(timer->_owner == driver && runnable);
		timer->_runnable = NULL;
	}
	publish_next(driver);
	jd_lock_release(&driver->lock);
	return runnable;
}

struct jd_runnable *jd_timer_driver_close(struct jd_timer_driver *driver)
{
	struct jd_runnable *runnable = NULL;

	jd_lock_acquire(&driver->lock);
	driver->closed = true;
	struct jd_timer *timer = jd_wheel_pop_any(&driver->wheel);

	if (timer) {
		runnable = timer->_runnable;
		timer->_runnable = NULL;
	}
	atomic_store_explicit(&driver->next, JD_NEVER, memory_order_relaxed);
	jd_lock_release(&driver->lock);
	return runnable;
}
