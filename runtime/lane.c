/* lane.c - the stocks of a worker: their beginning, their end, and the visits to what is shared. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lane.h"

#include "platform/atomic.h"

void jd_lane_init(struct jd_lane *lane, struct jd_scheduler *scheduler,
		  struct jd_registry_tally *tally,
		  void (*discard)(struct jd_scheduler *scheduler, void *block, unsigned units))
{
	*lane = (struct jd_lane){.scheduler = scheduler, .tally = tally, .discard = discard};
}

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

void jd_lane_fini(struct jd_lane *lane)
{
	for (unsigned units = 1; units <= JD_LANE_UNITS_MAX; units++) {
		struct jd_lane_block *block = lane->stocks[units].first;

		while (block) {
			struct jd_lane_block *next = block->next;

			lane->discard(lane->scheduler, block, units);
			block = next;
		}
		lane->stocks[units] = (struct jd_lane_stock){0};
	}
	if (lane->refs)
		give_back(lane, lane->refs);
}
