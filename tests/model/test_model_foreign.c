/* test_model_foreign.c - lanes of foreign threads under every schedule: shared, grown, closed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deque/reclaim_keep.h"
#include "platform/platform.h"
#include "runtime/foreign.h"
#include "tests/model/model.h"
#include "tests/model/model_test.h"

/*
 * One lane, whose queue is made by the first visit and has room for two. What finds the lane taken
 * goes another way: its producer counts it as taken at once.
 */
enum {
	PRODUCERS = 2,
	EACH = 3
};

struct item {
	struct jd_runnable runnable;
	uint32_t number; /* plain; 1.. of its producer */
	unsigned taken;
};

static struct {
	struct jd_foreign foreign;
	struct jd_reclaim_keep keep;
	struct item items[PRODUCERS][EACH];
	unsigned each; /* of these, each producer hands in */
	unsigned held; /* plain: how often the lane was held */
	bool closed;
} s;

uint64_t jd_thread_self(void)
{
	return 1;
}

void jd_thread_yield(void)
{
	model_yield();
}

static void setup(unsigned each)
{
	memset(&s, 0, sizeof(s));
	s.each = each;
	model_local(&jd_foreign_self, sizeof(jd_foreign_self));
	jd_reclaim_keep_init(&s.keep);
	jd_foreign_init(&s.foreign, model_allocator(), &s.keep.base);
	/* The product relies on zeroed memory for its atomics. */
	model_defined(&s.foreign, sizeof(s.foreign));
}

static void setup_one(void)
{
	setup(1);
}

static void setup_two(void)
{
	setup(2);
}

static void setup_three(void)
{
	setup(3);
}

static void taken(struct item *item)
{
	model_read(item);
	MODEL_CHECK(item->number && item->taken == 0);
	item->taken++;
}

static void produce(unsigned p)
{
	for (unsigned i = 0; i < s.each; i++) {
		struct item *item = &s.items[p][i];

		model_write(item);
		item->number = i + 1;
		struct jd_foreign_lane *lane = jd_foreign_enter(&s.foreign);
		bool pushed = lane && jd_foreign_push(lane, &item->runnable);

		if (lane) {
			/* What the holder of a lane does there is his alone. */
			model_write(&s.held);
			s.held++;
			MODEL_CHECK(jd_foreign_here(&s.foreign) == lane);
			MODEL_CHECK(!jd_foreign_enter(&s.foreign));
			jd_foreign_leave(lane);
		}
		MODEL_CHECK(!jd_foreign_here(&s.foreign));
		if (!pushed)
			taken(item);
	}
}

static void producer_0(void)
{
	produce(0);
}

static void producer_1(void)
{
	produce(1);
}

/* Takes up to two, in the order of their producer. */
static size_t take(uint32_t last[PRODUCERS])
{
	void *items[2];
	size_t n = jd_foreign_take(&s.foreign, 0, items, 2);

	for (size_t i = 0; i < n; i++) {
		struct item *item =
			jd_container_of((struct jd_runnable *)items[i], struct item, runnable);
		const unsigned p = item >= s.items[1];

		taken(item);
		MODEL_CHECK(item->number > last[p]);
		last[p] = item->number;
	}
	return n;
}

static void take_twice(void)
{
	uint32_t last[PRODUCERS] = {0};

	take(last);
	take(last);
}

static void close_and_take(void)
{
	uint32_t last[PRODUCERS] = {0};

	jd_foreign_close(&s.foreign);
	s.closed = true;
	model_read(&s.held);
	while (take(last))
		;
	MODEL_CHECK(jd_foreign_empty(&s.foreign));
}

static void finish(void)
{
	uint32_t last[PRODUCERS] = {0};
	const unsigned producers = s.items[1][0].number ? 2 : 1;

	MODEL_CHECK(!s.closed || !jd_foreign_size(&s.foreign));
	while (take(last))
		;
	MODEL_CHECK(jd_foreign_empty(&s.foreign));
	for (unsigned p = 0; p < producers; p++)
		for (unsigned i = 0; i < s.each; i++)
			MODEL_CHECK(s.items[p][i].taken == 1);
	jd_foreign_fini(&s.foreign);
	jd_reclaim_keep_fini(&s.keep);
}

static const struct model_program one_one = {
	"lane11",
	setup_three,
	{producer_0, take_twice},
	finish,
};
static const struct model_program one_two = {
	"lane12",
	setup_three,
	{producer_0, take_twice, take_twice},
	finish,
};
static const struct model_program two_one = {
	"lane21",
	setup_two,
	{producer_0, producer_1, take_twice},
	finish,
};
static const struct model_program closing = {
	"closed",
	setup_two,
	{producer_0, close_and_take},
	finish,
};
static const struct model_program closing_both = {
	"closed, two",
	setup_one,
	{producer_0, producer_1, close_and_take},
	finish,
};

static void clean(const struct model_program *program, unsigned preemptions, unsigned stale)
{
	const struct model_options options = {.preemptions = preemptions, .stale = stale};

	model_expect_clean(program, &options);
}

static void test_each_is_taken_once(void **state)
{
	(void)state;
	clean(&one_one, 3, 2);
	clean(&one_two, 2, 1);
	clean(&two_one, 2, 1);
}

static void test_close_loses_nothing(void **state)
{
	(void)state;
	clean(&closing, 4, 2);
	clean(&closing_both, 3, 1);
}

static const struct model_mutation one_bugs[] = {
	{"bottom is read relaxed", "jd_deque_take_many", "load", "&d->bottom", MODEL_ORDER, RLX},
	{"buffer is read relaxed", "jd_deque_take_many", "load", "&d->buffer", MODEL_ORDER, RLX},
	{"open is set relaxed", "count_visit", "or", "&all->open", MODEL_ORDER, RLX},
	{"open is read relaxed", "jd_foreign_take", "load", "&self->open", MODEL_ORDER, RLX},
};

static const struct model_mutation shared_bugs[] = {
	{"entered in two steps", "try_enter", "cas", "&lane->held", MODEL_SPLIT, 0},
	{"entered relaxed", "try_enter", "cas", "&lane->held", MODEL_ORDER, RLX},
	{"left relaxed", "jd_foreign_leave", "store", "&lane->held", MODEL_ORDER, RLX},
};

static const struct model_mutation close_bugs[] = {
	{"closed relaxed", "jd_foreign_close", "cas", "held", MODEL_ORDER, RLX},
	{"closed in two steps", "jd_foreign_close", "cas", "held", MODEL_SPLIT, 0},
};

static const struct model_mutation split_take = {
	"taken in two steps", "jd_deque_take_many", "cas", "&d->top", MODEL_SPLIT, 0,
};

static void test_seeded_bugs_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(one_bugs) / sizeof(one_bugs[0]); i++)
		model_expect_bug(&one_one, &one_bugs[i]);
	for (size_t i = 0; i < sizeof(shared_bugs) / sizeof(shared_bugs[0]); i++)
		model_expect_bug(&two_one, &shared_bugs[i]);
	for (size_t i = 0; i < sizeof(close_bugs) / sizeof(close_bugs[0]); i++)
		model_expect_bug(&closing, &close_bugs[i]);
	model_expect_bug(&one_two, &split_take);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_taken_once),
		cmocka_unit_test(test_close_loses_nothing),
		cmocka_unit_test(test_seeded_bugs_are_found),
	};

	return cmocka_run_group_tests_name("model foreign", tests, NULL, NULL);
}
