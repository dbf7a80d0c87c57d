/* test_your_code.c - how to test code that uses Jackdaw: seeds, virtual time, planted slowness. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jackdaw/co.h>
#include <jackdaw/sync.h>
#include <jackdaw/task.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/timer.h>
#include <jackdaw/ws_scheduler.h>

/* --- The code under test: it is given a scheduler, and that is all it needs ------------------- */

/*
 * A cache of one value that is expensive to make. Whoever asks while it is too old makes a new one;
 * all who ask meanwhile wait for that one. What must hold: it is made at most once an hour.
 */
struct cache {
	struct jd_mutex mutex;
	int value;        /* mutex */
	uint64_t made_ns; /* mutex; 0: never */
	int times_made;   /* mutex */
};

#define MAX_AGE (3600 * JD_SEC)

struct cache_get {
	struct jd_co co;
	struct cache *cache;
	struct jd_mutex_lock lock;
	struct jd_sleep make;
};

static JD_CO_FN jd_status cache_get_poll(struct jd_future *future, struct jd_context *context,
					 void *result)
{
	struct cache_get *self = jd_container_of(future, struct cache_get, co.base);
	struct cache *cache = self->cache;
	uint64_t now = jd_now(context->scheduler);
	jd_status status;

	JD_CO_BEGIN(&self->co, context);
	jd_mutex_lock_init(&self->lock, &cache->mutex);
	JD_CO_AWAIT(status, &self->lock.base, NULL);
	if (cache->times_made == 0 || now - cache->made_ns >= MAX_AGE) {
		cache->made_ns = now;
		jd_sleep_init(&self->make, 250 * JD_MS);
		JD_CO_AWAIT(status, &self->make.base, NULL);
		cache->times_made++;
		cache->value = cache->times_made * 10;
	}
	*(int *)result = cache->value;
	jd_mutex_unlock(&cache->mutex);
	JD_CO_END(JD_OK);
}

static void cache_get_init(struct cache_get *self, struct cache *cache)
{
	static const struct jd_future_ops ops = {.poll = cache_get_poll,
						 .drop = jd_co_drop,
						 .size = sizeof(struct cache_get),
						 .result_size = sizeof(int)};

	self->cache = cache;
	jd_co_init(&self->co, &ops);
}

static void cache_init(struct cache *cache)
{
	memset(cache, 0, sizeof(*cache));
	jd_mutex_init(&cache->mutex);
}

/* --- Its test: nonzero is a failure ----------------------------------------------------------- */

static int ask(struct jd_scheduler *scheduler, struct cache *cache, struct jd_task **task)
{
	struct cache_get get;

	cache_get_init(&get, cache);
	return jd_spawn(scheduler, &get.co.base, task);
}

/* Two who ask at once get the same value. */
static int test_together(struct jd_test_scheduler *test, void *arg)
{
	struct jd_scheduler *scheduler = jd_test_scheduler_base(test);
	struct cache cache;
	struct jd_task *a, *b;
	int got_a = 0, got_b = 0;

	(void)arg;
	cache_init(&cache);
	if (ask(scheduler, &cache, &a) != JD_OK || ask(scheduler, &cache, &b) != JD_OK)
		return 1;
	jd_test_expect(test, jd_task_join(a, &got_a) == JD_OK);
	jd_test_expect(test, jd_task_join(b, &got_b) == JD_OK);
	jd_test_expect(test, got_a == 10 && got_b == 10);
	jd_test_expect(test, jd_mutex_fini(&cache.mutex) == JD_OK);
	return 0;
}

/* Hours pass in no time: the clock is virtual, and moves when nothing else can happen. */
static int test_hours(struct jd_test_scheduler *test, void *arg)
{
	struct jd_scheduler *scheduler = jd_test_scheduler_base(test);
	struct cache cache;
	struct cache_get get;
	int got = 0;

	(void)arg;
	cache_init(&cache);
	for (int hour = 1; hour <= 24; hour++) {
		cache_get_init(&get, &cache);
		jd_test_expect(test, jd_block(scheduler, &get.co.base, &got) == JD_OK);
		jd_future_drop(&get.co.base);
		jd_test_expect(test, got == hour * 10);
		jd_test_expect(test, jd_test_advance_clock(test, MAX_AGE) == JD_OK);
	}
	return 0;
}

/* --- The same code in production -------------------------------------------------------------- */

static int run_in_production(void)
{
	struct jd_scheduler *scheduler;
	struct cache cache;
	struct cache_get get;
	int got = 0;

	if (jd_ws_scheduler_new(NULL, &scheduler) != JD_OK)
		return 1;
	cache_init(&cache);
	cache_get_init(&get, &cache);
	jd_status status = jd_block(scheduler, &get.co.base, &got);

	jd_future_drop(&get.co.base);
	printf("in production: %d\n", got);
	return status == JD_OK && got == 10 && jd_scheduler_destroy(scheduler) == JD_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
	/* A failing seed is reported with the command that repeats it. */
	const struct jd_test_options together = {
		.name = "together", .command = argv[0], .check_determinism = true};
	const struct jd_test_options hours = {.name = "hours", .command = argv[0]};

	(void)argc;
	if (jd_test_many(&together, 1000, test_together, NULL) != JD_OK)
		return 1;
	if (jd_test_many(&hours, 100, test_hours, NULL) != JD_OK)
		return 1;
	return run_in_production();
}
