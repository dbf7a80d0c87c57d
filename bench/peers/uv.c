/* uv.c - libuv's thread pool as a native contender: only its loop's thread hands work in. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "bench/histogram.h"
#include "bench/peers/timers.h"
#include "bench/shim/jd_bench.h"
#include "bench/workers.h"
#include "platform/atomic.h"

static uv_loop_t loop;
static _Atomic(uint64_t) ran; /* A */

/* The pool belongs to the process and is made at the first request: a row is a process. */
static void *start(unsigned workers)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", workers);
	if (uv_os_setenv("UV_THREADPOOL_SIZE", text) != 0 || uv_loop_init(&loop) != 0)
		return NULL;
	return &loop;
}

static void stop(void *pool)
{
	uv_loop_close(pool);
}

/* --- inject1: the loop's thread is the one foreign thread ------------------------------------- */

static void count_one(uv_work_t *work)
{
	(void)work;
	atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
}

static void release(uv_work_t *work, int status)
{
	(void)status;
	free(work);
}

static const char *inject_run(void *pool)
{
	atomic_store_explicit(&ran, 0, memory_order_relaxed);
	for (int i = 0; i < INJECT_COUNT; i++) {
		uv_work_t *work = malloc(sizeof(*work));

		if (!work || uv_queue_work(pool, work, count_one, release) != 0)
			return "it did not take every call";
	}
	uv_run(pool, UV_RUN_DEFAULT);
	return atomic_load_explicit(&ran, memory_order_relaxed) == INJECT_COUNT
		       ? NULL
		       : "not every call was made exactly once";
}

/* --- wake: one request at a time, from a timer ------------------------------------------------ */

static struct bench_histogram wakes;
static uint64_t wake_samples;
static struct {
	uv_work_t work;
	uint64_t start_ns;
	uint64_t began_ns; /* by the call, before it is done */
} sample;

static void note_start(uv_work_t *work)
{
	(void)work;
	sample.began_ns = uv_hrtime();
}

static void next(uv_timer_t *timer);

static void note_end(uv_work_t *work, int status)
{
	(void)status;
	bench_histogram_add(&wakes, sample.began_ns - sample.start_ns);
	if (wakes.total < wake_samples)
		uv_timer_start(work->data, next, 1, 0); /* its resolution is a millisecond */
	else
		uv_close(work->data, NULL);
}

static void next(uv_timer_t *timer)
{
	sample.work.data = timer;
	sample.start_ns = uv_hrtime();
	if (uv_queue_work(timer->loop, &sample.work, note_start, note_end) != 0)
		uv_close((uv_handle_t *)timer, NULL);
}

static const char *wake_run(void *pool)
{
	uv_timer_t timer;

	bench_histogram_clear(&wakes);
	uv_timer_init(pool, &timer);
	uv_timer_start(&timer, next, 1, 0);
	uv_run(pool, UV_RUN_DEFAULT);
	return wakes.total == wake_samples ? NULL : "not every call was made";
}

static void wake_report(struct jd_bench_state *state)
{
	jd_bench_add_time(state, wakes.sum * 1e-9);
	bench_histogram_report(&wakes, state);
}

/* --- timers ----------------------------------------------------------------------------------- */

static uv_timer_t *handles;

static void fired(uv_timer_t *timer)
{
	(void)timer;
}

static bool timers_begin(void *pool)
{
	handles = calloc(PEER_TIMERS, sizeof(*handles));
	for (uint32_t i = 0; handles && i < PEER_TIMERS; i++)
		uv_timer_init(pool, &handles[i]);
	return handles != NULL;
}

static void timers_end(void *pool)
{
	for (uint32_t i = 0; i < PEER_TIMERS; i++)
		uv_close((uv_handle_t *)&handles[i], NULL);
	uv_run(pool, UV_RUN_DEFAULT);
	free(handles);
}

static void timers_look(void *pool)
{
	uv_update_time(pool);
}

static void timer_arm(void *pool, uint32_t i, uint32_t delay_ms)
{
	(void)pool;
	uv_timer_start(&handles[i], fired, delay_ms, 0);
}

static void timer_cancel(void *pool, uint32_t i)
{
	(void)pool;
	uv_timer_stop(&handles[i]);
}

int main(int argc, char **argv)
{
	static const struct peer_timers timers = {timers_begin, timers_end, timers_look, timer_arm,
						  timer_cancel};
	static const struct peer uv = {"uv", start, stop};
	static const struct peer_row inject = {"inject1", INJECT_COUNT, 4, inject_run, NULL, NULL};
	static struct peer_row wake = {"wake", 0, 1, wake_run, wake_report, NULL};

	peer_add(&uv, &inject);
	wake_samples = bench_is_quick() ? WAKE_QUICK : WAKE_SAMPLES;
	wake.ops = (double)wake_samples;
	peer_add(&uv, &wake);
	peer_add_timers(&uv, &timers);
	return peer_main(argc, argv);
}
