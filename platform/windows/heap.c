/* heap.c - aligned memory: two heaps in one, told apart by the alignment. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdlib.h>

#include "platform/platform.h"

/* What malloc gives on 64-bit Windows; alignof(max_align_t) may say more than that. */
#define MALLOC_ALIGN 16u

void *jd_heap_alloc(size_t size, size_t align)
{
	return align <= MALLOC_ALIGN ? malloc(size) : _aligned_malloc(size, align);
}

void jd_heap_free(void *ptr, size_t align)
{
	if (align <= MALLOC_ALIGN)
		free(ptr);
	else
		_aligned_free(ptr);
}
