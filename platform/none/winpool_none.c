/* winpool_none.c - no scheduler over Windows' thread pool: this is not Windows. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/os_scheduler.h>

jd_status jd_winpool_scheduler_new(const struct jd_winpool_options *options,
				   struct jd_scheduler **scheduler)
{
	(void)options;
	return scheduler ? JD_ENOTSUP : JD_EINVAL;
}
