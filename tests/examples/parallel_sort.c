/* parallel_sort.c - example: a merge sort by fork and join, in production and under seeds. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jackdaw/fork.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/ws_scheduler.h>

/*
 * sort() knows nothing of schedulers: it is handed the point where it may fork. Both halves are
 * sorted at once, and so are both halves of the merge: without the latter the last merge, of all
 * items, would be done by one thread.
 */
enum {
	SORT_SERIAL = 64,   /* fewer are sorted by insertion */
	MERGE_SERIAL = 512, /* fewer are merged by one thread */
};

/* --- Merging: *a and *b, each sorted, into out; equal ones of a first ------------------------- */

struct run {
	const uint32_t *items;
	size_t n;
};

struct merge {
	struct jd_fork_frame frame;
	struct run a, b;
	uint32_t *out;
};

static void merge(struct jd_fork_point fork, struct run a, struct run b, uint32_t *out);

static void merge_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct merge *m = jd_container_of(frame, struct merge, frame);

	merge(fork, m->a, m->b, m->out);
}

static void merge_serial(struct run a, struct run b, uint32_t *out)
{
	while (a.n && b.n) {
		struct run *from = *b.items < *a.items ? &b : &a;

		*out++ = *from->items++;
		from->n--;
	}
	/* One of the two is empty. */
	if (a.n)
		memcpy(out, a.items, a.n * sizeof(*out));
	if (b.n)
		memcpy(out, b.items, b.n * sizeof(*out));
}

/* How many items are less than key or, with `equal`, not greater. */
static size_t count_before(struct run run, uint32_t key, bool equal)
{
	size_t low = 0, high = run.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (run.items[middle] < key || (equal && run.items[middle] == key))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void merge(struct jd_fork_point fork, struct run a, struct run b, uint32_t *out)
{
	if (a.n + b.n <= MERGE_SERIAL) {
		merge_serial(a, b, out);
		return;
	}
	/* The longer one is cut in the middle, the other where that item belongs. */
	size_t in_a = a.n / 2, in_b = b.n / 2;

	if (a.n >= b.n)
		in_b = count_before(b, a.items[in_a], false);
	else
		in_a = count_before(a, b.items[in_b], true);
	struct merge right = {
		.a = {a.items + in_a, a.n - in_a},
		.b = {b.items + in_b, b.n - in_b},
		.out = out + in_a + in_b,
	};
	struct jd_fork_point inner = jd_fork(fork, &right.frame, merge_run);

	merge(inner, (struct run){a.items, in_a}, (struct run){b.items, in_b}, out);
	jd_join_run(fork, &right.frame);
}

/* --- Sorting: the result goes to items or to other, as asked; the other of the two is scratch */

struct sort {
	struct jd_fork_frame frame;
	uint32_t *items, *other;
	size_t n;
	bool to_other;
};

static void sort(struct jd_fork_point fork, uint32_t *items, uint32_t *other, size_t n,
		 bool to_other);

static void sort_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct sort *s = jd_container_of(frame, struct sort, frame);

	sort(fork, s->items, s->other, s->n, s->to_other);
}

static void sort_serial(uint32_t *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		uint32_t item = items[i];
		size_t at = i;

		for (; at > 0 && items[at - 1] > item; at--)
			items[at] = items[at - 1];
		items[at] = item;
	}
}

static void sort(struct jd_fork_point fork, uint32_t *items, uint32_t *other, size_t n,
		 bool to_other)
{
	if (n <= SORT_SERIAL) {
		sort_serial(items, n);
		if (to_other)
			memcpy(other, items, n * sizeof(*items));
		return;
	}
	/* Both halves go to where they are merged from. */
	size_t half = n / 2;
	uint32_t *from = to_other ? items : other, *to = to_other ? other : items;
	struct sort right = {
		.items = items + half, .other = other + half, .n = n - half, .to_other = !to_other};
	struct jd_fork_point inner = jd_fork(fork, &right.frame, sort_run);

	sort(inner, items, other, half, !to_other);
	jd_join_run(fork, &right.frame);
	merge(fork, (struct run){from, half}, (struct run){from + half, n - half}, to);
}

/* --- The program ------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sorts n numbers below `values`; 0 when the result is what qsort makes of them. */
static int sort_and_check(struct jd_scheduler *scheduler, size_t n, uint32_t values)
{
	uint32_t *memory = calloc(3 * n + 1, sizeof(*memory)), random = 2463534242;
	uint32_t *items = memory, *other = memory + n, *right = memory + 2 * n;
	struct jd_fork_region region;

	if (!memory)
		return 1;
	for (size_t i = 0; i < n; i++) {
		random ^= random << 13;
		random ^= random >> 17;
		random ^= random << 5;
		items[i] = right[i] = random % values;
	}
	sort(jd_fork_enter(scheduler, &region), items, other, n, false);
	jd_fork_leave(&region);
	qsort(right, n, sizeof(*right), compare);
	int wrong = memcmp(items, right, n * sizeof(*items)) != 0;

	free(memory);
	return wrong;
}

static int sort_under_seed(struct jd_test_scheduler *test, void *arg)
{
	struct jd_scheduler *scheduler = jd_test_scheduler_base(test);

	(void)arg;
	return sort_and_check(scheduler, 5000, 1000) || sort_and_check(scheduler, 65, 10);
}

int main(void)
{
	static const size_t sizes[] = {0, 1, 2, SORT_SERIAL + 1, 1000, 1000 * 1000};
	struct jd_scheduler *scheduler;
	int wrong = 0;

	if (jd_ws_scheduler_new(NULL, &scheduler) != JD_OK)
		return 1;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		wrong += sort_and_check(scheduler, sizes[i], UINT32_MAX);
		wrong += sort_and_check(scheduler, sizes[i], 3);
	}
	if (jd_scheduler_destroy(scheduler) != JD_OK)
		return 1;
	/* Where nothing depends on who runs what, no seed finds a difference. */
	if (jd_test_many(NULL, 50, sort_under_seed, NULL) != JD_OK)
		return 1;
	printf("%d wrong\n", wrong);
	return wrong != 0;
}
