/* test_notify.c - notifications: one is kept, all are not, and none is lost with its waiter. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/co.h>
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

static void test_one_is_kept_once(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_notify notify;
	struct jd_notify_wait wait[2];

	jd_notify_init(&notify);
	jd_notify_one(&notify);
	jd_notify_one(&notify);
	jd_notify_wait_init(&wait[0], &notify);
	jd_notify_wait_init(&wait[1], &notify);
	assert_int_equal(crank_poll(crank, &wait[0].base, &tally, NULL), JD_OK);
	assert_int_equal(crank_poll(crank, &wait[1].base, &tally, NULL), JD_PENDING);
	assert_int_equal(jd_notify_fini(&notify), JD_EBUSY);
	jd_future_drop(&wait[0].base);
	jd_future_drop(&wait[1].base);
	assert_int_equal(jd_notify_fini(&notify), JD_OK);
	assert_int_equal(tally.refs, 0);
}

static void test_one_goes_to_who_waits_longest(void **state)
{
	struct crank *crank = *state;
	struct tally tally[2] = {{0}};
	struct jd_notify notify;
	struct jd_notify_wait wait[2];

	jd_notify_init(&notify);
	for (int i = 0; i < 2; i++) {
		jd_notify_wait_init(&wait[i], &notify);
		assert_int_equal(crank_poll(crank, &wait[i].base, &tally[i], NULL), JD_PENDING);
	}
	jd_notify_one(&notify);
	assert_int_equal(tally[0].wakes, 1);
	assert_int_equal(crank_poll(crank, &wait[1].base, &tally[1], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &wait[0].base, &tally[0], NULL), JD_OK);
	jd_notify_one(&notify);
	assert_int_equal(crank_poll(crank, &wait[1].base, &tally[1], NULL), JD_OK);
	assert_int_equal(jd_notify_fini(&notify), JD_OK);
}

static void test_all_ends_every_wait_that_was_made(void **state)
{
	enum {
		N = 50
	};
	struct crank *crank = *state;
	struct tally tally[N] = {{0}};
	struct jd_notify notify;
	struct jd_notify_wait wait[N], made, late;

	jd_notify_init(&notify);
	jd_notify_all(&notify); /* nothing is kept of it */
	for (int i = 0; i < N; i++) {
		jd_notify_wait_init(&wait[i], &notify);
		assert_int_equal(crank_poll(crank, &wait[i].base, &tally[i], NULL), JD_PENDING);
	}
	jd_notify_wait_init(&made, &notify); /* not polled yet */
	jd_notify_all(&notify);
	jd_notify_wait_init(&late, &notify);
	for (int i = 0; i < N; i++) {
		assert_int_equal(tally[i].wakes, 1);
		assert_int_equal(crank_poll(crank, &wait[i].base, &tally[i], NULL), JD_OK);
	}
	assert_int_equal(crank_poll(crank, &made.base, &tally[0], NULL), JD_OK);
	assert_int_equal(crank_poll(crank, &late.base, &tally[0], NULL), JD_PENDING);
	jd_future_drop(&late.base);
	assert_int_equal(jd_notify_fini(&notify), JD_OK);
}

static void test_all_takes_no_kept_one(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_notify notify;
	struct jd_notify_wait made, next;

	jd_notify_init(&notify);
	jd_notify_wait_init(&made, &notify);
	jd_notify_one(&notify);
	jd_notify_all(&notify);
	assert_int_equal(crank_poll(crank, &made.base, &tally, NULL), JD_OK);
	jd_notify_wait_init(&next, &notify);
	assert_int_equal(crank_poll(crank, &next.base, &tally, NULL), JD_OK);
	assert_int_equal(jd_notify_fini(&notify), JD_OK);
}

static void test_a_dropped_wait_hands_its_notification_on(void **state)
{
	struct crank *crank = *state;
	struct tally tally[2] = {{0}};
	struct jd_notify notify;
	struct jd_notify_wait wait[2], next;

	jd_notify_init(&notify);
	for (int i = 0; i < 2; i++) {
		jd_notify_wait_init(&wait[i], &notify);
		assert_int_equal(crank_poll(crank, &wait[i].base, &tally[i], NULL), JD_PENDING);
	}
	jd_notify_one(&notify);
	jd_future_drop(&wait[0].base);
	assert_int_equal(tally[1].wakes, 1);
	jd_future_drop(&wait[1].base); /* to nobody: it is kept */
	jd_notify_wait_init(&next, &notify);
	assert_int_equal(crank_poll(crank, &next.base, &tally[0], NULL), JD_OK);

	/* One that came from notify_all is not: everybody had it. */
	jd_notify_wait_init(&wait[0], &notify);
	assert_int_equal(crank_poll(crank, &wait[0].base, &tally[0], NULL), JD_PENDING);
	jd_notify_all(&notify);
	jd_future_drop(&wait[0].base);
	jd_notify_wait_init(&next, &notify);
	assert_int_equal(crank_poll(crank, &next.base, &tally[0], NULL), JD_PENDING);
	jd_future_drop(&next.base);
	assert_int_equal(jd_notify_fini(&notify), JD_OK);
	assert_int_equal(tally[0].refs + tally[1].refs, 0);
}

/* The loop of the header's example. */
struct waiter {
	struct jd_co co;
	struct jd_notify *notify;
	const int *level;
	int wanted;
	int *done;
	struct jd_notify_wait changed;
};

static JD_CO_FN jd_status waiter_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct waiter *self = jd_container_of(future, struct waiter, co.base);
	jd_status status = JD_OK;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (;;) {
		jd_notify_wait_init(&self->changed, self->notify);
		if (*self->level >= self->wanted)
			break;
		JD_CO_AWAIT(status, &self->changed.base, NULL);
	}
	++*self->done;
	JD_CO_END(status);
}

static void test_waiting_for_a_condition(void **state)
{
	static const struct jd_future_ops ops = {
		.poll = waiter_poll, .drop = jd_co_drop, .size = sizeof(struct waiter)};
	struct crank *crank = *state;
	struct jd_notify notify;
	int level = 0, done = 0;

	jd_notify_init(&notify);
	for (int i = 0; i <= 10; i++) {
		struct waiter waiter = {
			.notify = &notify, .level = &level, .wanted = i, .done = &done};

		jd_co_init(&waiter.co, &ops);
		assert_int_equal(jd_spawn(&crank->base, &waiter.co.base, NULL), JD_OK);
	}
	for (; level <= 10; level++) {
		jd_notify_all(&notify);
		crank_run(crank);
		assert_int_equal(done, level + 1);
	}
	assert_int_equal(jd_notify_fini(&notify), JD_OK);
}

int main(void)
{
#define WITH_CRANK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_CRANK(test_one_is_kept_once),
		WITH_CRANK(test_one_goes_to_who_waits_longest),
		WITH_CRANK(test_all_ends_every_wait_that_was_made),
		WITH_CRANK(test_all_takes_no_kept_one),
		WITH_CRANK(test_a_dropped_wait_hands_its_notification_on),
		WITH_CRANK(test_waiting_for_a_condition),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
