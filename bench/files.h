/* files.h - the list of workload files, in the order in which their rows run. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_FILES_H
#define JD_BENCH_FILES_H

/*
 * Each b_<name>.c has one function b_<name>() that adds its rows. Those in BENCH_POSIX are not for
 * Windows: they need a library or a system that is not there.
 */
#ifdef JD_BENCH_PORTABLE
#define BENCH_POSIX(X, name)
#else
#define BENCH_POSIX(X, name) X(name)
#endif

#define BENCH_FILES(X)             \
	BENCH_POSIX(X, uts)        \
	X(nqueens)                 \
	X(nqueens_fork)            \
	X(fib)                     \
	X(skynet)                  \
	X(parallel_for)            \
	X(metg)                    \
	X(reduce)                  \
	X(matmul)                  \
	X(cilksort)                \
	X(region)                  \
	X(mergesort)               \
	BENCH_POSIX(X, wordcount)  \
	X(spawn)                   \
	X(session)                 \
	X(fan)                     \
	X(batch)                   \
	X(inject)                  \
	X(pingpong)                \
	X(across)                  \
	X(channel)                 \
	X(mutex)                   \
	BENCH_POSIX(X, wake)       \
	BENCH_POSIX(X, open_loop)  \
	X(cancel)                  \
	X(fairness)                \
	X(blocking)                \
	X(startup)                 \
	BENCH_POSIX(X, memory)     \
	BENCH_POSIX(X, idle)       \
	X(timer)                   \
	BENCH_POSIX(X, timer_fire) \
	BENCH_POSIX(X, test_step)

#define BENCH_DECLARE(name) void b_##name(void);
BENCH_FILES(BENCH_DECLARE)
#undef BENCH_DECLARE

#endif
