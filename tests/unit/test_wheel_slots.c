/* test_wheel_slots.c - slots of the timer wheel: while they fire, used again, with many timers. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/testlib/wheel_fixture.h"

/* --- A slot that fires ------------------------------------------------------------------------ */

/* One tick, a thousand timers: inserts and removals while it is being fired. */
static void test_changes_while_a_slot_fires(void **state)
{
	enum {
		N = 1000
	};
	static struct jd_timer t[2 * N];
	unsigned fired = 0;

	(void)state;
	memset(t, 0, sizeof(t));
	begin(0, 20);
	for (unsigned i = 0; i < N; i++)
		insert_slack(&t[i], 5, JD_MS * 2);
	for (unsigned i = N; i < 2 * N; i++) {
		struct jd_timer *popped = jd_wheel_pop(&wheel, JD_MS * 4);

		assert_non_null(popped);
		fired++;
		insert_slack(&t[i], 6, JD_MS * 2);
		if (i % 3 == 0 && jd_wheel_holds(&t[i - N / 2]))
			jd_wheel_remove(&wheel, &t[i - N / 2]);
		if (i % 50 == 0)
			assert_sound();
	}
	while (jd_wheel_pop(&wheel, JD_MS * 4))
		fired++;
	assert_int_equal(jd_wheel_count(&wheel), 0);
	assert_in_range(fired, 2 * N - N / 3 - 1, 2 * N);
	assert_sound();
}

/* An exact timer that comes first while a tick is being fired is not overtaken by that tick. */
static void test_exact_ones_while_a_slot_fires(void **state)
{
	struct jd_timer t[40] = {{0}}, first = {0}, next = {0};
	unsigned fired = 0;

	(void)state;
	begin(0, 20);
	for (unsigned i = 0; i < 40; i++)
		insert_slack(&t[i], 2 << 20, (1 << 20) - 1);
	for (; fired < 10; fired++)
		assert_non_null(jd_wheel_pop(&wheel, 3 << 20));
	insert(&next, (2 << 20) + 1);
	assert_sound();
	insert(&first, (2 << 20) - 1);
	assert_sound();
	assert_ptr_equal(jd_wheel_pop(&wheel, 3 << 20), &first);
	for (; fired < 40; fired++)
		assert_int_equal(jd_wheel_pop(&wheel, 3 << 20)->_deadline_ns, 2 << 20);
	assert_ptr_equal(jd_wheel_pop(&wheel, 3 << 20), &next);
	assert_null(jd_wheel_pop(&wheel, 3 << 20));
}

/* Any one may leave, also from behind, while the slot is being fired. */
static void test_pop_any_while_a_slot_fires(void **state)
{
	struct jd_timer t[40] = {{0}};

	(void)state;
	begin(0, 20);
	for (unsigned i = 0; i < 40; i++)
		insert_slack(&t[i], 2 << 20, (1 << 20) - 1);
	for (unsigned i = 0; i < 40; i += 2) {
		assert_non_null(jd_wheel_pop(&wheel, 3 << 20));
		assert_sound();
		assert_non_null(jd_wheel_pop_any(&wheel));
		assert_sound();
	}
	assert_int_equal(jd_wheel_count(&wheel), 0);
	assert_null(jd_wheel_pop(&wheel, 3 << 20));
}

/* A slot that was emptied is as good as new: where its line of entries begins, and its bit. */
static void test_slots_are_used_again(void **state)
{
	struct jd_timer t[8] = {{0}};
	size_t used = 0;

	(void)state;
	begin(0, 20);
	for (unsigned turn = 0; turn < 100; turn++) {
		for (unsigned i = 0; i < 1 + turn % 8; i++)
			insert_slack(&t[i], 2 << 20, (1 << 20) - 1);
		assert_int_equal(jd_wheel_next_deadline(&wheel), 2 << 20);
		assert_sound();
		for (unsigned i = 0; i < 1 + turn % 8; i++)
			jd_wheel_remove(&wheel, &t[i]);
		assert_int_equal(jd_wheel_next_deadline(&wheel), JD_NEVER);
		assert_sound();
		if (turn == 0)
			used = wheel.pool.used;
		assert_true(wheel.pool.used <= used);
	}
}

/* --- Masses ----------------------------------------------------------------------------------- */

enum {
	MASS = 2000
};

static struct jd_timer mass[MASS];

/* Pops until nothing is due; the instants must not decrease. */
static unsigned pop_in_order(uint64_t now_ns)
{
	uint64_t last = 0;
	unsigned n = 0;

	for (struct jd_timer *t; (t = jd_wheel_pop(&wheel, now_ns)) != NULL; n++) {
		assert_true(t->_deadline_ns >= last && t->_deadline_ns <= now_ns);
		last = t->_deadline_ns;
	}
	return n;
}

/* Removals everywhere in a large heap, between insertions. */
static void test_mass_of_exact_ones(void **state)
{
	uint64_t x = 1;

	(void)state;
	memset(mass, 0, sizeof(mass));
	begin(0, 30);
	for (unsigned i = 0; i < MASS; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		insert(&mass[i], 1 + (x >> 34));
		if (i % 2) {
			jd_wheel_remove(&wheel, &mass[(x >> 20) % i | 1]);
			insert(&mass[(x >> 20) % i | 1], 1 + (x >> 36));
		}
		if (i % 16 == 0)
			assert_sound();
	}
	for (unsigned i = 0; i < MASS; i += 3) {
		jd_wheel_remove(&wheel, &mass[i]);
		assert_sound();
	}
	assert_int_equal(pop_in_order(UINT64_C(1) << 31), MASS - (MASS + 2) / 3);
}

/* A slot that lost most of its timers by firing is compacted, and goes on where it was. */
static void test_mass_compacted_while_it_fires(void **state)
{
	(void)state;
	memset(mass, 0, sizeof(mass));
	begin(0, 20);
	for (unsigned i = 0; i < MASS / 2; i++)
		insert_slack(&mass[i], 5, JD_MS * 2);
	for (unsigned i = 0; i < MASS / 2 - 10; i++)
		assert_ptr_equal(jd_wheel_pop(&wheel, JD_MS * 4), &mass[i]);
	for (unsigned i = MASS / 2; i < MASS; i++) {
		uint64_t used = wheel.pool.used;

		insert_slack(&mass[i], 5, JD_MS * 2);
		assert_sound();
		if (wheel.pool.used < used)
			break;
		assert_true(i < MASS - 1); /* it was compacted before that */
	}
	size_t left = jd_wheel_count(&wheel);

	assert_int_equal(pop_in_order(JD_MS * 4), left);
	assert_int_equal(jd_wheel_count(&wheel), 0);
}

/* A full slot of level 2 comes nearer: each poll moves some of it, the minimum first. */
static void test_mass_moves_ahead(void **state)
{
	const uint64_t slot = UINT64_C(10) << (19 + 12);
	size_t before = MASS;

	(void)state;
	memset(mass, 0, sizeof(mass));
	begin(0, 19);
	for (unsigned i = MASS; i-- > 0;)
		insert(&mass[i], slot + 1 + i * JD_MS / 2);
	assert_int_equal(wheel.level[2]->slot[10].count, MASS);
	assert_null(jd_wheel_pop(&wheel, slot - 8 * JD_SEC));
	assert_int_equal(wheel.level[2]->slot[10].count, MASS);
	for (unsigned poll = 0; wheel.level[2]->slot[10].count; poll++) {
		assert_null(jd_wheel_pop(&wheel, slot - 6 * JD_SEC + poll));
		assert_true(before - wheel.level[2]->slot[10].count <= 32);
		assert_true(wheel.level[2]->slot[10].count < before);
		before = wheel.level[2]->slot[10].count;
		assert_sound();
	}
	assert_int_equal(jd_wheel_next_deadline(&wheel), slot + 1);
	assert_null(jd_wheel_pop(&wheel, slot));
	assert_int_equal(pop_in_order(slot + JD_SEC), MASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_while_a_slot_fires),
		cmocka_unit_test(test_exact_ones_while_a_slot_fires),
		cmocka_unit_test(test_pop_any_while_a_slot_fires),
		cmocka_unit_test(test_slots_are_used_again),
		cmocka_unit_test(test_mass_of_exact_ones),
		cmocka_unit_test(test_mass_compacted_while_it_fires),
		cmocka_unit_test(test_mass_moves_ahead),
	};

	return cmocka_run_group_tests_name("wheel_slots", tests, NULL, end_all);
}
