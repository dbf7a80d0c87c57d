/* heap.c - aligned memory. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "platform/platform.h"

void *jd_heap_alloc(size_t size, size_t align)
{
	if (align <= alignof(max_align_t))
		return malloc(size);
	/* C11 wants the size to be a multiple of the alignment. */
	size_t rounded = (size + align - 1) & ~(align - 1);

	return rounded < size ? NULL : aligned_alloc(align, rounded);
}

void jd_heap_free(void *ptr, size_t align)
{
	(void)align;
	free(ptr);
}
