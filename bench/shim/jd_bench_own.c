/* jd_bench_own.c - the shim's driver in C, where there is no Google Benchmark: MinGW-w64. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/shim/jd_bench.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"

/*
 * What the workloads use, and no more: the rest of jd_bench.h is not defined, so that whoever needs
 * it is told by the linker. A row runs as many iterations as it was registered with, or one.
 *
 * All repetitions of all rows happen in one process: every row once, then every row again in the
 * opposite order, so that a disturbance of some seconds hits all contenders and not one.
 *
 * --benchmark_filter takes no regular expression but names: NAME, or ^(NAME|NAME|...)$.
 * scripts/bench does the rest.
 */
enum {
	COUNTERS_MAX = 16
};

struct jd_bench {
	char *name;
	jd_bench_fn fn;
	void *user;
	int64_t iterations;
	enum jd_bench_clock clock;
	struct jd_bench *next;
};

struct row {
	const struct jd_bench *bench;
	char name[100];
	int64_t arg;
	bool failed; /* or skipped: not measured again */
};

struct counter {
	char name[40];
	double value;
};

struct jd_bench_state {
	struct row *row;
	int64_t batch; /* 0 before the first jd_bench_next */
	bool done;
	bool paused;
	uint64_t begin_ns, sum_ns;
	double manual_s;
	double ops; /* of one iteration; 0: no ns_per_op */
	struct counter counters[COUNTERS_MAX];
	size_t counter_count;
	char error[200]; /* "": none */
};

struct fact {
	char *key, *value;
	struct fact *next;
};

struct command {
	const char *filter;
	const char *out;
	long repetitions;
	bool list;
};

/* For the main thread only, as the header says; rows are registered before any of them runs. */
static struct jd_bench *benches;
static struct fact *facts;
static struct row *rows;
static size_t row_count;
static int failures;

static void *checked(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static char *copy(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(checked(malloc(size)), text, size);
}

/* --- Registration ----------------------------------------------------------------------------- */

struct jd_bench *jd_bench_add(const char *name, jd_bench_fn fn, void *user)
{
	struct jd_bench *bench = checked(malloc(sizeof(*bench)));

	*bench = (struct jd_bench){copy(name), fn, user, 1, JD_BENCH_REAL, benches};
	benches = bench;
	return bench;
}

struct jd_bench *jd_bench_arg(struct jd_bench *bench, int64_t value)
{
	rows = checked(realloc(rows, (row_count + 1) * sizeof(*rows)));
	struct row *row = &rows[row_count++];

	*row = (struct row){.bench = bench, .arg = value};
	snprintf(row->name, sizeof(row->name), "%s/%" PRId64, bench->name, value);
	return bench;
}

struct jd_bench *jd_bench_iterations(struct jd_bench *bench, int64_t count)
{
	bench->iterations = count > 0 ? count : 1;
	return bench;
}

struct jd_bench *jd_bench_set_clock(struct jd_bench *bench, enum jd_bench_clock clock)
{
	if (clock == JD_BENCH_CPU)
		abort(); /* nobody asks for it */
	bench->clock = clock;
	return bench;
}

void jd_bench_context(const char *key, const char *value)
{
	struct fact *fact = facts;

	while (fact && strcmp(fact->key, key) != 0)
		fact = fact->next;
	if (!fact) {
		fact = checked(malloc(sizeof(*fact)));
		*fact = (struct fact){copy(key), NULL, facts};
		facts = fact;
	}
	free(fact->value);
	fact->value = copy(value);
}

/* --- Inside a row ----------------------------------------------------------------------------- */

int64_t jd_bench_next(struct jd_bench_state *state)
{
	if (state->done || state->error[0])
		return 0;
	if (state->batch) {
		jd_bench_pause(state);
		state->done = true;
		return 0;
	}
	state->batch = state->row->bench->iterations;
	state->begin_ns = jd_clock_now();
	return state->batch;
}

int64_t jd_bench_get_arg(const struct jd_bench_state *state, size_t index)
{
	return index == 0 ? state->row->arg : 0;
}

void jd_bench_pause(struct jd_bench_state *state)
{
	if (!state->batch || state->done || state->paused)
		return;
	state->sum_ns += jd_clock_now() - state->begin_ns;
	state->paused = true;
}

void jd_bench_resume(struct jd_bench_state *state)
{
	if (!state->paused || state->done)
		return;
	state->paused = false;
	state->begin_ns = jd_clock_now();
}

void jd_bench_add_time(struct jd_bench_state *state, double seconds)
{
	state->manual_s += seconds;
}

static double seconds_of(const struct jd_bench_state *state)
{
	return state->row->bench->clock == JD_BENCH_MANUAL ? state->manual_s
							   : (double)state->sum_ns * 1e-9;
}

void jd_bench_counter(struct jd_bench_state *state, const char *name, double value, unsigned flags)
{
	double n = (double)state->batch;
	size_t i = 0;

	if (flags & JD_BENCH_EACH_ITERATION)
		value *= n;
	if (flags & JD_BENCH_PER_ITERATION)
		value /= n;
	if (flags & JD_BENCH_RATE)
		value /= seconds_of(state);
	if (flags & JD_BENCH_INVERT)
		value = 1 / value;
	while (i < state->counter_count && strcmp(state->counters[i].name, name) != 0)
		i++;
	if (i == COUNTERS_MAX) {
		jd_bench_fail(state, "too many counters");
		return;
	}
	state->counter_count += i == state->counter_count;
	snprintf(state->counters[i].name, sizeof(state->counters[i].name), "%s", name);
	state->counters[i].value = value;
}

void jd_bench_ns_per_op(struct jd_bench_state *state, double ops_per_iteration)
{
	/* The time of a row that measures itself is complete only when the row has ended. */
	state->ops = ops_per_iteration;
}

static void end_early(struct jd_bench_state *state, const char *prefix, const char *message)
{
	if (!state->error[0])
		snprintf(state->error, sizeof(state->error), "%s%s", prefix, message);
}

void jd_bench_fail(struct jd_bench_state *state, const char *message)
{
	failures += !state->error[0];
	end_early(state, "", message);
}

void jd_bench_skip(struct jd_bench_state *state, const char *reason)
{
	end_early(state, "skipped: ", reason);
}

/* --- Running ---------------------------------------------------------------------------------- */

static void put_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
	}
	fputc('"', out);
}

static void put_field(FILE *out, const char *key, const char *text)
{
	put_text(out, key);
	fputs(": ", out);
	put_text(out, text);
}

/* Nothing that is no number: JSON has no way to write infinity. */
static void put_number(FILE *out, const char *key, double value)
{
	if (!isfinite(value))
		return;
	fputs(", ", out);
	put_text(out, key);
	fprintf(out, ": %.17g", value);
}

static void put_context(FILE *out)
{
	fputs("{\"context\": {", out);
	for (const struct fact *fact = facts; fact; fact = fact->next) {
		put_field(out, fact->key, fact->value);
		fputs(fact->next ? ",\n" : "},\n\"benchmarks\": [", out);
	}
}

static void put_entry(FILE *out, const struct jd_bench_state *state, long repetition)
{
	static bool any;
	double n = (double)state->batch;

	fputs(any ? ",\n{" : "\n{", out);
	any = true;
	put_field(out, "name", state->row->name);
	fputs(", ", out);
	put_field(out, "run_name", state->row->name);
	fputs(", \"run_type\": \"iteration\"", out);
	put_number(out, "repetition_index", (double)repetition);
	if (state->error[0]) {
		fputs(", \"error_occurred\": true, ", out);
		put_field(out, "error_message", state->error);
	} else {
		put_number(out, "iterations", n);
		fputs(", \"time_unit\": \"ms\"", out);
		put_number(out, "real_time", seconds_of(state) * 1e3 / n);
		for (size_t i = 0; i < state->counter_count; i++)
			put_number(out, state->counters[i].name, state->counters[i].value);
	}
	fputc('}', out);
}

static void measure(struct row *row, long repetition, FILE *out)
{
	struct jd_bench_state state = {.row = row};

	row->bench->fn(&state, row->bench->user);
	if (!state.done && !state.error[0])
		jd_bench_fail(&state, "returned before jd_bench_next() gave 0");
	if (state.ops > 0 && !state.error[0])
		jd_bench_counter(&state, "ns_per_op",
				 seconds_of(&state) * 1e9 / ((double)state.batch * state.ops), 0);
	row->failed = state.error[0] != 0;
	fprintf(stderr, "%-34s %s%.3f ms\n", row->name, state.error, seconds_of(&state) * 1e3);
	if (out)
		put_entry(out, &state, repetition);
}

/* Is the name one of those that the filter lists? */
static bool is_wanted(const char *filter, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = filter; (at = strstr(at, name)) != NULL; at++)
		if ((at == filter || strchr("^(|", at[-1])) && strchr("|)$", at[length]))
			return true;
	return !filter[0];
}

static void run(const struct command *command, FILE *out)
{
	for (long repetition = 0; repetition < command->repetitions; repetition++)
		for (size_t i = 0; i < row_count; i++) {
			struct row *row = &rows[repetition % 2 ? row_count - 1 - i : i];

			if (!row->failed)
				measure(row, repetition, out);
		}
}

static bool parse(int argc, char **argv, struct command *command)
{
	static const char filter[] = "--benchmark_filter=", out[] = "--benchmark_out=",
			  repetitions[] = "--benchmark_repetitions=";
	bool good = true;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--benchmark_list_tests") == 0)
			command->list = true;
		else if (strncmp(argv[i], filter, sizeof(filter) - 1) == 0)
			command->filter = argv[i] + sizeof(filter) - 1;
		else if (strncmp(argv[i], out, sizeof(out) - 1) == 0)
			command->out = argv[i] + sizeof(out) - 1;
		else if (strncmp(argv[i], repetitions, sizeof(repetitions) - 1) == 0)
			command->repetitions = strtol(argv[i] + sizeof(repetitions) - 1, NULL, 10);
		else
			good = false;
	}
	return good && command->repetitions > 0;
}

static int run_to_file(const struct command *command)
{
	FILE *out = command->out ? fopen(command->out, "w") : NULL;

	if (command->out && !out) {
		fprintf(stderr, "cannot write %s\n", command->out);
		return 2;
	}
	if (out)
		put_context(out);
	run(command, out);
	if (out) {
		fputs("\n]}\n", out);
		bool bad = ferror(out) != 0;

		if (fclose(out) != 0 || bad) {
			fprintf(stderr, "cannot write %s\n", command->out);
			return 2;
		}
	}
	return failures > 0;
}

int jd_bench_main(int argc, char **argv)
{
	struct command command = {.filter = "", .repetitions = 1};
	size_t kept = 0;

	if (!parse(argc, argv, &command)) {
		fprintf(stderr, "unknown option; see bench/shim/jd_bench_own.c\n");
		return 2;
	}
	for (size_t i = 0; i < row_count; i++)
		if (is_wanted(command.filter, rows[i].name))
			rows[kept++] = rows[i];
	row_count = kept;
	if (command.list) {
		for (size_t i = 0; i < row_count; i++)
			printf("%s\n", rows[i].name);
		return 0;
	}
	if (row_count == 0) {
		fprintf(stderr, "no row matches '%s'\n", command.filter);
		return 2;
	}
	return run_to_file(&command);
}
