/* stress_deque.c - owner and thieves on small, growing, wrapping deques: each item exactly once. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "deque/deque.h"
#include "runtime/reclaimer.h"

/*
 * One round: a deque of capacity 1 or 2 that starts near the wrap of its indices, an owner who
 * pushes ITEMS items in bursts and pops in between, THIEVES thieves. Every item says in plain
 * memory who it is, so a missing order shows under ThreadSanitizer; `taken` counts who got it.
 * JD_SEED repeats one round, JD_STRESS multiplies the number of rounds.
 */
enum {
	THIEVES = 3,
	ITEMS = 20000,
};

struct item {
	uint64_t self;     /* plain: written before the push, read by who takes it */
	uint64_t taken_by; /* plain: written by who takes it */
	_Atomic(unsigned) taken;
};

struct thief {
	struct jd_thread thread;
	struct round *round;
	struct jd_deque own;
	uint64_t seed, got;
};

struct round {
	struct jd_deque d;
	struct jd_reclaimer reclaimer;
	struct jd_reclaim_keep keep;
	struct jd_reclaim *reclaim; /* one of the two */
	struct item *items;
	uint64_t seed;
	_Atomic(unsigned) ready; /* thieves at work */
	_Atomic(bool) done;
	_Atomic(unsigned) errors;
	struct thief thieves[THIEVES];
};

static uint64_t draw(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void error(struct round *r)
{
	atomic_fetch_add_explicit(&r->errors, 1, memory_order_relaxed);
}

static void take(struct round *r, void *p, uint64_t who)
{
	struct item *item = p;

	if (item < r->items || item >= r->items + ITEMS) {
		error(r);
		return;
	}
	if (item->self != (uint64_t)(item - r->items) + 1)
		error(r);
	item->taken_by = who;
	atomic_fetch_add_explicit(&item->taken, 1, memory_order_relaxed);
}

static void steal_some(struct thief *t)
{
	struct round *r = t->round;
	void *item;
	size_t moved, kept = 0;

	if (draw(&t->seed) % 4) {
		if (jd_deque_steal(&r->d, &item) == JD_STEAL_OK) {
			take(r, item, t->seed);
			t->got++;
		}
		return;
	}
	if (jd_deque_steal_half(&r->d, &t->own, 1 + draw(&t->seed) % 40, &item, &moved) !=
	    JD_STEAL_OK)
		return;
	take(r, item, t->seed);
	for (t->got += moved; (item = jd_deque_pop(&t->own)); kept++)
		take(r, item, t->seed);
	if (kept + 1 != moved)
		error(r);
}

static void thief_main(void *arg)
{
	struct thief *t = arg;
	struct round *r = t->round;

	jd_reclaimer_attach(&r->reclaimer);
	atomic_fetch_add_explicit(&r->ready, 1, memory_order_relaxed);
	/* order: (TSD1) acquire - the owner's last operation; pairs with (TSD2). */
	while (!atomic_load_explicit(&r->done, memory_order_acquire))
		steal_some(t);
	jd_reclaimer_detach(&r->reclaimer);
}

/* Pushes and pops a few, back to back: thieves meet the owner at the last items. */
static bool own_tightly(struct round *r, size_t *next, size_t size)
{
	for (int lap = 0; lap < 50 && *next + size <= ITEMS; lap++) {
		void *item[4] = {NULL};

		for (size_t i = 0; i < size; i++, ++*next) {
			r->items[*next].self = *next + 1;
			if (jd_deque_push(&r->d, &r->items[*next]) != JD_OK)
				return false;
		}
		for (size_t i = 0; i < size; i++)
			item[i] = jd_deque_pop(&r->d);
		for (size_t i = 0; i < size; i++)
			if (item[i])
				take(r, item[i], 0);
	}
	return true;
}

/* Bursts, so that the deque grows, and is often empty, often full. */
static bool own_loosely(struct round *r, size_t *next, uint64_t *seed)
{
	size_t pushes = draw(seed) % 8, pops = draw(seed) % 10;
	void *item;

	if (draw(seed) % 64 == 0)
		pushes += 200;
	for (; pushes > 0 && *next < ITEMS; pushes--, ++*next) {
		r->items[*next].self = *next + 1;
		if (jd_deque_push(&r->d, &r->items[*next]) != JD_OK)
			return false;
	}
	for (; pops > 0 && (item = jd_deque_pop(&r->d)); pops--)
		take(r, item, 0);
	/* With fewer processors than threads the thieves would sleep through the round. */
	if (draw(seed) % 128 == 0)
		jd_thread_yield();
	return draw(seed) % 256 || jd_deque_check(&r->d, stderr);
}

static bool own(struct round *r, uint64_t *seed)
{
	while (atomic_load_explicit(&r->ready, memory_order_relaxed) < THIEVES)
		jd_thread_yield();
	for (size_t next = 0; next < ITEMS;) {
		if (!own_loosely(r, &next, seed))
			return false;
		if (draw(seed) % 16 == 0 && !own_tightly(r, &next, 2 + draw(seed) % 3))
			return false;
	}
	for (void *item; (item = jd_deque_pop(&r->d));)
		take(r, item, 0);
	return true;
}

static bool set_up(struct round *r, uint64_t *seed)
{
	static const uint64_t starts[] = {0, UINT64_MAX - 9000, (uint64_t)INT64_MAX - 9000};
	const struct jd_allocator *a = jd_allocator_default();

	jd_reclaimer_init(&r->reclaimer);
	jd_reclaim_keep_init(&r->keep);
	r->reclaim = draw(seed) % 2 ? r->reclaimer.reclaim : &r->keep.base;
	atomic_init(&r->ready, 0);
	atomic_init(&r->done, false);
	atomic_init(&r->errors, 0);
	for (size_t i = 0; i < ITEMS; i++) {
		r->items[i].self = r->items[i].taken_by = 0;
		atomic_init(&r->items[i].taken, 0);
	}
	if (jd_deque_init_at(&r->d, 1 + draw(seed) % 2, a, r->reclaim, starts[draw(seed) % 3]))
		return false;
	for (int i = 0; i < THIEVES; i++) {
		struct thief *t = &r->thieves[i];

		t->round = r;
		t->seed = draw(seed);
		t->got = 0;
		if (jd_deque_init(&t->own, 1, a, r->reclaim))
			return false;
	}
	return true;
}

static unsigned count_errors(struct round *r)
{
	unsigned wrong = atomic_load_explicit(&r->errors, memory_order_relaxed);

	for (size_t i = 0; i < ITEMS; i++)
		wrong += atomic_load_explicit(&r->items[i].taken, memory_order_relaxed) != 1;
	return wrong;
}

/* Returns the number of errors. *stolen grows by what the thieves got. */
static unsigned run_round(struct round *r, uint64_t seed, uint64_t *stolen)
{
	unsigned wrong = 0;

	r->seed = seed;
	if (!set_up(r, &seed))
		return 1;
	for (int i = 0; i < THIEVES; i++)
		assert_int_equal(jd_thread_start(&r->thieves[i].thread, "thief", 0, thief_main,
						 &r->thieves[i]),
				 JD_OK);
	wrong += !own(r, &seed);
	/* order: (TSD2) release - the deque is empty for good; pairs with (TSD1). */
	atomic_store_explicit(&r->done, true, memory_order_release);
	for (int i = 0; i < THIEVES; i++) {
		jd_thread_join(&r->thieves[i].thread);
		*stolen += r->thieves[i].got;
		jd_deque_fini(&r->thieves[i].own);
	}
	wrong += count_errors(r);
	jd_deque_fini(&r->d);
	jd_reclaimer_fini(&r->reclaimer);
	jd_reclaim_keep_fini(&r->keep);
	return wrong;
}

static void test_each_item_exactly_once(void **state)
{
	static struct round r;
	const char *env = getenv("JD_SEED"), *scale = getenv("JD_STRESS");
	const uint64_t first = env ? strtoull(env, NULL, 0) : 1;
	const uint64_t rounds = env ? 1 : 80 * (scale ? strtoull(scale, NULL, 0) : 1);
	uint64_t stolen = 0;

	(void)state;
	r.items = malloc(ITEMS * sizeof(*r.items));
	assert_non_null(r.items);
	for (uint64_t seed = first; seed < first + rounds; seed++) {
		unsigned wrong = run_round(&r, seed, &stolen);

		if (wrong)
			fail_msg("%u errors; try again with JD_SEED=%" PRIu64, wrong, seed);
	}
	free(r.items);
	/* Without thefts this was no test. */
	print_message("%" PRIu64 " rounds, %" PRIu64 " of %" PRIu64 " items stolen\n", rounds,
		      stolen, rounds * ITEMS);
	assert_true(stolen > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_item_exactly_once),
	};

	return cmocka_run_group_tests_name("stress deque", tests, NULL, NULL);
}
