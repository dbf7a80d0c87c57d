/* count_malloc.c - how often the program's own code has asked the C library for memory. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/count_malloc.h"

#include <stddef.h>

#include "platform/atomic.h"

/* COUNT_MALLOC_ALIGNED is what this system calls the one with an alignment. */
#define JOIN(a, b) a##b
#define NAME(prefix, function) JOIN(prefix, function)

static _Atomic(uint64_t) calls;

uint64_t count_malloc_calls(void)
{
	return atomic_load_explicit(&calls, memory_order_relaxed);
}

static void count(void)
{
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

/* The names are the linker's. */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *NAME(__real_, COUNT_MALLOC_ALIGNED)(size_t a, size_t b);
void *NAME(__wrap_, COUNT_MALLOC_ALIGNED)(size_t a, size_t b);

void *__wrap_malloc(size_t size)
{
	count();
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	count();
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	count();
	return __real_realloc(old, size);
}

void *NAME(__wrap_, COUNT_MALLOC_ALIGNED)(size_t a, size_t b)
{
	count();
	return NAME(__real_, COUNT_MALLOC_ALIGNED)(a, b);
}
