/* test_litmus.c - the explorer itself: which results of known small programs it finds. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "platform/atomic.h"
#include "tests/model/model.h"

/*
 * Each program loads into r[0..3]; the set of results seen, as a number in base 4, is compared
 * with what C11 (as restricted in model.h) allows.
 */
static _Atomic(uint32_t) x, y;
static uint32_t data;
static unsigned r[4];
static bool seen[256];
static int order_a, order_b; /* of stores and loads */

static void setup(void)
{
	atomic_init(&x, 0);
	atomic_init(&y, 0);
	data = 0;
	memset(r, 0, sizeof(r));
}

static void finish(void)
{
	seen[r[0] + 4 * r[1] + 16 * r[2] + 64 * r[3]] = true;
}

static const struct model_options all = {.preemptions = MODEL_ALL, .stale = MODEL_ALL};

static struct model_result run(const char *name, void (*a)(void), void (*b)(void), void (*c)(void),
			       void (*d)(void))
{
	const struct model_program program = {name, setup, {a, b, c, d}, finish};
	struct model_result result;
	struct model_options options = all;

	options.quiet = true;
	memset(seen, 0, sizeof(seen));
	model_explore(&program, &options, &result);
	return result;
}

static bool saw(unsigned r0, unsigned r1, unsigned r2, unsigned r3)
{
	return seen[r0 + 4 * r1 + 16 * r2 + 64 * r3];
}

static unsigned results(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 256; i++)
		n += seen[i];
	return n;
}

#define ST(p, v) atomic_store_explicit((p), (v), order_a)
#define LD(p) atomic_load_explicit((p), order_b)

static void store_x(void)
{
	ST(&x, 1);
}

static void store_y(void)
{
	ST(&y, 1);
}

/* --- Store buffering ----------------------------------------------------------------------- */

static void sb_a(void)
{
	ST(&x, 1);
	r[0] = LD(&y);
}

static void sb_b(void)
{
	ST(&y, 1);
	r[1] = LD(&x);
}

static void sb_exchange_a(void)
{
	atomic_exchange_explicit(&x, 1, order_a);
	r[0] = LD(&y);
}

static void sb_exchange_b(void)
{
	atomic_exchange_explicit(&y, 1, order_a);
	r[1] = LD(&x);
}

static void test_store_buffering(void **state)
{
	(void)state;
	order_a = REL;
	order_b = ACQ;
	assert_true(run("sb", sb_a, sb_b, NULL, NULL).complete);
	assert_true(saw(0, 0, 0, 0));
	assert_int_equal(results(), 4);
	order_a = order_b = SC;
	assert_true(run("sb", sb_a, sb_b, NULL, NULL).complete);
	assert_false(saw(0, 0, 0, 0));
	assert_int_equal(results(), 3);
	/* One side's load is not enough. */
	order_b = ACQ;
	run("sb", sb_a, sb_b, NULL, NULL);
	assert_true(saw(0, 0, 0, 0));
	/* Exchanges behave alike: acq_rel is not seq_cst. */
	order_a = AR;
	order_b = SC;
	run("sb", sb_exchange_a, sb_exchange_b, NULL, NULL);
	assert_true(saw(0, 0, 0, 0));
	order_a = SC;
	run("sb", sb_exchange_a, sb_exchange_b, NULL, NULL);
	assert_false(saw(0, 0, 0, 0));
}

/* --- Message passing, also of plain memory ------------------------------------------------- */

static void mp_a(void)
{
	atomic_store_explicit(&x, 1, RLX);
	ST(&y, 1);
}

static void mp_b(void)
{
	r[0] = LD(&y);
	r[1] = atomic_load_explicit(&x, RLX);
}

static void test_message_passing(void **state)
{
	static const int weak[3][2] = {{RLX, ACQ}, {REL, RLX}, {RLX, RLX}};

	(void)state;
	order_a = REL;
	order_b = ACQ;
	run("mp", mp_a, mp_b, NULL, NULL);
	assert_false(saw(1, 0, 0, 0));
	assert_int_equal(results(), 3);
	for (int i = 0; i < 3; i++) {
		order_a = weak[i][0];
		order_b = weak[i][1];
		run("mp", mp_a, mp_b, NULL, NULL);
		assert_true(saw(1, 0, 0, 0));
	}
}

static void plain_a(void)
{
	model_write(&data);
	data = 1;
	ST(&y, 1);
}

static void plain_b(void)
{
	if (!LD(&y))
		return;
	model_read(&data);
	r[0] = data;
}

/* The store that is read is relaxed, but stands behind a release of the same thread. */
static void sequence_a(void)
{
	model_write(&data);
	data = 1;
	atomic_store_explicit(&y, 1, REL);
	atomic_store_explicit(&y, 2, RLX);
}

/* The same, but a read-modify-write: it continues what the release began. */
static void rmw_a(void)
{
	model_write(&data);
	data = 1;
	atomic_store_explicit(&y, 1, REL);
}

static void rmw_c(void)
{
	uint32_t one = 1;

	atomic_compare_exchange_strong_explicit(&y, &one, 2, RLX, RLX);
}

static void rmw_b(void)
{
	if (LD(&y) != 2)
		return;
	model_read(&data);
	r[0] = data;
}

static void test_races_and_release_sequences(void **state)
{
	(void)state;
	order_a = REL;
	order_b = ACQ;
	assert_false(run("plain", plain_a, plain_b, NULL, NULL).failed);
	assert_true(saw(1, 0, 0, 0) && saw(0, 0, 0, 0));
	order_a = RLX;
	assert_true(run("plain", plain_a, plain_b, NULL, NULL).failed);
	order_a = REL;
	order_b = RLX;
	assert_true(run("plain", plain_a, plain_b, NULL, NULL).failed);
	order_b = ACQ;
	assert_true(run("sequence", sequence_a, plain_b, NULL, NULL).failed);
	assert_false(run("rmw", rmw_a, rmw_c, rmw_b, NULL).failed);
	assert_true(saw(1, 0, 0, 0));
}

/* --- Coherence, independent readers -------------------------------------------------------- */

static void corr_a(void)
{
	ST(&x, 1);
	ST(&x, 2);
}

static void corr_b(void)
{
	r[0] = LD(&x);
	r[1] = LD(&x);
}

static void test_reads_of_one_location_never_go_back(void **state)
{
	(void)state;
	order_a = order_b = RLX;
	run("corr", corr_a, corr_b, NULL, NULL);
	assert_int_equal(results(), 6); /* of 9, those with r0 <= r1 */
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < i; k++)
			assert_false(saw(i, k, 0, 0));
}

static void iriw_c(void)
{
	r[0] = LD(&x);
	r[1] = LD(&y);
}

static void iriw_d(void)
{
	r[2] = LD(&y);
	r[3] = LD(&x);
}

static void test_independent_readers(void **state)
{
	(void)state;
	order_a = REL;
	order_b = ACQ;
	assert_true(run("iriw", store_x, store_y, iriw_c, iriw_d).complete);
	assert_true(saw(1, 0, 1, 0));
	order_a = order_b = SC;
	assert_true(run("iriw", store_x, store_y, iriw_c, iriw_d).complete);
	assert_false(saw(1, 0, 1, 0));
	assert_int_equal(results(), 15);
}

/*
 * seq_cst is about seq_cst accesses only: what a relaxed load tells does not bind a later one.
 * Execution order alone would forbid this result.
 */
static void half_a(void)
{
	atomic_store_explicit(&x, 1, SC);
	atomic_store_explicit(&y, 1, RLX);
}

static void half_b(void)
{
	r[0] = atomic_load_explicit(&y, RLX);
	r[1] = atomic_load_explicit(&x, SC);
}

static void test_seq_cst_does_not_bind_relaxed(void **state)
{
	(void)state;
	run("half", half_a, half_b, NULL, NULL);
	assert_true(saw(1, 0, 0, 0));
}

/*
 * What RC11 admits and C11 as written does not (its reason is Power): happens-before into the
 * read-modify-write itself does not order the seq_cst store in front of the release.
 */
static void z6_a(void)
{
	atomic_store_explicit(&x, 1, SC);
	atomic_store_explicit(&y, 1, REL);
}

static void z6_b(void)
{
	r[0] = atomic_fetch_add_explicit(&y, 1, SC);
	r[1] = atomic_load_explicit(&y, RLX);
}

static void z6_c(void)
{
	atomic_store_explicit(&y, 3, SC);
	r[2] = atomic_load_explicit(&x, SC);
}

static void test_seq_cst_is_that_of_rc11(void **state)
{
	(void)state;
	assert_true(run("z6", z6_a, z6_b, z6_c, NULL).complete);
	assert_true(saw(1, 3, 0, 0));
}

static void lb_a(void)
{
	r[0] = LD(&x);
	ST(&y, 1);
}

static void lb_b(void)
{
	r[1] = LD(&y);
	ST(&x, 1);
}

static void test_no_load_buffering(void **state)
{
	(void)state;
	order_a = order_b = RLX;
	run("lb", lb_a, lb_b, NULL, NULL);
	assert_false(saw(1, 1, 0, 0));
	assert_int_equal(results(), 3);
}

/* --- Read-modify-writes -------------------------------------------------------------------- */

static void add_a(void)
{
	r[0] = atomic_fetch_add_explicit(&x, 1, RLX);
}

static void add_b(void)
{
	r[1] = atomic_fetch_add_explicit(&x, 1, RLX);
}

static void cas_a(void)
{
	uint32_t zero = 0;

	r[0] = atomic_compare_exchange_strong_explicit(&x, &zero, 1, RLX, RLX);
}

static void cas_b(void)
{
	uint32_t zero = 0;

	r[1] = atomic_compare_exchange_strong_explicit(&x, &zero, 2, RLX, RLX);
	r[2] = zero;
}

static void test_read_modify_writes_are_atomic(void **state)
{
	const struct model_mutation split = {
		"split", "add_a", "add", "&x", MODEL_SPLIT, 0,
	};
	const struct model_program program = {"add", setup, {add_a, add_b}, finish};
	struct model_options options = all;
	struct model_result result;

	(void)state;
	run("add", add_a, add_b, NULL, NULL);
	assert_true(saw(0, 1, 0, 0) && saw(1, 0, 0, 0));
	assert_int_equal(results(), 2);
	run("cas", cas_a, cas_b, NULL, NULL);
	assert_true(saw(1, 0, 1, 0) && saw(0, 1, 0, 0));
	assert_int_equal(results(), 2);
	options.mutation = &split;
	model_explore(&program, &options, &result);
	assert_true(saw(0, 0, 0, 0));
	assert_true(result.hits > 0);
}

/* --- Waiting ------------------------------------------------------------------------------- */

static void waiter(void)
{
	while (!LD(&x))
		model_wait(&x, 0);
	r[0] = 1;
}

static void waker(void)
{
	ST(&x, 1);
	model_wake(&x, 1);
}

static void forgetful(void)
{
	ST(&x, 1);
}

static void hasty(void)
{
	model_wake(&x, 1);
	ST(&x, 1);
}

static void spinner(void)
{
	while (!LD(&x))
		model_yield();
	r[0] = 1;
}

static void test_waiting(void **state)
{
	(void)state;
	order_a = REL;
	order_b = ACQ;
	assert_false(run("wait", waiter, waker, NULL, NULL).failed);
	assert_int_equal(results(), 1);
	assert_true(run("forgetful", waiter, forgetful, NULL, NULL).failed);
	assert_true(run("hasty", waiter, hasty, NULL, NULL).failed);
	assert_false(run("spin", spinner, store_x, NULL, NULL).failed);
	assert_true(run("spin for ever", spinner, store_y, NULL, NULL).failed);
}

/* --- Memory -------------------------------------------------------------------------------- */

static _Atomic(_Atomic(uint32_t) *) pointer;

static void heap_setup(void)
{
	setup();
	atomic_init(&pointer, NULL);
}

static void heap_publish(void)
{
	const struct jd_allocator *a = model_allocator();
	_Atomic(uint32_t) *p = a->alloc(a->ctx, sizeof(*p), sizeof(*p));

	if (r[3] != 1)
		atomic_init(p, 2);
	atomic_store_explicit(&pointer, p, order_a);
}

static void heap_read(void)
{
	_Atomic(uint32_t) *p = atomic_load_explicit(&pointer, order_b);

	if (p)
		r[0] = atomic_load_explicit(p, RLX);
}

static void heap_free(void)
{
	const struct jd_allocator *a = model_allocator();
	_Atomic(uint32_t) *p = atomic_load_explicit(&pointer, RLX);

	a->free(a->ctx, p, sizeof(*p), sizeof(*p));
}

static void heap_no_init(void)
{
	r[3] = 1;
	heap_publish();
	r[3] = 0;
}

static void heap_publish_and_free(void)
{
	heap_publish();
	heap_free();
}

static struct model_result run_heap(void (*publish)(void), void (*end)(void))
{
	const struct model_program program = {"heap", heap_setup, {publish, heap_read}, end};
	struct model_options options = all;
	struct model_result result;

	options.quiet = true;
	model_explore(&program, &options, &result);
	return result;
}

static void assert_fails(struct model_result result, const char *what)
{
	assert_true(result.failed);
	if (!strstr(result.what, what))
		fail_msg("\"%s\", not \"%s\"", result.what, what);
}

static void test_memory_errors(void **state)
{
	(void)state;
	order_a = REL;
	order_b = ACQ;
	assert_false(run_heap(heap_publish, heap_free).failed);
	assert_fails(run_heap(heap_publish, NULL), "not freed");
	assert_fails(run_heap(heap_no_init, heap_free), "uninitialised");
	assert_fails(run_heap(heap_publish_and_free, NULL), "free");
	order_a = RLX;
	assert_fails(run_heap(heap_publish, heap_free), "initialisation");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store_buffering),
		cmocka_unit_test(test_message_passing),
		cmocka_unit_test(test_races_and_release_sequences),
		cmocka_unit_test(test_reads_of_one_location_never_go_back),
		cmocka_unit_test(test_independent_readers),
		cmocka_unit_test(test_seq_cst_does_not_bind_relaxed),
		cmocka_unit_test(test_seq_cst_is_that_of_rc11),
		cmocka_unit_test(test_no_load_buffering),
		cmocka_unit_test(test_read_modify_writes_are_atomic),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_memory_errors),
	};

	return cmocka_run_group_tests_name("litmus", tests, NULL, NULL);
}
