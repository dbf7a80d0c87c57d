/* topology.c - the part of a topology that does not depend on who discovered it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/cpu.h"
#include "platform/topology.h"

static size_t topology_bytes(unsigned cpus)
{
	return sizeof(struct jd_topology) + cpus * sizeof(struct jd_topology_cpu);
}

jd_status jd_topology_alloc(const struct jd_allocator *allocator, unsigned cpus,
			    struct jd_topology **topology)
{
	size_t bytes = topology_bytes(cpus);
	struct jd_topology *t;

	JD_ASSERT(cpus >= 1 && cpus <= JD_CPU_LIMIT);
	t = allocator->alloc(allocator->ctx, bytes, alignof(struct jd_topology));
	if (!t)
		return JD_ENOMEM;
	memset(t, 0, bytes);
	t->allocator = allocator;
	t->cpus = cpus;
	*topology = t;
	return JD_OK;
}

/* Whether jd_topology_pin bound this thread. */
static _Thread_local bool self_pinned;

unsigned jd_topology_allowed(unsigned *os, unsigned max)
{
	return jd_cpu_allowed(self_pinned, os, max);
}

/* As much as there is room for, or at least one. */
static unsigned count_of(unsigned known, unsigned room)
{
	if (known > room)
		return room;
	return known ? known : 1;
}

jd_status jd_topology_flat(const struct jd_allocator *allocator, struct jd_topology **topology)
{
	unsigned room = count_of(jd_topology_allowed(NULL, 0), JD_CPU_LIMIT);
	unsigned *os = allocator->alloc(allocator->ctx, room * sizeof(*os), alignof(unsigned));
	struct jd_topology *t;

	if (!os)
		return JD_ENOMEM;
	unsigned known = jd_topology_allowed(os, room);
	jd_status status = jd_topology_alloc(allocator, count_of(known, room), &t);

	if (status == JD_OK) {
		t->flat = true;
		for (unsigned i = 0; i < t->cpus; i++)
			t->cpu[i] = (struct jd_topology_cpu){.os = known ? os[i] : 0, .core = i};
		snprintf(t->source, sizeof(t->source), "%s",
			 known ? "affinity mask" : "nothing known");
		*topology = t;
	}
	allocator->free(allocator->ctx, os, room * sizeof(*os), alignof(unsigned));
	return status;
}

static int compare_cpus(const void *pa, const void *pb)
{
	const struct jd_topology_cpu *a = pa, *b = pb;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	if (a->cache != b->cache)
		return a->cache < b->cache ? -1 : 1;
	return (a->os > b->os) - (a->os < b->os);
}

static void topology_finish(struct jd_topology *t)
{
	char where[96];
	unsigned quota = jd_cpu_quota(where, sizeof(where));
	size_t used = strlen(t->source);

	qsort(t->cpu, t->cpus, sizeof(t->cpu[0]), compare_cpus);
	t->parallelism = quota && quota < t->cpus ? quota : t->cpus;
	snprintf(t->source + used, sizeof(t->source) - used, ": %u CPU%s; quota: %s", t->cpus,
		 t->cpus == 1 ? "" : "s", where);
}

jd_status jd_topology_new(const struct jd_allocator *allocator, bool flat,
			  struct jd_topology **topology)
{
	jd_status status;

	if (!allocator || !topology)
		return JD_EINVAL;
	status = flat ? jd_topology_flat(allocator, topology)
		      : jd_topology_discover(allocator, topology);
	if (status == JD_OK)
		topology_finish(*topology);
	return status;
}

void jd_topology_free(struct jd_topology *topology)
{
	const struct jd_allocator *allocator;

	if (!topology)
		return;
	allocator = topology->allocator;
	jd_topology_release(topology);
	allocator->free(allocator->ctx, topology, topology_bytes(topology->cpus),
			alignof(struct jd_topology));
}

unsigned jd_topology_cpus(const struct jd_topology *topology)
{
	return topology->cpus;
}

unsigned jd_topology_parallelism(const struct jd_topology *topology)
{
	return topology->parallelism;
}

const char *jd_topology_source(const struct jd_topology *topology)
{
	return topology->source;
}

unsigned jd_topology_distance(const struct jd_topology *topology, unsigned i, unsigned j)
{
	const struct jd_topology_cpu *a = &topology->cpu[i], *b = &topology->cpu[j];

	JD_ASSERT(i < topology->cpus && j < topology->cpus);
	if (i == j)
		return 0;
	if (topology->flat)
		return 3;
	if (a->core == b->core)
		return 1;
	if (a->cache == b->cache)
		return 2;
	return a->node == b->node ? 3 : 4;
}

jd_status jd_topology_pin(const struct jd_topology *topology, unsigned i)
{
	jd_status status;

	if (!topology || i >= topology->cpus)
		return JD_EINVAL;
	if (topology->foreign)
		return JD_ENOTSUP;
	status = jd_topology_bind(topology, &topology->cpu[i].os, 1);
	if (status == JD_OK)
		self_pinned = true;
	return status;
}

jd_status jd_topology_pin_near(const struct jd_topology *topology, unsigned i, unsigned distance)
{
	const struct jd_allocator *allocator;
	unsigned *os, n = 0;
	size_t bytes;
	jd_status status;

	if (!topology || i >= topology->cpus)
		return JD_EINVAL;
	if (topology->foreign)
		return JD_ENOTSUP;
	allocator = topology->allocator;
	bytes = topology->cpus * sizeof(*os);
	os = allocator->alloc(allocator->ctx, bytes, alignof(unsigned));
	if (!os)
		return JD_ENOMEM;
	os[n++] = topology->cpu[i].os;
	for (unsigned j = 0; j < topology->cpus; j++) {
		if (j != i && jd_topology_distance(topology, i, j) <= distance)
			os[n++] = topology->cpu[j].os;
	}
	status = jd_topology_bind(topology, os, n);
	if (status == JD_OK)
		self_pinned = true;
	allocator->free(allocator->ctx, os, bytes, alignof(unsigned));
	return status;
}

int jd_topology_current(const struct jd_topology *topology)
{
	int os = topology->foreign ? -1 : jd_cpu_current();

	if (os < 0)
		return -1;
	for (unsigned i = 0; i < topology->cpus; i++)
		if (topology->cpu[i].os == (unsigned)os)
			return (int)i;
	return -1;
}
