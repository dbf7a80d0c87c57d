/* stress_injector.c - producers against takers: exactly once, in order, lists in one piece. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "deque/injector.h"
#include "platform/platform.h"

/*
 * PRODUCERS push numbered runnables, one by one or as lists; TAKERS take. A taker must see the
 * numbers of a producer rise, and a list without anything in between. JD_STRESS multiplies ITEMS.
 */
enum {
	PRODUCERS = 3,
	TAKERS = 2,
	ITEMS = 1000000, /* of each producer */
	LIST = 7,        /* the longest list */
};

struct item {
	struct jd_runnable runnable;
	uint64_t number;     /* plain, from 1 */
	uint32_t producer;   /* plain */
	uint32_t rest;       /* plain: how many of its list follow */
	_Atomic(bool) taken; /* then it may be used again */
};

/* A ring of items a producer uses again once they were taken. */
enum {
	RING = 32
};

struct producer {
	struct jd_thread thread;
	struct item ring[RING];
	uint32_t index;
	uint64_t found_empty;
};

struct taker {
	struct jd_thread thread;
	uint64_t last[PRODUCERS];
	uint64_t count[PRODUCERS];
	uint64_t sum[PRODUCERS];
};

static struct jd_injector in;
static struct producer producers[PRODUCERS];
static struct taker takers[TAKERS];
static _Atomic(unsigned) errors;
static _Atomic(uint32_t) running; /* producers */
static uint64_t items = ITEMS;

static void error(void)
{
	atomic_fetch_add_explicit(&errors, 1, memory_order_relaxed);
}

static void wait_until_taken(struct item *item)
{
	/* order: (TSI1) acquire - the taker is done with it; pairs with (TSI2). */
	while (!atomic_load_explicit(&item->taken, memory_order_acquire))
		jd_thread_yield();
}

static void produce(void *arg)
{
	struct producer *p = arg;

	for (uint64_t n = 1; n <= items;) {
		const uint32_t length = n % 3 == 0 ? (uint32_t)(n % LIST) + 1 : 1;
		struct jd_runnable *first = NULL, **link = &first;

		for (uint32_t i = 0; i < length && n <= items; i++, n++) {
			struct item *item = &p->ring[n % RING];

			wait_until_taken(item);
			atomic_store_explicit(&item->taken, false, memory_order_relaxed);
			item->number = n;
			item->producer = p->index;
			item->rest = length - 1 - i < items - n ? length - 1 - i
								: (uint32_t)(items - n);
			item->runnable.next = NULL;
			*link = &item->runnable;
			link = &item->runnable.next;
		}
		p->found_empty += length == 1 ? jd_injector_push(&in, first)
					      : jd_injector_push_list(&in, first);
	}
	/* order: (TSI3) release - after all its pushes; pairs with (TSI4). */
	atomic_fetch_sub_explicit(&running, 1, memory_order_release);
}

static void take_list(struct taker *t, struct jd_runnable *r)
{
	uint32_t rest = 0, producer = 0;

	while (r) {
		struct item *item = jd_container_of(r, struct item, runnable);

		if (item->producer >= PRODUCERS || item->number <= t->last[item->producer] ||
		    (rest > 0 && (item->producer != producer || item->rest != rest - 1))) {
			error();
			return;
		}
		producer = item->producer;
		rest = item->rest;
		t->last[producer] = item->number;
		t->count[producer]++;
		t->sum[producer] += item->number;
		r = r->next;
		/* order: (TSI2) release - we are done with it; pairs with (TSI1). */
		atomic_store_explicit(&item->taken, true, memory_order_release);
	}
	if (rest)
		error();
}

static void take(void *arg)
{
	struct taker *t = arg;
	bool last = false;

	for (;;) {
		struct jd_runnable *r = jd_injector_take(&in);

		if (r)
			take_list(t, r);
		else if (last)
			return;
		else
			jd_thread_yield();
		/* One more look after the producers are gone. */
		/* order: (TSI4) acquire - all their pushes; pairs with (TSI3). */
		last = atomic_load_explicit(&running, memory_order_acquire) == 0;
	}
}

static void start_all(void)
{
	jd_injector_init(&in);
	atomic_init(&errors, 0);
	atomic_init(&running, PRODUCERS);
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		producers[i].index = i;
		for (int k = 0; k < RING; k++)
			atomic_init(&producers[i].ring[k].taken, true);
	}
	for (int i = 0; i < TAKERS; i++)
		assert_int_equal(jd_thread_start(&takers[i].thread, "taker", 0, take, &takers[i]),
				 JD_OK);
	for (int i = 0; i < PRODUCERS; i++)
		assert_int_equal(jd_thread_start(&producers[i].thread, "producer", 0, produce,
						 &producers[i]),
				 JD_OK);
}

static void test_each_runnable_exactly_once_in_order(void **state)
{
	const char *scale = getenv("JD_STRESS");

	(void)state;
	items = ITEMS * (scale ? strtoull(scale, NULL, 0) : 1);
	start_all();
	for (int i = 0; i < PRODUCERS; i++)
		jd_thread_join(&producers[i].thread);
	for (int i = 0; i < TAKERS; i++)
		jd_thread_join(&takers[i].thread);
	assert_int_equal(atomic_load_explicit(&errors, memory_order_relaxed), 0);
	assert_true(jd_injector_empty(&in));
	/* Rising numbers in each taker, the right count and sum: none twice, none lost. */
	for (int p = 0; p < PRODUCERS; p++) {
		uint64_t count = 0, sum = 0;

		for (int i = 0; i < TAKERS; i++) {
			count += takers[i].count[p];
			sum += takers[i].sum[p];
		}
		assert_true(count == items);
		assert_true(sum == items * (items + 1) / 2);
		assert_true(producers[p].found_empty <= items);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_runnable_exactly_once_in_order),
	};

	return cmocka_run_group_tests_name("stress injector", tests, NULL, NULL);
}
