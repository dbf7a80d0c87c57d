/* test_parallel.c - loops and reductions: every index once, loops in loops, the same bits. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/fork.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"
#include "tests/testlib/fib.h"

static struct jd_scheduler *new_ws(unsigned workers)
{
	const struct jd_ws_options options = {.workers = workers};
	struct jd_scheduler *scheduler;

	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	return scheduler;
}

/* --- Loops ------------------------------------------------------------------------------------ */

enum {
	CELLS = 100003
};

static void touch(void *arg, uint64_t begin, uint64_t end)
{
	_Atomic(uint8_t) *cells = arg;

	for (uint64_t i = begin; i < end; i++)
		atomic_fetch_add_explicit(&cells[i], 1, memory_order_relaxed);
}

static void test_parallel_for_covers_once(void **state)
{
	static _Atomic(uint8_t) cells[CELLS];
	static const uint64_t grains[] = {0, 1, 7, 1000, CELLS, UINT64_MAX};
	struct jd_scheduler *s = new_ws(3);

	(void)state;
	for (size_t g = 0; g < sizeof(grains) / sizeof(*grains); g++) {
		struct jd_fork_region region;
		struct jd_fork_point fork = jd_fork_enter(s, &region);

		memset(cells, 0, sizeof(cells));
		jd_parallel_for(fork, 0, CELLS, grains[g], touch, cells);
		jd_parallel_for(fork, 5, 5, grains[g], touch, cells);
		jd_parallel_for(fork, 6, 5, grains[g], touch, cells);
		jd_fork_leave(&region);
		for (int i = 0; i < CELLS; i++)
			assert_int_equal(cells[i], 1);
	}
	assert_int_equal(jd_scheduler_destroy(s), JD_OK);
}

/* A loop in a loop, and forks of the other form in that; then the outer points are still right. */
struct table {
	_Atomic(uint64_t) sum;
	uint64_t rows;
};

static void cell(void *arg, uint64_t begin, uint64_t end)
{
	struct table *t = arg;

	for (uint64_t i = begin; i < end; i++)
		atomic_fetch_add_explicit(&t->sum, (uint64_t)fib_here((int)(i % 8)),
					  memory_order_relaxed);
}

static void row(void *arg, uint64_t begin, uint64_t end)
{
	struct table *t = arg;

	for (uint64_t i = begin; i < end; i++)
		jd_parallel_for(jd_fork_self(), 0, t->rows, 3, cell, t);
}

static void nest_loops(struct jd_scheduler *s)
{
	struct jd_fork_region region;
	struct table t = {.rows = 40};
	struct fib f = {.n = 9};

	jd_fork_enter(s, &region);
	jd_fork_here(&f.frame, fib_here_run);
	jd_parallel_for(jd_fork_self(), 0, t.rows, 1, row, &t);
	jd_join_run_here(&f.frame);
	jd_fork_leave(&region);
	assert_int_equal(f.value, 34);
	assert_int_equal(t.sum, 40 * 5 * (0 + 1 + 1 + 2 + 3 + 5 + 8 + 13));
}

static int nest_on_test(struct jd_test_scheduler *ts, void *arg)
{
	(void)arg;
	nest_loops(jd_test_scheduler_base(ts));
	return 0;
}

static void test_loops_nest(void **state)
{
	const struct jd_test_options options = {.check_determinism = true};
	struct jd_scheduler *s = new_ws(3);

	(void)state;
	for (int round = 0; round < 50; round++)
		nest_loops(s);
	assert_int_equal(jd_scheduler_destroy(s), JD_OK);
	nest_loops(NULL);
	assert_int_equal(jd_test_many(&options, 10, nest_on_test, NULL), JD_OK);
}

static void sum_init(void *arg, void *accumulator)
{
	(void)arg;
	*(double *)accumulator = 0;
}

static void sum_body(void *arg, uint64_t begin, uint64_t end, void *accumulator)
{
	(void)arg;
	for (uint64_t i = begin; i < end; i++)
		*(double *)accumulator += 1.0 / (double)(i + 1);
}

static void sum_combine(void *arg, void *left, const void *right)
{
	(void)arg;
	*(double *)left += *(const double *)right;
}

static const struct jd_reduce_ops sum_ops = {sizeof(double), sum_init, sum_body, sum_combine};

static double harmonic(struct jd_scheduler *s, uint64_t n)
{
	struct jd_fork_region region;
	double sum = -1;

	assert_int_equal(
		jd_parallel_reduce(jd_fork_enter(s, &region), 0, n, 100, &sum_ops, NULL, &sum),
		JD_OK);
	jd_fork_leave(&region);
	return sum;
}

static void test_reduce_gives_the_same_bits_every_time(void **state)
{
	struct jd_scheduler *s = new_ws(3);
	double serial = harmonic(NULL, 100000);

	(void)state;
	assert_true(serial > 12.09 && serial < 12.0902);
	for (int i = 0; i < 20; i++)
		assert_true(harmonic(s, 100000) == serial);
	assert_true(harmonic(s, 0) == 0);
	assert_int_equal(jd_scheduler_destroy(s), JD_OK);
}

static void test_bad_input(void **state)
{
	struct jd_reduce_ops ops = sum_ops;
	struct jd_fork_region region;
	struct jd_fork_point fork = jd_fork_enter(NULL, &region);
	double sum;

	(void)state;
	assert_int_equal(jd_parallel_reduce(fork, 0, 1, 1, NULL, NULL, &sum), JD_EINVAL);
	assert_int_equal(jd_parallel_reduce(fork, 0, 1, 1, &ops, NULL, NULL), JD_EINVAL);
	ops.size = 0;
	assert_int_equal(jd_parallel_reduce(fork, 0, 1, 1, &ops, NULL, &sum), JD_EINVAL);
	ops.size = JD_REDUCE_MAX + 1;
	assert_int_equal(jd_parallel_reduce(fork, 0, 1, 1, &ops, NULL, &sum), JD_EINVAL);
	ops = sum_ops;
	ops.combine = NULL;
	assert_int_equal(jd_parallel_reduce(fork, 0, 1, 1, &ops, NULL, &sum), JD_EINVAL);
	jd_fork_leave(&region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parallel_for_covers_once),
		cmocka_unit_test(test_loops_nest),
		cmocka_unit_test(test_reduce_gives_the_same_bits_every_time),
		cmocka_unit_test(test_bad_input),
	};

	return cmocka_run_group_tests_name("parallel", tests, NULL, NULL);
}
