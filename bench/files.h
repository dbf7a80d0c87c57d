/* files.h - the list of workload files, in the order in which their rows run. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_FILES_H
#define JD_BENCH_FILES_H

/* Each b_<name>.c has one function b_<name>() that adds its rows. */
#ifdef JD_BENCH_PORTABLE
#include "bench/windows/lists.h"
#else
#define BENCH_FILES(X)  \
	X(uts)          \
	X(nqueens)      \
	X(nqueens_fork) \
	X(fib)          \
	X(skynet)       \
	X(parallel_for) \
	X(metg)         \
	X(reduce)       \
	X(matmul)       \
	X(cilksort)     \
	X(region)       \
	X(mergesort)    \
	X(wordcount)    \
	X(spawn)        \
	X(session)      \
	X(fan)          \
	X(batch)        \
	X(inject)       \
	X(pingpong)     \
	X(across)       \
	X(channel)      \
	X(mutex)        \
	X(wake)         \
	X(open_loop)    \
	X(cancel)       \
	X(fairness)     \
	X(blocking)     \
	X(startup)      \
	X(memory)       \
	X(idle)         \
	X(timer)        \
	X(timer_fire)   \
	X(test_step)
#endif

#define BENCH_DECLARE(name) void b_##name(void);
BENCH_FILES(BENCH_DECLARE)
#undef BENCH_DECLARE

#endif
