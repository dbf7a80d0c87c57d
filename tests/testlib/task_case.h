/* task_case.h - what every test of the task needs: a hand scheduler, a probe, five counters. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_TASK_CASE_H
#define JD_TESTS_TESTLIB_TASK_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <jackdaw/task.h>

#include "tests/testlib/hand_scheduler.h"
#include "tests/testlib/probe.h"

/*
 * The counters are those of the conformance list: POLL and DF and DT of the probe, SCHED of the
 * scheduler, DS from the allocator: the task's one block of memory was released.
 */
struct task_case {
	struct count_allocator memory;
	struct hand_scheduler *hand;
	struct jd_scheduler *scheduler; /* &hand->base */
	struct probe probe;
	struct probe_waker awaiter;
	struct jd_waker waker;        /* of awaiter */
	struct jd_context context;    /* polls with waker */
	struct jd_runnable *runnable; /* of the last task_case_new */
	struct jd_task *task;
	jd_status awaited; /* by the last task_case_await */
};

/* cmocka setup and teardown; teardown fails the test when anything leaked or overlapped. */
int task_case_setup(void **state);
int task_case_teardown(void **state);

/* Makes a background task of the probe, not scheduled: tc->runnable and tc->task. */
void task_case_new(struct task_case *tc);

/* Spawns a task of the probe: tc->task, its runnable is queued. */
void task_case_spawn(struct task_case *tc);

/*
 * Polls tc->task with the counting waker. A result is dropped, and counted, at once; one that is
 * not the probe's gives JD_ENONDET. Any thread.
 */
jd_status task_case_await(struct task_case *tc);

#define POLL(tc) probe_get(&(tc)->probe.polls)
#define DF(tc) probe_get(&(tc)->probe.drops)
#define DT(tc) probe_get(&(tc)->probe.result_drops)
#define DS(tc) ((unsigned)atomic_load_explicit(&(tc)->memory.watched_frees, memory_order_relaxed))
#define SCHED(tc) hand_scheds((tc)->hand)
#define QUEUED(tc) hand_queued((tc)->hand)
#define WAKES(tc) probe_get(&(tc)->awaiter.wakes)

/* All at once, so that a failure shows the line of the test. */
#define assert_counts(tc, poll, df, ds, dt)         \
	do {                                        \
		assert_int_equal(POLL(tc), (poll)); \
		assert_int_equal(DF(tc), (df));     \
		assert_int_equal(DS(tc), (ds));     \
		assert_int_equal(DT(tc), (dt));     \
	} while (0)

#endif
