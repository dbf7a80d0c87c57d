/* omp.c - OpenMP as a native contender; linked once with gcc's runtime and once with LLVM's. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <omp.h>
#include <string.h>

#include "bench/matrix.h"
#include "bench/metg.h"
#include "bench/peers/os.h"
#include "bench/peers/peer.h"
#include "bench/shim/jd_bench.h"
#include "bench/uts_tree.h"
#include "platform/atomic.h"

#ifndef PEER_OMP_NAME
#error "the name of the runtime, for example \"gomp\""
#endif

/* The team is OpenMP's own: what a region takes from here is how large it is. */
static void *start(unsigned workers)
{
	static int pool;

	omp_set_dynamic(0);
	omp_set_num_threads((int)workers);
	return &pool;
}

static void stop(void *pool)
{
	(void)pool;
}

/* --- spawn ------------------------------------------------------------------------------------ */

static const char *spawn_run(void *pool)
{
	_Atomic(uint64_t) ran = 0;

	(void)pool;
#pragma omp parallel
#pragma omp single
	for (int wave = 0; wave < SPAWN_COUNT / SPAWN_WAVE; wave++) {
		for (int i = 0; i < SPAWN_WAVE; i++) {
#pragma omp task shared(ran)
			atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
		}
#pragma omp taskwait
	}
	return atomic_load_explicit(&ran, memory_order_relaxed) == SPAWN_COUNT
		       ? NULL
		       : "not every task ran exactly once";
}

static const char *spawn_join_run(void *pool)
{
	_Atomic(uint64_t) ran = 0;

	(void)pool;
#pragma omp parallel
#pragma omp single
	for (int i = 0; i < JOIN_COUNT; i++) {
#pragma omp task shared(ran)
		atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
#pragma omp taskwait
	}
	return atomic_load_explicit(&ran, memory_order_relaxed) == JOIN_COUNT
		       ? NULL
		       : "not every task ran exactly once";
}

/* --- fib, skynet, nqueens --------------------------------------------------------------------- */

static long fib(int n)
{
	long a, b;

	if (n < 2)
		return n;
#pragma omp task shared(a)
	a = fib(n - 1);
	b = fib(n - 2);
#pragma omp taskwait
	return a + b;
}

static const char *fib_run(void *pool)
{
	long value = 0;

	(void)pool;
#pragma omp parallel
#pragma omp single
	value = fib(PEER_FIB_N);
	return value == PEER_FIB_VALUE ? NULL : "wrong value";
}

static uint64_t skynet(uint64_t first, uint64_t size)
{
	uint64_t sums[SKYNET_WIDTH], sum = 0;

	if (size == 1)
		return first;
	uint64_t part = size / SKYNET_WIDTH;

	for (uint64_t i = 0; i < SKYNET_WIDTH; i++) {
#pragma omp task shared(sums)
		sums[i] = skynet(first + i * part, part);
	}
#pragma omp taskwait
	for (int i = 0; i < SKYNET_WIDTH; i++)
		sum += sums[i];
	return sum;
}

static const char *skynet_run(void *pool)
{
	const uint64_t n = SKYNET_LEAVES;
	uint64_t sum = 0;

	(void)pool;
#pragma omp parallel
#pragma omp single
	sum = skynet(0, n);
	return sum == n * (n - 1) / 2 ? NULL : "wrong sum";
}

struct board {
	signed char columns[QUEENS];
};

static uint64_t queens(const struct board *above, int row)
{
	uint64_t counts[QUEENS] = {0}, sum = 0;

	if (row == QUEENS)
		return 1;
	for (int column = 0; column < QUEENS; column++) {
		if (!peer_queen_fits(above->columns, row, column))
			continue;
		struct board board = *above;

		board.columns[row] = (signed char)column;
#pragma omp task shared(counts) firstprivate(board)
		counts[column] = queens(&board, row + 1);
	}
#pragma omp taskwait
	for (int i = 0; i < QUEENS; i++)
		sum += counts[i];
	return sum;
}

static const char *queens_run(void *pool)
{
	static const struct board none;
	uint64_t solutions = 0;

	(void)pool;
#pragma omp parallel
#pragma omp single
	solutions = queens(&none, 0);
	return solutions == QUEENS_SOLUTIONS ? NULL : "wrong number of solutions";
}

/* --- parallel_for ----------------------------------------------------------------------------- */

static uint32_t sums[LOOP_CHUNKS];

static const char *loop_run(void *pool)
{
	(void)pool;
	memset(sums, 0, sizeof(sums));
#pragma omp parallel for schedule(dynamic, 1)
	for (int chunk = 0; chunk < LOOP_CHUNKS; chunk++)
		sums[chunk] += peer_loop_piece((uint32_t)chunk * LOOP_GRAIN,
					       ((uint32_t)chunk + 1) * LOOP_GRAIN);
	return peer_loop_check(sums);
}

/* --- uts, reduce, matmul, metg ---------------------------------------------------------------- */

enum {
	THREADS_MAX = 1024 /* as many as bench_workers allows */
};

/* Of each thread, on a cache line of its own. */
static struct {
	_Alignas(64) struct uts_count count;
} counted[THREADS_MAX];

/* The last child by itself, the others as tasks. */
static void search(const struct uts_tree *tree, const struct uts_node *node)
{
	int children = uts_children(tree, node);
	struct uts_node child;

	uts_count_node(&counted[omp_get_thread_num()].count, node, children);
	if (children == 0)
		return;
	for (int i = 0; i < children - 1; i++) {
		uts_child(node, i, &child);
#pragma omp task firstprivate(child)
		search(tree, &child);
	}
	uts_child(node, children - 1, &child);
	search(tree, &child);
#pragma omp taskwait
}

static const char *uts_run(const struct uts_tree *tree)
{
	struct uts_count sum = {0, 0, 0};
	struct uts_node root;

	memset(counted, 0, sizeof(counted));
	uts_root(tree, &root);
#pragma omp parallel
#pragma omp single
	search(tree, &root);
	for (int i = 0; i < THREADS_MAX; i++)
		uts_add(&sum, &counted[i].count);
	return uts_wrong(tree, &sum);
}

static const char *uts_t1_run(void *pool)
{
	(void)pool;
	return uts_run(&uts_t1);
}

static const char *uts_t3_run(void *pool)
{
	(void)pool;
	return uts_run(&uts_t3);
}

static const char *reduce_run(void *pool)
{
	uint64_t sum = 0;

	(void)pool;
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : sum)
	for (int chunk = 0; chunk < LOOP_CHUNKS; chunk++)
		sum += peer_sum_piece((uint64_t)chunk * LOOP_GRAIN,
				      ((uint64_t)chunk + 1) * LOOP_GRAIN);
	return peer_sum_check(sum);
}

static struct matrices matrices;

static void multiply(int row, int column, int side)
{
	int half = side / 2;

	if (side == MATRIX_LEAF) {
		matrix_leaf(&matrices, row, column);
		return;
	}
	for (int i = 0; i < 4; i++) {
#pragma omp task
		multiply(row + i / 2 * half, column + i % 2 * half, half);
	}
#pragma omp taskwait
}

static const char *matmul_run(void *pool)
{
	(void)pool;
#pragma omp parallel
#pragma omp single
	multiply(0, 0, MATRIX_SIDE);
	return NULL;
}

static const char *matmul_check(void)
{
	const char *wrong = matrix_check(&matrices);

	matrix_clear(&matrices);
	return wrong;
}

static struct metg sweep;
static double sweep_s;

static bool sweep_loop(struct metg *metg, void *arg)
{
	(void)arg;
#pragma omp parallel for schedule(dynamic, 1)
	for (uint64_t piece = 0; piece < metg->pieces; piece++)
		metg_run(metg, piece, piece + 1);
	return true;
}

static const char *sweep_run(void *pool)
{
	(void)pool;
	uint64_t start = peer_now();

	metg_sweep(&sweep, (unsigned)omp_get_max_threads(), peer_now, sweep_loop, NULL);
	sweep_s = (double)(peer_now() - start) * 1e-9;
	return sweep.wrong ? "not every piece ran exactly once" : NULL;
}

static void sweep_report(struct jd_bench_state *state)
{
	jd_bench_add_time(state, sweep_s);
	metg_report(&sweep, state);
}

int main(int argc, char **argv)
{
	static const struct peer omp = {PEER_OMP_NAME, start, stop};
	static const struct peer_row rows[] = {
		{"spawn", SPAWN_COUNT, 8, spawn_run, NULL, NULL},
		{"spawn_join", JOIN_COUNT, 8, spawn_join_run, NULL, NULL},
		{"fib", PEER_FIB_FORKS, 2, fib_run, NULL, NULL},
		{"skynet", SKYNET_TASKS, 2, skynet_run, NULL, NULL},
		{"nqueens_13_fork", QUEENS_NODES, 1, queens_run, NULL, NULL},
		{"uts_t1_fork", 4130071, 1, uts_t1_run, NULL, NULL},
		{"uts_t3_fork", 4112897, 1, uts_t3_run, NULL, NULL},
		{"parallel_for", LOOP_CHUNKS, 50, loop_run, NULL, NULL},
		{"metg", 1, 1, sweep_run, sweep_report, NULL},
		{"reduce", LOOP_CHUNKS, 20, reduce_run, NULL, NULL},
		{"matmul", MATRIX_SUMS, MATRIX_RUNS, matmul_run, NULL, matmul_check},
	};

	matrix_fill(&matrices);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		peer_add(&omp, &rows[i]);
	return peer_main(argc, argv);
}
