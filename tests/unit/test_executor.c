/* test_executor.c - the handles spawn where they say, on the test scheduler and in production. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/jackdaw.h>

/* Notes where and in which order its tasks are polled. */
struct trace {
	struct jd_scheduler *scheduler;
	unsigned count;
	unsigned order[16];
	bool main[16];
};

struct step {
	struct jd_future base;
	struct trace *trace;
	unsigned number;
};

static jd_status step_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct step *self = jd_container_of(future, struct step, base);
	struct trace *trace = self->trace;

	trace->order[trace->count] = self->number;
	trace->main[trace->count++] = jd_is_main_thread(context->scheduler);
	*(unsigned *)result = self->number;
	return JD_OK;
}

static struct step step_make(struct trace *trace, unsigned number)
{
	static const struct jd_future_ops ops = {
		.poll = step_poll, .size = sizeof(struct step), .result_size = sizeof(unsigned)};

	return (struct step){.base = {&ops}, .trace = trace, .number = number};
}

/* --- On both kinds of scheduler -------------------------------------------------------------- */

static void check_spawns(struct jd_scheduler *scheduler)
{
	struct jd_background_executor background = jd_background_executor_on(scheduler);
	struct trace trace = {.scheduler = scheduler};
	struct step step = step_make(&trace, 7);
	struct jd_task *task;
	unsigned value = 0, line = 0;

	line = __LINE__ + 1;
	assert_int_equal(jd_background_spawn(&background, &step.base, &task), JD_OK);
	char site[32];

	snprintf(site, sizeof(site), "test_executor.c:%u", line);
	assert_non_null(strstr(jd_task_get_site(task), site));
	assert_null(jd_task_get_label(task));
	assert_int_equal(jd_task_get_session(task), 0);
	assert_int_equal(jd_task_join(task, &value), JD_OK);
	assert_int_equal(value, 7);

	step = step_make(&trace, 8);
	assert_int_equal(jd_background_spawn_labeled(&background, &step.base, "load", &task),
			 JD_OK);
	assert_string_equal(jd_task_get_label(task), "load");
	assert_int_equal(jd_task_join(task, &value), JD_OK);
	assert_int_equal(trace.count, 2);
	assert_false(trace.main[0] || trace.main[1]);

	assert_int_equal(jd_background_spawn(NULL, &step.base, &task), JD_EINVAL);
	assert_int_equal(jd_foreground_spawn(NULL, &step.base, &task), JD_EINVAL);
	assert_int_equal(jd_background_num_cpus(&background), jd_num_cpus(scheduler));
}

static void check_time(struct jd_scheduler *scheduler)
{
	struct jd_background_executor background = jd_background_executor_on(scheduler);
	struct jd_foreground_executor window = jd_foreground_executor_on(scheduler);
	struct jd_sleep sleep;
	uint64_t start = jd_background_now(&background);

	jd_background_timer(&background, &sleep, JD_MS);
	assert_int_equal(jd_background_block(&background, &sleep.base, NULL), JD_OK);
	jd_future_drop(&sleep.base);
	assert_true(jd_background_now(&background) - start >= JD_MS);

	start = jd_foreground_now(&window);
	jd_foreground_timer(&window, &sleep, JD_MS);
	assert_int_equal(jd_foreground_block(&window, &sleep.base, NULL), JD_OK);
	jd_future_drop(&sleep.base);
	assert_true(jd_foreground_now(&window) - start >= JD_MS);

	jd_background_timer(&background, &sleep, JD_NEVER);
	assert_int_equal(jd_background_block_with_timeout(&background, &sleep.base, JD_MS, NULL),
			 JD_ETIMEDOUT);
	assert_int_equal(jd_foreground_block_with_timeout(&window, &sleep.base, JD_MS, NULL),
			 JD_ETIMEDOUT);
	jd_future_drop(&sleep.base);
	assert_int_equal(jd_foreground_num_cpus(&window), jd_num_cpus(scheduler));
}

static void check_sessions(struct jd_scheduler *scheduler)
{
	struct jd_foreground_executor first = jd_foreground_executor_on(scheduler);
	struct jd_foreground_executor second = jd_foreground_executor_on(scheduler);
	struct trace trace = {.scheduler = scheduler};
	struct jd_task *tasks[6];
	unsigned value;

	assert_int_not_equal(first.session, 0);
	assert_int_not_equal(first.session, second.session);
	for (unsigned i = 0; i < 6; i++) {
		struct step step = step_make(&trace, i);

		assert_int_equal(jd_foreground_spawn_labeled(&first, &step.base, "draw", &tasks[i]),
				 JD_OK);
		assert_int_equal(jd_task_get_session(tasks[i]), first.session);
		assert_string_equal(jd_task_get_label(tasks[i]), "draw");
	}
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(jd_task_join(tasks[i], &value), JD_OK);
	assert_int_equal(trace.count, 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(trace.order[i], i);
		assert_true(trace.main[i]);
	}
}

/* --- The test scheduler ---------------------------------------------------------------------- */

static struct jd_test_scheduler *test_scheduler(uint64_t seed)
{
	const struct jd_test_options options = {.seed = seed};
	struct jd_test_scheduler *scheduler;

	assert_int_equal(jd_test_scheduler_new(&options, &scheduler), JD_OK);
	return scheduler;
}

static void test_on_the_test_scheduler(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct jd_test_scheduler *test = test_scheduler(seed);

		check_spawns(jd_test_scheduler_base(test));
		check_time(jd_test_scheduler_base(test));
		check_sessions(jd_test_scheduler_base(test));
		assert_int_equal(jd_test_end(test), JD_OK);
	}
}

static void test_stepping_and_the_clock(void **state)
{
	struct jd_test_scheduler *test = test_scheduler(1);
	struct jd_scheduler *scheduler = jd_test_scheduler_base(test);
	struct jd_background_executor background = jd_background_executor_on(scheduler);
	struct jd_foreground_executor window = jd_foreground_executor_on(scheduler);
	struct trace trace = {.scheduler = scheduler};
	struct jd_sleep sleep;
	struct jd_task *task;

	(void)state;
	assert_false(jd_background_tick(&background));
	for (unsigned i = 0; i < 4; i++) {
		struct step step = step_make(&trace, i);

		assert_int_equal(jd_background_spawn(&background, &step.base, NULL), JD_OK);
	}
	assert_true(jd_background_tick(&background));
	assert_int_equal(trace.count, 1);
	assert_true(jd_foreground_tick(&window));
	assert_int_equal(trace.count, 2);
	assert_int_equal(jd_background_run_until_parked(&background), JD_OK);
	assert_int_equal(trace.count, 4);

	jd_background_timer(&background, &sleep, 10 * JD_MS);
	assert_int_equal(jd_background_spawn(&background, &sleep.base, &task), JD_OK);
	assert_int_equal(jd_foreground_run_until_parked(&window), JD_OK);
	assert_int_equal(jd_background_advance_clock(&background, 9 * JD_MS), JD_OK);
	assert_false(jd_task_is_finished(task));
	assert_int_equal(jd_foreground_advance_clock(&window, JD_MS), JD_OK);
	assert_true(jd_task_is_finished(task));
	assert_int_equal(jd_background_now(&background), 10 * JD_MS);
	assert_int_equal(jd_task_join(task, NULL), JD_OK);
	assert_int_equal(jd_test_end(test), JD_OK);
}

static void test_deprioritized_work_comes_last(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct jd_test_scheduler *test = test_scheduler(seed);
		struct jd_scheduler *scheduler = jd_test_scheduler_base(test);
		struct jd_background_executor background = jd_background_executor_on(scheduler);
		struct jd_foreground_executor window = jd_foreground_executor_on(scheduler);
		struct trace trace = {.scheduler = scheduler};
		struct step late = step_make(&trace, 9), later = step_make(&trace, 8);

		assert_int_equal(jd_background_deprioritize(&background, "slow"), JD_OK);
		assert_int_equal(jd_foreground_deprioritize(&window, "slower"), JD_OK);
		assert_int_equal(jd_background_spawn_labeled(&background, &late.base, "slow", NULL),
				 JD_OK);
		assert_int_equal(
			jd_background_spawn_labeled(&background, &later.base, "slower", NULL),
			JD_OK);
		for (unsigned i = 0; i < 4; i++) {
			struct step step = step_make(&trace, i);

			assert_int_equal(jd_background_spawn(&background, &step.base, NULL), JD_OK);
		}
		assert_int_equal(jd_background_run_until_parked(&background), JD_OK);
		assert_int_equal(trace.count, 6);
		assert_in_range(trace.order[4], 8, 9);
		assert_in_range(trace.order[5], 8, 9);
		assert_int_equal(jd_test_end(test), JD_OK);
	}
}

static void test_random_delays_are_random_here(void **state)
{
	unsigned lengths = 0; /* a bit for each number of steps seen */

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct jd_test_scheduler *test = test_scheduler(seed);
		struct jd_background_executor background =
			jd_background_executor_on(jd_test_scheduler_base(test));
		struct jd_foreground_executor window =
			jd_foreground_executor_on(jd_test_scheduler_base(test));
		struct jd_random_delay delay;
		struct jd_task *task;
		uint64_t steps = jd_test_steps(test);

		if (seed % 2)
			jd_background_simulate_random_delay(&background, &delay);
		else
			jd_foreground_simulate_random_delay(&window, &delay);
		assert_int_equal(jd_background_spawn(&background, &delay.base, &task), JD_OK);
		assert_int_equal(jd_task_join(task, NULL), JD_OK);
		lengths |= 1u << (jd_test_steps(test) - steps);
		assert_int_equal(jd_test_end(test), JD_OK);
	}
	assert_true(lengths & (lengths - 1));
}

/* --- Production ------------------------------------------------------------------------------ */

static void test_in_production(void **state)
{
	const struct jd_ws_options options = {.workers = 2, .main_thread = true};
	struct jd_scheduler *scheduler;

	(void)state;
	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	check_spawns(scheduler);
	check_time(scheduler);
	check_sessions(scheduler);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

static void test_test_calls_do_nothing_in_production(void **state)
{
	const struct jd_ws_options options = {.workers = 2};
	struct jd_scheduler *scheduler;

	(void)state;
	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	struct jd_background_executor background = jd_background_executor_on(scheduler);
	struct jd_foreground_executor window = jd_foreground_executor_on(scheduler);
	struct trace trace = {.scheduler = scheduler};
	struct step step = step_make(&trace, 1);
	struct jd_random_delay delay;
	struct jd_task *task;
	unsigned value;

	assert_int_equal(jd_background_deprioritize(&background, "slow"), JD_OK);
	assert_int_equal(jd_foreground_deprioritize(&window, "slow"), JD_OK);
	assert_int_equal(jd_background_spawn_labeled(&background, &step.base, "slow", &task),
			 JD_OK);
	assert_int_equal(jd_task_join(task, &value), JD_OK);
	assert_false(jd_background_tick(&background));
	assert_false(jd_foreground_tick(&window));
	assert_int_equal(jd_background_run_until_parked(&background), JD_OK);
	assert_int_equal(jd_foreground_run_until_parked(&window), JD_OK);

	uint64_t before = jd_now(scheduler);

	assert_int_equal(jd_background_advance_clock(&background, 3600 * JD_SEC), JD_OK);
	assert_int_equal(jd_foreground_advance_clock(&window, 3600 * JD_SEC), JD_OK);
	assert_true(jd_now(scheduler) - before < 3600 * JD_SEC);
	jd_background_simulate_random_delay(&background, &delay);
	assert_int_equal(jd_block_with_timeout(scheduler, &delay.base, 0, NULL), JD_OK);
	jd_future_drop(&delay.base);

	/* No main thread, no foreground. */
	step = step_make(&trace, 2);
	assert_int_equal(jd_foreground_spawn(&window, &step.base, &task), JD_ENOTSUP);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_on_the_test_scheduler),
		cmocka_unit_test(test_stepping_and_the_clock),
		cmocka_unit_test(test_deprioritized_work_comes_last),
		cmocka_unit_test(test_random_delays_are_random_here),
		cmocka_unit_test(test_in_production),
		cmocka_unit_test(test_test_calls_do_nothing_in_production),
	};

	return cmocka_run_group_tests_name("executor", tests, NULL, NULL);
}
