/* placement.h - which CPUs the workers belong to, and how far they are from each other. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_PLACEMENT_H
#define JD_RUNTIME_PLACEMENT_H

/*
 * Each worker has a home, one of the allowed CPUs. Its thread is bound to all CPUs near to that: to
 * those that share a cache with it (compact, scatter), to those of its NUMA node (numa), or to
 * the home alone when that is asked for. A set that is all there is binds nobody.
 *
 * Homes are given one after the other, each by counting how many workers already have theirs on the
 * same core, on the same node, under the same cache:
 *   compact  the emptiest core; of these the fullest node, there the fullest cache
 *   scatter  the emptiest core; of these the emptiest node, there the emptiest cache
 *   numa     the emptiest core; of these the emptiest node, there the fullest cache
 * More workers than CPUs begin again from the first.
 */
#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"

/* Access: I once inited. */
struct jd_placement {
	const struct jd_topology *topology;
	const struct jd_allocator *allocator;
	unsigned *homes; /* NULL: no worker has one */
	unsigned count;
	unsigned reach; /* distance of the CPUs that a worker is bound to from its home */
	enum jd_placement_policy policy;
};

/* topology must outlive it. JD_ENOMEM. */
jd_status jd_placement_init(struct jd_placement *self, const struct jd_allocator *allocator,
			    const struct jd_topology *topology, enum jd_placement_policy policy,
			    unsigned workers, bool pin);
void jd_placement_fini(struct jd_placement *self);

/* How far two workers are apart; JD_TOPOLOGY_FARTHEST for all when they have no homes. */
unsigned jd_placement_distance(const struct jd_placement *self, unsigned a, unsigned b);

/* The CPU the caller runs on, or -1 when that does not matter or nobody knows. */
int jd_placement_here(const struct jd_placement *self);

/* How far a worker is from that CPU. */
unsigned jd_placement_from(const struct jd_placement *self, int cpu, unsigned worker);

/* Binds the calling thread as that worker's. False: it may run anywhere, as before. */
bool jd_placement_bind(const struct jd_placement *self, unsigned worker);

/* "none", "compact (by cache)", ...; static. */
const char *jd_placement_text(const struct jd_placement *self);

#endif
