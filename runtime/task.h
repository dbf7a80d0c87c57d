/* task.h - the layout of a task; its state word is explained in task_state.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_TASK_H
#define JD_RUNTIME_TASK_H

#include <jackdaw/task.h>

#include "runtime/registry.h"
#include "runtime/task_state.h"

/*
 * One block: this header, then the future's state, then its result, each aligned for anything.
 * Access: I immutable after new; S by the rules of the state word; H the owner of the handle.
 */
struct jd_task {
	struct jd_runnable runnable;     /* S: whoever holds the runnable */
	jd_task_state state;             /* A */
	struct jd_scheduler *scheduler;  /* I: one reference */
	const struct jd_future_ops *ops; /* I: of the future; valid after the future is gone */
	struct jd_waker awaiter;         /* S: invariant 4 */
	struct jd_registry_entry entry;  /* the registry's */
	jd_label label;                  /* I */
	const char *site;                /* I */
	int32_t status;                  /* S: as the result */
	uint8_t kind;                    /* I: enum jd_task_kind */
	bool taken;                      /* H: the result was handed out */
};

/*
 * Fetches what the end of a task will touch beside it, if the runnable is one. For a scheduler that
 * owns the runnable and has no other thread that starts or ends tasks now.
 */
void jd_task_prefetch(const struct jd_runnable *runnable);

#endif
