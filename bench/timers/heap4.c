/* heap4.c - the textbook: a 4-ary heap of {deadline, timer} with the index in the timer. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "bench/timers/structure.h"
#include "platform/compiler.h"

/* As large as the wheel's, with what a scheduler keeps in it. */
struct timer {
	uint64_t deadline_ns;
	size_t index;
	void *runnable;
	void *owner;
	uint64_t rest[3];
};

struct entry {
	uint64_t deadline_ns;
	struct timer *timer;
};

static struct timer *timers;
static struct entry *heap;
static size_t used;

static bool start(size_t count, uint64_t now_ns)
{
	(void)now_ns;
	timers = calloc(count, sizeof(*timers));
	heap = calloc(count, sizeof(*heap));
	used = 0;
	for (size_t i = 0; timers && i < count; i++)
		timers[i].owner = &heap;
	return timers && heap;
}

static void stop(void)
{
	free(timers);
	free(heap);
}

static void put(size_t i, struct entry entry)
{
	heap[i] = entry;
	entry.timer->index = i;
}

static void sift_up(size_t i, struct entry entry)
{
	for (size_t parent; i > 0; i = parent) {
		parent = (i - 1) / 4;
		if (heap[parent].deadline_ns <= entry.deadline_ns)
			break;
		put(i, heap[parent]);
	}
	put(i, entry);
}

static void sift_down(size_t i, struct entry entry)
{
	for (size_t child; (child = i * 4 + 1) < used;) {
		size_t least = child, end = child + 4 < used ? child + 4 : used;

		while (++child < end)
			if (heap[child].deadline_ns < heap[least].deadline_ns)
				least = child;
		if (heap[least].deadline_ns >= entry.deadline_ns)
			break;
		put(i, heap[least]);
		i = least;
	}
	put(i, entry);
}

static bool insert(size_t i, uint64_t deadline_ns)
{
	timers[i].deadline_ns = deadline_ns;
	sift_up(used++, (struct entry){deadline_ns, &timers[i]});
	return true;
}

static void cancel(struct timer *timer)
{
	size_t i = timer->index;
	struct entry last = heap[--used];

	if (i == used)
		return;
	if (i > 0 && heap[(i - 1) / 4].deadline_ns > last.deadline_ns)
		sift_up(i, last);
	else
		sift_down(i, last);
}

static bool insert_all(const uint64_t *deadline_ns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		insert(i, deadline_ns[i]);
	return true;
}

static void cancel_all(const uint32_t *order, size_t count, size_t ahead)
{
	for (size_t i = 0; i < count; i++) {
		if (ahead && i + ahead < count)
			JD_PREFETCH(&timers[order[i + ahead]]);
		cancel(&timers[order[i]]);
	}
}

static bool churn(uint64_t deadline_ns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		insert(i % TIMER_CHURN, deadline_ns);
		cancel(&timers[i % TIMER_CHURN]);
	}
	return true;
}

static struct timer *take(uint64_t now_ns)
{
	struct timer *first;

	if (used == 0 || heap[0].deadline_ns > now_ns)
		return NULL;
	first = heap[0].timer;
	cancel(first);
	return first;
}

static size_t fire(uint64_t now_ns)
{
	size_t n = 0;

	for (struct timer *t; (t = take(now_ns)) != NULL;)
		n += t->owner == &heap;
	return n;
}

static size_t pop(uint64_t now_ns)
{
	struct timer *t = take(now_ns);

	return t ? (size_t)(t - timers) : SIZE_MAX;
}

const struct timer_structure timer_structure_heap4 = {
	.name = "heap4",
	.start = start,
	.stop = stop,
	.insert_all = insert_all,
	.cancel_all = cancel_all,
	.churn = churn,
	.fire = fire,
	.insert = insert,
	.pop = pop,
};
