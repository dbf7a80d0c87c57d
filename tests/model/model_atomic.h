/* model_atomic.h - C11 atomics that ask the explorer: JD_ATOMIC_HEADER of the model tests. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_MODEL_MODEL_ATOMIC_H
#define JD_TESTS_MODEL_MODEL_ATOMIC_H

/*
 * The objects stay _Atomic and keep their address, but their values live in the explorer. Only
 * what the product uses is here; anything else fails to compile because of an undeclared
 * model_missing.
 */
#include <stddef.h>
#include <stdint.h>

#include <jackdaw/base.h>

/* Where an access stands in the code: for traces and mutations. */
struct model_site {
	const char *func, *op, *object;
	int line;
};

enum model_op {
	MODEL_OP_EXCHANGE,
	MODEL_OP_ADD,
	MODEL_OP_SUB,
	MODEL_OP_OR,
	MODEL_OP_AND,
};

void model_init(struct model_site site, const void *object, size_t size, uint64_t value);
uint64_t model_load(struct model_site site, const void *object, size_t size, int order);
void model_store(struct model_site site, const void *object, size_t size, uint64_t value,
		 int order);
uint64_t model_rmw(struct model_site site, const void *object, size_t size, enum model_op op,
		   uint64_t operand, int order);
_Bool model_cas(struct model_site site, const void *object, size_t size, void *expected,
		uint64_t desired, int success, int failure);

/* Integers, bool and pointers up to 64 bits: both casts go through uintptr_t. */
_Static_assert(sizeof(uintptr_t) == 8, "model tests want 64-bit pointers");
#define MODEL_SITE(op, p) ((struct model_site){__func__, op, #p, __LINE__})
#define MODEL_TYPE(p) __typeof__((void)0, *(p))
#define MODEL_BITS(v) ((uint64_t)(uintptr_t)(v))

#undef atomic_init
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and_explicit
#undef atomic_fetch_xor_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_flag_test_and_set_explicit
#undef atomic_thread_fence
#undef atomic_signal_fence

#define atomic_init(p, v) model_init(MODEL_SITE("init", p), (p), sizeof(*(p)), MODEL_BITS(v))
#define atomic_load_explicit(p, order) \
	((MODEL_TYPE(p))(uintptr_t)model_load(MODEL_SITE("load", p), (p), sizeof(*(p)), (order)))
#define atomic_store_explicit(p, v, order) \
	model_store(MODEL_SITE("store", p), (p), sizeof(*(p)), MODEL_BITS(v), (order))
/* A statement expression, so that the old value may be left unused. */
#define MODEL_RMW(name, op, p, v, order)                                                         \
	__extension__({                                                                          \
		(MODEL_TYPE(p))(uintptr_t) model_rmw(MODEL_SITE(name, p), (p), sizeof(*(p)), op, \
						     MODEL_BITS(v), (order));                    \
	})
#define atomic_exchange_explicit(p, v, order) MODEL_RMW("exchange", MODEL_OP_EXCHANGE, p, v, order)
#define atomic_fetch_add_explicit(p, v, order) MODEL_RMW("add", MODEL_OP_ADD, p, v, order)
#define atomic_fetch_sub_explicit(p, v, order) MODEL_RMW("sub", MODEL_OP_SUB, p, v, order)
#define atomic_fetch_or_explicit(p, v, order) MODEL_RMW("or", MODEL_OP_OR, p, v, order)
#define atomic_fetch_and_explicit(p, v, order) MODEL_RMW("and", MODEL_OP_AND, p, v, order)
#define atomic_compare_exchange_strong_explicit(p, e, v, success, failure) \
	model_cas(MODEL_SITE("cas", p), (p), sizeof(*(p)), (e), MODEL_BITS(v), (success), (failure))
/* No spurious failure: a loop that repeats on one only repeats. */
#define atomic_compare_exchange_weak_explicit(p, e, v, success, failure) \
	atomic_compare_exchange_strong_explicit(p, e, v, success, failure)

#define atomic_fetch_xor_explicit model_missing
#define atomic_flag_test_and_set_explicit model_missing
#define atomic_thread_fence model_missing
#define atomic_signal_fence model_missing

#endif
