/* backend_gcd.c - Grand Central Dispatch under test. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/os_scheduler.h>

#include "tests/conformance/backend.h"

static jd_status make(const struct conf_options *options, struct jd_scheduler **scheduler)
{
	const struct jd_gcd_options gcd = {
		.main_thread = options->main_thread,
		.allocator = options->allocator,
	};

	return jd_gcd_scheduler_new(&gcd, scheduler);
}

static const char *absent(void)
{
	struct jd_scheduler *scheduler;
	jd_status status = jd_gcd_scheduler_new(NULL, &scheduler);

	if (status == JD_OK)
		status = jd_scheduler_destroy(scheduler);
	return status == JD_ENOTSUP ? "no libdispatch here" : NULL;
}

const struct conf_backend conf_backend_gcd = {
	.name = "gcd",
	.has = CONF_FOREGROUND | CONF_BLOCKING | CONF_TIMERS | CONF_THREADS | CONF_PARALLEL |
	       CONF_CLOCK,
	.make = make,
	.absent = absent,
};
