/* c_ws.c - the production scheduler as a contender. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/ws_scheduler.h>

#include "bench/run.h"

static jd_status ws_make(unsigned workers, struct jd_scheduler **scheduler)
{
	const struct jd_ws_options options = {.workers = workers};

	return jd_ws_scheduler_new(&options, scheduler);
}

const struct bench_contender c_ws = {.name = "ws", .make = ws_make, .forks = true};
