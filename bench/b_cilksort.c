/* b_cilksort.c - sorts 2 million integers by fork and join, with merges that are divided too. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"

/*
 * The sort that came with Cilk: quarters are sorted, pairs of them merged, and the two results. A
 * merge is divided where the middle of the longer part falls in the shorter one.
 */
enum {
	CILK_COUNT = 2 * 1000 * 1000,
	CILK_SERIAL = 2048, /* shorter pieces are not divided */
};

struct cilk_data {
	uint32_t *values;
	uint32_t *scratch;
};

struct sort {
	struct jd_fork_frame frame;
	uint32_t *values, *scratch;
	size_t count;
};

struct merge {
	struct jd_fork_frame frame;
	const uint32_t *a, *b;
	size_t a_count, b_count;
	uint32_t *out;
};

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left;
	uint32_t b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static void merge_plain(const struct merge *m)
{
	const uint32_t *a = m->a, *a_end = a + m->a_count;
	const uint32_t *b = m->b, *b_end = b + m->b_count;
	uint32_t *out = m->out;

	while (a < a_end && b < b_end)
		*out++ = *b < *a ? *b++ : *a++;
	memcpy(out, a, (size_t)(a_end - a) * sizeof(*a));
	memcpy(out + (a_end - a), b, (size_t)(b_end - b) * sizeof(*b));
}

/* How many of b are below the value. */
static size_t below(const uint32_t *b, size_t count, uint32_t value)
{
	size_t first = 0;

	while (count > 0) {
		size_t half = count / 2;

		if (b[first + half] < value) {
			first += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return first;
}

static void merge(struct jd_fork_point fork, const struct merge *m);

static void merge_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	merge(fork, jd_container_of(frame, struct merge, frame));
}

static void merge(struct jd_fork_point fork, const struct merge *m)
{
	if (m->a_count + m->b_count <= CILK_SERIAL) {
		merge_plain(m);
		return;
	}
	bool longer_a = m->a_count >= m->b_count;
	const uint32_t *a = longer_a ? m->a : m->b, *b = longer_a ? m->b : m->a;
	size_t a_count = longer_a ? m->a_count : m->b_count;
	size_t b_count = longer_a ? m->b_count : m->a_count;
	size_t i = a_count / 2, j = below(b, b_count, a[i]);
	struct merge low = {.a = a, .b = b, .a_count = i, .b_count = j, .out = m->out};
	struct merge high = {.a = a + i,
			     .b = b + j,
			     .a_count = a_count - i,
			     .b_count = b_count - j,
			     .out = m->out + i + j};

	merge(jd_fork(fork, &high.frame, merge_run), &low);
	jd_join_run(fork, &high.frame);
}

static void sort(struct jd_fork_point fork, const struct sort *s);

static void sort_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	sort(fork, jd_container_of(frame, struct sort, frame));
}

static void sort(struct jd_fork_point fork, const struct sort *s)
{
	size_t quarter = s->count / 4, half = 2 * quarter, rest = s->count - half;
	struct jd_fork_point at = fork;
	struct sort quarters[4];

	if (s->count <= CILK_SERIAL) {
		qsort(s->values, s->count, sizeof(*s->values), compare);
		return;
	}
	struct jd_fork_point points[4];

	for (size_t i = 0; i < 4; i++) {
		quarters[i].values = s->values + i * quarter;
		quarters[i].scratch = s->scratch + i * quarter;
		quarters[i].count = i < 3 ? quarter : s->count - 3 * quarter;
		points[i] = at;
		at = jd_fork(at, &quarters[i].frame, sort_run);
	}
	for (int i = 3; i >= 0; i--)
		jd_join_run(points[i], &quarters[i].frame);
	struct merge low = {.a = s->values,
			    .b = s->values + quarter,
			    .a_count = quarter,
			    .b_count = quarter,
			    .out = s->scratch};
	struct merge high = {.a = s->values + half,
			     .b = s->values + half + quarter,
			     .a_count = quarter,
			     .b_count = rest - quarter,
			     .out = s->scratch + half};

	merge(jd_fork(fork, &high.frame, merge_run), &low);
	jd_join_run(fork, &high.frame);
	struct merge both = {.a = s->scratch,
			     .b = s->scratch + half,
			     .a_count = half,
			     .b_count = rest,
			     .out = s->values};

	merge(fork, &both);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static bool cilk_setup(void *arg, struct jd_bench_state *state)
{
	struct cilk_data *data = arg;

	data->values = malloc(CILK_COUNT * sizeof(*data->values));
	data->scratch = malloc(CILK_COUNT * sizeof(*data->scratch));
	if (!data->values || !data->scratch)
		jd_bench_fail(state, "out of memory");
	return data->values && data->scratch;
}

/* A permutation of 0 .. CILK_COUNT - 1: the step has no factor in common with their number. */
static void cilk_reset(void *arg)
{
	struct cilk_data *data = arg;

	for (uint64_t i = 0; i < CILK_COUNT; i++)
		data->values[i] = (uint32_t)(i * 1618033 % CILK_COUNT);
}

static jd_status cilk_serial(void *arg)
{
	struct cilk_data *data = arg;

	qsort(data->values, CILK_COUNT, sizeof(*data->values), compare);
	return JD_OK;
}

static void cilk_body(struct jd_fork_point fork, void *arg)
{
	const struct cilk_data *data = arg;
	const struct sort all = {
		.values = data->values, .scratch = data->scratch, .count = CILK_COUNT};

	sort(fork, &all);
}

static jd_status cilk_parallel(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, cilk_body, arg);
}

static const char *cilk_check(void *arg)
{
	const struct cilk_data *data = arg;

	for (uint32_t i = 0; i < CILK_COUNT; i++)
		if (data->values[i] != i)
			return "not sorted";
	return NULL;
}

static void cilk_teardown(void *arg)
{
	struct cilk_data *data = arg;

	free(data->values);
	free(data->scratch);
}

void b_cilksort(void)
{
	static struct cilk_data data;
	static const struct bench_workload workload = {.name = "cilksort",
						       .ops = CILK_COUNT,
						       .runs = 1,
						       .forks = true,
						       .data = &data,
						       .setup = cilk_setup,
						       .reset = cilk_reset,
						       .serial = cilk_serial,
						       .parallel = cilk_parallel,
						       .check = cilk_check,
						       .teardown = cilk_teardown};

	bench_workload_add(&workload);
}
