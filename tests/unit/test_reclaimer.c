/* test_reclaimer.c - retired buffers are freed after the last section that can read them. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <sys/resource.h>

#include <cmocka.h>

#include "runtime/reclaimer.h"

struct item {
	struct jd_retired retired;
	_Atomic(uint32_t) freed; /* also where the tests wait for it */
};

static void item_free(struct jd_retired *retired)
{
	struct item *item = jd_container_of(retired, struct item, retired);

	/* order: (TRC1) release - the free happened; pairs with (TRC2). */
	atomic_fetch_add_explicit(&item->freed, 1, memory_order_release);
	jd_futex_wake_all(&item->freed);
}

static void item_init(struct item *item)
{
	item->retired.next = NULL;
	item->retired.free = item_free;
	atomic_init(&item->freed, 0);
}

static uint32_t freed(struct item *item)
{
	/* order: (TRC2) acquire - the free happened; pairs with (TRC1). */
	return atomic_load_explicit(&item->freed, memory_order_acquire);
}

static void wait_freed(struct item *item)
{
	while (!freed(item))
		jd_futex_wait(&item->freed, 0, JD_NEVER);
}

static void retire(struct jd_reclaimer *r, struct item *item)
{
	r->reclaim->ops->retire(r->reclaim, &item->retired);
}

static void test_nothing_retired_needs_no_thread(void **state)
{
	struct jd_reclaimer r;

	(void)state;
	jd_reclaimer_init(&r);
	jd_reclaimer_attach(&r);
	r.reclaim->ops->enter(r.reclaim);
	r.reclaim->ops->leave(r.reclaim);
	jd_reclaimer_detach(&r);
	assert_false(atomic_load_explicit(&r._started, memory_order_relaxed));
	jd_reclaimer_fini(&r);
}

static void test_barrier_frees_everything_and_can_be_repeated(void **state)
{
	struct jd_reclaimer r;
	struct item items[8];

	(void)state;
	jd_reclaimer_init(&r);
	for (int lap = 0; lap < 2; lap++) {
		for (int i = 0; i < 8; i++) {
			item_init(&items[i]);
			retire(&r, &items[i]);
		}
		r.reclaim->ops->barrier(r.reclaim);
		for (int i = 0; i < 8; i++)
			assert_int_equal(freed(&items[i]), 1);
	}
	jd_reclaimer_fini(&r);
}

static void test_freed_while_running(void **state)
{
	struct jd_reclaimer r;
	struct item items[3];

	(void)state;
	if (!jd_grace_available())
		skip();
	jd_reclaimer_init(&r);
	jd_reclaimer_attach(&r);
	for (int i = 0; i < 3; i++) {
		item_init(&items[i]);
		retire(&r, &items[i]);
		wait_freed(&items[i]);
	}
	jd_reclaimer_detach(&r);
	jd_reclaimer_fini(&r);
	assert_true(jd_reclaimer_freed(&r) == 3);
}

/* A reader that stays inside until it is told to leave. */
struct reader {
	struct jd_reclaimer *r;
	struct item *item;
	_Atomic(uint32_t) inside, leave;
	uint32_t freed_inside;
};

static void signal_to(_Atomic(uint32_t) *word)
{
	/* order: (TRC3) release - what the signaller did; pairs with (TRC4). */
	atomic_store_explicit(word, 1, memory_order_release);
	jd_futex_wake_all(word);
}

static void wait_for(_Atomic(uint32_t) *word)
{
	/* order: (TRC4) acquire - what the signaller did; pairs with (TRC3). */
	while (!atomic_load_explicit(word, memory_order_acquire))
		jd_futex_wait(word, 0, JD_NEVER);
}

static void reader_main(void *arg)
{
	struct reader *reader = arg;
	struct jd_reclaim *reclaim = reader->r->reclaim;

	jd_reclaimer_attach(reader->r);
	jd_reclaimer_attach(reader->r); /* twice, as a worker of two schedulers would */
	jd_reclaimer_detach(reader->r);
	reclaim->ops->enter(reclaim);
	signal_to(&reader->inside);
	wait_for(&reader->leave);
	reader->freed_inside = freed(reader->item);
	reclaim->ops->leave(reclaim);
	jd_reclaimer_detach(reader->r);
}

static void test_a_section_holds_up_the_free(void **state)
{
	struct jd_reclaimer r;
	struct item item, second;
	struct reader reader = {.r = &r, .item = &item};
	struct jd_thread thread;

	(void)state;
	if (!jd_grace_available())
		skip();
	jd_reclaimer_init(&r);
	item_init(&item);
	item_init(&second);
	assert_int_equal(jd_thread_start(&thread, "reader", 0, reader_main, &reader), JD_OK);
	wait_for(&reader.inside);
	retire(&r, &item);
	/* Enough time to free it wrongly: the thread is up and waits for the grace period. */
	for (int i = 0; i < 1000; i++)
		jd_thread_yield();
	assert_int_equal(freed(&item), 0);
	signal_to(&reader.leave);
	wait_freed(&item);
	jd_thread_join(&thread);
	assert_int_equal(reader.freed_inside, 0);
	/* Sections of one thread do not hold up another's for ever. */
	retire(&r, &second);
	wait_freed(&second);
	jd_reclaimer_fini(&r);
}

/* No new mapping may be made, so no stack for a thread. Sanitizers do not survive that. */
static void test_without_a_thread_it_keeps(void **state)
{
	struct jd_reclaimer r;
	struct item items[2];
	struct rlimit before, none;

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	skip();
#endif
#endif
	if (!jd_grace_available())
		skip();
	jd_reclaimer_init(&r);
	item_init(&items[0]);
	item_init(&items[1]);
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	none = before;
	none.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
	retire(&r, &items[0]);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	assert_false(atomic_load_explicit(&r._started, memory_order_relaxed));
	assert_int_equal(freed(&items[0]), 0);
	/* The next one gets a thread, which frees both. */
	retire(&r, &items[1]);
	wait_freed(&items[0]);
	wait_freed(&items[1]);
	jd_reclaimer_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: the C library keeps the stacks of ended threads for new ones. */
		cmocka_unit_test(test_without_a_thread_it_keeps),
		cmocka_unit_test(test_nothing_retired_needs_no_thread),
		cmocka_unit_test(test_barrier_frees_everything_and_can_be_repeated),
		cmocka_unit_test(test_freed_while_running),
		cmocka_unit_test(test_a_section_holds_up_the_free),
	};

	return cmocka_run_group_tests_name("reclaimer", tests, NULL, NULL);
}
