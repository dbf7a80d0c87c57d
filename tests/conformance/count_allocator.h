/* count_allocator.h - an allocator that counts, fails on request and notices leaks. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_CONFORMANCE_COUNT_ALLOCATOR_H
#define JD_TESTS_CONFORMANCE_COUNT_ALLOCATOR_H

#include <jackdaw/base.h>

/* A atomic; the rest is set before the allocator is used. May be shared by threads. */
struct count_allocator {
	struct jd_allocator base;    /* what is given to the scheduler */
	_Atomic(uint64_t) allocs;    /* A: allocations that succeeded */
	_Atomic(uint64_t) frees;     /* A */
	_Atomic(uint64_t) bytes;     /* A: allocated now */
	_Atomic(uint64_t) misfits;   /* A: freed with another size or alignment than allocated */
	_Atomic(uint64_t) attempts;  /* A: calls of alloc since count_allocator_fail() */
	_Atomic(uint64_t) refused;   /* A: of these, refused */
	_Atomic(uint64_t) fail_from; /* A: first attempt to refuse, counted from 1; 0: none */
	_Atomic(uint64_t) fail_to;   /* A: last attempt to refuse */
	_Atomic(uint64_t) watch;     /* A: a size whose blocks are counted apart; 0: none */
	_Atomic(uint64_t) watched_allocs;
	_Atomic(uint64_t) watched_frees;
};

void count_allocator_init(struct count_allocator *self);

/* Refuses the attempts from..to, counted from 1 from now on. 0, 0: none. */
void count_allocator_fail(struct count_allocator *self, uint64_t from, uint64_t to);

/* Counts blocks of this size apart, from now on. */
void count_allocator_watch(struct count_allocator *self, size_t size);

/* Blocks that are allocated now. */
uint64_t count_allocator_live(struct count_allocator *self);

#endif
