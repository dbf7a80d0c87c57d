/* gate.h - a counter that threads wait on, and threads that are joined: forced interleavings. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_CONFORMANCE_GATE_H
#define JD_TESTS_CONFORMANCE_GATE_H

#include <pthread.h>
#include <stdbool.h>

/*
 * Counts up. A thread that waits for a value goes on as soon as it is reached. Who waits longer
 * than GATE_LIMIT_S aborts the process with the gate's name: a hang is a failure with a message.
 * Opening happens before the end of a wait that it allows.
 */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const char *name;
	unsigned count;
};

enum {
	GATE_LIMIT_S = 60
};

void gate_init(struct gate *gate, const char *name);
void gate_fini(struct gate *gate);
/* One more. */
void gate_open(struct gate *gate);
/* Waits until the count is at least n. */
void gate_wait(struct gate *gate, unsigned n);
unsigned gate_count(struct gate *gate);

struct gate_thread {
	pthread_t thread;
	void (*fn)(void *arg);
	void *arg;
};

/* Starts a thread; aborts the process when the system has none. */
void gate_thread_start(struct gate_thread *thread, void (*fn)(void *arg), void *arg);
void gate_thread_join(struct gate_thread *thread);

#endif
