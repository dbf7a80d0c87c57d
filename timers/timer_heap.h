/* timer_heap.h - timers by deadline: an array that becomes a heap when its order is asked for. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TIMERS_TIMER_HEAP_H
#define JD_TIMERS_TIMER_HEAP_H

#include <jackdaw/scheduler.h>

#include "timers/timer_pool.h"

/*
 * One array of entries, which carry the deadline so that comparing does not touch timers; a timer
 * knows its index. As long as nobody asks for more than the minimum, that is all: an add appends,
 * a removal moves the last entry into the gap, and the minimum is known unless it was removed. When
 * it is asked for then, or when the timers are to come out in order, the array becomes a 4-ary heap
 * in place, in linear time, without memory, and stays one until it is empty.
 */
struct jd_timer_entry {
	uint64_t deadline_ns;
	struct jd_timer *timer;
};

/* Zeroed: empty, without memory. */
struct jd_timer_heap {
	struct jd_timer_entry *entry;
	uint64_t min_ns; /* smallest deadline; a lower bound when stale */
	uint32_t count;
	uint32_t capacity;
	bool ordered; /* a heap */
	bool stale;   /* whoever had the minimum is gone, and the order unknown */
};

/* Its deadline is timer->_deadline_ns. False: no memory, nothing happened. */
bool jd_timer_heap_add(struct jd_timer_heap *heap, struct jd_timer_pool *pool,
		       struct jd_timer *timer);

/* Gives the memory back with the last one. */
void jd_timer_heap_remove(struct jd_timer_heap *heap, struct jd_timer_pool *pool,
			  struct jd_timer *timer);

/* Makes a heap of it: then entry[0] is the earliest. */
void jd_timer_heap_order(struct jd_timer_heap *heap);

/* The smallest deadline; JD_NEVER when empty. */
static inline uint64_t jd_timer_heap_min(struct jd_timer_heap *heap)
{
	if (heap->count == 0)
		return JD_NEVER;
	if (heap->stale)
		jd_timer_heap_order(heap);
	return heap->min_ns;
}

/* Forgets what is in it and gives the memory back. */
void jd_timer_heap_clear(struct jd_timer_heap *heap, struct jd_timer_pool *pool);

#endif
