/* slab.h - where blocks of tasks come from, go back to, and are found by the ids of their tasks. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_SLAB_H
#define JD_RUNTIME_SLAB_H

/*
 * Three storeys, each asked only when the one above is empty or full:
 *   lane    (lane.h)   a worker's own: two magazines of each size, no atomic
 *   depot   (depot.h)  what workers leave for each other: full magazines, one CAS each
 *   slabs   (here)     under a lock: JD_SLAB_BYTES of blocks of one size. A slab whose blocks have
 *                      all come home goes back to the allocator.
 *
 * What is kept though nobody uses it: two magazines a lane and size, JD_DEPOT_BYTES a size, and the
 * blocks at home in slabs of which another block is not.
 *
 * Ids. Slabs have an index in a table, blocks their slot in the slab, and a word that is never the
 * same again: it counts the tasks that began there. Index, slot and count are the id of a task
 * (registry.h), so it is found without a list or a hash of tasks. The table remembers how far the
 * counts of a slab had come when its index goes to another one. A block whose count is at its end,
 * after five minutes of nothing but this block's tasks, stays at home for good, worn; an index
 * likewise.
 *
 * Who looks at a task that is not his, by id or one after the other, holds the lock. That keeps the
 * block from going back to the allocator, but not from being used again: see registry.h.
 */
#include <stdbool.h>

#include <jackdaw/base.h>

#include "platform/atomic.h"
#include "platform/compiler.h"
#include "runtime/depot.h"
#include "runtime/lock.h"
#include "runtime/tuning.h"

/* Says which task it is, and whether it is live: the id * 2, + 1 while it is. */
struct jd_task_word {
	JD_ATOMIC(uint64_t) bits; /* A */
};

/* The word of a block: live, 1 (so that these ids are odd), slot, index, uses. */
enum {
	JD_SLAB_SLOT_BITS = 8,
	JD_SLAB_INDEX_BITS = 20,
	JD_SLAB_SLOT_SHIFT = 2,
	JD_SLAB_INDEX_SHIFT = JD_SLAB_SLOT_SHIFT + JD_SLAB_SLOT_BITS,
	JD_SLAB_USE_SHIFT = JD_SLAB_INDEX_SHIFT + JD_SLAB_INDEX_BITS,
};
#define JD_SLAB_USE ((uint64_t)1 << JD_SLAB_USE_SHIFT)
/* From here on there is no next use. */
#define JD_SLAB_WORN (UINT64_MAX - JD_SLAB_USE + 1)

/* The beginning of a block. Access: A any thread, atomic; F whoever has the block, while free. */
struct jd_slab_block {
	struct jd_task_word word;   /* A */
	struct jd_slab_block *next; /* F */
	const void *ahead;          /* F: a hint, see lane.h */
};

/* One place of the table. L: the lock of the slabs. */
struct jd_slab_place {
	struct jd_slab *slab; /* L: NULL: none */
	uint64_t uses;        /* L: at which the next one begins, as in a word */
	uint32_t next;        /* L: unused places: the next one's index + 1 */
};

struct jd_slabs {
	struct jd_lock lock;
	const struct jd_allocator *allocator;           /* I */
	size_t clear;                                   /* I */
	struct jd_slab_place *places;                   /* L */
	uint32_t count;                                 /* L: places that have ever been used */
	uint32_t size;                                  /* L: places there are */
	uint32_t unused;                                /* L: index + 1; 0: none */
	struct jd_slab *partial[JD_LANE_UNITS_MAX + 1]; /* L: with blocks at home, by size */
	struct jd_depot depots[JD_LANE_UNITS_MAX + 1];  /* A: by size */
};

/* The first clear bytes of a block are zero when it is used for the first time. JD_ENOMEM. */
jd_status jd_slabs_new(const struct jd_allocator *allocator, size_t clear, struct jd_slabs **slabs);
/* Frees all of them, home or not. NULL is allowed. */
void jd_slabs_free(struct jd_slabs *slabs);

/* As many magazines of this size fit into the depot. */
static inline unsigned jd_slabs_room(unsigned units)
{
	unsigned room = JD_DEPOT_BYTES / (JD_MAGAZINE * JD_LANE_UNIT) / units;

	return room < JD_DEPOT_SLOTS ? room : JD_DEPOT_SLOTS;
}

/* A list of up to JD_MAGAZINE blocks, and how many; from the depot or home. NULL: no memory. */
struct jd_slab_block *jd_slabs_take(struct jd_slabs *slabs, unsigned units, unsigned *count);

/* A magazine, of JD_MAGAZINE blocks, to the depot or home. */
void jd_slabs_give(struct jd_slabs *slabs, unsigned units, struct jd_slab_block *magazine);

/* A list of any length to their slabs. */
void jd_slabs_give_home(struct jd_slabs *slabs, struct jd_slab_block *list);

/* Whether the task with this id, which is odd, is live. */
bool jd_slabs_contain(struct jd_slabs *slabs, uint64_t id);

/* Calls fn for the word of every live task, a slab at a time under the lock, until it is false. */
bool jd_slabs_each(struct jd_slabs *slabs, bool (*fn)(void *arg, struct jd_task_word *word),
		   void *arg);

#endif
