/* reclaimer.h - frees the deques' retired buffers while thieves run: the back end of schedulers. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_RECLAIMER_H
#define JD_RUNTIME_RECLAIMER_H

/*
 * Where the platform has grace periods, one thread of its own waits for them and frees; it is
 * started by the first buffer that is retired (most schedulers never retire one) and sleeps when
 * there is nothing to free. Where there are none, or while no thread can be had, buffers are kept
 * until the end; all together are smaller than the buffers in use.
 *
 * Life cycle: init; give `reclaim` to the deques; each thread that steals attaches before and
 * detaches after; when all have detached and the deques are gone, fini.
 *
 * Rejected: waiting in a worker (a push or a park would last as long as a section of a thread
 * that was preempted); freeing by the next worker that passes by (needs polling of grace periods,
 * which liburcu has since 0.14 only).
 */
#include <stdint.h>

#include "deque/reclaim.h"
#include "deque/reclaim_keep.h"
#include "platform/platform.h"

/* Access: I immutable after init, A any thread, atomic, T the thread that set _started. */
struct jd_reclaimer {
	struct jd_reclaim *reclaim;   /* I: for jd_deque_init */
	struct jd_reclaim _base;      /* I */
	struct jd_reclaim_keep _keep; /* I: used instead where nothing can be waited for */
	JD_ATOMIC(struct jd_retired *) _retired; /* A: a stack, taken whole */
	JD_ATOMIC(uint32_t) _word;               /* A: where the thread sleeps: changes, STOP */
	JD_ATOMIC(bool) _started;                /* A: there is a thread, or one is being started */
	JD_ATOMIC(uint64_t) _freed;              /* A: how many were freed before the end */
	struct jd_thread _thread;                /* T */
};

void jd_reclaimer_init(struct jd_reclaimer *self);

/* Ends the thread and frees what is left. Blocks. The rules of barrier. */
void jd_reclaimer_fini(struct jd_reclaimer *self);

/* The calling thread will steal; it will not any more. Nests. */
void jd_reclaimer_attach(struct jd_reclaimer *self);
void jd_reclaimer_detach(struct jd_reclaimer *self);

/* How many buffers were freed while the scheduler ran. Any thread. */
uint64_t jd_reclaimer_freed(const struct jd_reclaimer *self);

#endif
