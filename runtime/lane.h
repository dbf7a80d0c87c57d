/* lane.h - what a worker keeps at hand so that tasks come and go without anything shared. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_LANE_H
#define JD_RUNTIME_LANE_H

/*
 * Two stocks and a tally, each of which would otherwise be a visit to lines that all workers write:
 *
 * References on the scheduler. Every task has one. The lane takes and returns them by the dozen;
 * those in stock are counted like any other, so the scheduler is freed no earlier than without
 * lanes, and only after its threads have ended and jd_lane_fini has returned the stock.
 *
 * Blocks of tasks, last in, first out: the one that was freed last is still in the cache. A block
 * belongs to nobody: it is kept where its task ended. For each size there are two magazines, lists
 * of up to JD_MAGAZINE: one that is used, and a full one or none. So at least a magazine's worth
 * of tasks lies between two visits to the depot (slab.h), where what one worker has too many of
 * finds its way to one that needs them. Only the link of a block is written while it is kept.
 * Where addresses are checked nothing is kept: a use after the free must not find a new task.
 *
 * The tally of what began and ended on this worker: see registry.h.
 *
 * Threads that drive no worker borrow a lane for each visit: see foreign.h.
 */
#include <jackdaw/scheduler.h>

#include "platform/compiler.h"
#include "runtime/registry.h"
#include "runtime/slab.h"
#include "runtime/tuning.h"

struct jd_lane_stock {
	struct jd_slab_block *first; /* a list of count */
	struct jd_slab_block *spare; /* a full magazine; NULL: none */
	uint32_t count;
};

/*
 * Access: I immutable after init, O the thread that drives the worker; when no thread drives it any
 * more, whoever shuts down. Of a foreign lane: its holder.
 */
struct jd_lane {
	struct jd_scheduler *scheduler;                     /* I */
	struct jd_registry_tally *tally;                    /* I: what it points to: O */
	struct jd_slabs *slabs;                             /* I */
	uint64_t refs;                                      /* O: on the scheduler, in stock */
	struct jd_lane_stock stocks[JD_LANE_UNITS_MAX + 1]; /* O: by size in units */
};

void jd_lane_init(struct jd_lane *lane, struct jd_scheduler *scheduler,
		  struct jd_registry_tally *tally, struct jd_slabs *slabs);
/* Returns all that is in stock. The caller has a reference of its own. */
void jd_lane_fini(struct jd_lane *lane);

JD_COLD void jd_lane_restock(struct jd_lane *lane);
JD_COLD void jd_lane_return(struct jd_lane *lane);
JD_COLD struct jd_slab_block *jd_lane_refill(struct jd_lane *lane, unsigned units);
JD_COLD void jd_lane_overflow(struct jd_lane *lane, struct jd_slab_block *block, unsigned units);

/* One reference out of the stock, for the caller. */
static inline void jd_lane_retain(struct jd_lane *lane)
{
	if (JD_UNLIKELY(!lane->refs))
		jd_lane_restock(lane);
	lane->refs--;
}

/* One reference of the caller's into the stock. */
static inline void jd_lane_release(struct jd_lane *lane)
{
	if (JD_UNLIKELY(++lane->refs > (uint64_t)2 * JD_LANE_REFS))
		jd_lane_return(lane);
}

/* The size of a block of a lane in units; 0: it is too large to be kept. */
static inline unsigned jd_lane_units(size_t size)
{
	size_t units = (size + JD_LANE_UNIT - 1) / JD_LANE_UNIT;

	return !JD_ADDRESS_CHECKED && units <= JD_LANE_UNITS_MAX ? (unsigned)units : 0;
}

/* A block of units from jd_lane_units, not 0; NULL: there is no memory. */
static inline struct jd_slab_block *jd_lane_take(struct jd_lane *lane, unsigned units)
{
	struct jd_lane_stock *stock = &lane->stocks[units];
	struct jd_slab_block *block = stock->first;
	/* A worn one is at the end of its count: see slab.h. */
	if (JD_UNLIKELY(!block || atomic_load_explicit(&block->word.bits, memory_order_relaxed) >=
					  JD_SLAB_WORN))
		return jd_lane_refill(lane, units);
	stock->first = block->next;
	stock->count--;
	/* Those that ended on another core are still there. */
	JD_PREFETCH(stock->first);
	return block;
}

/*
 * The same where other cores kept the blocks: fetches one that will be taken some times later. One
 * after the other, each would be a way to that core and back.
 */
static inline struct jd_slab_block *jd_lane_take_far(struct jd_lane *lane, unsigned units)
{
	const struct jd_slab_block *block = lane->stocks[units].first;
	const char *ahead = block ? block->ahead : NULL;

	for (unsigned i = 0; ahead && i < units; i++)
		JD_PREFETCH(ahead + (size_t)i * JD_LANE_UNIT);
	return jd_lane_take(lane, units);
}

/* Keeps the block, or gives it to others. */
static inline void jd_lane_keep(struct jd_lane *lane, void *ptr, unsigned units)
{
	struct jd_lane_stock *stock = &lane->stocks[units];
	struct jd_slab_block *block = ptr;

	if (JD_UNLIKELY(stock->count == JD_MAGAZINE)) {
		jd_lane_overflow(lane, block, units);
		return;
	}
	block->next = stock->first;
	block->ahead = NULL;
	stock->first = block;
	stock->count++;
}

#endif
