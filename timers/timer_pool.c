/* timer_pool.c - lists of free blocks, four sizes. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "timers/timer_pool.h"

#include <stdalign.h>
#include <string.h>

#include "platform/compiler.h"

enum {
	SMALLEST = 64,
	LARGEST = 4096,
	RELEASED_AT_ONCE = 4, /* so that no call does much */
};

static unsigned class_of(size_t size)
{
	return size <= 64 ? 0 : size <= 256 ? 1 : size <= 1024 ? 2 : 3;
}

static size_t size_of(unsigned class)
{
	return (size_t)SMALLEST << 2 * class;
}

static void release(struct jd_timer_pool *pool, void *block, size_t size)
{
	pool->allocator->free(pool->allocator->ctx, block, size, alignof(max_align_t));
}

/* One of the largest there are goes back. */
static void release_one(struct jd_timer_pool *pool)
{
	unsigned class = JD_TIMER_POOL_CLASSES - 1;

	while (!pool->unused[class])
		class --;
	void *block = pool->unused[class];

	memcpy(&pool->unused[class], block, sizeof(block));
	pool->kept -= size_of(class);
	release(pool, block, size_of(class));
}

void jd_timer_pool_init(struct jd_timer_pool *pool, const struct jd_allocator *allocator)
{
	memset(pool, 0, sizeof(*pool));
	pool->allocator = allocator;
}

void jd_timer_pool_fini(struct jd_timer_pool *pool)
{
	JD_ASSERT(pool->used == 0);
	while (pool->kept)
		release_one(pool);
}

void *jd_timer_pool_get(struct jd_timer_pool *pool, size_t size)
{
	void **unused = size <= LARGEST ? &pool->unused[class_of(size)] : NULL;
	void *block;

	if (unused && *unused) {
		block = *unused;
		memcpy(unused, block, sizeof(block));
		pool->kept -= size;
	} else {
		block = pool->allocator->alloc(pool->allocator->ctx, size, alignof(max_align_t));
		if (!block)
			return NULL;
	}
	pool->used += size;
	return block;
}

void jd_timer_pool_put(struct jd_timer_pool *pool, void *block, size_t size)
{
	pool->used -= size;
	if (size > LARGEST) {
		release(pool, block, size);
	} else {
		memcpy(block, &pool->unused[class_of(size)], sizeof(block));
		pool->unused[class_of(size)] = block;
		pool->kept += size;
	}
	for (int i = 0; i < RELEASED_AT_ONCE && pool->kept > pool->used + JD_TIMER_POOL_SPARE; i++)
		release_one(pool);
}
