/* runnable.h - what every queue of runnables needs: a check of what is in it, an end of it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_RUNNABLE_H
#define JD_RUNTIME_RUNNABLE_H

/*
 * In checked builds a queue marks what it takes in and looks for the mark when it hands it out.
 * No status could tell the user: when it is found, a queue is broken or about to be.
 */
#include <jackdaw/scheduler.h>

#include "platform/compiler.h"

enum {
	JD_RUNNABLE_QUEUED = 0x4a44
};

/* A flag of ours: it came in by a gate with a bound (gate.h) and is not in a lane. */
#define JD_RUNNABLE_COUNTED ((uint32_t)1 << 31)

/* Before it becomes visible to others. */
static inline void jd_runnable_mark(struct jd_runnable *runnable)
{
	if (!JD_CHECKED)
		return;
	if (runnable->_reserved == JD_RUNNABLE_QUEUED)
		JD_MISUSE("a runnable was scheduled while it was queued");
	runnable->_reserved = JD_RUNNABLE_QUEUED;
}

/* When it is handed out, or was refused after all. */
static inline void jd_runnable_unmark(struct jd_runnable *runnable)
{
	if (!JD_CHECKED)
		return;
	if (runnable->_reserved != JD_RUNNABLE_QUEUED)
		JD_MISUSE("a runnable was freed or overwritten while it was queued");
	runnable->_reserved = 0;
}

/* Cancels all, in this order; each may be gone, and its link with it, once it was cancelled. */
static inline void jd_runnable_cancel_list(struct jd_runnable *list)
{
	while (list) {
		struct jd_runnable *next = list->next;

		jd_runnable_cancel(list);
		list = next;
	}
}

static inline struct jd_runnable *jd_runnable_unmark_list(struct jd_runnable *list)
{
	for (struct jd_runnable *r = list; JD_CHECKED && r; r = r->next)
		jd_runnable_unmark(r);
	return list;
}

#endif
