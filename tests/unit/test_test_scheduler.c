/* test_test_scheduler.c - the test scheduler's operations: order, ownership, closing, memory. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_world.h"

/* --- Making and finding ------------------------------------------------------------------ */

static void test_handle_and_base(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);

	(void)state;
	assert_ptr_equal(jd_test_scheduler_from(base), ts);
	assert_null(jd_test_scheduler_from(NULL));
	assert_null(jd_test_scheduler_base(NULL));
	assert_string_equal(base->ops->name, "test");
	assert_int_equal(jd_num_cpus(base), 4);
	assert_int_equal(jd_now(base), 0);
	world_end(ts);
	assert_int_equal(jd_test_end(NULL), JD_OK);
}

static void other_free(struct jd_scheduler *base)
{
	jd_scheduler_fini(base);
}

static void test_from_other_kind(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler_ops ops = *jd_test_scheduler_base(ts)->ops;
	struct jd_scheduler other;

	(void)state;
	ops.free = other_free;
	assert_int_equal(jd_scheduler_init(&other, &ops, NULL), JD_OK);
	assert_null(jd_test_scheduler_from(&other));
	jd_scheduler_release(&other);
	world_end(ts);
}

static void test_bad_options(void **state)
{
	struct jd_test_scheduler *ts;
	const struct jd_test_options percent = {.spurious_polls_percent = 100};
	const struct jd_test_options path = {.record_path = "/nonexistent-folder/choices"};
	const struct jd_test_options start = {.start_ns = JD_NEVER};

	(void)state;
	assert_int_equal(jd_test_scheduler_new(NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_test_scheduler_new(&percent, &ts), JD_EINVAL);
	assert_int_equal(jd_test_scheduler_new(&start, &ts), JD_EINVAL);
	assert_int_equal(jd_test_scheduler_new(&path, &ts), JD_ENOENT);
}

static void test_null_arguments(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);

	(void)state;
	assert_int_equal(jd_test_check(NULL), JD_EINVAL);
	assert_int_equal(jd_test_run_until_parked(NULL), JD_EINVAL);
	assert_int_equal(jd_test_advance_clock(NULL, 1), JD_EINVAL);
	assert_int_equal(jd_test_deprioritize(NULL, "x"), JD_EINVAL);
	assert_int_equal(jd_test_deprioritize(ts, NULL), JD_EINVAL);
	assert_int_equal(jd_test_set_block_ticks(ts, 2, 1), JD_EINVAL);
	assert_int_equal(jd_test_set_block_ticks(NULL, 1, 2), JD_EINVAL);
	assert_int_equal(jd_test_pending(ts, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_test_once(NULL, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_test_many(NULL, 1, NULL, NULL), JD_EINVAL);
	assert_false(jd_test_tick(NULL));
	assert_int_equal(jd_test_leaks(NULL, NULL), 0);
	assert_int_equal(jd_test_rng(NULL), 0);
	assert_int_equal(jd_test_choose(ts, 0), 0);
	assert_int_equal(jd_test_choose(ts, 1), 0);
	jd_test_fail(NULL, "nothing");
	world_end(ts);
}

/* --- Running ----------------------------------------------------------------------------- */

static void test_nothing_runs_by_itself(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct log log = {.count = 0};
	struct raw raw[3];

	(void)state;
	assert_false(jd_test_tick(ts));
	for (int i = 0; i < 3; i++) {
		raw_init(&raw[i], &log, i);
		assert_int_equal(jd_schedule(jd_test_scheduler_base(ts), &raw[i].runnable), JD_OK);
	}
	assert_int_equal(log.count, 0);
	assert_true(jd_test_tick(ts));
	assert_int_equal(log.count, 1);
	assert_int_equal(jd_test_run_until_parked(ts), JD_OK);
	assert_int_equal(log.count, 3);
	assert_int_equal(jd_test_steps(ts), 3);
	assert_false(jd_test_tick(ts));
	world_end(ts);
}

/* All 24 orders of four runnables appear, each about equally often. */
static void test_background_is_uniform(void **state)
{
	unsigned seen[256] = {0}, orders = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 2400; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct log log = {.count = 0};
		struct raw raw[4];

		for (int i = 0; i < 4; i++) {
			raw_init(&raw[i], &log, i);
			assert_int_equal(jd_schedule(jd_test_scheduler_base(ts), &raw[i].runnable),
					 JD_OK);
		}
		world_end(ts);
		seen[log.items[0] << 6 | log.items[1] << 4 | log.items[2] << 2 | log.items[3]]++;
	}
	for (size_t i = 0; i < 256; i++) {
		orders += seen[i] > 0;
		assert_true(seen[i] == 0 || (seen[i] > 50 && seen[i] < 170));
	}
	assert_int_equal(orders, 24);
}

static void test_task_runs_and_is_running(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct jd_waker waker = {0};
	struct call call = call_make(poll_twice, &waker, 7);
	struct jd_task *task;
	int result = 0;

	(void)state;
	assert_int_equal(jd_spawn(base, &call.base, &task), JD_OK);
	jd_task_id id = jd_task_get_id(task);

	assert_int_equal(id, 1);
	assert_true(jd_is_task_running(base, id));
	jd_test_run_until_parked(ts);
	assert_true(jd_is_task_running(base, id)); /* after one poll it is not finished */
	jd_waker_wake(&waker);
	assert_int_equal(jd_task_join(task, &result), JD_OK);
	assert_int_equal(result, 7);
	assert_false(jd_is_task_running(base, id));
	world_end(ts);
}

static void test_blocking_work_is_background(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct log log = {.count = 0};
	struct raw raw;

	(void)state;
	raw_init(&raw, &log, 1);
	raw.scheduler = base;
	assert_int_equal(jd_schedule_blocking(base, &raw.runnable), JD_OK);
	jd_test_run_until_parked(ts);
	assert_int_equal(raw.ran, 1);
	assert_false(raw.was_main);
	world_end(ts);
}

/* --- The main thread --------------------------------------------------------------------- */

/* Inside a background runnable: runs a foreground one, which is on the main thread, and looks. */
static void run_foreground_inside(struct raw *self)
{
	assert_int_equal(jd_schedule_foreground(self->scheduler, self->arg, 1), JD_OK);
	jd_test_run_until_parked(jd_test_scheduler_from(self->scheduler));
	self->number = jd_is_main_thread(self->scheduler);
}

static void test_main_thread_is_virtual(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct raw background, foreground;

	(void)state;
	raw_init(&background, NULL, 1);
	raw_init(&foreground, NULL, 2);
	background.scheduler = foreground.scheduler = base;
	background.then = run_foreground_inside;
	background.arg = &foreground.runnable;
	assert_true(jd_is_main_thread(base)); /* the body of the test */
	assert_int_equal(jd_schedule(base, &background.runnable), JD_OK);
	jd_test_run_until_parked(ts);
	assert_false(background.was_main);
	assert_true(foreground.was_main);
	assert_int_equal(background.number, 0); /* also after the foreground runnable inside */
	assert_true(jd_is_main_thread(base));
	world_end(ts);
}

/* --- Closing ----------------------------------------------------------------------------- */

static void test_close_takes_only_what_goes_on(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct raw fresh, resumed;
	struct jd_timer timer = {0};

	(void)state;
	raw_init(&fresh, NULL, 0);
	raw_init(&resumed, NULL, 1);
	resumed.runnable.flags = JD_RUNNABLE_RESUME;
	assert_int_equal(jd_scheduler_close(base), JD_OK);
	assert_int_equal(jd_scheduler_close(base), JD_EALREADY);
	assert_int_equal(jd_schedule(base, &fresh.runnable), JD_ECLOSED);
	assert_int_equal(jd_schedule_labeled(base, &fresh.runnable, "x"), JD_ECLOSED);
	assert_int_equal(jd_schedule_foreground(base, &fresh.runnable, 1), JD_ECLOSED);
	assert_int_equal(jd_schedule_blocking(base, &fresh.runnable), JD_ECLOSED);
	assert_int_equal(jd_schedule_after(base, &timer, &fresh.runnable, 1), JD_ECLOSED);
	assert_int_equal(jd_schedule(base, &resumed.runnable), JD_OK);
	jd_test_run_until_parked(ts);
	assert_int_equal(resumed.ran, 1);
	assert_int_equal(jd_schedule_after(base, &timer, &resumed.runnable, 1), JD_OK);
	assert_int_equal(jd_test_advance_clock(ts, 1), JD_OK);
	assert_int_equal(resumed.ran, 2);
	assert_int_equal(fresh.ran, 0);
	world_end(ts);
}

static void test_destroy_cancels_everything(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_scheduler_retain(jd_test_scheduler_base(ts));
	struct raw raw[6];
	struct jd_timer timer[3] = {{0}};
	struct jd_waker waker = {0};
	struct call waits = call_make(poll_twice, &waker, 1);
	struct jd_task *task;
	int result;

	(void)state;
	for (int i = 0; i < 6; i++)
		raw_init(&raw[i], NULL, i);
	assert_int_equal(jd_spawn(base, &waits.base, &task), JD_OK);
	jd_test_run_until_parked(ts);
	assert_int_equal(jd_test_deprioritize(ts, "low"), JD_OK);
	assert_int_equal(jd_schedule(base, &raw[0].runnable), JD_OK);
	assert_int_equal(jd_schedule_labeled(base, &raw[1].runnable, "low"), JD_OK);
	assert_int_equal(jd_schedule_foreground(base, &raw[2].runnable, 9), JD_OK);
	assert_int_equal(jd_schedule_after(base, &timer[0], &raw[3].runnable, 0), JD_OK);
	assert_int_equal(jd_schedule_after(base, &timer[1], &raw[4].runnable, 5), JD_OK);
	assert_int_equal(jd_schedule_after(base, &timer[2], &raw[5].runnable, JD_NEVER), JD_OK);
	assert_int_equal(jd_scheduler_destroy(base), JD_OK);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(raw[i].cancelled, 1);
		assert_int_equal(raw[i].ran, 0);
	}
	/* What outlives it says so. */
	assert_int_equal(jd_schedule(base, &raw[0].runnable), JD_ECLOSED);
	assert_int_equal(base->ops->shutdown(base), JD_EALREADY);
	assert_int_equal(jd_cancel_timer(base, &timer[1]), JD_EALREADY);
	assert_int_equal(jd_task_join(task, &result), JD_ECANCELED);
	jd_waker_wake(&waker);

	struct jd_parker *parker;

	assert_int_equal(jd_parker_new(base, &parker), JD_OK);
	assert_int_equal(jd_parker_park(parker, JD_NEVER), JD_ECLOSED);
	jd_parker_unpark(parker);
	assert_int_equal(jd_parker_park(parker, JD_NEVER), JD_OK);
	jd_parker_release(parker);
	jd_scheduler_release(base);
}

static void end_inside(struct raw *raw)
{
	raw->number = jd_test_end(jd_test_scheduler_from(raw->scheduler));
	assert_int_equal(jd_scheduler_destroy(raw->scheduler), JD_EDEADLK);
}

static void test_end_inside_a_runnable(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct raw raw;

	(void)state;
	raw_init(&raw, NULL, 0);
	raw.scheduler = jd_test_scheduler_base(ts);
	raw.then = end_inside;
	assert_int_equal(jd_schedule(raw.scheduler, &raw.runnable), JD_OK);
	jd_test_run_until_parked(ts);
	assert_int_equal(raw.number, JD_EPERM);
	world_end(ts);
}

/* --- Memory ------------------------------------------------------------------------------ */

/* Whatever allocation fails: a clear status, and nothing lost or leaked. */
static int oom_run(struct meter *meter)
{
	struct jd_test_scheduler *ts;
	struct raw raw[200];
	struct jd_timer timer[100] = {{0}};
	const struct jd_test_options options = {.allocator = &meter->allocator,
						.keep_choices = true};
	int refused = 0;
	jd_status status = jd_test_scheduler_new(&options, &ts);

	if (status != JD_OK) {
		assert_int_equal(status, JD_ENOMEM);
		return 1;
	}
	struct jd_scheduler *base = jd_test_scheduler_base(ts);

	refused += jd_test_deprioritize(ts, "low") != JD_OK;
	for (int i = 0; i < 200; i++) {
		raw_init(&raw[i], NULL, i);
		if (i % 4 == 0)
			status = jd_schedule(base, &raw[i].runnable);
		else if (i % 4 == 1)
			status = jd_schedule_labeled(base, &raw[i].runnable, "low");
		else if (i % 4 == 2)
			status = jd_schedule_foreground(base, &raw[i].runnable, (jd_session_id)i);
		else
			status = jd_schedule_after(base, &timer[i / 2], &raw[i].runnable,
						   (uint64_t)i);
		assert_true(status == JD_OK || status == JD_ENOMEM);
		raw[i].number = status;
		refused += status != JD_OK;
	}
	jd_test_advance_clock(ts, 1000);
	for (int i = 0; i < 200; i++)
		assert_int_equal(raw[i].ran, raw[i].number == JD_OK);
	assert_int_equal(jd_test_end(ts), JD_OK);
	return refused;
}

static void test_every_allocation_can_fail(void **state)
{
	struct meter meter;
	uint64_t total;

	(void)state;
	meter_init(&meter);
	assert_int_equal(oom_run(&meter), 0);
	assert_int_equal(meter.live, 0);
	total = meter.allocs;
	assert_true(total > 20);
	for (uint64_t persistent = 0; persistent < 2; persistent++) {
		for (uint64_t at = 1; at <= total; at++) {
			meter_init(&meter);
			meter.fail_at = at;
			meter.fail_for = persistent ? UINT64_MAX : 1;
			oom_run(&meter);
			assert_int_equal(meter.live, 0);
		}
	}
}

/* A wake must not be lost for want of memory: what was admitted before always finds a place. */
static void test_wakes_need_no_memory(void **state)
{
	enum {
		TASKS = 300
	};
	struct meter meter;
	struct jd_test_scheduler *ts;
	struct jd_waker waker[TASKS] = {{0}};
	struct jd_task *task[TASKS];
	int result;

	(void)state;
	meter_init(&meter);
	ts = world_new(&(struct jd_test_options){.allocator = &meter.allocator});
	struct jd_scheduler *base = jd_test_scheduler_base(ts);

	/* One after the other, so that no queue ever grows. */
	for (int i = 0; i < TASKS; i++) {
		struct call call = call_make(poll_twice, &waker[i], i);

		if (i % 3)
			assert_int_equal(jd_spawn(base, &call.base, &task[i]), JD_OK);
		else
			assert_int_equal(jd_spawn_foreground(base, 5, &call.base, &task[i]), JD_OK);
		jd_test_run_until_parked(ts);
	}
	meter.fail_at = 1;
	meter.fail_for = UINT64_MAX;
	for (int i = 0; i < TASKS; i++)
		jd_waker_wake(&waker[i]);
	jd_test_run_until_parked(ts);
	meter.fail_at = 0;
	for (int i = 0; i < TASKS; i++) {
		assert_int_equal(jd_task_join(task[i], &result), JD_OK);
		assert_int_equal(result, i);
	}
	world_end(ts);
	assert_int_equal(meter.live, 0);
}

/* Memory comes back while some wakes still wait for a slot: they are let in with it. */
static void test_latecomers_are_let_in(void **state)
{
	enum {
		TASKS = 100
	};
	struct meter meter;
	struct jd_test_scheduler *ts;
	struct jd_waker waker[TASKS] = {{0}};
	struct raw raw[TASKS];

	(void)state;
	meter_init(&meter);
	ts = world_new(&(struct jd_test_options){.allocator = &meter.allocator});
	struct jd_scheduler *base = jd_test_scheduler_base(ts);

	for (int i = 0; i < TASKS; i++) {
		struct call call = call_make(poll_twice, &waker[i], i);

		assert_int_equal(jd_spawn(base, &call.base, NULL), JD_OK);
		jd_test_run_until_parked(ts);
	}
	meter.fail_at = 1;
	meter.fail_for = UINT64_MAX;
	for (int i = 0; i < TASKS; i++)
		jd_waker_wake(&waker[i]);
	meter.fail_at = 0;
	for (int i = 0; i < TASKS; i++) {
		raw_init(&raw[i], NULL, i);
		assert_int_equal(jd_schedule(base, &raw[i].runnable), JD_OK);
	}
	jd_test_run_until_parked(ts);
	for (int i = 0; i < TASKS; i++)
		assert_int_equal(raw[i].ran, 1);
	world_end(ts);
	assert_int_equal(meter.live, 0);
}

/* Far more than any cache holds, growing, shrinking and steady: each runs exactly once a turn. */
static void test_very_many(void **state)
{
	enum {
		MANY = 50000
	};
	struct jd_test_scheduler *ts = world_seeded(4);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct raw *raw = calloc(MANY, sizeof(*raw));

	(void)state;
	assert_non_null(raw);
	for (int i = 0; i < MANY; i++) {
		struct call call = call_make(poll_yields, NULL, 2);

		raw_init(&raw[i], NULL, i);
		assert_int_equal(jd_schedule(base, &raw[i].runnable), JD_OK);
		assert_int_equal(jd_spawn(base, &call.base, NULL), JD_OK);
	}
	world_end(ts);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(raw[i].ran, 1);
	free(raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handle_and_base),
		cmocka_unit_test(test_from_other_kind),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_null_arguments),
		cmocka_unit_test(test_nothing_runs_by_itself),
		cmocka_unit_test(test_background_is_uniform),
		cmocka_unit_test(test_task_runs_and_is_running),
		cmocka_unit_test(test_blocking_work_is_background),
		cmocka_unit_test(test_main_thread_is_virtual),
		cmocka_unit_test(test_close_takes_only_what_goes_on),
		cmocka_unit_test(test_destroy_cancels_everything),
		cmocka_unit_test(test_end_inside_a_runnable),
		cmocka_unit_test(test_every_allocation_can_fail),
		cmocka_unit_test(test_wakes_need_no_memory),
		cmocka_unit_test(test_latecomers_are_let_in),
		cmocka_unit_test(test_very_many),
	};

	return cmocka_run_group_tests_name("test_scheduler", tests, NULL, NULL);
}
