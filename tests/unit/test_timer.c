/* test_timer.c - sleeps end at their instant, are told from cancelled ones and leave nothing. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/combine.h>
#include <jackdaw/task.h>
#include <jackdaw/timer.h>

#include "tests/testlib/crank.h"

static int setup(void **state)
{
	*state = crank_new();
	return 0;
}

static int teardown(void **state)
{
	crank_free(*state);
	return 0;
}

/* --- Sleep ----------------------------------------------------------------------------------- */

static void test_zero_is_ready_without_a_timer(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_sleep sleep;

	crank->refuse_timers = JD_ENOMEM;
	jd_sleep_init(&sleep, 0);
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_OK);
	jd_future_drop(&sleep.base);
	jd_sleep_init_from_now(&sleep, &crank->base, 0);
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_OK);
	jd_future_drop(&sleep.base);
	crank->now = 100;
	jd_sleep_init_until(&sleep, 100);
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_OK);
	jd_future_drop(&sleep.base);
	assert_int_equal(tally.refs, 0);
}

static void test_fires_at_its_instant_and_not_before(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_sleep sleep;

	crank->now = 1000;
	jd_sleep_init(&sleep, 50);
	crank_advance(crank, 1010); /* the delay counts from the first poll */
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_PENDING);
	crank_advance(crank, 1059);
	assert_int_equal(tally.wakes, 0);
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_PENDING);
	crank_advance(crank, 1060);
	assert_int_equal(tally.wakes, 1);
	assert_int_equal(tally.refs, 0);
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_OK);
	jd_future_drop(&sleep.base);
}

static void test_from_now_counts_from_the_call(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_sleep sleep;

	jd_sleep_init_from_now(&sleep, &crank->base, 50);
	crank_advance(crank, 20);
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_PENDING);
	crank_advance(crank, 50);
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_OK);
	jd_future_drop(&sleep.base);
	jd_sleep_init_from_now(&sleep, &crank->base, JD_NEVER);
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_PENDING);
	crank_advance(crank, JD_NEVER - 1);
	assert_int_equal(tally.wakes, 1);
	jd_future_drop(&sleep.base);
	assert_int_equal(tally.refs, 0);
}

static void test_never_does_not_fire_also_by_overflow(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_sleep never, overflow;

	crank->now = 10;
	jd_sleep_init(&never, JD_NEVER);
	jd_sleep_init(&overflow, JD_NEVER - 5);
	assert_int_equal(crank_poll(crank, &never.base, &tally, NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &overflow.base, &tally, NULL), JD_PENDING);
	crank_advance(crank, JD_NEVER - 1);
	assert_int_equal(tally.wakes, 0);
	jd_future_drop(&never.base);
	jd_future_drop(&overflow.base);
	assert_int_equal(crank->armed, 0);
	assert_int_equal(tally.refs, 0);
}

static void test_drop_leaves_no_timer_and_no_waker(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_sleep sleep;

	jd_sleep_init(&sleep, 50);
	jd_future_drop(&sleep.base); /* never polled */
	jd_sleep_init(&sleep, 50);
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_PENDING);
	assert_int_equal(crank->armed, 1);
	jd_future_drop(&sleep.base);
	assert_int_equal(crank->armed, 0);
	crank_advance(crank, 100);
	assert_int_equal(tally.wakes, 0);
	assert_int_equal(tally.refs, 0);
}

static void test_the_latest_waker_counts(void **state)
{
	struct crank *crank = *state;
	struct tally first = {0}, second = {0};
	struct jd_sleep sleep;

	jd_sleep_init(&sleep, 50);
	assert_int_equal(crank_poll(crank, &sleep.base, &first, NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &sleep.base, &first, NULL), JD_PENDING);
	assert_int_equal(first.refs, 1);
	assert_int_equal(crank_poll(crank, &sleep.base, &second, NULL), JD_PENDING);
	assert_int_equal(first.refs, 0);
	crank_advance(crank, 50);
	assert_int_equal(first.wakes, 0);
	assert_int_equal(second.wakes, 1);
	assert_int_equal(crank_poll(crank, &sleep.base, &first, NULL), JD_OK);
	jd_future_drop(&sleep.base);
	assert_int_equal(second.refs, 0);
}

static void test_a_failed_arm_is_the_status(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_sleep sleep;

	crank->refuse_timers = JD_ENOMEM;
	jd_sleep_init(&sleep, 50);
	assert_int_equal(crank_poll(crank, &sleep.base, &tally, NULL), JD_ENOMEM);
	jd_future_drop(&sleep.base);
	assert_int_equal(tally.refs, 0);
}

static void test_shutdown_is_not_firing(void **state)
{
	struct crank *crank = crank_new();
	struct tally tally = {0};
	struct jd_sleep fired, cancelled, late;

	(void)state;
	jd_sleep_init(&fired, 10);
	jd_sleep_init(&cancelled, 20);
	jd_sleep_init(&late, 20);
	assert_int_equal(crank_poll(crank, &fired.base, &tally, NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &cancelled.base, &tally, NULL), JD_PENDING);
	crank_advance(crank, 10);
	jd_scheduler_retain(&crank->base);
	crank_free(crank);
	assert_int_equal(tally.wakes, 2);
	assert_int_equal(crank_poll(crank, &fired.base, &tally, NULL), JD_OK);
	assert_int_equal(crank_poll(crank, &cancelled.base, &tally, NULL), JD_ECANCELED);
	assert_int_equal(crank_poll(crank, &late.base, &tally, NULL), JD_ECLOSED);
	jd_future_drop(&fired.base);
	jd_future_drop(&late.base);
	jd_scheduler_release(&crank->base);
	jd_future_drop(&cancelled.base); /* needs the scheduler no more */
	assert_int_equal(tally.refs, 0);
}

static void test_header_example(void **state)
{
	struct crank *crank = *state;
	struct jd_scheduler *scheduler = &crank->base;
	struct jd_sleep nap;

	jd_sleep_init(&nap, 10 * JD_MS);
	jd_status status = jd_block(scheduler, &nap.base, NULL);
	jd_future_drop(&nap.base);
	assert_int_equal(status, JD_OK);
	assert_int_equal(crank->now, 10 * JD_MS);
}

static void test_a_spawned_sleep_is_cancelled_with_its_task(void **state)
{
	struct crank *crank = *state;
	struct jd_sleep sleep;
	struct jd_task *task;

	jd_sleep_init(&sleep, JD_SEC);
	assert_int_equal(jd_spawn(&crank->base, &sleep.base, &task), JD_OK);
	crank_run(crank);
	assert_int_equal(crank->armed, 1);
	assert_int_equal(jd_task_cancel(task), JD_OK);
	crank_run(crank);
	assert_int_equal(crank->armed, 0);
	assert_int_equal(jd_task_join(task, NULL), JD_ECANCELED);
}

/* --- Timeout --------------------------------------------------------------------------------- */

static void test_timeout_needs_its_parts(void **state)
{
	struct valve valve;
	struct jd_timeout limit;
	int value;

	(void)state;
	valve_init(&valve, 7);
	assert_int_equal(jd_timeout_init(&limit, NULL, &value, 1, JD_OWN), JD_EINVAL);
	assert_int_equal(jd_timeout_init(&limit, &valve.base, NULL, 1, JD_OWN), JD_EINVAL);
	assert_int_equal(jd_timeout_init(NULL, &valve.base, &value, 1, JD_OWN), JD_EINVAL);
	assert_int_equal(jd_timeout_init_until(NULL, &valve.base, &value, 1, JD_OWN), JD_EINVAL);
	assert_int_equal(valve.drops, 0);
}

static void test_timeout_passes_on_what_is_ready(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct valve valve;
	struct jd_timeout limit;
	int value = 0;

	valve_init(&valve, 7);
	valve_open(&valve, JD_OK);
	crank->refuse_timers = JD_ENOMEM; /* it must not need a timer */
	assert_int_equal(jd_timeout_init(&limit, &valve.base, &value, 50, JD_OWN), JD_OK);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_OK);
	assert_int_equal(value, 7);
	assert_int_equal(valve.drops, 1);
	jd_future_drop(&limit.base);
	assert_int_equal(valve.drops, 1);

	valve_init(&valve, 7);
	valve_open(&valve, JD_EFAILED);
	assert_int_equal(jd_timeout_init(&limit, &valve.base, &value, 50, JD_BORROW), JD_OK);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_EFAILED);
	jd_future_drop(&limit.base);
	assert_int_equal(valve.drops, 0);
}

static void test_timeout_leaves_a_borrowed_future_alive(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct valve valve;
	struct jd_timeout limit;
	int value = 0;

	valve_init(&valve, 7);
	assert_int_equal(jd_timeout_init(&limit, &valve.base, &value, 50, JD_BORROW), JD_OK);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_PENDING);
	assert_int_equal(valve.polls, 1);
	crank_advance(crank, 50);
	assert_int_equal(tally.wakes, 1);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_ETIMEDOUT);
	assert_int_equal(valve.polls, 2); /* once more after the deadline */
	jd_future_drop(&limit.base);
	assert_int_equal(valve.drops, 0);
	valve_open(&valve, JD_OK);
	assert_int_equal(crank_poll(crank, &valve.base, &tally, &value), JD_OK);
	assert_int_equal(value, 7);
	assert_int_equal(tally.refs, 0);
}

static void test_timeout_ready_at_the_deadline_wins(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct valve valve;
	struct jd_timeout limit;
	int value = 0;

	valve_init(&valve, 7);
	assert_int_equal(jd_timeout_init_until(&limit, &valve.base, &value, 50, JD_OWN), JD_OK);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_PENDING);
	crank_advance(crank, 60);
	valve_open(&valve, JD_OK);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_OK);
	assert_int_equal(value, 7);
	jd_future_drop(&limit.base);
	assert_int_equal(valve.drops, 1);
}

static void test_timeout_ready_before_the_deadline(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct valve valve;
	struct jd_timeout limit;
	int value = 0;

	valve_init(&valve, 7);
	assert_int_equal(jd_timeout_init(&limit, &valve.base, &value, 50, JD_OWN), JD_OK);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_PENDING);
	crank_advance(crank, 20);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_PENDING);
	valve_open(&valve, JD_OK);
	assert_int_equal(tally.wakes, 1);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_OK);
	assert_int_equal(value, 7);
	jd_future_drop(&limit.base);
	assert_int_equal(crank->armed, 0);
	assert_int_equal(tally.refs, 0);
}

static void test_timeout_zero_and_owned(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct valve valve;
	struct jd_timeout limit;
	int value;

	valve_init(&valve, 7);
	assert_int_equal(jd_timeout_init(&limit, &valve.base, &value, 0, JD_OWN), JD_OK);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_ETIMEDOUT);
	assert_int_equal(valve.drops, 1);
	jd_future_drop(&limit.base);
	assert_int_equal(valve.drops, 1);

	valve_init(&valve, 7);
	assert_int_equal(jd_timeout_init(&limit, &valve.base, &value, 50, JD_OWN), JD_OK);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_PENDING);
	jd_future_drop(&limit.base); /* half-way */
	assert_int_equal(valve.drops, 1);
	assert_int_equal(crank->armed, 0);
	assert_int_equal(tally.refs, 0);
}

static void test_timeout_without_a_timer_says_so(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct valve valve;
	struct jd_timeout limit;
	int value;

	valve_init(&valve, 7);
	crank->refuse_timers = JD_ENOMEM;
	assert_int_equal(jd_timeout_init(&limit, &valve.base, &value, 50, JD_BORROW), JD_OK);
	assert_int_equal(crank_poll(crank, &limit.base, &tally, NULL), JD_ENOMEM);
	jd_future_drop(&limit.base);
	assert_int_equal(valve.drops, 0);
}

int main(void)
{
#define WITH_CRANK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_CRANK(test_zero_is_ready_without_a_timer),
		WITH_CRANK(test_fires_at_its_instant_and_not_before),
		WITH_CRANK(test_from_now_counts_from_the_call),
		WITH_CRANK(test_never_does_not_fire_also_by_overflow),
		WITH_CRANK(test_drop_leaves_no_timer_and_no_waker),
		WITH_CRANK(test_the_latest_waker_counts),
		WITH_CRANK(test_a_failed_arm_is_the_status),
		cmocka_unit_test(test_shutdown_is_not_firing),
		WITH_CRANK(test_header_example),
		WITH_CRANK(test_a_spawned_sleep_is_cancelled_with_its_task),
		cmocka_unit_test(test_timeout_needs_its_parts),
		WITH_CRANK(test_timeout_passes_on_what_is_ready),
		WITH_CRANK(test_timeout_leaves_a_borrowed_future_alive),
		WITH_CRANK(test_timeout_ready_at_the_deadline_wins),
		WITH_CRANK(test_timeout_ready_before_the_deadline),
		WITH_CRANK(test_timeout_zero_and_owned),
		WITH_CRANK(test_timeout_without_a_timer_says_so),
	};

	return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
