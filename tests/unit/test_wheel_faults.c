/* test_wheel_faults.c - the checker of the timer wheel sees faults; the wheel without memory. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/testlib/wheel_fixture.h"

/* --- The checker sees what is broken ---------------------------------------------------------- */

/* Three in a slot of the ring, two in the heap, two in one slot of level 4, one for ever. */
static void plant(struct jd_timer t[8])
{
	memset(t, 0, 8 * sizeof(t[0]));
	jd_wheel_fini(&wheel);
	jd_wheel_init(&wheel, jd_allocator_default(), 0, 20);
	for (unsigned i = 0; i < 3; i++)
		insert_slack(&t[i], 10, (1 << 20) - 1);
	insert(&t[3], 10);
	insert(&t[4], 11);
	insert(&t[5], UINT64_C(1) << 50);
	insert(&t[6], (UINT64_C(1) << 50) + 7);
	insert(&t[7], JD_NEVER);
	assert_sound();
}

/* Undone again, so that the wheel can be taken apart. */
#define expect_unsound(place, value)                        \
	do {                                                \
		plant(t);                                   \
		__typeof__(place) was = (place);            \
		(place) = (value);                          \
		assert_false(jd_wheel_check(&wheel, sink)); \
		assert_false(jd_wheel_check(&wheel, NULL)); \
		(place) = was;                              \
	} while (0)

static void test_check_sees_planted_faults(void **state)
{
	struct jd_timer t[8], *other = &t[1];
	FILE *sink = tmpfile();

	(void)state;
	assert_non_null(sink);
	expect_unsound(wheel.tick, 1);
	expect_unsound(wheel.pool.used, 1);
	expect_unsound(wheel.pool.unused[2], NULL);
	expect_unsound(wheel.pool.chunk_bytes, 1);
	expect_unsound(wheel.pool.chunks->size, 64);
	expect_unsound(wheel.stuck, 2);
	expect_unsound(wheel.stuck, 1 << 4);
	expect_unsound(wheel.due, &wheel.ring->slot[1]);
	expect_unsound(wheel.run_end, &other);
	expect_unsound(t[1]._slot, 3);
	expect_unsound(t[1]._entry, &other);
	expect_unsound(t[1]._deadline_ns, 99);
	expect_unsound(t[3]._index, 1);
	expect_unsound(t[3]._slot, JD_WHEEL_NEVER);
	expect_unsound(t[7]._deadline_ns, 99);
	expect_unsound(wheel.ring->slot[0].end, wheel.ring->slot[1].end);
	expect_unsound(wheel.ring->slot[1].live, 2);
	expect_unsound(wheel.ring->slot[1].live, 0);
	expect_unsound(wheel.ring->slot[1].capacity, 7);
	expect_unsound(wheel.ring->slot[1].tail[-2], NULL);
	expect_unsound(wheel.ring->summary, 0);
	expect_unsound(wheel.ring->summary, 3);
	expect_unsound(wheel.ring->occupied[0], 0);
	expect_unsound(wheel.ring->occupied[0], 6);
	expect_unsound(wheel.exact.ordered, false);
	expect_unsound(wheel.exact.stale, true);
	expect_unsound(wheel.exact.min_ns, 9);
	expect_unsound(wheel.exact.entry[0].deadline_ns, 12);
	expect_unsound(wheel.exact.entry[0].timer, &t[4]);
	expect_unsound(wheel.exact.count, 5);
	expect_unsound(wheel.level[4]->slot[64].min_ns, 9);
	expect_unsound(wheel.level[4]->slot[64].count, 0);
	expect_unsound(wheel.level[4]->slot[64].entry[1].deadline_ns, 0);
	expect_unsound(wheel.level[4]->summary, 0);
	expect_unsound(wheel.level[4]->occupied[1], 3);
	assert_true(ftell(sink) > 0);
	fclose(sink);
}

static void test_dump(void **state)
{
	char text[1024] = "";
	struct jd_timer t[8];
	FILE *out = tmpfile();

	(void)state;
	assert_non_null(out);
	plant(t);
	jd_wheel_remove(&wheel, &t[5]);
	jd_wheel_dump(&wheel, out);
	rewind(out);
	assert_true(fread(text, 1, sizeof(text) - 1, out) > 0);
	fclose(out);
	assert_string_equal(
		text,
		"wheel: now 0 ns, tick 2^20 ns, 7 timers, 1 never, 256 bytes, 4160 in chunks\n"
		"  exact: 2 from 10 ns, a heap\n"
		"  ring 1: 3 at 1048576 ns\n"
		"  level 4 slot 64: 1 from at least 1125899906842624 ns\n");
}

/* --- Without memory --------------------------------------------------------------------------- */

/* Gives this many blocks, then no more. */
static void *few_alloc(void *ctx, size_t size, size_t align)
{
	size_t *left = ctx;

	if (*left == 0)
		return NULL;
	--*left;
	return jd_allocator_default()->alloc(NULL, size, align);
}

static void few_free(void *ctx, void *ptr, size_t size, size_t align)
{
	(void)ctx;
	jd_allocator_default()->free(NULL, ptr, size, align);
}

enum {
	SPREAD = 500
};

/* Coarse and exact ones, in the ring and in three levels. */
static uint64_t spread_ns(unsigned i)
{
	static const uint64_t far[] = {JD_MS, 3 * JD_SEC, 20 * JD_SEC, 1000 * JD_SEC};

	return far[i % 4] + i * (JD_MS / 3 + 1);
}

/*
 * Every allocation fails once, and from then on: what was refused is in no wheel, what was not
 * fires at its instant, out of slots that could not move.
 */
static void test_every_allocation_fails(void **state)
{
	static struct jd_timer t[SPREAD];
	static size_t left;
	static const struct jd_allocator few = {few_alloc, few_free, &left};
	bool refused = true;

	(void)state;
	for (size_t budget = 0; refused; budget++) {
		size_t armed = 0, fired = 0;
		uint64_t now = 0;

		left = budget;
		memset(t, 0, sizeof(t));
		refused = false;
		jd_wheel_fini(&wheel);
		jd_wheel_init(&wheel, &few, 0, 19);
		for (unsigned i = 0; i < SPREAD; i++) {
			uint64_t slack = i % 8 < 4 ? 0 : (1 << 19) - 1;

			if (jd_wheel_insert(&wheel, &t[i], spread_ns(i), slack) == JD_OK)
				armed++;
			else
				refused = true;
			assert_int_equal(jd_wheel_holds(&t[i]), t[i]._slot != 0);
		}
		assert_int_equal(jd_wheel_count(&wheel), armed);
		left = 0;
		while ((now = jd_wheel_next_deadline(&wheel)) != JD_NEVER) {
			struct jd_timer *timer = jd_wheel_pop(&wheel, now);

			assert_non_null(timer);
			assert_int_equal(timer->_deadline_ns, now);
			fired++;
			if (fired % 64 == 0)
				assert_sound();
		}
		assert_int_equal(fired, armed);
		assert_sound();
	}
	jd_wheel_fini(&wheel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_sees_planted_faults),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_every_allocation_fails),
	};

	return cmocka_run_group_tests_name("wheel_faults", tests, NULL, end_all);
}
