/* placement.c - which CPUs the workers belong to. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/placement.h"

#include "runtime/memory.h"

/* How many workers have their homes close to a CPU. */
struct place {
	unsigned node, cache, core;
	bool taken;
};

/* Whether a is a better home for the next worker than b, which comes earlier. */
static bool is_better(enum jd_placement_policy policy, const struct place *a, const struct place *b)
{
	bool fill_node = policy == JD_PLACEMENT_COMPACT;
	bool fill_cache = policy != JD_PLACEMENT_SCATTER;

	if (a->core != b->core)
		return a->core < b->core;
	if (a->node != b->node)
		return (a->node > b->node) == fill_node;
	return a->cache != b->cache && (a->cache > b->cache) == fill_cache;
}

static unsigned best_place(enum jd_placement_policy policy, const struct place *places, unsigned n)
{
	unsigned best = n;

	for (unsigned i = 0; i < n; i++) {
		if (!places[i].taken && (best == n || is_better(policy, &places[i], &places[best])))
			best = i;
	}
	return best;
}

static void take_place(struct place *places, const struct jd_topology *topology, unsigned cpu)
{
	places[cpu].taken = true;
	for (unsigned i = 0; i < jd_topology_cpus(topology); i++) {
		unsigned distance = jd_topology_distance(topology, cpu, i);

		places[i].core += distance <= 1;
		places[i].cache += distance <= 2;
		places[i].node += distance <= 3;
	}
}

/* Whether every CPU is that near to every home: then there is nothing to bind to. */
static bool reaches_all(const struct jd_placement *self)
{
	for (unsigned i = 0; i < jd_topology_cpus(self->topology); i++) {
		if (jd_topology_distance(self->topology, 0, i) > self->reach)
			return false;
	}
	return true;
}

jd_status jd_placement_init(struct jd_placement *self, const struct jd_allocator *allocator,
			    const struct jd_topology *topology, enum jd_placement_policy policy,
			    unsigned workers, bool pin)
{
	unsigned cpus = jd_topology_cpus(topology);

	*self = (struct jd_placement){.topology = topology,
				      .allocator = allocator,
				      .count = workers,
				      .reach = policy == JD_PLACEMENT_NUMA ? 3 : 2,
				      .policy = policy};
	if (policy == JD_PLACEMENT_NONE)
		return JD_OK;
	if (pin)
		self->reach = 0;
	struct place *places =
		jd_memory_zalloc(allocator, cpus, sizeof(*places), alignof(struct place));

	if (places)
		self->homes = jd_memory_alloc(allocator, workers * sizeof(*self->homes),
					      alignof(unsigned));
	for (unsigned i = 0; self->homes && i < workers; i++) {
		if (i >= cpus) {
			self->homes[i] = self->homes[i - cpus];
			continue;
		}
		self->homes[i] = best_place(policy, places, cpus);
		take_place(places, topology, self->homes[i]);
	}
	jd_memory_free(allocator, places, cpus * sizeof(*places), alignof(struct place));
	return self->homes ? JD_OK : JD_ENOMEM;
}

void jd_placement_fini(struct jd_placement *self)
{
	jd_memory_free(self->allocator, self->homes, self->count * sizeof(*self->homes),
		       alignof(unsigned));
	self->homes = NULL;
}

unsigned jd_placement_distance(const struct jd_placement *self, unsigned a, unsigned b)
{
	if (!self->homes)
		return JD_TOPOLOGY_FARTHEST;
	return jd_topology_distance(self->topology, self->homes[a], self->homes[b]);
}

int jd_placement_here(const struct jd_placement *self)
{
	return self->homes ? jd_topology_current(self->topology) : -1;
}

unsigned jd_placement_from(const struct jd_placement *self, int cpu, unsigned worker)
{
	return jd_topology_distance(self->topology, (unsigned)cpu, self->homes[worker]);
}

bool jd_placement_bind(const struct jd_placement *self, unsigned worker)
{
	if (!self->homes || reaches_all(self))
		return false;
	/* Best effort: a set of CPUs can shrink at any time. */
	return jd_topology_pin_near(self->topology, self->homes[worker], self->reach) == JD_OK;
}

const char *jd_placement_text(const struct jd_placement *self)
{
	static const char *const texts[][2] = {
		[JD_PLACEMENT_NONE] = {"none", "none"},
		[JD_PLACEMENT_COMPACT] = {"compact, by cache", "compact, by CPU"},
		[JD_PLACEMENT_SCATTER] = {"scatter, by cache", "scatter, by CPU"},
		[JD_PLACEMENT_NUMA] = {"numa, by node", "numa, by CPU"},
	};

	return texts[self->policy][self->reach == 0];
}
