/* posix_lock.c - pthread_mutex_t and pthread_cond_t. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "bench/os/lock.h"

#define NS_PER_SEC 1000000000u

struct bench_lock {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
};

struct bench_lock *bench_lock_new(void)
{
	struct bench_lock *lock = malloc(sizeof(*lock));

	if (!lock)
		return NULL;
	pthread_mutex_init(&lock->mutex, NULL);
	pthread_cond_init(&lock->condition, NULL);
	return lock;
}

void bench_lock_free(struct bench_lock *lock)
{
	pthread_cond_destroy(&lock->condition);
	pthread_mutex_destroy(&lock->mutex);
	free(lock);
}

void bench_lock_take(struct bench_lock *lock)
{
	pthread_mutex_lock(&lock->mutex);
}

void bench_lock_give(struct bench_lock *lock)
{
	pthread_mutex_unlock(&lock->mutex);
}

void bench_lock_wait(struct bench_lock *lock, uint64_t ns)
{
	struct timespec until;

	if (ns == UINT64_MAX) {
		pthread_cond_wait(&lock->condition, &lock->mutex);
		return;
	}
	/* The clock of the one timed wait that every system has. */
	clock_gettime(CLOCK_REALTIME, &until);
	uint64_t sum = (uint64_t)until.tv_nsec + ns % NS_PER_SEC;

	until.tv_sec += (time_t)(ns / NS_PER_SEC + sum / NS_PER_SEC);
	until.tv_nsec = (long)(sum % NS_PER_SEC);
	pthread_cond_timedwait(&lock->condition, &lock->mutex, &until);
}

void bench_lock_signal_one(struct bench_lock *lock)
{
	pthread_cond_signal(&lock->condition);
}

void bench_lock_signal_all(struct bench_lock *lock)
{
	pthread_cond_broadcast(&lock->condition);
}
