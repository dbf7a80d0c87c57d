/* timer_heap.c - sifting, and the growth of the array. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "timers/timer_heap.h"

#include <string.h>

#include "platform/compiler.h"

enum {
	ENTRIES_MIN = 4, /* one cache line, the smallest block of the pool */
	ENTRIES_PAGE = 256,
	ENTRIES_MAX = 1 << 29,
	SHRINK = 8, /* how empty an array is before it shrinks */
};

static size_t bytes(uint32_t entries)
{
	return entries * sizeof(struct jd_timer_entry);
}

static void put(struct jd_timer_heap *heap, uint32_t i, struct jd_timer_entry entry)
{
	heap->entry[i] = entry;
	entry.timer->_index = i;
}

/* Places entry at i or nearer to the root. */
static void sift_up(struct jd_timer_heap *heap, uint32_t i, struct jd_timer_entry entry)
{
	while (i > 0) {
		uint32_t parent = (i - 1) / 4;

		if (heap->entry[parent].deadline_ns <= entry.deadline_ns)
			break;
		put(heap, i, heap->entry[parent]);
		i = parent;
	}
	put(heap, i, entry);
}

/* Places entry at i or farther from the root. */
static void sift_down(struct jd_timer_heap *heap, uint32_t i, struct jd_timer_entry entry)
{
	for (;;) {
		uint64_t child = (uint64_t)i * 4 + 1, end = child + 4;

		if (child >= heap->count)
			break;
		if (end > heap->count)
			end = heap->count;
		uint32_t least = (uint32_t)child;

		for (uint32_t k = least + 1; k < end; k++)
			if (heap->entry[k].deadline_ns < heap->entry[least].deadline_ns)
				least = k;
		if (heap->entry[least].deadline_ns >= entry.deadline_ns)
			break;
		put(heap, i, heap->entry[least]);
		i = least;
	}
	put(heap, i, entry);
}

/* Sizes of the pool: four times as many up to a page, then twice. */
static bool resize(struct jd_timer_heap *heap, struct jd_timer_pool *pool, uint32_t capacity)
{
	struct jd_timer_entry *entry = jd_timer_pool_get(pool, bytes(capacity));

	if (!entry)
		return false;
	if (heap->entry) {
		memcpy(entry, heap->entry, bytes(heap->count));
		jd_timer_pool_put(pool, heap->entry, bytes(heap->capacity));
	}
	heap->entry = entry;
	heap->capacity = capacity;
	return true;
}

static bool grow(struct jd_timer_heap *heap, struct jd_timer_pool *pool)
{
	uint32_t now = heap->capacity;

	return now < ENTRIES_MAX && resize(heap, pool,
					   now == 0             ? ENTRIES_MIN
					   : now < ENTRIES_PAGE ? now * 4
								: now * 2);
}

bool jd_timer_heap_add(struct jd_timer_heap *heap, struct jd_timer_pool *pool,
		       struct jd_timer *timer)
{
	struct jd_timer_entry entry = {timer->_deadline_ns, timer};

	if (JD_UNLIKELY(heap->count == heap->capacity) && !grow(heap, pool))
		return false;
	/* Not above a lower bound of all others: it is the minimum, whatever they are. */
	if (heap->count == 0 || entry.deadline_ns <= heap->min_ns) {
		heap->min_ns = entry.deadline_ns;
		heap->stale = false;
	}
	heap->count++;
	if (heap->ordered)
		sift_up(heap, heap->count - 1, entry);
	else
		put(heap, heap->count - 1, entry);
	return true;
}

void jd_timer_heap_remove(struct jd_timer_heap *heap, struct jd_timer_pool *pool,
			  struct jd_timer *timer)
{
	uint32_t i = timer->_index;
	uint64_t deadline_ns = heap->entry[i].deadline_ns;
	struct jd_timer_entry last = heap->entry[--heap->count];

	if (heap->count == 0) {
		jd_timer_heap_clear(heap, pool);
		return;
	}
	if (!heap->ordered) {
		put(heap, i, last);
		if (deadline_ns == heap->min_ns)
			heap->stale = true;
	} else {
		if (i < heap->count && last.deadline_ns < deadline_ns)
			sift_up(heap, i, last);
		else if (i < heap->count)
			sift_down(heap, i, last);
		heap->min_ns = heap->entry[0].deadline_ns;
	}
	/* To a half or a quarter; without memory it stays as it is. */
	if (heap->capacity > ENTRIES_PAGE && heap->count < heap->capacity / SHRINK)
		resize(heap, pool,
		       heap->capacity / 4 > ENTRIES_PAGE ? heap->capacity / 4 : ENTRIES_PAGE);
}

void jd_timer_heap_order(struct jd_timer_heap *heap)
{
	if (heap->ordered || heap->count == 0)
		return;
	for (uint32_t i = (heap->count - 1) / 4 + 1; i-- > 0;)
		sift_down(heap, i, heap->entry[i]);
	heap->ordered = true;
	heap->stale = false;
	heap->min_ns = heap->entry[0].deadline_ns;
}

void jd_timer_heap_clear(struct jd_timer_heap *heap, struct jd_timer_pool *pool)
{
	if (heap->entry)
		jd_timer_pool_put(pool, heap->entry, bytes(heap->capacity));
	memset(heap, 0, sizeof(*heap));
}
