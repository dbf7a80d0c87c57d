/* task.h - the layout of a task; its state word is explained in task_state.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_TASK_H
#define JD_RUNTIME_TASK_H

#include <jackdaw/task.h>

#include "runtime/registry.h"
#include "runtime/task_state.h"

/*
 * One block: this header, then the future's state, then its result, each aligned for anything that
 * has its size. In front of it, unless the block is from a slab, the entry of the registry, of
 * which the first word here is the last. A block from a slab may be looked at while its next task
 * begins: what others look at is atomic. Its awaiter and session are empty between two tasks.
 * The status lies where queues mark a runnable, because it comes when there is none any more.
 * Access: I immutable after new; S by the rules of the state word.
 */
struct jd_task {
	struct jd_task_word word;        /* the registry's */
	struct jd_runnable runnable;     /* S: whoever holds the runnable; _reserved: as result */
	jd_task_state state;             /* A */
	struct jd_scheduler *scheduler;  /* I: one reference */
	const struct jd_future_ops *ops; /* I: of the future; valid after the future is gone */
	struct jd_waker awaiter;         /* S: invariant 4 */
	JD_ATOMIC(jd_label) label;       /* I */
	JD_ATOMIC(const char *) site;    /* I */
};

static inline size_t jd_task_align(size_t n)
{
	return (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

static inline struct jd_future *jd_task_future(struct jd_task *task)
{
	return (struct jd_future *)((char *)task + jd_task_align(sizeof(*task)));
}

/* Where the result lies behind the future: a size is a multiple of what has to be aligned. */
static inline size_t jd_task_result_offset(size_t future_size, size_t result_size)
{
	size_t align = result_size & (0 - result_size);

	if (align > alignof(max_align_t))
		align = alignof(max_align_t);
	return align ? (future_size + align - 1) & ~(align - 1) : future_size;
}

static inline void *jd_task_result(struct jd_task *task)
{
	return (char *)jd_task_future(task) +
	       jd_task_result_offset(task->ops->size, task->ops->result_size);
}

/* The bytes from the header to the end of the result. */
static inline size_t jd_task_block_size(size_t future_size, size_t result_size)
{
	return jd_task_align(sizeof(struct jd_task)) +
	       jd_task_result_offset(future_size, result_size) + result_size;
}

static inline enum jd_task_kind jd_task_kind(const struct jd_task *task)
{
	return (enum jd_task_kind)jd_task_state_kind(jd_task_state_peek(&task->state));
}

static inline void jd_task_observe(struct jd_task *task, enum jd_event event)
{
	struct jd_observer *observer = task->scheduler->observer;

	if (JD_UNLIKELY(observer != NULL))
		observer->event(observer, event, task);
}

/* The entry of a task whose block is not from a slab. */
static inline struct jd_registry_entry *jd_task_entry(struct jd_task *task)
{
	return jd_container_of(&task->word, struct jd_registry_entry, word);
}

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
 * call jd_task_cancel meanwhile. Next comes jd_task_schedule, or jd_task_abandon.
 */
jd_status jd_task_new_around(struct jd_scheduler *scheduler, const struct jd_task_wrapper *wrapper,
			     size_t size, struct jd_future *future,
			     const struct jd_task_options *options, bool handle,
			     struct jd_task **task);

/* The wrapper in its task, and the future in a wrapper of size bytes. */
struct jd_task_wrapper *jd_task_get_wrapper(struct jd_task *task);
struct jd_future *jd_task_wrapped(struct jd_task_wrapper *wrapper, size_t size);

/*
 * Schedules a task, whose runnable is the caller's, where its kind belongs; errors as of
 * jd_task_spawn. After JD_OK nobody but its references keeps the task.
 */
static inline jd_status jd_task_schedule(struct jd_task *task)
{
	struct jd_scheduler *scheduler = task->scheduler;
	struct jd_runnable *runnable = &task->runnable;
	enum jd_task_kind kind = jd_task_kind(task);

	if (JD_LIKELY(kind == JD_TASK_BACKGROUND)) {
		jd_label label = atomic_load_explicit(&task->label, memory_order_relaxed);

		return JD_LIKELY(!label) ? scheduler->ops->schedule(scheduler, runnable)
					 : jd_schedule_labeled(scheduler, runnable, label);
	}
	return kind == JD_TASK_FOREGROUND
		       ? jd_schedule_foreground(scheduler, runnable, runnable->session)
		       : jd_schedule_blocking(scheduler, runnable);
}

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
	const struct jd_task *task =
		(const struct jd_task *)(const void *)((const char *)runnable -
						       offsetof(struct jd_task, runnable));

	return runnable->ops == &jd_task_runnable_ops && task->scheduler == scheduler;
}

#endif
