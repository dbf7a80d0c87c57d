/* test_ws_busy.c - when every worker is always busy: timers fire, nobody's work is left behind. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

enum {
	WORKERS = 2,
	CHILDREN = 5,
	WARM = 200,     /* long runnables of all workers before the timer is armed */
	LATE_MAX = 8,   /* that begin between a deadline and its timer: a few for each worker */
	PATIENCE_S = 30 /* for what should take milliseconds */
};

static struct {
	_Atomic(bool) stop;
	_Atomic(unsigned) ran;  /* children, or long runnables */
	_Atomic(unsigned) late; /* long runnables that began after the deadline, before it fired */
	_Atomic(uint64_t) due;  /* the deadline; 0: none yet */
	_Atomic(bool) fired;
} s;

static void reset(void)
{
	s.stop = false;
	s.ran = s.late = 0;
	s.due = 0;
	s.fired = false;
}

static bool impatient(struct jd_scheduler *scheduler, uint64_t since)
{
	return jd_now(scheduler) - since > PATIENCE_S * JD_SEC;
}

static struct jd_scheduler *two_workers(void)
{
	const struct jd_ws_options options = {.workers = WORKERS};
	struct jd_scheduler *scheduler;

	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	return scheduler;
}

static void spawn(struct jd_scheduler *scheduler, const struct jd_future_ops *ops)
{
	struct jd_future future = {ops};

	assert_int_equal(jd_spawn(scheduler, &future, NULL), JD_OK);
}

static void finish(struct jd_scheduler *scheduler)
{
	assert_int_equal(jd_scheduler_drain(scheduler, JD_NEVER), JD_OK);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

static jd_status again(struct jd_context *context)
{
	if (s.stop)
		return JD_OK;
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

/* --- Work behind one that does not return --------------------------------------------------- */

static jd_status restless_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	(void)future;
	(void)result;
	return again(context);
}

static void *child(void *arg)
{
	s.ran++;
	return arg;
}

/* Spawns children and computes until they have run: elsewhere, since it is in their way. */
static jd_status parent_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_scheduler *scheduler = context->scheduler;
	uint64_t since = jd_now(scheduler);
	jd_status status = JD_OK;

	(void)future;
	(void)result;
	for (int i = 0; i < CHILDREN && status == JD_OK; i++)
		status = jd_spawn_fn(scheduler, child, NULL, NULL);
	while (status == JD_OK && s.ran < CHILDREN && !impatient(scheduler, since))
		;
	s.late = CHILDREN - s.ran;
	s.stop = true;
	return status;
}

static void test_what_waits_behind_one_that_computes(void **state)
{
	static const struct jd_future_ops restless = {.poll = restless_poll,
						      .size = sizeof(struct jd_future)};
	static const struct jd_future_ops parent = {.poll = parent_poll,
						    .size = sizeof(struct jd_future)};
	struct jd_scheduler *scheduler = two_workers();

	(void)state;
	reset();
	spawn(scheduler, &restless);
	spawn(scheduler, &parent);
	finish(scheduler);
	assert_int_equal(s.late, 0);
	assert_int_equal(s.ran, CHILDREN);
}

/* --- A timer among long runnables ----------------------------------------------------------- */

static jd_status long_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	uint64_t now = jd_now(context->scheduler), end = now + JD_MS;

	(void)future;
	(void)result;
	if (s.due && now >= s.due && !s.fired)
		s.late++;
	while (jd_now(context->scheduler) < end)
		;
	s.ran++;
	return again(context);
}

static void fire(struct jd_runnable *runnable, struct jd_worker *worker)
{
	(void)runnable;
	(void)worker;
	s.fired = true;
	s.stop = true;
}

static void cancelled(struct jd_runnable *runnable)
{
	(void)runnable;
}

static void test_a_timer_does_not_wait_for_many(void **state)
{
	static const struct jd_future_ops long_ops = {.poll = long_poll,
						      .size = sizeof(struct jd_future)};
	static const struct jd_runnable_ops fire_ops = {.run = fire, .cancel = cancelled};
	struct jd_runnable runnable = JD_RUNNABLE_INIT(&fire_ops);
	struct jd_timer timer = {0};
	struct jd_scheduler *scheduler = two_workers();
	uint64_t since = jd_now(scheduler);

	(void)state;
	reset();
	for (int i = 0; i < 2 * WORKERS; i++)
		spawn(scheduler, &long_ops);
	while (s.ran < WARM && !impatient(scheduler, since))
		;
	jd_timer_set_slack(&timer, 0);
	s.due = jd_now(scheduler) + 5 * JD_MS;
	assert_int_equal(jd_schedule_at(scheduler, &timer, &runnable, s.due), JD_OK);
	while (!s.fired && !impatient(scheduler, since))
		;
	s.stop = true;
	finish(scheduler);
	print_message("  %u began between the deadline and the timer\n", s.late);
	assert_true(s.fired);
	assert_in_range(s.late, 0, LATE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_waits_behind_one_that_computes),
		cmocka_unit_test(test_a_timer_does_not_wait_for_many),
	};

	return cmocka_run_group_tests_name("ws busy", tests, NULL, NULL);
}
