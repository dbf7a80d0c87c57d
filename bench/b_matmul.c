/* b_matmul.c - the product of two 512 x 512 matrices, divided into quarters by fork and join. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/matrix.h"
#include "bench/run.h"

struct quarter {
	struct jd_fork_frame frame;
	struct matrices *m;
	int row, column, side;
};

static void multiply(struct jd_fork_point fork, struct matrices *m, int row, int column, int side);

static void quarter_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct quarter *q = jd_container_of(frame, struct quarter, frame);

	multiply(fork, q->m, q->row, q->column, q->side);
}

static void multiply(struct jd_fork_point fork, struct matrices *m, int row, int column, int side)
{
	struct quarter quarters[4];
	struct jd_fork_point at[4];
	int half = side / 2;

	if (side == MATRIX_LEAF) {
		matrix_leaf(m, row, column);
		return;
	}
	for (int i = 0; i < 4; i++) {
		quarters[i].m = m;
		quarters[i].row = row + i / 2 * half;
		quarters[i].column = column + i % 2 * half;
		quarters[i].side = half;
		at[i] = fork;
		fork = jd_fork(fork, &quarters[i].frame, quarter_run);
	}
	for (int i = 3; i >= 0; i--)
		jd_join_run(at[i], &quarters[i].frame);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static bool matmul_setup(void *arg, struct jd_bench_state *state)
{
	(void)state;
	matrix_fill(arg);
	return true;
}

static void matmul_reset(void *arg)
{
	matrix_clear(arg);
}

static jd_status matmul_serial(void *arg)
{
	for (int i = 0; i < MATRIX_SIDE; i += MATRIX_LEAF)
		for (int j = 0; j < MATRIX_SIDE; j += MATRIX_LEAF)
			matrix_leaf(arg, i, j);
	return JD_OK;
}

static void matmul_body(struct jd_fork_point fork, void *arg)
{
	multiply(fork, arg, 0, 0, MATRIX_SIDE);
}

static jd_status matmul_parallel(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, matmul_body, arg);
}

static const char *matmul_check(void *arg)
{
	return matrix_check(arg);
}

void b_matmul(void)
{
	static struct matrices data;
	static const struct bench_workload workload = {.name = "matmul",
						       .ops = MATRIX_SUMS,
						       .runs = MATRIX_RUNS,
						       .forks = true,
						       .data = &data,
						       .setup = matmul_setup,
						       .reset = matmul_reset,
						       .serial = matmul_serial,
						       .parallel = matmul_parallel,
						       .check = matmul_check};

	bench_workload_add(&workload);
}
