/* topology_none.c - discovery without help: the allowed CPUs, all equally far apart. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/cpu.h"
#include "platform/topology.h"

jd_status jd_topology_discover(const struct jd_allocator *allocator, struct jd_topology **topology)
{
	return jd_topology_flat(allocator, topology);
}

jd_status jd_topology_bind(const struct jd_topology *topology, const unsigned *os, unsigned n)
{
	(void)topology;
	return jd_cpu_pin(os, n);
}

void jd_topology_release(struct jd_topology *topology)
{
	JD_ASSERT(!topology->native);
}
