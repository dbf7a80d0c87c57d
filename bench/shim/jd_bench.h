/* jd_bench.h - benchmarks in C: a thin door to Google Benchmark (1.7 or newer). */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_SHIM_JD_BENCH_H
#define JD_BENCH_SHIM_JD_BENCH_H

/*
 * A row is one measurement with one name, "workload/contender/workers". Its function sets up, asks
 * how many iterations to run, runs them in a C loop (a call into C++ for each would cost more than
 * many of the things measured), checks the answer and tears down:
 *
 *	static void spin(struct jd_bench_state *state, void *user)
 *	{
 *		int64_t n;
 *
 *		while ((n = jd_bench_next(state)) > 0)
 *			for (int64_t i = 0; i < n; i++)
 *				work(user);
 *		jd_bench_ns_per_op(state, OPS_IN_ONE_ITERATION);
 *	}
 *
 *	jd_bench_arg(jd_bench_add("spin/ws", spin, NULL), 2);     makes the row "spin/ws/2"
 *
 * The function may be called several times for one row (to find the number of iterations, and once
 * a repetition), so it must start afresh each time. Time runs from the first jd_bench_next to the
 * one that returned 0; what comes before and after is not measured.
 *
 * Everything here is for one thread: registration and jd_bench_main on the main thread, the calls
 * with a state on the thread that was given it. Texts are copied. Running out of memory aborts.
 *
 * These two files need nothing of Jackdaw: see docs/BENCHMARKS.md for using them elsewhere.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct jd_bench;       /* rows that share a function; owned by the shim */
struct jd_bench_state; /* one measurement, valid during the call of the row's function */

typedef void (*jd_bench_fn)(struct jd_bench_state *state, void *user);

enum {
	JD_BENCH_ARGS_MAX = 4
};

enum jd_bench_clock {
	JD_BENCH_REAL,   /* default: wall clock; the CPU time of all threads is shown beside it */
	JD_BENCH_CPU,    /* CPU time of the measuring thread */
	JD_BENCH_MANUAL, /* what jd_bench_add_time gives */
};

/* How a counter is reported; flags may be combined. */
enum {
	JD_BENCH_PLAIN = 0,
	JD_BENCH_RATE = 1u << 0,           /* divided by the measured seconds */
	JD_BENCH_PER_ITERATION = 1u << 1,  /* divided by the iterations */
	JD_BENCH_EACH_ITERATION = 1u << 2, /* multiplied by the iterations */
	JD_BENCH_INVERT = 1u << 3,         /* one over the result of the others */
};

/* --- Registration ----------------------------------------------------------------------------- */

/* One row called name, or, with arguments, one row for each set of them. user is handed to fn. */
struct jd_bench *jd_bench_add(const char *name, jd_bench_fn fn, void *user);

/* One more row, "NAME/VALUE". Every function below returns its first argument. */
struct jd_bench *jd_bench_arg(struct jd_bench *bench, int64_t value);
/* One more row, "NAME/V0/V1...", count <= JD_BENCH_ARGS_MAX. */
struct jd_bench *jd_bench_args(struct jd_bench *bench, const int64_t *values, size_t count);
/* Rows for low, low * factor, ... and high; 0 < low <= high, factor >= 2. */
struct jd_bench *jd_bench_range(struct jd_bench *bench, int64_t low, int64_t high, int64_t factor);

/*
 * One more row, "NAME/COUNT", whose function runs on so many threads at once, each with a state of
 * its own; arguments do not apply. The clock starts when all have come to their first
 * jd_bench_next and stops when all have come to the second. Counters of the threads are added up,
 * so set what is no sum (a percentile) on thread 0 only.
 */
struct jd_bench *jd_bench_threads(struct jd_bench *bench, int count);

/* Exactly so many iterations, instead of as many as fill the minimal time. */
struct jd_bench *jd_bench_iterations(struct jd_bench *bench, int64_t count);
/* Measure so often; every repetition is reported, and mean, median, stddev, cv. */
struct jd_bench *jd_bench_repetitions(struct jd_bench *bench, int count);
struct jd_bench *jd_bench_min_time(struct jd_bench *bench, double seconds);
struct jd_bench *jd_bench_set_clock(struct jd_bench *bench, enum jd_bench_clock clock);

/* A fact about this run for the report: machine, build, options. Replaces an earlier value. */
void jd_bench_context(const char *key, const char *value);

/*
 * Runs what the command line asks for and returns the exit status: 0, 1 when a row failed, 2 when
 * the command line was wrong or matched nothing. Options are Google Benchmark's; the ones to know:
 *   --benchmark_filter=REGEX   rows whose name contains a match ("-REGEX": the others)
 *   --benchmark_list_tests     print the names
 *   --benchmark_out=FILE       write JSON, names as registered
 *   --benchmark_repetitions=N  --benchmark_min_time=S
 * One line a row goes to standard error while it runs.
 */
int jd_bench_main(int argc, char **argv);

/* Forgets all rows and context. For tests of the shim. */
void jd_bench_reset(void);

/* --- Inside a row ----------------------------------------------------------------------------- */

/*
 * The first call starts the clock and returns the number of iterations to run, all of them at once;
 * the second stops it and returns 0. After jd_bench_fail or jd_bench_skip it returns 0.
 */
int64_t jd_bench_next(struct jd_bench_state *state);

/* Argument index of this row; 0 when there is no such argument. */
int64_t jd_bench_get_arg(const struct jd_bench_state *state, size_t index);
const char *jd_bench_get_name(const struct jd_bench_state *state);

/* Which of how many threads this is; 0 of 1 unless jd_bench_threads says otherwise. */
int jd_bench_thread_index(const struct jd_bench_state *state);
int jd_bench_thread_count(const struct jd_bench_state *state);

/* Stop and restart the clock between two jd_bench_next; costs about a microsecond. */
void jd_bench_pause(struct jd_bench_state *state);
void jd_bench_resume(struct jd_bench_state *state);

/* For JD_BENCH_MANUAL: so much of the measured time has passed; adds up. */
void jd_bench_add_time(struct jd_bench_state *state, double seconds);

/* A figure of this measurement. Set it once, from a total the row computed itself. */
void jd_bench_counter(struct jd_bench_state *state, const char *name, double value, unsigned flags);

/*
 * Sets the counter ns_per_op: measured time / (iterations * ops), in nanoseconds. With threads,
 * iterations are those of all of them: what an operation costs the whole.
 */
void jd_bench_ns_per_op(struct jd_bench_state *state, double ops_per_iteration);

/* The row is wrong: it is reported as an error and jd_bench_main returns 1. */
void jd_bench_fail(struct jd_bench_state *state, const char *message);

/* The row makes no sense here; reported, with the reason, and no failure. */
void jd_bench_skip(struct jd_bench_state *state, const char *reason);

#ifdef __cplusplus
}
#endif

#endif
