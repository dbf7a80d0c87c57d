/* timer_driver.h - the timers of a scheduler: a wheel, a lock, and the next deadline for all. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_TIMER_DRIVER_H
#define JD_RUNTIME_TIMER_DRIVER_H

/*
 * A timer is in the wheel or it is not; the lock decides every race of cancel against fire. Due
 * timers are claimed one by one and delivered without the lock (see cancel_timer), by whichever
 * worker comes along. `next` tells everybody without the lock when that is worth while.
 */
#include <jackdaw/scheduler.h>

#include "runtime/lock.h"
#include "timers/wheel.h"

struct jd_timer_driver {
	struct jd_lock lock;
	bool closed;                             /* L */
	JD_CACHE_ALIGNED _Atomic(uint64_t) next; /* A: earliest deadline; written under lock */
	struct jd_wheel wheel;                   /* L */
};

void jd_timer_driver_init(struct jd_timer_driver *driver, const struct jd_allocator *allocator,
			  uint64_t now_ns);

/* Gives memory back, also that of a zeroed driver; no timer is armed any more. */
void jd_timer_driver_fini(struct jd_timer_driver *driver);

/*
 * As schedule_at. *earlier: the timer is now the first of all, so whoever sleeps until the next
 * deadline sleeps too long.
 */
jd_status jd_timer_driver_arm(struct jd_timer_driver *driver, struct jd_timer *timer,
			      struct jd_runnable *runnable, uint64_t deadline_ns, bool *earlier);

/* As cancel_timer. */
jd_status jd_timer_driver_cancel(struct jd_timer_driver *driver, struct jd_timer *timer);

/* Claims one due timer and returns its runnable, to be entered at once; NULL: none is due. */
struct jd_runnable *jd_timer_driver_claim(struct jd_timer_driver *driver, uint64_t now_ns);

/* Takes no more timers; then claims any one that is left, to be cancelled at once. */
struct jd_runnable *jd_timer_driver_close(struct jd_timer_driver *driver);

/* The earliest deadline; JD_NEVER when there is none. A moment old. */
static inline uint64_t jd_timer_driver_next(const struct jd_timer_driver *driver)
{
	return atomic_load_explicit(&driver->next, memory_order_relaxed);
}

#endif
