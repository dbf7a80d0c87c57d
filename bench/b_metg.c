/* b_metg.c - how small the pieces of a parallel loop may be: efficiency over their size. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "platform/platform.h"

/*
 * For each size a loop of so many pieces as fill SWEEP_NS serially is run in parallel. Efficiency
 * is the time of the steps alone over (workers x parallel time), both measured here; METG(50 %) is
 * the size at which it falls below a half, on a line between the two sizes around it (Slaughter et
 * al., Task Bench, SC 2020). A counter eff_<ns> for each size makes the curve.
 */
enum {
	SWEEP_NS = 4 * 1000 * 1000,
	SWEEP_TRIES = 5, /* of each size; the fastest counts */
	SWEEP_SIZES = 9,
};

static const uint32_t size_ns[SWEEP_SIZES] = {10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000};

struct metg_data {
	uint8_t ran[SWEEP_NS / 10]; /* how often each piece was, by who runs it */
	uint64_t pieces;            /* of the current loop */
	uint32_t steps;             /* of a piece */
	double efficiency[SWEEP_SIZES];
	bool wrong;
};

/* Each step needs the last one: about a nanosecond on any processor. */
static uint64_t piece_work(uint64_t seed, uint32_t steps)
{
	for (uint32_t i = 0; i < steps; i++)
		seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed;
}

static void metg_pieces(void *arg, uint64_t begin, uint64_t end)
{
	/* A piece needs the one before it, or the processor would work on both at once. */
	static _Thread_local uint64_t last;
	struct metg_data *data = arg;

	for (uint64_t i = begin; i < end; i++) {
		last = piece_work(last, data->steps);
		data->ran[i]++;
	}
}

static void metg_body(struct jd_fork_point fork, void *arg)
{
	struct metg_data *data = arg;

	jd_parallel_for(fork, 0, data->pieces, 1, metg_pieces, data);
}

static double ns_of_step(struct metg_data *data)
{
	uint64_t best = UINT64_MAX;

	data->steps = 1000 * 1000;
	for (int i = 0; i < SWEEP_TRIES; i++) {
		uint64_t start = jd_clock_now();

		metg_pieces(data, 0, 1);
		uint64_t took = jd_clock_now() - start;

		best = took < best ? took : best;
	}
	return (double)best / data->steps;
}

/* The fastest of some runs. UINT64_MAX: it failed. */
static uint64_t fastest(struct metg_data *data, struct jd_scheduler *scheduler)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < SWEEP_TRIES; i++) {
		memset(data->ran, 0, data->pieces);
		uint64_t start = jd_clock_now();

		if (bench_fork_run(scheduler, metg_body, data) != JD_OK)
			return UINT64_MAX;
		uint64_t took = jd_clock_now() - start;

		for (uint64_t piece = 0; piece < data->pieces; piece++)
			data->wrong |= data->ran[piece] != 1;
		best = took < best ? took : best;
	}
	return best;
}

static jd_status metg_run(void *arg, struct jd_scheduler *scheduler)
{
	struct metg_data *data = arg;
	double step_ns = ns_of_step(data);

	data->wrong = false;
	for (int i = 0; i < SWEEP_SIZES; i++) {
		data->pieces = SWEEP_NS / size_ns[i];
		data->steps = (uint32_t)((double)size_ns[i] / step_ns) + 1;
		double serial = (double)data->pieces * data->steps * step_ns;
		uint64_t parallel = fastest(data, scheduler);

		if (parallel == UINT64_MAX)
			return JD_EFAILED;
		data->efficiency[i] = serial / ((double)parallel * jd_num_cpus(scheduler));
	}
	return JD_OK;
}

static const char *metg_check(void *arg)
{
	return ((struct metg_data *)arg)->wrong ? "not every piece ran exactly once" : NULL;
}

/* The largest size below which a half is not reached; logarithmic between sizes. */
static double metg(const struct metg_data *data)
{
	int i = SWEEP_SIZES - 1;

	if (data->efficiency[i] < 0.5)
		return size_ns[i]; /* or more */
	while (i > 0 && data->efficiency[i - 1] >= 0.5)
		i--;
	if (i == 0)
		return size_ns[0]; /* or less */
	double low = data->efficiency[i - 1], high = data->efficiency[i];
	double part = (0.5 - low) / (high - low);

	return exp(log(size_ns[i - 1]) + part * (log(size_ns[i]) - log(size_ns[i - 1])));
}

static void metg_report(void *arg, struct jd_bench_state *state)
{
	const struct metg_data *data = arg;
	char name[24];

	jd_bench_counter(state, "metg_ns", metg(data), JD_BENCH_PLAIN);
	for (int i = 0; i < SWEEP_SIZES; i++) {
		snprintf(name, sizeof(name), "eff_%u", size_ns[i]);
		jd_bench_counter(state, name, data->efficiency[i], JD_BENCH_PLAIN);
	}
}

void b_metg(void)
{
	static struct metg_data data;
	static const struct bench_workload workload = {.name = "metg",
						       .ops = 1,
						       .runs = 1,
						       .forks = true,
						       .data = &data,
						       .parallel = metg_run,
						       .check = metg_check,
						       .report = metg_report};

	bench_workload_add(&workload);
}
