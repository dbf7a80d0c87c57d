/* worker_take.h - where a worker takes from what is not its own: outside, timers, others. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_WORKER_TAKE_H
#define JD_RUNTIME_WORKER_TAKE_H

/* All: by the thread that drives the worker. NULL: there was nothing. */
#include "runtime/worker.h"

/*
 * What came from outside: the oldest; the rest, or some of it, goes to the own queue. idle: there
 * is nothing else to do.
 */
struct jd_runnable *jd_worker_take_injected(struct jd_worker *w, bool idle);

/* Enters what is due; runnables that are not inline go to the own queue. */
void jd_worker_take_fired(struct jd_worker *w, bool idle);

/*
 * One look at every other worker: the nearest first, those equally far from a random start. *again
 * tells that one had something, which was not to be had.
 */
struct jd_runnable *jd_worker_take_stolen(struct jd_worker *w, bool *again);

/* A forked frame, as a runnable. */
struct jd_runnable *jd_worker_take_forked(struct jd_worker *w);

/* Every few ticks: timers, and in turn those outside and what waits longest here. */
JD_COLD struct jd_runnable *jd_worker_take_fair(struct jd_worker *w);

#endif
