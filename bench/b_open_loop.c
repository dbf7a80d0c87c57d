/* b_open_loop.c - tasks handed in at fixed instants, alone and beside a batch load. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <jackdaw/sync.h>
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/histogram.h"
#include "bench/os/precise.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "bench/workers.h"
#include "platform/platform.h"

/*
 * Requests come when they come, not when the last one was answered. So a latency is counted from
 * the instant at which its task should have been handed in: when the thread that hands in was
 * late, or waited for a slow call, all tasks that were due meanwhile have waited too (Tene's
 * coordinated omission is to forget these).
 *
 * wake_open_R: R tasks a second into a scheduler that has nothing else to do.
 * latency_under_load: a thousand a second, while two tasks for each worker compute in pieces of
 * some 50 us and give way after each.
 */
enum {
	OPEN_MS = 2000,
	OPEN_QUICK_MS = 250,
	LOAD_TASKS = 2, /* for each worker */
	LOAD_STEPS = 25 * 1000,
};

struct open_data {
	uint64_t rate; /* a second */
	bool loaded;
	uint64_t count;
	uint64_t *latencies; /* each written by its task */
	struct bench_histogram ns;
	_Atomic(uint64_t) ran;      /* A */
	_Atomic(uint32_t) stop;     /* A: the load */
	struct jd_wait_group group; /* of the load */
	_Atomic(uint64_t) pieces;   /* A: the load did */
};

struct request {
	struct jd_future base;
	struct open_data *data;
	uint64_t index;
	uint64_t due_ns;
};

static jd_status request_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct request *self = jd_container_of(future, struct request, base);
	uint64_t now = jd_clock_now();

	(void)context;
	(void)result;
	self->data->latencies[self->index] = now > self->due_ns ? now - self->due_ns : 0;
	/* order: (BO1) release - the latency; pairs with (BO2). */
	atomic_fetch_add_explicit(&self->data->ran, 1, memory_order_release);
	return JD_OK;
}

/* --- The load --------------------------------------------------------------------------------- */

struct load {
	struct jd_future base;
	struct open_data *data;
	uint64_t state;
};

static jd_status load_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct load *self = jd_container_of(future, struct load, base);

	(void)result;
	for (int i = 0; i < LOAD_STEPS; i++)
		self->state = self->state * 6364136223846793005u + 1442695040888963407u;
	/* The state cannot be 0 and 1 after one another: the loop is not removed. */
	atomic_fetch_add_explicit(&self->data->pieces, 1 + (self->state == 0),
				  memory_order_relaxed);
	if (atomic_load_explicit(&self->data->stop, memory_order_relaxed)) {
		jd_wait_group_done(&self->data->group);
		return JD_OK;
	}
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

static jd_status load_start(struct open_data *data, struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {.poll = load_poll, .size = sizeof(struct load)};
	unsigned count = data->loaded ? LOAD_TASKS * jd_num_cpus(scheduler) : 0;
	jd_status status = jd_wait_group_add(&data->group, count);

	for (unsigned i = 0; i < count; i++) {
		struct load load = {{&ops}, data, i + 1};

		if (status == JD_OK)
			status = jd_spawn(scheduler, &load.base, NULL);
		if (status != JD_OK)
			jd_wait_group_done(&data->group);
	}
	return status;
}

static jd_status load_stop(struct open_data *data, struct jd_scheduler *scheduler)
{
	struct jd_wait_group_wait wait;

	atomic_store_explicit(&data->stop, 1, memory_order_relaxed);
	jd_wait_group_wait_init(&wait, &data->group);
	jd_status status = jd_block(scheduler, &wait.base, NULL);

	jd_future_drop(&wait.base);
	return status;
}

/* --- The loop --------------------------------------------------------------------------------- */

static jd_status hand_in(struct open_data *data, struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {.poll = request_poll,
						 .size = sizeof(struct request)};
	uint64_t start = jd_clock_now() + JD_MS;
	_Atomic(uint32_t) never = 0;
	jd_status status = JD_OK;

	bench_precise_sleeps();
	for (uint64_t i = 0; i < data->count && status == JD_OK; i++) {
		uint64_t due = start + i * JD_SEC / data->rate;
		struct request request = {{&ops}, data, i, due};

		while (jd_clock_now() < due)
			jd_futex_wait(&never, 0, due);
		status = jd_spawn(scheduler, &request.base, NULL);
	}
	return status;
}

static bool open_setup(void *arg, struct jd_bench_state *state)
{
	struct open_data *data = arg;

	data->count = data->rate * (bench_is_quick() ? OPEN_QUICK_MS : OPEN_MS) / 1000;
	data->latencies = calloc(data->count, sizeof(*data->latencies));
	if (!data->latencies)
		jd_bench_fail(state, "out of memory");
	return data->latencies;
}

static void open_teardown(void *arg)
{
	free(((struct open_data *)arg)->latencies);
}

static void open_reset(void *arg)
{
	struct open_data *data = arg;

	bench_histogram_clear(&data->ns);
	atomic_store_explicit(&data->ran, 0, memory_order_relaxed);
	atomic_store_explicit(&data->stop, 0, memory_order_relaxed);
	atomic_store_explicit(&data->pieces, 0, memory_order_relaxed);
	jd_wait_group_init(&data->group);
}

static jd_status open_run(void *arg, struct jd_scheduler *scheduler)
{
	struct open_data *data = arg;
	jd_status status = load_start(data, scheduler);

	if (status == JD_OK)
		status = hand_in(data, scheduler);
	jd_status stopped = load_stop(data, scheduler);
	jd_status drained = jd_scheduler_drain(scheduler, JD_NEVER);

	if (status == JD_OK)
		status = stopped;
	return status == JD_OK ? drained : status;
}

static const char *open_check(void *arg)
{
	struct open_data *data = arg;

	/* order: (BO2) acquire - the latencies; pairs with (BO1). */
	if (atomic_load_explicit(&data->ran, memory_order_acquire) != data->count)
		return "not every task ran exactly once";
	for (uint64_t i = 0; i < data->count; i++)
		bench_histogram_add(&data->ns, data->latencies[i]);
	if (data->loaded && !atomic_load_explicit(&data->pieces, memory_order_relaxed))
		return "the load did nothing";
	return NULL;
}

static void open_report(void *arg, struct jd_bench_state *state)
{
	const struct open_data *data = arg;

	jd_bench_add_time(state, data->ns.sum * 1e-9 / (double)data->count);
	bench_histogram_report(&data->ns, state);
	if (data->loaded)
		jd_bench_counter(state, "load_pieces",
				 (double)atomic_load_explicit(&data->pieces, memory_order_relaxed),
				 JD_BENCH_PLAIN);
}

void b_open_loop(void)
{
	static struct open_data data[] = {
		{.rate = 1000}, {.rate = 20 * 1000}, {.rate = 1000, .loaded = true}};
	static const char *const names[] = {"wake_open_1k", "wake_open_20k", "latency_under_load"};
	static struct bench_workload workloads[3];

	for (int i = 0; i < 3; i++) {
		workloads[i] = (struct bench_workload){.name = names[i],
						       .ops = 1,
						       .runs = 1,
						       .own_time = true,
						       .data = &data[i],
						       .setup = open_setup,
						       .reset = open_reset,
						       .parallel = open_run,
						       .check = open_check,
						       .report = open_report,
						       .teardown = open_teardown};
		bench_workload_add(&workloads[i]);
	}
}
