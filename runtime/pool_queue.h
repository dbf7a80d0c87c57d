/* pool_queue.h - what a pool scheduler has to run, and who stands in for threads that sleep. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_POOL_QUEUE_H
#define JD_RUNTIME_POOL_QUEUE_H

/*
 * Producers push on an injector; each push is followed by one call of the pool, and each call takes
 * one runnable. Takers hold a lock: they empty the injector into a list and take its oldest.
 *
 * So at any time at least as many calls are outstanding as runnables are queued, whoever takes
 * them: a call that finds nothing comes when everything pushed before it was taken. That leaves
 * takers beside the calls free to come and go. These are the stand-ins: while a thread of the pool
 * sleeps in a park, a thread of ours takes its place, for the pool may be slow to make up for it,
 * or never do so. Threads = what the pool has + those that sleep.
 *
 * A stand-in without work sleeps too. It counts itself in `idle`, looks at the injector, sleeps on
 * `news`; a producer pushes, looks at `idle`, counts `news` up: the handshake of injector.h, so one
 * of them sees the other. What a taker left in the list needs no such care: it comes back for more,
 * or sleeps, and then gets a stand-in of its own; it wakes an idle one only to share the work.
 */
#include <jackdaw/scheduler.h>

#include "deque/injector.h"
#include "runtime/lock.h"

/* Access: A any thread, atomic, L lock. */
struct jd_pool_queue {
	struct jd_injector inbox;                /* A */
	JD_CACHE_ALIGNED struct jd_lock lock;    /* A */
	struct jd_runnable *head;                /* L: taken from the inbox, oldest first */
	unsigned asleep;                         /* L: threads of the pool that sleep in a park */
	unsigned stand_ins;                      /* L: that are at work, or idle */
	bool stopped;                            /* L */
	JD_CACHE_ALIGNED _Atomic(uint32_t) idle; /* A: stand-ins that wait for work */
	_Atomic(uint32_t) news;                  /* A: futex word: counts what may end their wait */
};

void jd_pool_queue_init(struct jd_pool_queue *queue);

/* Any thread; not after close. */
void jd_pool_queue_push(struct jd_pool_queue *queue, struct jd_runnable *runnable);

/* The oldest; NULL: none, or stopped. */
struct jd_runnable *jd_pool_queue_take(struct jd_pool_queue *queue);

/*
 * The calling thread, of the pool or (stand_in) one that stands in, is about to sleep. True: the
 * caller must see to it that one more thread stands in, or take the call back by waking.
 */
bool jd_pool_queue_sleeps(struct jd_pool_queue *queue, bool stand_in);

/* It woke. failed: the stand-in that sleeps asked for could not be had. */
void jd_pool_queue_woke(struct jd_pool_queue *queue, bool stand_in, bool failed);

/* For a stand-in: the next one, waiting for it; NULL: it is not needed, nor counted, any more. */
struct jd_runnable *jd_pool_queue_wait(struct jd_pool_queue *queue);

/* Gives out nothing more, and ends all stand-ins. */
void jd_pool_queue_stop(struct jd_pool_queue *queue);

/* After stop, when nobody pushes any more: what is queued, in order. */
struct jd_runnable *jd_pool_queue_close(struct jd_pool_queue *queue);

#endif
