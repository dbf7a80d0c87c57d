/* exec_scenario.h - many sessions at once, ended in every way, and what must hold of them. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_EXEC_SCENARIO_H
#define JD_TESTS_TESTLIB_EXEC_SCENARIO_H

/*
 * Drivers, which are blocking tasks, handle one session after another. Each session has tasks of
 * its own, children of these, and background work registered with wait_until; some tasks enter
 * other sessions and other contexts for a while. Then it ends: in order, with a dangling task that
 * was planted, cancelled, or after tasks were registered late. Every poll and drop looks which
 * session it is in. The same program runs under seeds and on real threads.
 */
#include <jackdaw/exec_context.h>

#include "platform/atomic.h"

struct exec_world {
	struct jd_scheduler *scheduler;
	struct jd_exec_context *context; /* where the sessions are */
	struct jd_exec_context *other;   /* a second one beside it */
	bool tracked;                    /* context answers is_task_running itself */
	uint64_t seed;
	unsigned drivers;
	unsigned sessions; /* in all */
	unsigned tasks;    /* of a session, 4 to EXEC_TASKS_MAX; children come on top */

	/* Filled in. */
	_Atomic(const char *) error; /* A: the first check that failed */
	_Atomic(uint32_t) next;      /* A: the next session to be handled */
	_Atomic(uint64_t) live;      /* A: futures that exist */
	_Atomic(uint64_t) spawned;   /* A */
	_Atomic(uint64_t) values;    /* A: values that were set and not dropped */
	_Atomic(uint64_t) planted;   /* A: dangling tasks */
	_Atomic(uint64_t) found;     /* A: of these, reported with their line */
	_Atomic(uint64_t) cancelled; /* A: sessions */
};

#define EXEC_TASKS_MAX 32

/* NULL, or what went wrong first. Blocks, on the scheduler. */
const char *exec_scenario_run(struct exec_world *world);

#endif
