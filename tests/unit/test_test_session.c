/* test_test_session.c - foreground sessions and deprioritized labels in the test scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_world.h"

#define SEEDS 200

/* --- Sessions ---------------------------------------------------------------------------- */

static void test_session_is_fifo_and_order_across_is_free(void **state)
{
	bool crossed = false;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct log log = {.count = 0};
		struct raw raw[40];
		int next[4] = {0};

		for (int i = 0; i < 40; i++) {
			raw_init(&raw[i], &log, i);
			assert_int_equal(jd_schedule_foreground(jd_test_scheduler_base(ts),
								&raw[i].runnable,
								(jd_session_id)(i % 4) + 100),
					 JD_OK);
		}
		jd_test_run_until_parked(ts);
		assert_int_equal(log.count, 40);
		for (size_t i = 0; i < 40; i++) {
			int session = log.items[i] % 4;

			assert_int_equal(log.items[i] / 4, next[session]);
			next[session]++;
			crossed |= log.items[i] != (int)i;
		}
		world_end(ts);
	}
	assert_true(crossed);
}

static void test_session_zero_is_refused(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct raw raw;

	(void)state;
	raw_init(&raw, NULL, 1);
	assert_int_equal(jd_schedule_foreground(jd_test_scheduler_base(ts), &raw.runnable, 0),
			 JD_EINVAL);
	world_end(ts);
}

/* What the next tests do inside a foreground runnable of session 1. */
struct blocker {
	struct raw raw;
	jd_status status;        /* how the wait ended */
	uint64_t timeout_ns;     /* 0: no deadline */
	size_t same_session_ran; /* of the queued runnables, when the wait had ended */
	size_t others_ran;
	struct raw *same, *other;
	size_t count;
};

static size_t count_ran(const struct raw *raw, size_t count)
{
	size_t ran = 0;

	for (size_t i = 0; i < count; i++)
		ran += raw[i].ran > 0;
	return ran;
}

static void block_in_session(struct raw *raw)
{
	struct blocker *self = jd_container_of(raw, struct blocker, raw);
	struct call never = call_make(poll_never, NULL, 0);
	int result;

	if (self->timeout_ns)
		self->status = jd_block_with_timeout(raw->scheduler, &never.base, self->timeout_ns,
						     &result);
	else
		self->status = jd_block(raw->scheduler, &never.base, &result);
	self->same_session_ran = count_ran(self->same, self->count);
	self->others_ran = count_ran(self->other, self->count);
}

/* Schedules a blocker in session 1, then ten more of session 1 and ten of session 2. */
static void run_blocker(struct jd_test_scheduler *ts, struct blocker *blocker)
{
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct raw same[10], other[10];

	raw_init(&blocker->raw, NULL, 0);
	blocker->raw.scheduler = base;
	blocker->raw.then = block_in_session;
	blocker->same = same;
	blocker->other = other;
	blocker->count = 10;
	assert_int_equal(jd_schedule_foreground(base, &blocker->raw.runnable, 1), JD_OK);
	for (int i = 0; i < 10; i++) {
		raw_init(&same[i], NULL, i);
		raw_init(&other[i], NULL, i);
		assert_int_equal(jd_schedule_foreground(base, &same[i].runnable, 1), JD_OK);
		assert_int_equal(jd_schedule_foreground(base, &other[i].runnable, 2), JD_OK);
	}
	jd_test_run_until_parked(ts);
	assert_int_equal(count_ran(same, 10), 10); /* the session was released on every path */
	assert_int_equal(count_ran(other, 10), 10);
}

static void test_blocked_session_does_not_run(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct blocker blocker = {.timeout_ns = 50};

		run_blocker(ts, &blocker);
		assert_int_equal(blocker.status, JD_ETIMEDOUT);
		assert_int_equal(blocker.same_session_ran, 0);
		assert_int_equal(blocker.others_ran, 10); /* time passes when nothing can run */
		world_end(ts);
	}
}

static void test_session_is_released_after_deadlock(void **state)
{
	(void)state;
	struct jd_test_scheduler *ts = world_new(&(struct jd_test_options){.allow_deadlock = true});
	struct blocker blocker = {.timeout_ns = 0};

	run_blocker(ts, &blocker);
	assert_int_equal(blocker.status, JD_EDEADLK);
	assert_int_equal(blocker.same_session_ran, 0);
	world_end(ts);
}

static void test_session_is_released_after_livelock(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts =
		world_new(&(struct jd_test_options){.max_steps = 6, .report = out});
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct blocker blocker = {.timeout_ns = 0};
	struct call spin = call_make(poll_yields, NULL, 1000);
	struct raw after;

	(void)state;
	raw_init(&blocker.raw, NULL, 0);
	raw_init(&after, NULL, 0);
	blocker.raw.scheduler = base;
	blocker.raw.then = block_in_session;
	assert_int_equal(jd_schedule_foreground(base, &blocker.raw.runnable, 1), JD_OK);
	assert_int_equal(jd_spawn(base, &spin.base, NULL), JD_OK);
	assert_int_equal(jd_test_run_until_parked(ts), JD_EDEADLK);
	assert_int_equal(blocker.status, JD_EDEADLK);
	assert_contains(file_text(out), "livelock");
	assert_int_equal(jd_test_end(ts), JD_EDEADLK);
	fclose(out);
}

/* Three sessions wait one inside the other; each is free again after its own wait. */
struct nest {
	struct raw raw[3], probe[3];
	jd_status status[3];
	int ran_inside[3];
};

static void nest_block(struct raw *raw)
{
	struct nest *self = raw->arg;
	int level = raw->number;
	struct call never = call_make(poll_never, NULL, 0);
	int result;

	if (level < 2)
		assert_int_equal(jd_schedule_foreground(raw->scheduler,
							&self->raw[level + 1].runnable,
							(jd_session_id)level + 2),
				 JD_OK);
	assert_int_equal(jd_schedule_foreground(raw->scheduler, &self->probe[level].runnable,
						(jd_session_id)level + 1),
			 JD_OK);
	self->status[level] = jd_block_with_timeout(raw->scheduler, &never.base,
						    (uint64_t)(100 - level * 10), &result);
	self->ran_inside[level] = self->probe[level].ran;
}

static void test_blocked_sessions_form_a_stack(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_scheduler *base = jd_test_scheduler_base(ts);
		struct nest nest = {.status = {JD_OK}};

		for (int i = 0; i < 3; i++) {
			raw_init(&nest.raw[i], NULL, i);
			raw_init(&nest.probe[i], NULL, i);
			nest.raw[i].then = nest_block;
			nest.raw[i].arg = &nest;
			nest.raw[i].scheduler = base;
		}
		assert_int_equal(jd_schedule_foreground(base, &nest.raw[0].runnable, 1), JD_OK);
		jd_test_run_until_parked(ts);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(nest.status[i], JD_ETIMEDOUT);
			assert_int_equal(nest.ran_inside[i], 0);
			assert_int_equal(nest.probe[i].ran, 1);
		}
		world_end(ts);
	}
}

static void tick_in_session(struct raw *raw)
{
	struct jd_test_scheduler *ts = jd_test_scheduler_from(raw->scheduler);
	struct raw *next = raw->arg;

	jd_test_tick(ts);
	jd_test_run_until_parked(ts);
	jd_test_advance_clock(ts, 10);
	raw->number = next->ran;
}

static void test_stepping_by_hand_blocks_the_session_too(void **state)
{
	struct jd_test_scheduler *ts = world_new(NULL);
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct raw first, second;

	(void)state;
	raw_init(&first, NULL, -1);
	raw_init(&second, NULL, 0);
	first.scheduler = base;
	first.then = tick_in_session;
	first.arg = &second;
	assert_int_equal(jd_schedule_foreground(base, &first.runnable, 1), JD_OK);
	assert_int_equal(jd_schedule_foreground(base, &second.runnable, 1), JD_OK);
	jd_test_run_until_parked(ts);
	assert_int_equal(first.number, 0);
	assert_int_equal(second.ran, 1);
	world_end(ts);
}

/* --- Labels ------------------------------------------------------------------------------ */

static void test_deprioritized_runs_last(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_scheduler *base = jd_test_scheduler_base(ts);
		struct log log = {.count = 0};
		struct raw low[5], high[10];
		char label[] = "low";

		assert_int_equal(jd_test_deprioritize(ts, label), JD_OK);
		label[0] = 'x'; /* the text was copied */
		for (int i = 0; i < 5; i++) {
			raw_init(&low[i], &log, i);
			assert_int_equal(jd_schedule_labeled(base, &low[i].runnable, "low"), JD_OK);
		}
		for (int i = 0; i < 10; i++) {
			raw_init(&high[i], &log, 100 + i);
			assert_int_equal(
				i % 2 ? jd_schedule_labeled(base, &high[i].runnable, "high")
				      : jd_schedule_foreground(base, &high[i].runnable, 1),
				JD_OK);
		}
		jd_test_run_until_parked(ts);
		for (size_t i = 0; i < 15; i++)
			assert_int_equal(log.items[i] >= 100, i < 10);
		world_end(ts);
	}
}

static void test_queued_before_is_not_moved(void **state)
{
	bool early = false;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_scheduler *base = jd_test_scheduler_base(ts);
		struct log log = {.count = 0};
		struct raw low, high;

		raw_init(&low, &log, 0);
		raw_init(&high, &log, 1);
		assert_int_equal(jd_schedule_labeled(base, &low.runnable, "low"), JD_OK);
		assert_int_equal(jd_schedule(base, &high.runnable), JD_OK);
		assert_int_equal(jd_test_deprioritize(ts, "low"), JD_OK);
		jd_test_run_until_parked(ts);
		early |= log.items[0] == 0;
		world_end(ts);
	}
	assert_true(early);
}

/* The label counts at every wake: a task that was running when it was deprioritized falls back. */
static void test_label_counts_at_each_wake(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_scheduler *base = jd_test_scheduler_base(ts);
		struct call slow = call_make(poll_yields, NULL, 3);
		struct call quick = call_make(poll_yields, NULL, 3);
		struct jd_task *a, *b;

		assert_int_equal(jd_spawn_labeled(base, &slow.base, "slow", &a), JD_OK);
		while (!strcmp(jd_task_get_state(a), "scheduled") && jd_test_steps(ts) == 0)
			jd_test_tick(ts);
		assert_int_equal(jd_test_deprioritize(ts, "slow"), JD_OK);
		jd_test_tick(ts); /* its wake during this run goes to the third class */
		assert_int_equal(jd_spawn(base, &quick.base, &b), JD_OK);
		while (!jd_task_is_finished(a))
			jd_test_tick(ts);
		assert_true(jd_task_is_finished(b));
		jd_task_detach(a);
		jd_task_detach(b);
		world_end(ts);
	}
}

static void *no_op(void *arg)
{
	return arg;
}

static void test_blocking_task_obeys_its_label(void **state)
{
	const struct jd_task_options options = {
		.kind = JD_TASK_BLOCKING, .label = "disk", .site = JD_SITE};

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_scheduler *base = jd_test_scheduler_base(ts);
		struct call call = call_make(poll_log, NULL, 1);
		struct jd_task *slow, *quick;

		assert_int_equal(jd_test_deprioritize(ts, "net"), JD_OK);
		assert_int_equal(jd_test_deprioritize(ts, "disk"), JD_OK);
		assert_int_equal(jd_task_spawn(base, &call.base, &options, &slow), JD_OK);
		assert_int_equal(jd_spawn_blocking(base, no_op, NULL, &quick), JD_OK);
		jd_test_tick(ts);
		assert_true(jd_task_is_finished(quick));
		assert_false(jd_task_is_finished(slow));
		jd_task_detach(slow);
		jd_task_detach(quick);
		world_end(ts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_is_fifo_and_order_across_is_free),
		cmocka_unit_test(test_session_zero_is_refused),
		cmocka_unit_test(test_blocked_session_does_not_run),
		cmocka_unit_test(test_session_is_released_after_deadlock),
		cmocka_unit_test(test_session_is_released_after_livelock),
		cmocka_unit_test(test_blocked_sessions_form_a_stack),
		cmocka_unit_test(test_stepping_by_hand_blocks_the_session_too),
		cmocka_unit_test(test_deprioritized_runs_last),
		cmocka_unit_test(test_queued_before_is_not_moved),
		cmocka_unit_test(test_label_counts_at_each_wake),
		cmocka_unit_test(test_blocking_task_obeys_its_label),
	};

	return cmocka_run_group_tests_name("test_session", tests, NULL, NULL);
}
