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
 * belongs to nobody: it is kept where its task ended, so that no block has to find its way home; a
 * lane that is full lets them go to the allocator. Each is an allocation of its own and its size is
 * a multiple of JD_LANE_UNIT, so that the allocator is told the same size when it goes as when it
 * came, whichever thread frees it. Only its first word is written while it is kept.
 * Where addresses are checked nothing is kept: a use after the free must not find a new task.
 *
 * The tally of what began and ended on this worker: see registry.h.
 */
#include <jackdaw/scheduler.h>

#include "platform/compiler.h"
#include "runtime/memory.h"
#include "runtime/registry.h"
#include "runtime/tuning.h"

/* A block while it is kept. */
struct jd_lane_block {
	struct jd_lane_block *next;
};

struct jd_lane_stock {
	struct jd_lane_block *first;
	uint32_t count;
};

/*
 * Access: I immutable after init, O the thread that drives the worker; when no thread drives it any
 * more, whoever shuts down.
 */
struct jd_lane {
	struct jd_scheduler *scheduler;  /* I */
	struct jd_registry_tally *tally; /* I: what it points to: O */
	void (*discard)(struct jd_scheduler *scheduler, void *block, unsigned units); /* I */
	uint64_t refs;                                      /* O: on the scheduler, in stock */
	struct jd_lane_stock stocks[JD_LANE_UNITS_MAX + 1]; /* O: by size in units */
};

/* discard returns a block to the allocator, at the end. */
void jd_lane_init(struct jd_lane *lane, struct jd_scheduler *scheduler,
		  struct jd_registry_tally *tally,
		  void (*discard)(struct jd_scheduler *scheduler, void *block, unsigned units));
/* Returns all that is in stock. The caller has a reference of its own. */
void jd_lane_fini(struct jd_lane *lane);

JD_COLD void jd_lane_restock(struct jd_lane *lane);
JD_COLD void jd_lane_return(struct jd_lane *lane);

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

	return units <= JD_LANE_UNITS_MAX ? (unsigned)units : 0;
}

/* A block that was kept, units from jd_lane_units, not 0; NULL: there is none. */
static inline void *jd_lane_take(struct jd_lane *lane, unsigned units)
{
	struct jd_lane_stock *stock = &lane->stocks[units];
	struct jd_lane_block *block = stock->first;

	if (JD_UNLIKELY(!block))
		return NULL;
	stock->first = block->next;
	stock->count--;
	return block;
}

/* Keeps the block; false: it should be returned to the allocator. */
static inline bool jd_lane_keep(struct jd_lane *lane, void *ptr, unsigned units)
{
	struct jd_lane_stock *stock = &lane->stocks[units];
	struct jd_lane_block *block = ptr;

	if (JD_ADDRESS_CHECKED || (size_t)stock->count * units >= JD_LANE_BYTES / JD_LANE_UNIT)
		return false;
	block->next = stock->first;
	stock->first = block;
	stock->count++;
	return true;
}

#endif
