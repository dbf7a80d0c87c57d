/* os.h - threads, time and waiting for the programs of native contenders. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_PEERS_OS_H
#define JD_BENCH_PEERS_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Something that one thread waits for; set once for each wait. */
struct peer_event {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	bool set; /* L */
};

void peer_event_init(struct peer_event *event);
void peer_event_set(struct peer_event *event);
/* Consumes it. */
void peer_event_wait(struct peer_event *event);
/* The same, at most until then. */
void peer_event_wait_until(struct peer_event *event, uint64_t deadline_ns);

/* Monotonic, ns. */
uint64_t peer_now(void);

/* Calls fn(arg) on so many threads at once; returns when all have returned. At most 16. False: not
 * all could be started. */
bool peer_run_threads(int count, void (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
