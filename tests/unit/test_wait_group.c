/* test_wait_group.c - a wait ends when the last thing is done, not before and not too late. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/sync.h>
#include <jackdaw/task.h>

#include "tests/testlib/crank.h"
#include "tests/testlib/death.h"

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

static void test_counting(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_wait_group group;
	struct jd_wait_group_wait wait;

	jd_wait_group_init(&group);
	jd_wait_group_wait_init(&wait, &group);
	assert_int_equal(crank_poll(crank, &wait.base, &tally, NULL), JD_OK); /* nothing to do */
	assert_int_equal(jd_wait_group_add(&group, 2), JD_OK);
	assert_int_equal(jd_wait_group_add(&group, INT64_MAX), JD_ERANGE);
	assert_int_equal(jd_wait_group_count(&group), 2);
	jd_wait_group_wait_init(&wait, &group);
	assert_int_equal(crank_poll(crank, &wait.base, &tally, NULL), JD_PENDING);
	jd_wait_group_done(&group);
	assert_int_equal(tally.wakes, 0);
	assert_int_equal(jd_wait_group_fini(&group), JD_EBUSY);
	jd_wait_group_done(&group);
	assert_int_equal(tally.wakes, 1);
	/* It fell to 0 once: what is added later does not matter to this wait. */
	assert_int_equal(jd_wait_group_add(&group, 1), JD_OK);
	assert_int_equal(crank_poll(crank, &wait.base, &tally, NULL), JD_OK);
	jd_future_drop(&wait.base);
	jd_wait_group_done(&group);
	assert_int_equal(jd_wait_group_fini(&group), JD_OK);
	assert_int_equal(tally.refs, 0);
}

static void test_many_waits_and_dropped_ones(void **state)
{
	enum {
		N = 60
	};
	struct crank *crank = *state;
	struct tally tally[N] = {{0}};
	struct jd_wait_group group;
	struct jd_wait_group_wait wait[N], unused;

	jd_wait_group_init(&group);
	assert_int_equal(jd_wait_group_add(&group, 1), JD_OK);
	jd_wait_group_wait_init(&unused, &group);
	jd_future_drop(&unused.base);
	for (int i = 0; i < N; i++) {
		jd_wait_group_wait_init(&wait[i], &group);
		assert_int_equal(crank_poll(crank, &wait[i].base, &tally[i], NULL), JD_PENDING);
		assert_int_equal(crank_poll(crank, &wait[i].base, &tally[i], NULL), JD_PENDING);
	}
	for (int i = 0; i < N; i += 3)
		jd_future_drop(&wait[i].base);
	jd_wait_group_done(&group);
	for (int i = 0; i < N; i++) {
		assert_int_equal(tally[i].wakes, i % 3 != 0);
		assert_int_equal(tally[i].refs, 0);
		if (i % 3 == 1)
			assert_int_equal(crank_poll(crank, &wait[i].base, &tally[i], NULL), JD_OK);
		else if (i % 3 == 2)
			jd_future_drop(&wait[i].base); /* ended, and never asked */
	}
	assert_int_equal(jd_wait_group_fini(&group), JD_OK);
}

static void *worker(void *arg)
{
	jd_wait_group_done(arg);
	return NULL;
}

static void test_header_example(void **state)
{
	struct crank *crank = *state;
	struct jd_wait_group group;
	struct jd_wait_group_wait wait;

	jd_wait_group_init(&group);
	assert_int_equal(jd_wait_group_add(&group, 3), JD_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(jd_spawn_fn(&crank->base, worker, &group, NULL), JD_OK);
	jd_wait_group_wait_init(&wait, &group);
	assert_int_equal(jd_block(&crank->base, &wait.base, NULL), JD_OK);
	jd_future_drop(&wait.base);
	assert_int_equal(jd_wait_group_fini(&group), JD_OK);
}

static void done_too_often(void *arg)
{
	struct jd_wait_group group;

	(void)arg;
	jd_wait_group_init(&group);
	jd_wait_group_done(&group);
}

static void test_below_zero_is_misuse(void **state)
{
	(void)state;
	assert_true(death_aborts(done_too_often, NULL, "done was called more often"));
}

int main(void)
{
#define WITH_CRANK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_CRANK(test_counting),
		WITH_CRANK(test_many_waits_and_dropped_ones),
		WITH_CRANK(test_header_example),
		cmocka_unit_test(test_below_zero_is_misuse),
	};

	return cmocka_run_group_tests_name("wait group", tests, NULL, NULL);
}
