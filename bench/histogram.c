/* histogram.c - latencies in log-linear buckets. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/histogram.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/shim/jd_bench.h"

/* Below this, a bucket is one value. */
#define EXACT ((uint64_t)2 << BENCH_HISTOGRAM_BITS)

static unsigned bucket_of(uint64_t value)
{
	if (value < EXACT)
		return (unsigned)value;
	unsigned shift = 63u - (unsigned)__builtin_clzll(value) - BENCH_HISTOGRAM_BITS;

	return (shift << BENCH_HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

/* The largest value that falls into it. */
static uint64_t bucket_end(unsigned bucket)
{
	if (bucket < EXACT)
		return bucket;
	unsigned shift = (bucket >> BENCH_HISTOGRAM_BITS) - 1;
	uint64_t first = (uint64_t)(bucket - (shift << BENCH_HISTOGRAM_BITS)) << shift;

	return first + ((uint64_t)1 << shift) - 1;
}

void bench_histogram_clear(struct bench_histogram *histogram)
{
	*histogram = (struct bench_histogram){.total = 0};
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value)
{
	histogram->counts[bucket_of(value)]++;
	histogram->total++;
	histogram->sum += (double)value;
	if (value > histogram->max)
		histogram->max = value;
}

void bench_histogram_merge(struct bench_histogram *histogram, const struct bench_histogram *other)
{
	for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++)
		histogram->counts[i] += other->counts[i];
	histogram->total += other->total;
	histogram->sum += other->sum;
	if (other->max > histogram->max)
		histogram->max = other->max;
}

/* What a bucket stands for: no value exceeds the maximum. */
static uint64_t shown(const struct bench_histogram *histogram, unsigned bucket)
{
	uint64_t end = bucket_end(bucket);

	return end < histogram->max ? end : histogram->max;
}

uint64_t bench_histogram_percentile(const struct bench_histogram *histogram, double percent)
{
	double need = (double)histogram->total * percent / 100.0;
	uint64_t seen = 0;

	for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS && histogram->total > 0; i++) {
		seen += histogram->counts[i];
		if (seen > 0 && (double)seen >= need - 1e-6)
			return shown(histogram, i);
	}
	return histogram->max;
}

static void write_buckets(const struct bench_histogram *histogram, const char *path)
{
	FILE *file = fopen(path, "a");

	if (!file) {
		perror(path);
		return;
	}
	for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++)
		if (histogram->counts[i] > 0)
			fprintf(file, "%" PRIu64 " %" PRIu64 "\n", shown(histogram, i),
				histogram->counts[i]);
	if (fclose(file) != 0)
		perror(path);
}

void bench_histogram_report(const struct bench_histogram *histogram, struct jd_bench_state *state)
{
	static const struct {
		const char *name;
		double percent;
	} percentiles[] = {
		{"p50_ns", 50}, {"p90_ns", 90}, {"p99_ns", 99}, {"p999_ns", 99.9}, {"max_ns", 100}};
	const char *path = getenv("JD_BENCH_HISTOGRAM");

	if (histogram->total == 0)
		return;
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
		jd_bench_counter(
			state, percentiles[i].name,
			(double)bench_histogram_percentile(histogram, percentiles[i].percent),
			JD_BENCH_PLAIN);
	jd_bench_counter(state, "mean_ns", histogram->sum / (double)histogram->total,
			 JD_BENCH_PLAIN);
	if (path)
		write_buckets(histogram, path);
}
