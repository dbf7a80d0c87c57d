/* count_allocator.c - an allocator that counts, fails on request and notices leaks. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/count_allocator.h"

#include <string.h>

/* Stands before every block, padded to the block's alignment: what free has to be told again. */
struct block {
	size_t size;
	size_t align;
};

static size_t header_bytes(size_t align)
{
	return (sizeof(struct block) + align - 1) / align * align;
}

static void add(_Atomic(uint64_t) *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(_Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void *count_alloc(void *ctx, size_t size, size_t align)
{
	const struct jd_allocator *heap = jd_allocator_default();
	struct count_allocator *self = ctx;
	uint64_t nth = atomic_fetch_add_explicit(&self->attempts, 1, memory_order_relaxed) + 1;
	size_t align_up = align < sizeof(struct block) ? sizeof(struct block) : align;
	size_t head = header_bytes(align_up);
	size_t total = head + size;

	if (get(&self->fail_from) && nth >= get(&self->fail_from) && nth <= get(&self->fail_to)) {
		add(&self->refused, 1);
		return NULL;
	}
	char *memory = total < size ? NULL : heap->alloc(heap->ctx, total, align_up);

	if (!memory)
		return NULL;
	struct block *block = (struct block *)(memory + head - sizeof(*block));

	*block = (struct block){size, align};
	memset(memory + head, 0xa5, size);
	add(&self->allocs, 1);
	add(&self->bytes, size);
	if (size == get(&self->watch))
		add(&self->watched_allocs, 1);
	return memory + head;
}

static void count_free(void *ctx, void *ptr, size_t size, size_t align)
{
	const struct jd_allocator *heap = jd_allocator_default();
	struct count_allocator *self = ctx;
	struct block *block = (struct block *)((char *)ptr - sizeof(*block));
	size_t align_up = block->align < sizeof(*block) ? sizeof(*block) : block->align;

	if (block->size != size || block->align != align)
		add(&self->misfits, 1);
	add(&self->frees, 1);
	atomic_fetch_sub_explicit(&self->bytes, block->size, memory_order_relaxed);
	if (block->size == get(&self->watch))
		add(&self->watched_frees, 1);
	memset(ptr, 0x5a, block->size);
	size_t head = header_bytes(align_up);

	heap->free(heap->ctx, (char *)ptr - head, head + block->size, align_up);
}

void count_allocator_init(struct count_allocator *self)
{
	memset(self, 0, sizeof(*self));
	self->base = (struct jd_allocator){count_alloc, count_free, self};
}

void count_allocator_fail(struct count_allocator *self, uint64_t from, uint64_t to)
{
	atomic_store_explicit(&self->attempts, 0, memory_order_relaxed);
	atomic_store_explicit(&self->refused, 0, memory_order_relaxed);
	atomic_store_explicit(&self->fail_to, to, memory_order_relaxed);
	atomic_store_explicit(&self->fail_from, from, memory_order_relaxed);
}

void count_allocator_watch(struct count_allocator *self, size_t size)
{
	atomic_store_explicit(&self->watched_allocs, 0, memory_order_relaxed);
	atomic_store_explicit(&self->watched_frees, 0, memory_order_relaxed);
	atomic_store_explicit(&self->watch, size, memory_order_relaxed);
}

uint64_t count_allocator_live(struct count_allocator *self)
{
	return get(&self->allocs) - get(&self->frees);
}
