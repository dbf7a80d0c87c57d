/* memory.h - allocator hooks in the form the runtime uses them. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_MEMORY_H
#define JD_RUNTIME_MEMORY_H

#include <stdalign.h>
#include <string.h>

#include <jackdaw/base.h>

static inline void *jd_memory_alloc(const struct jd_allocator *a, size_t size, size_t align)
{
	return a->alloc(a->ctx, size, align);
}

static inline void jd_memory_free(const struct jd_allocator *a, void *ptr, size_t size,
				  size_t align)
{
	if (ptr)
		a->free(a->ctx, ptr, size, align);
}

/* count * size zeroed bytes, NULL also when the product overflows. */
static inline void *jd_memory_zalloc(const struct jd_allocator *a, size_t count, size_t size,
				     size_t align)
{
	if (size && count > SIZE_MAX / size)
		return NULL;
	void *ptr = a->alloc(a->ctx, count * size, align);

	if (ptr)
		memset(ptr, 0, count * size);
	return ptr;
}

/* One zeroed object of a type. */
#define jd_memory_new(a, type) ((type *)jd_memory_zalloc((a), 1, sizeof(type), alignof(type)))
#define jd_memory_delete(a, ptr, type) jd_memory_free((a), (ptr), sizeof(type), alignof(type))

#endif
