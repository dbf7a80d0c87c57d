/* timer_pool.h - memory for the slots of a timer wheel: small blocks are kept and used again. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TIMERS_TIMER_POOL_H
#define JD_TIMERS_TIMER_POOL_H

#include <jackdaw/base.h>

/*
 * A slot fills, fires and is empty again, thousands of times a second, so its blocks come from
 * lists of free ones: 64 bytes to 4 KiB, in steps of four. Larger blocks go to the allocator and
 * back. What the lists keep is never more than what is in use plus JD_TIMER_POOL_SPARE, so a burst
 * of timers does not keep its memory. Single-threaded, as the wheel.
 */
enum {
	JD_TIMER_POOL_CLASSES = 4,
	JD_TIMER_POOL_SPARE = 64 * 1024,
};

struct jd_timer_pool {
	const struct jd_allocator *allocator;
	void *unused[JD_TIMER_POOL_CLASSES]; /* lists of free blocks, linked by their first word */
	size_t used;                         /* bytes given out */
	size_t kept;                         /* bytes in the lists */
};

void jd_timer_pool_init(struct jd_timer_pool *pool, const struct jd_allocator *allocator);

/* Gives the lists back; all blocks were put before. A zeroed pool may be given too. */
void jd_timer_pool_fini(struct jd_timer_pool *pool);

/* size: 64, 256, 1024, or 4096 and more. NULL: no memory. */
void *jd_timer_pool_get(struct jd_timer_pool *pool, size_t size);

/* With the size it was got with. */
void jd_timer_pool_put(struct jd_timer_pool *pool, void *block, size_t size);

#endif
