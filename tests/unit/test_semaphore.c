/* test_semaphore.c - permits: in order whatever the numbers, none lost, none made. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/sync.h>

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

static void test_counting(void **state)
{
	struct jd_semaphore semaphore;

	(void)state;
	assert_int_equal(jd_semaphore_init(&semaphore, JD_SEMAPHORE_MAX + 1), JD_ERANGE);
	assert_int_equal(jd_semaphore_init(&semaphore, 3), JD_OK);
	assert_int_equal(jd_semaphore_try_acquire(&semaphore, 4), JD_EWOULDBLOCK);
	assert_int_equal(jd_semaphore_try_acquire(&semaphore, 2), JD_OK);
	assert_int_equal(jd_semaphore_available(&semaphore), 1);
	assert_int_equal(jd_semaphore_try_acquire(&semaphore, 2), JD_EWOULDBLOCK);
	assert_int_equal(jd_semaphore_try_acquire(&semaphore, 0), JD_OK);
	assert_int_equal(jd_semaphore_release(&semaphore, 2), JD_OK);
	assert_int_equal(jd_semaphore_release(&semaphore, JD_SEMAPHORE_MAX - 2), JD_ERANGE);
	assert_int_equal(jd_semaphore_release(&semaphore, UINT64_MAX), JD_ERANGE);
	assert_int_equal(jd_semaphore_available(&semaphore), 3);
	assert_int_equal(jd_semaphore_release(&semaphore, JD_SEMAPHORE_MAX - 3), JD_OK);
	assert_true(jd_semaphore_available(&semaphore) == JD_SEMAPHORE_MAX);
	assert_int_equal(jd_semaphore_fini(&semaphore), JD_OK);
}

static void test_small_requests_do_not_overtake_a_large_one(void **state)
{
	struct crank *crank = *state;
	struct tally tally[3] = {{0}};
	struct jd_semaphore semaphore;
	struct jd_semaphore_acquire large, small, none;

	assert_int_equal(jd_semaphore_init(&semaphore, 2), JD_OK);
	jd_semaphore_acquire_init(&large, &semaphore, 5);
	jd_semaphore_acquire_init(&small, &semaphore, 1);
	jd_semaphore_acquire_init(&none, &semaphore, 0);
	assert_int_equal(crank_poll(crank, &large.base, &tally[0], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &small.base, &tally[1], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &none.base, &tally[2], NULL), JD_OK);
	assert_int_equal(jd_semaphore_try_acquire(&semaphore, 1), JD_EWOULDBLOCK);
	assert_int_equal(jd_semaphore_available(&semaphore), 0);
	assert_int_equal(jd_semaphore_fini(&semaphore), JD_EBUSY);
	assert_int_equal(jd_semaphore_release(&semaphore, 2), JD_OK);
	assert_int_equal(tally[0].wakes + tally[1].wakes, 0);
	assert_int_equal(jd_semaphore_release(&semaphore, 2), JD_OK);
	assert_int_equal(tally[0].wakes, 1); /* 5 of 6 */
	assert_int_equal(tally[1].wakes, 1); /* and the last */
	assert_int_equal(crank_poll(crank, &small.base, &tally[1], NULL), JD_OK);
	assert_int_equal(crank_poll(crank, &large.base, &tally[0], NULL), JD_OK);
	assert_int_equal(jd_semaphore_available(&semaphore), 0);
	jd_future_drop(&large.base);
	jd_future_drop(&small.base);
	assert_int_equal(jd_semaphore_available(&semaphore), 0); /* kept until released */
	assert_int_equal(jd_semaphore_release(&semaphore, 6), JD_OK);
	assert_int_equal(jd_semaphore_fini(&semaphore), JD_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tally[i].refs, 0);
}

static void test_dropping_the_large_one_lets_the_small_ones_go(void **state)
{
	struct crank *crank = *state;
	struct tally tally[3] = {{0}};
	struct jd_semaphore semaphore;
	struct jd_semaphore_acquire large, small[2];

	assert_int_equal(jd_semaphore_init(&semaphore, 2), JD_OK);
	jd_semaphore_acquire_init(&large, &semaphore, 5);
	assert_int_equal(crank_poll(crank, &large.base, &tally[0], NULL), JD_PENDING);
	for (int i = 0; i < 2; i++) {
		jd_semaphore_acquire_init(&small[i], &semaphore, 1);
		assert_int_equal(crank_poll(crank, &small[i].base, &tally[1 + i], NULL),
				 JD_PENDING);
	}
	jd_future_drop(&large.base);
	assert_int_equal(tally[0].wakes, 0);
	assert_int_equal(tally[0].refs, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tally[1 + i].wakes, 1);
		assert_int_equal(crank_poll(crank, &small[i].base, &tally[1 + i], NULL), JD_OK);
	}
	assert_int_equal(jd_semaphore_fini(&semaphore), JD_OK);
}

static void test_permits_of_a_dropped_wait_go_on(void **state)
{
	struct crank *crank = *state;
	struct tally tally[2] = {{0}};
	struct jd_semaphore semaphore;
	struct jd_semaphore_acquire first, second, unused;

	assert_int_equal(jd_semaphore_init(&semaphore, 0), JD_OK);
	jd_semaphore_acquire_init(&first, &semaphore, 3);
	jd_semaphore_acquire_init(&second, &semaphore, 2);
	jd_semaphore_acquire_init(&unused, &semaphore, 2);
	jd_future_drop(&unused.base);
	assert_int_equal(crank_poll(crank, &first.base, &tally[0], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &second.base, &tally[1], NULL), JD_PENDING);
	assert_int_equal(jd_semaphore_release(&semaphore, 3), JD_OK);
	assert_int_equal(tally[0].wakes, 1);
	assert_int_equal(tally[1].wakes, 0);
	jd_future_drop(&first.base);
	assert_int_equal(tally[1].wakes, 1);
	assert_int_equal(jd_semaphore_available(&semaphore), 1);
	jd_future_drop(&second.base);
	assert_int_equal(jd_semaphore_available(&semaphore), 3);
	assert_int_equal(jd_semaphore_fini(&semaphore), JD_OK);
	assert_int_equal(tally[0].refs + tally[1].refs, 0);
}

/* More than one batch of wakers. */
static void test_one_release_wakes_many(void **state)
{
	enum {
		N = 100
	};
	struct crank *crank = *state;
	struct tally tally[N] = {{0}};
	struct jd_semaphore semaphore;
	struct jd_semaphore_acquire acquire[N];

	assert_int_equal(jd_semaphore_init(&semaphore, 0), JD_OK);
	for (int i = 0; i < N; i++) {
		jd_semaphore_acquire_init(&acquire[i], &semaphore, 1);
		assert_int_equal(crank_poll(crank, &acquire[i].base, &tally[i], NULL), JD_PENDING);
	}
	assert_int_equal(jd_semaphore_release(&semaphore, N - 1), JD_OK);
	for (int i = 0; i < N; i++) {
		jd_status expected = i < N - 1 ? JD_OK : JD_PENDING;

		assert_int_equal(tally[i].wakes, expected == JD_OK);
		assert_int_equal(crank_poll(crank, &acquire[i].base, &tally[i], NULL), expected);
	}
	jd_future_drop(&acquire[N - 1].base);
	assert_int_equal(jd_semaphore_fini(&semaphore), JD_OK);
}

int main(void)
{
#define WITH_CRANK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counting),
		WITH_CRANK(test_small_requests_do_not_overtake_a_large_one),
		WITH_CRANK(test_dropping_the_large_one_lets_the_small_ones_go),
		WITH_CRANK(test_permits_of_a_dropped_wait_go_on),
		WITH_CRANK(test_one_release_wakes_many),
	};

	return cmocka_run_group_tests_name("semaphore", tests, NULL, NULL);
}
