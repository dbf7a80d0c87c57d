/* peer.h - what the programs of native contenders share: rows, and the small workloads. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_PEERS_PEER_H
#define JD_BENCH_PEERS_PEER_H

/*
 * A native contender is a program of its own that uses its library as the library's users do. Its
 * rows have the names, the sizes and the checks of ours, so that they stand side by side. It links
 * nothing of Jackdaw but the shim.
 */
#include <stdbool.h>
#include <stdint.h>

#include "bench/sizes.h"

#ifdef __cplusplus
extern "C" {
#endif

struct jd_bench_state;

/* Starts and stops whatever runs the work; not measured. */
struct peer {
	const char *name;
	void *(*start)(unsigned workers); /* NULL: it could not */
	void (*stop)(void *pool);
};

struct peer_row {
	const char *workload;
	double ops;   /* operations of one run */
	int64_t runs; /* see bench_runs; when several, one more before, not measured */
	/* One run. NULL: the answer is right. Else what is wrong. */
	const char *(*run)(void *pool);
	/* NULL, or: the run is not what is measured, this adds the time and sets the counters. */
	void (*report)(struct jd_bench_state *state);
	/* NULL, or: the same, where asking takes a while; not measured. */
	const char *(*check)(void);
};

/* Makes WORKLOAD/PEER/WORKERS for each number of workers; both must outlive the run. */
void peer_add(const struct peer *peer, const struct peer_row *row);

/*
 * For a pool whose interface is "call fn(arg) on a thread of yours": adds spawn, chain, yield,
 * yield_100, yield_1000, pingpong, inject1 to inject8 and wake. post must be callable from any
 * thread, also from inside a call.
 */
struct peer_post {
	struct peer base;
	bool (*post)(void *pool, void (*fn)(void *arg), void *arg); /* false: it could not */
	bool own_spawn; /* it has a better way to spawn from inside, and rows for that */
};
void peer_add_post(const struct peer_post *peer);

/* main() of a program; see jd_bench_main. */
int peer_main(int argc, char **argv);

/* --- Fork and join ---------------------------------------------------------------------------- */

enum {
	/* Smaller than our fib(40): a task costs most peers a hundred calls. The figure is the time
	 * of one fork in both. */
	PEER_FIB_N = 30,
	PEER_FIB_VALUE = 832040,
	PEER_FIB_FORKS = 1346268,
	SKYNET_WIDTH = 10,
	SKYNET_LEAVES = 1000 * 1000,
	SKYNET_TASKS = 1111110,
	LOOP_COUNT = 10 * 1000 * 1000,
	LOOP_GRAIN = 1000,
	LOOP_CHUNKS = LOOP_COUNT / LOOP_GRAIN,
	LOOP_SALT = 0x5bd1e995,
	QUEENS = 13,
	QUEENS_SOLUTIONS = 73712,
	QUEENS_NODES = 4674890
};

static inline uint32_t peer_loop_piece(uint32_t begin, uint32_t end)
{
	uint32_t sum = 0;

	for (uint32_t i = begin; i < end; i++)
		sum += i ^ (uint32_t)LOOP_SALT;
	return sum;
}

/* Of the row reduce, over the same numbers. */
static inline uint64_t peer_sum_piece(uint64_t begin, uint64_t end)
{
	uint64_t sum = 0;

	for (uint64_t i = begin; i < end; i++)
		sum += i ^ LOOP_SALT;
	return sum;
}

/* What is wrong with the sum of all of them. */
const char *peer_sum_check(uint64_t sum);

/* The sum of all pieces, and whether it is what it should be. */
const char *peer_loop_check(const uint32_t sums[LOOP_CHUNKS]);

static inline bool peer_queen_fits(const signed char *columns, int row, int column)
{
	for (int i = 0; i < row; i++) {
		int distance = columns[i] - column;

		if (distance == 0 || distance == row - i || distance == i - row)
			return false;
	}
	return true;
}

#ifdef __cplusplus
}
#endif

#endif
