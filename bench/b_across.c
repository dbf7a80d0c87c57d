/* b_across.c - tasks that wake each other in turn and may not share a worker. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/run.h"
#include "platform/platform.h"

/*
 * One operation is a round trip: two hops, each to another worker. A player that has woken the next
 * one keeps its worker until that one runs, so somebody else has to come and take it: what is
 * measured is how fast a worker that is awake, but has nothing to do, finds a single task. There
 * are three players, since the one who played last may not have parked yet when it is woken, and
 * would then just go on where it is.
 *
 * On a machine that has no CPU left for the second worker every hop costs a slice of the system's
 * scheduler: then the players give up.
 */
enum {
	ACROSS_PLAYERS = 3,
	ACROSS_TRIPS = 20 * 1000,
	ACROSS_TURNS = 2 * ACROSS_TRIPS,
	ACROSS_END = ACROSS_TURNS + ACROSS_PLAYERS,
	ACROSS_LIMIT_S = 3,
	ACROSS_LOOK = 1 << 14, /* at the clock, once in so many rounds */
};

struct across_data {
	struct bench_run run;
	_Atomic(uint32_t) ready;                /* A */
	_Atomic(uint32_t) turns;                /* A: hops that have arrived */
	_Atomic(uint32_t) late;                 /* A: somebody has given up */
	uint64_t limit_ns;                      /* when to */
	struct jd_waker wakers[ACROSS_PLAYERS]; /* player i writes [i] before it is ready */
};

struct player {
	struct jd_future base;
	struct across_data *data;
	uint32_t index;
	bool ready;
};

/* True when all are here and the game can begin. */
static bool get_ready(struct player *self, struct jd_context *context)
{
	struct across_data *data = self->data;

	self->ready = true;
	data->wakers[self->index] = jd_waker_clone(context->waker);
	/* order: (BA1) acq_rel - my waker is there, and those that came first; pairs with (BA1). */
	return atomic_fetch_add_explicit(&data->ready, 1, memory_order_acq_rel) + 1 ==
	       ACROSS_PLAYERS;
}

static uint32_t turns_now(struct across_data *data)
{
	/* order: (BA2) acquire - what the others did before that turn; pairs with (BA3). */
	return atomic_load_explicit(&data->turns, memory_order_acquire);
}

/* True: it is too late, and the game is at its end, unless the next player has come after all. */
static bool give_up(struct across_data *data, uint32_t turn)
{
	if (jd_clock_now() < data->limit_ns)
		return false;
	atomic_store_explicit(&data->late, 1, memory_order_relaxed);
	/* order: (BA4) acq_rel - as for a turn of mine; pairs with (BA2). */
	atomic_compare_exchange_strong_explicit(&data->turns, &turn, ACROSS_TURNS,
						memory_order_acq_rel, memory_order_relaxed);
	return true;
}

/* From the moment all are ready, each poll is a turn. */
static jd_status player_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct player *self = jd_container_of(future, struct player, base);
	struct across_data *data = self->data;

	(void)result;
	if (!self->ready && !get_ready(self, context))
		return JD_PENDING;
	uint32_t turn = turns_now(data) + 1;

	/* order: (BA3) release - the turn is mine, with all I did; pairs with (BA2). */
	atomic_store_explicit(&data->turns, turn, memory_order_release);
	if (turn < ACROSS_END)
		jd_waker_wake_ref(&data->wakers[(self->index + 1) % ACROSS_PLAYERS]);
	if (turn > ACROSS_TURNS)
		return JD_OK;
	for (uint32_t spins = 1; turns_now(data) == turn; spins++) {
		jd_cpu_relax();
		if (spins % ACROSS_LOOK == 0 && give_up(data, turn))
			break;
	}
	return JD_PENDING;
}

static void player_drop(struct jd_future *future)
{
	bench_join_finish(&jd_container_of(future, struct player, base)->data->run.join);
}

static void across_start(struct bench_run *run, struct jd_scheduler *scheduler, void *arg)
{
	static const struct jd_future_ops ops = {
		.poll = player_poll, .drop = player_drop, .size = sizeof(struct player)};
	struct jd_task *tasks[ACROSS_PLAYERS];
	jd_status status = JD_OK;
	uint32_t n = 0;

	while (n < ACROSS_PLAYERS && status == JD_OK) {
		struct player player = {{&ops}, arg, n, false};

		bench_join_add(&run->join, 1);
		status = jd_spawn(scheduler, &player.base, &tasks[n]);
		if (status == JD_OK)
			n++;
		else
			bench_join_finish(&run->join);
	}
	bench_run_error(run, status);
	/* Fewer would wait for the others for ever. */
	for (uint32_t i = 0; i < n; i++)
		(n < ACROSS_PLAYERS ? jd_task_drop : jd_task_detach)(tasks[i]);
}

static jd_status across_run(void *arg, struct jd_scheduler *scheduler)
{
	struct across_data *data = arg;

	if (jd_num_cpus(scheduler) < 2)
		return JD_ENOTSUP;
	jd_status status = bench_run_block(&data->run, scheduler, across_start, data);
	bool late = atomic_load_explicit(&data->late, memory_order_relaxed);

	return status == JD_OK && late ? JD_ETIMEDOUT : status;
}

static void drop_wakers(struct across_data *data)
{
	for (int i = 0; i < ACROSS_PLAYERS; i++)
		jd_waker_drop(&data->wakers[i]);
}

static void across_reset(void *arg)
{
	struct across_data *data = arg;

	atomic_store_explicit(&data->ready, 0, memory_order_relaxed);
	atomic_store_explicit(&data->turns, 0, memory_order_relaxed);
	atomic_store_explicit(&data->late, 0, memory_order_relaxed);
	data->limit_ns = jd_clock_now() + ACROSS_LIMIT_S * JD_SEC;
	drop_wakers(data);
}

static const char *across_check(void *arg)
{
	struct across_data *data = arg;

	drop_wakers(data);
	return turns_now(data) == ACROSS_END ? NULL : "wrong number of turns";
}

void b_across(void)
{
	static struct across_data data;
	static const struct bench_workload workload = {.name = "pingpong_across",
						       .ops = ACROSS_TRIPS,
						       .runs = 3,
						       .data = &data,
						       .reset = across_reset,
						       .parallel = across_run,
						       .check = across_check};

	bench_workload_add(&workload);
}
