/* host.h - the waiting of a host's event loop, for tests of the main loop. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_HOST_H
#define JD_TESTS_TESTLIB_HOST_H

#include <jackdaw/main_loop.h>

/* A descriptor, or what the system has instead. */
struct host {
	intptr_t native;
};

/* What jd_main_loop_fd, or its like on this system, gives. */
jd_status host_open(struct host *host, struct jd_scheduler *scheduler);

/* The same without a place for the answer. */
jd_status host_open_nowhere(struct jd_scheduler *scheduler);

/* What it gives where only another system has it. */
jd_status host_open_other(struct jd_scheduler *scheduler);

/* Waits until there is foreground work; false: the time was over. */
bool host_ready(const struct host *host, int timeout_ms);

#endif
