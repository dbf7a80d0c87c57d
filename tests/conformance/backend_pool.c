/* backend_pool.c - a plain thread pool made into a scheduler with pool_scheduler.h. */
/* SPDX-License-Identifier: Apache-2.0 */

/* All of it is instrumented, unlike the pools of systems: here ThreadSanitizer sees everything. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <jackdaw/pool_scheduler.h>

#include "tests/conformance/backend.h"

#define WIDTH 4u

struct pool {
	struct jd_pool base;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t owed;     /* L: calls */
	uint64_t alarm_ns; /* L */
	unsigned threads;  /* L */
	bool stopped;      /* L */
};

static struct pool *pool_of(struct jd_pool *base)
{
	return jd_container_of(base, struct pool, base);
}

static void pool_call(struct jd_pool *base)
{
	struct pool *pool = pool_of(base);

	pthread_mutex_lock(&pool->lock);
	pool->owed++;
	pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
}

static void pool_set_alarm(struct jd_pool *base, uint64_t deadline_ns)
{
	struct pool *pool = pool_of(base);

	pthread_mutex_lock(&pool->lock);
	pool->alarm_ns = deadline_ns;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
}

/* L, released while it sleeps: until something changes or the alarm is due. */
static void wait_for_work(struct pool *pool)
{
	if (pool->alarm_ns == JD_NEVER) {
		pthread_cond_wait(&pool->changed, &pool->lock);
		return;
	}
	/* The clock of the one timed wait that every system has. */
	uint64_t now = jd_now(pool->base.scheduler);
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	uint64_t ns = (uint64_t)until.tv_nsec + (pool->alarm_ns > now ? pool->alarm_ns - now : 0);

	until.tv_sec += (time_t)(ns / JD_SEC);
	until.tv_nsec = (long)(ns % JD_SEC);
	pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
}

static void *worker(void *arg)
{
	struct pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	while (!pool->stopped) {
		if (pool->alarm_ns != JD_NEVER && jd_now(pool->base.scheduler) >= pool->alarm_ns) {
			pool->alarm_ns = JD_NEVER;
			pthread_mutex_unlock(&pool->lock);
			jd_pool_scheduler_alarm(&pool->base);
			pthread_mutex_lock(&pool->lock);
		} else if (pool->owed) {
			pool->owed--;
			pthread_mutex_unlock(&pool->lock);
			jd_pool_scheduler_call(&pool->base, NULL);
			pthread_mutex_lock(&pool->lock);
		} else {
			wait_for_work(pool);
		}
	}
	pool->threads--;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* L. */
static jd_status start_thread(struct pool *pool)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, worker, pool))
		return JD_EAGAIN;
	pthread_detach(thread);
	pool->threads++;
	return JD_OK;
}

static void pool_stop(struct jd_pool *base)
{
	struct pool *pool = pool_of(base);

	pthread_mutex_lock(&pool->lock);
	pool->stopped = true;
	pthread_cond_broadcast(&pool->changed);
	while (pool->threads)
		pthread_cond_wait(&pool->changed, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

static void pool_free(struct jd_pool *base)
{
	struct pool *pool = pool_of(base);

	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static jd_status make(const struct conf_options *options, struct jd_scheduler **scheduler)
{
	static const struct jd_pool_ops ops = {
		.name = "pool",
		.call = pool_call,
		.set_alarm = pool_set_alarm,
		.stop = pool_stop,
		.free = pool_free,
	};
	const struct jd_pool_options pool_options = {
		.num_cpus = WIDTH,
		.main_thread = options->main_thread,
		.allocator = options->allocator,
	};
	struct pool *pool = calloc(1, sizeof(*pool));
	jd_status status = JD_ENOMEM;

	if (pool) {
		*pool = (struct pool){.base = {.ops = &ops}, .alarm_ns = JD_NEVER};
		status = jd_pool_scheduler_new(&pool->base, &pool_options, scheduler);
	}
	if (status != JD_OK) {
		free(pool);
		return status;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->changed, NULL);
	pthread_mutex_lock(&pool->lock);
	for (unsigned i = 0; i < WIDTH && status == JD_OK; i++)
		status = start_thread(pool);
	pthread_mutex_unlock(&pool->lock);
	if (status != JD_OK)
		jd_scheduler_destroy(*scheduler);
	return status;
}

const struct conf_backend conf_backend_pool = {
	.name = "pool",
	.has = CONF_FOREGROUND | CONF_BLOCKING | CONF_TIMERS | CONF_THREADS | CONF_PARALLEL |
	       CONF_CLOCK,
	.make = make,
};
