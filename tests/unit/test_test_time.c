/* test_test_time.c - the test scheduler's one notion of time: virtual, exact, never early. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_world.h"

#define SEEDS 1000

/* --- Timers ------------------------------------------------------------------------------ */

struct alarm {
	struct raw raw;
	struct jd_timer timer;
	uint64_t deadline_ns;
	uint64_t fired_ns;
};

static void alarm_note(struct raw *raw)
{
	struct alarm *self = jd_container_of(raw, struct alarm, raw);

	self->fired_ns = jd_now(raw->scheduler);
}

static void alarm_set(struct alarm *self, struct jd_scheduler *base, struct log *log, int number,
		      uint64_t delay_ns)
{
	*self = (struct alarm){.deadline_ns = jd_deadline_after(jd_now(base), delay_ns)};
	raw_init(&self->raw, log, number);
	self->raw.scheduler = base;
	self->raw.then = alarm_note;
	assert_int_equal(jd_schedule_after(base, &self->timer, &self->raw.runnable, delay_ns),
			 JD_OK);
}

static void test_start_is_an_option(void **state)
{
	struct jd_test_scheduler *ts = world_new(&(struct jd_test_options){.start_ns = 12345});
	struct alarm alarm;

	(void)state;
	assert_int_equal(jd_now(jd_test_scheduler_base(ts)), 12345);
	alarm_set(&alarm, jd_test_scheduler_base(ts), NULL, 0, 5);
	jd_test_advance_clock(ts, 4);
	assert_int_equal(alarm.raw.ran, 0);
	jd_test_advance_clock(ts, 1);
	assert_int_equal(alarm.fired_ns, 12350);
	world_end(ts);
}

/* Stepwise: each timer sees the clock at its own deadline, also those armed on the way. */
static void chain_next(struct raw *raw)
{
	struct alarm *next = raw->arg;

	alarm_note(raw);
	if (next)
		alarm_set(next, raw->scheduler, raw->log, raw->number + 1, 7);
}

static void test_advance_is_stepwise(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct log log = {.count = 0};
	struct alarm a, b, c, late;

	(void)state;
	alarm_set(&a, base, &log, 1, 10);
	a.raw.then = chain_next;
	a.raw.arg = &b;
	alarm_set(&late, base, &log, 9, 101);
	assert_int_equal(jd_test_advance_clock(ts, 100), JD_OK);
	assert_int_equal(a.fired_ns, 10);
	assert_int_equal(b.fired_ns, 17);
	assert_int_equal(late.raw.ran, 0);
	assert_int_equal(jd_now(base), 100);
	alarm_set(&c, base, &log, 3, 0); /* due at once, fires at the next step */
	assert_int_equal(c.raw.ran, 0);
	jd_test_run_until_parked(ts);
	assert_int_equal(c.fired_ns, 100);
	jd_test_advance_clock(ts, 1);
	assert_int_equal(late.fired_ns, 101);
	assert_string_equal(log_text(&log), "1 2 3 9");
	world_end(ts);
}

static void test_run_until_parked_does_not_move_the_clock(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct alarm alarm;
	struct raw work;

	(void)state;
	alarm_set(&alarm, base, NULL, 0, 10);
	raw_init(&work, NULL, 1);
	assert_int_equal(jd_schedule(base, &work.runnable), JD_OK);
	assert_int_equal(jd_test_run_until_parked(ts), JD_OK);
	assert_int_equal(work.ran, 1);
	assert_int_equal(jd_now(base), 0);
	assert_false(jd_test_tick(ts));
	assert_int_equal(alarm.raw.ran, 0);
	assert_int_equal(jd_cancel_timer(base, &alarm.timer), JD_OK);
	world_end(ts);
}

/* Never early, whatever the deadlines: near, equal, beyond every level of the wheel, never. */
static void test_never_early(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_scheduler *base = jd_test_scheduler_base(ts);
		struct alarm alarm[100], never;
		uint64_t longest = 0;

		for (int i = 0; i < 100; i++) {
			uint64_t delay = jd_test_rng(ts) >> jd_test_choose(ts, 64);

			delay /= 4;
			longest = delay > longest ? delay : longest;
			alarm_set(&alarm[i], base, NULL, i, delay);
		}
		alarm_set(&never, base, NULL, 0, JD_NEVER);
		assert_int_equal(jd_test_advance_clock(ts, longest), JD_OK);
		for (int i = 0; i < 100; i++) {
			assert_int_equal(alarm[i].raw.ran, 1);
			assert_int_equal(alarm[i].fired_ns, alarm[i].deadline_ns);
		}
		assert_int_equal(jd_test_advance_clock(ts, JD_NEVER), JD_OK);
		assert_int_equal(jd_now(base), JD_NEVER - 1);
		assert_int_equal(never.raw.ran, 0);
		assert_int_equal(jd_cancel_timer(base, &never.timer), JD_OK);
		world_end(ts);
	}
}

/* FIRED and CANCELLED are distinct; a due timer can be cancelled until it fires. */
static void test_cancel(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct jd_timer fresh = {0};
	struct alarm armed, due, fired;

	(void)state;
	assert_int_equal(jd_cancel_timer(base, &fresh), JD_EALREADY);
	alarm_set(&armed, base, NULL, 0, 10);
	alarm_set(&due, base, NULL, 1, 0);
	assert_int_equal(jd_schedule_after(base, &armed.timer, &armed.raw.runnable, 1), JD_EBUSY);
	assert_int_equal(jd_schedule_after(base, &due.timer, &due.raw.runnable, 1), JD_EBUSY);
	assert_int_equal(jd_cancel_timer(base, &armed.timer), JD_OK);
	assert_int_equal(jd_cancel_timer(base, &armed.timer), JD_EALREADY);
	assert_int_equal(jd_cancel_timer(base, &due.timer), JD_OK);
	alarm_set(&fired, base, NULL, 2, 0);
	jd_test_run_until_parked(ts);
	assert_int_equal(fired.raw.ran, 1);
	assert_int_equal(jd_cancel_timer(base, &fired.timer), JD_EALREADY);
	assert_int_equal(armed.raw.ran + due.raw.ran, 0);
	assert_int_equal(armed.raw.cancelled + due.raw.cancelled, 0); /* they are ours again */

	struct jd_test_scheduler *other = world_new(NULL);

	alarm_set(&armed, base, NULL, 0, 10);
	assert_int_equal(jd_cancel_timer(jd_test_scheduler_base(other), &armed.timer), JD_EINVAL);
	world_end(other);
	world_end(ts);
	assert_int_equal(armed.raw.cancelled, 1);
}

static void rearm(struct raw *raw)
{
	struct alarm *self = jd_container_of(raw, struct alarm, raw);

	alarm_note(raw);
	if (raw->ran < 5)
		assert_int_equal(jd_schedule_after(raw->scheduler, &self->timer, &raw->runnable, 3),
				 JD_OK);
}

static void test_rearm_where_it_fires(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct alarm alarm[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		alarm_set(&alarm[i], jd_test_scheduler_base(ts), NULL, i, 3);
		alarm[i].raw.then = rearm;
	}
	jd_test_advance_clock(ts, 100);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(alarm[i].raw.ran, 5);
		assert_int_equal(alarm[i].fired_ns, 15);
	}
	world_end(ts);
}

/* Due timers race with ready work and with each other: every order is seen. */
static void test_due_timers_race(void **state)
{
	bool timer_first = false, work_first = false, swapped = false, straight = false;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_scheduler *base = jd_test_scheduler_base(ts);
		struct log log = {.count = 0};
		struct alarm a, b;
		struct raw work;

		alarm_set(&a, base, &log, 1, 0);
		alarm_set(&b, base, &log, 2, 0);
		raw_init(&work, &log, 3);
		assert_int_equal(jd_schedule(base, &work.runnable), JD_OK);
		jd_test_run_until_parked(ts);
		timer_first |= log.items[0] != 3;
		work_first |= log.items[0] == 3;
		straight |= !strcmp(log_text(&log), "1 2 3");
		swapped |= !strcmp(log_text(&log), "2 1 3");
		world_end(ts);
	}
	assert_true(timer_first && work_first && straight && swapped);
}

/* --- Blocking waits ---------------------------------------------------------------------- */

static void test_block_moves_the_clock_when_nothing_can_run(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct nap nap = nap_make(3600 * JD_SEC);
	struct call work = call_make(poll_yields, NULL, 5);

	(void)state;
	assert_int_equal(jd_spawn(base, &work.base, NULL), JD_OK);
	assert_int_equal(jd_block(base, &nap.base, NULL), JD_OK);
	assert_int_equal(jd_now(base), 3600 * JD_SEC);
	jd_future_drop(&nap.base);
	world_end(ts);
}

/*
 * Timeouts are in virtual time: 50 ms against a task that sleeps 100 ms times out under every
 * seed, against one of 49 ms never does, and the exact tie goes either way.
 */
static jd_status race(uint64_t seed, uint64_t sleep_ns, uint64_t timeout_ns, unsigned spurious)
{
	struct jd_test_scheduler *ts = world_new(
		&(struct jd_test_options){.seed = seed, .spurious_polls_percent = spurious});
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct nap nap = nap_make(sleep_ns);
	struct call noise = call_make(poll_yields, NULL, 20);
	struct jd_task *task;
	struct jd_task_future future;

	assert_int_equal(jd_spawn(base, &nap.base, &task), JD_OK);
	assert_int_equal(jd_spawn(base, &noise.base, NULL), JD_OK);
	jd_task_future_init(&future, task);
	jd_status status = jd_block_with_timeout(base, &future.base, timeout_ns, NULL);

	if (status == JD_ETIMEDOUT) {
		/* Not cancelled: it can be awaited later. */
		assert_int_equal(jd_now(base), timeout_ns);
		assert_int_equal(jd_block(base, &future.base, NULL), JD_OK);
	}
	assert_int_equal(jd_now(base), sleep_ns > timeout_ns ? sleep_ns : jd_now(base));
	jd_future_drop(&future.base);
	world_end(ts);
	return status;
}

static void test_timeouts_obey_virtual_time(void **state)
{
	unsigned ties = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		unsigned spurious = seed % 2 ? 20 : 0;

		assert_int_equal(race(seed, 100 * JD_MS, 50 * JD_MS, spurious), JD_ETIMEDOUT);
		assert_int_equal(race(seed, 49 * JD_MS, 50 * JD_MS, spurious), JD_OK);
		ties += race(seed, 50 * JD_MS, 50 * JD_MS, spurious) == JD_OK;
	}
	assert_true(ties > 0 && ties < SEEDS);
}

static void test_timeout_zero_polls_once(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct call never = call_make(poll_never, NULL, 0), ready = call_make(poll_log, NULL, 4);
	int result = 0;

	(void)state;
	assert_int_equal(jd_block_with_timeout(base, &never.base, 0, &result), JD_ETIMEDOUT);
	assert_int_equal(never.polls, 1);
	assert_int_equal(jd_block_with_timeout(base, &ready.base, 0, &result), JD_OK);
	assert_int_equal(result, 4);
	world_end(ts);
}

/* A dropped one-hour timer does not move the clock; the deadline of the wait does. */
static void test_cancelled_timers_do_not_move_the_clock(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts = world_new(&(struct jd_test_options){.report = out});
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct nap nap = nap_make(3600 * JD_SEC);
	struct call never = call_make(poll_never, NULL, 0);
	struct jd_task *task;
	int result;

	(void)state;
	assert_int_equal(jd_spawn(base, &nap.base, &task), JD_OK);
	jd_test_run_until_parked(ts);
	jd_task_drop(task);
	jd_test_run_until_parked(ts);
	assert_int_equal(jd_block_with_timeout(base, &never.base, 10, &result), JD_ETIMEDOUT);
	assert_int_equal(jd_now(base), 10);
	assert_int_equal(jd_block(base, &never.base, &result), JD_EDEADLK);
	assert_int_equal(jd_now(base), 10);
	assert_contains(file_text(out), "deadlock");
	assert_int_equal(jd_test_end(ts), JD_EDEADLK);
	fclose(out);
}

/* Not even by a nanosecond: a timer just before the deadline ends nothing. */
static void test_timeouts_are_exact(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct call never = call_make(poll_never, NULL, 0);
	struct alarm before;
	int result;

	(void)state;
	alarm_set(&before, base, NULL, 0, 9);
	assert_int_equal(jd_block_with_timeout(base, &never.base, 10, &result), JD_ETIMEDOUT);
	assert_int_equal(before.fired_ns, 9);
	assert_int_equal(jd_now(base), 10);
	world_end(ts);
}

/* --- Parkers ----------------------------------------------------------------------------- */

static void test_parker_token(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct jd_parker *parker;

	(void)state;
	assert_int_equal(jd_parker_new(base, &parker), JD_OK);
	jd_parker_unpark(parker);
	jd_parker_unpark(parker); /* one at most is kept */
	assert_int_equal(jd_parker_park(parker, JD_NEVER), JD_OK);
	assert_int_equal(jd_parker_park(parker, 5), JD_ETIMEDOUT);
	assert_int_equal(jd_now(base), 5);
	assert_int_equal(jd_parker_park(parker, 3), JD_ETIMEDOUT); /* in the past */
	jd_parker_unpark(parker);
	assert_int_equal(jd_parker_park(parker, 0), JD_OK); /* the token comes first */
	jd_parker_release(parker);
	world_end(ts);
}

static void unpark_it(struct raw *raw)
{
	jd_parker_unpark(raw->arg);
}

/* What runs between the unpark and its being noticed is a choice: nothing, or a few steps. */
static void test_steps_between_polls_vary(void **state)
{
	unsigned seen[16] = {0}, kinds = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_scheduler *base = jd_test_scheduler_base(ts);
		struct call noise = call_make(poll_yields, NULL, 100);
		struct jd_parker *parker;
		struct raw wake;

		assert_int_equal(jd_parker_new(base, &parker), JD_OK);
		raw_init(&wake, NULL, 0);
		wake.then = unpark_it;
		wake.arg = parker;
		assert_int_equal(jd_spawn(base, &noise.base, NULL), JD_OK);
		assert_int_equal(jd_schedule(base, &wake.runnable), JD_OK);
		while (!wake.ran)
			jd_test_tick(ts);
		uint64_t before = jd_test_steps(ts);

		assert_int_equal(jd_parker_park(parker, JD_NEVER), JD_OK);
		seen[jd_test_steps(ts) - before]++;
		jd_parker_release(parker);
		world_end(ts);
	}
	for (size_t i = 0; i < 16; i++)
		kinds += seen[i] > 0;
	assert_int_equal(kinds, 8);
	assert_true(seen[0] > 0 && seen[7] > 0);
}

/* --- Tick budgets ------------------------------------------------------------------------ */

/* Work that never ends keeps the clock still; a budget lets the timed wait give up all the same. */
static void test_block_ticks(void **state)
{
	unsigned seen[16] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_scheduler *base = jd_test_scheduler_base(ts);
		struct call noise = call_make(poll_yields, NULL, 1000);
		struct call never = call_make(poll_never, NULL, 0);
		struct alarm on_the_way;
		int result;

		assert_int_equal(jd_test_set_block_ticks(ts, 3, 6), JD_OK);
		assert_int_equal(jd_spawn(base, &noise.base, NULL), JD_OK);
		alarm_set(&on_the_way, base, NULL, 0, 40);
		uint64_t before = jd_test_steps(ts);

		assert_int_equal(jd_block_with_timeout(base, &never.base, 100, &result),
				 JD_ETIMEDOUT);
		assert_int_equal(jd_now(base), 100); /* the deadline has passed, also then */
		seen[jd_test_steps(ts) - before]++;
		jd_test_run_until_parked(ts);
		assert_int_equal(on_the_way.fired_ns, 100); /* late, not lost */
		assert_int_equal(jd_test_set_block_ticks(ts, 0, 0), JD_OK);
		world_end(ts);
	}
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(seen[i] > 0, i >= 3 && i <= 6);
}

/* The budget is one for the whole block, however often its future is polled in between. */
static void test_block_ticks_count_over_polls(void **state)
{
	struct jd_test_scheduler *ts = world_seeded(3);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct call wakes = call_make(poll_yields, NULL, 5);
	struct call noise = call_make(poll_yields, NULL, 1000);
	int result;

	(void)state;
	assert_int_equal(jd_test_set_block_ticks(ts, 10, 10), JD_OK);
	assert_int_equal(jd_spawn(base, &noise.base, NULL), JD_OK);
	assert_int_equal(jd_block_with_timeout(base, &wakes.base, 100, &result), JD_OK);
	assert_int_equal(jd_now(base), 0); /* woken in time */
	world_end(ts);
}

/* A future that wakes itself for ever steps nothing; that is a livelock all the same. */
static void test_block_on_self_waking_future_ends(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts =
		world_new(&(struct jd_test_options){.max_steps = 1000, .report = out});
	struct call wakes = call_make(poll_yields, NULL, 1 << 30);
	int result;

	(void)state;
	assert_int_equal(jd_block(jd_test_scheduler_base(ts), &wakes.base, &result), JD_EDEADLK);
	assert_contains(file_text(out), "max_steps");
	assert_false(jd_test_tick(ts));
	assert_int_equal(jd_test_end(ts), JD_EDEADLK);
	fclose(out);
}

/* --- Nested waits ------------------------------------------------------------------------ */

static jd_status poll_blocking(struct call *self, struct jd_context *context, int *result)
{
	struct nap nap = nap_make((uint64_t)self->number);

	*result = jd_block(context->scheduler, &nap.base, NULL);
	log_add(self->arg, self->number);
	jd_future_drop(&nap.base);
	return JD_OK;
}

static void test_blocks_nest(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_scheduler *base = jd_test_scheduler_base(ts);
		struct log log = {.count = 0};
		struct jd_task *task[4];
		int result = -1;

		for (int i = 0; i < 4; i++) {
			struct call call = call_make(poll_blocking, &log, (i + 1) * 10);

			if (i % 2)
				assert_int_equal(jd_spawn(base, &call.base, &task[i]), JD_OK);
			else
				assert_int_equal(jd_spawn_foreground(base, (jd_session_id)i + 1,
								     &call.base, &task[i]),
						 JD_OK);
		}
		for (int i = 0; i < 4; i++) {
			assert_int_equal(jd_task_join(task[i], &result), JD_OK);
			assert_int_equal(result, JD_OK);
		}
		assert_int_equal(log.count, 4);
		world_end(ts);
	}
}

static void test_drain(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct nap nap = nap_make(500);

	(void)state;
	assert_int_equal(jd_spawn(base, &nap.base, NULL), JD_OK);
	assert_int_equal(jd_scheduler_close(base), JD_OK);
	assert_int_equal(jd_scheduler_drain(base, 100), JD_ETIMEDOUT);
	assert_int_equal(jd_now(base), 100);
	assert_int_equal(jd_scheduler_drain(base, JD_NEVER), JD_OK);
	assert_int_equal(jd_now(base), 500);
	world_end(ts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_is_an_option),
		cmocka_unit_test(test_advance_is_stepwise),
		cmocka_unit_test(test_run_until_parked_does_not_move_the_clock),
		cmocka_unit_test(test_never_early),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_rearm_where_it_fires),
		cmocka_unit_test(test_due_timers_race),
		cmocka_unit_test(test_block_moves_the_clock_when_nothing_can_run),
		cmocka_unit_test(test_timeouts_obey_virtual_time),
		cmocka_unit_test(test_timeout_zero_polls_once),
		cmocka_unit_test(test_cancelled_timers_do_not_move_the_clock),
		cmocka_unit_test(test_timeouts_are_exact),
		cmocka_unit_test(test_parker_token),
		cmocka_unit_test(test_steps_between_polls_vary),
		cmocka_unit_test(test_block_ticks),
		cmocka_unit_test(test_block_ticks_count_over_polls),
		cmocka_unit_test(test_block_on_self_waking_future_ends),
		cmocka_unit_test(test_blocks_nest),
		cmocka_unit_test(test_drain),
	};

	return cmocka_run_group_tests_name("test_time", tests, NULL, NULL);
}
