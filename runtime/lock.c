/* lock.c - the slow path of the one-word mutex. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lock.h"

#include "runtime/tuning.h"

void jd_lock_slow(struct jd_lock *lock)
{
	for (int i = 0, pauses = 1; i < JD_LOCK_SPINS; i++) {
		uint32_t free_word = 0;

		for (int j = 0; j < pauses; j++)
			jd_cpu_relax();
		/* The longer the wait, the more of its turns the holder gets with a warm line. */
		if (pauses < JD_LOCK_PAUSES)
			pauses *= 2;
		if (atomic_load_explicit(&lock->_word, memory_order_relaxed))
			continue;
		/* order: (L3) acquire - as (L1); pairs with (L2). */
		if (atomic_compare_exchange_weak_explicit(&lock->_word, &free_word, 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			return;
	}
	/* order: (L4) acquire - as (L1), and announces a sleeper; pairs with (L2). */
	while (atomic_exchange_explicit(&lock->_word, 2, memory_order_acquire) != 0)
		jd_futex_wait(&lock->_word, 2, JD_NEVER);
}
