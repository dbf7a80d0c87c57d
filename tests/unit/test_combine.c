/* test_combine.c - join-all, select and the smallest futures, on a scheduler by hand. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
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

/* Many valves with all the arrays that a combinator wants. */
#define MANY 200

struct row {
	struct valve valves[MANY];
	struct jd_future *children[MANY];
	jd_status statuses[MANY];
	int values[MANY];
	void *results[MANY];
};

static struct row row;

static void row_init(void)
{
	for (int i = 0; i < MANY; i++) {
		valve_init(&row.valves[i], i);
		row.children[i] = &row.valves[i].base;
		row.values[i] = -1;
		row.results[i] = &row.values[i];
	}
}

static unsigned polls(size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += row.valves[i].polls;
	return sum;
}

/* --- Join-all -------------------------------------------------------------------------------- */

static void test_join_all_refuses_bad_arrays(void **state)
{
	struct jd_join_all all;
	struct jd_future *hole[] = {NULL};

	(void)state;
	row_init();
	assert_int_equal(jd_join_all_init(NULL, row.children, 2, row.statuses, row.results, JD_OWN),
			 JD_EINVAL);
	assert_int_equal(jd_join_all_init(&all, NULL, 2, row.statuses, row.results, JD_OWN),
			 JD_EINVAL);
	assert_int_equal(jd_join_all_init(&all, hole, 1, row.statuses, row.results, JD_OWN),
			 JD_EINVAL);
	assert_int_equal(jd_join_all_init(&all, row.children, 2, NULL, row.results, JD_OWN),
			 JD_EINVAL);
	assert_int_equal(jd_join_all_init(&all, row.children, 2, row.statuses, NULL, JD_OWN),
			 JD_EINVAL);
	row.results[1] = NULL;
	assert_int_equal(jd_join_all_init(&all, row.children, 2, row.statuses, row.results, JD_OWN),
			 JD_EINVAL);
	assert_int_equal(row.valves[0].drops, 0);
}

static void test_join_all_of_nothing_is_ready(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_join_all all;

	assert_int_equal(jd_join_all_init(&all, NULL, 0, NULL, NULL, JD_OWN), JD_OK);
	assert_int_equal(crank_poll(crank, &all.base, &tally, NULL), JD_OK);
	jd_future_drop(&all.base);
}

/* Opens all in some order and counts the polls that takes. */
static void join_all_in_order(struct crank *crank, size_t n, size_t stride, unsigned *used)
{
	struct tally tally = {0};
	struct jd_join_all all;

	row_init();
	assert_int_equal(jd_join_all_init(&all, row.children, n, row.statuses, row.results, JD_OWN),
			 JD_OK);
	assert_int_equal(crank_poll(crank, &all.base, &tally, NULL), JD_PENDING);
	for (size_t k = 0; k < n; k++) {
		size_t i = k * stride % n;
		unsigned wakes = tally.wakes;

		assert_int_equal(row.statuses[i], JD_PENDING);
		valve_open(&row.valves[i], JD_OK);
		assert_int_equal(tally.wakes, wakes + 1);
		assert_int_equal(crank_poll(crank, &all.base, &tally, NULL),
				 k + 1 < n ? JD_PENDING : JD_OK);
		assert_int_equal(row.statuses[i], JD_OK);
		assert_int_equal(row.values[i], i);
		assert_int_equal(row.valves[i].drops, 1);
	}
	*used = polls(n);
	jd_future_drop(&all.base);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(row.valves[i].drops, 1);
	assert_int_equal(tally.refs, 0);
}

static void test_join_all_few(void **state)
{
	struct crank *crank = *state;
	unsigned used, memory = crank->allocated;

	join_all_in_order(crank, 1, 1, &used);
	assert_int_equal(used, 2);
	crank->fail_after = 0; /* no allocation is asked for */
	join_all_in_order(crank, JD_JOIN_ALL_SCAN, 3, &used);
	assert_int_equal(crank->allocated, memory);
}

static void test_join_all_many_polls_only_what_was_woken(void **state)
{
	unsigned used;

	join_all_in_order(*state, MANY, 7, &used);
	assert_int_equal(used, 2 * MANY);
}

static void test_join_all_many_works_without_memory(void **state)
{
	struct crank *crank = *state;
	unsigned used;

	crank->fail_after = 0;
	join_all_in_order(crank, MANY, 7, &used);
	assert_true(used > 10 * MANY);
	crank->fail_after = UINT_MAX;
}

static void test_join_all_tells_the_first_failure(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_join_all all;

	row_init();
	assert_int_equal(
		jd_join_all_init(&all, row.children, 3, row.statuses, row.results, JD_BORROW),
		JD_OK);
	valve_open(&row.valves[2], JD_EFAILED);
	assert_int_equal(crank_poll(crank, &all.base, &tally, NULL), JD_PENDING);
	valve_open(&row.valves[1], JD_ECANCELED);
	valve_open(&row.valves[0], JD_OK);
	assert_int_equal(crank_poll(crank, &all.base, &tally, NULL), JD_ECANCELED);
	assert_int_equal(row.statuses[2], JD_EFAILED);
	assert_int_equal(row.statuses[0], JD_OK);
	jd_future_drop(&all.base);
	for (int i = 0; i < 3; i++)
		assert_int_equal(row.valves[i].drops, 0);
	assert_int_equal(tally.refs, 0);
}

static void test_join_all_dropped_half_way(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_join_all all;
	struct jd_waker stale;
	unsigned memory = crank->allocated;

	row_init();
	assert_int_equal(
		jd_join_all_init(&all, row.children, MANY, row.statuses, row.results, JD_OWN),
		JD_OK);
	valve_open(&row.valves[5], JD_OK);
	assert_int_equal(crank_poll(crank, &all.base, &tally, NULL), JD_PENDING);
	stale = jd_waker_clone(&row.valves[6].waker);
	jd_future_drop(&all.base);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(row.valves[i].drops, 1);
	assert_int_equal(tally.refs, 0);
	/* A waker that outlives everything keeps its memory, and wakes nobody. */
	assert_int_equal(crank->allocated, memory + 1);
	jd_waker_wake_ref(&stale);
	jd_waker_wake(&stale);
	assert_int_equal(tally.wakes, 0);
	assert_int_equal(crank->allocated, memory);
}

/* A wake during the poll of the child must not be lost: it makes another poll. */
static void test_join_all_many_with_restless_children(void **state)
{
	struct crank *crank = *state;
	static struct jd_yield yields[MANY];
	static struct jd_future *children[MANY];
	struct jd_join_all all;
	struct jd_task *task;

	for (int i = 0; i < MANY; i++) {
		jd_yield_init(&yields[i]);
		children[i] = &yields[i].base;
	}
	assert_int_equal(jd_join_all_init(&all, children, MANY, row.statuses, NULL, JD_OWN), JD_OK);
	assert_int_equal(jd_spawn(&crank->base, &all.base, &task), JD_OK);
	assert_int_equal(crank_run(crank), 2);
	assert_int_equal(jd_task_join(task, NULL), JD_OK);
}

static void test_join_all_follows_its_waker(void **state)
{
	struct crank *crank = *state;
	struct tally first = {0}, second = {0};
	struct jd_join_all all;

	row_init();
	assert_int_equal(
		jd_join_all_init(&all, row.children, MANY, row.statuses, row.results, JD_OWN),
		JD_OK);
	assert_int_equal(crank_poll(crank, &all.base, &first, NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &all.base, &second, NULL), JD_PENDING);
	assert_int_equal(first.refs, 0);
	valve_open(&row.valves[9], JD_OK);
	valve_open(&row.valves[3], JD_OK); /* the second before a poll wakes nobody again */
	assert_int_equal(first.wakes, 0);
	assert_int_equal(second.wakes, 1);
	jd_future_drop(&all.base);
	assert_int_equal(second.refs, 0);
}

static void test_header_example(void **state)
{
	struct crank *crank = *state;
	struct jd_ready a;
	struct jd_sleep b;
	void *a_result = NULL;
	struct jd_future *children[] = {&a.base, &b.base};
	jd_status statuses[2];
	void *results[] = {&a_result, NULL};
	struct jd_join_all both;
	int seven = 7;

	jd_ready_init(&a, JD_OK, &seven);
	jd_sleep_init(&b, 5);
	jd_status status = jd_join_all_init(&both, children, 2, statuses, results, JD_BORROW);

	assert_int_equal(status, JD_OK);
	assert_int_equal(jd_block(&crank->base, &both.base, NULL), JD_OK);
	assert_ptr_equal(a_result, &seven);
	assert_int_equal(crank->now, 5);
	jd_future_drop(&both.base);
	jd_future_drop(&a.base);
	jd_future_drop(&b.base);
}

/* --- Select ---------------------------------------------------------------------------------- */

static void test_select_refuses_bad_arrays(void **state)
{
	struct jd_select select;

	(void)state;
	row_init();
	assert_int_equal(jd_select_init(NULL, row.children, 1, row.results, JD_OWN), JD_EINVAL);
	assert_int_equal(jd_select_init(&select, row.children, 0, row.results, JD_OWN), JD_EINVAL);
	assert_int_equal(jd_select_init(&select, NULL, 1, row.results, JD_OWN), JD_EINVAL);
	assert_int_equal(jd_select_init(&select, row.children, 1, NULL, JD_OWN), JD_EINVAL);
}

static void test_select_tells_the_winner_and_drops_what_it_owns(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_select select;
	struct jd_selected selected;

	row_init();
	assert_int_equal(jd_select_init(&select, row.children, 3, row.results, JD_OWN), JD_OK);
	assert_int_equal(crank_poll(crank, &select.base, &tally, &selected), JD_PENDING);
	valve_open(&row.valves[1], JD_OK);
	assert_int_equal(tally.wakes, 1);
	assert_int_equal(crank_poll(crank, &select.base, &tally, &selected), JD_OK);
	assert_int_equal(selected.index, 1);
	assert_int_equal(selected.status, JD_OK);
	assert_int_equal(row.values[1], 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(row.valves[i].drops, 1);
	jd_future_drop(&select.base);
	assert_int_equal(row.valves[0].drops, 1);
	assert_int_equal(tally.refs, 0);
}

static void test_select_ends_with_a_failure_too(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_select select;
	struct jd_selected selected;

	row_init();
	valve_open(&row.valves[2], JD_ECLOSED);
	assert_int_equal(jd_select_init(&select, row.children, 3, row.results, JD_BORROW), JD_OK);
	assert_int_equal(crank_poll(crank, &select.base, &tally, &selected), JD_OK);
	assert_int_equal(selected.index, 2);
	assert_int_equal(selected.status, JD_ECLOSED);
	jd_future_drop(&select.base);
	/* The losers are the caller's, and still pending. */
	assert_int_equal(row.valves[0].drops, 0);
	valve_open(&row.valves[0], JD_OK);
	assert_int_equal(crank_poll(crank, row.children[0], &tally, row.results[0]), JD_OK);
	jd_future_drop(row.children[1]);
	assert_int_equal(tally.refs, 0);
}

static void test_select_dropped_half_way(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_select select;
	struct jd_selected selected;

	row_init();
	assert_int_equal(jd_select_init(&select, row.children, 3, row.results, JD_OWN), JD_OK);
	assert_int_equal(crank_poll(crank, &select.base, &tally, &selected), JD_PENDING);
	jd_future_drop(&select.base);
	for (int i = 0; i < 3; i++)
		assert_int_equal(row.valves[i].drops, 1);
	assert_int_equal(tally.refs, 0);
}

static void test_select_moves_its_first_child_on(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_select select;
	struct jd_selected selected;
	unsigned wins[3] = {0};

	/* All become ready after k pending polls: each child has its turn to be looked at first. */
	for (unsigned k = 0; k < 6; k++) {
		row_init();
		assert_int_equal(jd_select_init(&select, row.children, 3, row.results, JD_OWN),
				 JD_OK);
		for (unsigned i = 0; i < k; i++)
			assert_int_equal(crank_poll(crank, &select.base, &tally, &selected),
					 JD_PENDING);
		for (int i = 0; i < 3; i++)
			valve_open(&row.valves[i], JD_OK);
		assert_int_equal(crank_poll(crank, &select.base, &tally, &selected), JD_OK);
		wins[selected.index]++;
		jd_future_drop(&select.base);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(wins[i], 2);
}

/* --- The smallest futures -------------------------------------------------------------------- */

static void test_ready_yield_never(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_ready ready;
	struct jd_yield yield;
	struct jd_never never;
	void *value = NULL;
	int seven = 7;

	jd_ready_init(&ready, JD_OK, &seven);
	assert_int_equal(crank_poll(crank, &ready.base, &tally, &value), JD_OK);
	assert_ptr_equal(value, &seven);
	jd_ready_init(&ready, JD_EFAILED, &value);
	assert_int_equal(crank_poll(crank, &ready.base, &tally, &value), JD_EFAILED);
	assert_ptr_equal(value, &seven);
	assert_int_equal(tally.wakes, 0);

	jd_yield_init(&yield);
	assert_int_equal(crank_poll(crank, &yield.base, &tally, NULL), JD_PENDING);
	assert_int_equal(tally.wakes, 1);
	assert_int_equal(crank_poll(crank, &yield.base, &tally, NULL), JD_OK);

	jd_never_init(&never);
	assert_int_equal(crank_poll(crank, &never.base, &tally, NULL), JD_PENDING);
	assert_int_equal(jd_block(&crank->base, &never.base, NULL), JD_EDEADLK);
	assert_int_equal(jd_block_with_timeout(&crank->base, &never.base, 10, NULL), JD_ETIMEDOUT);
	assert_int_equal(tally.refs, 0);
}

struct count_down {
	int left, drops;
};

static jd_status count_down_poll(void *arg, struct jd_context *context, void **result)
{
	struct count_down *self = arg;

	if (self->left-- > 0) {
		jd_waker_wake_ref(context->waker);
		return JD_PENDING;
	}
	*result = self;
	return JD_OK;
}

static void count_down_drop(void *arg)
{
	((struct count_down *)arg)->drops++;
}

static void test_fn_future(void **state)
{
	struct crank *crank = *state;
	struct count_down count = {.left = 3};
	struct jd_fn_future future;
	void *result = NULL;

	assert_int_equal(jd_fn_future_init(&future, NULL, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_fn_future_init(&future, count_down_poll, count_down_drop, &count),
			 JD_OK);
	assert_int_equal(jd_block(&crank->base, &future.base, &result), JD_OK);
	assert_ptr_equal(result, &count);
	jd_future_drop(&future.base);
	assert_int_equal(count.drops, 1);

	assert_int_equal(jd_fn_future_init(&future, count_down_poll, NULL, &count), JD_OK);
	jd_future_drop(&future.base);
	assert_int_equal(count.drops, 1);
}

int main(void)
{
#define WITH_CRANK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join_all_refuses_bad_arrays),
		WITH_CRANK(test_join_all_of_nothing_is_ready),
		WITH_CRANK(test_join_all_few),
		WITH_CRANK(test_join_all_many_polls_only_what_was_woken),
		WITH_CRANK(test_join_all_many_works_without_memory),
		WITH_CRANK(test_join_all_tells_the_first_failure),
		WITH_CRANK(test_join_all_dropped_half_way),
		WITH_CRANK(test_join_all_many_with_restless_children),
		WITH_CRANK(test_join_all_follows_its_waker),
		WITH_CRANK(test_header_example),
		cmocka_unit_test(test_select_refuses_bad_arrays),
		WITH_CRANK(test_select_tells_the_winner_and_drops_what_it_owns),
		WITH_CRANK(test_select_ends_with_a_failure_too),
		WITH_CRANK(test_select_dropped_half_way),
		WITH_CRANK(test_select_moves_its_first_child_on),
		WITH_CRANK(test_ready_yield_never),
		WITH_CRANK(test_fn_future),
	};

	return cmocka_run_group_tests_name("combine", tests, NULL, NULL);
}
