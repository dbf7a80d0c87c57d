/* test_deque.c - the deque by one thread: order, growth, wrap-around, memory, check and dump. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deque/deque.h"
#include "deque/reclaim_keep.h"
#include "tests/testlib/death.h"

/* --- An allocator that counts and can run dry, a reclaim back end that watches --------------- */

struct memory {
	struct jd_allocator hooks;
	size_t live;  /* allocations */
	long allowed; /* allocations until it fails; -1: never */
};

static void *memory_alloc(void *ctx, size_t size, size_t align)
{
	struct memory *m = ctx;
	void *ptr;

	if (m->allowed == 0)
		return NULL;
	m->allowed -= m->allowed > 0;
	m->live++;
	/* Exactly so many bytes: a sanitizer sees one too many. */
	return posix_memalign(&ptr, align, size) ? NULL : ptr;
}

static void memory_free(void *ctx, void *ptr, size_t size, size_t align)
{
	struct memory *m = ctx;

	assert_true(size > 0 && align == JD_CACHE_LINE);
	m->live--;
	free(ptr);
}

struct watch {
	struct jd_reclaim base;
	struct jd_reclaim_keep keep;
	int entered, inside, retired;
};

static void watch_enter(struct jd_reclaim *base)
{
	struct watch *w = jd_container_of(base, struct watch, base);

	w->entered++;
	w->inside++;
	assert_int_equal(w->inside, 1);
}

static void watch_leave(struct jd_reclaim *base)
{
	struct watch *w = jd_container_of(base, struct watch, base);

	w->inside--;
	assert_int_equal(w->inside, 0);
}

static void watch_retire(struct jd_reclaim *base, struct jd_retired *item)
{
	struct watch *w = jd_container_of(base, struct watch, base);

	assert_int_equal(w->inside, 0);
	w->retired++;
	w->keep.base.ops->retire(&w->keep.base, item);
}

static void watch_barrier(struct jd_reclaim *base)
{
	struct watch *w = jd_container_of(base, struct watch, base);

	w->keep.base.ops->barrier(&w->keep.base);
}

static const struct jd_reclaim_ops watch_ops = {
	"watch", watch_enter, watch_leave, watch_retire, watch_barrier,
};

struct fixture {
	struct memory memory;
	struct watch watch;
	struct jd_deque d;
	int items[4096];
};

static int set_up(void **state)
{
	struct fixture *f = aligned_alloc(JD_CACHE_LINE, (sizeof(*f) + JD_CACHE_LINE - 1) &
								 ~(size_t)(JD_CACHE_LINE - 1));

	if (!f)
		return -1;
	memset(f, 0, sizeof(*f));
	f->memory.hooks = (struct jd_allocator){memory_alloc, memory_free, &f->memory};
	f->memory.allowed = -1;
	f->watch.base.ops = &watch_ops;
	jd_reclaim_keep_init(&f->watch.keep);
	*state = f;
	return 0;
}

static void begin(struct fixture *f, size_t capacity, uint64_t start)
{
	assert_int_equal(jd_deque_init_at(&f->d, capacity, &f->memory.hooks, &f->watch.base, start),
			 JD_OK);
}

static void end(struct fixture *f)
{
	jd_deque_fini(&f->d);
	assert_false(jd_deque_check(&f->d, NULL));
	jd_reclaim_keep_fini(&f->watch.keep);
	assert_int_equal(f->memory.live, 0);
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static const uint64_t starts[] = {
	0, 1, UINT64_MAX, UINT64_MAX - 2, (uint64_t)INT64_MAX - 1, (uint64_t)INT64_MAX + 1,
};
enum {
	STARTS = sizeof(starts) / sizeof(starts[0])
};

#define MUST(expr) assert_int_equal((expr), JD_OK)

/* --- Order ------------------------------------------------------------------------------------ */

static void test_owner_is_lifo_thief_is_fifo(void **state)
{
	struct fixture *f = *state;
	void *item = NULL;

	begin(f, 8, 0);
	for (int i = 0; i < 4; i++)
		MUST(jd_deque_push(&f->d, &f->items[i]));
	assert_int_equal(jd_deque_size(&f->d), 4);
	assert_ptr_equal(jd_deque_pop(&f->d), &f->items[3]);
	assert_int_equal(jd_deque_steal(&f->d, &item), JD_STEAL_OK);
	assert_ptr_equal(item, &f->items[0]);
	assert_ptr_equal(jd_deque_pop(&f->d), &f->items[2]);
	assert_int_equal(jd_deque_steal(&f->d, &item), JD_STEAL_OK);
	assert_ptr_equal(item, &f->items[1]);
	assert_null(jd_deque_pop(&f->d));
	assert_int_equal(jd_deque_steal(&f->d, &item), JD_STEAL_EMPTY);
	end(f);
}

static void test_empty_stays_empty_at_every_start(void **state)
{
	struct fixture *f = *state;

	for (int s = 0; s < STARTS; s++) {
		void *item;

		begin(f, 1, starts[s]);
		for (int i = 0; i < 3; i++) {
			assert_null(jd_deque_pop(&f->d));
			assert_int_equal(jd_deque_steal(&f->d, &item), JD_STEAL_EMPTY);
			MUST(jd_deque_push(&f->d, &f->items[i]));
			assert_ptr_equal(jd_deque_pop(&f->d), &f->items[i]);
			assert_null(jd_deque_pop(&f->d));
			MUST(jd_deque_push(&f->d, &f->items[i]));
			assert_int_equal(jd_deque_steal(&f->d, &item), JD_STEAL_OK);
			assert_ptr_equal(item, &f->items[i]);
			assert_int_equal(jd_deque_size(&f->d), 0);
			assert_true(jd_deque_check(&f->d, stderr));
		}
		end(f);
	}
}

/* splitmix64: any seed is a good seed. */
static uint64_t draw(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* One random step on the deque and on a plain array, which must agree. */
static bool step_like_model(struct fixture *f, uint64_t *seed, size_t *first, size_t *last)
{
	const uint64_t dice = draw(seed) % 16;
	const size_t have = *last - *first;
	void *item = NULL;

	if (dice < 8 && *last < 4096) {
		if (jd_deque_push(&f->d, &f->items[*last]) != JD_OK)
			return false;
		++*last;
	} else if (dice < 12) {
		if (jd_deque_pop(&f->d) != (have ? &f->items[*last - 1] : NULL))
			return false;
		*last -= have > 0;
	} else {
		if (jd_deque_steal(&f->d, &item) != (have ? JD_STEAL_OK : JD_STEAL_EMPTY))
			return false;
		if (have && item != &f->items[*first])
			return false;
		*first += have > 0;
	}
	return jd_deque_size(&f->d) == *last - *first && jd_deque_check(&f->d, stderr);
}

static void test_random_steps_match_an_array(void **state)
{
	const char *env = getenv("JD_SEED");
	const uint64_t one = env ? strtoull(env, NULL, 0) : 0;
	struct fixture *f = *state;

	for (uint64_t seed = env ? one : 1; seed <= (env ? one : 300); seed++) {
		uint64_t rng = seed;
		size_t first = 0, last = 0;

		begin(f, 1 + draw(&rng) % 5, starts[draw(&rng) % STARTS]);
		for (int i = 0; i < 400; i++) {
			if (!step_like_model(f, &rng, &first, &last))
				fail_msg("step %d differs; repeat with JD_SEED=%" PRIu64, i, seed);
		}
		while (jd_deque_pop(&f->d))
			;
		end(f);
	}
}

/* --- Growth and memory ------------------------------------------------------------------------ */

static void test_growth_keeps_order_and_retires_each_buffer(void **state)
{
	struct fixture *f = *state;

	for (int s = 0; s < STARTS; s++) {
		void *item;

		f->watch.retired = 0;
		begin(f, 1, starts[s]);
		for (int i = 0; i < 1000; i++)
			MUST(jd_deque_push(&f->d, &f->items[i]));
		assert_int_equal(f->watch.retired, 10); /* 1 to 1024 */
		assert_int_equal(f->memory.live, 11);
		assert_true(jd_deque_check(&f->d, stderr));
		for (int i = 0; i < 500; i++) {
			assert_int_equal(jd_deque_steal(&f->d, &item), JD_STEAL_OK);
			assert_ptr_equal(item, &f->items[i]);
			assert_ptr_equal(jd_deque_pop(&f->d), &f->items[999 - i]);
		}
		f->watch.base.ops->barrier(&f->watch.base);
		assert_int_equal(f->memory.live, 1);
		end(f);
	}
}

static void test_laps_do_not_grow(void **state)
{
	struct fixture *f = *state;

	begin(f, 3, 0); /* is 4 */
	for (int i = 0; i < 4096; i++) {
		void *item;

		MUST(jd_deque_push(&f->d, &f->items[i]));
		if (i >= 3) {
			assert_int_equal(jd_deque_steal(&f->d, &item), JD_STEAL_OK);
			assert_ptr_equal(item, &f->items[i - 3]);
		}
	}
	assert_int_equal(f->watch.retired, 0);
	/* The thieves' line is read once in a lap, not with every push. */
	assert_true(f->d.top_seen >= 4096 - 8);
	while (jd_deque_pop(&f->d))
		;
	end(f);
}

static void test_no_memory_leaves_item_and_deque(void **state)
{
	struct fixture *f = *state;

	begin(f, 2, 0);
	f->memory.allowed = 0;
	MUST(jd_deque_push(&f->d, &f->items[0]));
	MUST(jd_deque_push(&f->d, &f->items[1]));
	assert_int_equal(jd_deque_push(&f->d, &f->items[2]), JD_ENOMEM);
	assert_int_equal(jd_deque_reserve(&f->d, 1), JD_ENOMEM);
	assert_int_equal(jd_deque_size(&f->d), 2);
	assert_true(jd_deque_check(&f->d, stderr));
	f->memory.allowed = -1;
	MUST(jd_deque_push(&f->d, &f->items[2]));
	for (int i = 2; i >= 0; i--)
		assert_ptr_equal(jd_deque_pop(&f->d), &f->items[i]);
	end(f);
}

static void test_init_rejects_what_it_cannot_hold(void **state)
{
	struct fixture *f = *state;
	const struct jd_allocator *m = &f->memory.hooks;

	assert_int_equal(jd_deque_init(&f->d, 0, m, &f->watch.base), JD_EINVAL);
	assert_int_equal(jd_deque_init(&f->d, (size_t)JD_DEQUE_MAX + 1, m, &f->watch.base),
			 JD_ERANGE);
	f->memory.allowed = 0;
	assert_int_equal(jd_deque_init(&f->d, (size_t)JD_DEQUE_MAX, m, &f->watch.base), JD_ENOMEM);
	assert_int_equal(jd_deque_init(&f->d, 64, m, &f->watch.base), JD_ENOMEM);
	assert_int_equal(f->memory.live, 0);
}

static void test_limit_is_out_of_memory(void **state)
{
	struct fixture *f = *state;

	begin(f, 1, 0);
	f->d.max_capacity = 4;
	assert_int_equal(jd_deque_reserve(&f->d, 5), JD_ENOMEM);
	assert_int_equal(jd_deque_reserve(&f->d, 4), JD_OK);
	for (int i = 0; i < 4; i++)
		MUST(jd_deque_push(&f->d, &f->items[i]));
	assert_int_equal(jd_deque_push(&f->d, &f->items[4]), JD_ENOMEM);
	assert_ptr_equal(jd_deque_pop(&f->d), &f->items[3]);
	MUST(jd_deque_push(&f->d, &f->items[4]));
	while (jd_deque_pop(&f->d))
		;
	end(f);
}

static void test_reserve_makes_pushes_certain(void **state)
{
	struct fixture *f = *state;

	begin(f, 1, UINT64_MAX - 50);
	MUST(jd_deque_push(&f->d, &f->items[0]));
	MUST(jd_deque_reserve(&f->d, 100));
	assert_int_equal(f->watch.retired, 1);
	f->memory.allowed = 0;
	for (int i = 1; i <= 100; i++)
		MUST(jd_deque_push(&f->d, &f->items[i]));
	for (int i = 100; i >= 0; i--)
		assert_ptr_equal(jd_deque_pop(&f->d), &f->items[i]);
	end(f);
}

/* --- Stealing ------------------------------------------------------------------------------ */

static void test_thief_is_inside_a_section_only_with_prey(void **state)
{
	struct fixture *f = *state;
	void *item;

	begin(f, 4, 0);
	assert_int_equal(jd_deque_steal(&f->d, &item), JD_STEAL_EMPTY);
	assert_int_equal(f->watch.entered, 0);
	MUST(jd_deque_push(&f->d, &f->items[0]));
	assert_int_equal(jd_deque_steal(&f->d, &item), JD_STEAL_OK);
	assert_int_equal(f->watch.entered, 1);
	assert_int_equal(f->watch.inside, 0);
	end(f);
}

static void steal_half_from(struct fixture *f, struct jd_deque *into, int items, size_t max,
			    size_t expected)
{
	size_t moved = 77;
	void *item = NULL;

	for (int i = 0; i < items; i++)
		MUST(jd_deque_push(&f->d, &f->items[i]));
	assert_int_equal(jd_deque_steal_half(&f->d, into, max, &item, &moved),
			 expected ? JD_STEAL_OK : JD_STEAL_EMPTY);
	assert_int_equal(moved, expected);
	assert_int_equal(jd_deque_size(&f->d), (size_t)items - expected);
	if (expected) {
		assert_ptr_equal(item, &f->items[0]);
		assert_int_equal(jd_deque_size(into), expected - 1);
	}
	for (size_t i = expected; i-- > 1;)
		assert_ptr_equal(jd_deque_pop(into), &f->items[i]);
	while (jd_deque_pop(&f->d))
		;
}

static void test_steal_half_counts(void **state)
{
	struct fixture *f = *state;
	struct jd_deque into;

	begin(f, 4, UINT64_MAX - 5);
	MUST(jd_deque_init_at(&into, 1, &f->memory.hooks, &f->watch.base, UINT64_MAX));
	steal_half_from(f, &into, 4, 10, 2); /* the one that is kept has room */
	assert_int_equal(jd_deque_reserve(&into, 1), JD_OK);
	assert_int_equal(f->watch.retired, 0);
	steal_half_from(f, &into, 0, 10, 0);
	steal_half_from(f, &into, 1, 10, 1);
	steal_half_from(f, &into, 2, 10, 1);
	steal_half_from(f, &into, 3, 10, 2);
	steal_half_from(f, &into, 10, 100, 5);
	steal_half_from(f, &into, 11, 100, 6);
	steal_half_from(f, &into, 11, 1, 1);
	steal_half_from(f, &into, 100, 8, 8);
	jd_deque_fini(&into);
	end(f);
}

static void test_steal_half_takes_one_without_memory(void **state)
{
	struct fixture *f = *state;
	struct jd_deque into;

	begin(f, 32, 0);
	MUST(jd_deque_init(&into, 1, &f->memory.hooks, &f->watch.base));
	f->memory.allowed = 0;
	steal_half_from(f, &into, 20, 100, 1);
	jd_deque_fini(&into);
	end(f);
}

/* --- Check, dump, misuse ------------------------------------------------------------------- */

static void assert_check_says(struct jd_deque *d, const char *what)
{
	char *text = NULL;
	size_t bytes;
	FILE *why = open_memstream(&text, &bytes);

	assert_non_null(why);
	assert_false(jd_deque_check(d, why));
	fclose(why);
	if (!strstr(text, what))
		fail_msg("check says \"%s\", not \"%s\"", text, what);
	assert_false(jd_deque_check(d, NULL));
	free(text);
}

static void test_check_finds_each_damage(void **state)
{
	struct fixture *f = *state;
	struct jd_deque_buffer *a;

	begin(f, 4, 0);
	a = atomic_load_explicit(&f->d.buffer, memory_order_relaxed);
	MUST(jd_deque_push(&f->d, &f->items[0]));
	assert_true(jd_deque_check(&f->d, NULL));

	atomic_store_explicit(&a->slots[0], NULL, memory_order_relaxed);
	assert_check_says(&f->d, "an empty slot");
	atomic_store_explicit(&a->slots[0], &f->items[0], memory_order_relaxed);
	atomic_store_explicit(&f->d.bottom, 5, memory_order_relaxed);
	assert_check_says(&f->d, "more items than slots");
	atomic_store_explicit(&f->d.bottom, UINT64_MAX, memory_order_relaxed);
	assert_check_says(&f->d, "top is above bottom");
	atomic_store_explicit(&f->d.bottom, 1, memory_order_relaxed);
	f->d.top_seen = 1;
	assert_check_says(&f->d, "top is below what was seen");
	f->d.top_seen = 0;
	a->mask = 4;
	assert_check_says(&f->d, "no power of two");
	a->mask = 7;
	assert_check_says(&f->d, "capacity differs");
	a->mask = 3;
	atomic_store_explicit(&f->d.buffer, NULL, memory_order_relaxed);
	assert_check_says(&f->d, "no buffer");
	atomic_store_explicit(&f->d.buffer, a, memory_order_relaxed);
	assert_ptr_equal(jd_deque_pop(&f->d), &f->items[0]);
	end(f);
}

static void test_dump_tells_the_figures(void **state)
{
	struct fixture *f = *state;
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	begin(f, 4, 10);
	MUST(jd_deque_push(&f->d, &f->items[0]));
	jd_deque_dump(&f->d, out);
	fclose(out);
	assert_string_equal(text, "deque: size 1 top 10 bottom 11 capacity 4\n");
	free(text);
	jd_deque_pop(&f->d);
	end(f);
}

static void lose_items(void *arg)
{
	jd_deque_fini(arg);
}

static void steal_half_from_itself(void *arg)
{
	size_t moved;
	void *item;

	jd_deque_steal_half(arg, arg, 1, &item, &moved);
}

static void steal_none(void *arg)
{
	struct fixture *f = arg;
	struct jd_deque into;
	size_t moved;
	void *item;

	if (jd_deque_init(&into, 1, &f->memory.hooks, &f->watch.base) == JD_OK)
		jd_deque_steal_half(&f->d, &into, 0, &item, &moved);
}

static void push_nothing(void *arg)
{
	(void)!jd_deque_push(arg, NULL);
}

static void test_misuse_aborts(void **state)
{
	struct fixture *f = *state;

	begin(f, 4, 0);
	MUST(jd_deque_push(&f->d, &f->items[0]));
	assert_true(death_aborts(lose_items, &f->d, "jd_deque_size(d) == 0"));
	assert_true(death_aborts(steal_half_from_itself, &f->d, "victim != into"));
	assert_true(death_aborts(steal_none, f, "max > 0"));
	assert_true(death_aborts(push_nothing, &f->d, "item"));
	jd_deque_pop(&f->d);
	end(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_owner_is_lifo_thief_is_fifo),
		TEST(test_empty_stays_empty_at_every_start),
		TEST(test_random_steps_match_an_array),
		TEST(test_growth_keeps_order_and_retires_each_buffer),
		TEST(test_laps_do_not_grow),
		TEST(test_no_memory_leaves_item_and_deque),
		TEST(test_init_rejects_what_it_cannot_hold),
		TEST(test_limit_is_out_of_memory),
		TEST(test_reserve_makes_pushes_certain),
		TEST(test_thief_is_inside_a_section_only_with_prey),
		TEST(test_steal_half_counts),
		TEST(test_steal_half_takes_one_without_memory),
		TEST(test_check_finds_each_damage),
		TEST(test_dump_tells_the_figures),
		TEST(test_misuse_aborts),
	};

	return cmocka_run_group_tests_name("deque", tests, NULL, NULL);
}
