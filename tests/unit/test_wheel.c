/* test_wheel.c - the timer wheel: against a model, and at every boundary. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform/platform.h"
#include "tests/testlib/death.h"
#include "tests/testlib/wheel_fixture.h"
#include "tests/testlib/wheel_model.h"

static const unsigned shifts[] = {0, 1, 5, 6, 16, 20, JD_WHEEL_SHIFT_MAX};
enum {
	SHIFTS = sizeof(shifts) / sizeof(shifts[0])
};

static uint64_t model_steps = 1000000;

/* Advances and expects exactly these, in this order; NULL ends them. */
static void expect_expired(uint64_t now_ns, ...)
{
	struct jd_timer *list, *expected;
	size_t n, count = 0;
	va_list args;

	n = jd_wheel_advance(&wheel, now_ns, &list);
	va_start(args, now_ns);
	while ((expected = va_arg(args, struct jd_timer *)) != NULL) {
		assert_ptr_equal(list, expected);
		assert_false(jd_wheel_holds(list));
		list = list->_next;
		count++;
	}
	va_end(args);
	assert_null(list);
	assert_int_equal(n, count);
}

#define expect_nothing(now_ns) expect_expired((now_ns), (struct jd_timer *)NULL)
#define expect_one(now_ns, timer) expect_expired((now_ns), (timer), (struct jd_timer *)NULL)

/* --- Against the model ------------------------------------------------------------------------ */

static void run_seed(uint64_t seed, uint64_t steps, unsigned check_every)
{
	struct wheel_seeded choices;

	wheel_seeded_init(&choices, seed);
	if (!wheel_model_run(&choices.base, steps, check_every, stderr))
		fail_msg("seed %" PRIu64 " differs; repeat: JD_SEED=%" PRIu64
			 " unit_wheel %" PRIu64,
			 seed, seed, model_steps);
}

/* A few fixed seeds, one new one; JD_SEED gives the new one. */
static void test_model(void **state)
{
	const char *given = getenv("JD_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : jd_random_seed();

	(void)state;
	print_message("           JD_SEED=%" PRIu64 "\n", seed);
	run_seed(seed, model_steps / 2, 1000);
	run_seed(seed, model_steps / 20, 20);
	for (uint64_t s = 1; s <= 10; s++)
		run_seed(s, model_steps / 20, 200);
}

/* --- Boundaries ------------------------------------------------------------------------------- */

/* Fires at its deadline: nothing 1 ns before, it at it. */
static void check_exact(uint64_t now_ns, unsigned shift, uint64_t deadline_ns)
{
	struct jd_timer t = {0};

	begin(now_ns, shift);
	insert(&t, deadline_ns);
	assert_sound();
	assert_int_equal(jd_wheel_next_deadline(&wheel), deadline_ns);
	if (deadline_ns > now_ns) {
		expect_nothing(deadline_ns - 1);
		assert_int_equal(jd_wheel_next_deadline(&wheel), deadline_ns);
		expect_one(deadline_ns, &t);
	} else {
		expect_one(now_ns, &t);
	}
	assert_int_equal(jd_wheel_next_deadline(&wheel), JD_NEVER);

	/* the same in one step, past it by a lot */
	begin(now_ns, shift);
	insert(&t, deadline_ns);
	expect_one(UINT64_MAX, &t);
}

static void check_around(uint64_t now_ns, unsigned shift, uint64_t at_ns)
{
	for (uint64_t d = at_ns - 2; d != at_ns + 3; d++)
		if (d != JD_NEVER)
			check_exact(now_ns, shift, d);
}

static const uint64_t instants[] = {
	0,
	1,
	63,
	64,
	4095,
	(UINT64_C(1) << 36) - 1,
	UINT64_C(1) << 36,
	UINT64_C(1700000000000000000),
	(UINT64_C(1) << 63) - 1,
	UINT64_C(1) << 63,
	UINT64_MAX - 70,
	UINT64_MAX - 1,
};
enum {
	INSTANTS = sizeof(instants) / sizeof(instants[0])
};

/* Around the begin of a slot, of the next slot and of the level, seen from many instants. */
static void test_boundaries_of_every_level(void **state)
{
	(void)state;
	for (unsigned s = 0; s < SHIFTS; s += 2) {
		for (unsigned i = 0; i < INSTANTS; i++) {
			for (unsigned bits = 0; bits < 64; bits++) {
				uint64_t width = UINT64_C(1) << bits, now = instants[i];

				check_around(now, shifts[s], now + width);
				check_around(now, shifts[s], (now | (width - 1)) + 1);
				check_around(now, shifts[s], width);
			}
		}
	}
}

/* now itself crosses the wrap of every level, in steps of one and at once. */
static void test_now_crosses_every_wrap(void **state)
{
	(void)state;
	for (unsigned s = 0; s < SHIFTS; s++) {
		for (unsigned bits = 4; bits < 64; bits++) {
			uint64_t wrap = UINT64_C(1) << bits, last = wrap - 1;
			struct jd_timer t[4] = {{0}};

			begin(last - 1, shifts[s]);
			for (unsigned i = 0; i < 4; i++)
				insert(&t[i], last + i);
			for (unsigned i = 0; i < 4; i++) {
				assert_int_equal(jd_wheel_next_deadline(&wheel), last + i);
				expect_one(last + i, &t[i]);
			}
			begin(last - 1, shifts[s]);
			for (unsigned i = 4; i-- > 0;)
				insert(&t[i], last + i);
			expect_expired(wrap, &t[0], &t[1], NULL);
			insert(&t[0], wrap + wrap / 2);
			insert(&t[1], wrap + wrap / 2 - 1);
			assert_sound();
			expect_expired(UINT64_MAX, &t[2], &t[3], &t[1], &t[0], NULL);
		}
	}
}

/* Every slot of every level once, with now moved from each to the next. */
static void test_every_slot(void **state)
{
	static struct jd_timer t[JD_WHEEL_RING];

	(void)state;
	for (unsigned s = 0; s < SHIFTS; s++) {
		for (unsigned level = 0; shifts[s] + 6 * level < 64; level++) {
			unsigned width = shifts[s] + 6 * level;
			uint64_t slots = level ? JD_WHEEL_SLOTS : JD_WHEEL_RING;

			if (slots - 1 > UINT64_MAX >> width)
				slots = (UINT64_MAX >> width) + 1;
			begin(0, shifts[s]);
			/* At the begin of a slot, or, where it is wider than 1 ns, behind it. */
			for (uint64_t i = 1; i < slots; i++)
				insert(&t[i], (i << width) + (level ? i % 2 : 0));
			assert_sound();
			for (uint64_t i = 1; i < slots; i++) {
				uint64_t at = (i << width) + (level ? i % 2 : 0);
				struct jd_timer *list;

				assert_int_equal(jd_wheel_next_deadline(&wheel), at);
				assert_int_equal(jd_wheel_advance(&wheel, at - 1, &list), 0);
				assert_ptr_equal(jd_wheel_pop(&wheel, at), &t[i]);
			}
			assert_int_equal(jd_wheel_count(&wheel), 0);
			assert_sound();
		}
	}
}

/* Now is at the end of time, the deadline at its begin: not as near as their difference looks. */
static void test_past_beyond_the_wrap(void **state)
{
	struct jd_timer t = {0};

	(void)state;
	begin(UINT64_MAX - 10, 0);
	insert(&t, 5);
	assert_sound();
	assert_int_equal(jd_wheel_next_deadline(&wheel), 5);
	assert_ptr_equal(jd_wheel_pop(&wheel, UINT64_MAX - 10), &t);
}

/* --- Slack ------------------------------------------------------------------------------------ */

static void check_slack(uint64_t deadline_ns, uint64_t slack_ns, uint64_t expected_ns)
{
	struct jd_timer t = {0};

	insert_slack(&t, deadline_ns, slack_ns);
	assert_int_equal(t._deadline_ns, expected_ns);
	assert_int_equal(jd_wheel_next_deadline(&wheel), expected_ns);
	assert_sound();
	jd_wheel_remove(&wheel, &t);
}

static void test_slack_rounds_up(void **state)
{
	(void)state;
	begin(0, 10);
	check_slack(5000, 0, 5000);
	check_slack(5000, 1022, 5000); /* no tick fits */
	check_slack(5000, 1023, 5120);
	check_slack(5000, 1024, 5120);
	check_slack(5120, 1023, 5120);
	check_slack(5121, 1023, 6144);
	check_slack(5000, 2046, 5120);
	check_slack(5000, 2047, 6144); /* two ticks: fewer instants */
	check_slack(5000, 4095, 8192);
	check_slack(5000, UINT64_C(1) << 62, UINT64_C(1) << 62);
	check_slack(5000, UINT64_MAX, UINT64_C(1) << 63);
	check_slack(JD_NEVER - 1, 1023, JD_NEVER - 1); /* no instant to round to */
	check_slack(JD_NEVER - 1, UINT64_MAX, JD_NEVER - 1);
	begin(0, 0);
	check_slack(5000, 0, 5000);
	check_slack(5000, 1, 5000);
	check_slack(5001, 1, 5002);
}

/* Some exact and some coarse ones of the same tick: by instant, never early. */
static void test_classes_mix(void **state)
{
	struct jd_timer t[6] = {{0}};

	(void)state;
	begin(0, 10);
	insert_slack(&t[0], 4000, 1023); /* 4096 */
	insert(&t[1], 4097);
	insert(&t[2], 4095);
	insert_slack(&t[3], 4097, 1023); /* 5120 */
	insert(&t[4], 5119);
	insert(&t[5], 5121);
	assert_sound();
	expect_nothing(4094);
	expect_expired(4096, &t[2], &t[0], NULL);
	expect_expired(UINT64_MAX, &t[1], &t[4], &t[3], &t[5], NULL);
}

static void test_never_does_not_fire(void **state)
{
	struct jd_timer never = {0}, last = {0}, *list;

	(void)state;
	for (unsigned s = 0; s < SHIFTS; s++) {
		begin(UINT64_MAX - 5, shifts[s]);
		insert(&never, JD_NEVER);
		assert_int_equal(jd_wheel_next_deadline(&wheel), JD_NEVER);
		insert(&last, JD_NEVER - 1);
		assert_int_equal(jd_wheel_next_deadline(&wheel), JD_NEVER - 1);
		expect_nothing(UINT64_MAX - 2);
		expect_one(UINT64_MAX - 1, &last);
		expect_nothing(UINT64_MAX);
		assert_int_equal(jd_wheel_count(&wheel), 1);
		assert_int_equal(jd_wheel_drain(&wheel, &list), 1);
		assert_ptr_equal(list, &never);
	}
}

/* --- Order, time that stands still ------------------------------------------------------------ */

/* All timers of an instant come out together, however they came in. */
static void test_equal_deadlines_come_together(void **state)
{
	const uint64_t deadline = UINT64_C(123456789012);
	struct jd_timer t[12] = {{0}};

	(void)state;
	for (unsigned s = 0; s < SHIFTS; s++) {
		struct jd_timer *list;
		unsigned seen = 0;

		/* Each one is inserted nearer to the deadline, so into a lower level. */
		begin(0, shifts[s]);
		for (unsigned i = 0; i < 12; i += 3) {
			expect_nothing(deadline - (UINT64_C(1) << (36 - 3 * i)));
			insert(&t[i], deadline);
			insert(&t[i + 1], deadline + 1);
			insert(&t[i + 2], deadline);
		}
		assert_int_equal(jd_wheel_next_deadline(&wheel), deadline);
		assert_int_equal(jd_wheel_advance(&wheel, deadline, &list), 8);
		for (; list; list = list->_next)
			seen |= 1u << (list - t);
		assert_int_equal(seen, 0xb6d);
		assert_int_equal(jd_wheel_advance(&wheel, deadline + 1, &list), 4);
	}
}

static void test_deadlines_in_the_past(void **state)
{
	struct jd_timer a = {0}, b = {0}, c = {0}, d = {0};

	(void)state;
	for (unsigned s = 0; s < SHIFTS; s++) {
		begin(1000000, shifts[s]);
		insert(&a, 1000001);
		insert(&b, 5);
		insert(&c, 0);
		insert(&d, 1000000);
		assert_sound();
		assert_int_equal(jd_wheel_next_deadline(&wheel), 0);
		expect_expired(1000000, &c, &b, &d, NULL);
		assert_int_equal(jd_wheel_next_deadline(&wheel), 1000001);
		expect_one(1000001, &a);
	}
}

static void test_time_that_goes_back_stands_still(void **state)
{
	struct jd_timer a = {0}, b = {0};

	(void)state;
	begin(1000, 4);
	insert(&a, 1000);
	insert(&b, 1001);
	expect_one(0, &a);
	assert_int_equal(jd_wheel_now(&wheel), 1000);
	assert_null(jd_wheel_pop(&wheel, 999));
	assert_int_equal(jd_wheel_now(&wheel), 1000);
	assert_ptr_equal(jd_wheel_pop(&wheel, 1001), &b);
}

/* A periodic timer, re-inserted while its list is walked. */
static void test_reinsert_in_expiry(void **state)
{
	struct jd_timer t[3] = {{0}};
	unsigned fired[3] = {0};

	(void)state;
	for (unsigned s = 0; s < SHIFTS; s++) {
		uint64_t now = UINT64_C(1) << 40;

		memset(fired, 0, sizeof(fired));
		begin(now, shifts[s]);
		for (unsigned i = 0; i < 3; i++)
			insert(&t[i], now + 100 * (i + 1));
		for (uint64_t end = now + 60000; now < end; now = jd_wheel_next_deadline(&wheel)) {
			struct jd_timer *list, *next;

			jd_wheel_advance(&wheel, now, &list);
			for (; list; list = next) {
				unsigned i = (unsigned)(list - t);

				next = list->_next;
				fired[i]++;
				insert(list, now + 100 * (i + 1));
			}
			assert_sound();
		}
		assert_int_equal(fired[0], 599);
		assert_int_equal(fired[1], 299);
		assert_int_equal(fired[2], 199);
		for (unsigned i = 0; i < 3; i++)
			jd_wheel_remove(&wheel, &t[i]);
	}
}

/* --- Leaving ---------------------------------------------------------------------------------- */

/* From the front, the middle and the end of a list, and the last one. */
static void test_remove(void **state)
{
	static const unsigned orders[][3] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}};
	struct jd_timer t[3] = {{0}};

	(void)state;
	for (unsigned o = 0; o < 4; o++) {
		for (unsigned which = 0; which < 2; which++) {
			begin(0, 20);
			for (unsigned i = 0; i < 3; i++)
				insert(&t[i], which ? JD_NEVER : 5000 - i);
			for (unsigned i = 0; i < 3; i++) {
				assert_true(jd_wheel_holds(&t[orders[o][i]]));
				jd_wheel_remove(&wheel, &t[orders[o][i]]);
				assert_false(jd_wheel_holds(&t[orders[o][i]]));
				assert_sound();
			}
			assert_int_equal(jd_wheel_count(&wheel), 0);
			assert_int_equal(jd_wheel_next_deadline(&wheel), JD_NEVER);
			expect_nothing(UINT64_MAX);
		}
	}
}

/* The earliest are removed one after the other; 200 timers from first_ns on, step_ns apart. */
static void remove_the_earliest(uint64_t first_ns, uint64_t step_ns, uint64_t slack_ns)
{
	enum {
		N = 200
	};
	static struct jd_timer t[N];

	memset(t, 0, sizeof(t));
	begin(0, 20);
	for (unsigned i = 0; i < N; i++)
		insert_slack(&t[i * 73 % N], first_ns + i * 73 % N * step_ns, slack_ns);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(jd_wheel_next_deadline(&wheel), first_ns + i * step_ns);
		jd_wheel_remove(&wheel, &t[i]);
		assert_sound();
		if (i % 3 == 0) {
			/* Out of order again, and stale or not. */
			insert_slack(&t[i], first_ns - step_ns, slack_ns);
			assert_int_equal(jd_wheel_next_deadline(&wheel), first_ns - step_ns);
			jd_wheel_remove(&wheel, &t[i]);
		}
	}
	assert_int_equal(jd_wheel_next_deadline(&wheel), JD_NEVER);
}

/* The next deadline stays exact: among exact ones, slots of the ring, in one slot, across many. */
static void test_next_deadline_after_removals(void **state)
{
	const uint64_t tick = UINT64_C(1) << 20;

	(void)state;
	remove_the_earliest(1000, 1, 0);
	remove_the_earliest(8 * tick, tick, tick - 1);
	remove_the_earliest((UINT64_C(1) << 40) + 1000, 1, 0);
	remove_the_earliest(UINT64_C(1) << 40, UINT64_C(3) << 30, 0);
	remove_the_earliest(UINT64_C(1) << 40, UINT64_C(3) << 30, tick - 1);
}

static void test_pop_leaves_the_others_removable(void **state)
{
	struct jd_timer t[5] = {{0}};

	(void)state;
	begin(0, 0);
	for (unsigned i = 0; i < 5; i++)
		insert(&t[i], 10 + i);
	assert_null(jd_wheel_pop(&wheel, 9));
	assert_ptr_equal(jd_wheel_pop(&wheel, 13), &t[0]);
	assert_int_equal(jd_wheel_count(&wheel), 4);
	assert_int_equal(jd_wheel_next_deadline(&wheel), 11);
	assert_sound();
	jd_wheel_remove(&wheel, &t[2]);
	insert(&t[0], 0);
	assert_int_equal(jd_wheel_next_deadline(&wheel), 0);
	assert_sound();
	assert_ptr_equal(jd_wheel_pop(&wheel, 13), &t[0]);
	assert_ptr_equal(jd_wheel_pop(&wheel, 13), &t[1]);
	expect_expired(13, &t[3], NULL);
	assert_ptr_equal(jd_wheel_pop(&wheel, UINT64_MAX), &t[4]);
	assert_null(jd_wheel_pop(&wheel, UINT64_MAX));
}

static void add_deadline(void *arg, const struct jd_timer *timer)
{
	*(uint64_t *)arg += timer->_deadline_ns;
}

static void test_each_and_drain(void **state)
{
	struct jd_timer t[6] = {{0}}, *list;
	uint64_t sum = 0;
	size_t n = 0;

	(void)state;
	begin(0, 0);
	for (unsigned i = 0; i < 5; i++)
		insert(&t[i], UINT64_C(1) << (10 * i));
	insert(&t[5], JD_NEVER);
	assert_ptr_equal(jd_wheel_pop(&wheel, 2000), &t[0]); /* one remains due */
	jd_wheel_each(&wheel, add_deadline, &sum);
	sum -= JD_NEVER; /* modulo 2^64 */
	assert_int_equal(sum, 1024 + (1 << 20) + (1 << 30) + (UINT64_C(1) << 40));
	assert_int_equal(jd_wheel_drain(&wheel, &list), 5);
	for (; list; list = list->_next, n++)
		assert_false(jd_wheel_holds(list));
	assert_int_equal(n, 5);
	assert_int_equal(jd_wheel_count(&wheel), 0);
	assert_sound();
	assert_int_equal(jd_wheel_drain(&wheel, &list), 0);
	assert_null(list);
}

static void insert_twice(void *arg)
{
	insert(arg, 1);
	insert(arg, 2);
}

static void remove_idle(void *arg)
{
	jd_wheel_remove(&wheel, arg);
}

static void init_too_coarse(void *arg)
{
	(void)arg;
	begin(0, JD_WHEEL_SHIFT_MAX + 1);
}

static void test_misuse_aborts(void **state)
{
	struct jd_timer t = {0};

	(void)state;
	begin(0, 0);
	assert_true(death_aborts(insert_twice, &t, "INTERNAL: timer->_slot == 0"));
	assert_true(death_aborts(remove_idle, &t, "INTERNAL: timer->_slot != 0"));
	assert_true(death_aborts(init_too_coarse, &t, "INTERNAL: shift <= JD_WHEEL_SHIFT_MAX"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_boundaries_of_every_level),
		cmocka_unit_test(test_now_crosses_every_wrap),
		cmocka_unit_test(test_every_slot),
		cmocka_unit_test(test_never_does_not_fire),
		cmocka_unit_test(test_slack_rounds_up),
		cmocka_unit_test(test_classes_mix),
		cmocka_unit_test(test_equal_deadlines_come_together),
		cmocka_unit_test(test_deadlines_in_the_past),
		cmocka_unit_test(test_time_that_goes_back_stands_still),
		cmocka_unit_test(test_reinsert_in_expiry),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_next_deadline_after_removals),
		cmocka_unit_test(test_pop_leaves_the_others_removable),
		cmocka_unit_test(test_past_beyond_the_wrap),
		cmocka_unit_test(test_each_and_drain),
		cmocka_unit_test(test_misuse_aborts),
	};

	if (argc > 1)
		model_steps = strtoull(argv[1], NULL, 0);
	return cmocka_run_group_tests_name("wheel", tests, NULL, end_all);
}
