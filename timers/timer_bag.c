/* timer_bag.c - the blocks of a bag of timers. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "timers/timer_bag.h"

#include <string.h>

/* The first block is one cache line, for slots with few timers; the largest is one page. */
enum {
	BLOCK_MIN = JD_TIMER_POOL_LINE,
	BLOCK_MAX = JD_TIMER_POOL_LARGEST,
};

static uint32_t entries_of(size_t size)
{
	return (uint32_t)((size - sizeof(struct jd_timer_bag_end)) / sizeof(struct jd_timer *));
}

static struct jd_timer_bag_end *block_new(struct jd_timer_pool *pool, size_t size)
{
	char *block = jd_timer_pool_get(pool, size);

	if (!block)
		return NULL;
	struct jd_timer_bag_end *end =
		(struct jd_timer_bag_end *)(void *)(block + size - sizeof(*end));

	end->next = end;
	end->size = size;
	return end;
}

/* All that are left, the oldest first, into one block. */
static bool compact(struct jd_timer_bag *bag, struct jd_timer_pool *pool)
{
	size_t size = BLOCK_MIN;
	struct jd_timer_bag_walk walk = jd_timer_bag_begin(bag);
	uint32_t live = bag->live;

	while (entries_of(size) < live + live / 2)
		size *= 4;
	struct jd_timer_bag_end *end = block_new(pool, size);

	if (!end)
		return false;
	struct jd_timer **entry = jd_timer_bag_first(end);

	for (struct jd_timer *t; (t = jd_timer_bag_next(bag, &walk)) != NULL; entry++) {
		*entry = t;
		t->_entry = entry;
	}
	jd_timer_bag_clear(bag, pool);
	*bag = (struct jd_timer_bag){entry, end, live, entries_of(size)};
	return true;
}

bool jd_timer_bag_grow(struct jd_timer_bag *bag, struct jd_timer_pool *pool)
{
	struct jd_timer_bag_end *last = bag->end;
	size_t size = !last ? BLOCK_MIN : last->size < BLOCK_MAX ? last->size * 4 : BLOCK_MAX;

	if (last && bag->live < bag->capacity / 4 && compact(bag, pool))
		return true;
	struct jd_timer_bag_end *end = block_new(pool, size);

	if (!end)
		return false;
	if (last) {
		end->next = last->next;
		last->next = end;
	}
	bag->end = end;
	bag->tail = jd_timer_bag_first(end);
	bag->capacity += entries_of(size);
	return true;
}

void jd_timer_bag_clear(struct jd_timer_bag *bag, struct jd_timer_pool *pool)
{
	struct jd_timer_bag_end *end = bag->end;

	while (end) {
		struct jd_timer_bag_end *next = end->next;

		jd_timer_pool_put(pool, jd_timer_bag_first(end), end->size);
		end = next == bag->end ? NULL : next;
	}
	memset(bag, 0, sizeof(*bag));
}

struct jd_timer_bag_walk jd_timer_bag_enter(const struct jd_timer_bag *bag,
					    struct jd_timer_bag_end *end)
{
	struct jd_timer_bag_walk walk = {jd_timer_bag_first(end), end};
	ptrdiff_t n = jd_timer_bag_stop(bag, end) - walk.at;

	for (ptrdiff_t i = 0; i < n && i < JD_TIMER_BAG_AHEAD; i++)
		jd_timer_bag_prefetch(walk.at[i]);
	/* Its size, for when the walk gets there. */
	JD_PREFETCH(end->next);
	return walk;
}

struct jd_timer *jd_timer_bag_last(struct jd_timer_bag *bag, struct jd_timer_pool *pool)
{
	for (;;) {
		struct jd_timer_bag_end *end = bag->end, *before = end->next;

		for (; bag->tail != jd_timer_bag_first(end); bag->tail--)
			if (bag->tail[-1])
				return bag->tail[-1];
		while (before->next != end)
			before = before->next;
		before->next = end->next;
		bag->end = before;
		bag->tail = (struct jd_timer **)(void *)before;
		bag->capacity -= entries_of(end->size);
		jd_timer_pool_put(pool, jd_timer_bag_first(end), end->size);
	}
}
