/* lock.h - the mutex and the condition variable of the system, for the pool that people write. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_OS_LOCK_H
#define JD_BENCH_OS_LOCK_H

#include <stdint.h>

/* A mutex with one condition. */
struct bench_lock;

/* NULL: no memory. */
struct bench_lock *bench_lock_new(void);
void bench_lock_free(struct bench_lock *lock);

void bench_lock_take(struct bench_lock *lock);
void bench_lock_give(struct bench_lock *lock);

/* With the lock: sleeps without it until signalled, or so long (UINT64_MAX: for ever), or for no
 * reason. */
void bench_lock_wait(struct bench_lock *lock, uint64_t ns);
void bench_lock_signal_one(struct bench_lock *lock);
void bench_lock_signal_all(struct bench_lock *lock);

#endif
