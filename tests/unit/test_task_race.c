/* test_task_race.c - pairs of operations on one task at the same moment, many times. */
/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every case is a pair: one thing this thread does and one thing a second thread does, with nothing
 * that orders them. Then both are done, what is left is finished, and the counters must be those
 * of some order. Which comes first is helped along by a seeded number of spins on either side;
 * JD_TEST_SEED=n repeats a run's spins.
 */
#include <stdlib.h>

#include "platform/platform.h"
#include "tests/testlib/task_case.h"

#define ROUNDS 3000u

/* --- The second thread ----------------------------------------------------------------------- */

struct helper {
	struct jd_thread thread;
	_Atomic(unsigned) turn; /* A: odd: the helper is to act; even: it has */
	_Atomic(unsigned) quit; /* A */
	uint32_t spins;         /* of the round, handed over by turn */
	void (*act)(struct task_case *tc);
	struct task_case *tc;
};

static void spin(uint32_t n)
{
	while (n--)
		jd_cpu_relax();
}

static void helper_main(void *arg)
{
	struct helper *helper = arg;

	for (;;) {
		while (!(probe_get(&helper->turn) & 1)) {
			if (probe_get(&helper->quit))
				return;
			jd_thread_yield();
		}
		spin(helper->spins);
		helper->act(helper->tc);
		probe_add(&helper->turn);
	}
}

static void helper_begin(struct helper *helper)
{
	probe_add(&helper->turn);
}

static void helper_end(struct helper *helper)
{
	while (probe_get(&helper->turn) & 1)
		jd_thread_yield();
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* --- The actions ----------------------------------------------------------------------------- */

static void act_run(struct task_case *tc)
{
	jd_runnable_run(tc->runnable, NULL);
}

static void act_cancel_runnable(struct task_case *tc)
{
	jd_runnable_cancel(tc->runnable);
}

static void act_wake(struct task_case *tc)
{
	jd_waker_wake_ref(&tc->probe.waker);
}

static void act_wake_away(struct task_case *tc)
{
	jd_waker_wake(&tc->probe.waker);
}

static void act_drop_waker(struct task_case *tc)
{
	jd_waker_drop(&tc->probe.waker);
}

static void act_drop(struct task_case *tc)
{
	jd_task_drop(tc->task);
	tc->task = NULL;
}

static void act_detach(struct task_case *tc)
{
	jd_task_detach(tc->task);
	tc->task = NULL;
}

static void act_cancel(struct task_case *tc)
{
	jd_task_cancel(tc->task);
}

static void act_await(struct task_case *tc)
{
	task_case_await(tc);
}

static void act_await_then_detach(struct task_case *tc)
{
	task_case_await(tc);
	act_detach(tc);
}

/* --- The cases ------------------------------------------------------------------------------- */

/*
 * ready_after tells what the raced poll is. parked: the task waits, its waker is in the probe;
 * woken: it waited and its runnable is ours again; neither: it was never polled.
 */
struct race {
	const char *name;
	unsigned ready_after;
	enum {
		FRESH,
		PARKED,
		WOKEN
	} start;
	void (*here)(struct task_case *tc);
	void (*there)(struct task_case *tc);
};

static const struct race races[] = {
	{"run | wake", 5, WOKEN, act_run, act_wake},
	{"run to the end | wake", 1, WOKEN, act_run, act_wake},
	{"run | drop", 5, WOKEN, act_run, act_drop},
	{"run to the end | drop", 0, FRESH, act_run, act_drop},
	{"run | detach", 5, WOKEN, act_run, act_detach},
	{"run to the end | detach", 0, FRESH, act_run, act_detach},
	{"run | cancel", 5, WOKEN, act_run, act_cancel},
	{"run to the end | cancel", 0, FRESH, act_run, act_cancel},
	{"run to the end | await", 0, FRESH, act_run, act_await},
	{"run to the end | await, detach", 0, FRESH, act_run, act_await_then_detach},
	{"cancel of the runnable | await", 0, FRESH, act_cancel_runnable, act_await},
	{"cancel of the runnable | drop", 0, FRESH, act_cancel_runnable, act_drop},
	{"cancel of the runnable | wake", 5, WOKEN, act_cancel_runnable, act_wake},
	{"wake | drop", 5, PARKED, act_wake_away, act_drop},
	{"wake | detach", 5, PARKED, act_wake_away, act_detach},
	{"wake | cancel", 5, PARKED, act_wake, act_cancel},
	{"drop of the last waker | detach", 5, PARKED, act_drop_waker, act_detach},
	{"drop of the last waker | drop", 5, PARKED, act_drop_waker, act_drop},
};

static void prepare(struct task_case *tc, const struct race *race)
{
	atomic_store_explicit(&tc->probe.polls, 0, memory_order_relaxed);
	atomic_store_explicit(&tc->probe.drops, 0, memory_order_relaxed);
	atomic_store_explicit(&tc->probe.result_drops, 0, memory_order_relaxed);
	atomic_store_explicit(&tc->awaiter.wakes, 0, memory_order_relaxed);
	atomic_store_explicit(&tc->memory.watched_frees, 0, memory_order_relaxed);
	tc->awaited = JD_OK;
	tc->probe.ready_after = race->ready_after;
	tc->probe.keep_waker = race->start != FRESH;
	task_case_new(tc);
	if (race->start == FRESH)
		return;
	jd_runnable_run(tc->runnable, NULL);
	tc->probe.keep_waker = false;
	if (race->start == WOKEN) {
		jd_waker_wake_ref(&tc->probe.waker);
		assert_ptr_equal(hand_pop(tc->hand), tc->runnable);
	}
}

/* Finishes what the race left. An awaiter that was told to wait must have been woken. */
static void settle(struct task_case *tc)
{
	bool waits = tc->awaited == JD_PENDING;

	while (hand_run(tc->hand))
		;
	if (waits && DF(tc))
		assert_true(WAKES(tc) > 0 || !tc->task);
	if (tc->task && jd_task_is_finished(tc->task)) {
		assert_int_not_equal(task_case_await(tc), JD_PENDING);
		assert_int_equal(DF(tc), 1);
	}
	jd_task_drop(tc->task);
	tc->task = NULL;
	while (hand_run(tc->hand))
		;
	jd_waker_drop(&tc->probe.waker);
	while (hand_run(tc->hand))
		;
	assert_int_equal(DF(tc), 1);
	assert_int_equal(DS(tc), 1);
	assert_int_equal(probe_get(&tc->awaiter.refs), 1);
	assert_int_equal(probe_get(&tc->probe.overlaps), 0);
	assert_int_equal(jd_scheduler_task_count(tc->scheduler), 0);
	/* A result was yielded by a poll that came to the end, and destroyed once. */
	assert_int_equal(DT(tc), POLL(tc) > tc->probe.ready_after ? 1 : 0);
}

static uint64_t seed_of_run(void)
{
	const char *text = getenv("JD_TEST_SEED");

	return text ? strtoull(text, NULL, 0) : jd_random_seed();
}

static void races_end_as_some_order(void **state)
{
	struct task_case *tc = *state;
	struct helper helper = {.tc = tc};
	uint64_t seed = seed_of_run(), random = seed;

	print_message("seed %llu; repeat with JD_TEST_SEED=%llu\n", (unsigned long long)seed,
		      (unsigned long long)seed);
	assert_int_equal(jd_thread_start(&helper.thread, "helper", 0, helper_main, &helper), JD_OK);
	for (size_t i = 0; i < sizeof(races) / sizeof(races[0]); i++) {
		print_message("  %s\n", races[i].name);
		for (unsigned round = 0; round < ROUNDS; round++) {
			prepare(tc, &races[i]);
			helper.act = races[i].there;
			helper.spins = (uint32_t)(next_random(&random) % 64);
			uint32_t here = (uint32_t)(next_random(&random) % 64);

			helper_begin(&helper);
			spin(here);
			races[i].here(tc);
			helper_end(&helper);
			settle(tc);
		}
	}
	probe_add(&helper.quit);
	jd_thread_join(&helper.thread);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(races_end_as_some_order, task_case_setup,
						task_case_teardown),
	};

	return cmocka_run_group_tests_name("task_race", tests, NULL, NULL);
}
