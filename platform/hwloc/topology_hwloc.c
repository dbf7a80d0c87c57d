/* topology_hwloc.c - discovery and pinning through hwloc. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/cpu.h"
#include "platform/topology.h"

/*
 * hwloc ignores the affinity mask by default. Its own flag for it (RESTRICT_TO_CPUBINDING, with
 * IS_THISSYSTEM) takes what all threads of the process together may use (hwloc 2.9), so a thread
 * that was narrowed to one CPU would be given workers for all of them; unit_topology is red with
 * it. So we restrict to the mask that jd_topology_allowed answers. A described machine
 * (HWLOC_SYNTHETIC, HWLOC_XMLFILE) is taken whole.
 */
static int restrict_to_allowed(hwloc_topology_t native)
{
	static const unsigned max = 8192;
	hwloc_bitmap_t set;
	unsigned *os, n;
	int rc = 0;

	if (!hwloc_topology_is_thissystem(native))
		return 0;
	set = hwloc_bitmap_alloc();
	os = malloc(max * sizeof(*os));
	if (!set || !os)
		rc = -1;
	n = rc ? 0 : jd_topology_allowed(os, max);
	for (unsigned i = 0; i < n && i < max && !rc; i++)
		rc = hwloc_bitmap_set(set, os[i]);
	if (!rc && n > 0)
		rc = hwloc_topology_restrict(native, set, 0);
	free(os);
	hwloc_bitmap_free(set);
	return rc;
}

/* The CPUs, cores, caches and NUMA nodes, and no device. NULL: hwloc cannot tell. */
static hwloc_topology_t native_load(void)
{
	hwloc_topology_t native;
	/* Distances, memory attributes and CPU kinds cost most of the time and we use none;
	 * discovery must not move the calling thread about. */
	unsigned long flags = HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING |
			      HWLOC_TOPOLOGY_FLAG_NO_DISTANCES | HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS |
			      HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS;

	if (hwloc_topology_init(&native))
		return NULL;
	if (hwloc_topology_set_flags(native, flags) ||
	    hwloc_topology_set_io_types_filter(native, HWLOC_TYPE_FILTER_KEEP_NONE) ||
	    hwloc_topology_load(native) || restrict_to_allowed(native)) {
		hwloc_topology_destroy(native);
		return NULL;
	}
	return native;
}

/* The cache that most CPUs share with this one: the last above it. Its own number if none. */
static unsigned outermost_cache(hwloc_obj_t pu)
{
	hwloc_obj_t found = pu;

	for (hwloc_obj_t o = pu; o; o = o->parent)
		if (hwloc_obj_type_is_dcache(o->type))
			found = o;
	return (unsigned)found->gp_index;
}

static void describe(hwloc_topology_t native, hwloc_obj_t pu, struct jd_topology_cpu *cpu)
{
	hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(native, HWLOC_OBJ_CORE, pu);

	cpu->os = pu->os_index;
	cpu->core = (unsigned)(core ? core : pu)->gp_index;
	cpu->cache = outermost_cache(pu);
	cpu->node = pu->nodeset ? (unsigned)hwloc_bitmap_first(pu->nodeset) : 0;
	for (hwloc_obj_t o = pu; core && (o = o->prev_cousin);) {
		if (hwloc_get_ancestor_obj_by_type(native, HWLOC_OBJ_CORE, o) != core)
			break;
		cpu->rank++;
	}
}

static jd_status topology_fill(hwloc_topology_t native, const struct jd_allocator *allocator,
			       unsigned cpus, struct jd_topology **topology)
{
	struct jd_topology *t;
	jd_status status = jd_topology_alloc(allocator, cpus, &t);

	if (status)
		return status;
	for (unsigned i = 0; i < cpus; i++)
		describe(native, hwloc_get_obj_by_type(native, HWLOC_OBJ_PU, i), &t->cpu[i]);
	t->native = native;
	t->foreign = !hwloc_topology_is_thissystem(native);
	snprintf(t->source, sizeof(t->source), "hwloc%s",
		 t->foreign ? " (a described machine)" : "");
	*topology = t;
	return JD_OK;
}

jd_status jd_topology_discover(const struct jd_allocator *allocator, struct jd_topology **topology)
{
	hwloc_topology_t native = native_load();
	int cpus = native ? hwloc_get_nbobjs_by_type(native, HWLOC_OBJ_PU) : 0;
	jd_status status;

	if (cpus < 1 || (unsigned)cpus > JD_CPU_LIMIT) {
		if (native)
			hwloc_topology_destroy(native);
		return jd_topology_flat(allocator, topology);
	}
	status = topology_fill(native, allocator, (unsigned)cpus, topology);
	if (status)
		hwloc_topology_destroy(native);
	return status;
}

jd_status jd_topology_bind(const struct jd_topology *topology, const unsigned *os, unsigned n)
{
	hwloc_bitmap_t set;
	int rc = 0;

	if (!topology->native)
		return jd_cpu_pin(os, n);
	set = hwloc_bitmap_alloc();
	if (!set)
		return JD_ENOMEM;
	for (unsigned i = 0; i < n && !rc; i++)
		rc = hwloc_bitmap_set(set, os[i]);
	if (!rc)
		rc = hwloc_set_cpubind(topology->native, set, HWLOC_CPUBIND_THREAD);
	hwloc_bitmap_free(set);
	return rc ? JD_ENOTSUP : JD_OK;
}

void jd_topology_release(struct jd_topology *topology)
{
	if (topology->native)
		hwloc_topology_destroy(topology->native);
}
