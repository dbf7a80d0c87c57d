/* lock.h - a mutex in one word, for short critical sections off the hot path. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_LOCK_H
#define JD_RUNTIME_LOCK_H

/*
 * 0 free, 1 held, 2 held and somebody may sleep (Drepper, "Futexes are tricky", 2011, mutex2).
 * Zero is a free lock. Not recursive, not fair. No user code runs under any lock of the runtime.
 */
#include "platform/platform.h"

JD_COLD void jd_lock_slow(struct jd_lock *lock);

static inline void jd_lock_acquire(struct jd_lock *lock)
{
	uint32_t free_word = 0;

	/* order: (L1) acquire - what the last holder wrote; pairs with (L2). */
	if (JD_UNLIKELY(!atomic_compare_exchange_strong_explicit(
		    &lock->_word, &free_word, 1, memory_order_acquire, memory_order_relaxed)))
		jd_lock_slow(lock);
}

static inline void jd_lock_release(struct jd_lock *lock)
{
	/* order: (L2) release - what this holder wrote; pairs with (L1), (L3). */
	if (atomic_exchange_explicit(&lock->_word, 0, memory_order_release) == 2)
		jd_futex_wake_one(&lock->_word);
}

#endif
