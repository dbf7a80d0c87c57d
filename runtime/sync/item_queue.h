/* item_queue.h - a FIFO of equal-sized items in chunks, whose memory is had beforehand. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_SYNC_ITEM_QUEUE_H
#define JD_RUNTIME_SYNC_ITEM_QUEUE_H

/*
 * For a caller that guards it with a lock and must not allocate or free under it: push fails when
 * it needs a chunk and has none, pop gives back a chunk that is too many. The caller does the rest
 * outside of the lock. One thread at a time.
 */
#include <jackdaw/sync.h>

/* Keeps up to `keep` empty chunks. Allocates nothing. */
void jd_item_queue_init(struct jd_item_queue *self, size_t item_size, size_t keep,
			const struct jd_allocator *allocator);

/* Frees all chunks. The items in them are forgotten. */
void jd_item_queue_fini(struct jd_item_queue *self);

/* How many chunks hold any `capacity` items in any position. */
size_t jd_item_queue_chunks(const struct jd_item_queue *self, size_t capacity);

/* NULL without memory. Reads only what init set, so the lock is not needed. */
struct jd_item_chunk *jd_item_queue_alloc(const struct jd_item_queue *self);
void jd_item_queue_free(const struct jd_item_queue *self, struct jd_item_chunk *chunk);

/* Gives the queue a chunk to use when it needs one. */
void jd_item_queue_give(struct jd_item_queue *self, struct jd_item_chunk *chunk);

/* False: there is no chunk to put it into. */
bool jd_item_queue_push(struct jd_item_queue *self, const void *item);

/* The oldest item. Not for an empty queue. */
void *jd_item_queue_front(const struct jd_item_queue *self);

/* Forgets the oldest item. Not for an empty queue. Returns a chunk to be freed, or NULL. */
struct jd_item_chunk *jd_item_queue_pop(struct jd_item_queue *self);

#endif
