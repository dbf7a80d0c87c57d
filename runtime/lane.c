/* lane.c - the stocks of a worker: their beginning, their end, and the visits to what is shared. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lane.h"

#include "platform/atomic.h"

void jd_lane_init(struct jd_lane *lane, struct jd_scheduler *scheduler,
		  struct jd_registry_tally *tally, struct jd_slabs *slabs)
{
	*lane = (struct jd_lane){.scheduler = scheduler, .tally = tally, .slabs = slabs};
}

/* --- References ------------------------------------------------------------------------------- */

void jd_lane_restock(struct jd_lane *lane)
{
	atomic_fetch_add_explicit(&lane->scheduler->_refs, JD_LANE_REFS, memory_order_relaxed);
	lane->refs += JD_LANE_REFS;
}

/* Never the last ones: the creator's is given up when no worker is driven any more. */
static void give_back(struct jd_lane *lane, uint64_t refs)
{
	/* order: (LN1) release - our uses come before the free; pairs with (B1). */
	uint64_t old =
		atomic_fetch_sub_explicit(&lane->scheduler->_refs, refs, memory_order_release);

	JD_ASSERT(old > refs);
	lane->refs -= refs;
}

void jd_lane_return(struct jd_lane *lane)
{
	give_back(lane, JD_LANE_REFS);
}

/* --- Blocks ----------------------------------------------------------------------------------- */

/* The stock is empty, or its first block is worn. */
struct jd_slab_block *jd_lane_refill(struct jd_lane *lane, unsigned units)
{
	struct jd_lane_stock *stock = &lane->stocks[units];

	for (;;) {
		struct jd_slab_block *block = stock->first;

		if (!block && stock->spare) {
			block = stock->spare;
			stock->spare = NULL;
			stock->count = JD_MAGAZINE;
		} else if (!block) {
			unsigned count;

			block = jd_slabs_take(lane->slabs, units, &count);
			if (!block)
				return NULL;
			stock->count = count;
		}
		stock->first = block->next;
		stock->count--;
		if (atomic_load_explicit(&block->word.bits, memory_order_relaxed) < JD_SLAB_WORN)
			return block;
		block->next = NULL;
		jd_slabs_give_home(lane->slabs, block);
	}
}

/* Says at each block which one comes some blocks later, for who takes them on another core. */
static void look_ahead(struct jd_slab_block *magazine)
{
	struct jd_slab_block *last[JD_LANE_AHEAD] = {NULL};
	unsigned i = 0;

	for (struct jd_slab_block *block = magazine; block; block = block->next, i++) {
		struct jd_slab_block **before = &last[i % JD_LANE_AHEAD];

		if (*before)
			(*before)->ahead = block;
		*before = block;
	}
}

void jd_lane_overflow(struct jd_lane *lane, struct jd_slab_block *block, unsigned units)
{
	struct jd_lane_stock *stock = &lane->stocks[units];

	if (stock->spare) {
		look_ahead(stock->spare);
		jd_slabs_give(lane->slabs, units, stock->spare);
	}
	stock->spare = stock->first;
	block->next = NULL;
	block->ahead = NULL;
	stock->first = block;
	stock->count = 1;
}

static void empty(struct jd_lane *lane)
{
	for (unsigned units = 1; units <= JD_LANE_UNITS_MAX; units++) {
		struct jd_lane_stock *stock = &lane->stocks[units];

		if (stock->first)
			jd_slabs_give_home(lane->slabs, stock->first);
		if (stock->spare)
			jd_slabs_give_home(lane->slabs, stock->spare);
		*stock = (struct jd_lane_stock){0};
	}
}

void jd_lane_fini(struct jd_lane *lane)
{
	empty(lane);
	if (lane->refs)
		give_back(lane, lane->refs);
}
