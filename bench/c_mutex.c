/* c_mutex.c - the pool that people write, as a contender: one queue, one mutex, one condition. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <jackdaw/pool_scheduler.h>

#include "bench/os/lock.h"
#include "bench/run.h"
#include "platform/platform.h"

struct mutex_pool {
	struct jd_pool base;
	struct bench_lock *lock;
	struct jd_runnable *head; /* L: oldest */
	struct jd_runnable **tail;
	uint64_t alarm_ns;         /* L */
	bool stopped;              /* L */
	unsigned waiting;          /* L */
	unsigned count;            /* I: threads */
	struct jd_thread *threads; /* I */
};

static struct mutex_pool *pool_of(struct jd_pool *base)
{
	return jd_container_of(base, struct mutex_pool, base);
}

static jd_status pool_submit(struct jd_pool *base, struct jd_runnable *runnable)
{
	struct mutex_pool *pool = pool_of(base);

	bench_lock_take(pool->lock);
	runnable->next = NULL;
	*pool->tail = runnable;
	pool->tail = &runnable->next;
	bool wake = pool->waiting > 0;

	bench_lock_give(pool->lock);
	if (wake)
		bench_lock_signal_one(pool->lock);
	return JD_OK;
}

static void pool_set_alarm(struct jd_pool *base, uint64_t deadline_ns)
{
	struct mutex_pool *pool = pool_of(base);

	bench_lock_take(pool->lock);
	pool->alarm_ns = deadline_ns;
	bench_lock_give(pool->lock);
	bench_lock_signal_one(pool->lock);
}

/* L: the oldest, or NULL. */
static struct jd_runnable *take(struct mutex_pool *pool)
{
	struct jd_runnable *runnable = pool->head;

	if (runnable) {
		pool->head = runnable->next;
		if (!pool->head)
			pool->tail = &pool->head;
	}
	return runnable;
}

/* L, released while it sleeps. */
static void wait_for_work(struct mutex_pool *pool)
{
	uint64_t left = JD_NEVER;

	if (pool->alarm_ns != JD_NEVER) {
		uint64_t now = jd_clock_now();

		left = pool->alarm_ns > now ? pool->alarm_ns - now : 0;
	}
	pool->waiting++;
	bench_lock_wait(pool->lock, left);
	pool->waiting--;
}

static void work(void *arg)
{
	struct mutex_pool *pool = arg;

	bench_lock_take(pool->lock);
	while (!pool->stopped) {
		struct jd_runnable *runnable;

		if (pool->alarm_ns != JD_NEVER && jd_clock_now() >= pool->alarm_ns) {
			pool->alarm_ns = JD_NEVER;
			bench_lock_give(pool->lock);
			jd_pool_scheduler_alarm(&pool->base);
			bench_lock_take(pool->lock);
		} else if ((runnable = take(pool)) != NULL) {
			bench_lock_give(pool->lock);
			jd_pool_scheduler_run(&pool->base, runnable);
			bench_lock_take(pool->lock);
		} else {
			wait_for_work(pool);
		}
	}
	bench_lock_give(pool->lock);
}

static void pool_stop(struct jd_pool *base)
{
	struct mutex_pool *pool = pool_of(base);

	bench_lock_take(pool->lock);
	pool->stopped = true;
	bench_lock_give(pool->lock);
	bench_lock_signal_all(pool->lock);
	for (unsigned i = 0; i < pool->count; i++)
		jd_thread_join(&pool->threads[i]);
	pool->count = 0;
}

static void pool_free(struct jd_pool *base)
{
	struct mutex_pool *pool = pool_of(base);

	bench_lock_free(pool->lock);
	free(pool->threads);
	free(pool);
}

static const struct jd_pool_ops pool_ops = {
	.name = "mutex",
	.submit = pool_submit,
	.set_alarm = pool_set_alarm,
	.stop = pool_stop,
	.free = pool_free,
};

static struct mutex_pool *pool_new(unsigned workers)
{
	struct mutex_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->base.ops = &pool_ops;
	pool->alarm_ns = JD_NEVER;
	pool->tail = &pool->head;
	pool->lock = bench_lock_new();
	pool->threads = calloc(workers, sizeof(*pool->threads));
	if (!pool->lock || !pool->threads) {
		if (pool->lock)
			bench_lock_free(pool->lock);
		free(pool->threads);
		free(pool);
		return NULL;
	}
	return pool;
}

static jd_status mutex_make(unsigned workers, struct jd_scheduler **scheduler)
{
	const struct jd_pool_options options = {.num_cpus = workers};
	struct mutex_pool *pool = pool_new(workers);

	if (!pool)
		return JD_ENOMEM;
	jd_status status = jd_pool_scheduler_new(&pool->base, &options, scheduler);

	if (status != JD_OK) {
		pool_free(&pool->base);
		return status;
	}
	while (status == JD_OK && pool->count < workers) {
		status = jd_thread_start(&pool->threads[pool->count], "mutex", 0, work, pool);
		pool->count += status == JD_OK;
	}
	if (status != JD_OK)
		jd_scheduler_destroy(*scheduler);
	return status;
}

const struct bench_contender c_mutex = {.name = "mutex", .make = mutex_make};
