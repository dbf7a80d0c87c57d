/* thread_name.c - naming the calling thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "platform/posix/posix.h"

void jd_posix_name_self(const char *name)
{
	pthread_setname_np(pthread_self(), name);
}
