/* timer_pool.c - lists of free blocks, four sizes, and the chunks they are cut from. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "timers/timer_pool.h"

#include <string.h>

#include "platform/compiler.h"

enum {
	LINE = JD_TIMER_POOL_LINE,
	LARGEST = JD_TIMER_POOL_LARGEST,
	CLASSES = JD_TIMER_POOL_CLASSES,
	CHUNK_MAX =
		16, /* largest blocks in a chunk; each has as many as all before it, at least 1 */
};

static unsigned class_of(size_t size)
{
	return size <= 64 ? 0 : size <= 256 ? 1 : size <= 1024 ? 2 : 3;
}

static void push(struct jd_timer_pool *pool, void *block, unsigned class)
{
	memcpy(block, &pool->unused[class], sizeof(block));
	pool->unused[class] = block;
}

static void *pop(struct jd_timer_pool *pool, unsigned class)
{
	void *block = pool->unused[class];

	memcpy(&pool->unused[class], block, sizeof(block));
	return block;
}

/* A chunk's blocks are the list of the largest, which was empty. */
static bool grow(struct jd_timer_pool *pool)
{
	const struct jd_allocator *allocator = pool->allocator;
	size_t blocks = pool->chunk_bytes / LARGEST;

	blocks = blocks < 1 ? 1 : blocks > CHUNK_MAX ? CHUNK_MAX : blocks;
	size_t size = sizeof(struct jd_timer_chunk) + blocks * LARGEST;
	struct jd_timer_chunk *chunk = allocator->alloc(allocator->ctx, size, LINE);

	if (!chunk)
		return false;
	chunk->next = pool->chunks;
	chunk->size = size;
	pool->chunks = chunk;
	pool->chunk_bytes += size;
	while (blocks-- > 0)
		push(pool, (char *)(chunk + 1) + blocks * LARGEST, CLASSES - 1);
	return true;
}

/* There is none of this class: a larger one is cut into four, and of these one again. */
static JD_NOINLINE void *cut(struct jd_timer_pool *pool, unsigned class)
{
	unsigned from = class;

	while (from < CLASSES && !pool->unused[from])
		from++;
	if (from == CLASSES && !grow(pool))
		return NULL;
	if (from == CLASSES)
		from--;
	char *block = pop(pool, from);

	while (from-- > class)
		for (size_t i = 3; i > 0; i--)
			push(pool, block + i * ((size_t)LINE << 2 * from), from);
	return block;
}

void jd_timer_pool_init(struct jd_timer_pool *pool, const struct jd_allocator *allocator)
{
	memset(pool, 0, sizeof(*pool));
	pool->allocator = allocator;
}

void jd_timer_pool_fini(struct jd_timer_pool *pool)
{
	const struct jd_allocator *allocator = pool->allocator;

	JD_ASSERT(pool->used == 0);
	for (struct jd_timer_chunk *next, *chunk = pool->chunks; chunk; chunk = next) {
		next = chunk->next;
		allocator->free(allocator->ctx, chunk, chunk->size, LINE);
	}
}

void *jd_timer_pool_get(struct jd_timer_pool *pool, size_t size)
{
	unsigned class = class_of(size);
	void *block;

	if (size > LARGEST)
		block = pool->allocator->alloc(pool->allocator->ctx, size, LINE);
	else
		block = pool->unused[class] ? pop(pool, class) : cut(pool, class);
	if (block)
		pool->used += size;
	return block;
}

void jd_timer_pool_put(struct jd_timer_pool *pool, void *block, size_t size)
{
	pool->used -= size;
	if (size > LARGEST)
		pool->allocator->free(pool->allocator->ctx, block, size, LINE);
	else
		push(pool, block, class_of(size));
}
