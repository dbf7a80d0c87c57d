/* timekeeper.h - the timers of all workers: who looks after them, and who sleeps until when. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_TIMEKEEPER_H
#define JD_RUNTIME_TIMEKEEPER_H

/*
 * Each worker has a driver of its own (timer_driver.h) and looks at it every few runnables and
 * before it sleeps. It also looks at the others' drivers: at once when it searches for work, after
 * JD_TIMER_TAKEOVER_NS when it is busy itself. So a worker that is stuck in a long runnable holds
 * up no timer while any other worker is up.
 *
 * And one is up in time. One sleeping worker, the timekeeper, sleeps until the earliest instant of
 * all drivers only; the others sleep without a deadline. A sleeper takes the post when it is free
 * or when its deadline is nearer. Whoever arms a timer announces it: an RMW of the counts of the
 * idle workers, as a post does (idle.h), then a look at the post. So whoever goes to sleep after it
 * sees the instant, and who went to sleep before is seen: if nobody is asleep, or if the keeper
 * wakes in time and will look again, there is no more to do; otherwise the keeper is woken, or
 * anybody. (That another timer was first when this one was armed proves nothing: it may have fired
 * in that moment, and who fired it may sleep.)
 *
 * A worker puts the announcement off until it turns to its next runnable if the timer's runnable
 * only wakes somebody (JD_RUNNABLE_INLINE): if it goes to sleep instead, it sees to the timer
 * itself. Meanwhile such a timer waits for that worker; but whom it could wake is, as a rule, the
 * task that runs there and armed it. Other timers are announced at once.
 */
#include "runtime/timer_driver.h"

#define JD_TIMEKEEPER_OUTSIDE UINT32_MAX

/* Access: I immutable after init, A any thread, atomic. */
struct jd_timekeeper {
	struct jd_timer_driver *drivers;           /* I: count of them */
	uint32_t count;                            /* I */
	const struct jd_allocator *allocator;      /* I */
	JD_CACHE_ALIGNED _Atomic(uint64_t) keeper; /* A: its index + 1 and its deadline, or 0 */
};

/* JD_ENOMEM. */
jd_status jd_timekeeper_init(struct jd_timekeeper *tk, const struct jd_allocator *allocator,
			     uint32_t count);
/* Also of a zeroed one. */
void jd_timekeeper_fini(struct jd_timekeeper *tk);

/* When somebody must look, at the latest; JD_NEVER: no timer. A moment old. */
uint64_t jd_timekeeper_next(const struct jd_timekeeper *tk);

/*
 * Arms a timer at an instant or after a delay. self: the worker that the caller drives, or
 * OUTSIDE. *announce: when the caller must announce it.
 */
enum jd_timer_announce {
	JD_TIMER_QUIET, /* it was not armed */
	JD_TIMER_SOON,  /* when it turns to its next runnable */
	JD_TIMER_NOW,
};

jd_status jd_timekeeper_arm(struct jd_timekeeper *tk, uint32_t self, struct jd_timer *timer,
			    struct jd_runnable *runnable, uint64_t time_ns, bool relative,
			    enum jd_timer_announce *announce);

/* After jd_timer_drop has found the list of a driver's dead full. */
void jd_timekeeper_bury(struct jd_timekeeper *tk, uint32_t self, struct jd_timer_driver *full);

/* Delivers what is due, by the worker of that index; idle: it has nothing else to do. */
void jd_timekeeper_fire(struct jd_timekeeper *tk, uint32_t self, bool idle,
			struct jd_timer_delivery *delivery);

/* For shutdown, when no worker is driven any more: as jd_timer_driver_close, of all drivers. */
struct jd_runnable *jd_timekeeper_close(struct jd_timekeeper *tk);

/*
 * A worker is about to sleep, and next is what jd_timekeeper_next said: until when it may. It has
 * the post if that is not JD_NEVER, until it gives it up.
 */
uint64_t jd_timekeeper_take_post(struct jd_timekeeper *tk, uint32_t self, uint64_t next);
void jd_timekeeper_leave_post(struct jd_timekeeper *tk, uint32_t self, uint64_t until);

/* The index of the timekeeper + 1, or 0. A moment old. */
uint32_t jd_timekeeper_post(const struct jd_timekeeper *tk);

/* Whether there is a timekeeper who sleeps no longer than all drivers allow. A moment old. */
bool jd_timekeeper_in_time(const struct jd_timekeeper *tk);

#endif
