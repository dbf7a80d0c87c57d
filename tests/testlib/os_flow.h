/* os_flow.h - what the schedulers over systems' thread pools are put through alike. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_OS_FLOW_H
#define JD_TESTS_TESTLIB_OS_FLOW_H

#include <jackdaw/scheduler.h>

#include "platform/atomic.h"

/* One with all else by default. */
typedef jd_status os_make_fn(const struct jd_allocator *allocator, struct jd_scheduler **scheduler);

/* Runs a thousand tasks on it and destroys it; JD_OK when all of them ran. */
jd_status os_use(struct jd_scheduler *scheduler);

/* cmocka asserts, on the thread of the test: each allocation of make fails once. */
void os_check_no_memory(os_make_fn *make);

/*
 * cmocka asserts: a hundred thousand runnables, and no memory taken by any code of ours, but for
 * so many calls of malloc by the pool's threads for their thread-locals.
 */
void os_check_schedule_takes_no_memory(os_make_fn *make, unsigned thread_locals);

/* What jd_dump writes, at most size - 1 bytes. */
void os_dump(struct jd_scheduler *scheduler, char *text, size_t size);

/* Tasks in foreground and background by turns, each spawned by the one before. */
struct os_hops {
	struct jd_scheduler *scheduler;
	_Atomic(int) left;     /* A: 0 at the end */
	_Atomic(int) mistakes; /* A: on the wrong thread, or not to be spawned */
};

jd_status os_hops_start(struct os_hops *hops, int n);

#endif
