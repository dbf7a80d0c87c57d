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
#include <jackdaw/scheduler.h>

#include "deque/injector.h"
#include "platform/platform.h"

struct jd_runnable_list {
	struct jd_runnable *head;
	struct jd_runnable **tail;
};

/* One waiting call on the main thread, in its stack frame; innermost first. M: main thread. */
struct jd_main_frame {
	struct jd_main_frame *outer;  /* M */
	jd_session_id session;        /* M: blocked while the call waits; 0 none */
	struct jd_runnable_list held; /* M: of that session */
};

/* Access: I immutable, M main thread only, A any thread. */
struct jd_main_loop {
	struct jd_injector inbox;      /* A */
	_Atomic(uint32_t) word;        /* A: futex word */
	_Atomic(uint32_t) quit;        /* A: asks run to return */
	uint64_t thread;               /* I: jd_thread_self() of the main thread; 0: none */
	jd_session_id current;         /* M: session of the runnable that runs now */
	struct jd_main_frame *frames;  /* M */
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

/* Main thread: a wait begins and ends; leave on every way out. */
void jd_main_loop_enter(struct jd_main_loop *loop, struct jd_main_frame *frame);
void jd_main_loop_leave(struct jd_main_loop *loop, struct jd_main_frame *frame);

/* Main thread: runs one runnable of a session that is not blocked; false when there is none. */
bool jd_main_loop_run_one(struct jd_main_loop *loop);

/*
 * Main thread: sleeps until a post, a kick, or the deadline, unless there was one since prepare.
 * Between the two the caller looks at whatever else could end its wait.
 */
void jd_main_loop_prepare(struct jd_main_loop *loop);
void jd_main_loop_sleep(struct jd_main_loop *loop, uint64_t deadline_ns);

/*
 * Main thread: a host's loop polls the descriptor from now on. JD_EAGAIN: there is none to be had.
 * The word is armed whenever the main thread goes back to its host (jd_main_loop_arm).
 */
jd_status jd_main_loop_poll_with(struct jd_main_loop *loop, int *fd);
void jd_main_loop_disarm(struct jd_main_loop *loop);
void jd_main_loop_arm(struct jd_main_loop *loop);

void jd_main_loop_fini(struct jd_main_loop *loop);

/* Main thread: takes no more. Returns all that has not run, in order. */
struct jd_runnable *jd_main_loop_close(struct jd_main_loop *loop);

#endif
