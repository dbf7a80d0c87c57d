/* timer_cell.h - the scheduler's own memory of an armed timer, and where it comes from. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_TIMER_CELL_H
#define JD_RUNTIME_TIMER_CELL_H

/*
 * A timer is its user's memory, free again the moment a cancel has won. So nothing that another
 * thread may still hold points to a timer. Wheels and lists hold cells, and a cell has one word
 * that names the timer: the claim. Who changes it from the timer to 0 has won, and only the winner
 * touches the timer. See timer_driver.h for the protocol.
 *
 * Cells are never given back to the allocator before the end of the scheduler. So a cancel that
 * comes late looks at a cell that is free, or armed for another timer, and loses by the compare.
 *
 * There are two pools a driver. A cell goes back to the pool it came from.
 *  - own: taken by the worker without a read-modify-write, from a private stack, then from the list
 *    of those that others have returned (taken whole), then fresh. The stack is an array, so that
 *    the cells to be taken next can be fetched ahead: after a million timers every one is a cache
 *    miss.
 *  - foreign: taken by any thread, from a stack whose head carries a count of its pops, so that a
 *    compare does not mistake a head that left and came back (the ABA problem; R. K. Treiber,
 *    "Systems Programming: Coping with Parallelism", 1986). Only fresh ones take a lock.
 */
#include <jackdaw/scheduler.h>

#include "platform/atomic.h"
#include "platform/compiler.h"
#include "runtime/tuning.h"

enum {
	JD_TIMER_CHUNKS = 24, /* each twice the one before */
	JD_TIMER_CELL_BYTES = 64,
};

/* What the holder of the token has met of an arming; it may meet a cancel first. */
enum {
	JD_TIMER_ENTERED =
		1, /* it came in, so it is in the wheel unless it left or was cancelled */
	JD_TIMER_DROPPED = 2, /* it was cancelled, and has not come in yet */
};

/*
 * One line of cache. The wheel knows it as a struct jd_timer, and what the wheel leaves alone of
 * that is ours:
 *   _cell      A: the claim: the armed timer; NULL: fired, cancelled or free
 *   _runnable  P: of the armed timer; but fetched ahead, it is read there only
 *   _next      the inbox, the homeless, free lists, while it is not in the wheel
 *   _owner     A: what the runnable will touch, or NULL; the list of requests to unlink
 * Access: A any thread, atomic; P whoever arms it, before it is published, then who holds the
 * driver's token; T who holds the token; I immutable. The links: whoever has the list.
 */
struct jd_timer_cell {
	alignas(JD_TIMER_CELL_BYTES) struct jd_timer node; /* P, but for the above */
	uint32_t number;                                   /* I: in its pool */
	_Atomic(uint32_t) link; /* A: the stack of free foreign cells: number + 1 */
	uint8_t slack_bits;     /* P: log2 of its slack */
	uint8_t met;            /* T: see above; 0 while it is free */
	bool relative;          /* P: node._deadline_ns is a delay as yet */
	bool foreign;           /* I: which pool */
};

static inline struct jd_timer_cell *jd_timer_cell_of(struct jd_timer *node)
{
	return node ? jd_container_of(node, struct jd_timer_cell, node) : NULL;
}

struct jd_timer_cells {
	const struct jd_allocator *allocator; /* I */
	bool foreign;                         /* I */
	struct jd_lock lock;                  /* of carved, in the foreign one */
	uint32_t carved;                      /* L or owner: ever taken */
	uint32_t mine_count;                  /* owner */
	uint32_t mine_capacity;               /* owner: not less than all cells */
	struct jd_timer_cell **mine;          /* owner: private stack */
	struct jd_timer_cell *taken;          /* owner: a list that was returned, by _next */
	_Atomic(struct jd_timer *) returned;  /* A: for the owner, by _next */
	_Atomic(uint64_t) stack;              /* A: pops << 32 | number + 1 */
	struct jd_timer_cell *chunk[JD_TIMER_CHUNKS]; /* of who carves; then I */
};

void jd_timer_cells_init(struct jd_timer_cells *cells, const struct jd_allocator *allocator,
			 bool foreign);
void jd_timer_cells_fini(struct jd_timer_cells *cells);

/* The next take will need memory, as far as one can see. */
static inline bool jd_timer_cells_dry(const struct jd_timer_cells *cells)
{
	if (cells->foreign)
		return !(uint32_t)atomic_load_explicit(&cells->stack, memory_order_relaxed);
	return !cells->mine_count && !cells->taken &&
	       !atomic_load_explicit(&cells->returned, memory_order_relaxed);
}

/* By the owner of an own pool, by any thread from a foreign one. NULL: no memory. */
struct jd_timer_cell *jd_timer_cells_take(struct jd_timer_cells *cells);

/* The same by the owner of an own pool, as a rule without a call. */
static inline struct jd_timer_cell *jd_timer_cells_take_own(struct jd_timer_cells *cells)
{
	if (JD_UNLIKELY(!cells->mine_count))
		return jd_timer_cells_take(cells);
	uint32_t n = --cells->mine_count;

	if (n >= JD_TIMER_AHEAD)
		JD_PREFETCH(cells->mine[n - JD_TIMER_AHEAD]);
	return cells->mine[n];
}

/* By the owner, or to a foreign pool. */
void jd_timer_cells_give(struct jd_timer_cells *cells, struct jd_timer_cell *cell);

/* A list by _next, from first to last, from any thread. */
void jd_timer_cells_give_list(struct jd_timer_cells *cells, struct jd_timer *first,
			      struct jd_timer *last);

/* How many were ever taken, and number i of them. Any thread for foreign cells, else the owner. */
uint32_t jd_timer_cells_count(struct jd_timer_cells *cells);
struct jd_timer_cell *jd_timer_cells_at(const struct jd_timer_cells *cells, uint32_t i);

#endif
