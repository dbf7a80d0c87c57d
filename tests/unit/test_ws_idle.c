/* test_ws_idle.c - the workers' counters: idle is idle, and who is woken is needed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/timer.h>
#include <jackdaw/ws_scheduler.h>

enum {
	WORKERS = 2,
	WAKES = 100,
	QUIET_MS = 300, /* longer than any period somebody might wake up in by himself */
	PATIENCE = 10000,
};

/* What a dump says, all workers together. */
struct facts {
	unsigned sleeping;
	unsigned long long searches, parks, run;
	unsigned long long sent, useful, spurious;
};

static unsigned long long after(const char *line, const char *word)
{
	const char *at = strstr(line, word);
	unsigned long long n = 0;

	assert_non_null(at);
	assert_int_equal(sscanf(at + strlen(word), "%llu", &n), 1);
	return n;
}

static void look(struct jd_scheduler *scheduler, struct facts *facts)
{
	FILE *file = tmpfile();
	char line[256];
	bool totals = false;

	assert_non_null(file);
	*facts = (struct facts){0};
	jd_dump(scheduler, file);
	rewind(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "  worker ", 9) == 0) {
			facts->sleeping += strstr(line, " sleeping") != NULL;
			facts->searches += after(line, " searches ");
			facts->parks += after(line, " parks ");
			facts->run += after(line, " run ");
		} else if (strncmp(line, "  wake-ups ", 11) == 0) {
			facts->sent = after(line, " sent ");
			facts->useful = after(line, " useful ");
			facts->spurious = after(line, " spurious ");
			totals = true;
		}
	}
	assert_true(totals);
	fclose(file);
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

/* Until all workers sleep. */
static void settle(struct jd_scheduler *scheduler, struct facts *facts)
{
	for (int i = 0; i < PATIENCE; i++) {
		look(scheduler, facts);
		if (facts->sleeping == WORKERS)
			return;
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
	assert_int_equal(now.searches, before.searches);
	assert_int_equal(now.parks, before.parks);
	assert_int_equal(now.sent, before.sent);
	assert_true(now.run >= 1000);
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
	assert_int_equal(now.parks, before.parks);
	assert_int_equal(now.searches, before.searches);
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
		assert_int_equal(now.sent, before.sent + i);
		assert_int_equal(now.useful, before.useful + i);
		assert_int_equal(now.spurious, before.spurious);
	}
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_workers_do_nothing),
		cmocka_unit_test(test_a_far_timer_wakes_nobody),
		cmocka_unit_test(test_a_task_wakes_one_worker),
	};

	return cmocka_run_group_tests_name("ws idle", tests, NULL, NULL);
}
