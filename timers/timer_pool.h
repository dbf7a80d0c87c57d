/* timer_pool.h - memory for the slots of a timer wheel: blocks of four sizes, used again. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TIMERS_TIMER_POOL_H
#define JD_TIMERS_TIMER_POOL_H

#include <jackdaw/base.h>
#include <stdalign.h>

/*
 * A slot fills, fires and is empty again, thousands of times a second, so its blocks come from
 * lists of free ones: 64 bytes to 4 KiB, in steps of four, each the begin of a cache line. They are
 * cut from larger ones, the largest from chunks, and stay cut. Still larger blocks go to the
 * allocator and back.
 *
 * Chunks are kept until the end, so a burst of timers keeps about 10 bytes for each. To give them
 * back with the last timer would cost a third of an insert: the next burst takes the page faults.
 * Single-threaded, as the wheel.
 */
enum {
	JD_TIMER_POOL_LINE = 64, /* the smallest block */
	JD_TIMER_POOL_CLASSES = 4,
	JD_TIMER_POOL_LARGEST = JD_TIMER_POOL_LINE << 2 * (JD_TIMER_POOL_CLASSES - 1),
};

/* In front of its blocks, a line. */
struct jd_timer_chunk {
	alignas(JD_TIMER_POOL_LINE) struct jd_timer_chunk *next;
	size_t size; /* in bytes, this included */
};

struct jd_timer_pool {
	const struct jd_allocator *allocator;
	void *unused[JD_TIMER_POOL_CLASSES]; /* lists of free blocks, linked by their first word */
	size_t used;                         /* bytes given out */
	size_t chunk_bytes;                  /* of all chunks */
	struct jd_timer_chunk *chunks;
};

void jd_timer_pool_init(struct jd_timer_pool *pool, const struct jd_allocator *allocator);

/* Gives the chunks back; all blocks were put before. A zeroed pool may be given too. */
void jd_timer_pool_fini(struct jd_timer_pool *pool);

/* size: 64, 256, 1024, or 4096 and more. NULL: no memory. */
void *jd_timer_pool_get(struct jd_timer_pool *pool, size_t size);

/* With the size it was got with. */
void jd_timer_pool_put(struct jd_timer_pool *pool, void *block, size_t size);

#endif
