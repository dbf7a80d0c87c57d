/* test_timer_driver.c - a driver by hand: without memory, with a full ring, with delays unread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform/platform.h"
#include "runtime/timer_driver.h"

enum {
	MANY = 3000, /* more than the ring holds, and several chunks of cells */
};

struct item {
	struct jd_timer timer;
	struct jd_runnable runnable;
	unsigned runs;
};

static struct jd_timer_driver driver;
static struct item items[MANY];
static bool refuse;

static void *alloc(void *ctx, size_t size, size_t align)
{
	const struct jd_allocator *a = jd_allocator_default();

	(void)ctx;
	return refuse ? NULL : a->alloc(a->ctx, size, align);
}

static void dealloc(void *ctx, void *ptr, size_t size, size_t align)
{
	const struct jd_allocator *a = jd_allocator_default();

	(void)ctx;
	a->free(a->ctx, ptr, size, align);
}

static int setup(void **state)
{
	static const struct jd_allocator allocator = {alloc, dealloc, NULL};

	(void)state;
	refuse = false;
	memset(items, 0, sizeof(items));
	memset(&driver, 0, sizeof(driver));
	jd_timer_driver_init(&driver, &allocator, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	jd_timer_driver_fini(&driver);
	return 0;
}

static jd_status arm_when(unsigned i, bool owner, struct jd_timer_when when)
{
	return jd_timer_driver_arm(&driver, owner, &items[i].timer, &items[i].runnable, &when);
}

static jd_status arm(unsigned i, bool owner, uint64_t deadline)
{
	return arm_when(i, owner,
			(struct jd_timer_when){.time_ns = deadline, .about_ns = deadline});
}

static jd_status cancel(unsigned i, bool owner)
{
	return jd_timer_cancel(owner ? &driver : NULL, &items[i].timer);
}

static void deliver(struct jd_timer_delivery *self, struct jd_runnable *runnable)
{
	(void)self;
	jd_container_of(runnable, struct item, runnable)->runs++;
}

/* All that is due, which may take more than one visit. */
static void fire(bool owner, uint64_t now)
{
	struct jd_timer_delivery delivery = {deliver};

	do {
		assert_true(jd_timer_driver_fire(&driver, owner, now, &delivery));
	} while (jd_timer_driver_next(&driver) <= now);
}

static unsigned runs(unsigned from, unsigned to)
{
	unsigned n = 0;

	for (unsigned i = from; i < to; i++)
		n += items[i].runs;
	return n;
}

static void test_no_memory_for_a_cell(void **state)
{
	(void)state;
	refuse = true;
	assert_int_equal(arm(0, true, 10), JD_ENOMEM);
	assert_int_equal(arm(1, false, 10), JD_ENOMEM);
	assert_int_equal(cancel(0, true), JD_EALREADY);
	assert_int_equal(jd_timer_driver_next(&driver), JD_NEVER);
	refuse = false;
	assert_int_equal(arm(0, true, 10), JD_OK);
	assert_int_equal(arm(0, true, 10), JD_EBUSY);
	assert_int_equal(arm(1, false, 20), JD_OK);
	fire(true, 15);
	assert_int_equal(items[0].runs, 1);
	assert_int_equal(items[1].runs, 0);
	fire(true, 20);
	assert_int_equal(items[1].runs, 1);
}

/* Cells there are, but the wheel has nothing to put them into: they fire all the same. */
static void test_no_memory_in_the_wheel(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(arm(i, i % 2, JD_SEC), JD_OK);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(cancel(i, i % 3), JD_OK);
	refuse = true;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(arm(i, i % 2, (i + 1) * 10 * JD_SEC), JD_OK);
	fire(true, 1);
	assert_int_equal(jd_timer_driver_next(&driver), 10 * JD_SEC);
	assert_int_equal(cancel(0, false), JD_OK);
	assert_int_equal(cancel(2, true), JD_OK);
	fire(true, 2);
	assert_int_equal(jd_timer_driver_next(&driver), 20 * JD_SEC);
	fire(false, 40 * JD_SEC - 1);
	assert_int_equal(runs(0, 10), 1);
	assert_int_equal(items[1].runs, 1);
	fire(true, 50 * JD_SEC);
	assert_int_equal(runs(0, 10), 3);
	/* Memory again: the rest moves in. */
	refuse = false;
	fire(true, 50 * JD_SEC);
	assert_null(driver.homeless);
	fire(true, 100 * JD_SEC);
	assert_int_equal(runs(0, 10), 8);
	assert_int_equal(jd_timer_driver_next(&driver), JD_NEVER);
}

static void test_more_than_the_ring_holds(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < MANY; i++)
			assert_int_equal(arm(i, true, 1000 + i), JD_OK);
		for (unsigned i = 0; i < MANY; i += 2)
			assert_int_equal(cancel(i, i % 4 == 0), JD_OK);
		fire(round % 2, 1000 + MANY);
		assert_int_equal(runs(0, MANY), (round + 1) * MANY / 2);
		assert_int_equal(jd_timer_driver_next(&driver), JD_NEVER);
	}
	/* The cells of the first round were enough for the others. */
	assert_true(jd_timer_cells_count(&driver.own) <= MANY + 1);
}

/* Cancelled before anybody fires, again and again: their cells come back without that. */
static void test_cancels_do_not_pile_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100 * 1000; i++) {
		assert_int_equal(arm(i % 100, false, JD_SEC), JD_OK);
		assert_int_equal(cancel(i % 100, false), JD_OK);
		assert_int_equal(arm(100 + i % 100, true, JD_SEC), JD_OK);
		assert_int_equal(cancel(100 + i % 100, i % 2), JD_OK);
	}
	assert_true(jd_timer_cells_count(&driver.foreign) < 1000);
	assert_true(jd_timer_cells_count(&driver.own) < 1000);
}

/* A delay begins at the reading with which the ring is emptied, not at an older one. */
static void test_a_delay_is_never_short(void **state)
{
	const struct jd_timer_when when = {.time_ns = 100, .about_ns = 100, .relative = true};

	(void)state;
	assert_int_equal(arm_when(0, true, when), JD_OK);
	/* Somebody must look when it could be due for all one knows, and adds the delay then. */
	assert_int_equal(jd_timer_driver_next(&driver), 100);
	fire(true, 50);
	assert_int_equal(jd_timer_driver_next(&driver), 150);
	fire(true, 149);
	assert_int_equal(items[0].runs, 0);
	fire(true, 150);
	assert_int_equal(items[0].runs, 1);
	/* Another thread reads the clock itself. */
	uint64_t before = jd_clock_now();

	assert_int_equal(arm_when(1, true, when), JD_OK);
	assert_true(jd_timer_driver_fire(&driver, false, 1, &(struct jd_timer_delivery){deliver}));
	assert_true(items[1].runs || jd_timer_driver_next(&driver) >= before + 100);
	fire(false, jd_clock_now() + 1000);
	assert_int_equal(items[1].runs, 1);
}

static void test_slack_is_rounded_up(void **state)
{
	struct jd_timer timer;

	(void)state;
	memset(&timer, 0, sizeof(timer));
	assert_int_equal(jd_timer_when(&driver, &timer, JD_SEC, false, false).slack_bits,
			 JD_TIMER_SLACK_BITS);
	assert_int_equal(jd_timer_when(&driver, &timer, 8000, false, false).slack_bits, 9);
	assert_int_equal(jd_timer_when(&driver, &timer, 0, false, false).slack_bits, 0);
	jd_timer_set_slack(&timer, 0);
	assert_int_equal(jd_timer_when(&driver, &timer, JD_SEC, false, false).slack_bits, 0);
	jd_timer_set_slack(&timer, 1023);
	assert_int_equal(jd_timer_when(&driver, &timer, JD_SEC, false, false).slack_bits, 10);
	jd_timer_set_slack(&timer, 1022);
	assert_int_equal(jd_timer_when(&driver, &timer, JD_SEC, false, false).slack_bits, 9);
	jd_timer_set_slack(&timer, JD_NEVER);
	assert_int_equal(jd_timer_when(&driver, &timer, JD_SEC, false, false).slack_bits, 31);
	assert_int_equal(jd_timer_rounded(1, 10), 1024);
	assert_int_equal(jd_timer_rounded(1024, 10), 1024);
	assert_true(jd_timer_rounded(JD_NEVER, 10) == JD_NEVER);
	assert_true(jd_timer_rounded(JD_NEVER - 1, 10) == JD_NEVER - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_memory_for_a_cell, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory_in_the_wheel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_than_the_ring_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancels_do_not_pile_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_delay_is_never_short, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slack_is_rounded_up, setup, teardown),
	};

	return cmocka_run_group_tests_name("timer driver", tests, NULL, NULL);
}
