/* test_oneshot.c - one value, once; each half learns that the other is gone. */
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

static int destroyed;

static void destroy(void *value)
{
	destroyed += *(int *)value;
}

static void test_sent_before_and_after_the_poll(void **state)
{
	struct crank *crank = *state;

	for (int before = 0; before < 2; before++) {
		struct tally tally = {0};
		struct jd_oneshot oneshot;
		struct jd_oneshot_receive receive;
		int slot, value = 0;

		jd_oneshot_init(&oneshot, &slot, sizeof(slot), NULL);
		jd_oneshot_receive_init(&receive, &oneshot, &value);
		if (!before)
			assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL),
					 JD_PENDING);
		assert_int_equal(jd_oneshot_send(&oneshot, &(int){42}), JD_OK);
		assert_int_equal(jd_oneshot_send(&oneshot, &(int){43}), JD_EALREADY);
		assert_int_equal(tally.wakes, !before);
		assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL), JD_OK);
		assert_int_equal(value, 42);
		assert_int_equal(jd_oneshot_fini(&oneshot), JD_OK);
		jd_future_drop(&receive.base);
		assert_int_equal(tally.refs, 0);
	}
}

static void test_a_sender_that_leaves(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_oneshot oneshot;
	struct jd_oneshot_receive receive;
	int slot, value = 0;

	jd_oneshot_init(&oneshot, &slot, sizeof(slot), NULL);
	jd_oneshot_receive_init(&receive, &oneshot, &value);
	assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL), JD_PENDING);
	assert_int_equal(jd_oneshot_fini(&oneshot), JD_EBUSY);
	jd_oneshot_close_sender(&oneshot);
	jd_oneshot_close_sender(&oneshot);
	assert_int_equal(tally.wakes, 1);
	assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL), JD_ECLOSED);
	assert_int_equal(jd_oneshot_send(&oneshot, &value), JD_EALREADY);
	jd_future_drop(&receive.base);
	assert_int_equal(jd_oneshot_fini(&oneshot), JD_OK);
}

static void test_a_receiver_that_leaves(void **state)
{
	struct crank *crank = *state;
	struct tally tally[2] = {{0}};
	struct jd_oneshot oneshot;
	struct jd_oneshot_receive receive;
	struct jd_oneshot_closed closed;
	int slot, value = 0;

	jd_oneshot_init(&oneshot, &slot, sizeof(slot), destroy);
	jd_oneshot_receive_init(&receive, &oneshot, &value);
	jd_oneshot_closed_init(&closed, &oneshot);
	assert_int_equal(crank_poll(crank, &receive.base, &tally[0], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &closed.base, &tally[1], NULL), JD_PENDING);
	assert_false(jd_oneshot_is_closed(&oneshot));
	destroyed = 0;
	jd_future_drop(&receive.base);
	assert_int_equal(tally[0].refs, 0);
	assert_int_equal(tally[1].wakes, 1);
	assert_true(jd_oneshot_is_closed(&oneshot));
	assert_int_equal(crank_poll(crank, &closed.base, &tally[1], NULL), JD_OK);
	jd_future_drop(&closed.base);
	assert_int_equal(jd_oneshot_send(&oneshot, &(int){42}), JD_ECLOSED);
	assert_int_equal(destroyed, 0); /* it is still the sender's */
	assert_int_equal(jd_oneshot_fini(&oneshot), JD_OK);
	assert_int_equal(tally[1].refs, 0);
}

static void test_a_value_nobody_takes_is_destroyed_once(void **state)
{
	struct jd_oneshot oneshot;
	struct jd_oneshot_receive receive;
	int slot, value = 0;

	(void)state;
	destroyed = 0;
	jd_oneshot_init(&oneshot, &slot, sizeof(slot), destroy);
	jd_oneshot_receive_init(&receive, &oneshot, &value);
	assert_int_equal(jd_oneshot_send(&oneshot, &(int){42}), JD_OK);
	jd_future_drop(&receive.base);
	assert_int_equal(destroyed, 42);
	assert_int_equal(jd_oneshot_fini(&oneshot), JD_OK);
	assert_int_equal(destroyed, 42);

	jd_oneshot_init(&oneshot, &slot, sizeof(slot), destroy);
	assert_int_equal(jd_oneshot_send(&oneshot, &(int){1}), JD_OK);
	assert_int_equal(jd_oneshot_fini(&oneshot), JD_OK); /* no receiver ever */
	assert_int_equal(destroyed, 43);
}

static void test_try_receive(void **state)
{
	struct jd_oneshot oneshot;
	int slot, value = 0;

	(void)state;
	destroyed = 0;
	jd_oneshot_init(&oneshot, &slot, sizeof(slot), destroy);
	assert_int_equal(jd_oneshot_try_receive(&oneshot, &value), JD_EWOULDBLOCK);
	assert_int_equal(jd_oneshot_send(&oneshot, &(int){42}), JD_OK);
	assert_int_equal(jd_oneshot_try_receive(&oneshot, &value), JD_OK);
	assert_int_equal(value, 42);
	assert_int_equal(jd_oneshot_try_receive(&oneshot, &value), JD_ECLOSED);
	jd_oneshot_close_receiver(&oneshot);
	assert_int_equal(jd_oneshot_fini(&oneshot), JD_OK);
	assert_int_equal(destroyed, 0);
}

static void test_the_closed_future_may_be_dropped(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_oneshot oneshot;
	struct jd_oneshot_closed closed;

	jd_oneshot_init(&oneshot, NULL, 0, NULL);
	jd_oneshot_closed_init(&closed, &oneshot);
	assert_int_equal(crank_poll(crank, &closed.base, &tally, NULL), JD_PENDING);
	assert_int_equal(jd_oneshot_fini(&oneshot), JD_EBUSY);
	jd_future_drop(&closed.base);
	assert_int_equal(tally.refs, 0);
	assert_int_equal(jd_oneshot_send(&oneshot, NULL), JD_OK); /* just a signal */
	assert_int_equal(jd_oneshot_try_receive(&oneshot, NULL), JD_OK);
	assert_int_equal(jd_oneshot_fini(&oneshot), JD_OK);
}

static void *send_answer(void *arg)
{
	return (void *)(uintptr_t)(jd_oneshot_send(arg, &(int){42}) == JD_OK);
}

static void test_header_example(void **state)
{
	struct crank *crank = *state;
	struct jd_scheduler *scheduler = &crank->base;
	struct jd_oneshot reply;
	struct jd_oneshot_receive receive;
	int slot, value;

	jd_oneshot_init(&reply, &slot, sizeof(slot), NULL);
	jd_oneshot_receive_init(&receive, &reply, &value);
	assert_int_equal(jd_spawn_fn(scheduler, send_answer, &reply, NULL), JD_OK);
	jd_status status = jd_block(scheduler, &receive.base, NULL);
	jd_future_drop(&receive.base);
	jd_oneshot_fini(&reply);
	assert_int_equal(status, JD_OK);
	assert_int_equal(value, 42);
}

static void no_slot(void *arg)
{
	struct jd_oneshot oneshot;

	(void)arg;
	jd_oneshot_init(&oneshot, NULL, 4, NULL);
}

static void no_value(void *arg)
{
	struct jd_oneshot oneshot;
	int slot;

	(void)arg;
	jd_oneshot_init(&oneshot, &slot, sizeof(slot), NULL);
	if (jd_oneshot_send(&oneshot, NULL) == JD_OK)
		jd_oneshot_close_receiver(&oneshot);
}

static void test_null_is_misuse(void **state)
{
	(void)state;
	assert_true(death_aborts(no_slot, NULL, "needs a slot"));
	assert_true(death_aborts(no_value, NULL, "no value"));
}

int main(void)
{
#define WITH_CRANK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_CRANK(test_sent_before_and_after_the_poll),
		WITH_CRANK(test_a_sender_that_leaves),
		WITH_CRANK(test_a_receiver_that_leaves),
		cmocka_unit_test(test_a_value_nobody_takes_is_destroyed_once),
		cmocka_unit_test(test_try_receive),
		WITH_CRANK(test_the_closed_future_may_be_dropped),
		WITH_CRANK(test_header_example),
		cmocka_unit_test(test_null_is_misuse),
	};

	return cmocka_run_group_tests_name("oneshot", tests, NULL, NULL);
}
