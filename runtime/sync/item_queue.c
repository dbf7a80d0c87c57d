/* item_queue.c - a FIFO of equal-sized items in chunks. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sync/item_queue.h"

#include "platform/compiler.h"
#include "runtime/memory.h"
#include "runtime/tuning.h"

struct jd_item_chunk {
	struct jd_item_chunk *next;
	size_t head; /* index of the first item */
	size_t tail; /* one beyond the last one */
	_Alignas(max_align_t) unsigned char items[];
};

void jd_item_queue_init(struct jd_item_queue *self, size_t item_size, size_t keep,
			const struct jd_allocator *allocator)
{
	*self = (struct jd_item_queue){
		._keep = keep,
		._per_chunk = item_size < JD_ITEM_CHUNK_BYTES ? JD_ITEM_CHUNK_BYTES / item_size : 1,
		._item_size = item_size,
		._allocator = allocator,
	};
}

static size_t chunk_size(const struct jd_item_queue *self)
{
	return sizeof(struct jd_item_chunk) + self->_per_chunk * self->_item_size;
}

static void free_list(const struct jd_item_queue *self, struct jd_item_chunk *chunk)
{
	while (chunk) {
		struct jd_item_chunk *next = chunk->next;

		jd_item_queue_free(self, chunk);
		chunk = next;
	}
}

void jd_item_queue_fini(struct jd_item_queue *self)
{
	free_list(self, self->_head);
	free_list(self, self->_spare);
	self->_head = self->_tail = self->_spare = NULL;
}

size_t jd_item_queue_chunks(const struct jd_item_queue *self, size_t capacity)
{
	/* One more, because the oldest may be the last of its chunk. */
	return (capacity - 1) / self->_per_chunk + 2;
}

struct jd_item_chunk *jd_item_queue_alloc(const struct jd_item_queue *self)
{
	if (self->_item_size > SIZE_MAX - sizeof(struct jd_item_chunk))
		return NULL;
	return jd_memory_alloc(self->_allocator, chunk_size(self), alignof(struct jd_item_chunk));
}

void jd_item_queue_free(const struct jd_item_queue *self, struct jd_item_chunk *chunk)
{
	jd_memory_free(self->_allocator, chunk, chunk_size(self), alignof(struct jd_item_chunk));
}

void jd_item_queue_give(struct jd_item_queue *self, struct jd_item_chunk *chunk)
{
	chunk->next = self->_spare;
	self->_spare = chunk;
	self->_spares++;
}

static unsigned char *item_at(const struct jd_item_queue *self, struct jd_item_chunk *chunk,
			      size_t i)
{
	return chunk->items + i * self->_item_size;
}

bool jd_item_queue_push(struct jd_item_queue *self, const void *item)
{
	struct jd_item_chunk *chunk = self->_tail;

	if (!chunk || chunk->tail == self->_per_chunk) {
		chunk = self->_spare;
		if (!chunk)
			return false;
		self->_spare = chunk->next;
		self->_spares--;
		chunk->next = NULL;
		chunk->head = chunk->tail = 0;
		if (self->_tail)
			self->_tail->next = chunk;
		else
			self->_head = chunk;
		self->_tail = chunk;
	}
	memcpy(item_at(self, chunk, chunk->tail++), item, self->_item_size);
	return true;
}

void *jd_item_queue_front(const struct jd_item_queue *self)
{
	JD_ASSERT(self->_head && self->_head->head < self->_head->tail);
	return item_at(self, self->_head, self->_head->head);
}

struct jd_item_chunk *jd_item_queue_pop(struct jd_item_queue *self)
{
	struct jd_item_chunk *chunk = self->_head;

	JD_ASSERT(chunk && chunk->head < chunk->tail);
	if (++chunk->head < chunk->tail)
		return NULL;
	/* Empty, and the only one: start over in it. */
	if (chunk == self->_tail) {
		chunk->head = chunk->tail = 0;
		return NULL;
	}
	self->_head = chunk->next;
	if (self->_spares >= self->_keep)
		return chunk;
	jd_item_queue_give(self, chunk);
	return NULL;
}
