/* lane.c - the stocks of a worker: their beginning, their end, and the visits to what is shared. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lane.h"

#include "platform/atomic.h"
#include "runtime/memory.h"

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

void jd_lane_overflow(struct jd_lane *lane, struct jd_slab_block *block, unsigned units)
{
	struct jd_lane_stock *stock = &lane->stocks[units];

	if (stock->spare)
		jd_slabs_give(lane->slabs, units, stock->spare);
	stock->spare = stock->first;
	block->next = NULL;
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

/* --- Guests ----------------------------------------------------------------------------------- */

jd_status jd_lane_open_guests(struct jd_scheduler *scheduler, struct jd_registry_tally *tallies)
{
	struct jd_registry *registry = scheduler->registry;
	struct jd_lane_guest *guests = jd_memory_zalloc(scheduler->allocator, JD_LANE_GUESTS,
							sizeof(*guests),
							alignof(struct jd_lane_guest));

	if (!guests)
		return JD_ENOMEM;
	for (unsigned i = 0; i < JD_LANE_GUESTS; i++)
		jd_lane_init(&guests[i].lane, scheduler, &tallies[i], registry->slabs);
	registry->guests = guests;
	return JD_OK;
}

void jd_lane_close_guests(struct jd_scheduler *scheduler)
{
	struct jd_registry *registry = scheduler->registry;

	jd_memory_free(scheduler->allocator, registry->guests,
		       JD_LANE_GUESTS * sizeof(*registry->guests), alignof(struct jd_lane_guest));
	registry->guests = NULL;
}
