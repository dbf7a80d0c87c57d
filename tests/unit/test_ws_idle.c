/* test_ws_idle.c - the workers' counters: idle is idle, and who is woken is needed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/timer.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"
#include "runtime/tuning.h"

enum {
	WORKERS = 2,
	WAKES = 100,
	QUIET_MS = 300, /* longer than any period somebody might wake up in by himself */
	PATIENCE = 10000,
	BUSY_MAX = 64,
	CROWD_WAKES = 2000,
	CROWD_DOZES = WORKERS * 2 * JD_WORKER_CROWD_LOOK,
};

/* What a dump says, and the counters, all workers together. */
struct facts {
	unsigned sleeping;
	struct jd_ws_stats stats;
};

static void look(struct jd_scheduler *scheduler, struct facts *facts)
{
	FILE *file = tmpfile();
	char line[256], totals[128];
	bool found = false;

	assert_non_null(file);
	*facts = (struct facts){0};
	jd_dump(scheduler, file);
	assert_int_equal(jd_ws_scheduler_stats(scheduler, JD_WS_ALL, &facts->stats), JD_OK);
	rewind(file);
	snprintf(totals, sizeof(totals),
		 "  wake-ups sent %" PRIu64 " useful %" PRIu64 " spurious %" PRIu64 "\n",
		 facts->stats.wakes_sent, facts->stats.wakes_useful, facts->stats.wakes_spurious);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "  worker ", 9) == 0)
			facts->sleeping += strstr(line, " sleeping") != NULL;
		else if (strcmp(line, totals) == 0)
			found = true;
	}
	fclose(file);
	/* Between dump and stats a worker may still have gone to sleep, not when all slept. */
	assert_true(found || facts->sleeping < WORKERS);
}

static jd_status never_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	(void)future;
	(void)context;
	(void)result;
	return JD_PENDING;
}

/* This thread waits so long, in its own futex: nobody else has to do with it. */
static void wait_ms(struct jd_scheduler *scheduler, unsigned ms)
{
	static const struct jd_future_ops ops = {.poll = never_poll,
						 .size = sizeof(struct jd_future)};
	struct jd_future never = {&ops};

	assert_int_equal(jd_block_with_timeout(scheduler, &never, ms * JD_MS, NULL), JD_ETIMEDOUT);
}

/* Until all workers sleep, and have counted that. */
static void settle(struct jd_scheduler *scheduler, struct facts *facts)
{
	uint64_t parks = 0;

	for (int i = 0; i < PATIENCE; i++) {
		look(scheduler, facts);
		if (facts->sleeping == WORKERS && facts->stats.parks == parks)
			return;
		parks = facts->stats.parks;
		wait_ms(scheduler, 1);
	}
	fail_msg("the workers do not go to sleep");
}

static void *nothing(void *arg)
{
	return arg;
}

static struct jd_scheduler *make(void)
{
	const struct jd_ws_options options = {.workers = WORKERS};
	struct jd_scheduler *scheduler;

	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	return scheduler;
}

static void test_idle_workers_do_nothing(void **state)
{
	struct jd_scheduler *scheduler = make();
	struct facts before, now;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(jd_spawn_fn(scheduler, nothing, NULL, NULL), JD_OK);
	assert_int_equal(jd_scheduler_drain(scheduler, JD_NEVER), JD_OK);
	settle(scheduler, &before);
	wait_ms(scheduler, QUIET_MS);
	look(scheduler, &now);
	assert_int_equal(now.sleeping, WORKERS);
	assert_int_equal(now.stats.searches, before.stats.searches);
	assert_int_equal(now.stats.parks, before.stats.parks);
	assert_int_equal(now.stats.wakes_sent, before.stats.wakes_sent);
	assert_true(now.stats.run >= 1000);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* An armed timer keeps one sleeper's deadline, and that is no wake-up before it is due. */
static void test_a_far_timer_wakes_nobody(void **state)
{
	struct jd_scheduler *scheduler = make();
	struct jd_sleep sleep;
	struct facts before, now;

	(void)state;
	jd_sleep_init(&sleep, 3600 * JD_SEC);
	assert_int_equal(jd_block_with_timeout(scheduler, &sleep.base, JD_MS, NULL), JD_ETIMEDOUT);
	settle(scheduler, &before);
	wait_ms(scheduler, QUIET_MS);
	look(scheduler, &now);
	assert_int_equal(now.stats.parks, before.stats.parks);
	assert_int_equal(now.stats.searches, before.stats.searches);
	jd_future_drop(&sleep.base);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* One task, all asleep: one is woken, and finds it. */
static void test_a_task_wakes_one_worker(void **state)
{
	struct jd_scheduler *scheduler = make();
	struct facts before, now;

	(void)state;
	settle(scheduler, &before);
	for (unsigned i = 1; i <= WAKES; i++) {
		struct jd_task *task;

		assert_int_equal(jd_spawn_fn(scheduler, nothing, NULL, &task), JD_OK);
		assert_int_equal(jd_task_join(task, NULL), JD_OK);
		settle(scheduler, &now);
		assert_int_equal(now.stats.wakes_sent, before.stats.wakes_sent + i);
		assert_int_equal(now.stats.wakes_useful, before.stats.wakes_useful + i);
		assert_int_equal(now.stats.wakes_spurious, before.stats.wakes_spurious);
	}
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* Computes all the time. */
struct busy {
	struct jd_thread threads[BUSY_MAX];
	unsigned count;
	_Atomic(uint32_t) stop;
};

static void compute(void *arg)
{
	struct busy *busy = arg;

	while (!atomic_load_explicit(&busy->stop, memory_order_relaxed))
		jd_cpu_relax();
}

/* More threads than CPUs; false: this system does not tell, or has too many. */
static bool crowd(struct busy *busy)
{
	while (busy->count < BUSY_MAX && (busy->count < 2 || !jd_cpu_crowded())) {
		assert_int_equal(
			jd_thread_start(&busy->threads[busy->count++], "busy", 0, compute, busy),
			JD_OK);
		/* It runs now, or it waits for a CPU: both count. */
	}
	return jd_cpu_crowded();
}

/* Where others want the CPUs, workers find out and sleep at once: a doze takes from the others. */
static void test_no_dozing_in_a_crowd(void **state)
{
	struct jd_scheduler *scheduler = make();
	struct busy busy = {.count = 0};
	struct jd_ws_stats before, now;
	bool crowded = crowd(&busy);

	(void)state;
	assert_int_equal(jd_ws_scheduler_stats(scheduler, JD_WS_ALL, &before), JD_OK);
	for (unsigned i = 0; crowded && i < CROWD_WAKES; i++) {
		struct jd_task *task;

		assert_int_equal(jd_spawn_fn(scheduler, nothing, NULL, &task), JD_OK);
		assert_int_equal(jd_task_join(task, NULL), JD_OK);
	}
	assert_int_equal(jd_ws_scheduler_stats(scheduler, JD_WS_ALL, &now), JD_OK);
	atomic_store_explicit(&busy.stop, 1, memory_order_relaxed);
	for (unsigned i = 0; i < busy.count; i++)
		jd_thread_join(&busy.threads[i]);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	if (!crowded)
		skip();
	assert_true(now.dozes - before.dozes <= CROWD_DOZES);
}

/* The workers' counters, one by one, are those of all; bad questions are answered. */
static void test_stats(void **state)
{
	const struct jd_test_options none = {0};
	struct jd_scheduler *scheduler = make();
	struct jd_test_scheduler *test;
	struct jd_ws_stats all, one, sum = {0};
	struct facts facts;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(jd_spawn_fn(scheduler, nothing, NULL, NULL), JD_OK);
	assert_int_equal(jd_scheduler_drain(scheduler, JD_NEVER), JD_OK);
	settle(scheduler, &facts);
	assert_int_equal(jd_ws_scheduler_stats(scheduler, JD_WS_ALL, &all), JD_OK);
	for (uint32_t i = 0; i < WORKERS; i++) {
		assert_int_equal(jd_ws_scheduler_stats(scheduler, i, &one), JD_OK);
		assert_int_equal(one.wakes_sent, all.wakes_sent);
		sum.run += one.run;
		sum.injected += one.injected;
		sum.parks += one.parks;
		sum.wakes_useful += one.wakes_useful;
		sum.wakes_spurious += one.wakes_spurious;
	}
	assert_int_equal(sum.run, all.run);
	assert_int_equal(all.run, 1000);
	assert_int_equal(sum.injected, all.injected);
	assert_int_equal(all.injected, 1000);
	assert_int_equal(sum.parks, all.parks);
	assert_true(all.parks >= WORKERS);
	assert_int_equal(sum.wakes_useful, all.wakes_useful);
	/* All sleep: of no wake-up is it still open whether it was useful. */
	assert_int_equal(all.wakes_sent, all.wakes_useful + all.wakes_spurious);
	assert_int_equal(jd_ws_scheduler_stats(scheduler, WORKERS, &one), JD_EINVAL);
	assert_int_equal(jd_ws_scheduler_stats(NULL, 0, &one), JD_EINVAL);
	assert_int_equal(jd_ws_scheduler_stats(scheduler, 0, NULL), JD_EINVAL);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	assert_int_equal(jd_test_scheduler_new(&none, &test), JD_OK);
	assert_int_equal(jd_ws_scheduler_stats(jd_test_scheduler_base(test), 0, &one), JD_ENOTSUP);
	assert_int_equal(jd_scheduler_destroy(jd_test_scheduler_base(test)), JD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_workers_do_nothing),
		cmocka_unit_test(test_a_far_timer_wakes_nobody),
		cmocka_unit_test(test_a_task_wakes_one_worker),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_no_dozing_in_a_crowd),
	};

	return cmocka_run_group_tests_name("ws idle", tests, NULL, NULL);
}
