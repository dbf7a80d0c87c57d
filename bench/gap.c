/* gap.c - a while in which the measuring thread does nothing. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gap.h"

static jd_status never_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	(void)future;
	(void)context;
	(void)result;
	return JD_PENDING;
}

jd_status bench_gap(struct jd_scheduler *scheduler, uint64_t ns)
{
	static const struct jd_future_ops ops = {.poll = never_poll,
						 .size = sizeof(struct jd_future)};
	struct jd_future never = {&ops};
	jd_status status = jd_block_with_timeout(scheduler, &never, ns, NULL);

	return status == JD_ETIMEDOUT ? JD_OK : status;
}
