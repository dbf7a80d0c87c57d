/* test_test_report.c - what the test scheduler tells: deadlocks, leaks, failures, dumps. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_world.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Deadlock ---------------------------------------------------------------------------- */

static void test_deadlock_report(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts = world_new(&(struct jd_test_options){
		.seed = 57, .name = "stuck", .command = "./me", .report = out, .start_ns = 9});
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct call a = call_make(poll_never, NULL, 0), b = a, c = a;
	struct jd_waker waker = {0};
	struct call kept = call_make(poll_twice, &waker, 1);
	struct jd_task *task[3];
	int result;

	(void)state;
	assert_int_equal(jd_spawn_labeled(base, &a.base, "reader", &task[0]), JD_OK);
	assert_int_equal(jd_spawn_foreground(base, 6, &b.base, &task[1]), JD_OK);
	assert_int_equal(jd_spawn(base, &kept.base, &task[2]), JD_OK);
	assert_int_equal(jd_block(base, &c.base, &result), JD_EDEADLK);
	const char *text = file_text(out);

	assert_contains(text, "test stuck, seed 57, at 9 ns, 3 steps: deadlock");
	assert_contains(text, "wait 1 (innermost) in the test's body\n");
	assert_contains(text, "3 pending tasks");
	assert_contains(text, "task 1 waiting label \"reader\", spawned at ");
	assert_contains(text, "task 2 waiting session 6, spawned at ");
	assert_contains(text, "task 3 waiting, spawned at ");
	assert_contains(text, "test_test_report.c:");
	assert_contains(text, "repeat with: JD_SEED=57 JD_ITERATIONS=1 ./me");
	jd_waker_wake(&waker);
	for (int i = 0; i < 3; i++)
		jd_task_drop(task[i]);
	assert_int_equal(jd_test_end(ts), JD_EDEADLK); /* also when nobody looked at the status */
	fclose(out);
}

static void test_allowed_deadlock_is_quiet(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts =
		world_new(&(struct jd_test_options){.report = out, .allow_deadlock = true});
	struct call call = call_make(poll_never, NULL, 0);
	int result;

	(void)state;
	assert_int_equal(jd_block(jd_test_scheduler_base(ts), &call.base, &result), JD_EDEADLK);
	assert_string_equal(file_text(out), "");
	world_end(ts);
	fclose(out);
}

/* An outer wait that has ended cannot return before the inner one: the report says which. */
struct outer {
	struct jd_parker *parker;
	struct jd_scheduler *scheduler;
	jd_status inner;
};

static void wait_inside(struct raw *raw)
{
	struct outer *outer = raw->arg;
	struct call never = call_make(poll_never, NULL, 0);
	int result;

	jd_parker_unpark(outer->parker);
	outer->inner = jd_block(outer->scheduler, &never.base, &result);
}

static void test_report_tells_held_up_waits(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts = world_new(&(struct jd_test_options){.report = out});
	struct outer outer = {.scheduler = jd_test_scheduler_base(ts)};
	struct raw raw;

	(void)state;
	assert_int_equal(jd_parker_new(outer.scheduler, &outer.parker), JD_OK);
	raw_init(&raw, NULL, 0);
	raw.then = wait_inside;
	raw.arg = &outer;
	assert_int_equal(jd_schedule_foreground(outer.scheduler, &raw.runnable, 4), JD_OK);
	assert_int_equal(jd_parker_park(outer.parker, 1000), JD_OK);
	assert_int_equal(outer.inner, JD_EDEADLK);
	const char *text = file_text(out);

	assert_contains(text, "wait 1 (innermost) in session 4\n");
	assert_contains(text, "wait 2 in the test's body, until 1000 ns: has ended, but cannot");
	jd_parker_release(outer.parker);
	assert_int_equal(jd_test_end(ts), JD_EDEADLK);
	fclose(out);
}

static void test_abort_on_deadlock(void **state)
{
	int status = 0;

	(void)state;
	pid_t child = fork();

	if (child == 0) {
		struct jd_test_scheduler *ts = world_new(
			&(struct jd_test_options){.report = tmpfile(), .abort_on_deadlock = true});
		struct call call = call_make(poll_never, NULL, 0);
		int result;

		signal(SIGABRT, SIG_DFL);
		jd_block(jd_test_scheduler_base(ts), &call.base, &result);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* --- Pending and leaks ------------------------------------------------------------------- */

struct seen {
	jd_task_id ids[64];
	size_t count;
	size_t limit;
};

static bool see(void *arg, const struct jd_runnable_info *info)
{
	struct seen *seen = arg;

	seen->ids[seen->count++] = info->id;
	return seen->count < seen->limit;
}

static void test_pending_in_order_of_ids(void **state)
{
	struct meter meter;
	struct jd_test_scheduler *ts;
	struct seen seen = {.limit = 64};
	struct jd_task *task[40];

	(void)state;
	meter_init(&meter);
	ts = world_new(&(struct jd_test_options){.allocator = &meter.allocator});
	struct jd_scheduler *base = jd_test_scheduler_base(ts);

	assert_int_equal(jd_test_pending(ts, see, &seen), JD_OK);
	assert_int_equal(seen.count, 0);
	for (int i = 0; i < 40; i++) {
		struct call call = call_make(poll_never, NULL, 0);

		assert_int_equal(jd_spawn(base, &call.base, &task[i]), JD_OK);
	}
	assert_int_equal(jd_test_pending(ts, see, &seen), JD_OK);
	assert_int_equal(seen.count, 40);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(seen.ids[i], i + 1);
	seen = (struct seen){.limit = 3};
	assert_int_equal(jd_test_pending(ts, see, &seen), JD_OK);
	assert_int_equal(seen.count, 3);
	meter.fail_at = meter.allocs + 1;
	meter.fail_for = 1;
	assert_int_equal(jd_test_pending(ts, see, &seen), JD_ENOMEM);
	for (int i = 0; i < 40; i++)
		jd_task_drop(task[i]);
	world_end(ts);
	assert_int_equal(meter.live, 0);
}

static void test_leaks_are_told(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts =
		world_new(&(struct jd_test_options){.report = out, .name = "leaky"});
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct nap nap = nap_make(JD_SEC);

	(void)state;
	assert_int_equal(jd_test_leaks(ts, out), 0);
	assert_int_equal(jd_spawn_labeled(base, &nap.base, "sleeper", NULL), JD_OK);
	assert_int_equal(jd_test_leaks(ts, NULL), 1);
	assert_int_equal(jd_test_check(ts), JD_EBUSY); /* it was stepped, and still is there */
	const char *text = file_text(out);

	assert_contains(text, "test leaky, seed 0, at 0 ns, 1 steps: leak");
	assert_contains(text, "task 1 waiting label \"sleeper\", spawned at ");
	assert_int_equal(jd_test_end(ts), JD_EBUSY);
	fclose(out);
}

static void test_allowed_leaks(void **state)
{
	struct jd_test_scheduler *ts = world_new(&(struct jd_test_options){.allow_leaks = true});
	struct nap nap = nap_make(JD_SEC);

	(void)state;
	assert_int_equal(jd_spawn(jd_test_scheduler_base(ts), &nap.base, NULL), JD_OK);
	world_end(ts);
}

/* What only has to be stepped is no leak. */
static void test_queued_work_is_no_leak(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct call call = call_make(poll_yields, NULL, 50);

	(void)state;
	assert_int_equal(jd_spawn(jd_test_scheduler_base(ts), &call.base, NULL), JD_OK);
	world_end(ts);
}

/* --- Failing ----------------------------------------------------------------------------- */

static jd_status poll_failing(struct call *self, struct jd_context *context, int *result)
{
	struct jd_test_scheduler *ts = jd_test_scheduler_from(context->scheduler);

	*result = jd_test_expect(ts, self->number == 1) ? 1 : 0;
	return JD_OK;
}

static void test_expect(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts =
		world_new(&(struct jd_test_options){.seed = 8, .report = out, .command = "./me"});
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct call good = call_make(poll_failing, NULL, 1), bad = call_make(poll_failing, NULL, 2);
	int result;

	(void)state;
	assert_int_equal(jd_block(base, &good.base, &result), JD_OK);
	assert_int_equal(result, 1);
	assert_string_equal(file_text(out), "");
	assert_int_equal(jd_test_check(ts), JD_OK);
	assert_int_equal(jd_block(base, &bad.base, &result), JD_OK);
	assert_int_equal(result, 0);
	const char *text = file_text(out);

	assert_contains(text, "failed\n");
	assert_contains(text, "test_test_report.c:");
	assert_contains(text, ": self->number == 1\n");
	assert_contains(text, "JD_SEED=8 JD_ITERATIONS=1 ./me");
	assert_int_equal(jd_test_end(ts), JD_EFAILED);
	fclose(out);
}

/* --- Dump -------------------------------------------------------------------------------- */

static void test_dump(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts = world_seeded(5);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct call call = call_make(poll_log, NULL, 1);
	struct jd_timer timer = {0};
	struct raw raw;

	(void)state;
	raw_init(&raw, NULL, 0);
	assert_int_equal(jd_spawn(base, &call.base, NULL), JD_OK);
	assert_int_equal(jd_schedule_after(base, &timer, &raw.runnable, 10), JD_OK);
	jd_dump(base, out);
	const char *text = file_text(out);

	assert_contains(text, "scheduler test: 1 live tasks");
	assert_contains(text, "open, seed 5, virtual time 0 ns");
	assert_contains(text, "1 background");
	assert_contains(text, "1 timers armed");
	assert_contains(text, "task 1 scheduled");
	assert_int_equal(jd_cancel_timer(base, &timer), JD_OK);
	world_end(ts);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deadlock_report),
		cmocka_unit_test(test_allowed_deadlock_is_quiet),
		cmocka_unit_test(test_report_tells_held_up_waits),
		cmocka_unit_test(test_abort_on_deadlock),
		cmocka_unit_test(test_pending_in_order_of_ids),
		cmocka_unit_test(test_leaks_are_told),
		cmocka_unit_test(test_allowed_leaks),
		cmocka_unit_test(test_queued_work_is_no_leak),
		cmocka_unit_test(test_expect),
		cmocka_unit_test(test_dump),
	};

	return cmocka_run_group_tests_name("test_report", tests, NULL, NULL);
}
