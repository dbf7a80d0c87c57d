/* test_clock.c - virtual time and the timers that wait for it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/test_scheduler.h"

#include "runtime/memory.h"
#include "runtime/tuning.h"

/*
 * A timer's state is in its _cell. It is in the wheel (ARMED), then, when the clock has reached it,
 * in the array of due timers (DUE), where each is a candidate of its own: it fires when it is
 * picked and can be cancelled up to then. The array has room for every armed timer, so that moving
 * the clock cannot fail.
 */
static uint32_t state_of(const struct jd_timer *timer)
{
	return (uint32_t)(uintptr_t)atomic_load_explicit(&timer->_cell, memory_order_relaxed);
}

static void set_state(struct jd_timer *timer, uint32_t state)
{
	atomic_store_explicit(&timer->_cell, (void *)(uintptr_t)state, memory_order_relaxed);
}

/* Room for one timer more. */
static bool reserve(const struct jd_allocator *allocator, struct jd_test_timers *timers)
{
	if (timers->armed + timers->due_count < timers->due_capacity)
		return true;
	size_t capacity = timers->due_capacity ? timers->due_capacity * 2 : JD_TEST_QUEUE_SLOTS;
	struct jd_timer **due =
		jd_memory_zalloc(allocator, capacity, sizeof(*due), alignof(struct jd_timer *));

	if (!due)
		return false;
	if (timers->due_count)
		memcpy(due, timers->due, timers->due_count * sizeof(*due));
	jd_memory_free(allocator, timers->due, timers->due_capacity * sizeof(*due),
		       alignof(struct jd_timer *));
	timers->due = due;
	timers->due_capacity = capacity;
	return true;
}

static void add_due(struct jd_test_timers *timers, struct jd_timer *timer)
{
	JD_ASSERT(timers->due_count < timers->due_capacity);
	timer->_slot = (uint32_t)timers->due_count;
	set_state(timer, JD_TEST_TIMER_DUE);
	timers->due[timers->due_count++] = timer;
}

/* The wheel wants timers to come with a slot of 0. */
static void remove_due(struct jd_test_timers *timers, struct jd_timer *timer)
{
	struct jd_timer *last = timers->due[--timers->due_count];

	JD_ASSERT(timers->due[timer->_slot] == timer || last == timer);
	timers->due[timer->_slot] = last;
	last->_slot = timer->_slot;
	timer->_slot = 0;
	set_state(timer, JD_TEST_TIMER_IDLE);
}

static void all_due(struct jd_test_timers *timers, struct jd_timer *expired, size_t count)
{
	JD_ASSERT(count <= timers->armed);
	timers->armed -= count;
	while (expired) {
		struct jd_timer *next = expired->_next;

		add_due(timers, expired);
		expired = next;
	}
}

/* --- The operations ---------------------------------------------------------------------- */

static jd_status arm(struct jd_test_scheduler *ts, struct jd_timer *timer,
		     struct jd_runnable *runnable, uint64_t deadline_ns)
{
	struct jd_test_timers *timers = &ts->timers;

	if (state_of(timer) != JD_TEST_TIMER_IDLE)
		return JD_EBUSY;
	if (!reserve(ts->base.allocator, timers))
		return JD_ENOMEM;
	timer->_runnable = runnable;
	atomic_store_explicit(&timer->_owner, ts, memory_order_relaxed);
	if (deadline_ns <= jd_test_clock_now(ts)) {
		timer->_deadline_ns = deadline_ns;
		add_due(timers, timer);
		return JD_OK;
	}
	jd_status status = jd_wheel_insert(&timers->wheel, timer, deadline_ns, 0);

	if (status != JD_OK)
		return status;
	set_state(timer, JD_TEST_TIMER_ARMED);
	timers->armed++;
	return JD_OK;
}

jd_status jd_test_clock_schedule_at(struct jd_scheduler *base, struct jd_timer *timer,
				    struct jd_runnable *runnable, uint64_t deadline_ns)
{
	struct jd_test_scheduler *ts = jd_container_of(base, struct jd_test_scheduler, base);
	bool foreign = jd_test_foreign_check(ts, JD_TEST_FOREIGN_TIMER, NULL);
	jd_status status = JD_ECLOSED;

	jd_lock_acquire(&ts->lock);
	if (ts->phase == JD_TEST_OPEN ||
	    (ts->phase == JD_TEST_CLOSED && (runnable->flags & JD_RUNNABLE_RESUME)))
		status = arm(ts, timer, runnable, deadline_ns);
	jd_lock_release(&ts->lock);
	if (foreign)
		jd_test_foreign_notify(ts);
	return status;
}

jd_status jd_test_clock_cancel(struct jd_scheduler *base, struct jd_timer *timer)
{
	struct jd_test_scheduler *ts = jd_container_of(base, struct jd_test_scheduler, base);
	struct jd_test_timers *timers = &ts->timers;
	jd_status status = JD_OK;

	jd_test_foreign_check(ts, JD_TEST_FOREIGN_CANCEL_TIMER, NULL);
	jd_lock_acquire(&ts->lock);
	uint32_t state = state_of(timer);

	if (state == JD_TEST_TIMER_IDLE) {
		status = JD_EALREADY;
	} else if (atomic_load_explicit(&timer->_owner, memory_order_relaxed) != ts) {
		status = JD_EINVAL;
	} else if (state == JD_TEST_TIMER_DUE) {
		remove_due(timers, timer);
	} else {
		jd_wheel_remove(&timers->wheel, timer);
		timers->armed--;
		set_state(timer, JD_TEST_TIMER_IDLE);
	}
	jd_lock_release(&ts->lock);
	return status;
}

/* --- For the test's thread --------------------------------------------------------------- */

uint64_t jd_test_clock_next(struct jd_test_scheduler *ts)
{
	jd_lock_acquire(&ts->lock);
	uint64_t next = jd_wheel_next_deadline(&ts->timers.wheel);

	jd_lock_release(&ts->lock);
	return next;
}

void jd_test_clock_move(struct jd_test_scheduler *ts, uint64_t to_ns)
{
	struct jd_timer *expired;

	if (to_ns <= jd_test_clock_now(ts))
		return;
	jd_lock_acquire(&ts->lock);
	atomic_store_explicit(&ts->clock, to_ns, memory_order_relaxed);
	size_t count = jd_wheel_advance(&ts->timers.wheel, to_ns, &expired);

	all_due(&ts->timers, expired, count);
	jd_lock_release(&ts->lock);
	jd_test_choice_trace(ts, JD_TEST_TRACE_CLOCK, to_ns);
	/* Other threads may wait for this instant. */
	jd_test_foreign_notify(ts);
}

struct jd_runnable *jd_test_clock_take(struct jd_test_scheduler *ts, size_t i)
{
	JD_ASSERT(i < ts->timers.due_count);
	struct jd_timer *timer = ts->timers.due[i];
	struct jd_runnable *runnable = timer->_runnable;

	/* From here on the memory is its user's again. */
	remove_due(&ts->timers, timer);
	return runnable;
}

struct jd_runnable *jd_test_clock_take_any(struct jd_test_scheduler *ts)
{
	struct jd_test_timers *timers = &ts->timers;
	struct jd_timer *all;

	if (timers->armed) {
		size_t count = jd_wheel_drain(&timers->wheel, &all);

		all_due(timers, all, count);
	}
	return timers->due_count ? jd_test_clock_take(ts, timers->due_count - 1) : NULL;
}

void jd_test_clock_fini(struct jd_test_scheduler *ts)
{
	struct jd_test_timers *timers = &ts->timers;

	JD_ASSERT(timers->armed == 0 && timers->due_count == 0);
	jd_wheel_fini(&timers->wheel);
	jd_memory_free(ts->base.allocator, timers->due, timers->due_capacity * sizeof(*timers->due),
		       alignof(struct jd_timer *));
}
