/* sizes.h - how much a run of the small workloads does: the same for every contender. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_SIZES_H
#define JD_BENCH_SIZES_H

enum {
	SPAWN_COUNT = 250 * 1000,
	SPAWN_WAVE = 1000, /* more at once would measure the first touch of fresh memory */
	JOIN_COUNT = 125 * 1000,
	CHAIN_COUNT = 250 * 1000,
	YIELD_COUNT = 250 * 1000,
	YIELD_TASKS = 100,   /* of the row where some give way to each other */
	STORM_TASKS = 1000,  /* where many do */
	STORM_YIELDS = 1000, /* of each */

	INJECT_COUNT = 200 * 1000,
	INJECT_THREADS_MAX = 8,

	PINGPONG_HOPS = 200 * 1000,

	MPSC_ITEMS = 400 * 1000,
	MPSC_SENDERS = 4,
	MPSC_CAPACITY = 256,

	MUTEX_LOCKS = 400 * 1000,
	MUTEX_TASKS = 8,

	WAKE_SAMPLES = 3000,
	WAKE_QUICK = 250,
	WAKE_GAP_US = 1000, /* between two: every worker has gone to sleep by then */
	WAKE_OFTEN_SAMPLES = 20 * 1000,
	WAKE_OFTEN_QUICK = 2000,
	WAKE_OFTEN_GAP_US = 10 /* about what a wake-up costs */
};

#endif
