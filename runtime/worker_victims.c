/* worker_victims.c - in which order a worker looks at the others. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker.h"

void jd_worker_order_victims(struct jd_worker *w)
{
	unsigned n = w->all->count, at = 0;

	for (unsigned distance = 0; distance <= JD_TOPOLOGY_FARTHEST; distance++) {
		unsigned first = at;

		for (unsigned v = 0; v < n; v++) {
			if (v != w->index &&
			    jd_placement_distance(w->all->placement, w->index, v) == distance)
				w->victims[at++].index = v;
		}
		for (unsigned i = first; i < at; i++)
			w->victims[i].next_class = at;
	}
}
