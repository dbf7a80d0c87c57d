/* test_test_choice.c - seeds, providers, records and replays of the test scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_world.h"

#include <inttypes.h>
#include <unistd.h>

/* --- The generator: part of the interface ------------------------------------------------ */

/* xoshiro256** as its authors give it, over a state that is known. */
static uint64_t reference_next(uint64_t s[4])
{
	const uint64_t x = s[1] * 5, result = ((x << 7) | (x >> 57)) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = (s[3] << 45) | (s[3] >> 19);
	return result;
}

/* The constants are published outputs: of xoshiro256** from 1 2 3 4, of splitmix64 from 1234567. */
static void test_generator_is_the_published_one(void **state)
{
	static const uint64_t known[6] = {UINT64_C(11520),
					  UINT64_C(0),
					  UINT64_C(1509978240),
					  UINT64_C(1215971899390074240),
					  UINT64_C(1216172134540287360),
					  UINT64_C(607988272756665600)};
	uint64_t reference[4] = {1, 2, 3, 4};
	uint64_t seeded_state[4] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
				    UINT64_C(9817491932198370423), UINT64_C(4593380528125082431)};
	struct jd_choice_seeded seeded;
	uint64_t peeked[JD_CHOICE_AHEAD];

	(void)state;
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(reference_next(reference), known[i]);
	jd_choice_seeded_init(&seeded, 1234567);
	for (size_t i = 0; i < 100; i++) {
		if (i % JD_CHOICE_AHEAD == 0) {
			for (uint32_t k = 0; k < JD_CHOICE_AHEAD; k++)
				peeked[k] = jd_choice_seeded_peek(&seeded, k);
		}
		uint64_t next = jd_choice_seeded_next(&seeded);

		assert_int_equal(next, reference_next(seeded_state));
		assert_int_equal(next, peeked[i % JD_CHOICE_AHEAD]);
	}
}

static void test_below_is_below_and_uniform(void **state)
{
	struct jd_choice_seeded seeded;
	unsigned count[7] = {0};
	const uint64_t big[] = {UINT64_C(1) << 32,  (UINT64_C(1) << 32) + 1,
				UINT64_MAX / 3 * 2, UINT64_MAX,
				UINT32_MAX,         UINT64_C(3) << 30};

	(void)state;
	jd_choice_seeded_init(&seeded, 1);
	for (int i = 0; i < 70000; i++)
		count[jd_choice_seeded_below(&seeded, 7)]++;
	for (size_t i = 0; i < 7; i++)
		assert_in_range(count[i], 9600, 10400);
	assert_int_equal(jd_choice_seeded_below(&seeded, 1), 0);
	for (size_t k = 0; k < sizeof(big) / sizeof(big[0]); k++) {
		uint64_t top = 0;

		for (int i = 0; i < 2000; i++) {
			uint64_t x = jd_choice_seeded_below(&seeded, big[k]);

			assert_true(x < big[k]);
			top = x > top ? x : top;
		}
		assert_true(top > big[k] / 100 * 99);
	}
	assert_true(jd_choice_seeded_below(&seeded, 0) > 0); /* all 64 bits */
	/* Here a product that skips nothing gives each third number twice as often. */
	unsigned thirds[3] = {0};

	for (int i = 0; i < 30000; i++)
		thirds[jd_choice_seeded_below(&seeded, UINT64_C(3) << 30) % 3]++;
	for (size_t i = 0; i < 3; i++)
		assert_in_range(thirds[i], 9500, 10500);
}

/* --- A world with a bit of everything ---------------------------------------------------- */

static jd_status poll_world(struct call *self, struct jd_context *context, int *result)
{
	struct log *log = self->arg;

	log_add(log, self->number);
	*result = 0;
	if (self->polls > 3)
		return JD_OK;
	if (self->polls == 1) {
		struct call child = call_make(poll_log, log, 100 + self->number);
		struct nap nap = nap_make((uint64_t)self->number * 10);

		jd_spawn_labeled(context->scheduler, &child.base, "child", NULL);
		jd_spawn(context->scheduler, &nap.base, NULL);
	}
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

static int play(struct jd_test_scheduler *ts, void *arg)
{
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct nap nap = nap_make(20);
	struct jd_parker *parker;

	jd_test_deprioritize(ts, "child");
	jd_test_set_block_ticks(ts, 40, 60);
	for (int i = 0; i < 6; i++) {
		struct call call = call_make(poll_world, arg, i);

		if (i % 3 == 2)
			jd_spawn_foreground(base, (jd_session_id)i, &call.base, NULL);
		else
			jd_spawn(base, &call.base, NULL);
		jd_test_spawn_random_delay(base, NULL);
	}
	log_add(arg, (int)jd_test_choose(ts, 1000));
	log_add(arg, (int)(jd_test_rng(ts) % 1000));
	assert_int_equal(jd_parker_new(base, &parker), JD_OK);
	jd_parker_unpark(parker);
	jd_parker_park(parker, JD_NEVER);
	jd_parker_release(parker);
	jd_block_with_timeout(base, &nap.base, 30, NULL);
	jd_test_advance_clock(ts, 100);
	jd_future_drop(&nap.base);
	return 0;
}

/* Plays under options and ends; the log, the trace and how it ended. */
static jd_status play_with(const struct jd_test_options *options, struct log *log, uint64_t *hash)
{
	struct jd_test_scheduler *ts = world_new(options);

	*log = (struct log){.count = 0};
	play(ts, log);
	jd_status status = jd_test_check(ts);

	*hash = jd_test_trace_hash(ts);
	assert_int_equal(jd_test_end(ts), status);
	return status;
}

static void test_same_seed_same_trace(void **state)
{
	struct log a, b;
	uint64_t hash_a, hash_b, last = 0;
	unsigned different = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 500; seed++) {
		const struct jd_test_options options = {
			.seed = seed, .spurious_polls_percent = seed % 3 ? 0 : 30};

		assert_int_equal(play_with(&options, &a, &hash_a), JD_OK);
		assert_int_equal(play_with(&options, &b, &hash_b), JD_OK);
		assert_int_equal(hash_a, hash_b);
		assert_int_equal(a.count, b.count);
		assert_memory_equal(a.items, b.items, a.count * sizeof(a.items[0]));
		different += hash_a != last;
		last = hash_a;
	}
	assert_int_equal(different, 500);
}

/*
 * The trace of a seed is the same on every compiler and machine. It changes when the scheduler
 * makes other choices than before: then the seeds of old reports are worth nothing, so do it
 * knowingly.
 */
static void test_trace_is_the_same_everywhere(void **state)
{
	struct log log;
	uint64_t hash;

	(void)state;
	assert_int_equal(play_with(&(struct jd_test_options){.seed = 42}, &log, &hash), JD_OK);
	assert_int_equal(log.count, 32);
	assert_int_equal(hash, UINT64_C(0xc4e11c908a846aac));
}

/* --- What is a choice -------------------------------------------------------------------- */

static void test_choices_are_kept(void **state)
{
	struct jd_test_scheduler *ts = world_new(&(struct jd_test_options){
		.seed = 1, .keep_choices = true, .spurious_polls_percent = 10});
	struct log log = {.count = 0};
	unsigned kinds[JD_CHOICE_KINDS] = {0};
	size_t count;

	(void)state;
	play(ts, &log);
	world_fork_once(ts);
	const struct jd_choice *choices = jd_test_choices(ts, &count);

	assert_true(count > 20);
	for (size_t i = 0; i < count; i++) {
		assert_true(choices[i].n != 1);
		assert_true(choices[i].n == 0 || choices[i].picked < choices[i].n);
		kinds[choices[i].kind]++;
	}
	for (size_t i = 0; i < JD_CHOICE_KINDS; i++)
		assert_true(kinds[i] > 0);
	assert_int_equal(kinds[JD_CHOICE_USER], 2);
	assert_int_equal(kinds[JD_CHOICE_FORK], 1);
	assert_int_equal(kinds[JD_CHOICE_DELAY], 6);
	assert_int_equal(kinds[JD_CHOICE_TICKS], 1);
	world_end(ts);
}

/* The log grows; without memory it stops short, and the run goes on. */
static void test_long_log(void **state)
{
	struct meter meter;
	size_t count;

	(void)state;
	meter_init(&meter);
	struct jd_test_scheduler *ts = world_new(
		&(struct jd_test_options){.keep_choices = true, .allocator = &meter.allocator});

	for (uint64_t i = 0; i < 1000; i++)
		jd_test_choose(ts, i + 2);
	const struct jd_choice *choices = jd_test_choices(ts, &count);

	assert_int_equal(count, 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(choices[i].n, i + 2);
	meter.fail_at = meter.allocs + 1;
	meter.fail_for = UINT64_MAX;
	for (uint64_t i = 0; i < 1000; i++)
		assert_true(jd_test_choose(ts, 5) < 5);
	jd_test_choices(ts, &count);
	assert_in_range(count, 1000, 1999);
	world_end(ts);
	assert_int_equal(meter.live, 0);
}

/* One candidate is no choice: nobody is asked. */
static void test_single_candidates_ask_nobody(void **state)
{
	struct jd_test_scheduler *ts = world_new(&(struct jd_test_options){.keep_choices = true});
	struct call call = call_make(poll_yields, NULL, 10);
	size_t count = 99;

	(void)state;
	assert_int_equal(jd_spawn(jd_test_scheduler_base(ts), &call.base, NULL), JD_OK);
	jd_test_run_until_parked(ts);
	jd_test_choices(ts, &count);
	assert_int_equal(count, 0);
	world_end(ts);
}

static void test_random_delay(void **state)
{
	unsigned seen[JD_RANDOM_DELAY_MAX + 2] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < 1100; seed++) {
		struct jd_test_scheduler *ts = world_seeded(seed);
		struct jd_random_delay delay;
		struct jd_task *task;

		jd_test_simulate_random_delay(&delay);
		assert_int_equal(jd_test_spawn_random_delay(jd_test_scheduler_base(ts), &task),
				 JD_OK);
		assert_non_null(strstr(jd_task_get_site(task), "test_test_choice.c:"));
		assert_int_equal(jd_task_join(task, NULL), JD_OK);
		uint64_t steps = jd_test_steps(ts);

		assert_in_range(steps, 1, JD_RANDOM_DELAY_MAX + 1);
		seen[steps - 1]++;
		assert_int_equal(jd_block(jd_test_scheduler_base(ts), &delay.base, NULL), JD_OK);
		world_end(ts);
	}
	for (size_t i = 0; i <= JD_RANDOM_DELAY_MAX; i++)
		assert_in_range(seen[i], 50, 150);
}

static void test_spurious_polls(void **state)
{
	(void)state;
	for (unsigned percent = 0; percent <= 50; percent += 50) {
		struct jd_test_scheduler *ts = world_new(
			&(struct jd_test_options){.seed = 5, .spurious_polls_percent = percent});
		struct jd_waker waker[100] = {{0}};
		struct jd_scheduler *base = jd_test_scheduler_base(ts);

		for (int i = 0; i < 100; i++) {
			struct call call = call_make(poll_twice, &waker[i], i);

			assert_int_equal(jd_spawn(base, &call.base, NULL), JD_OK);
		}
		jd_test_run_until_parked(ts);
		uint64_t spurious = jd_test_steps(ts) - 100;

		assert_in_range(spurious, percent ? 30 : 0, percent ? 70 : 0);
		for (int i = 0; i < 100; i++)
			jd_waker_wake(&waker[i]);
		world_end(ts);
	}
}

/* --- Replay ------------------------------------------------------------------------------ */

static void test_replay_from_memory(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		const struct jd_test_options recording = {.seed = seed, .keep_choices = true};
		struct jd_test_scheduler *ts = world_new(&recording);
		struct log first = {.count = 0}, second;
		struct jd_choice_replay replay;
		size_t count;
		uint64_t hash;

		play(ts, &first);
		const struct jd_choice *choices = jd_test_choices(ts, &count);

		jd_choice_replay_init(&replay, choices, count, seed);
		/* Another seed: every answer comes from the log. */
		const struct jd_test_options replaying = {.seed = ~seed, .provider = &replay.base};

		assert_int_equal(play_with(&replaying, &second, &hash), JD_OK);
		assert_int_equal(replay.next, count);
		assert_int_equal(hash, jd_test_trace_hash(ts));
		assert_memory_equal(&first, &second, sizeof(first.items[0]) * first.count);
		world_end(ts);
	}
}

/* A log that ends early: the seed goes on just as in the recorded run. */
static void test_replay_continues_where_the_log_ends(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts =
		world_new(&(struct jd_test_options){.seed = 9, .keep_choices = true});
	struct log log = {.count = 0};
	struct jd_choice_replay replay;
	size_t count;
	uint64_t hash;

	(void)state;
	play(ts, &log);
	const struct jd_choice *choices = jd_test_choices(ts, &count);

	jd_choice_replay_init(&replay, choices, count / 2, 9);
	const struct jd_test_options options = {.seed = 9, .provider = &replay.base, .report = out};

	assert_int_equal(play_with(&options, &log, &hash), JD_OK);
	assert_int_equal(hash, jd_test_trace_hash(ts));
	assert_contains(file_text(out), "nothing recorded is left");
	world_end(ts);
	fclose(out);
}

static void test_replay_that_differs_is_told(void **state)
{
	struct jd_choice choices[] = {{JD_CHOICE_RUN, 2, 1}, {JD_CHOICE_RUN, 3, 1}};

	(void)state;
	for (int wrong_kind = 0; wrong_kind < 2; wrong_kind++) {
		FILE *out = tmpfile();
		struct jd_choice_replay replay;
		struct log log;
		uint64_t hash;

		choices[0].kind = wrong_kind ? JD_CHOICE_BLOCK : JD_CHOICE_RUN;
		jd_choice_replay_init(&replay, choices, 2, 0);
		const struct jd_test_options options = {.provider = &replay.base, .report = out};

		assert_int_equal(play_with(&options, &log, &hash), JD_ENONDET);
		assert_contains(file_text(out), "the run differs from the recorded one");
		fclose(out);
	}
}

/* Either of the two is a difference: what is asked, and of how many. */
static void test_replay_compares_kind_and_number(void **state)
{
	static const struct jd_choice recorded[] = {
		{JD_CHOICE_USER, 2, 1}, {JD_CHOICE_DELAY, 2, 1}, {JD_CHOICE_USER, 3, 1}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		FILE *out = tmpfile();
		struct jd_choice_replay replay;

		jd_choice_replay_init(&replay, &recorded[i], 1, 0);
		struct jd_test_scheduler *ts = world_new(
			&(struct jd_test_options){.provider = &replay.base, .report = out});

		jd_test_choose(ts, 2);
		assert_int_equal(jd_test_end(ts), i ? JD_ENONDET : JD_OK);
		fclose(out);
	}
}

static jd_status choose_too_much(struct jd_choice_provider *self, struct jd_test_scheduler *ts,
				 enum jd_choice_kind kind, uint64_t n, uint64_t *picked)
{
	(void)self;
	(void)ts;
	(void)kind;
	*picked = n;
	return JD_OK;
}

static void test_provider_out_of_range(void **state)
{
	FILE *out = tmpfile();
	struct jd_choice_provider provider = {choose_too_much};
	const struct jd_test_options options = {.provider = &provider, .report = out};
	struct log log;
	uint64_t hash;

	(void)state;
	assert_int_equal(play_with(&options, &log, &hash), JD_ENONDET);
	assert_contains(file_text(out), "out of the documented range");
	fclose(out);
}

/* A seeded provider of one's own is as good as a seed. */
static void test_seeded_as_a_provider(void **state)
{
	struct jd_choice_seeded seeded;
	struct log log;
	uint64_t by_seed, by_provider;

	(void)state;
	jd_choice_seeded_init(&seeded, 31);
	assert_int_equal(play_with(&(struct jd_test_options){.seed = 31}, &log, &by_seed), JD_OK);
	assert_int_equal(
		play_with(&(struct jd_test_options){.provider = &seeded.base}, &log, &by_provider),
		JD_OK);
	assert_int_equal(by_seed, by_provider);
}

/* --- Providers that look ----------------------------------------------------------------- */

/* Runs the task with the highest id first: a strategy needs nothing but the candidates. */
static jd_status choose_youngest(struct jd_choice_provider *self, struct jd_test_scheduler *ts,
				 enum jd_choice_kind kind, uint64_t n, uint64_t *picked)
{
	struct jd_runnable_info info;
	jd_task_id best = 0;

	(void)self;
	*picked = 0;
	if (kind != JD_CHOICE_RUN)
		return JD_OK;
	for (uint64_t i = 0; i < n; i++) {
		assert_true(jd_test_candidate(ts, i, &info));
		if (info.id > best) {
			best = info.id;
			*picked = i;
		}
	}
	assert_false(jd_test_candidate(ts, n, &info));
	return JD_OK;
}

static void test_provider_sees_candidates(void **state)
{
	struct jd_choice_provider provider = {choose_youngest};
	struct jd_test_scheduler *ts = world_new(&(struct jd_test_options){.provider = &provider});
	struct jd_scheduler *base = jd_test_scheduler_base(ts);
	struct jd_runnable_info info;
	struct log log = {.count = 0};

	(void)state;
	assert_int_equal(jd_test_deprioritize(ts, "low"), JD_OK);
	for (int i = 0; i < 9; i++) {
		struct call call = call_make(poll_log, &log, i);

		if (i < 3)
			jd_spawn(base, &call.base, NULL);
		else if (i < 6)
			jd_spawn_foreground(base, (jd_session_id)i, &call.base, NULL);
		else
			jd_spawn_labeled(base, &call.base, "low", NULL);
	}
	assert_false(jd_test_candidate(ts, 0, &info)); /* only from inside choose */
	jd_test_run_until_parked(ts);
	assert_string_equal(log_text(&log), "5 4 3 2 1 0 8 7 6");
	world_end(ts);
}

/* --- Files ------------------------------------------------------------------------------- */

static void temporary_name(char *name, size_t size)
{
	snprintf(name, size, "/tmp/jackdaw-choices-%ld", (long)getpid());
}

static void test_record_and_replay_by_file(void **state)
{
	struct jd_choice_replay replay;
	struct log first, second;
	uint64_t first_hash, second_hash;
	char name[64];

	(void)state;
	temporary_name(name, sizeof(name));
	const struct jd_test_options recording = {
		.seed = 77, .record_path = name, .name = "a test", .spurious_polls_percent = 5};

	assert_int_equal(play_with(&recording, &first, &first_hash), JD_OK);
	assert_int_equal(jd_choice_replay_open(&replay, name, NULL), JD_OK);
	assert_int_equal(replay.seed, 77);
	assert_string_equal(replay.name, "a test");
	assert_true(replay.complete);
	assert_int_equal(replay.hash, first_hash);
	const struct jd_test_options replaying = {.provider = &replay.base,
						  .spurious_polls_percent = 5};

	assert_int_equal(play_with(&replaying, &second, &second_hash), JD_OK);
	assert_int_equal(first_hash, second_hash);
	assert_int_equal(replay.next, replay.count);
	jd_choice_replay_fini(&replay);
	remove(name);
}

/* What a crash leaves: seed and choices up to it are in the file at every moment. */
static void test_file_is_current_at_every_moment(void **state)
{
	struct jd_choice_replay replay;
	struct jd_test_scheduler *ts;
	char name[64];

	(void)state;
	temporary_name(name, sizeof(name));
	ts = world_new(&(struct jd_test_options){.seed = 3, .record_path = name});
	assert_int_equal(jd_choice_replay_open(&replay, name, NULL), JD_OK);
	assert_int_equal(replay.count, 0);
	assert_int_equal(replay.seed, 3);
	jd_choice_replay_fini(&replay);
	for (uint64_t i = 0; i < 10; i++) {
		uint64_t picked = jd_test_choose(ts, 50);

		assert_int_equal(jd_choice_replay_open(&replay, name, NULL), JD_OK);
		assert_false(replay.complete);
		assert_int_equal(replay.count, i + 1);
		assert_int_equal(replay.choices[i].kind, JD_CHOICE_USER);
		assert_int_equal(replay.choices[i].n, 50);
		assert_int_equal(replay.choices[i].picked, picked);
		jd_choice_replay_fini(&replay);
	}
	world_end(ts);
	remove(name);
}

static void test_record_without_an_end(void **state)
{
	struct jd_choice_replay replay;
	struct jd_test_scheduler *ts;
	char name[64];

	(void)state;
	temporary_name(name, sizeof(name));
	ts = world_new(&(struct jd_test_options){.record_path = name});
	jd_test_choose(ts, 9);
	assert_int_equal(jd_scheduler_destroy(jd_test_scheduler_base(ts)), JD_OK);
	assert_int_equal(jd_choice_replay_open(&replay, name, NULL), JD_OK);
	assert_int_equal(replay.count, 1);
	assert_false(replay.complete); /* ended without a verdict */
	jd_choice_replay_fini(&replay);
	remove(name);
}

static void test_record_that_cannot_be_written(void **state)
{
	FILE *out = tmpfile();
	struct jd_test_scheduler *ts;

	(void)state;
	if (access("/dev/full", W_OK) != 0)
		skip();
	ts = world_new(&(struct jd_test_options){.record_path = "/dev/full", .report = out});
	jd_test_choose(ts, 9);
	world_end(ts);
	assert_contains(file_text(out), "the choice file could not be written");
	fclose(out);
}

static jd_status open_text(const char *text, struct jd_choice_replay *replay)
{
	char name[64];

	temporary_name(name, sizeof(name));
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	jd_status status = jd_choice_replay_open(replay, name, NULL);

	remove(name);
	return status;
}

static void test_damaged_files(void **state)
{
	static const char *const bad[] = {
		"",
		"something else\n",
		"jackdaw-choices 2\nseed 1\n",
		"jackdaw-choices 1\n",
		"jackdaw-choices 1\nseed x\n",
		"jackdaw-choices 1\nseed 1\nq 2 1\n", /* no such kind */
		"jackdaw-choices 1\nseed 1\nr 2 2\n", /* out of range */
		"jackdaw-choices 1\nseed 1\nr 1 0\n", /* no choice */
		"jackdaw-choices 1\nseed 1\nr 2\n",
		"jackdaw-choices 1\nseed 1\nr 2 1\nend 2 0\n", /* one is missing */
		"jackdaw-choices 1\nseed 1\nend 0 0\nr 2 1\n",
		"jackdaw-choices 1\nseed 1\nr 2 1\nname x\n",
	};
	struct jd_choice_replay replay;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(open_text(bad[i], &replay), JD_EINVAL);
	assert_int_equal(jd_choice_replay_open(&replay, "/nonexistent-folder/x", NULL), JD_ENOENT);
	assert_int_equal(jd_choice_replay_open(NULL, "x", NULL), JD_EINVAL);
	assert_int_equal(jd_choice_replay_open(&replay, NULL, NULL), JD_EINVAL);

	/* A line that a crash cut off was no choice yet. */
	assert_int_equal(open_text("jackdaw-choices 1\nseed 1\nr 2 1\nr 30 1", &replay), JD_OK);
	assert_int_equal(replay.count, 1);
	assert_false(replay.complete);
	jd_choice_replay_fini(&replay);
}

static void test_replay_without_memory(void **state)
{
	struct log log;
	struct jd_choice_replay replay;
	struct meter meter;
	uint64_t hash;
	char name[64];

	(void)state;
	temporary_name(name, sizeof(name));
	assert_int_equal(play_with(&(struct jd_test_options){.record_path = name}, &log, &hash),
			 JD_OK);
	meter_init(&meter);
	meter.fail_at = 1;
	meter.fail_for = 1;
	assert_int_equal(jd_choice_replay_open(&replay, name, &meter.allocator), JD_ENOMEM);
	assert_int_equal(meter.live, 0);
	assert_int_equal(jd_choice_replay_open(&replay, name, &meter.allocator), JD_OK);
	jd_choice_replay_fini(&replay);
	assert_int_equal(meter.live, 0);
	remove(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generator_is_the_published_one),
		cmocka_unit_test(test_below_is_below_and_uniform),
		cmocka_unit_test(test_same_seed_same_trace),
		cmocka_unit_test(test_trace_is_the_same_everywhere),
		cmocka_unit_test(test_choices_are_kept),
		cmocka_unit_test(test_single_candidates_ask_nobody),
		cmocka_unit_test(test_random_delay),
		cmocka_unit_test(test_spurious_polls),
		cmocka_unit_test(test_replay_from_memory),
		cmocka_unit_test(test_replay_continues_where_the_log_ends),
		cmocka_unit_test(test_replay_that_differs_is_told),
		cmocka_unit_test(test_replay_compares_kind_and_number),
		cmocka_unit_test(test_provider_out_of_range),
		cmocka_unit_test(test_provider_sees_candidates),
		cmocka_unit_test(test_record_and_replay_by_file),
		cmocka_unit_test(test_file_is_current_at_every_moment),
		cmocka_unit_test(test_damaged_files),
		cmocka_unit_test(test_seeded_as_a_provider),
		cmocka_unit_test(test_long_log),
		cmocka_unit_test(test_record_without_an_end),
		cmocka_unit_test(test_record_that_cannot_be_written),
		cmocka_unit_test(test_replay_without_memory),
	};

	return cmocka_run_group_tests_name("test_choice", tests, NULL, NULL);
}
