/* reclaim_keep.h - the reclaim back end that keeps retired buffers until the end. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_DEQUE_RECLAIM_KEEP_H
#define JD_DEQUE_RECLAIM_KEEP_H

/*
 * Sections cost nothing and nothing is freed before barrier or fini. That is affordable: buffers
 * double, so all that a deque ever retired is together smaller than its current buffer. Any
 * thread may enter, unregistered.
 */
#include "deque/reclaim.h"
#include "platform/atomic.h"

/* Access: I immutable after init, A any thread, atomic. */
struct jd_reclaim_keep {
	struct jd_reclaim base;               /* I */
	JD_ATOMIC(struct jd_retired *) _kept; /* A: a stack; only pushed to until barrier */
};

void jd_reclaim_keep_init(struct jd_reclaim_keep *self);

/* Frees all that was retired; the rules of barrier. */
void jd_reclaim_keep_fini(struct jd_reclaim_keep *self);

#endif
