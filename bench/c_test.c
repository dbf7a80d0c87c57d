/* c_test.c - the TestScheduler as a contender: what a test pays for its determinism. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/test_scheduler.h>

#include "bench/run.h"

static unsigned test_workers(void)
{
	return 1;
}

static jd_status test_make(unsigned workers, struct jd_scheduler **scheduler)
{
	struct jd_test_scheduler *test;
	jd_status status = jd_test_scheduler_new(NULL, &test);

	(void)workers;
	if (status == JD_OK)
		*scheduler = jd_test_scheduler_base(test);
	return status;
}

const struct bench_contender c_test = {
	.name = "test",
	.make = test_make,
	.workers = test_workers,
	.simulated = true,
};
