/* lists.h - the workload files and the contenders of the Windows build; see CMakeLists.txt here. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_WINDOWS_LISTS_H
#define JD_BENCH_WINDOWS_LISTS_H

/* In place of those in bench/files.h and bench/run.h. */
#define BENCH_FILES(X)  \
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
	X(spawn)        \
	X(session)      \
	X(fan)          \
	X(batch)        \
	X(inject)       \
	X(pingpong)     \
	X(across)       \
	X(channel)      \
	X(mutex)        \
	X(cancel)       \
	X(fairness)     \
	X(blocking)     \
	X(startup)      \
	X(timer)

#define BENCH_CONTENDERS(X) X(ws) X(winpool)

#endif
