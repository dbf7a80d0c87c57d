/* test_test_runner.c - once and many: seeds, the environment, failures that can be repeated. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_world.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.h"

static int setup(void **state)
{
	(void)state;
	unsetenv("JD_SEED");
	unsetenv("JD_ITERATIONS");
	unsetenv("JD_REPLAY");
	unsetenv("JD_RECORD");
	unsetenv("JD_TEST_COMMAND");
	return 0;
}

/* Notes the seeds it ran under; fails under one of them. */
struct seeds {
	uint64_t seen[64];
	size_t count;
	uint64_t bad;
	bool has_bad;
};

static int note_seed(struct jd_test_scheduler *ts, void *arg)
{
	struct seeds *seeds = arg;

	seeds->seen[seeds->count++ % 64] = jd_test_seed(ts);
	return seeds->has_bad && seeds->bad == jd_test_seed(ts) ? 3 : 0;
}

/* --- Which seeds ------------------------------------------------------------------------- */

static void test_once(void **state)
{
	struct seeds seeds = {.count = 0};

	(void)state;
	assert_int_equal(jd_test_once(NULL, note_seed, &seeds), JD_OK);
	assert_int_equal(jd_test_once(&(struct jd_test_options){.seed = 5}, note_seed, &seeds),
			 JD_OK);
	setenv("JD_SEED", "99", 1);
	setenv("JD_ITERATIONS", "7", 1);
	assert_int_equal(jd_test_once(&(struct jd_test_options){.seed = 5}, note_seed, &seeds),
			 JD_OK);
	assert_int_equal(seeds.count, 3);
	assert_int_equal(seeds.seen[0], 0);
	assert_int_equal(seeds.seen[1], 5);
	assert_int_equal(seeds.seen[2], 99);
}

static void test_many_takes_consecutive_seeds(void **state)
{
	struct seeds seeds = {.count = 0};

	(void)state;
	assert_int_equal(jd_test_many(&(struct jd_test_options){.seed = 5}, 10, note_seed, &seeds),
			 JD_OK);
	assert_int_equal(seeds.count, 10);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(seeds.seen[i], 5 + i);
}

/* A start beyond the count must not mean that nothing runs. */
static void test_seed_and_iterations_always_run(void **state)
{
	static const struct {
		const char *seed, *iterations;
		uint64_t first;
		size_t count;
	} cases[] = {
		{"57", "10", 57, 10}, {"57", "1", 57, 1}, {"57", NULL, 57, 4},
		{NULL, "2", 0, 2},    {"57", "0", 57, 1}, {"18446744073709551615", "3", ~0ull, 3},
		{"", "", 0, 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seeds seeds = {.count = 0};

		setup(NULL);
		if (cases[i].seed)
			setenv("JD_SEED", cases[i].seed, 1);
		if (cases[i].iterations)
			setenv("JD_ITERATIONS", cases[i].iterations, 1);
		assert_int_equal(jd_test_many(NULL, 4, note_seed, &seeds), JD_OK);
		assert_int_equal(seeds.count, cases[i].count);
		for (size_t k = 0; k < seeds.count; k++)
			assert_int_equal(seeds.seen[k], cases[i].first + k);
	}
	struct seeds seeds = {.count = 0};

	setup(NULL);
	assert_int_equal(jd_test_many(NULL, 0, note_seed, &seeds), JD_OK);
	assert_int_equal(seeds.count, 1);
}

static void test_garbage_in_the_environment(void **state)
{
	static const char *const bad[] = {"x", "-1", "5x", " 5", "18446744073709551616", "+5"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		FILE *out = tmpfile();
		struct seeds seeds = {.count = 0};
		const struct jd_test_options options = {.seed = 3, .report = out};

		setenv("JD_SEED", bad[i], 1);
		assert_int_equal(jd_test_once(&options, note_seed, &seeds), JD_OK);
		assert_int_equal(seeds.seen[0], 3);
		assert_contains(file_text(out), "is not a number: ignored");
		fclose(out);
	}
}

/* --- Failures ---------------------------------------------------------------------------- */

static void test_failing_seed_is_told(void **state)
{
	FILE *out = tmpfile();
	struct seeds seeds = {.bad = 7, .has_bad = true};
	const struct jd_test_options options = {.name = "queue", .report = out};

	(void)state;
	setenv("JD_TEST_COMMAND", "./unit_queue queue", 1);
	assert_int_equal(jd_test_many(&options, 20, note_seed, &seeds), JD_EFAILED);
	assert_int_equal(seeds.count, 8); /* stops at the first */
	const char *text = file_text(out);

	assert_contains(text, "test queue returned 3");
	assert_contains(text, "test queue FAILED with seed 7: JD_EFAILED");
	assert_contains(text, "repeat with: JD_SEED=7 JD_ITERATIONS=1 ./unit_queue queue\n");
	assert_contains(text, "1 of 8 seeds failed");
	fclose(out);

	/* That command runs that seed, once, and it fails. */
	seeds.count = 0;
	setenv("JD_SEED", "7", 1);
	setenv("JD_ITERATIONS", "1", 1);
	const struct jd_test_options again = {.report = tmpfile()};

	assert_int_equal(jd_test_many(&again, 20, note_seed, &seeds), JD_EFAILED);
	assert_int_equal(seeds.count, 1);
	fclose(again.report);
}

static int always_fails(struct jd_test_scheduler *ts, void *arg)
{
	++*(int *)arg;
	return jd_test_expect(ts, 1 + 1 == 3) ? 0 : 0;
}

static void test_max_failures(void **state)
{
	FILE *out = tmpfile();
	const struct jd_test_options options = {
		.max_failures = 3, .report = out, .command = "./canary"};
	int runs = 0;

	(void)state;
	assert_int_equal(jd_test_many(&options, 20, always_fails, &runs), JD_EFAILED);
	assert_int_equal(runs, 3);
	const char *text = file_text(out);

	assert_contains(text, "1 + 1 == 3");
	assert_contains(text, "JD_SEED=0 JD_ITERATIONS=1 ./canary");
	assert_contains(text, "JD_SEED=2 JD_ITERATIONS=1 ./canary");
	assert_contains(text, "3 of 3 seeds failed");
	fclose(out);
}

static void foreign_unpark(void *arg)
{
	jd_parker_unpark(arg);
}

/* Whatever goes wrong behind the test's back; it returns 0 all the same. */
static int goes_wrong(struct jd_test_scheduler *ts, void *arg)
{
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct call never = call_make(poll_never, NULL, 0);
	struct nap nap = nap_make(JD_SEC);
	struct jd_parker *parker;
	struct jd_thread thread;
	int result;

	switch (*(jd_status *)arg) {
	case JD_EDEADLK:
		jd_block(base, &never.base, &result);
		break;
	case JD_EBUSY:
		jd_spawn(base, &nap.base, NULL);
		break;
	case JD_ENONDET:
		assert_int_equal(jd_parker_new(base, &parker), JD_OK);
		assert_int_equal(jd_thread_start(&thread, "t", 0, foreign_unpark, parker), JD_OK);
		jd_thread_join(&thread);
		jd_parker_release(parker);
		break;
	default:
		break;
	}
	return 0;
}

static void test_runs_are_always_ended_and_judged(void **state)
{
	static const jd_status verdicts[] = {JD_EDEADLK, JD_EBUSY, JD_ENONDET, JD_OK};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		FILE *out = tmpfile();
		struct meter meter;
		jd_status wanted = verdicts[i];

		meter_init(&meter);
		const struct jd_test_options options = {.report = out,
							.allocator = &meter.allocator};

		assert_int_equal(jd_test_once(&options, goes_wrong, &wanted), wanted);
		assert_int_equal(jd_test_many(&options, 3, goes_wrong, &wanted), wanted);
		assert_int_equal(meter.live, 0);
		fclose(out);
	}
}

static void test_no_scheduler_can_be_made(void **state)
{
	FILE *out = tmpfile();
	struct meter meter;
	struct seeds seeds = {.count = 0};

	(void)state;
	meter_init(&meter);
	meter.fail_at = 1;
	meter.fail_for = UINT64_MAX;
	const struct jd_test_options options = {.report = out, .allocator = &meter.allocator};

	assert_int_equal(jd_test_once(&options, note_seed, &seeds), JD_ENOMEM);
	assert_contains(file_text(out), "no scheduler could be made");
	assert_int_equal(seeds.count, 0);
	fclose(out);
}

/* --- The canary: a lost update across an await ------------------------------------------- */

struct counter {
	int value;
};

/* Reads, gives way, writes: two of these lose an update under some orders only. */
struct adder {
	struct jd_future base;
	struct counter *counter;
	struct jd_random_delay delay;
	int read;
	bool started;
};

static jd_status adder_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct adder *self = jd_container_of(future, struct adder, base);

	(void)result;
	if (!self->started) {
		self->started = true;
		self->read = self->counter->value;
		jd_test_simulate_random_delay(&self->delay);
	}
	if (jd_future_poll(&self->delay.base, context, NULL) == JD_PENDING)
		return JD_PENDING;
	self->counter->value = self->read + 1;
	return JD_OK;
}

static int canary(struct jd_test_scheduler *ts, void *arg)
{
	static const struct jd_future_ops ops = {.poll = adder_poll, .size = sizeof(struct adder)};
	struct counter counter = {0};

	(void)arg;
	for (int i = 0; i < 2; i++) {
		struct adder adder = {.base = {&ops}, .counter = &counter};

		jd_spawn(jd_test_scheduler_base(ts), &adder.base, NULL);
	}
	jd_test_run_until_parked(ts);
	return counter.value == 2 ? 0 : 1;
}

static void test_canary_is_found_and_repeated(void **state)
{
	FILE *out = tmpfile();
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "/tmp/jackdaw-runner-%ld", (long)getpid());
	const struct jd_test_options options = {
		.name = "canary", .report = out, .record_path = name, .command = "./me"};

	assert_int_equal(jd_test_many(&options, 200, canary, NULL), JD_EFAILED);
	const char *text = file_text(out);
	const char *seed = strstr(text, "JD_SEED=");

	assert_non_null(seed);
	char number[32];

	snprintf(number, sizeof(number), "%.*s", (int)strcspn(seed + 8, " "), seed + 8);
	/* By its seed, */
	setenv("JD_SEED", number, 1);
	setenv("JD_ITERATIONS", "1", 1);
	assert_int_equal(jd_test_many(&options, 200, canary, NULL), JD_EFAILED);
	/* and by its choices, which name the test they belong to. */
	char kept[128];

	setup(NULL);
	snprintf(kept, sizeof(kept), "%s.%s", name, number);
	setenv("JD_REPLAY", kept, 1);
	const struct jd_test_options replaying = {.name = "canary", .report = out};

	assert_int_equal(jd_test_many(&replaying, 200, canary, NULL), JD_EFAILED);
	text = file_text(out);
	assert_contains(text, "FAILED");
	assert_contains(text, "repeat with: JD_REPLAY=");
	assert_lacks(text, "differs");
	remove(kept);
	remove(name);
	fclose(out);
}

/* --- Running twice ----------------------------------------------------------------------- */

static int canary_that_passes(struct jd_test_scheduler *ts, void *arg)
{
	canary(ts, arg);
	return 0;
}

/* Depends on something that is not the seed. */
static int leaky_state(struct jd_test_scheduler *ts, void *arg)
{
	int *runs = arg;

	jd_test_choose(ts, 100);
	++*runs;
	for (int i = 0; i < *runs; i++)
		jd_test_spawn_random_delay(jd_test_scheduler_base(ts), NULL);
	return 0;
}

static void test_determinism_is_checked(void **state)
{
	FILE *out = tmpfile();
	char name[64], kept[128];
	const struct jd_test_options options = {
		.check_determinism = true, .report = out, .record_path = name};
	struct jd_choice_replay replay;
	int runs = 0;

	(void)state;
	snprintf(name, sizeof(name), "/tmp/jackdaw-runner-%ld", (long)getpid());
	snprintf(kept, sizeof(kept), "%s.0", name);
	assert_int_equal(jd_test_many(&options, 100, canary_that_passes, NULL), JD_OK);
	assert_string_equal(file_text(out), "");
	assert_int_equal(jd_test_once(&options, leaky_state, &runs), JD_ENONDET);
	const char *text = file_text(out);

	assert_contains(text, "not deterministic: two runs left the traces");
	assert_contains(text, "the first 1 of ");
	assert_contains(text, "run 2 then chose ");
	fclose(out);
	/* The first run was recorded, the one that asked least. */
	assert_int_equal(jd_choice_replay_open(&replay, kept, NULL), JD_OK);
	assert_int_equal(replay.count, 2);
	jd_choice_replay_fini(&replay);
	remove(kept);
	remove(name);

	jd_choice_replay_init(&replay, NULL, 0, 0);
	const struct jd_test_options both = {.check_determinism = true, .provider = &replay.base};

	assert_int_equal(jd_test_once(&both, canary_that_passes, NULL), JD_EINVAL);
}

/* --- Replays ----------------------------------------------------------------------------- */

static int draws(struct jd_test_scheduler *ts, void *arg)
{
	int *count = arg;

	for (int i = 0; i < *count; i++)
		jd_test_choose(ts, 10);
	return 0;
}

static int draws_and_spawns(struct jd_test_scheduler *ts, void *arg)
{
	struct call call = call_make(poll_log, NULL, 1);

	jd_spawn(jd_test_scheduler_base(ts), &call.base, NULL);
	return draws(ts, arg);
}

static void test_replay_in_the_environment(void **state)
{
	FILE *out = tmpfile();
	struct seeds seeds = {.count = 0};
	char name[64];
	int count = 5;

	(void)state;
	snprintf(name, sizeof(name), "/tmp/jackdaw-runner-%ld", (long)getpid());
	const struct jd_test_options options = {.seed = 12, .name = "draws", .report = out};

	setenv("JD_RECORD", name, 1);
	assert_int_equal(jd_test_once(&options, draws, &count), JD_OK);
	unsetenv("JD_RECORD");
	setenv("JD_REPLAY", name, 1);
	assert_int_equal(jd_test_many(&options, 10, draws, &count), JD_OK);
	assert_string_equal(file_text(out), "");

	/* The test has changed: it asks less, or more, than was recorded. */
	count = 4;
	assert_int_equal(jd_test_once(&options, draws, &count), JD_ENONDET);
	assert_contains(file_text(out), "the replay differs from the recorded run");
	count = 6;
	assert_int_equal(jd_test_once(&options, draws, &count), JD_ENONDET);
	assert_contains(file_text(out), "nothing recorded is left");

	/* It asks the same, and does something else. */
	count = 5;
	assert_int_equal(jd_test_once(&options, draws_and_spawns, &count), JD_ENONDET);
	assert_contains(file_text(out), "the replay differs from the recorded run");

	/* A test of another name runs as usual, and not zero times. */
	const struct jd_test_options other = {.name = "other", .report = out};

	assert_int_equal(jd_test_many(&other, 3, note_seed, &seeds), JD_OK);
	assert_int_equal(seeds.count, 3);

	setenv("JD_REPLAY", "/nonexistent-folder/x", 1);
	assert_int_equal(jd_test_once(&options, draws, &count), JD_ENOENT);
	remove(name);
	fclose(out);
}

/* --- Crashes ----------------------------------------------------------------------------- */

static int crashes_at_4(struct jd_test_scheduler *ts, void *arg)
{
	(void)arg;
	jd_test_choose(ts, 1000);
	if (jd_test_seed(ts) == 4) {
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	return 0;
}

/* The seed that crashed is in the file, and its choices up to the crash. */
static void test_crash_leaves_seed_and_choices(void **state)
{
	struct jd_choice_replay replay;
	char name[64];
	int status;

	(void)state;
	snprintf(name, sizeof(name), "/tmp/jackdaw-runner-%ld", (long)getpid());
	pid_t child = fork();

	if (child == 0) {
		setenv("JD_RECORD", name, 1);
		jd_test_many(NULL, 10, crashes_at_4, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(jd_choice_replay_open(&replay, name, NULL), JD_OK);
	assert_int_equal(replay.seed, 4);
	assert_int_equal(replay.count, 1);
	assert_false(replay.complete);
	jd_choice_replay_fini(&replay);
	remove(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_once, setup),
		cmocka_unit_test_setup(test_many_takes_consecutive_seeds, setup),
		cmocka_unit_test_setup(test_seed_and_iterations_always_run, setup),
		cmocka_unit_test_setup(test_garbage_in_the_environment, setup),
		cmocka_unit_test_setup(test_failing_seed_is_told, setup),
		cmocka_unit_test_setup(test_max_failures, setup),
		cmocka_unit_test_setup(test_runs_are_always_ended_and_judged, setup),
		cmocka_unit_test_setup(test_no_scheduler_can_be_made, setup),
		cmocka_unit_test_setup(test_canary_is_found_and_repeated, setup),
		cmocka_unit_test_setup(test_determinism_is_checked, setup),
		cmocka_unit_test_setup(test_replay_in_the_environment, setup),
		cmocka_unit_test_setup(test_crash_leaves_seed_and_choices, setup),
	};

	return cmocka_run_group_tests_name("test_runner", tests, NULL, NULL);
}
