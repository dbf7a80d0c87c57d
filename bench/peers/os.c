/* os.c - threads, time and waiting for the programs of native contenders. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/peers/os.h"

#include <time.h>

#define NS_PER_SEC 1000000000u
#define THREADS_MAX 16

uint64_t peer_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

void peer_event_init(struct peer_event *event)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&event->mutex, NULL);
	pthread_cond_init(&event->condition, &attributes);
	pthread_condattr_destroy(&attributes);
	event->set = false;
}

void peer_event_set(struct peer_event *event)
{
	pthread_mutex_lock(&event->mutex);
	event->set = true;
	pthread_cond_signal(&event->condition);
	pthread_mutex_unlock(&event->mutex);
}

void peer_event_wait(struct peer_event *event)
{
	pthread_mutex_lock(&event->mutex);
	while (!event->set)
		pthread_cond_wait(&event->condition, &event->mutex);
	event->set = false;
	pthread_mutex_unlock(&event->mutex);
}

void peer_event_wait_until(struct peer_event *event, uint64_t deadline_ns)
{
	const struct timespec until = {.tv_sec = (time_t)(deadline_ns / NS_PER_SEC),
				       .tv_nsec = (long)(deadline_ns % NS_PER_SEC)};

	pthread_mutex_lock(&event->mutex);
	while (!event->set && pthread_cond_timedwait(&event->condition, &event->mutex, &until) == 0)
		continue;
	event->set = false;
	pthread_mutex_unlock(&event->mutex);
}

struct start {
	void (*fn)(void *arg);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct start *start = arg;

	start->fn(start->arg);
	return NULL;
}

bool peer_run_threads(int count, void (*fn)(void *arg), void *arg)
{
	pthread_t threads[THREADS_MAX];
	struct start start = {fn, arg};
	int started = 0;

	while (started < count && started < THREADS_MAX &&
	       pthread_create(&threads[started], NULL, thread_main, &start) == 0)
		started++;
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return started == count;
}
