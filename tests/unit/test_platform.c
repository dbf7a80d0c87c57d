/* test_platform.c - what every port promises: threads, waiting on an address, clock, seeds. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform/platform.h"

enum {
	THREADS = 8
};

/* --- Threads ------------------------------------------------------------------------------ */

struct report {
	uint64_t id, id_again;
	int in, out;
};

static void report_self(void *arg)
{
	struct report *r = arg;

	r->id = jd_thread_self();
	jd_thread_yield();
	r->id_again = jd_thread_self();
	r->out = r->in + 1;
}

static void test_thread_runs_and_joins(void **state)
{
	struct jd_thread thread;
	struct report r = {.in = 41};

	(void)state;
	assert_int_equal(jd_thread_start(&thread, "a-name-that-is-too-long", 0, report_self, &r),
			 JD_OK);
	jd_thread_join(&thread);
	assert_int_equal(r.out, 42);
}

static void test_thread_bad_arguments(void **state)
{
	struct jd_thread thread;
	struct report r = {0};

	(void)state;
	assert_int_equal(jd_thread_start(NULL, "x", 0, report_self, &r), JD_EINVAL);
	assert_int_equal(jd_thread_start(&thread, "x", 0, NULL, &r), JD_EINVAL);
	assert_int_equal(jd_thread_start(&thread, "x", SIZE_MAX, report_self, &r), JD_EAGAIN);
	assert_int_equal(jd_thread_start(&thread, "x", SIZE_MAX / 4, report_self, &r), JD_EAGAIN);
	assert_int_equal(r.out, 0);
}

static void test_thread_stack_sizes(void **state)
{
	static const size_t sizes[] = {1, 100000, 1u << 20, (1u << 20) + 1};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct jd_thread thread;
		struct report r = {.in = (int)i};

		assert_int_equal(jd_thread_start(&thread, NULL, sizes[i], report_self, &r), JD_OK);
		jd_thread_join(&thread);
		assert_int_equal(r.out, (int)i + 1);
	}
}

/* Threads that are gone as well as threads that run at once have different ids. */
static void test_thread_ids_are_unique(void **state)
{
	struct report r[4 * THREADS];
	struct jd_thread thread[THREADS];

	(void)state;
	memset(r, 0, sizeof(r));
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(jd_thread_start(&thread[i], "id", 0, report_self,
							 &r[round * THREADS + i]),
					 JD_OK);
		for (int i = 0; i < THREADS; i++)
			jd_thread_join(&thread[i]);
	}
	for (int i = 0; i < 4 * THREADS; i++) {
		assert_int_not_equal(r[i].id, 0);
		assert_int_equal(r[i].id, r[i].id_again);
		assert_int_not_equal(r[i].id, jd_thread_self());
		for (int j = 0; j < i; j++)
			assert_int_not_equal(r[i].id, r[j].id);
	}
	assert_int_equal(jd_thread_self(), jd_thread_self());
}

/* --- Waiting on an address ---------------------------------------------------------------- */

/* N threads that sleep while word is 0 and then count themselves. Access: A atomic. */
struct sleepers {
	_Atomic(uint32_t) word;  /* A */
	_Atomic(uint32_t) ready; /* A: about to sleep */
	_Atomic(uint32_t) awake; /* A */
	_Atomic(uint32_t) wrong; /* A: statuses that may not be */
	struct jd_thread thread[THREADS];
};

static void sleeper(void *arg)
{
	struct sleepers *s = arg;

	/* order: (PT1) release - pairs with (PT2). */
	atomic_fetch_add_explicit(&s->ready, 1, memory_order_release);
	/* order: (PT3) acquire - pairs with (PT4). */
	while (atomic_load_explicit(&s->word, memory_order_acquire) == 0)
		if (jd_futex_wait(&s->word, 0, JD_NEVER) != JD_OK)
			atomic_fetch_add_explicit(&s->wrong, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->awake, 1, memory_order_relaxed);
	jd_futex_wake_one(&s->awake);
}

static void sleepers_start(struct sleepers *s)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(jd_thread_start(&s->thread[i], "sleeper", 0, sleeper, s), JD_OK);
	/* order: (PT2) acquire - pairs with (PT1). */
	while (atomic_load_explicit(&s->ready, memory_order_acquire) < THREADS)
		jd_thread_yield();
}

static void sleepers_join(struct sleepers *s)
{
	for (int i = 0; i < THREADS; i++)
		jd_thread_join(&s->thread[i]);
	assert_int_equal(atomic_load_explicit(&s->awake, memory_order_relaxed), THREADS);
	assert_int_equal(atomic_load_explicit(&s->wrong, memory_order_relaxed), 0);
}

static void test_futex_wake_all(void **state)
{
	struct sleepers s;

	(void)state;
	for (int round = 0; round < 50; round++) {
		sleepers_start(&s);
		/* order: (PT4) release - pairs with (PT3). */
		atomic_store_explicit(&s.word, 1, memory_order_release);
		jd_futex_wake_all(&s.word);
		sleepers_join(&s);
	}
}

/*
 * One wake lets at most one go: with the word changed, each wake_one accounts for at most one of
 * those that really slept. So THREADS wakes must suffice, and a wake of another word wakes nobody.
 */
static void test_futex_wake_one(void **state)
{
	struct sleepers s;
	_Atomic(uint32_t) other = 0;

	(void)state;
	for (int round = 0; round < 50; round++) {
		sleepers_start(&s);
		jd_futex_wake_all(&other);
		assert_int_equal(atomic_load_explicit(&s.awake, memory_order_relaxed), 0);
		/* order: (PT5) release - pairs with (PT3). */
		atomic_store_explicit(&s.word, 1, memory_order_release);
		for (int i = 0; i < THREADS; i++)
			jd_futex_wake_one(&s.word);
		sleepers_join(&s);
	}
}

/* Counts returns of wait: all but one of the sleepers must go on sleeping after one wake_one. */
struct herd {
	_Atomic(uint32_t) word;     /* A: always 0 until the end */
	_Atomic(uint32_t) returned; /* A */
	_Atomic(uint32_t) stop;     /* A */
	struct jd_thread thread[2];
};

static void herd_member(void *arg)
{
	struct herd *h = arg;

	while (!atomic_load_explicit(&h->stop, memory_order_relaxed)) {
		jd_futex_wait(&h->word, 0, JD_NEVER);
		atomic_fetch_add_explicit(&h->returned, 1, memory_order_relaxed);
	}
}

/* Every return is caused by one wake (spurious ones are legal; no system we run on has any). */
static void test_futex_wake_one_wakes_at_most_one(void **state)
{
	struct herd h;
	uint32_t wakes = 0, returned;

	(void)state;
	memset(&h, 0, sizeof(h));
	for (int i = 0; i < 2; i++)
		assert_int_equal(jd_thread_start(&h.thread[i], "herd", 0, herd_member, &h), JD_OK);
	do {
		jd_futex_wake_one(&h.word);
		wakes++;
		jd_thread_yield();
		returned = atomic_load_explicit(&h.returned, memory_order_relaxed);
		if (returned > wakes)
			break;
	} while (returned < 200);
	atomic_store_explicit(&h.stop, 1, memory_order_relaxed);
	atomic_store_explicit(&h.word, 1, memory_order_relaxed);
	jd_futex_wake_all(&h.word);
	for (int i = 0; i < 2; i++)
		jd_thread_join(&h.thread[i]);
	assert_true(returned <= wakes);
}

static void test_futex_value_differs(void **state)
{
	_Atomic(uint32_t) word = 7;

	(void)state;
	assert_int_equal(jd_futex_wait(&word, 6, JD_NEVER), JD_OK);
	assert_int_equal(jd_futex_wait(&word, 6, 0), JD_OK);
	jd_futex_wake_one(&word);
	jd_futex_wake_all(&word);
}

static void test_futex_timeout_is_never_early(void **state)
{
	static const uint64_t delays[] = {0, 1, 999, 1000, 50 * JD_US, 333333, JD_MS, 5000001};
	_Atomic(uint32_t) word = 0;

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
			uint64_t deadline = jd_clock_now() + delays[i];
			jd_status status;

			do
				status = jd_futex_wait(&word, 0, deadline);
			while (status == JD_OK);
			assert_int_equal(status, JD_ETIMEDOUT);
			assert_true(jd_clock_now() >= deadline);
		}
	}
	assert_int_equal(jd_futex_wait(&word, 0, 0), JD_ETIMEDOUT);
	assert_int_equal(jd_futex_wait(&word, 0, 1), JD_ETIMEDOUT);
}

struct far_wait {
	_Atomic(uint32_t) word; /* A */
	uint64_t deadline;
	jd_status status;
};

static void wait_far(void *arg)
{
	struct far_wait *w = arg;

	/* order: (PT6) acquire - pairs with (PT7). */
	while (atomic_load_explicit(&w->word, memory_order_acquire) == 0 && w->status == JD_OK)
		w->status = jd_futex_wait(&w->word, 0, w->deadline);
}

/* A deadline past what the kernel's clock can hold is as good as none, not a negative time. */
static void test_futex_far_deadlines(void **state)
{
	static const uint64_t deadlines[] = {UINT64_MAX - 1, UINT64_MAX / 2, UINT64_MAX / 2 + 1};

	(void)state;
	for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
		struct far_wait w = {.deadline = deadlines[i], .status = JD_OK};
		struct jd_thread thread;

		assert_int_equal(jd_thread_start(&thread, "far", 0, wait_far, &w), JD_OK);
		for (int k = 0; k < 100; k++)
			jd_thread_yield();
		/* order: (PT7) release - pairs with (PT6). */
		atomic_store_explicit(&w.word, 1, memory_order_release);
		jd_futex_wake_all(&w.word);
		jd_thread_join(&thread);
		assert_int_equal(w.status, JD_OK);
	}
}

/* Two threads hand a word back and forth; a lost wake-up would hang here. */
struct ping_pong {
	_Atomic(uint32_t) turn; /* A */
	uint32_t rounds;
};

static void ping_pong_play(struct ping_pong *p, uint32_t parity)
{
	for (uint32_t turn = parity; turn < p->rounds; turn += 2) {
		uint32_t seen;

		/* order: (PT8) acquire - pairs with (PT9). */
		while ((seen = atomic_load_explicit(&p->turn, memory_order_acquire)) != turn)
			jd_futex_wait(&p->turn, seen, JD_NEVER);
		/* order: (PT9) release - pairs with (PT8). */
		atomic_store_explicit(&p->turn, turn + 1, memory_order_release);
		jd_futex_wake_one(&p->turn);
	}
}

static void pong(void *arg)
{
	ping_pong_play(arg, 1);
}

static void test_futex_ping_pong(void **state)
{
	struct ping_pong p = {.rounds = 20000};
	struct jd_thread thread;

	(void)state;
	assert_int_equal(jd_thread_start(&thread, "pong", 0, pong, &p), JD_OK);
	ping_pong_play(&p, 0);
	jd_thread_join(&thread);
	assert_int_equal(atomic_load_explicit(&p.turn, memory_order_relaxed), p.rounds);
}

/* --- Time and seeds ------------------------------------------------------------------------ */

static void test_clock_is_monotonic(void **state)
{
	uint64_t first = jd_clock_now(), last = first;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint64_t now = jd_clock_now();

		assert_true(now >= last);
		last = now;
	}
	assert_true(last > first);
	assert_true(last - first < 60 * JD_SEC);
}

static void test_random_seeds_differ(void **state)
{
	uint64_t seed[64];

	(void)state;
	for (int i = 0; i < 64; i++) {
		seed[i] = jd_random_seed();
		for (int j = 0; j < i; j++)
			assert_int_not_equal(seed[i], seed[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thread_runs_and_joins),
		cmocka_unit_test(test_thread_bad_arguments),
		cmocka_unit_test(test_thread_stack_sizes),
		cmocka_unit_test(test_thread_ids_are_unique),
		cmocka_unit_test(test_futex_wake_all),
		cmocka_unit_test(test_futex_wake_one),
		cmocka_unit_test(test_futex_wake_one_wakes_at_most_one),
		cmocka_unit_test(test_futex_value_differs),
		cmocka_unit_test(test_futex_timeout_is_never_early),
		cmocka_unit_test(test_futex_far_deadlines),
		cmocka_unit_test(test_futex_ping_pong),
		cmocka_unit_test(test_clock_is_monotonic),
		cmocka_unit_test(test_random_seeds_differ),
	};

	return cmocka_run_group_tests_name("platform", tests, NULL, NULL);
}
