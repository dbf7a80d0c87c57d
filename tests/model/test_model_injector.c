/* test_model_injector.c - the injector under every schedule: producers, takers, a sleeper. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deque/injector.h"
#include "tests/model/model.h"
#include "tests/model/model_test.h"

enum {
	EACH = 3,
	PRODUCERS = 2
}; /* a single runnable, then a list of two */

struct item {
	struct jd_runnable runnable;
	uint32_t number; /* 1.. of its producer */
	unsigned taken;
};

static struct jd_injector in;
static struct item items[PRODUCERS][EACH];
static unsigned found_nothing; /* pushes that were the first */
static bool closed;

static void setup(void)
{
	jd_injector_init(&in);
	memset(items, 0, sizeof(items));
	found_nothing = 0;
	closed = false;
}

static struct jd_runnable *make(unsigned p, unsigned i)
{
	struct item *item = &items[p][i];

	model_write(item);
	item->number = i + 1;
	item->runnable.next = NULL;
	return &item->runnable;
}

static void consume(struct jd_runnable *r);

static void push(struct jd_runnable *first)
{
	switch (first->next ? jd_injector_push_list(&in, first) : jd_injector_push(&in, first)) {
	case JD_INJECTOR_NONE:
		found_nothing++;
		break;
	case JD_INJECTOR_CLOSED: /* still ours, as it was */
		MODEL_CHECK(closed);
		consume(first);
		break;
	case JD_INJECTOR_SOME:
		break;
	}
}

static void produce(unsigned p)
{
	struct jd_runnable *first;

	push(make(p, 0));
	first = make(p, 1);
	first->next = make(p, 2);
	push(first);
}

static void producer_0(void)
{
	produce(0);
}

static void producer_1(void)
{
	produce(1);
}

/* Order of each producer, and the list in one piece. */
static void consume(struct jd_runnable *r)
{
	uint32_t last[PRODUCERS] = {0};
	const struct item *before = NULL;

	for (; r; r = r->next) {
		struct item *item = jd_container_of(r, struct item, runnable);
		const unsigned p = item >= items[1];

		model_read(item);
		MODEL_CHECK(item->taken == 0);
		MODEL_CHECK(item->number > last[p]);
		MODEL_CHECK(item->number != 3 || before == item - 1);
		item->taken++;
		last[p] = item->number;
		before = item;
	}
}

static void take_twice(void)
{
	consume(jd_injector_take(&in));
	consume(jd_injector_take(&in));
}

static void take_once(void)
{
	consume(jd_injector_take(&in));
}

static void close_it(void)
{
	closed = true;
	consume(jd_injector_close(&in));
	MODEL_CHECK(!jd_injector_close(&in));
	MODEL_CHECK(!jd_injector_take(&in));
}

static void finish(void)
{
	consume(jd_injector_take(&in));
	MODEL_CHECK(jd_injector_empty(&in));
	MODEL_CHECK(found_nothing >= 1 || closed);
	for (unsigned p = 0; p < PRODUCERS; p++)
		for (unsigned i = 0; i < EACH; i++)
			MODEL_CHECK(items[p][i].taken == (items[p][i].number ? 1 : 0));
}

static const struct model_program one_one = {
	"injector11",
	setup,
	{producer_0, take_twice},
	finish,
};
static const struct model_program two_one = {
	"injector21",
	setup,
	{producer_0, producer_1, take_twice},
	finish,
};
static const struct model_program two_two = {
	"injector22",
	setup,
	{producer_0, producer_1, take_once, take_once},
	finish,
};

static const struct model_program closing = {
	"closing",
	setup,
	{producer_0, producer_1, close_it},
	finish,
};
static const struct model_program taken_and_closed = {
	"taken-closed",
	setup,
	{producer_0, take_once, close_it},
	finish,
};

static void test_exactly_once_and_in_order(void **state)
{
	(void)state;
	model_expect_clean(&one_one,
			   &(struct model_options){.preemptions = MODEL_ALL, .stale = MODEL_ALL});
	model_expect_clean(&two_one, &(struct model_options){.preemptions = 4, .stale = 3});
	model_expect_clean(&two_two, &(struct model_options){.preemptions = 3, .stale = 2});
}

static void test_close_loses_nothing(void **state)
{
	(void)state;
	model_expect_clean(&closing, &(struct model_options){.preemptions = 4, .stale = 3});
	model_expect_clean(&taken_and_closed,
			   &(struct model_options){.preemptions = 5, .stale = 3});
}

#define ORDER(name, func, op, order)                            \
	{                                                       \
		name, func, op, "&in->head", MODEL_ORDER, order \
	}
#define SPLIT(name, func, op)                               \
	{                                                   \
		name, func, op, "&in->head", MODEL_SPLIT, 0 \
	}

static const struct model_mutation queue_bugs[] = {
	ORDER("push relaxed", "jd_injector_push_chain", "cas", RLX),
	ORDER("push acquire", "jd_injector_push_chain", "cas", ACQ),
	ORDER("take relaxed", "jd_injector_grab", "cas", RLX),
	SPLIT("push in two steps", "jd_injector_push_chain", "cas"),
	SPLIT("take in two steps", "jd_injector_grab", "cas"),
};

static const struct model_mutation close_bugs[] = {
	ORDER("close relaxed", "jd_injector_close", "exchange", RLX),
	SPLIT("close in two steps", "jd_injector_close", "exchange"),
	{"close leaves no mark", "jd_injector_close", "exchange", "&in->head", MODEL_SKIP, 0},
};

static void test_seeded_bugs_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(queue_bugs) / sizeof(queue_bugs[0]); i++)
		model_expect_bug(&two_two, &queue_bugs[i]);
	for (size_t i = 0; i < sizeof(close_bugs) / sizeof(close_bugs[0]); i++)
		model_expect_bug(&closing, &close_bugs[i]);
}

/* --- The handshake with a sleeper ---------------------------------------------------------- */

static _Atomic(uint32_t) sleepers;
static bool producer_saw, sleeper_saw;

static void handshake_setup(void)
{
	setup();
	atomic_init(&sleepers, 0);
	producer_saw = sleeper_saw = false;
}

static void handshake_producer(void)
{
	jd_injector_push(&in, make(0, 0));
	producer_saw = atomic_load_explicit(&sleepers, SC) != 0;
}

static void handshake_sleeper(void)
{
	atomic_fetch_add_explicit(&sleepers, 1, SC);
	sleeper_saw = !jd_injector_empty(&in);
}

static void handshake_finish(void)
{
	MODEL_CHECK(producer_saw || sleeper_saw);
}

static const struct model_program handshake = {
	"handshake",
	handshake_setup,
	{handshake_producer, handshake_sleeper},
	handshake_finish,
};

static const struct model_mutation handshake_bugs[] = {
	ORDER("push acq_rel", "jd_injector_push_chain", "cas", AR),
	ORDER("empty acquire", "jd_injector_empty", "load", ACQ),
};

static void test_one_side_of_the_handshake_sees_the_other(void **state)
{
	(void)state;
	model_expect_clean(&handshake,
			   &(struct model_options){.preemptions = MODEL_ALL, .stale = MODEL_ALL});
	for (size_t i = 0; i < sizeof(handshake_bugs) / sizeof(handshake_bugs[0]); i++)
		model_expect_bug(&handshake, &handshake_bugs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exactly_once_and_in_order),
		cmocka_unit_test(test_close_loses_nothing),
		cmocka_unit_test(test_seeded_bugs_are_found),
		cmocka_unit_test(test_one_side_of_the_handshake_sees_the_other),
	};

	return cmocka_run_group_tests_name("model injector", tests, NULL, NULL);
}
