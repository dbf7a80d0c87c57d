/* histogram.h - latencies in log-linear buckets: any range, at most 1 % off, fixed memory. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_HISTOGRAM_H
#define JD_BENCH_HISTOGRAM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct jd_bench_state;

/*
 * Values below 256 have a bucket each; above, every power of two is divided into 128 buckets: what
 * HdrHistogram does with two significant digits. One thread at a time.
 */
enum {
	BENCH_HISTOGRAM_BITS = 7,
	BENCH_HISTOGRAM_BUCKETS = (64 - BENCH_HISTOGRAM_BITS + 1) << BENCH_HISTOGRAM_BITS
};

/* Zero is empty. */
struct bench_histogram {
	uint64_t counts[BENCH_HISTOGRAM_BUCKETS];
	uint64_t total;
	uint64_t max; /* exact */
	double sum;
};

void bench_histogram_clear(struct bench_histogram *histogram);
void bench_histogram_add(struct bench_histogram *histogram, uint64_t value);
void bench_histogram_merge(struct bench_histogram *histogram, const struct bench_histogram *other);

/* The largest value of the bucket below or in which so many percent of the values lie, at most the
 * maximum. 0 when it is empty. */
uint64_t bench_histogram_percentile(const struct bench_histogram *histogram, double percent);

/*
 * Values are ns: sets the counters p50_ns, p90_ns, p99_ns, p999_ns, max_ns and mean_ns, and
 * appends a line "VALUE COUNT" for each bucket to the file that the environment variable
 * JD_BENCH_HISTOGRAM names.
 */
void bench_histogram_report(const struct bench_histogram *histogram, struct jd_bench_state *state);

#ifdef __cplusplus
}
#endif

#endif
