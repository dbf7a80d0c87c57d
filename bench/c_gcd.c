/* c_gcd.c - Grand Central Dispatch as a contender. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/os_scheduler.h>

#include "bench/run.h"
#include "platform/platform.h"

/* It takes the threads it likes: as many as there are CPUs. */
static unsigned gcd_workers(void)
{
	static unsigned cpus;
	struct jd_topology *topology;

	if (!cpus && jd_topology_new(jd_allocator_default(), true, &topology) == JD_OK) {
		cpus = jd_topology_parallelism(topology);
		jd_topology_free(topology);
	}
	return cpus;
}

static jd_status gcd_make(unsigned workers, struct jd_scheduler **scheduler)
{
	(void)workers;
	return jd_gcd_scheduler_new(NULL, scheduler);
}

const struct bench_contender c_gcd = {.name = "gcd", .make = gcd_make, .workers = gcd_workers};
