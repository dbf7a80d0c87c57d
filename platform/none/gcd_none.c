/* gcd_none.c - no GCD scheduler: libdispatch was not found when this was configured. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/os_scheduler.h>

jd_status jd_gcd_scheduler_new(const struct jd_gcd_options *options,
			       struct jd_scheduler **scheduler)
{
	(void)options;
	return scheduler ? JD_ENOTSUP : JD_EINVAL;
}
