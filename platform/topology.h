/* topology.h - what a topology is made of, whoever discovered it; seen by platform/ only. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_PLATFORM_TOPOLOGY_H
#define JD_PLATFORM_TOPOLOGY_H

#include "platform/platform.h"

/* Where one CPU sits. Two CPUs share a thing when the numbers are equal. */
struct jd_topology_cpu {
	unsigned os; /* the system's number */
	unsigned core;
	unsigned cache; /* the outermost cache above it */
	unsigned node;  /* NUMA */
	unsigned rank;  /* its position among the allowed CPUs of its core */
};

/* Access: I for everything once jd_topology_new returned. */
struct jd_topology {
	const struct jd_allocator *allocator;
	unsigned cpus;
	unsigned parallelism;
	bool flat;    /* nothing is known about distances */
	bool foreign; /* describes another machine (a synthetic one): binding means nothing */
	void *native; /* what the discovery keeps for pinning; may be NULL */
	char source[160];
	struct jd_topology_cpu cpu[]; /* one of each core before the second of any */
};

/* Memory for a topology of that many CPUs, zeroed but for allocator and cpus. JD_ENOMEM. */
jd_status jd_topology_alloc(const struct jd_allocator *allocator, unsigned cpus,
			    struct jd_topology **topology);

/*
 * jd_cpu_allowed for a discovery. A thread that jd_topology_pin bound to one CPU counts as free to
 * use all that the process has, or a scheduler made inside a worker would be confined to that CPU.
 */
unsigned jd_topology_allowed(unsigned *os, unsigned max);

/* discover for whoever knows nothing but which CPUs we may use. JD_ENOMEM. */
jd_status jd_topology_flat(const struct jd_allocator *allocator, struct jd_topology **topology);

/*
 * The three that a discovery folder (hwloc/, none/) implements. discover fills everything but
 * parallelism, in any order of CPUs; JD_ENOMEM only. bind pins the calling thread to os[0..n);
 * release frees what native points to.
 */
jd_status jd_topology_discover(const struct jd_allocator *allocator, struct jd_topology **topology);
jd_status jd_topology_bind(const struct jd_topology *topology, const unsigned *os, unsigned n);
void jd_topology_release(struct jd_topology *topology);

#endif
