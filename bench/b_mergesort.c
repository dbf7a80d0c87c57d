/* b_mergesort.c - sorts 10 million integers: memory traffic, joins in two stages a level. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"

/*
 * A task sorts its range: it spawns a task for each half, awaits both, then merges, in pieces that
 * are tasks too, so that the last merges do not run on one worker. The input is a permutation of
 * 0 .. n-1, hence the answer is known: element i is i.
 */
enum {
	SORT_COUNT = 10 * 1000 * 1000,
	SORT_CUTOFF = 16 * 1024, /* elements that one task sorts alone */
	SORT_PIECE = 128 * 1024, /* elements that one task merges */
	SORT_INSERTION = 24,
};

struct sort_data {
	struct bench_run run;
	uint32_t *input;
	uint32_t *values;
	uint32_t *scratch;
};

/* --- Serial parts ----------------------------------------------------------------------------- */

static void insertion_sort(uint32_t *values, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		uint32_t value = values[i];
		size_t at = i;

		for (; at > 0 && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

static void merge(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count,
		  uint32_t *out)
{
	const uint32_t *a_end = a + a_count;
	const uint32_t *b_end = b + b_count;

	while (a < a_end && b < b_end)
		*out++ = *b < *a ? *b++ : *a++;
	memcpy(out, a, (size_t)(a_end - a) * sizeof(*a));
	memcpy(out + (a_end - a), b, (size_t)(b_end - b) * sizeof(*b));
}

/* Sorts values; the result is in values, or in scratch if into_scratch. */
static void sort_serial(uint32_t *values, uint32_t *scratch, size_t count, bool into_scratch)
{
	size_t half = count / 2;

	if (count <= SORT_INSERTION) {
		insertion_sort(values, count);
		if (into_scratch)
			memcpy(scratch, values, count * sizeof(*values));
		return;
	}
	sort_serial(values, scratch, half, !into_scratch);
	sort_serial(values + half, scratch + half, count - half, !into_scratch);
	const uint32_t *from = into_scratch ? values : scratch;

	merge(from, half, from + half, count - half, into_scratch ? scratch : values);
}

/*
 * How many of the first `rank` elements of the merged sequence come from a (ties from a first): the
 * smallest i such that a[i] comes after b[rank - i - 1].
 */
static size_t split_rank(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count,
			 size_t rank)
{
	size_t low = rank > b_count ? rank - b_count : 0;
	size_t high = rank < a_count ? rank : a_count;

	while (low < high) {
		size_t i = low + (high - low) / 2;

		if (a[i] > b[rank - i - 1])
			high = i;
		else
			low = i + 1;
	}
	return low;
}

/* --- Tasks ------------------------------------------------------------------------------------ */

struct merge_task {
	struct jd_future base;
	struct bench_join *join;
	const uint32_t *a;
	const uint32_t *b;
	uint32_t *out;
	size_t a_count;
	size_t b_count;
};

static jd_status merge_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct merge_task *task = jd_container_of(future, struct merge_task, base);

	(void)context;
	(void)result;
	merge(task->a, task->a_count, task->b, task->b_count, task->out);
	bench_join_finish(task->join);
	return JD_OK;
}

static const struct jd_future_ops merge_ops = {.poll = merge_poll,
					       .size = sizeof(struct merge_task)};

struct sort_task {
	struct jd_future base;
	struct sort_data *data;
	struct bench_join *parent;
	struct bench_join join;
	size_t first;
	size_t count;
	bool into_scratch;
	enum {
		SORT_NEW,
		SORT_HALVES,
		SORT_MERGES
	} stage;
};

static jd_status sort_poll(struct jd_future *future, struct jd_context *context, void *result);

static const struct jd_future_ops sort_ops = {.poll = sort_poll, .size = sizeof(struct sort_task)};

/* A child that cannot be spawned gives its part up at once; the run has failed then. */
static void spawn_child(struct sort_task *task, struct jd_scheduler *scheduler,
			struct jd_future *child)
{
	bench_join_add(&task->join, 1);
	jd_status status = jd_spawn(scheduler, child, NULL);

	if (status != JD_OK) {
		bench_run_error(&task->data->run, status);
		bench_join_finish(&task->join);
	}
}

static void spawn_halves(struct sort_task *task, struct jd_context *context)
{
	size_t half = task->count / 2;
	struct sort_task low = {.base = {&sort_ops},
				.data = task->data,
				.parent = &task->join,
				.first = task->first,
				.count = half,
				.into_scratch = !task->into_scratch};
	struct sort_task high = low;

	high.first += half;
	high.count = task->count - half;
	bench_join_init(&task->join, context->waker);
	spawn_child(task, context->scheduler, &low.base);
	spawn_child(task, context->scheduler, &high.base);
	bench_join_leave(&task->join);
}

static void spawn_merges(struct sort_task *task, struct jd_context *context)
{
	struct sort_data *data = task->data;
	uint32_t *from = (task->into_scratch ? data->values : data->scratch) + task->first;
	uint32_t *to = (task->into_scratch ? data->scratch : data->values) + task->first;
	size_t half = task->count / 2;
	const uint32_t *a = from;
	const uint32_t *b = from + half;
	size_t a_done = 0;

	bench_join_init(&task->join, context->waker);
	for (size_t done = 0; done < task->count;) {
		size_t end = done + SORT_PIECE < task->count ? done + SORT_PIECE : task->count;
		size_t a_end = split_rank(a, half, b, task->count - half, end);
		struct merge_task piece = {.base = {&merge_ops},
					   .join = &task->join,
					   .a = a + a_done,
					   .a_count = a_end - a_done,
					   .b = b + (done - a_done),
					   .b_count = (end - a_end) - (done - a_done),
					   .out = to + done};

		spawn_child(task, context->scheduler, &piece.base);
		done = end;
		a_done = a_end;
	}
	bench_join_leave(&task->join);
}

static jd_status sort_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct sort_task *task = jd_container_of(future, struct sort_task, base);

	(void)result;
	if (task->count <= SORT_CUTOFF) {
		sort_serial(task->data->values + task->first, task->data->scratch + task->first,
			    task->count, task->into_scratch);
		bench_join_finish(task->parent);
		return JD_OK;
	}
	if (task->stage == SORT_NEW) {
		task->stage = SORT_HALVES;
		spawn_halves(task, context);
	}
	if (!bench_join_done(&task->join))
		return JD_PENDING;
	if (task->stage == SORT_HALVES) {
		task->stage = SORT_MERGES;
		spawn_merges(task, context);
		if (!bench_join_done(&task->join))
			return JD_PENDING;
	}
	bench_join_finish(task->parent);
	return JD_OK;
}

static void sort_start(struct bench_run *run, struct jd_scheduler *scheduler, void *arg)
{
	struct sort_task root = {
		.base = {&sort_ops}, .data = arg, .parent = &run->join, .count = SORT_COUNT};

	bench_run_spawn(run, scheduler, &root.base);
}

/* --- Fork and join ---------------------------------------------------------------------------- */

/* "mergesort_10m_fork": the same sort and the same pieces. */
struct merge_loop {
	const uint32_t *a;
	const uint32_t *b;
	uint32_t *out;
	size_t a_count;
	size_t b_count;
};

static void merge_piece(void *arg, uint64_t begin, uint64_t end)
{
	const struct merge_loop *m = arg;
	size_t a_begin = split_rank(m->a, m->a_count, m->b, m->b_count, begin);
	size_t a_end = split_rank(m->a, m->a_count, m->b, m->b_count, end);

	merge(m->a + a_begin, a_end - a_begin, m->b + (begin - a_begin),
	      (end - a_end) - (begin - a_begin), m->out + begin);
}

struct sort_frame {
	struct jd_fork_frame frame;
	uint32_t *values;
	uint32_t *scratch;
	size_t count;
	bool into_scratch;
};

static void sort_fork(struct jd_fork_point fork, uint32_t *values, uint32_t *scratch, size_t count,
		      bool into_scratch);

static void sort_frame_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct sort_frame *f = jd_container_of(frame, struct sort_frame, frame);

	sort_fork(fork, f->values, f->scratch, f->count, f->into_scratch);
}

static void sort_fork(struct jd_fork_point fork, uint32_t *values, uint32_t *scratch, size_t count,
		      bool into_scratch)
{
	size_t half = count / 2;

	if (count <= SORT_CUTOFF) {
		sort_serial(values, scratch, count, into_scratch);
		return;
	}
	struct sort_frame high = {.values = values + half,
				  .scratch = scratch + half,
				  .count = count - half,
				  .into_scratch = !into_scratch};
	struct jd_fork_point inner = jd_fork(fork, &high.frame, sort_frame_run);

	sort_fork(inner, values, scratch, half, !into_scratch);
	jd_join_run(fork, &high.frame);
	const uint32_t *from = into_scratch ? values : scratch;
	struct merge_loop m = {.a = from,
			       .b = from + half,
			       .out = into_scratch ? scratch : values,
			       .a_count = half,
			       .b_count = count - half};

	jd_parallel_for(fork, 0, count, SORT_PIECE, merge_piece, &m);
}

static void sort_body(struct jd_fork_point fork, void *arg)
{
	struct sort_data *data = arg;

	sort_fork(fork, data->values, data->scratch, SORT_COUNT, false);
}

static jd_status sort_run_fork(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, sort_body, arg);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void shuffle(uint32_t *values, size_t count)
{
	uint64_t x = 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < count; i++)
		values[i] = (uint32_t)i;
	for (size_t i = count - 1; i > 0; i--) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		size_t j = (size_t)((x >> 32) * (i + 1) >> 32);
		uint32_t value = values[i];

		values[i] = values[j];
		values[j] = value;
	}
}

static void sort_teardown(void *arg)
{
	struct sort_data *data = arg;

	free(data->input);
	free(data->values);
	free(data->scratch);
	*data = (struct sort_data){.input = NULL};
}

static bool sort_setup(void *arg, struct jd_bench_state *state)
{
	struct sort_data *data = arg;
	size_t bytes = SORT_COUNT * sizeof(uint32_t);

	data->input = malloc(bytes);
	data->values = malloc(bytes);
	data->scratch = malloc(bytes);
	if (!data->input || !data->values || !data->scratch) {
		jd_bench_fail(state, "no memory for the arrays");
		return false;
	}
	shuffle(data->input, SORT_COUNT);
	memset(data->scratch, 0, bytes);
	return true;
}

static void sort_reset(void *arg)
{
	struct sort_data *data = arg;

	memcpy(data->values, data->input, SORT_COUNT * sizeof(uint32_t));
}

static jd_status sort_run_serial(void *arg)
{
	struct sort_data *data = arg;

	sort_serial(data->values, data->scratch, SORT_COUNT, false);
	return JD_OK;
}

static jd_status sort_run_parallel(void *arg, struct jd_scheduler *scheduler)
{
	struct sort_data *data = arg;

	return bench_run_block(&data->run, scheduler, sort_start, data);
}

static const char *sort_check(void *arg)
{
	const struct sort_data *data = arg;

	for (uint32_t i = 0; i < SORT_COUNT; i++)
		if (data->values[i] != i)
			return "not sorted";
	return NULL;
}

void b_mergesort(void)
{
	static struct sort_data data;
	static const struct bench_workload workload = {.name = "mergesort_10m",
						       .ops = SORT_COUNT,
						       .runs = 1,
						       .data = &data,
						       .setup = sort_setup,
						       .teardown = sort_teardown,
						       .reset = sort_reset,
						       .serial = sort_run_serial,
						       .parallel = sort_run_parallel,
						       .check = sort_check};

	static const struct bench_workload fork = {.name = "mergesort_10m_fork",
						   .ops = SORT_COUNT,
						   .runs = 1,
						   .forks = true,
						   .data = &data,
						   .setup = sort_setup,
						   .teardown = sort_teardown,
						   .reset = sort_reset,
						   .parallel = sort_run_fork,
						   .check = sort_check};

	bench_workload_add(&workload);
	bench_workload_add(&fork);
}
