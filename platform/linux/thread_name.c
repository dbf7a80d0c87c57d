/* thread_name.c - naming the calling thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>

#include "platform/platform.h"

void jd_thread_name(const char *name)
{
	char kept[16];

	snprintf(kept, sizeof(kept), "%s", name);
	pthread_setname_np(pthread_self(), kept);
}
