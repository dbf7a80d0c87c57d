/* timer_bag.h - many timers that are due at the same instant, in no order. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TIMERS_TIMER_BAG_H
#define JD_TIMERS_TIMER_BAG_H

#include <jackdaw/scheduler.h>

#include "platform/compiler.h"
#include "timers/timer_pool.h"

/*
 * Blocks of pointers that stay where they are, so that a timer knows its entry. An add appends, a
 * removal clears the entry and touches nothing else but the count, taking streams the blocks with
 * the timers ahead prefetched. With a million timers that is what costs: lines that are not in the
 * cache. A list through the timers needs three a removal and one after the other when it fires.
 *
 * Cleared entries are reclaimed when a block is full and three quarters of all are cleared, or when
 * the last timer leaves. So a bag of n timers never grows beyond 4 n entries and one block, but a
 * bag that lost most of its timers keeps their entries until it is filled again or fires. An empty
 * one keeps a block of one line: to get and give it back was half of setting a timer and cancelling
 * it.
 */
struct jd_timer_bag_end {              /* at the end of a block, behind its entries */
	struct jd_timer_bag_end *next; /* a circle: the newest block's next is the oldest */
	size_t size;                   /* of the block, in bytes, this included */
};

enum {
	/* Entries of the smallest block. */
	JD_TIMER_BAG_LINE =
		(JD_TIMER_POOL_LINE - sizeof(struct jd_timer_bag_end)) / sizeof(struct jd_timer *),
};

/* Zeroed: empty, without memory. */
struct jd_timer_bag {
	struct jd_timer **tail;       /* the next entry; the newest block's end when it is full */
	struct jd_timer_bag_end *end; /* of the newest block; NULL: there is none */
	uint32_t live;
	uint32_t capacity; /* entries of all blocks */
};

/* A walk through a bag. It survives adds that do not compact, and removals. */
struct jd_timer_bag_walk {
	struct jd_timer **at;
	struct jd_timer_bag_end *end; /* of the block that at is in */
};

static inline struct jd_timer **jd_timer_bag_first(struct jd_timer_bag_end *end)
{
	return (struct jd_timer **)(void *)((char *)(end + 1) - end->size);
}

/* Makes room in a full bag, by compacting or with a new block. False: no memory, as it was. */
bool jd_timer_bag_grow(struct jd_timer_bag *bag, struct jd_timer_pool *pool);

/* Appends at the tail, which has room. */
static inline void jd_timer_bag_append(struct jd_timer_bag *bag, struct jd_timer *timer)
{
	struct jd_timer **entry = bag->tail;

	/* The line after this one: it has time until the slot's turn comes again. */
	JD_PREFETCH((void *)((uintptr_t)entry + 64));
	*entry = timer;
	timer->_entry = entry;
	bag->tail = entry + 1;
	bag->live++;
}

static inline bool jd_timer_bag_full(const struct jd_timer_bag *bag)
{
	return bag->tail == (void *)bag->end;
}

/* True when that was the last one: the caller empties the bag. */
static inline bool jd_timer_bag_remove(struct jd_timer_bag *bag, struct jd_timer *timer)
{
	*timer->_entry = NULL;
	return --bag->live == 0;
}

/* Forgets what is in it and gives the memory back. */
void jd_timer_bag_clear(struct jd_timer_bag *bag, struct jd_timer_pool *pool);

/* All have left it: gives the memory back but for one smallest block. */
static inline void jd_timer_bag_empty(struct jd_timer_bag *bag, struct jd_timer_pool *pool)
{
	if (JD_LIKELY(bag->capacity == JD_TIMER_BAG_LINE))
		bag->tail = jd_timer_bag_first(bag->end);
	else
		jd_timer_bag_clear(bag, pool);
}

/* The newest timer of a bag that is not empty, not removed; reclaims what is cleared behind it. */
struct jd_timer *jd_timer_bag_last(struct jd_timer_bag *bag, struct jd_timer_pool *pool);

/* Where the entries of a block end. */
static inline struct jd_timer **jd_timer_bag_stop(const struct jd_timer_bag *bag,
						  struct jd_timer_bag_end *end)
{
	return end == bag->end ? bag->tail : (struct jd_timer **)(void *)end;
}

enum {
	JD_TIMER_BAG_AHEAD = 16, /* timers under way from memory */
};

/* The line that firing writes to; NULL will do. */
static inline void jd_timer_bag_prefetch(const struct jd_timer *timer)
{
	JD_PREFETCH((void *)((uintptr_t)timer + offsetof(struct jd_timer, _slot)));
}

/* The walk enters a block. */
struct jd_timer_bag_walk jd_timer_bag_enter(const struct jd_timer_bag *bag,
					    struct jd_timer_bag_end *end);

/* Begins with the oldest entry of a bag that is not empty. */
static inline struct jd_timer_bag_walk jd_timer_bag_begin(const struct jd_timer_bag *bag)
{
	return jd_timer_bag_enter(bag, bag->end->next);
}

/* The next timer, not removed; NULL at the end. Adds behind the end go on there. */
static inline struct jd_timer *jd_timer_bag_next(const struct jd_timer_bag *bag,
						 struct jd_timer_bag_walk *walk)
{
	for (;;) {
		struct jd_timer **stop = jd_timer_bag_stop(bag, walk->end);

		while (walk->at != stop) {
			struct jd_timer *timer = *walk->at++;

			if (stop - walk->at > JD_TIMER_BAG_AHEAD)
				jd_timer_bag_prefetch(walk->at[JD_TIMER_BAG_AHEAD]);
			if (timer)
				return timer;
		}
		if (walk->end == bag->end)
			return NULL;
		*walk = jd_timer_bag_enter(bag, walk->end->next);
	}
}

#endif
