/* test_interval.c - ticks of an interval, in virtual time: on the grid, missed, late, cancelled. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/timer.h>

#define SEEDS 100
#define START 1000
#define PERIOD 100

struct scene {
	struct jd_test_scheduler *test;
	struct jd_scheduler *scheduler;
	struct jd_interval beat;
};

/* The next tick: for which instant, and when it came. */
static bool tick(struct scene *scene, uint64_t instant, uint64_t now)
{
	uint64_t got = 0;
	jd_status status = jd_block(scene->scheduler, &scene->beat.base, &got);

	return jd_test_expect(scene->test, status == JD_OK) &&
	       jd_test_expect(scene->test, got == instant) &&
	       jd_test_expect(scene->test, jd_now(scene->scheduler) == now);
}

static bool begin(struct scene *scene, struct jd_test_scheduler *test, enum jd_missed_ticks missed)
{
	*scene = (struct scene){.test = test, .scheduler = jd_test_scheduler_base(test)};
	return jd_test_expect(test, jd_interval_init(&scene->beat, PERIOD, missed) == JD_OK);
}

static int finish(struct scene *scene, bool ok)
{
	jd_future_drop(&scene->beat.base);
	return !ok;
}

static void many(jd_test_fn fn, void *arg)
{
	const struct jd_test_options options = {.start_ns = START};

	assert_int_equal(jd_test_many(&options, SEEDS, fn, arg), JD_OK);
}

/* --- On time -------------------------------------------------------------------------------- */

static int ticks_on_the_grid(struct jd_test_scheduler *test, void *arg)
{
	struct scene scene;
	bool ok = begin(&scene, test, *(enum jd_missed_ticks *)arg);

	jd_test_advance_clock(test, 7); /* it counts from the first poll */
	for (uint64_t i = 1; ok && i <= 50; i++)
		ok = tick(&scene, START + 7 + i * PERIOD, START + 7 + i * PERIOD);
	return finish(&scene, ok);
}

/* Late by less than a period: nothing is missed, the next is on the grid again. */
static int late_is_not_missed(struct jd_test_scheduler *test, void *arg)
{
	struct scene scene;
	bool ok = begin(&scene, test, *(enum jd_missed_ticks *)arg) &&
		  tick(&scene, START + PERIOD, START + PERIOD);

	for (uint64_t i = 2; ok && i <= 20; i++) {
		uint64_t now = START + i * PERIOD + i * 37 % PERIOD;

		jd_test_advance_clock(test, now - jd_now(scene.scheduler));
		ok = tick(&scene, START + i * PERIOD, now);
	}
	return finish(&scene, ok);
}

static void test_on_time_and_late(void **state)
{
	(void)state;
	for (int missed = JD_MISSED_BURST; missed <= JD_MISSED_DELAY; missed++) {
		enum jd_missed_ticks policy = (enum jd_missed_ticks)missed;

		many(ticks_on_the_grid, &policy);
		many(late_is_not_missed, &policy);
	}
}

static int starts_at_an_instant(struct jd_test_scheduler *test, void *arg)
{
	struct scene scene = {.test = test, .scheduler = jd_test_scheduler_base(test)};
	bool ok = jd_test_expect(test, jd_interval_init_at(&scene.beat, START + 30, PERIOD,
							   JD_MISSED_SKIP) == JD_OK);

	(void)arg;
	ok = ok && tick(&scene, START + 30, START + 30) &&
	     tick(&scene, START + 30 + PERIOD, START + 30 + PERIOD);
	jd_future_drop(&scene.beat.base);
	/* One that has passed comes at once. */
	ok = ok && jd_test_expect(test, jd_interval_init_at(&scene.beat, START, PERIOD,
							    JD_MISSED_BURST) == JD_OK);
	ok = ok && tick(&scene, START, START + 130) && tick(&scene, START + 100, START + 130) &&
	     tick(&scene, START + 200, START + 200);
	return finish(&scene, ok);
}

static void test_starts_at_an_instant(void **state)
{
	(void)state;
	many(starts_at_an_instant, NULL);
}

/* --- Missed --------------------------------------------------------------------------------- */

/* The ticks of 1200, 1300 and 1400 go by; it is polled at 1450. */
static int missed_burst(struct jd_test_scheduler *test, void *arg)
{
	struct scene scene;
	bool ok = begin(&scene, test, JD_MISSED_BURST) && tick(&scene, 1100, 1100);

	(void)arg;
	jd_test_advance_clock(test, 350);
	ok = ok && tick(&scene, 1200, 1450) && tick(&scene, 1300, 1450) &&
	     tick(&scene, 1400, 1450) && tick(&scene, 1500, 1500) && tick(&scene, 1600, 1600);
	return finish(&scene, ok);
}

static int missed_skip(struct jd_test_scheduler *test, void *arg)
{
	struct scene scene;
	bool ok = begin(&scene, test, JD_MISSED_SKIP) && tick(&scene, 1100, 1100);

	(void)arg;
	jd_test_advance_clock(test, 350);
	ok = ok && tick(&scene, 1200, 1450) && tick(&scene, 1500, 1500) && tick(&scene, 1600, 1600);
	/* At an instant of the grid: that tick is for it, and the next a period later. */
	jd_test_advance_clock(test, 300);
	ok = ok && tick(&scene, 1700, 1900) && tick(&scene, 2000, 2000);
	return finish(&scene, ok);
}

static int missed_delay(struct jd_test_scheduler *test, void *arg)
{
	struct scene scene;
	bool ok = begin(&scene, test, JD_MISSED_DELAY) && tick(&scene, 1100, 1100);

	(void)arg;
	jd_test_advance_clock(test, 350);
	ok = ok && tick(&scene, 1200, 1450) && tick(&scene, 1550, 1550) && tick(&scene, 1650, 1650);
	return finish(&scene, ok);
}

static void test_missed_ticks(void **state)
{
	(void)state;
	many(missed_burst, NULL);
	many(missed_skip, NULL);
	many(missed_delay, NULL);
}

/* --- Ends ----------------------------------------------------------------------------------- */

static int reset(struct jd_test_scheduler *test, void *arg)
{
	struct scene scene;
	bool ok = begin(&scene, test, JD_MISSED_SKIP) && tick(&scene, 1100, 1100);

	(void)arg;
	jd_test_advance_clock(test, 40);
	jd_interval_reset(&scene.beat);
	ok = ok && tick(&scene, 1240, 1240) && tick(&scene, 1340, 1340);
	return finish(&scene, ok);
}

static int never(struct jd_test_scheduler *test, void *arg)
{
	struct scene scene = {.test = test, .scheduler = jd_test_scheduler_base(test)};
	uint64_t instant;
	bool ok = jd_test_expect(test, jd_interval_init_at(&scene.beat, START + 1, JD_NEVER,
							   JD_MISSED_BURST) == JD_OK) &&
		  tick(&scene, START + 1, START + 1);

	(void)arg;
	ok = ok && jd_test_expect(test, jd_block_with_timeout(scene.scheduler, &scene.beat.base,
							      JD_SEC, &instant) == JD_ETIMEDOUT);
	return finish(&scene, ok);
}

/* Dropped while it waits, and before it was ever polled: no timer is left to move the clock. */
static int dropped(struct jd_test_scheduler *test, void *arg)
{
	struct scene scene;
	uint64_t instant;
	bool ok = begin(&scene, test, JD_MISSED_BURST);

	(void)arg;
	ok = ok && jd_test_expect(test, jd_block_with_timeout(scene.scheduler, &scene.beat.base, 10,
							      &instant) == JD_ETIMEDOUT);
	finish(&scene, ok);
	ok = ok && begin(&scene, test, JD_MISSED_BURST);
	finish(&scene, ok);
	jd_test_run_until_parked(test);
	return !(ok && jd_test_expect(test, jd_now(scene.scheduler) == START + 10));
}

static void test_ends(void **state)
{
	(void)state;
	many(reset, NULL);
	many(never, NULL);
	many(dropped, NULL);
}

static void test_arguments(void **state)
{
	struct jd_interval beat;

	(void)state;
	assert_int_equal(jd_interval_init(NULL, 1, JD_MISSED_BURST), JD_EINVAL);
	assert_int_equal(jd_interval_init(&beat, 0, JD_MISSED_BURST), JD_EINVAL);
	assert_int_equal(jd_interval_init(&beat, 1, (enum jd_missed_ticks)3), JD_EINVAL);
	assert_int_equal(jd_interval_init_at(&beat, 0, 0, JD_MISSED_SKIP), JD_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_on_time_and_late),
		cmocka_unit_test(test_starts_at_an_instant),
		cmocka_unit_test(test_missed_ticks),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests_name("interval", tests, NULL, NULL);
}
