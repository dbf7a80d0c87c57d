/* c_winpool.c - the thread pool of Windows as a contender. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/os_scheduler.h>

#include "bench/run.h"

/* A pool of its own, so that it has the threads that the row says. */
static jd_status winpool_make(unsigned workers, struct jd_scheduler **scheduler)
{
	const struct jd_winpool_options options = {.threads_min = workers, .threads_max = workers};

	return jd_winpool_scheduler_new(&options, scheduler);
}

const struct bench_contender c_winpool = {.name = "winpool", .make = winpool_make};
