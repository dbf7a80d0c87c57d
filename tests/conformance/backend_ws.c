/* backend_ws.c - the production scheduler under test. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/ws_scheduler.h>

#include "tests/conformance/backend.h"

static jd_status make(const struct conf_options *options, struct jd_scheduler **scheduler)
{
	const struct jd_ws_options ws = {
		.workers = options->workers,
		.main_thread = options->main_thread,
		.blocking_max = options->blocking_max,
		.allocator = options->allocator,
	};

	return jd_ws_scheduler_new(&ws, scheduler);
}

const struct conf_backend conf_backend_ws = {
	.name = "ws",
	.has = CONF_FOREGROUND | CONF_BLOCKING | CONF_TIMERS | CONF_THREADS | CONF_PARALLEL |
	       CONF_CLOCK,
	.make = make,
};
