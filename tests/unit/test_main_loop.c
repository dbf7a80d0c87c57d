/* test_main_loop.c - foreground work under a host's event loop: wake-ups, budget, refusals. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"
#include "tests/testlib/host.h"

struct counter {
	struct jd_runnable runnable;
	struct jd_scheduler *scheduler;
	_Atomic(uint32_t) *ran;
	uint64_t spin_ns;
};

static void counter_run(struct jd_runnable *self, struct jd_worker *worker)
{
	struct counter *counter = jd_container_of(self, struct counter, runnable);
	uint64_t end = jd_clock_now() + counter->spin_ns;

	(void)worker;
	while (counter->spin_ns && jd_clock_now() < end)
		;
	atomic_fetch_add_explicit(counter->ran, 1, memory_order_relaxed);
}

static void counter_cancel(struct jd_runnable *self)
{
	(void)self;
}

static const struct jd_runnable_ops counter_ops = {.run = counter_run, .cancel = counter_cancel};

static struct counter counter_new(struct jd_scheduler *scheduler, _Atomic(uint32_t) *ran)
{
	return (struct counter){JD_RUNNABLE_INIT(&counter_ops), scheduler, ran, 0};
}

static int set_up(void **state)
{
	const struct jd_ws_options options = {.workers = 2, .main_thread = true};

	return jd_ws_scheduler_new(&options, (struct jd_scheduler **)state) != JD_OK;
}

static int tear_down(void **state)
{
	return jd_scheduler_destroy(*state) != JD_OK;
}

static void test_readable_exactly_while_there_is_work(void **state)
{
	struct jd_scheduler *s = *state;
	_Atomic(uint32_t) ran = 0;
	struct counter a = counter_new(s, &ran), b = counter_new(s, &ran);
	struct host host, again;

	assert_int_equal(jd_schedule_foreground(s, &a.runnable, 1), JD_OK);
	assert_int_equal(host_open(&host, s), JD_OK);
	assert_true(host_ready(&host, 0)); /* posted before anybody polled */
	assert_int_equal(jd_main_loop_dispatch(s, JD_SEC), JD_OK);
	assert_int_equal(ran, 1);
	assert_false(host_ready(&host, 0));
	assert_int_equal(jd_schedule_foreground(s, &b.runnable, 1), JD_OK);
	assert_true(host_ready(&host, 0));
	assert_int_equal(jd_main_loop_dispatch(s, JD_SEC), JD_OK);
	assert_int_equal(ran, 2);
	assert_false(host_ready(&host, 0));
	assert_int_equal(host_open(&again, s), JD_OK);
	assert_int_equal(host.native, again.native);
}

static void test_budget_leaves_the_rest_readable(void **state)
{
	struct jd_scheduler *s = *state;
	_Atomic(uint32_t) ran = 0;
	struct counter slow[3];
	struct host host;

	assert_int_equal(host_open(&host, s), JD_OK);
	for (int i = 0; i < 3; i++) {
		slow[i] = counter_new(s, &ran);
		slow[i].spin_ns = JD_MS;
		assert_int_equal(jd_schedule_foreground(s, &slow[i].runnable, 1), JD_OK);
	}
	for (uint32_t i = 1; i <= 3; i++) {
		assert_true(host_ready(&host, 0));
		assert_int_equal(jd_main_loop_dispatch(s, 1), JD_OK);
		assert_int_equal(ran, i);
	}
	assert_false(host_ready(&host, 0));
}

static void *nothing(void *arg)
{
	return arg;
}

static void test_a_blocking_call_gives_the_loop_back(void **state)
{
	struct jd_scheduler *s = *state;
	_Atomic(uint32_t) ran = 0;
	struct counter a = counter_new(s, &ran), b = counter_new(s, &ran);
	struct jd_task *task;
	struct host host;

	assert_int_equal(host_open(&host, s), JD_OK);
	assert_int_equal(jd_schedule_foreground(s, &a.runnable, 1), JD_OK);
	assert_int_equal(jd_spawn_fn(s, nothing, NULL, &task), JD_OK);
	assert_int_equal(jd_task_join(task, NULL), JD_OK);
	/* Whatever the wait did not run must be announced, and what comes now as well. */
	assert_int_equal(jd_schedule_foreground(s, &b.runnable, 1), JD_OK);
	assert_true(host_ready(&host, 0));
	assert_int_equal(jd_main_loop_dispatch(s, JD_SEC), JD_OK);
	assert_int_equal(ran, 2);
}

struct poster {
	struct jd_thread thread;
	struct counter *counters;
	int count;
};

static void post_all(void *arg)
{
	struct poster *poster = arg;

	for (int i = 0; i < poster->count; i++) {
		struct counter *c = &poster->counters[i];

		if (jd_schedule_foreground(c->scheduler, &c->runnable, 1 + (jd_session_id)i % 3))
			return;
	}
}

enum {
	POSTERS = 4,
	POSTS = 20000
};

static void test_no_wakeup_is_lost_among_many_posters(void **state)
{
	static struct counter counters[POSTERS][POSTS];
	struct jd_scheduler *s = *state;
	struct poster posters[POSTERS];
	_Atomic(uint32_t) ran = 0;
	struct host host;

	assert_int_equal(host_open(&host, s), JD_OK);
	for (int i = 0; i < POSTERS; i++) {
		for (int k = 0; k < POSTS; k++)
			counters[i][k] = counter_new(s, &ran);
		posters[i].counters = counters[i];
		posters[i].count = POSTS;
		assert_int_equal(
			jd_thread_start(&posters[i].thread, "poster", 0, post_all, &posters[i]),
			JD_OK);
	}
	while (ran < POSTERS * POSTS) {
		assert_true(host_ready(&host, 20000)); /* a lost wake-up ends here */
		assert_int_equal(jd_main_loop_dispatch(s, 50 * JD_US), JD_OK);
	}
	for (int i = 0; i < POSTERS; i++)
		jd_thread_join(&posters[i].thread);
	assert_false(host_ready(&host, 0));
	assert_int_equal(ran, POSTERS * POSTS);
}

static void *quit_from_worker(void *arg)
{
	return jd_main_loop_quit(arg) == JD_OK ? NULL : arg;
}

static void test_run_until_quit(void **state)
{
	struct jd_scheduler *s = *state;
	struct jd_task *task;
	void *failed = s;

	assert_int_equal(jd_spawn_fn(s, quit_from_worker, s, &task), JD_OK);
	assert_int_equal(jd_main_loop_run(s), JD_OK);
	assert_int_equal(jd_task_join(task, &failed), JD_OK);
	assert_null(failed);
}

static void *loop_from_worker(void *arg)
{
	struct host host;
	bool refused = jd_main_loop_run(arg) == JD_EPERM &&
		       jd_main_loop_dispatch(arg, 0) == JD_EPERM &&
		       host_open(&host, arg) == JD_EPERM;

	return refused ? NULL : arg;
}

static void test_refusals(void **state)
{
	struct jd_scheduler *s = *state, *headless;
	struct jd_task *task;
	void *failed = s;
	struct host host;

	assert_int_equal(jd_spawn_fn(s, loop_from_worker, s, &task), JD_OK);
	assert_int_equal(jd_task_join(task, &failed), JD_OK);
	assert_null(failed);
	assert_int_equal(host_open_nowhere(s), JD_EINVAL);
	assert_int_equal(host_open_other(s), JD_ENOTSUP);
	assert_int_equal(jd_main_loop_run(NULL), JD_EINVAL);
	assert_int_equal(jd_main_loop_quit(NULL), JD_EINVAL);
	assert_int_equal(jd_ws_scheduler_new(NULL, &headless), JD_OK);
	assert_int_equal(jd_main_loop_run(headless), JD_ENOTSUP);
	assert_int_equal(host_open(&host, headless), JD_ENOTSUP);
	assert_int_equal(jd_main_loop_quit(headless), JD_ENOTSUP);
	assert_int_equal(jd_scheduler_destroy(headless), JD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_readable_exactly_while_there_is_work, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_budget_leaves_the_rest_readable, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_blocking_call_gives_the_loop_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_no_wakeup_is_lost_among_many_posters, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_run_until_quit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("main_loop", tests, NULL, NULL);
}
