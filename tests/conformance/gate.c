/* gate.c - a counter that threads wait on, and threads that are joined: forced interleavings. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void die(const char *what, const char *name)
{
	fprintf(stderr, "%s: %s\n", name, what);
	abort();
}

void gate_init(struct gate *gate, const char *name)
{
	gate->name = name;
	gate->count = 0;
	if (pthread_mutex_init(&gate->lock, NULL) || pthread_cond_init(&gate->changed, NULL))
		die("cannot make a gate", name);
}

void gate_fini(struct gate *gate)
{
	pthread_cond_destroy(&gate->changed);
	pthread_mutex_destroy(&gate->lock);
}

void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->count++;
	/* Under the lock: the waiter may free the gate as soon as it has the lock. */
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

void gate_wait(struct gate *gate, unsigned n)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += GATE_LIMIT_S;
	pthread_mutex_lock(&gate->lock);
	while (gate->count < n && !err)
		err = pthread_cond_timedwait(&gate->changed, &gate->lock, &until);
	if (gate->count < n)
		die("waited too long at this gate", gate->name);
	pthread_mutex_unlock(&gate->lock);
}

unsigned gate_count(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	unsigned count = gate->count;

	pthread_mutex_unlock(&gate->lock);
	return count;
}

static void *thread_main(void *arg)
{
	struct gate_thread *thread = arg;

	thread->fn(thread->arg);
	return NULL;
}

void gate_thread_start(struct gate_thread *thread, void (*fn)(void *arg), void *arg)
{
	thread->fn = fn;
	thread->arg = arg;
	if (pthread_create(&thread->thread, NULL, thread_main, thread))
		die("cannot start a thread", "gate");
}

void gate_thread_join(struct gate_thread *thread)
{
	pthread_join(thread->thread, NULL);
}
