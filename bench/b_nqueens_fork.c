/* b_nqueens_fork.c - 13 queens by fork and join: a frame for every placement of a queen. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"

/*
 * The board is an array of columns that is copied for each placement, and a place is checked
 * against every queen above: the form in which fork/join systems have been compared for decades.
 * b_nqueens.c has the fast form.
 */
enum {
	FORK_QUEENS = 13,
	FORK_SOLUTIONS = 73712,
	FORK_NODES = 4674890, /* partial placements, the empty board among them */
};

struct count {
	uint64_t solutions;
	uint64_t nodes;
};

struct placement {
	struct jd_fork_frame frame;
	int rows;
	signed char columns[FORK_QUEENS];
	struct count count;
};

static bool fits(const signed char *columns, int row, int column)
{
	for (int i = 0; i < row; i++) {
		int distance = columns[i] - column;

		if (distance == 0 || distance == row - i || distance == i - row)
			return false;
	}
	return true;
}

static void place(struct placement *child, const signed char *columns, int rows, int column)
{
	memcpy(child->columns, columns, (size_t)rows);
	child->columns[rows] = (signed char)column;
	child->rows = rows + 1;
}

static void add(struct count *sum, const struct count *part)
{
	sum->solutions += part->solutions;
	sum->nodes += part->nodes;
}

static struct count queens(struct jd_fork_point fork, const signed char *columns, int rows);

static void queens_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct placement *p = jd_container_of(frame, struct placement, frame);

	p->count = queens(fork, p->columns, p->rows);
}

/* Begins a cache line: where a build happens to put it is worth a tenth. */
static __attribute__((aligned(64))) struct count queens(struct jd_fork_point fork,
							const signed char *columns, int rows)
{
	struct placement children[FORK_QUEENS];
	struct count sum = {rows == FORK_QUEENS, 1};
	int n = 0;

	if (rows == FORK_QUEENS)
		return sum;
	for (int column = 0; column < FORK_QUEENS; column++) {
		if (!fits(columns, rows, column))
			continue;
		place(&children[n], columns, rows, column);
		fork = jd_fork(fork, &children[n].frame, queens_run);
		n++;
	}
	while (n-- > 0) {
		struct placement *child = &children[n];

		fork = jd_fork_outer(fork);
		if (jd_join(fork, &child->frame))
			child->count = queens(fork, child->columns, rows + 1);
		add(&sum, &child->count);
	}
	return sum;
}

static struct count queens_plain(const signed char *columns, int rows)
{
	struct count sum = {rows == FORK_QUEENS, 1};
	struct placement child;

	if (rows == FORK_QUEENS)
		return sum;
	for (int column = 0; column < FORK_QUEENS; column++) {
		if (!fits(columns, rows, column))
			continue;
		place(&child, columns, rows, column);
		child.count = queens_plain(child.columns, child.rows);
		add(&sum, &child.count);
	}
	return sum;
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void queens_reset(void *arg)
{
	*(struct count *)arg = (struct count){0, 0};
}

static jd_status queens_serial(void *arg)
{
	const signed char none[FORK_QUEENS] = {0};

	*(struct count *)arg = queens_plain(none, 0);
	return JD_OK;
}

static void queens_body(struct jd_fork_point fork, void *arg)
{
	const signed char none[FORK_QUEENS] = {0};

	*(struct count *)arg = queens(fork, none, 0);
}

static jd_status queens_parallel(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, queens_body, arg);
}

static const char *queens_check(void *arg)
{
	const struct count *count = arg;

	if (count->solutions != FORK_SOLUTIONS)
		return "wrong number of solutions";
	return count->nodes == FORK_NODES ? NULL : "wrong number of placements";
}

void b_nqueens_fork(void)
{
	static struct count count;
	static const struct bench_workload workload = {.name = "nqueens_13_fork",
						       .ops = FORK_NODES,
						       .runs = 1,
						       .forks = true,
						       .data = &count,
						       .reset = queens_reset,
						       .serial = queens_serial,
						       .parallel = queens_parallel,
						       .check = queens_check};

	bench_workload_add(&workload);
}
