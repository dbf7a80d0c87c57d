/* host_posix.c - the waiting of a host's event loop: poll(2). */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/host.h"

#include <poll.h>

jd_status host_open(struct host *host, struct jd_scheduler *scheduler)
{
	int fd = -1;
	jd_status status = jd_main_loop_fd(scheduler, &fd);

	host->native = fd;
	return status;
}

jd_status host_open_nowhere(struct jd_scheduler *scheduler)
{
	return jd_main_loop_fd(scheduler, NULL);
}

jd_status host_open_other(struct jd_scheduler *scheduler)
{
	void *handle;

	return jd_main_loop_handle(scheduler, &handle);
}

bool host_ready(const struct host *host, int timeout_ms)
{
	struct pollfd p = {.fd = (int)host->native, .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}
