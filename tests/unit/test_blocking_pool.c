/* test_blocking_pool.c - the threads for blocking work: they come, wait in line, and go. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"

enum {
	WORKERS = 2,
	MAX = 4,
	JOBS = 10,
	PATIENCE = 10000,
};

struct threads {
	unsigned alive, idle, most, started, jobs, max, queued;
};

static struct threads look(struct jd_scheduler *scheduler)
{
	FILE *file = tmpfile();
	struct threads t = {0};
	char line[256];
	int got = 0;

	assert_non_null(file);
	jd_dump(scheduler, file);
	rewind(file);
	while (got != 7 && fgets(line, sizeof(line), file))
		got = sscanf(line,
			     "  threads %u idle %u most %u started %u; blocking jobs %u of %u, "
			     "in line %u",
			     &t.alive, &t.idle, &t.most, &t.started, &t.jobs, &t.max, &t.queued);
	fclose(file);
	assert_int_equal(got, 7);
	return t;
}

static jd_status never_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	(void)future;
	(void)context;
	(void)result;
	return JD_PENDING;
}

/* This thread waits a moment. */
static void wait_a_ms(struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {.poll = never_poll,
						 .size = sizeof(struct jd_future)};
	struct jd_future never = {&ops};

	assert_int_equal(jd_block_with_timeout(scheduler, &never, JD_MS, NULL), JD_ETIMEDOUT);
}

/* Until so many threads are there. */
static void wait_alive(struct jd_scheduler *scheduler, unsigned alive)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (look(scheduler).alive == alive)
			return;
		wait_a_ms(scheduler);
	}
	fail_msg("%u threads instead of %u", look(scheduler).alive, alive);
}

static struct jd_scheduler *make(uint64_t keep_alive_ns)
{
	const struct jd_ws_options options = {
		.workers = WORKERS, .blocking_max = MAX, .keep_alive_ns = keep_alive_ns};
	struct jd_scheduler *scheduler;

	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	return scheduler;
}

struct gate {
	_Atomic(uint32_t) open;
	_Atomic(uint32_t) inside, most, done;
};

static void *pass(void *arg)
{
	struct gate *gate = arg;
	uint32_t n = atomic_fetch_add_explicit(&gate->inside, 1, memory_order_relaxed) + 1;
	uint32_t most = atomic_load_explicit(&gate->most, memory_order_relaxed);

	while (most < n &&
	       !atomic_compare_exchange_weak_explicit(&gate->most, &most, n, memory_order_relaxed,
						      memory_order_relaxed))
		;
	while (!atomic_load_explicit(&gate->open, memory_order_relaxed))
		jd_futex_wait(&gate->open, 0, JD_NEVER);
	atomic_fetch_sub_explicit(&gate->inside, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&gate->done, 1, memory_order_relaxed);
	return NULL;
}

static void open_gate(struct gate *gate)
{
	atomic_store_explicit(&gate->open, 1, memory_order_relaxed);
	jd_futex_wake_all(&gate->open);
}

static void *nothing(void *arg)
{
	return arg;
}

/* Grows to the cap, no further; the rest waits in line, and CPU work does not wait at all. */
static void test_grows_to_the_cap(void **state)
{
	struct jd_scheduler *scheduler = make(JD_NEVER);
	struct jd_task *tasks[JOBS], *quick;
	struct gate gate = {0};

	(void)state;
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(jd_spawn_blocking(scheduler, pass, &gate, &tasks[i]), JD_OK);
	struct threads t = look(scheduler);

	assert_int_equal(t.alive, WORKERS + MAX);
	assert_int_equal(t.jobs, MAX);
	assert_int_equal(t.max, MAX);
	assert_int_equal(t.queued, JOBS - MAX);
	assert_int_equal(jd_spawn_fn(scheduler, nothing, NULL, &quick), JD_OK);
	assert_int_equal(jd_task_join(quick, NULL), JD_OK);
	assert_int_equal(atomic_load_explicit(&gate.done, memory_order_relaxed), 0);
	open_gate(&gate);
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(jd_task_join(tasks[i], NULL), JD_OK);
	assert_int_equal(atomic_load_explicit(&gate.done, memory_order_relaxed), JOBS);
	assert_in_range(atomic_load_explicit(&gate.most, memory_order_relaxed), 1, MAX);
	t = look(scheduler);
	assert_int_equal(t.queued, 0);
	assert_int_equal(t.started, WORKERS + MAX);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* Threads without a job end; the workers' stay; and the next job finds a thread again. */
static void test_shrinks_when_idle(void **state)
{
	struct jd_scheduler *scheduler = make(JD_MS);

	(void)state;
	for (unsigned round = 1; round <= 3; round++) {
		struct jd_task *tasks[MAX];
		struct gate gate = {0};

		for (unsigned i = 0; i < MAX; i++)
			assert_int_equal(jd_spawn_blocking(scheduler, pass, &gate, &tasks[i]),
					 JD_OK);
		assert_int_equal(look(scheduler).jobs, MAX);
		open_gate(&gate);
		for (unsigned i = 0; i < MAX; i++)
			assert_int_equal(jd_task_join(tasks[i], NULL), JD_OK);
		wait_alive(scheduler, WORKERS);
		assert_int_equal(look(scheduler).idle, 0);
		assert_int_equal(look(scheduler).most, WORKERS + MAX);
		assert_int_equal(look(scheduler).started, WORKERS + round * MAX);
	}
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* Kept threads are used again: none is started for the second job. */
static void test_keeps_threads(void **state)
{
	struct jd_scheduler *scheduler = make(JD_NEVER);

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct jd_task *task;

		assert_int_equal(jd_spawn_blocking(scheduler, nothing, NULL, &task), JD_OK);
		assert_int_equal(jd_task_join(task, NULL), JD_OK);
		for (int n = 0; look(scheduler).idle == 0; n++) {
			assert_true(n < PATIENCE);
			wait_a_ms(scheduler);
		}
	}
	assert_int_equal(look(scheduler).started, WORKERS + 1);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_to_the_cap),
		cmocka_unit_test(test_shrinks_when_idle),
		cmocka_unit_test(test_keeps_threads),
	};

	return cmocka_run_group_tests_name("blocking pool", tests, NULL, NULL);
}
