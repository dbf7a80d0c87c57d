/* post.c - the small workloads for pools that can do one thing: call a function on a thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "bench/histogram.h"
#include "bench/peers/os.h"
#include "bench/peers/peer.h"
#include "bench/shim/jd_bench.h"
#include "bench/workers.h"
#include "platform/atomic.h"

static const struct peer_post *peer; /* the one of this program */

/* What all runs share; reset by each. */
static struct {
	void *pool;
	struct peer_event done;
	_Atomic(uint64_t) left;  /* A: calls until done is set */
	_Atomic(uint64_t) count; /* A: what they counted */
	_Atomic(uint64_t) lost;  /* A: calls that could not be posted */
} world;

static void post(void (*fn)(void *arg), void *arg)
{
	if (!peer->post(world.pool, fn, arg))
		atomic_fetch_add_explicit(&world.lost, 1, memory_order_relaxed);
}

static void begin(void *pool, uint64_t calls)
{
	world.pool = pool;
	atomic_store_explicit(&world.left, calls, memory_order_relaxed);
	atomic_store_explicit(&world.count, 0, memory_order_relaxed);
}

/* The last call says that all is done. */
static void finish_one(void)
{
	/* order: (PP1) acq_rel - the last one passes on what all did; pairs with (PP1). */
	if (atomic_fetch_sub_explicit(&world.left, 1, memory_order_acq_rel) == 1)
		peer_event_set(&world.done);
}

static const char *end(uint64_t count)
{
	peer_event_wait(&world.done);
	if (atomic_load_explicit(&world.lost, memory_order_relaxed) > 0)
		return "it did not take every call";
	return atomic_load_explicit(&world.count, memory_order_relaxed) == count
		       ? NULL
		       : "not every call was made exactly once";
}

/* --- spawn: waves of empty calls from inside one ---------------------------------------------- */

static _Atomic(uint64_t) wave_left; /* A */
static uint64_t waves_left;         /* of whoever ends a wave */

static void spawn_wave(void *arg);

static void spawn_child(void *arg)
{
	/* order: (PP2) acq_rel - the last child begins the next wave; pairs with (PP2). */
	if (atomic_fetch_sub_explicit(&wave_left, 1, memory_order_acq_rel) == 1)
		post(spawn_wave, arg);
}

static void spawn_wave(void *arg)
{
	if (waves_left-- == 0) {
		finish_one();
		return;
	}
	atomic_store_explicit(&wave_left, SPAWN_WAVE, memory_order_relaxed);
	atomic_fetch_add_explicit(&world.count, SPAWN_WAVE, memory_order_relaxed);
	for (int i = 0; i < SPAWN_WAVE; i++)
		post(spawn_child, arg);
}

static const char *spawn_run(void *pool)
{
	begin(pool, 1);
	waves_left = SPAWN_COUNT / SPAWN_WAVE;
	post(spawn_wave, NULL);
	return end(SPAWN_COUNT);
}

/* --- chain and yield: calls that post themselves ---------------------------------------------- */

struct again {
	uint64_t left;
};

static void again(void *arg)
{
	struct again *self = arg;

	if (--self->left > 0) {
		post(again, self);
		return;
	}
	atomic_fetch_add_explicit(&world.count, 1, memory_order_relaxed);
	finish_one();
}

static const char *again_run(void *pool, int tasks, uint64_t count)
{
	static struct again all[STORM_TASKS];

	begin(pool, (uint64_t)tasks);
	for (int i = 0; i < tasks; i++) {
		all[i].left = count / (uint64_t)tasks;
		post(again, &all[i]);
	}
	return end((uint64_t)tasks);
}

static const char *chain_run(void *pool)
{
	return again_run(pool, 1, CHAIN_COUNT);
}

static const char *yield_100_run(void *pool)
{
	return again_run(pool, YIELD_TASKS, YIELD_COUNT);
}

static const char *yield_1000_run(void *pool)
{
	return again_run(pool, STORM_TASKS, (uint64_t)STORM_TASKS * STORM_YIELDS);
}

/* --- pingpong: two in turn -------------------------------------------------------------------- */

static uint32_t hops; /* of the player whose turn it is */

static void hop(void *other)
{
	if (++hops < PINGPONG_HOPS) {
		post(hop, other);
		return;
	}
	atomic_store_explicit(&world.count, hops, memory_order_relaxed);
	finish_one();
}

static const char *pingpong_run(void *pool)
{
	begin(pool, 1);
	hops = 0;
	post(hop, NULL);
	return end(PINGPONG_HOPS);
}

/* --- inject: other threads post --------------------------------------------------------------- */

static void count_one(void *arg)
{
	(void)arg;
	atomic_fetch_add_explicit(&world.count, 1, memory_order_relaxed);
	finish_one();
}

static void produce(void *arg)
{
	int count = *(int *)arg;

	for (int i = 0; i < count; i++)
		post(count_one, NULL);
}

static const char *inject(void *pool, int threads)
{
	int each = INJECT_COUNT / threads;

	begin(pool, INJECT_COUNT);
	if (!peer_run_threads(threads, produce, &each))
		return "a thread could not be started";
	return end(INJECT_COUNT);
}

static const char *inject1_run(void *pool)
{
	return inject(pool, 1);
}

static const char *inject2_run(void *pool)
{
	return inject(pool, 2);
}

static const char *inject4_run(void *pool)
{
	return inject(pool, 4);
}

static const char *inject8_run(void *pool)
{
	return inject(pool, 8);
}

/* --- wake: into an idle pool ------------------------------------------------------------------ */

static struct bench_histogram wakes;
static int wake_samples;
static uint64_t began_ns; /* by the call, before it is done */

static void note_start(void *arg)
{
	(void)arg;
	began_ns = peer_now();
	atomic_fetch_add_explicit(&world.count, 1, memory_order_relaxed);
	finish_one();
}

static const char *wake_run(void *pool)
{
	bench_histogram_clear(&wakes);
	for (int i = 0; i < wake_samples; i++) {
		begin(pool, 1);
		peer_event_wait_until(&world.done, peer_now() + WAKE_GAP_US * 1000);
		uint64_t start = peer_now();

		post(note_start, NULL);
		const char *wrong = end(1);

		if (wrong)
			return wrong;
		bench_histogram_add(&wakes, began_ns - start);
	}
	return NULL;
}

static void wake_report(struct jd_bench_state *state)
{
	jd_bench_add_time(state, wakes.sum * 1e-9);
	bench_histogram_report(&wakes, state);
}

void peer_add_post(const struct peer_post *which)
{
	static const struct peer_row rows[] = {
		{"spawn", SPAWN_COUNT, 8, spawn_run, NULL, NULL}, /* first: own_spawn */
		{"chain", CHAIN_COUNT, 8, chain_run, NULL, NULL},
		{"yield_100", YIELD_COUNT, 8, yield_100_run, NULL, NULL},
		{"yield_1000", STORM_TASKS * STORM_YIELDS, 4, yield_1000_run, NULL, NULL},
		{"pingpong", PINGPONG_HOPS, 8, pingpong_run, NULL, NULL},
		{"inject1", INJECT_COUNT, 4, inject1_run, NULL, NULL},
		{"inject2", INJECT_COUNT, 4, inject2_run, NULL, NULL},
		{"inject4", INJECT_COUNT, 4, inject4_run, NULL, NULL},
		{"inject8", INJECT_COUNT, 4, inject8_run, NULL, NULL},
	};
	static struct peer_row wake = {"wake", 0, 1, wake_run, wake_report, NULL};

	peer = which;
	peer_event_init(&world.done);
	for (size_t i = which->own_spawn; i < sizeof(rows) / sizeof(rows[0]); i++)
		peer_add(&which->base, &rows[i]);
	wake_samples = bench_is_quick() ? WAKE_QUICK : WAKE_SAMPLES;
	wake.ops = wake_samples;
	peer_add(&which->base, &wake);
}
