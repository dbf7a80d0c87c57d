/* watchdog.c - a thread that aborts the process when a test hangs, and says which. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/watchdog.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A thread and not SIGALRM, which not every system has. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static const char *watched;   /* L: NULL: nothing */
static struct timespec limit; /* L */
static bool stopping;         /* L */

static void *watch(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	while (!stopping) {
		struct timespec now;

		if (!watched) {
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		pthread_cond_timedwait(&changed, &lock, &limit);
		clock_gettime(CLOCK_REALTIME, &now);
		if (watched && now.tv_sec >= limit.tv_sec) {
			fprintf(stderr, "%s hangs\n", watched);
			abort();
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void watchdog_start(void)
{
	if (pthread_create(&thread, NULL, watch, NULL)) {
		fprintf(stderr, "cannot start the watchdog\n");
		abort();
	}
}

static void set(const char *text, unsigned seconds, bool stop)
{
	pthread_mutex_lock(&lock);
	watched = text;
	stopping = stop;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += (time_t)seconds;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

void watchdog_set(const char *text, unsigned seconds)
{
	set(text, seconds, false);
}

void watchdog_clear(void)
{
	set(NULL, 0, false);
}

void watchdog_stop(void)
{
	set(NULL, 0, true);
	pthread_join(thread, NULL);
}
