/* gate.h - the bound on what foreign threads may have waiting: who may come in, who waits. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_GATE_H
#define JD_RUNTIME_GATE_H

/*
 * `room` is how many runnables may still come in. Producers take from it before they queue one,
 * workers give back what they have taken out of the queues, by the batch. A producer may take some
 * ahead and keep them in the lane it holds (foreign.h): at most a quarter of the capacity is in all
 * lanes together, and none when the capacity is less than four times the lanes.
 *
 * To wait for room                      To give room
 *   1. seen = word; closed: leave         1. seq_cst RMW of room (GT2)
 *   2. waiting = 1 (GT3)                  2. load waiting (GT4); and half of the capacity free?
 *   3. look at room (GT1), take: leave    3. then exchange waiting with 0, change word, wake all
 *   4. sleep while word == seen
 *
 * No lost wake-up: all of GT1 to GT4 are seq_cst, so either the waiter sees the room or the giver
 * sees the waiter. A giver that sees him and half of the capacity not free leaves him to a later
 * one: what is queued is given back at the end by somebody, and then three quarters are free. (To
 * wake a thread for each that is free costs more than most tasks; so the producers find some room
 * when they come.) close changes the word after the mark was set in it, so who slept sees it.
 */
#include <stdbool.h>
#include <stdint.h>

#include <jackdaw/base.h>

#include "platform/atomic.h"
#include "platform/compiler.h"

enum {
	JD_GATE_CLOSED = 1, /* bit 0 of the word */
	JD_GATE_CHANGE = 2,
};

/* Access: I immutable after init, A any thread, atomic. */
struct jd_gate {
	uint64_t capacity;                       /* I: 0: there is no bound */
	uint64_t ahead;                          /* I: what one takes at once, at most */
	uint64_t enough;                         /* I: free when waiters are woken */
	JD_CACHE_ALIGNED _Atomic(uint64_t) room; /* A */
	JD_CACHE_ALIGNED _Atomic(uint32_t) word; /* A: futex word */
	_Atomic(uint32_t) waiting;               /* A: somebody waits */
};

/* lanes: how many keep what they took ahead. */
static inline void jd_gate_init(struct jd_gate *gate, uint64_t capacity, uint64_t lanes)
{
	gate->capacity = capacity;
	gate->ahead = capacity / (4 * lanes) ? capacity / (4 * lanes) : 1;
	gate->enough = capacity / 2 ? capacity / 2 : 1;
	atomic_init(&gate->room, capacity);
	atomic_init(&gate->word, 0);
	atomic_init(&gate->waiting, 0);
}

/* Takes up to want; how many, 0: there is no room. */
static inline uint64_t jd_gate_take(struct jd_gate *gate, uint64_t want)
{
	/* order: (GT1) seq_cst - after the announcement of a waiter in S; pairs with (GT2). */
	uint64_t room = atomic_load_explicit(&gate->room, memory_order_seq_cst);
	uint64_t n;

	do {
		n = room < want ? room : want;
		if (!n)
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(
		&gate->room, &room, room - n, memory_order_relaxed, memory_order_relaxed));
	return n;
}

/* Gives n back. True: jd_gate_wake comes next. */
static inline bool jd_gate_give(struct jd_gate *gate, uint64_t n)
{
	/* order: (GT2) seq_cst - before the look at waiters in S; pairs with (GT1). */
	uint64_t room = atomic_fetch_add_explicit(&gate->room, n, memory_order_seq_cst) + n;

	/* order: (GT4) seq_cst - after the room in S; pairs with (GT3). */
	return atomic_load_explicit(&gate->waiting, memory_order_seq_cst) && room >= gate->enough &&
	       atomic_exchange_explicit(&gate->waiting, 0, memory_order_relaxed);
}

/* Wakes all who wait. */
void jd_gate_wake(struct jd_gate *gate);

/* Waits until one could be taken: JD_OK. JD_ECLOSED. Blocks. */
jd_status jd_gate_wait(struct jd_gate *gate);

/* Ends all waits, and those to come. */
void jd_gate_close(struct jd_gate *gate);

#endif
