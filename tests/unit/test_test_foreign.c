/* test_test_foreign.c - other threads in a test: told on, or let in and slept for. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_world.h"

#include "runtime/test_scheduler.h"

/* --- Other threads, not allowed ---------------------------------------------------------- */

/* What another thread does, and what was set up for it. */
struct deed {
	void (*act)(struct deed *self);
	const char *told; /* how the report calls it */
	struct jd_scheduler *base;
	struct raw raw;
	struct jd_timer timer;
	struct jd_waker waker;
	struct jd_parker *parker;
	jd_status status;
};

static void do_schedule(struct deed *self)
{
	self->status = jd_schedule(self->base, &self->raw.runnable);
}

static void do_foreground(struct deed *self)
{
	self->status = jd_schedule_foreground(self->base, &self->raw.runnable, 3);
}

static void do_wake(struct deed *self)
{
	jd_waker_wake(&self->waker);
}

static void do_drop(struct deed *self)
{
	jd_waker_drop(&self->waker);
}

static void do_unpark(struct deed *self)
{
	jd_parker_unpark(self->parker);
}

static void do_timer(struct deed *self)
{
	self->status = jd_schedule_after(self->base, &self->timer, &self->raw.runnable, 0);
}

static void do_cancel(struct deed *self)
{
	self->status = jd_cancel_timer(self->base, &self->timer);
}

static void do_park(struct deed *self)
{
	self->status = jd_parker_park(self->parker, JD_NEVER);
}

static void do_close(struct deed *self)
{
	self->status = jd_scheduler_close(self->base);
}

static void deed_thread(void *arg)
{
	struct deed *self = arg;

	self->act(self);
}

static void on_other_thread(struct deed *deed)
{
	struct jd_thread thread;

	assert_int_equal(jd_thread_start(&thread, "foreign", 0, deed_thread, deed), JD_OK);
	jd_thread_join(&thread);
}

/* The whole life of a test in which another thread does one thing. */
static jd_status do_deed(struct deed *deed, bool allowed, FILE *out)
{
	struct jd_test_scheduler *ts =
		world_new(&(struct jd_test_options){.report = out, .park_limit_ns = JD_MS});
	struct call waits = call_make(poll_twice, &deed->waker, 1);
	struct jd_task *task;

	deed->base = jd_test_scheduler_base(ts);
	deed->status = JD_OK;
	raw_init(&deed->raw, NULL, 0);
	assert_int_equal(jd_parker_new(deed->base, &deed->parker), JD_OK);
	assert_int_equal(jd_spawn(deed->base, &waits.base, &task), JD_OK);
	jd_test_run_until_parked(ts);
	if (allowed)
		jd_test_allow_parking(ts);
	on_other_thread(deed);
	jd_test_forbid_parking(ts);
	jd_waker_drop(&deed->waker);
	jd_task_drop(task);
	jd_test_run_until_parked(ts);
	jd_parker_release(deed->parker);
	return jd_test_end(ts);
}

static void test_other_threads_are_told_on(void **state)
{
	struct deed deeds[] = {
		{.act = do_schedule, .told = "schedule by thread"},
		{.act = do_foreground, .told = "schedule by thread"},
		{.act = do_wake, .told = "wake by thread"},
		{.act = do_drop, .told = "release of a waker by thread"},
		{.act = do_unpark, .told = "unpark by thread"},
		{.act = do_timer, .told = "timer by thread"},
		{.act = do_cancel, .told = "cancelled timer by thread"},
		{.act = do_park, .told = "park by thread"},
		{.act = do_close, .told = "close by thread"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		FILE *out = tmpfile();

		assert_int_equal(do_deed(&deeds[i], false, out), JD_ENONDET);
		const char *text = file_text(out);

		assert_contains(text, "not deterministic");
		assert_contains(text, deeds[i].told);
		if (deeds[i].act == do_wake || deeds[i].act == do_drop) {
			assert_contains(text, "task 1 spawned at ");
			assert_contains(text, "test_test_foreign.c:");
		}
		if (deeds[i].act == do_park)
			assert_int_equal(deeds[i].status, JD_EPERM);
		else
			assert_int_equal(deeds[i].raw.ran + deeds[i].raw.cancelled,
					 deeds[i].act == do_schedule ||
						 deeds[i].act == do_foreground ||
						 deeds[i].act == do_timer);
		/* The same is no fault where real threads were let in. */
		assert_int_equal(do_deed(&deeds[i], true, out), JD_OK);
		fclose(out);
	}
}

static void do_much(struct deed *self)
{
	for (int i = 0; i < 20; i++)
		jd_parker_unpark(self->parker);
}

static void test_report_of_many_deeds_is_short(void **state)
{
	FILE *out = tmpfile();
	struct deed deed = {.act = do_much};

	(void)state;
	assert_int_equal(do_deed(&deed, false, out), JD_ENONDET);
	assert_contains(file_text(out), "and 12 more");
	fclose(out);
}

static void do_owners_work(struct deed *self)
{
	struct jd_test_scheduler *ts = jd_test_scheduler_from(self->base);

	self->raw.number = jd_test_tick(ts) ? 1 : 0;
	self->raw.number += jd_test_run_until_parked(ts) != JD_EPERM;
	self->raw.number += jd_test_advance_clock(ts, 1) != JD_EPERM;
	self->raw.number += jd_test_check(ts) != JD_EPERM;
	self->raw.number += jd_test_end(ts) != JD_EPERM;
	self->raw.number += jd_scheduler_destroy(self->base) != JD_EPERM;
	self->raw.number += jd_is_main_thread(self->base);
	jd_dump(self->base, stdout);
}

static void test_only_the_tests_thread_steps(void **state)
{
	struct deed deed = {.act = do_owners_work};

	(void)state;
	assert_int_equal(do_deed(&deed, false, NULL), JD_OK);
	assert_int_equal(deed.raw.number, 0);
}

/* --- Other threads, allowed -------------------------------------------------------------- */

static struct jd_test_scheduler *parking_world(uint64_t limit_ns, FILE *out)
{
	return world_new(&(struct jd_test_options){
		.allow_parking = true, .park_limit_ns = limit_ns, .report = out});
}

/* Another thread, which acts when somebody really sleeps. */
struct helper {
	struct jd_thread thread;
	struct jd_test_scheduler *ts;
	struct jd_scheduler *base;
	struct jd_parker *parker;
	struct jd_waker waker;
	struct raw raw;
	struct jd_timer timer;
	uint64_t timeout_ns;
	jd_status status;
	void (*act)(struct helper *self);
};

static void wait_for_sleeper(struct jd_test_scheduler *ts)
{
	while (!atomic_load_explicit(&ts->waiters, memory_order_relaxed))
		jd_thread_yield();
}

static void helper_thread(void *arg)
{
	struct helper *self = arg;

	wait_for_sleeper(self->ts);
	self->act(self);
}

static void helper_start(struct helper *self, void (*act)(struct helper *), uint64_t limit_ns)
{
	*self = (struct helper){.act = act, .ts = parking_world(limit_ns, NULL)};
	self->base = jd_test_scheduler_base(self->ts);
	raw_init(&self->raw, NULL, 0);
	assert_int_equal(jd_parker_new(self->base, &self->parker), JD_OK);
	assert_int_equal(jd_thread_start(&self->thread, "helper", 0, helper_thread, self), JD_OK);
}

static void helper_end(struct helper *self)
{
	jd_thread_join(&self->thread);
	jd_parker_release(self->parker);
	world_end(self->ts);
}

static void act_unpark(struct helper *self)
{
	jd_parker_unpark(self->parker);
}

static void unpark_raw(struct raw *raw)
{
	jd_parker_unpark(raw->arg);
}

static void act_schedule(struct helper *self)
{
	self->raw.then = unpark_raw;
	self->raw.arg = self->parker;
	self->status = jd_schedule(self->base, &self->raw.runnable);
}

static void act_timer(struct helper *self)
{
	self->raw.then = unpark_raw;
	self->raw.arg = self->parker;
	self->status = jd_schedule_after(self->base, &self->timer, &self->raw.runnable, JD_MS);
}

static void test_real_threads_end_a_wait(void **state)
{
	void (*const acts[])(struct helper *) = {act_unpark, act_schedule, act_timer};

	(void)state;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		struct helper helper;

		helper_start(&helper, acts[i], 0);
		assert_int_equal(jd_parker_park(helper.parker, JD_NEVER), JD_OK);
		assert_true(jd_now(helper.base) > 0); /* the clock went with the sleep */
		assert_int_equal(helper.raw.ran, acts[i] != act_unpark);
		helper_end(&helper);
		assert_int_equal(helper.status, JD_OK);
	}
}

/* While it really sleeps, the virtual clock goes with the real one, and a timer ends the sleep. */
static void test_clock_follows_while_parked(void **state)
{
	struct jd_test_scheduler *ts = parking_world(0, NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct nap nap = nap_make(5 * JD_MS);
	uint64_t begin = jd_clock_now();

	(void)state;
	assert_int_equal(jd_block(base, &nap.base, NULL), JD_OK);
	assert_true(jd_clock_now() - begin >= 5 * JD_MS);
	assert_int_equal(jd_now(base), 5 * JD_MS);
	jd_future_drop(&nap.base);
	world_end(ts);
}

static void test_park_limit(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts = parking_world(3 * JD_MS, out);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct call never = call_make(poll_never, NULL, 0);
	struct nap nap = nap_make(3600 * JD_SEC);
	uint64_t begin = jd_clock_now();
	int result;

	(void)state;
	assert_int_equal(jd_block(base, &never.base, &result), JD_EDEADLK);
	assert_true(jd_clock_now() - begin >= 3 * JD_MS);
	assert_contains(file_text(out), "no other thread did anything for park_limit_ns");
	/* With a timer ahead the limit ends the sleep, not the wait. */
	uint64_t before = jd_now(base);

	assert_int_equal(jd_block(base, &nap.base, NULL), JD_OK);
	assert_true(jd_now(base) >= before + 3600 * JD_SEC);
	assert_true(jd_clock_now() - begin < 60 * JD_SEC);
	jd_future_drop(&nap.base);
	assert_int_equal(jd_test_end(ts), JD_EDEADLK);
	fclose(out);
}

/* --- Other threads that wait ------------------------------------------------------------- */

static void foreign_park(void *arg)
{
	struct helper *self = arg;

	self->status = jd_parker_park(self->parker, self->timeout_ns);
}

static void foreign_start(struct helper *self, uint64_t deadline_ns, uint64_t limit_ns)
{
	*self = (struct helper){.timeout_ns = deadline_ns, .ts = parking_world(limit_ns, NULL)};
	self->base = jd_test_scheduler_base(self->ts);
	assert_int_equal(jd_parker_new(self->base, &self->parker), JD_OK);
	assert_int_equal(jd_thread_start(&self->thread, "foreign", 0, foreign_park, self), JD_OK);
}

static void test_foreign_park_ends_by_unpark(void **state)
{
	struct helper helper;

	(void)state;
	foreign_start(&helper, JD_NEVER, 0);
	wait_for_sleeper(helper.ts);
	jd_parker_unpark(helper.parker);
	helper_end(&helper);
	assert_int_equal(helper.status, JD_OK);
}

static void test_foreign_park_ends_by_virtual_time(void **state)
{
	struct helper helper;

	(void)state;
	foreign_start(&helper, 100, 0);
	wait_for_sleeper(helper.ts);
	assert_int_equal(jd_test_advance_clock(helper.ts, 99), JD_OK);
	assert_int_equal(jd_test_advance_clock(helper.ts, 1), JD_OK);
	helper_end(&helper);
	assert_int_equal(helper.status, JD_ETIMEDOUT);
}

static void test_foreign_park_has_a_limit(void **state)
{
	struct helper helper;

	(void)state;
	foreign_start(&helper, JD_NEVER, 2 * JD_MS);
	helper_end(&helper);
	assert_int_equal(helper.status, JD_EDEADLK);
}

static void test_foreign_park_ends_at_shutdown(void **state)
{
	struct helper helper;

	(void)state;
	foreign_start(&helper, JD_NEVER, 0);
	wait_for_sleeper(helper.ts);
	world_end(helper.ts);
	jd_thread_join(&helper.thread);
	assert_int_equal(helper.status, JD_ECLOSED);
	jd_parker_release(helper.parker);
}

/* Many threads schedule, arm and cancel while the test steps: nothing is lost. */
enum {
	THREADS = 4,
	EACH = 500
};

struct crowd {
	struct jd_thread thread;
	struct jd_scheduler *base;
	_Atomic(int) *left;
	struct raw raw[EACH];
	struct jd_timer timer[EACH];
	int cancelled;
};

static void crowd_done(struct raw *raw)
{
	_Atomic(int) *left = raw->arg;

	atomic_fetch_sub_explicit(left, 1, memory_order_relaxed);
}

static void crowd_thread(void *arg)
{
	struct crowd *self = arg;

	for (int i = 0; i < EACH; i++) {
		struct raw *raw = &self->raw[i];
		jd_status status;

		raw_init(raw, NULL, i);
		raw->then = crowd_done;
		raw->arg = self->left;
		if (i % 3 == 0)
			status = jd_schedule(self->base, &raw->runnable);
		else if (i % 3 == 1)
			status = jd_schedule_foreground(self->base, &raw->runnable,
							(jd_session_id)(i % 7) + 1);
		else
			status = jd_schedule_after(self->base, &self->timer[i], &raw->runnable,
						   (uint64_t)i);
		if (status != JD_OK)
			abort();
		if (i % 6 == 5 && jd_cancel_timer(self->base, &self->timer[i]) == JD_OK) {
			self->cancelled++;
			crowd_done(raw);
		}
	}
}

static void test_crowd(void **state)
{
	static struct crowd crowd[THREADS];
	_Atomic(int) left = THREADS * EACH;
	struct jd_test_scheduler *ts = parking_world(0, NULL);
	struct call never = call_make(poll_never, NULL, 0);
	int result;

	(void)state;
	for (size_t i = 0; i < THREADS; i++) {
		crowd[i].base = jd_test_scheduler_base(ts);
		crowd[i].left = &left;
		crowd[i].cancelled = 0;
		assert_int_equal(
			jd_thread_start(&crowd[i].thread, "crowd", 0, crowd_thread, &crowd[i]),
			JD_OK);
	}
	while (atomic_load_explicit(&left, memory_order_relaxed) > 0)
		assert_int_equal(jd_block_with_timeout(jd_test_scheduler_base(ts), &never.base,
						       10 * JD_US, &result),
				 JD_ETIMEDOUT);
	for (size_t i = 0; i < THREADS; i++) {
		int ran = 0;

		jd_thread_join(&crowd[i].thread);
		for (size_t k = 0; k < EACH; k++)
			ran += crowd[i].raw[k].ran;
		assert_int_equal(ran + crowd[i].cancelled, EACH);
	}
	world_end(ts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_threads_are_told_on),
		cmocka_unit_test(test_report_of_many_deeds_is_short),
		cmocka_unit_test(test_only_the_tests_thread_steps),
		cmocka_unit_test(test_real_threads_end_a_wait),
		cmocka_unit_test(test_clock_follows_while_parked),
		cmocka_unit_test(test_park_limit),
		cmocka_unit_test(test_foreign_park_ends_by_unpark),
		cmocka_unit_test(test_foreign_park_ends_by_virtual_time),
		cmocka_unit_test(test_foreign_park_has_a_limit),
		cmocka_unit_test(test_foreign_park_ends_at_shutdown),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests_name("test_foreign", tests, NULL, NULL);
}
