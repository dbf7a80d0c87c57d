/* injector.h - lock-free queue of runnables from any thread to whichever worker takes them. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_DEQUE_INJECTOR_H
#define JD_DEQUE_INJECTOR_H

/*
 * A stack that is only ever emptied whole (Treiber's push, one CAS to take everything), and
 * turned around by the taker: what one thread pushed comes out in its order, and so does all that
 * was pushed between two takes. (Who puts it into a stack of his own grabs it: it is turned around
 * by that.) Intrusive: the link is jd_runnable's next, nothing is allocated.
 *
 * Any thread may call push, push_list, grab, take, empty, dump at any time; several may take,
 * each runnable goes to exactly one. check needs that nobody takes. A thread that is stopped in
 * the middle of anything blocks nobody: before its CAS its runnable is not there, after it
 * everybody can take it. (A queue whose producers exchange the tail and link afterwards hides all
 * later pushes while one producer is between the two: rejected.) Emptying whole makes the CAS
 * safe against reuse: it only says "the head is still what my runnable links to", and that
 * link is right whatever happened in between.
 *
 * What callers may rely on:
 *  - what happened before a push happens before the end of the take that returns the runnable;
 *  - push is a seq_cst read-modify-write (IN1) and empty is a seq_cst load (IN3). So a push is
 *    the publishing half of a store-load handshake with a sleeper:
 *
 *      producer                            worker going to sleep
 *      jd_injector_push      w[head]       announce the sleep, seq_cst RMW   w[sleepers]
 *      seq_cst load          r[sleepers]   jd_injector_empty                 r[head]
 *
 *    one of the two sees the other. take is no such half: it may miss a push that another thread
 *    has completed but that does not happen before the take. Use empty before sleeping.
 *
 * close is the end: it takes what is there and puts a mark in the head (the address of the injector
 * itself, which no runnable has); every push that comes later sees the mark and is refused. So
 * nothing is lost between a producer that is about to push and a consumer that goes away.
 *
 * The head changes hands with every push; a scheduler with very many foreign producers wants
 * several injectors, not a cleverer one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jackdaw/scheduler.h>

#include "platform/atomic.h"
#include "platform/compiler.h"

/* Access: A any thread, atomic. */
struct jd_injector {
	JD_CACHE_ALIGNED JD_ATOMIC(struct jd_runnable *) head; /* A: the newest */
};

static inline void jd_injector_init(struct jd_injector *in)
{
	atomic_init(&in->head, NULL);
}

/* What a push found. */
enum jd_injector_found {
	JD_INJECTOR_SOME,   /* other runnables */
	JD_INJECTOR_NONE,   /* nothing: this is the first */
	JD_INJECTOR_CLOSED, /* the end: nothing was pushed, the runnables are the caller's */
};

static inline bool jd_injector_is_mark(const struct jd_injector *in, const struct jd_runnable *head)
{
	return (const void *)head == (const void *)in;
}

/* Prepends the chain first..last, linked newest to oldest. */
static inline enum jd_injector_found jd_injector_push_chain(struct jd_injector *in,
							    struct jd_runnable *newest,
							    struct jd_runnable *oldest)
{
	struct jd_runnable *head = atomic_load_explicit(&in->head, memory_order_relaxed);

	do {
		if (JD_UNLIKELY(jd_injector_is_mark(in, head))) {
			/* An earlier try may have linked to what is not the caller's. */
			oldest->next = NULL;
			return JD_INJECTOR_CLOSED;
		}
		oldest->next = head;
	}
	/* order: (IN1) seq_cst - the runnables and what led to them; first half of the handshake
	 * with a sleeper, see above; pairs with (IN2), (IN3), (IN4), (IN5). */
	while (!atomic_compare_exchange_weak_explicit(&in->head, &head, newest,
						      memory_order_seq_cst, memory_order_relaxed));
	return head ? JD_INJECTOR_SOME : JD_INJECTOR_NONE;
}

/* Adds one runnable. Lock-free. */
static inline enum jd_injector_found jd_injector_push(struct jd_injector *in,
						      struct jd_runnable *runnable)
{
	return jd_injector_push_chain(in, runnable, runnable);
}

/* Turns a chain around; returns its new first. */
static inline struct jd_runnable *jd_injector_reverse(struct jd_runnable *chain)
{
	struct jd_runnable *reversed = NULL;

	while (chain) {
		struct jd_runnable *next = chain->next;

		chain->next = reversed;
		reversed = chain;
		chain = next;
	}
	return reversed;
}

/*
 * Adds a list, linked by next in the order in which it shall run and ended by NULL; at once, so
 * that nothing comes between. An empty list: JD_INJECTOR_SOME. When it is closed, the list is the
 * caller's again, as it was given.
 */
static inline enum jd_injector_found jd_injector_push_list(struct jd_injector *in,
							   struct jd_runnable *first)
{
	enum jd_injector_found found;
	struct jd_runnable *newest;

	if (!first)
		return JD_INJECTOR_SOME;
	newest = jd_injector_reverse(first);
	found = jd_injector_push_chain(in, newest, first);
	if (JD_UNLIKELY(found == JD_INJECTOR_CLOSED))
		jd_injector_reverse(newest);
	return found;
}

/* Whether it is worth a take: a hint. Any thread. */
static inline bool jd_injector_has(const struct jd_injector *in)
{
	const struct jd_runnable *head = atomic_load_explicit(&in->head, memory_order_relaxed);

	return head && !jd_injector_is_mark(in, head);
}

/* Takes everything, newest first, linked by next; NULL when there was nothing. */
static inline struct jd_runnable *jd_injector_grab(struct jd_injector *in)
{
	/* Looking first keeps the line shared between workers that find nothing. */
	struct jd_runnable *head = atomic_load_explicit(&in->head, memory_order_relaxed);

	/* A CAS and not an exchange, which would wipe out the mark. */
	do {
		if (!head || jd_injector_is_mark(in, head))
			return NULL;
	}
	/* order: (IN2) acquire - the runnables of every push since the last take (the pushes form
	 * one release sequence); pairs with (IN1). */
	while (!atomic_compare_exchange_weak_explicit(&in->head, &head, NULL, memory_order_acquire,
						      memory_order_relaxed));
	return head;
}

/* Takes everything, oldest first. O(taken). */
static inline struct jd_runnable *jd_injector_take(struct jd_injector *in)
{
	return jd_injector_reverse(jd_injector_grab(in));
}

/* Refuses every push from now on and takes everything, oldest first. The second time: NULL. */
static inline struct jd_runnable *jd_injector_close(struct jd_injector *in)
{
	struct jd_runnable *mark = (struct jd_runnable *)(void *)in;
	/* order: (IN4) acquire - as (IN2); pairs with (IN1). */
	struct jd_runnable *head = atomic_exchange_explicit(&in->head, mark, memory_order_acquire);

	return jd_injector_is_mark(in, head) ? NULL : jd_injector_reverse(head);
}

/* Second half of the handshake with a producer; see above. */
static inline bool jd_injector_empty(const struct jd_injector *in)
{
	/* order: (IN3) seq_cst - after the announcement of sleep in S; pairs with (IN1). */
	struct jd_runnable *head = atomic_load_explicit(&in->head, memory_order_seq_cst);

	return !head || jd_injector_is_mark(in, head);
}

/* Walks the chain: no cycle, every runnable has operations. Nobody takes meanwhile. O(n). */
bool jd_injector_check(const struct jd_injector *in, FILE *why);

/* One line. Any thread. Whether there is something is all that can be told safely. */
void jd_injector_dump(const struct jd_injector *in, FILE *out);

#endif
