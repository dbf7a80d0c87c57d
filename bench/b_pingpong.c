/* b_pingpong.c - two tasks wake each other in turn: one operation is one hop. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/run.h"
#include "bench/sizes.h"

/*
 * Each player leaves a waker of its own once, at its first poll; the second one to do so serves.
 * From then on the hop counter says whose turn it is: player (hops % 2).
 */
struct pingpong_data {
	struct bench_run run;
	_Atomic(uint32_t) ready;   /* A */
	_Atomic(uint32_t) hops;    /* A */
	struct jd_waker wakers[2]; /* player i writes [i] before it is ready */
};

struct player {
	struct jd_future base;
	struct pingpong_data *data;
	uint32_t index;
	bool ready;
};

/* True when both are here. */
static bool arrive(struct pingpong_data *data, uint32_t index)
{
	/* order: (BP1) acq_rel - my waker is there, and the other's if it came first; pairs with
	 * (BP1). */
	if (atomic_fetch_add_explicit(&data->ready, 1, memory_order_acq_rel) == 0)
		return false;
	if (index != 0)
		jd_waker_wake_ref(&data->wakers[0]);
	return true;
}

static bool get_ready(struct player *self, struct jd_context *context)
{
	self->ready = true;
	self->data->wakers[self->index] = jd_waker_clone(context->waker);
	return arrive(self->data, self->index);
}

static jd_status player_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct player *self = jd_container_of(future, struct player, base);
	struct pingpong_data *data = self->data;

	(void)result;
	if (!self->ready && !get_ready(self, context))
		return JD_PENDING;
	/* order: (BP2) acquire - the other's waker, and all it did; pairs with (BP3). */
	uint32_t hops = atomic_load_explicit(&data->hops, memory_order_acquire);

	if (hops < PINGPONG_HOPS && hops % 2 != self->index)
		return JD_PENDING;
	struct jd_waker other = data->wakers[1 - self->index];

	if (hops < PINGPONG_HOPS) {
		/* order: (BP3) release - the turn goes over with all I did; pairs with (BP2). */
		atomic_store_explicit(&data->hops, hops + 1, memory_order_release);
		jd_waker_wake_ref(&other);
		if (hops + 1 < PINGPONG_HOPS)
			return JD_PENDING;
	}
	bench_join_finish(&data->run.join);
	return JD_OK;
}

static void pingpong_start(struct bench_run *run, struct jd_scheduler *scheduler, void *arg)
{
	static const struct jd_future_ops ops = {.poll = player_poll,
						 .size = sizeof(struct player)};
	struct pingpong_data *data = arg;
	struct player first = {{&ops}, data, 0, false};
	struct player second = {{&ops}, data, 1, false};

	if (bench_run_spawn(run, scheduler, &first.base) != JD_OK ||
	    bench_run_spawn(run, scheduler, &second.base) == JD_OK)
		return;
	/* Do not let the first wait for ever: the game is over, and somebody has come. */
	atomic_store_explicit(&data->hops, PINGPONG_HOPS, memory_order_relaxed);
	arrive(data, 1);
}

static jd_status pingpong_run(void *arg, struct jd_scheduler *scheduler)
{
	struct pingpong_data *data = arg;

	return bench_run_block(&data->run, scheduler, pingpong_start, data);
}

static void pingpong_reset(void *arg)
{
	struct pingpong_data *data = arg;

	atomic_store_explicit(&data->ready, 0, memory_order_relaxed);
	atomic_store_explicit(&data->hops, 0, memory_order_relaxed);
	jd_waker_drop(&data->wakers[0]);
	jd_waker_drop(&data->wakers[1]);
}

static const char *pingpong_check(void *arg)
{
	struct pingpong_data *data = arg;
	uint32_t hops = atomic_load_explicit(&data->hops, memory_order_relaxed);

	jd_waker_drop(&data->wakers[0]);
	jd_waker_drop(&data->wakers[1]);
	return hops == PINGPONG_HOPS ? NULL : "wrong number of hops";
}

void b_pingpong(void)
{
	static struct pingpong_data data;
	static const struct bench_workload workload = {.name = "pingpong",
						       .ops = PINGPONG_HOPS,
						       .runs = 8,
						       .simulate = true,
						       .data = &data,
						       .reset = pingpong_reset,
						       .parallel = pingpong_run,
						       .check = pingpong_check};

	bench_workload_add(&workload);
}
