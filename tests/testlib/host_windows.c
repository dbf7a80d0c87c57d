/* host_windows.c - the waiting of a host's event loop: WaitForSingleObject. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/host.h"

#include <windows.h>

jd_status host_open(struct host *host, struct jd_scheduler *scheduler)
{
	void *handle = NULL;
	jd_status status = jd_main_loop_handle(scheduler, &handle);

	host->native = (intptr_t)handle;
	return status;
}

jd_status host_open_nowhere(struct jd_scheduler *scheduler)
{
	return jd_main_loop_handle(scheduler, NULL);
}

jd_status host_open_other(struct jd_scheduler *scheduler)
{
	int fd;

	return jd_main_loop_fd(scheduler, &fd);
}

bool host_ready(const struct host *host, int timeout_ms)
{
	return WaitForSingleObject((HANDLE)host->native, (DWORD)timeout_ms) == WAIT_OBJECT_0;
}
