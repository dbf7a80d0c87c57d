/* test_jd_bench.c - the shim measures, names, filters, fails and writes JSON as it says. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/shim/jd_bench.h"
#include "platform/atomic.h"

/* What the row functions saw; each test starts with a fresh one. */
struct seen {
	int calls;
	int64_t iterations; /* of the last call */
	int64_t args[2];
	char name[64];
};

struct fixture {
	struct seen seen;
	char json_path[64];
	char *json;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	jd_bench_reset();
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	free(fixture->json);
	free(fixture);
	return 0;
}

/* Runs the registered rows with a filter and reads the JSON written. */
static int run(struct fixture *fixture, const char *filter)
{
	char program[] = "test";
	char filter_arg[80];
	char out_arg[80];
	char *argv[] = {program, filter_arg, out_arg, NULL};
	FILE *file;

	snprintf(fixture->json_path, sizeof(fixture->json_path), "test_jd_bench.json");
	snprintf(filter_arg, sizeof(filter_arg), "--benchmark_filter=%s", filter);
	snprintf(out_arg, sizeof(out_arg), "--benchmark_out=%s", fixture->json_path);
	remove(fixture->json_path);
	int status = jd_bench_main(3, argv);

	free(fixture->json);
	fixture->json = calloc(1, 1 << 16);
	assert_non_null(fixture->json);
	file = fopen(fixture->json_path, "r");
	if (file) {
		size_t got = fread(fixture->json, 1, (1 << 16) - 1, file);
		assert_true(got > 0);
		fclose(file);
		remove(fixture->json_path);
	}
	return status;
}

/* The number after "key": behind the row of that name. */
static double json_number(const struct fixture *fixture, const char *name, const char *key)
{
	char pattern[80];
	const char *at;

	snprintf(pattern, sizeof(pattern), "\"name\": \"%s\"", name);
	at = strstr(fixture->json, pattern);
	assert_non_null(at);
	snprintf(pattern, sizeof(pattern), "\"%s\": ", key);
	at = strstr(at, pattern);
	assert_non_null(at);
	return strtod(at + strlen(pattern), NULL);
}

static void row_counts(struct jd_bench_state *state, void *user)
{
	struct seen *seen = user;
	int64_t n;

	seen->calls++;
	seen->iterations = 0;
	while ((n = jd_bench_next(state)) > 0)
		seen->iterations += n;
	seen->args[0] = jd_bench_get_arg(state, 0);
	seen->args[1] = jd_bench_get_arg(state, 1);
	snprintf(seen->name, sizeof(seen->name), "%s", jd_bench_get_name(state));
}

static void test_iterations_and_args(void **state)
{
	struct fixture *fixture = *state;
	const int64_t args[] = {7, -3};

	jd_bench_iterations(jd_bench_add("plain", row_counts, &fixture->seen), 5);
	jd_bench_args(jd_bench_iterations(jd_bench_add("pair/ws", row_counts, &fixture->seen), 2),
		      args, 2);
	assert_int_equal(run(fixture, "^plain$"), 0);
	assert_int_equal(fixture->seen.calls, 1);
	assert_int_equal(fixture->seen.iterations, 5);
	assert_int_equal(fixture->seen.args[0], 0);
	assert_string_equal(fixture->seen.name, "plain");
	assert_true(json_number(fixture, "plain", "iterations") == 5);

	assert_int_equal(run(fixture, "^pair"), 0);
	assert_int_equal(fixture->seen.iterations, 2);
	assert_int_equal(fixture->seen.args[0], 7);
	assert_int_equal(fixture->seen.args[1], -3);
	assert_string_equal(fixture->seen.name, "pair/ws/7/-3");
	assert_non_null(strstr(fixture->json, "\"name\": \"pair/ws/7/-3\""));
	assert_null(strstr(fixture->json, "real_time\"/"));
}

static void test_range_and_filter(void **state)
{
	struct fixture *fixture = *state;

	jd_bench_iterations(jd_bench_range(jd_bench_add("r", row_counts, &fixture->seen), 1, 20, 4),
			    1);
	assert_int_equal(run(fixture, ""), 0);
	assert_int_equal(fixture->seen.calls, 4); /* 1 4 16 20 */
	assert_int_equal(run(fixture, "^r/(4|20)$"), 0);
	assert_int_equal(fixture->seen.calls, 6);
	assert_int_equal(fixture->seen.args[0], 20);
	assert_int_equal(run(fixture, "-^r/(4|20)$"), 0);
	assert_int_equal(fixture->seen.calls, 8);
	assert_int_equal(run(fixture, "nothing"), 2);
	assert_int_equal(run(fixture, "(unclosed"), 2);
	assert_int_equal(fixture->seen.calls, 8);
}

static void row_manual(struct jd_bench_state *state, void *user)
{
	int64_t n;

	(void)user;
	while ((n = jd_bench_next(state)) > 0)
		for (int64_t i = 0; i < n; i++)
			jd_bench_add_time(state, 0.25);
	jd_bench_ns_per_op(state, 1000);
	jd_bench_counter(state, "plain", 42, JD_BENCH_PLAIN);
	jd_bench_counter(state, "rate", 8, JD_BENCH_RATE);
	jd_bench_counter(state, "each", 6, JD_BENCH_PER_ITERATION);
	jd_bench_counter(state, "total", 6, JD_BENCH_EACH_ITERATION);
}

static void test_manual_time_and_counters(void **state)
{
	struct fixture *fixture = *state;
	struct jd_bench *bench = jd_bench_add("manual", row_manual, NULL);

	jd_bench_set_clock(jd_bench_iterations(bench, 4), JD_BENCH_MANUAL);
	assert_int_equal(run(fixture, ""), 0);
	assert_true(json_number(fixture, "manual", "plain") == 42);
	assert_true(json_number(fixture, "manual", "rate") == 8); /* in 1 s */
	assert_true(json_number(fixture, "manual", "each") == 1.5);
	assert_true(json_number(fixture, "manual", "total") == 24);
	/* 0.25 s for 1000 operations. */
	double ns = json_number(fixture, "manual", "ns_per_op");
	assert_true(ns > 249999.0 && ns < 250001.0);
}

static void row_min_time(struct jd_bench_state *state, void *user)
{
	row_counts(state, user);
	jd_bench_ns_per_op(state, 1);
}

static void test_min_time_grows_iterations(void **state)
{
	struct fixture *fixture = *state;
	struct jd_bench *bench = jd_bench_add("grow", row_min_time, &fixture->seen);

	/* CPU time, and 20 ms: losing the core for a while must not end the growth. */
	jd_bench_set_clock(jd_bench_min_time(bench, 0.02), JD_BENCH_CPU);
	assert_int_equal(run(fixture, ""), 0);
	assert_true(fixture->seen.calls > 1);
	assert_true(fixture->seen.iterations > 1);
}

static void test_repetitions(void **state)
{
	struct fixture *fixture = *state;
	struct jd_bench *bench = jd_bench_add("rep/ws", row_counts, &fixture->seen);

	jd_bench_repetitions(jd_bench_arg(jd_bench_iterations(bench, 1), 2), 3);
	assert_int_equal(run(fixture, ""), 0);
	assert_int_equal(fixture->seen.calls, 3);
	assert_non_null(strstr(fixture->json, "\"name\": \"rep/ws/2_median\""));
}

static void row_fails(struct jd_bench_state *state, void *user)
{
	row_counts(state, user);
	jd_bench_fail(state, "wrong answer");
	jd_bench_fail(state, "again"); /* the first message counts */
}

static void row_fails_first(struct jd_bench_state *state, void *user)
{
	jd_bench_fail(state, "no memory");
	row_counts(state, user);
}

static void row_skips(struct jd_bench_state *state, void *user)
{
	(void)user;
	jd_bench_skip(state, "not here");
}

static void row_returns_early(struct jd_bench_state *state, void *user)
{
	(void)user;
	jd_bench_next(state);
}

static void test_failures(void **state)
{
	struct fixture *fixture = *state;

	jd_bench_iterations(jd_bench_add("bad", row_fails, &fixture->seen), 1);
	jd_bench_iterations(jd_bench_add("bad_first", row_fails_first, &fixture->seen), 1);
	jd_bench_iterations(jd_bench_add("skip", row_skips, NULL), 1);
	jd_bench_iterations(jd_bench_add("early", row_returns_early, NULL), 3);
	jd_bench_iterations(jd_bench_add("good", row_counts, &fixture->seen), 1);

	assert_int_equal(run(fixture, "^bad$"), 1);
	assert_non_null(strstr(fixture->json, "\"error_message\": \"wrong answer\""));
	assert_int_equal(run(fixture, "bad_first"), 1);
	assert_int_equal(fixture->seen.iterations, 0);
	assert_int_equal(run(fixture, "skip"), 0);
	assert_non_null(strstr(fixture->json, "\"error_message\": \"skipped: not here\""));
	assert_int_equal(run(fixture, "early"), 1);
	/* One bad row does not stop the others, and does fail the whole. */
	assert_int_equal(run(fixture, ""), 1);
	assert_true(json_number(fixture, "good", "iterations") == 1);
}

static void row_pauses(struct jd_bench_state *state, void *user)
{
	uint64_t *sink = user;
	int64_t n;

	jd_bench_pause(state); /* before the clock runs: nothing */
	while ((n = jd_bench_next(state)) > 0) {
		jd_bench_pause(state);
		for (int i = 0; i < 50 * 1000 * 1000; i++)
			*sink = *sink * 6364136223846793005u + 1;
		jd_bench_resume(state);
	}
	jd_bench_resume(state);
}

static void test_pause(void **state)
{
	struct fixture *fixture = *state;
	uint64_t sink = 1;

	jd_bench_iterations(jd_bench_add("pause", row_pauses, &sink), 1);
	assert_int_equal(run(fixture, ""), 0);
	/* The loop takes some 50 ms; what was measured is far less. Unit: ms, of CPU: on a busy
	 * machine the thread may lose its core after the resume. */
	assert_true(json_number(fixture, "pause", "cpu_time") < 5);
}

static void test_context_and_list(void **state)
{
	struct fixture *fixture = *state;
	char program[] = "test";
	char list[] = "--benchmark_list_tests";
	char bad[] = "--no_such_option";
	char *argv_list[] = {program, list, NULL};
	char *argv_bad[] = {program, bad, NULL};

	jd_bench_iterations(jd_bench_add("ctx", row_counts, &fixture->seen), 1);
	jd_bench_context("colour", "first");
	jd_bench_context("colour", "blue \"quoted\"");
	assert_int_equal(jd_bench_main(2, argv_list), 0);
	assert_int_equal(fixture->seen.calls, 0);
	assert_int_equal(jd_bench_main(2, argv_bad), 2);
	assert_int_equal(fixture->seen.calls, 0);
	assert_int_equal(run(fixture, ""), 0);
	assert_non_null(strstr(fixture->json, "\"colour\": \"blue \\\"quoted\\\"\""));
}

/* --- Threads ---------------------------------------------------------------------------------- */

struct team {
	int count;                   /* as every thread saw it */
	int seen[4];                 /* [i]: by thread i */
	_Atomic(int64_t) iterations; /* A */
	bool fail;
};

static void row_threads(struct jd_bench_state *state, void *user)
{
	struct team *team = user;
	int index = jd_bench_thread_index(state);
	int64_t n;

	team->seen[index]++;
	if (index == 0)
		team->count = jd_bench_thread_count(state);
	if (team->fail && index == 1) {
		jd_bench_fail(state, "thread 1 is unwell");
		return;
	}
	while ((n = jd_bench_next(state)) > 0)
		atomic_fetch_add_explicit(&team->iterations, n, memory_order_relaxed);
	jd_bench_ns_per_op(state, 1);
	jd_bench_counter(state, "each", 1, JD_BENCH_PLAIN);
}

static void test_threads(void **state)
{
	struct fixture *fixture = *state;
	struct team team = {0};

	jd_bench_iterations(jd_bench_threads(jd_bench_add("team/x", row_threads, &team), 4), 1000);
	assert_int_equal(run(fixture, "^team/x/4$"), 0);
	assert_int_equal(team.count, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(team.seen[i], 1);
	assert_true(atomic_load_explicit(&team.iterations, memory_order_relaxed) == 4000);
	assert_true(json_number(fixture, "team/x/4", "each") == 4);
	double per_op = json_number(fixture, "team/x/4", "ns_per_op");
	double ms = json_number(fixture, "team/x/4", "real_time");

	assert_true(per_op > 0.99 * ms * 1e6 && per_op < 1.01 * ms * 1e6);

	team.fail = true;
	assert_int_equal(run(fixture, "^team/x/4$"), 1);
	assert_non_null(strstr(fixture->json, "thread 1 is unwell"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_iterations_and_args, setup, teardown),
		cmocka_unit_test_setup_teardown(test_range_and_filter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_manual_time_and_counters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_min_time_grows_iterations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repetitions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_context_and_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
