/* backend_test.c - the deterministic scheduler under test, each test with several seeds. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/test_scheduler.h>

#include "tests/conformance/backend.h"

static jd_status make(const struct conf_options *options, struct jd_scheduler **scheduler)
{
	const struct jd_test_options test = {
		.seed = options->seed,
		.name = "conformance",
		.allocator = options->allocator,
		.allow_parking = options->foreign,
		/* The tests look for themselves. */
		.allow_deadlock = true,
		.allow_leaks = true,
	};
	struct jd_test_scheduler *made;
	jd_status status = jd_test_scheduler_new(&test, &made);

	if (status == JD_OK)
		*scheduler = jd_test_scheduler_base(made);
	return status;
}

static jd_status verdict(struct jd_scheduler *scheduler)
{
	return jd_test_check(jd_test_scheduler_from(scheduler));
}

const struct conf_backend conf_backend_test = {
	.name = "test",
	.has = CONF_FOREGROUND | CONF_BLOCKING | CONF_TIMERS | CONF_THREADS | CONF_DEADLOCK,
	.seeds = 10,
	.make = make,
	.verdict = verdict,
};
