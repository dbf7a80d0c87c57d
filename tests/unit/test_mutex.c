/* test_mutex.c - the async mutex: in order, handed over, never lost. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/co.h>
#include <jackdaw/combine.h>
#include <jackdaw/sync.h>

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

static void test_try_lock_and_unlock(void **state)
{
	struct jd_mutex mutex;

	(void)state;
	jd_mutex_init(&mutex);
	assert_int_equal(jd_mutex_try_lock(&mutex), JD_OK);
	assert_int_equal(jd_mutex_try_lock(&mutex), JD_EWOULDBLOCK);
	assert_int_equal(jd_mutex_fini(&mutex), JD_EBUSY);
	jd_mutex_unlock(&mutex);
	assert_int_equal(jd_mutex_try_lock(&mutex), JD_OK);
	jd_mutex_unlock(&mutex);
	assert_int_equal(jd_mutex_fini(&mutex), JD_OK);
}

static void test_first_come_first_served(void **state)
{
	struct crank *crank = *state;
	struct tally tally[3] = {{0}};
	struct jd_mutex mutex;
	struct jd_mutex_lock lock[3];

	jd_mutex_init(&mutex);
	for (int i = 0; i < 3; i++)
		jd_mutex_lock_init(&lock[i], &mutex);
	assert_int_equal(crank_poll(crank, &lock[0].base, &tally[0], NULL), JD_OK);
	assert_int_equal(crank_poll(crank, &lock[1].base, &tally[1], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &lock[2].base, &tally[2], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &lock[1].base, &tally[1], NULL), JD_PENDING);
	jd_mutex_unlock(&mutex);
	assert_int_equal(tally[1].wakes, 1);
	assert_int_equal(tally[2].wakes, 0);
	/* Handed over: nobody overtakes who was woken and has not run yet. */
	assert_int_equal(jd_mutex_try_lock(&mutex), JD_EWOULDBLOCK);
	assert_int_equal(crank_poll(crank, &lock[2].base, &tally[2], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &lock[1].base, &tally[1], NULL), JD_OK);
	jd_mutex_unlock(&mutex);
	assert_int_equal(crank_poll(crank, &lock[2].base, &tally[2], NULL), JD_OK);
	jd_mutex_unlock(&mutex);
	assert_int_equal(jd_mutex_fini(&mutex), JD_OK);
	for (int i = 0; i < 3; i++) {
		jd_future_drop(&lock[i].base); /* after the end: does not touch the mutex */
		assert_int_equal(tally[i].refs, 0);
	}
}

static void test_a_dropped_wait_leaves_the_line(void **state)
{
	struct crank *crank = *state;
	struct tally tally[2] = {{0}};
	struct jd_mutex mutex;
	struct jd_mutex_lock first, second, unused;

	jd_mutex_init(&mutex);
	assert_int_equal(jd_mutex_try_lock(&mutex), JD_OK);
	jd_mutex_lock_init(&first, &mutex);
	jd_mutex_lock_init(&second, &mutex);
	jd_mutex_lock_init(&unused, &mutex);
	jd_future_drop(&unused.base);
	assert_int_equal(crank_poll(crank, &first.base, &tally[0], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &second.base, &tally[1], NULL), JD_PENDING);
	jd_future_drop(&first.base);
	assert_int_equal(tally[0].refs, 0);
	jd_mutex_unlock(&mutex);
	assert_int_equal(tally[0].wakes, 0);
	assert_int_equal(tally[1].wakes, 1);
	assert_int_equal(crank_poll(crank, &second.base, &tally[1], NULL), JD_OK);
	jd_mutex_unlock(&mutex);
	jd_future_drop(&second.base);
	assert_int_equal(jd_mutex_fini(&mutex), JD_OK);
}

static void test_a_lock_handed_to_a_dropped_wait_goes_on(void **state)
{
	struct crank *crank = *state;
	struct tally tally[2] = {{0}};
	struct jd_mutex mutex;
	struct jd_mutex_lock first, second;

	jd_mutex_init(&mutex);
	assert_int_equal(jd_mutex_try_lock(&mutex), JD_OK);
	jd_mutex_lock_init(&first, &mutex);
	jd_mutex_lock_init(&second, &mutex);
	assert_int_equal(crank_poll(crank, &first.base, &tally[0], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &second.base, &tally[1], NULL), JD_PENDING);
	jd_mutex_unlock(&mutex);
	jd_future_drop(&first.base);
	assert_int_equal(tally[1].wakes, 1);
	jd_future_drop(&second.base); /* and on, to nobody */
	assert_int_equal(jd_mutex_try_lock(&mutex), JD_OK);
	jd_mutex_unlock(&mutex);
	assert_int_equal(jd_mutex_fini(&mutex), JD_OK);
	assert_int_equal(tally[0].refs + tally[1].refs, 0);
}

static void unlock_free_one(void *arg)
{
	struct jd_mutex mutex;

	(void)arg;
	jd_mutex_init(&mutex);
	jd_mutex_unlock(&mutex);
}

static void test_unlock_of_a_free_one_is_misuse(void **state)
{
	(void)state;
	assert_true(death_aborts(unlock_free_one, NULL, "not locked"));
}

/* The example of the header: a read, an await and a write under the lock. */
struct adder {
	struct jd_co co;
	struct jd_mutex *mutex;
	int *sum;
	int seen;
	struct jd_mutex_lock lock;
	struct jd_yield yield;
};

static JD_CO_FN jd_status adder_poll(struct jd_future *future, struct jd_context *context,
				     void *result)
{
	struct adder *self = jd_container_of(future, struct adder, co.base);
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	jd_mutex_lock_init(&self->lock, self->mutex);
	JD_CO_AWAIT(status, &self->lock.base, NULL);
	self->seen = *self->sum;
	jd_yield_init(&self->yield);
	JD_CO_AWAIT(status, &self->yield.base, NULL);
	*self->sum = self->seen + 1;
	jd_mutex_unlock(self->mutex);
	JD_CO_END(status);
}

static void test_no_update_is_lost_across_an_await(void **state)
{
	static const struct jd_future_ops ops = {
		.poll = adder_poll, .drop = jd_co_drop, .size = sizeof(struct adder)};
	struct crank *crank = *state;
	struct jd_mutex mutex;
	int sum = 0;

	jd_mutex_init(&mutex);
	for (int i = 0; i < 50; i++) {
		struct adder adder = {.mutex = &mutex, .sum = &sum};

		jd_co_init(&adder.co, &ops);
		assert_int_equal(jd_spawn(&crank->base, &adder.co.base, NULL), JD_OK);
	}
	crank_run(crank);
	assert_int_equal(sum, 50);
	assert_int_equal(jd_mutex_fini(&mutex), JD_OK);
}

int main(void)
{
#define WITH_CRANK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_try_lock_and_unlock),
		WITH_CRANK(test_first_come_first_served),
		WITH_CRANK(test_a_dropped_wait_leaves_the_line),
		WITH_CRANK(test_a_lock_handed_to_a_dropped_wait_goes_on),
		cmocka_unit_test(test_unlock_of_a_free_one_is_misuse),
		WITH_CRANK(test_no_update_is_lost_across_an_await),
	};

	return cmocka_run_group_tests_name("mutex", tests, NULL, NULL);
}
