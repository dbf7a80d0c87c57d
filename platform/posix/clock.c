/* clock.c - the monotonic clock. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "platform/platform.h"

uint64_t jd_clock_now(void)
{
	struct timespec ts;
	int rc = clock_gettime(CLOCK_MONOTONIC, &ts);

	JD_ASSERT(rc == 0);
	return (uint64_t)ts.tv_sec * JD_SEC + (uint64_t)ts.tv_nsec;
}
