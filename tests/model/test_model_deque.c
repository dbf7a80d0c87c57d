/* test_model_deque.c - the deque under every schedule: an owner, thieves, growth, wrap-around. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deque/deque.h"
#include "deque/reclaim_keep.h"
#include "tests/model/model.h"
#include "tests/model/model_test.h"

/* --- One scenario: what the owner and the thieves do --------------------------------------- */

static struct {
	const char *owner; /* P push, T take (pop), R reserve for one more than there is room */
	unsigned steals;   /* of each thief; HALF: one steal_half */
	size_t capacity;
	uint64_t start;
	void *(*pop)(struct jd_deque *d);                        /* or a broken one */
	enum jd_steal (*steal)(struct jd_deque *d, void **item); /* or a broken one */
	jd_status (*push)(struct jd_deque *d, void *item);
	const struct jd_reclaim_ops *reclaim;
} s;

enum {
	ITEMS = 8,
	HALF = 100
};

static struct jd_deque d;
static struct jd_reclaim_keep keep;
static struct jd_reclaim at_once;
static uint32_t items[ITEMS];
static unsigned pushed, taken[ITEMS];

static void take(void *item)
{
	const unsigned i = (unsigned)((uint32_t *)item - items);

	MODEL_CHECK(item && i < ITEMS);
	model_read(item);
	MODEL_CHECK(items[i] == i + 1);
	MODEL_CHECK(taken[i] == 0);
	taken[i]++;
}

static void setup(void)
{
	memset(items, 0, sizeof(items));
	memset(taken, 0, sizeof(taken));
	pushed = 0;
	jd_reclaim_keep_init(&keep);
	at_once.ops = s.reclaim;
	MODEL_CHECK(jd_deque_init_at(&d, s.capacity, model_allocator(),
				     s.reclaim ? &at_once : &keep.base, s.start) == JD_OK);
}

static void owner(void)
{
	for (const char *op = s.owner; *op; op++) {
		void *item;

		if (*op == 'P') {
			model_write(&items[pushed]);
			items[pushed] = pushed + 1;
			MODEL_CHECK(s.push(&d, &items[pushed]) == JD_OK);
			pushed++;
		} else if (*op == 'T') {
			item = s.pop(&d);
			/* NULL means that there is nothing, not that a thief was near. */
			if (item)
				take(item);
			else
				MODEL_CHECK(!s.pop(&d));
		} else if (*op == 'O') {
			item = jd_deque_pop_oldest(&d);
			if (item)
				take(item);
		} else {
			MODEL_CHECK(jd_deque_reserve(&d, s.capacity + 1) == JD_OK);
		}
	}
}

static void steal_half(void)
{
	struct jd_deque own;
	size_t moved = 0, kept = 0;
	void *item;

	MODEL_CHECK(jd_deque_init(&own, 1, model_allocator(), d.reclaim) == JD_OK);
	if (jd_deque_steal_half(&d, &own, 3, &item, &moved) == JD_STEAL_OK) {
		take(item);
		for (kept = 1; (item = jd_deque_pop(&own)); kept++)
			take(item);
	}
	MODEL_CHECK(kept == moved);
	jd_deque_fini(&own);
}

static void thief(void)
{
	void *item;

	if (s.steals == HALF) {
		steal_half();
		return;
	}
	for (unsigned i = 0; i < s.steals; i++)
		if (s.steal(&d, &item) == JD_STEAL_OK)
			take(item);
}

static void finish(void)
{
	void *item;

	MODEL_CHECK(jd_deque_check(&d, NULL));
	while ((item = jd_deque_pop(&d)))
		take(item);
	for (unsigned i = 0; i < pushed; i++)
		if (taken[i] != 1)
			model_fail("item %u is lost", i);
	jd_deque_fini(&d);
	jd_reclaim_keep_fini(&keep);
}

static const struct model_program one_thief = {"deque1", setup, {owner, thief}, finish};
static const struct model_program two_thieves = {"deque2", setup, {owner, thief, thief}, finish};

static void scenario(const char *script, unsigned steals, size_t capacity, uint64_t start)
{
	s.owner = script;
	s.steals = steals;
	s.capacity = capacity;
	s.start = start;
	s.pop = jd_deque_pop;
	s.steal = jd_deque_steal;
	s.push = jd_deque_push;
	s.reclaim = NULL;
}

/* --- The deque is right -------------------------------------------------------------------- */

static void test_one_thief_every_order(void **state)
{
	const struct model_options all = {.preemptions = MODEL_ALL, .stale = MODEL_ALL};

	(void)state;
	scenario("PT", 1, 1, 0);
	model_expect_clean(&one_thief, &all);
	scenario("PPT", 1, 2, 0);
	model_expect_clean(&one_thief, &all);
	scenario("PPTT", 2, 2, UINT64_MAX);
	model_expect_clean(&one_thief, &(struct model_options){.preemptions = 4, .stale = 3});
	scenario("PPTT", 2, 1, UINT64_MAX); /* grows */
	model_expect_clean(&one_thief, &(struct model_options){.preemptions = 4, .stale = 3});
}

static void test_two_thieves(void **state)
{
	const struct model_options three = {.preemptions = 3, .stale = 2};

	(void)state;
	scenario("PPTT", 1, 2, 0);
	model_expect_clean(&two_thieves, &three);
	scenario("TPPT", 1, 4, UINT64_MAX);
	model_expect_clean(&two_thieves, &three);
}

static void test_growth_under_two_thieves(void **state)
{
	const struct model_options two = {.preemptions = 2, .stale = 2};

	(void)state;
	scenario("PPTP", 1, 1, INT64_MAX);
	model_expect_clean(&two_thieves, &two);
	scenario("PPPT", 1, 1, UINT64_MAX - 1); /* 1, 2, 4 */
	model_expect_clean(&two_thieves, &two);
	scenario("PTRPT", 1, 1, 0);
	model_expect_clean(&two_thieves, &two);
}

static void test_laps_reuse_slots(void **state)
{
	const struct model_options two = {.preemptions = 3, .stale = 2};

	(void)state;
	scenario("PPPTP", 2, 2, UINT64_MAX);
	model_expect_clean(&one_thief, &two);
	scenario("PTPTPT", 2, 1, UINT64_MAX);
	model_expect_clean(&one_thief, &two);
}

static void test_owner_takes_the_oldest(void **state)
{
	const struct model_options three = {.preemptions = 3, .stale = 2};

	(void)state;
	scenario("PPOT", 2, 2, UINT64_MAX);
	model_expect_clean(&one_thief, &three);
	scenario("PPOPO", 1, 1, 0);
	model_expect_clean(&two_thieves, &(struct model_options){.preemptions = 2, .stale = 2});
	scenario("PPTOPO", 1, 2, 0);
	s.push = jd_deque_push_post;
	model_expect_clean(&one_thief, &three);
}

static void test_steal_half(void **state)
{
	const struct model_options two = {.preemptions = 2, .stale = 1};

	(void)state;
	scenario("PPPTT", HALF, 4, 0);
	model_expect_clean(&one_thief, &two);
	scenario("PPPPT", HALF, 2, UINT64_MAX);
	model_expect_clean(&one_thief, &two);
}

static void test_at_random(void **state)
{
	const struct model_options random = {.executions = 1, .random = 60000, .seed = 1};

	(void)state;
	scenario("PPTPPTTP", 3, 1, UINT64_MAX - 2);
	model_expect_clean(&two_thieves, &random);
}

/* --- Seeded bugs are found ----------------------------------------------------------------- */

#define ORDER(name, func, op, object, order)               \
	{                                                  \
		name, func, op, object, MODEL_ORDER, order \
	}

static const struct model_mutation on_two_items[] = {
	ORDER("pop claims acq_rel", "jd_deque_pop", "exchange", "&d->bottom", AR),
	ORDER("pop claims release", "jd_deque_pop", "exchange", "&d->bottom", REL),
	ORDER("pop loads top acquire", "jd_deque_pop", "load", "&d->top", ACQ),
	ORDER("steal loads top acquire", "jd_deque_steal", "load", "&d->top", ACQ),
	ORDER("steal loads bottom acquire", "jd_deque_steal", "load", "&d->bottom", ACQ),
	ORDER("push relaxed", "jd_deque_push", "store", "&d->bottom", RLX),
	{"pop does not claim", "jd_deque_pop", "exchange", "&d->bottom", MODEL_SKIP, 0},
	{"pop does not restore", "jd_deque_pop", "store", "&d->bottom", MODEL_SKIP, 0},
	{"steal in two steps", "jd_deque_steal", "cas", "&d->top", MODEL_SPLIT, 0},
	{"last pop in two steps", "jd_deque_pop_top", "cas", "&d->top", MODEL_SPLIT, 0},
	{"no store of the slot", "jd_deque_fill", "store", "&a->slots[b & a->mask]", MODEL_SKIP, 0},
};

static const struct model_mutation on_growth[] = {
	ORDER("buffer published relaxed", "jd_deque_reserve", "store", "&d->buffer", RLX),
	ORDER("buffer loaded relaxed", "jd_deque_steal", "load", "&d->buffer", RLX),
	{"slots not initialised", "buffer_new", "init", "&a->slots[i]", MODEL_SKIP, 0},
	{"slots not copied", "jd_deque_reserve", "store", "&a->slots[i & a->mask]", MODEL_SKIP, 0},
	{"buffer not published", "jd_deque_reserve", "store", "&d->buffer", MODEL_SKIP, 0},
	{"old buffer lost", "keep_retire", "cas", "&self->_kept", MODEL_SPLIT, 0},
};

static void test_wrong_orders_are_found(void **state)
{
	(void)state;
	scenario("PPTT", 1, 2, 0);
	for (size_t i = 0; i < sizeof(on_two_items) / sizeof(on_two_items[0]); i++)
		model_expect_bug(&two_thieves, &on_two_items[i]);
}

static void test_wrong_growth_is_found(void **state)
{
	(void)state;
	scenario("PPP", 1, 1, 0);
	for (size_t i = 0; i + 1 < sizeof(on_growth) / sizeof(on_growth[0]); i++)
		model_expect_bug(&two_thieves, &on_growth[i]);
}

/* --- Broken variants of the algorithm ------------------------------------------------------ */

/* The slot is read after the claim: the owner may be writing its next lap. */
static enum jd_steal steal_read_late(struct jd_deque *dq, void **item)
{
	uint64_t t = atomic_load_explicit(&dq->top, SC);
	uint64_t b = atomic_load_explicit(&dq->bottom, SC);
	struct jd_deque_buffer *a = atomic_load_explicit(&dq->buffer, ACQ);

	if ((int64_t)(b - t) <= 0)
		return JD_STEAL_EMPTY;
	if (!atomic_compare_exchange_strong_explicit(&dq->top, &t, t + 1, SC, RLX))
		return JD_STEAL_RETRY;
	*item = atomic_load_explicit(&a->slots[t & a->mask], RLX);
	return JD_STEAL_OK;
}

/* Two items with one claim: the owner may be inside. */
static enum jd_steal steal_two_at_once(struct jd_deque *dq, void **item)
{
	uint64_t t = atomic_load_explicit(&dq->top, SC);
	uint64_t b = atomic_load_explicit(&dq->bottom, SC);
	struct jd_deque_buffer *a = atomic_load_explicit(&dq->buffer, ACQ);
	const unsigned n = (int64_t)(b - t) >= 2 ? 2 : 1;
	void *second;

	if ((int64_t)(b - t) <= 0)
		return JD_STEAL_EMPTY;
	*item = atomic_load_explicit(&a->slots[t & a->mask], RLX);
	second = atomic_load_explicit(&a->slots[(t + 1) & a->mask], RLX);
	if (!atomic_compare_exchange_strong_explicit(&dq->top, &t, t + n, SC, RLX))
		return JD_STEAL_RETRY;
	if (n == 2)
		take(second);
	return JD_STEAL_OK;
}

/* Indices as plain unsigned numbers: an empty deque at 0 looks full. */
static void *pop_unsigned(struct jd_deque *dq)
{
	uint64_t b = atomic_load_explicit(&dq->bottom, RLX) - 1, t;
	struct jd_deque_buffer *a = atomic_load_explicit(&dq->buffer, RLX);

	atomic_exchange_explicit(&dq->bottom, b, SC);
	t = atomic_load_explicit(&dq->top, SC);
	if (t < b)
		return atomic_load_explicit(&a->slots[b & a->mask], RLX);
	atomic_store_explicit(&dq->bottom, b + 1, REL);
	return t > b ? NULL : jd_deque_pop_top(dq, b);
}

/* Takes the last item without asking the thieves. */
static void *pop_last_alone(struct jd_deque *dq)
{
	uint64_t b = atomic_load_explicit(&dq->bottom, RLX) - 1;
	struct jd_deque_buffer *a = atomic_load_explicit(&dq->buffer, RLX);

	if ((int64_t)(b - atomic_load_explicit(&dq->top, RLX)) < 0)
		return NULL;
	atomic_exchange_explicit(&dq->bottom, b, SC);
	if ((int64_t)(b - atomic_load_explicit(&dq->top, SC)) >= 0)
		return atomic_load_explicit(&a->slots[b & a->mask], RLX);
	atomic_store_explicit(&dq->bottom, b + 1, REL);
	return NULL;
}

/* The buffer is not loaded again after growth. */
static jd_status push_into_old(struct jd_deque *dq, void *item)
{
	uint64_t b = atomic_load_explicit(&dq->bottom, RLX);
	struct jd_deque_buffer *a = atomic_load_explicit(&dq->buffer, RLX);

	if (b - dq->top_seen > a->mask && jd_deque_reserve(dq, 1) != JD_OK)
		return JD_ENOMEM;
	atomic_store_explicit(&a->slots[b & a->mask], item, RLX);
	atomic_store_explicit(&dq->bottom, b + 1, REL);
	return JD_OK;
}

static void no_section(struct jd_reclaim *self)
{
	(void)self;
}

static void free_now(struct jd_reclaim *self, struct jd_retired *item)
{
	(void)self;
	item->free(item);
}

static const struct jd_reclaim_ops free_at_once = {
	"at once", no_section, no_section, free_now, no_section,
};

static void test_broken_algorithms_are_found(void **state)
{
	(void)state;
	scenario("PPTPP", 2, 2, 0);
	s.steal = steal_read_late;
	model_expect_bug(&one_thief, NULL);
	scenario("PPTT", 1, 2, 0);
	s.steal = steal_two_at_once;
	model_expect_bug(&one_thief, NULL);
	scenario("TPTP", 1, 2, 0);
	s.pop = pop_unsigned;
	model_expect_bug(&one_thief, NULL);
	scenario("PPTT", 1, 2, 0);
	s.pop = pop_last_alone;
	model_expect_bug(&one_thief, NULL);
	scenario("PPT", 1, 1, 0);
	s.push = push_into_old;
	model_expect_bug(&one_thief, NULL);
	scenario("PPT", 1, 1, 0);
	s.reclaim = &free_at_once;
	model_expect_bug(&one_thief, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_thief_every_order),
		cmocka_unit_test(test_two_thieves),
		cmocka_unit_test(test_growth_under_two_thieves),
		cmocka_unit_test(test_laps_reuse_slots),
		cmocka_unit_test(test_owner_takes_the_oldest),
		cmocka_unit_test(test_steal_half),
		cmocka_unit_test(test_at_random),
		cmocka_unit_test(test_wrong_orders_are_found),
		cmocka_unit_test(test_wrong_growth_is_found),
		cmocka_unit_test(test_broken_algorithms_are_found),
	};

	return cmocka_run_group_tests_name("model deque", tests, NULL, NULL);
}
