/* b_nqueens.c - n queens: a bushy tree of very small steps, counted exhaustively. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/run.h"

/*
 * "nqueens_12": a task for each placement of the first rows, which searches the rest serially.
 * "nqueens_12_node": a task for each placement of any number of rows.
 */
enum {
	QUEENS = 12,
	QUEENS_SOLUTIONS = 14200,
	QUEENS_NODES = 856189, /* partial placements, the empty board among them */
	QUEENS_CUTOFF = 4,     /* rows */
};

#define QUEENS_ALL ((1u << QUEENS) - 1)

struct queens_data {
	int cutoff;
	struct bench_run run;
	_Atomic(uint64_t) solutions; /* A */
	_Atomic(uint64_t) nodes;     /* A */
};

/* Rows are filled from the top; the masks say which columns of the next row are attacked. */
struct board {
	uint32_t columns;
	uint32_t left;
	uint32_t right;
	int row;
};

struct queens_count {
	uint64_t solutions;
	uint64_t nodes;
};

static inline struct board place(const struct board *board, uint32_t bit)
{
	return (struct board){board->columns | bit, (board->left | bit) << 1,
			      (board->right | bit) >> 1, board->row + 1};
}

static inline uint32_t free_columns(const struct board *board)
{
	return QUEENS_ALL & ~(board->columns | board->left | board->right);
}

static void search(const struct board *board, struct queens_count *count)
{
	count->nodes++;
	if (board->row == QUEENS) {
		count->solutions++;
		return;
	}
	for (uint32_t free = free_columns(board); free; free &= free - 1) {
		struct board next = place(board, free & -free);

		search(&next, count);
	}
}

static void add_count(struct queens_data *data, const struct queens_count *count)
{
	/* The join that follows makes these visible to who reads the answer. */
	atomic_fetch_add_explicit(&data->nodes, count->nodes, memory_order_relaxed);
	if (count->solutions)
		atomic_fetch_add_explicit(&data->solutions, count->solutions, memory_order_relaxed);
}

/* --- Tasks ------------------------------------------------------------------------------------ */

struct queens_task {
	struct jd_future base;
	struct queens_data *data;
	struct board board;
};

static jd_status queens_poll(struct jd_future *future, struct jd_context *context, void *result);

static const struct jd_future_ops queens_ops = {.poll = queens_poll,
						.size = sizeof(struct queens_task)};

static void spawn_children(const struct queens_task *task, struct jd_scheduler *scheduler)
{
	const struct board *board = &task->board;

	for (uint32_t free = free_columns(board); free; free &= free - 1) {
		struct queens_task child = {{&queens_ops}, task->data, place(board, free & -free)};

		bench_run_spawn(&task->data->run, scheduler, &child.base);
	}
}

static jd_status queens_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct queens_task *task = jd_container_of(future, struct queens_task, base);
	struct queens_count count = {0, 0};

	(void)result;
	if (task->board.row < task->data->cutoff) {
		count.nodes = 1;
		spawn_children(task, context->scheduler);
	} else {
		search(&task->board, &count);
	}
	add_count(task->data, &count);
	bench_join_finish(&task->data->run.join);
	return JD_OK;
}

static void queens_start(struct bench_run *run, struct jd_scheduler *scheduler, void *arg)
{
	struct queens_task root = {{&queens_ops}, arg, {0, 0, 0, 0}};

	bench_run_spawn(run, scheduler, &root.base);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void queens_reset(void *arg)
{
	struct queens_data *data = arg;

	atomic_store_explicit(&data->solutions, 0, memory_order_relaxed);
	atomic_store_explicit(&data->nodes, 0, memory_order_relaxed);
}

static jd_status queens_serial(void *arg)
{
	struct queens_count count = {0, 0};
	const struct board empty = {0, 0, 0, 0};

	search(&empty, &count);
	add_count(arg, &count);
	return JD_OK;
}

static jd_status queens_parallel(void *arg, struct jd_scheduler *scheduler)
{
	struct queens_data *data = arg;

	return bench_run_block(&data->run, scheduler, queens_start, data);
}

static const char *queens_check(void *arg)
{
	struct queens_data *data = arg;

	if (atomic_load_explicit(&data->solutions, memory_order_relaxed) != QUEENS_SOLUTIONS)
		return "wrong number of solutions";
	if (atomic_load_explicit(&data->nodes, memory_order_relaxed) != QUEENS_NODES)
		return "wrong number of placements";
	return NULL;
}

void b_nqueens(void)
{
	static struct queens_data few = {.cutoff = QUEENS_CUTOFF};
	static struct queens_data many = {.cutoff = QUEENS};
	static const struct bench_workload workload_few = {.name = "nqueens_12",
							   .ops = QUEENS_NODES,
							   .runs = 20,
							   .data = &few,
							   .reset = queens_reset,
							   .serial = queens_serial,
							   .parallel = queens_parallel,
							   .check = queens_check};
	static const struct bench_workload workload_many = {.name = "nqueens_12_node",
							    .ops = QUEENS_NODES,
							    .runs = 2,
							    .data = &many,
							    .reset = queens_reset,
							    .parallel = queens_parallel,
							    .check = queens_check};

	bench_workload_add(&workload_few);
	bench_workload_add(&workload_many);
}
