/* metg.h - efficiency of a parallel loop over the size of its pieces, for every contender. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_METG_H
#define JD_BENCH_METG_H

/*
 * For each size a loop of so many pieces as fill METG_LOOP_NS serially is run in parallel.
 * Efficiency is the time of the steps alone over (workers x parallel time), both measured here;
 * METG(50 %) is the size at which it falls below a half, on a line between the two sizes around it
 * (Slaughter et al., Task Bench, SC 2020). A counter eff_<ns> for each size makes the curve.
 */
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct jd_bench_state;

enum {
	METG_LOOP_NS = 4 * 1000 * 1000,
	METG_SIZES = 9,
};

struct metg {
	uint8_t ran[METG_LOOP_NS / 10]; /* how often each piece was, by who runs it */
	uint64_t pieces;                /* of the current loop */
	uint32_t steps;                 /* of a piece */
	double efficiency[METG_SIZES];
	bool wrong; /* not every piece ran exactly once */
};

/* Runs pieces begin .. end - 1. */
void metg_run(struct metg *metg, uint64_t begin, uint64_t end);

/* Runs them all, 0 .. metg->pieces - 1, in parallel and one at a time. False: it could not. */
typedef bool metg_loop(struct metg *metg, void *arg);

/* All sizes. now: monotonic, ns. False: a loop could not be run. */
bool metg_sweep(struct metg *metg, unsigned workers, uint64_t (*now)(void), metg_loop *loop,
		void *arg);

/* Counters metg_ns and eff_*. */
void metg_report(const struct metg *metg, struct jd_bench_state *state);

#ifdef __cplusplus
}
#endif

#endif
