/* b_matmul.c - the product of two 512 x 512 matrices, divided into quarters by fork and join. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"

enum {
	SIDE = 512,
	LEAF = 64, /* side of a block of the result that is not divided */
};

/* Small whole numbers, so that every sum is exact in whatever order. */
struct matrices {
	float a[SIDE][SIDE];
	float b[SIDE][SIDE];
	float c[SIDE][SIDE];
};

struct quarter {
	struct jd_fork_frame frame;
	struct matrices *m;
	int row, column, side;
};

static void leaf(struct matrices *m, int row, int column)
{
	for (int k = 0; k < SIDE; k++) {
		for (int i = row; i < row + LEAF; i++) {
			const float a = m->a[i][k];

			for (int j = column; j < column + LEAF; j++)
				m->c[i][j] += a * m->b[k][j];
		}
	}
}

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

	if (side == LEAF) {
		leaf(m, row, column);
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
	struct matrices *m = malloc(sizeof(*m));

	*(struct matrices **)arg = m;
	if (!m) {
		jd_bench_fail(state, "out of memory");
		return false;
	}
	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++) {
			m->a[i][j] = (float)((i * 7 + j * 3) % 11 - 5);
			m->b[i][j] = (float)((i * 5 + j * 2) % 13 - 6);
		}
	}
	return true;
}

static void matmul_reset(void *arg)
{
	struct matrices *m = *(struct matrices **)arg;

	memset(m->c, 0, sizeof(m->c));
}

static jd_status matmul_serial(void *arg)
{
	for (int i = 0; i < SIDE; i += LEAF)
		for (int j = 0; j < SIDE; j += LEAF)
			leaf(*(struct matrices **)arg, i, j);
	return JD_OK;
}

static void matmul_body(struct jd_fork_point fork, void *arg)
{
	multiply(fork, *(struct matrices **)arg, 0, 0, SIDE);
}

static jd_status matmul_parallel(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, matmul_body, arg);
}

/* c x = a (b x) for a vector x (Freivalds 1977). */
static const char *matmul_check(void *arg)
{
	const struct matrices *m = *(struct matrices **)arg;
	double bx[SIDE] = {0};

	for (int i = 0; i < SIDE; i++)
		for (int j = 0; j < SIDE; j++)
			bx[i] += (double)m->b[i][j] * (j * 17 % 101);
	for (int i = 0; i < SIDE; i++) {
		double left = 0, right = 0;

		for (int j = 0; j < SIDE; j++) {
			left += (double)m->c[i][j] * (j * 17 % 101);
			right += (double)m->a[i][j] * bx[j];
		}
		if (left != right)
			return "wrong product";
	}
	return NULL;
}

static void matmul_teardown(void *arg)
{
	free(*(struct matrices **)arg);
}

void b_matmul(void)
{
	static struct matrices *data;
	static const struct bench_workload workload = {.name = "matmul",
						       .ops = (double)SIDE * SIDE * SIDE,
						       .runs = 4,
						       .forks = true,
						       .data = &data,
						       .setup = matmul_setup,
						       .reset = matmul_reset,
						       .serial = matmul_serial,
						       .parallel = matmul_parallel,
						       .check = matmul_check,
						       .teardown = matmul_teardown};

	bench_workload_add(&workload);
}
