/* test_runner.c - once and many: seeds, the environment, replays, running twice. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/test_scheduler.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "runtime/memory.h"

/* A test, and the options of all its runs. */
struct test {
	struct jd_test_options options;
	const char *replay_path; /* NULL: seeds */
	jd_test_fn fn;
	void *arg;
};

/* What is kept of a run when its scheduler is gone. */
struct outcome {
	jd_status status;
	jd_status provider_error;
	uint64_t hash;
	struct jd_test_log log; /* if the options keep it */
};

static const char *name_of(const struct jd_test_options *options)
{
	return options->name ? options->name : "-";
}

/* --- One run ----------------------------------------------------------------------------- */

static void run_once(const struct test *test, const struct jd_test_options *options,
		     struct outcome *outcome)
{
	struct jd_test_scheduler *ts;

	*outcome = (struct outcome){.status = jd_test_scheduler_new(options, &ts)};
	if (outcome->status != JD_OK) {
		fprintf(options->report, "jackdaw: test %s: no scheduler could be made: %s\n",
			name_of(options), jd_status_text(outcome->status));
		return;
	}
	int returned = test->fn(ts, test->arg);

	outcome->status = jd_test_check(ts);
	if (returned) {
		fprintf(options->report, "jackdaw: test %s returned %d\n", name_of(options),
			returned);
		if (outcome->status == JD_OK || outcome->status == JD_EBUSY)
			outcome->status = JD_EFAILED;
	}
	outcome->provider_error = ts->provider_error;
	outcome->hash = jd_test_trace_hash(ts);
	outcome->log = ts->log;
	ts->log = (struct jd_test_log){0};
	jd_status ended = jd_test_report_finish(ts);

	JD_ASSERT(ended == JD_OK);
}

static void outcome_fini(const struct jd_test_options *options, struct outcome *outcome)
{
	const struct jd_allocator *allocator = options->allocator ? options->allocator
								  : jd_allocator_default();

	jd_memory_free(allocator, outcome->log.items,
		       outcome->log.capacity * sizeof(*outcome->log.items),
		       alignof(struct jd_choice));
}

/* Says how to see a failure again, and keeps its choice file from the next run. */
static void report_failure(const struct jd_test_options *options, jd_status status)
{
	FILE *out = options->report;
	char kept[4096];

	fprintf(out, "jackdaw: test %s FAILED with seed %" PRIu64 ": %s (%s)\njackdaw: ",
		name_of(options), options->seed, jd_status_name(status), jd_status_text(status));
	jd_test_report_repeat(options, out);
	if (options->record_path) {
		int length = snprintf(kept, sizeof(kept), "%s.%" PRIu64, options->record_path,
				      options->seed);
		bool renamed = length > 0 && (size_t)length < sizeof(kept) &&
			       rename(options->record_path, kept) == 0;

		fprintf(out, "jackdaw: its choices are in %s (JD_REPLAY=<that file>)\n",
			renamed ? kept : options->record_path);
	}
	fflush(out);
}

/* --- Running twice ----------------------------------------------------------------------- */

static void report_difference(const struct jd_test_options *options, const struct outcome *a,
			      const struct outcome *b)
{
	FILE *out = options->report;
	size_t i = 0;

	fprintf(out,
		"jackdaw: test %s, seed %" PRIu64 ": not deterministic: two runs left the traces "
		"%016" PRIx64 " and %016" PRIx64 "\n",
		name_of(options), options->seed, a->hash, b->hash);
	while (i < a->log.count && i < b->log.count &&
	       a->log.items[i].kind == b->log.items[i].kind &&
	       a->log.items[i].n == b->log.items[i].n &&
	       a->log.items[i].picked == b->log.items[i].picked)
		i++;
	fprintf(out, "  the first %zu of %zu and %zu choices are the same\n", i, a->log.count,
		b->log.count);
	const struct jd_test_log *logs[] = {&a->log, &b->log};

	for (size_t run = 0; run < 2; run++) {
		if (i < logs[run]->count)
			fprintf(out, "  run %zu then chose %" PRIu64 " of %" PRIu64 " (%c)\n",
				run + 1, logs[run]->items[i].picked, logs[run]->items[i].n,
				jd_test_choice_letter(logs[run]->items[i].kind));
		else
			fprintf(out, "  run %zu then chose nothing more\n", run + 1);
	}
}

static jd_status run_twice(const struct test *test, struct jd_test_options options)
{
	struct outcome first, second;

	options.keep_choices = true;
	run_once(test, &options, &first);
	options.record_path = NULL;
	run_once(test, &options, &second);

	jd_status status = first.status != JD_OK ? first.status : second.status;

	if (first.hash != second.hash || first.status != second.status) {
		report_difference(&options, &first, &second);
		status = JD_ENONDET;
	}
	outcome_fini(&options, &first);
	outcome_fini(&options, &second);
	return status;
}

static jd_status run_seed(const struct test *test, uint64_t seed)
{
	struct jd_test_options options = test->options;
	struct outcome outcome;
	jd_status status;

	options.seed = seed;
	if (options.check_determinism) {
		status = run_twice(test, options);
	} else {
		run_once(test, &options, &outcome);
		outcome_fini(&options, &outcome);
		status = outcome.status;
	}
	if (status != JD_OK)
		report_failure(&options, status);
	return status;
}

/* --- Replays ----------------------------------------------------------------------------- */

/* A run that made other choices, or left another trace, is not the one that was recorded. */
static jd_status judge_replay(const struct jd_test_options *options,
			      const struct jd_choice_replay *replay, const struct outcome *outcome)
{
	bool differs = outcome->provider_error == JD_ENONDET;

	if (replay->complete)
		differs |= outcome->provider_error != JD_OK || replay->next != replay->count ||
			   replay->hash != outcome->hash;
	if (!differs)
		return outcome->status;
	fprintf(options->report,
		"jackdaw: test %s: the replay differs from the recorded run: it was given %zu of "
		"%zu choices, its trace is %016" PRIx64 ", recorded %016" PRIx64 "\n",
		name_of(options), replay->next, replay->count, outcome->hash, replay->hash);
	return JD_ENONDET;
}

/* JD_ENOENT: the file is another test's. */
static jd_status run_replay(const struct test *test, bool *ours)
{
	struct jd_test_options options = test->options;
	const char *name = options.name ? options.name : "";
	struct jd_choice_replay replay;
	struct outcome outcome;
	jd_status status = jd_choice_replay_open(&replay, test->replay_path, options.allocator);

	*ours = true;
	if (status != JD_OK) {
		fprintf(options.report, "jackdaw: JD_REPLAY=%s: %s\n", test->replay_path,
			status == JD_EINVAL ? "not a choice file, or damaged"
					    : jd_status_text(status));
		return status;
	}
	*ours = strncmp(replay.name, name, sizeof(replay.name) - 1) == 0;
	if (*ours) {
		options.seed = replay.seed;
		options.provider = &replay.base;
		options.record_path = NULL;
		run_once(test, &options, &outcome);
		outcome_fini(&options, &outcome);
		status = judge_replay(&options, &replay, &outcome);
		if (status != JD_OK)
			report_failure(&options, status);
	}
	jd_choice_replay_fini(&replay);
	return status;
}

/* --- The environment --------------------------------------------------------------------- */

/* Replaces *value by a number in the environment. */
static void read_number(FILE *report, const char *variable, uint64_t *value)
{
	const char *text = getenv(variable);
	char *end;

	if (!text || !*text)
		return;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || errno)
		fprintf(report, "jackdaw: %s=%s is not a number: ignored\n", variable, text);
	else
		*value = number;
}

static jd_status test_init(struct test *test, const struct jd_test_options *options, jd_test_fn fn,
			   void *arg)
{
	*test = (struct test){.fn = fn, .arg = arg};
	if (options)
		test->options = *options;
	if (!fn || (test->options.check_determinism && test->options.provider))
		return JD_EINVAL;
	if (!test->options.report)
		test->options.report = stderr;
	if (!test->options.max_failures)
		test->options.max_failures = 1;
	read_number(test->options.report, "JD_SEED", &test->options.seed);
	const char *record = getenv("JD_RECORD");
	const char *replay = getenv("JD_REPLAY");

	if (record && *record)
		test->options.record_path = record;
	if (replay && *replay)
		test->replay_path = replay;
	return JD_OK;
}

/* --- For users --------------------------------------------------------------------------- */

/* n seeds; the loop counts runs, not seeds, so that no start leaves it without one. */
static jd_status run_seeds(const struct test *test, uint64_t n)
{
	jd_status first = JD_OK;
	uint64_t failures = 0, run = 0;

	do {
		jd_status status = run_seed(test, test->options.seed + run);

		if (status == JD_OK)
			continue;
		if (first == JD_OK)
			first = status;
		if (++failures >= test->options.max_failures)
			break;
	} while (++run < n);
	if (failures && n > 1)
		fprintf(test->options.report,
			"jackdaw: test %s: %" PRIu64 " of %" PRIu64 " seeds failed\n",
			name_of(&test->options), failures, run < n ? run + 1 : run);
	return first;
}

static jd_status run_test(const struct test *test, uint64_t n)
{
	bool ours = false;
	jd_status status = JD_OK;

	if (test->replay_path && !test->options.provider)
		status = run_replay(test, &ours);
	return ours ? status : run_seeds(test, n);
}

jd_status jd_test_once(const struct jd_test_options *options, jd_test_fn fn, void *arg)
{
	struct test test;
	jd_status status = test_init(&test, options, fn, arg);

	return status == JD_OK ? run_test(&test, 1) : status;
}

jd_status jd_test_many(const struct jd_test_options *options, uint64_t n, jd_test_fn fn, void *arg)
{
	struct test test;
	jd_status status = test_init(&test, options, fn, arg);

	if (status != JD_OK)
		return status;
	read_number(test.options.report, "JD_ITERATIONS", &n);
	return run_test(&test, n);
}
