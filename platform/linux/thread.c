/* thread.c - what Linux lets a thread say about itself. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "platform/platform.h"

void jd_thread_name(const char *name)
{
	char kept[16];

	snprintf(kept, sizeof(kept), "%s", name);
	pthread_setname_np(pthread_self(), kept);
}

void jd_thread_set_slack(uint64_t slack_ns)
{
	/* 0 would be the default again. */
	(void)prctl(PR_SET_TIMERSLACK, (unsigned long)(slack_ns ? slack_ns : 1), 0UL, 0UL, 0UL);
}
