/* metg.c - a sweep over the sizes of a parallel loop's pieces. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/metg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/shim/jd_bench.h"

enum {
	TRIES = 5 /* of each size; the fastest counts */
};

static const uint32_t size_ns[METG_SIZES] = {10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000};

/* Each step needs the last one: about a nanosecond on any processor. */
static uint64_t piece_work(uint64_t seed, uint32_t steps)
{
	for (uint32_t i = 0; i < steps; i++)
		seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed;
}

void metg_run(struct metg *metg, uint64_t begin, uint64_t end)
{
	/* A piece needs the one before it, or the processor would work on both at once. */
	static _Thread_local uint64_t last;

	for (uint64_t i = begin; i < end; i++) {
		last = piece_work(last, metg->steps);
		metg->ran[i]++;
	}
}

static double ns_of_step(struct metg *metg, uint64_t (*now)(void))
{
	uint64_t best = UINT64_MAX;

	metg->steps = 1000 * 1000;
	for (int i = 0; i < TRIES; i++) {
		uint64_t start = now();

		metg_run(metg, 0, 1);
		uint64_t took = now() - start;

		best = took < best ? took : best;
	}
	return (double)best / metg->steps;
}

/* The fastest of some runs. UINT64_MAX: it failed. */
static uint64_t fastest(struct metg *metg, uint64_t (*now)(void), metg_loop *loop, void *arg)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		memset(metg->ran, 0, metg->pieces);
		uint64_t start = now();

		if (!loop(metg, arg))
			return UINT64_MAX;
		uint64_t took = now() - start;

		for (uint64_t piece = 0; piece < metg->pieces; piece++)
			metg->wrong |= metg->ran[piece] != 1;
		best = took < best ? took : best;
	}
	return best;
}

bool metg_sweep(struct metg *metg, unsigned workers, uint64_t (*now)(void), metg_loop *loop,
		void *arg)
{
	double step_ns = ns_of_step(metg, now);

	metg->wrong = false;
	for (int i = 0; i < METG_SIZES; i++) {
		metg->pieces = METG_LOOP_NS / size_ns[i];
		metg->steps = (uint32_t)((double)size_ns[i] / step_ns) + 1;
		double serial = (double)metg->pieces * metg->steps * step_ns;
		uint64_t parallel = fastest(metg, now, loop, arg);

		if (parallel == UINT64_MAX)
			return false;
		metg->efficiency[i] = serial / ((double)parallel * workers);
	}
	return true;
}

/* The largest size below which a half is not reached; logarithmic between sizes. */
static double half_efficient(const struct metg *metg)
{
	int i = METG_SIZES - 1;

	if (metg->efficiency[i] < 0.5)
		return size_ns[i]; /* or more */
	while (i > 0 && metg->efficiency[i - 1] >= 0.5)
		i--;
	if (i == 0)
		return size_ns[0]; /* or less */
	double low = metg->efficiency[i - 1], high = metg->efficiency[i];
	double part = (0.5 - low) / (high - low);

	return exp(log(size_ns[i - 1]) + part * (log(size_ns[i]) - log(size_ns[i - 1])));
}

void metg_report(const struct metg *metg, struct jd_bench_state *state)
{
	char name[24];

	jd_bench_counter(state, "metg_ns", half_efficient(metg), JD_BENCH_PLAIN);
	for (int i = 0; i < METG_SIZES; i++) {
		snprintf(name, sizeof(name), "eff_%u", size_ns[i]);
		jd_bench_counter(state, name, metg->efficiency[i], JD_BENCH_PLAIN);
	}
}
