/* test_histogram.c - the log-linear histogram of the benchmarks against sorted values. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bench/histogram.h"
#include "bench/shim/jd_bench.h"

enum {
	COUNT = 20000
};

static struct bench_histogram histogram;

static int clear(void **state)
{
	(void)state;
	bench_histogram_clear(&histogram);
	return 0;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static void test_small_values_are_exact(void **state)
{
	(void)state;
	for (uint64_t v = 1; v <= 100; v++)
		bench_histogram_add(&histogram, v);
	assert_int_equal(bench_histogram_percentile(&histogram, 1), 1);
	assert_int_equal(bench_histogram_percentile(&histogram, 50), 50);
	assert_int_equal(bench_histogram_percentile(&histogram, 99), 99);
	assert_int_equal(bench_histogram_percentile(&histogram, 100), 100);
	assert_int_equal(bench_histogram_percentile(&histogram, 0), 1);
}

/* Every magnitude: never below the true value, at most a hundredth above it. */
static void test_percentiles_against_sorting(void **state)
{
	static uint64_t values[COUNT];
	uint64_t seed = 88172645463325252u;

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		values[i] = next_random(&seed) >> (next_random(&seed) % 64);
		bench_histogram_add(&histogram, values[i]);
	}
	qsort(values, COUNT, sizeof(values[0]), compare);
	for (int percent = 1; percent <= 100; percent++) {
		uint64_t right = values[(size_t)percent * COUNT / 100 - 1];
		uint64_t got = bench_histogram_percentile(&histogram, percent);

		assert_true(got >= right);
		assert_true((double)(got - right) <= 0.01 * (double)right);
	}
}

static void test_extremes(void **state)
{
	(void)state;
	assert_int_equal(bench_histogram_percentile(&histogram, 50), 0);
	bench_histogram_add(&histogram, 0);
	bench_histogram_add(&histogram, UINT64_MAX);
	assert_true(bench_histogram_percentile(&histogram, 50) == 0);
	assert_true(bench_histogram_percentile(&histogram, 100) == UINT64_MAX);
	assert_true(histogram.max == UINT64_MAX);
}

/* No bucket is skipped or overlaps: the ends of neighbours differ by at most one width. */
static void test_bucket_borders(void **state)
{
	(void)state;
	for (int shift = 0; shift < 64; shift++) {
		for (int off = -1; off <= 1; off++) {
			uint64_t value = ((uint64_t)1 << shift) + (uint64_t)(int64_t)off;

			bench_histogram_clear(&histogram);
			bench_histogram_add(&histogram, value);
			bench_histogram_add(&histogram, UINT64_MAX);
			uint64_t got = bench_histogram_percentile(&histogram, 50);

			assert_true(got >= value);
			assert_true(got - value <= value / 100);
		}
	}
}

static void test_merge(void **state)
{
	static struct bench_histogram other;

	(void)state;
	for (uint64_t v = 1; v <= 10; v++)
		bench_histogram_add(v % 2 ? &histogram : &other, v);
	bench_histogram_merge(&histogram, &other);
	assert_int_equal(histogram.total, 10);
	assert_int_equal(histogram.max, 10);
	assert_true(histogram.sum == 55);
	assert_int_equal(bench_histogram_percentile(&histogram, 50), 5);
}

static void report_row(struct jd_bench_state *state, void *user)
{
	while (jd_bench_next(state) > 0)
		continue;
	bench_histogram_report(user, state);
}

static void test_report_writes_buckets(void **state)
{
	static const char path[] = "test_histogram.txt";
	char program[] = "test";
	char *argv[] = {program, NULL};
	unsigned long long value, count;
	char rest[2];

	(void)state;
	for (int i = 0; i < 3; i++)
		bench_histogram_add(&histogram, 7);
	bench_histogram_add(&histogram, 100000);
	remove(path);
	assert_int_equal(setenv("JD_BENCH_HISTOGRAM", path, 1), 0);
	jd_bench_reset();
	jd_bench_iterations(jd_bench_add("h", report_row, &histogram), 1);
	assert_int_equal(jd_bench_main(1, argv), 0);
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu %llu", &value, &count), 2);
	assert_true(value == 7 && count == 3);
	assert_int_equal(fscanf(file, "%llu %llu", &value, &count), 2);
	assert_true(value == 100000 && count == 1);
	assert_int_equal(fscanf(file, "%1s", rest), EOF);
	fclose(file);
	remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_small_values_are_exact, clear),
		cmocka_unit_test_setup(test_percentiles_against_sorting, clear),
		cmocka_unit_test_setup(test_extremes, clear),
		cmocka_unit_test_setup(test_bucket_borders, clear),
		cmocka_unit_test_setup(test_merge, clear),
		cmocka_unit_test_setup(test_report_writes_buckets, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
