/* main_loop.h - foreground work: one thread, sessions in order, none re-entered. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_MAIN_LOOP_H
#define JD_RUNTIME_MAIN_LOOP_H

/*
 * Any thread posts; the main thread alone takes, runs and blocks. A runnable goes inbox -> ready
 * -> run. While a call on the main thread waits in session S, S is blocked: runnables of S that
 * come up are put aside in that call's frame, and go back to the front of ready, in their order,
 * when the call ends. So the order within a session holds and picking costs O(1) amortised.
 *
 * Sleep and wake are exchanges of one word, so they are ordered by it: either the poster finds
 * SLEEPING and wakes, or the main thread finds NOTIFIED, and then sees what was posted.
 *
 * A host's event loop may do the waiting: then the word says POLLED, the host polls the event's
 * descriptor, and the poster that finds POLLED sets the event; later ones find NOTIFIED and need
 * no system call. Clear, take, arm, in this order: what is posted after the taking is seen by the
 * arming, which then sets the event itself.
 */
#include <jackdaw/main_loop.h>
#include <jackdaw/scheduler.h>

#include "deque/injector.h"
#include "platform/platform.h"

struct jd_runnable_list {
	struct jd_runnable *head;
	struct jd_runnable **tail;
};

struct jd_main_frame;

/* Access: I immutable, M main thread only, A any thread. */
struct jd_main_loop {
	struct jd_injector inbox;      /* A */
	_Atomic(uint32_t) word;        /* A: futex word */
	_Atomic(uint32_t) quit;        /* A: asks run to return */
	uint64_t thread;               /* I: jd_thread_self() of the main thread; 0: none */
	jd_session_id current;         /* M: session of the runnable that runs now */
	struct jd_main_frame *frames;  /* M: innermost first */
	struct jd_runnable_list ready; /* M */
	struct jd_pollable event;      /* I once polled is set; A: to be set */
	bool polled;                   /* M: a host polls the event */
};

void jd_main_loop_init(struct jd_main_loop *loop, uint64_t thread);

/* JD_ECLOSED after jd_main_loop_close. */
jd_status jd_main_loop_post(struct jd_main_loop *loop, struct jd_runnable *runnable,
			    jd_session_id session);

/* Makes a sleeping main thread look again. Any thread. */
void jd_main_loop_kick(struct jd_main_loop *loop);

/* The calling thread is the main thread. */
bool jd_main_loop_here(const struct jd_main_loop *loop);

/* The calling thread is the main thread and inside a foreground runnable or a park. */
bool jd_main_loop_busy(const struct jd_main_loop *loop);

/* Main thread: the park operation, with other sessions' runnables meanwhile. */
jd_status jd_main_loop_park(struct jd_main_loop *loop, struct jd_parker *parker,
			    uint64_t deadline_ns);

/* Main thread: takes no more. Returns all that has not run, in order. */
struct jd_runnable *jd_main_loop_close(struct jd_main_loop *loop);

void jd_main_loop_fini(struct jd_main_loop *loop);

#endif
