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
	struct jd_runnable runnable;     /* S: whoever holds the runnable; first */
	jd_task_state state;             /* A */
	struct jd_scheduler *scheduler;  /* I: one reference */
	const struct jd_future_ops *ops; /* I: of the future; valid after the future is gone */
	struct jd_waker awaiter;         /* S: invariant 4 */
	struct jd_registry_entry entry;  /* the registry's */
	JD_ATOMIC(jd_label) label;       /* I: atomic for those who look into a kept entry */
	JD_ATOMIC(const char *) site;    /* I: as label */
	int32_t status;                  /* S: as the result */
	uint8_t kind;                    /* I: enum jd_task_kind */
	uint8_t units; /* I: of a block that lanes keep, for good; 0: exact size */
	bool taken;    /* H: the result was handed out */
};

/*
 * What a future may be wrapped in without an allocation of its own: the wrapper's state lies in
 * front of the future's, in the task. It polls and drops what is behind it. Its ops are part of the
 * task, because the size of the whole depends on what is wrapped.
 */
struct jd_task_wrapper {
	struct jd_future base;
	struct jd_future_ops ops; /* poll and drop; the rest is filled in */
};

/*
 * As jd_task_new, for a future in a wrapper of size bytes, which is copied too; handle says whether
 * anybody will have one. The task is SHARED: whoever keeps the wrapper's drop from returning may
 * call jd_task_cancel meanwhile. Next comes jd_task_first_schedule, or jd_task_abandon.
 */
jd_status jd_task_new_around(struct jd_scheduler *scheduler, const struct jd_task_wrapper *wrapper,
			     size_t size, struct jd_future *future,
			     const struct jd_task_options *options, bool handle,
			     struct jd_task **task);

/* The wrapper in its task, and the future in a wrapper of size bytes. */
struct jd_task_wrapper *jd_task_get_wrapper(struct jd_task *task);
struct jd_future *jd_task_wrapped(struct jd_task_wrapper *wrapper, size_t size);

/* Schedules a new task where its kind belongs; errors as of jd_task_spawn. */
jd_status jd_task_first_schedule(struct jd_task *task);

/* Frees a task that could not be scheduled. The future is not dropped: the caller still has it. */
void jd_task_abandon(struct jd_task *task, bool handle);

/*
 * Fetches what the end of a task will touch beside it, if the runnable is one. For a scheduler that
 * owns the runnable and has no other thread that starts or ends tasks now.
 */
void jd_task_prefetch(const struct jd_runnable *runnable);

/* The operations by which a runnable is known to be a task; whether one is, of that scheduler. */
extern const struct jd_runnable_ops jd_task_runnable_ops;

static inline bool jd_task_belongs(const struct jd_runnable *runnable,
				   const struct jd_scheduler *scheduler)
{
	const struct jd_task *task = (const struct jd_task *)(const void *)runnable;

	return runnable->ops == &jd_task_runnable_ops && task->scheduler == scheduler;
}

/* Returns a block of units, kept by a lane, to the allocator. */
void jd_task_discard(struct jd_scheduler *scheduler, void *block, unsigned units);

#endif
