/* b_timer.c - timers armed and cancelled by a worker, by the million. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <jackdaw/task.h>
#include <jackdaw/timer.h>

#include "bench/files.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "platform/platform.h"

/*
 * All of it happens in a task, so on a worker, with raw timers (what sleeps and timeouts are made
 * of). The deadlines are random within a second, as in the other rows of timers, but so far ahead
 * that none comes while we measure. Order of cancelling: random, so that every timer is a cache
 * miss, as in a server. The first of two rounds is not measured: it touches fresh memory, which
 * costs more than all the rest, once.
 */
enum {
	TIMER_COUNT = 1000 * 1000,
	TIMER_AHEAD_MS = 500,
	TIMER_TIMEOUT_S = 30, /* of the churn: what servers give a request */
	TIMER_WAIT_S = 3,     /* of one task for another that should run beside it */
};

struct timed {
	struct jd_timer timer;
	struct jd_runnable runnable;
};

struct timer_data {
	struct timed *timed;
	uint32_t *order;
	uint64_t *deadlines;
	struct jd_scheduler *scheduler;
	uint64_t insert_ns, cancel_ns;
	uint64_t failures;
	uint64_t first_ns;      /* not after any deadline */
	_Atomic(uint32_t) step; /* A: of the rows with two tasks */
};

static uint64_t next_random(uint64_t *state)
{
	/* Marsaglia's xorshift64*. */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545F4914F6CDD1D);
}

static void no_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	(void)runnable;
	(void)worker;
}

static void no_cancel(struct jd_runnable *runnable)
{
	(void)runnable;
}

static bool timer_setup(void *arg, struct jd_bench_state *state)
{
	static const struct jd_runnable_ops ops = {.run = no_run, .cancel = no_cancel};
	struct timer_data *data = arg;
	uint64_t seed = 1;

	data->timed = calloc(TIMER_COUNT, sizeof(*data->timed));
	data->order = calloc(TIMER_COUNT, sizeof(*data->order));
	data->deadlines = calloc(TIMER_COUNT, sizeof(*data->deadlines));
	if (!data->timed || !data->order || !data->deadlines) {
		jd_bench_fail(state, "out of memory");
		return false;
	}
	for (uint32_t i = 0; i < TIMER_COUNT; i++) {
		data->timed[i].runnable = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
		data->timed[i].runnable.flags = JD_RUNNABLE_INLINE;
		data->order[i] = i;
	}
	for (uint32_t i = TIMER_COUNT - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(next_random(&seed) % (i + 1)), swap = data->order[i];

		data->order[i] = data->order[j];
		data->order[j] = swap;
	}
	data->insert_ns = data->cancel_ns = data->failures = 0;
	return true;
}

static void timer_teardown(void *arg)
{
	struct timer_data *data = arg;

	free(data->timed);
	free(data->order);
	free(data->deadlines);
}

static void choose_deadlines(struct timer_data *data)
{
	uint64_t now = jd_now(data->scheduler), seed = 7;

	data->first_ns = now + TIMER_AHEAD_MS * JD_MS;
	for (uint32_t i = 0; i < TIMER_COUNT; i++)
		data->deadlines[i] = now + TIMER_AHEAD_MS * JD_MS +
				     (1 + next_random(&seed) % 1000) * JD_MS +
				     next_random(&seed) % JD_MS;
}

static void insert_all(struct timer_data *data)
{
	struct jd_scheduler *scheduler = data->scheduler;
	uint64_t start = jd_clock_now();

	for (uint32_t i = 0; i < TIMER_COUNT; i++)
		data->failures += jd_schedule_at(scheduler, &data->timed[i].timer,
						 &data->timed[i].runnable,
						 data->deadlines[i]) != JD_OK;
	data->insert_ns += jd_clock_now() - start;
}

static void cancel_all(struct timer_data *data)
{
	uint64_t start = jd_clock_now();

	for (uint32_t i = 0; i < TIMER_COUNT; i++)
		data->failures += jd_cancel_timer(data->scheduler,
						  &data->timed[data->order[i]].timer) != JD_OK;
	/* On a slow machine some have fired. */
	if (jd_now(data->scheduler) > data->first_ns)
		data->failures = 0;
	data->cancel_ns += jd_clock_now() - start;
}

static jd_status in_a_task(struct timer_data *data, struct jd_scheduler *scheduler,
			   void *(*fn)(void *arg))
{
	struct jd_task *task;

	data->scheduler = scheduler;
	jd_status status = jd_spawn_fn(scheduler, fn, data, &task);

	return status == JD_OK ? jd_task_join(task, NULL) : status;
}

static const char *timer_check(void *arg)
{
	struct timer_data *data = arg;

	return data->failures ? "a timer was not armed, or fired, or was not cancelled" : NULL;
}

static void warm_up(struct timer_data *data)
{
	choose_deadlines(data);
	insert_all(data);
	cancel_all(data);
	data->insert_ns = data->cancel_ns = 0;
	choose_deadlines(data);
}

/* --- Insert, then cancel on the same worker --------------------------------------------------- */

static void *insert_and_cancel(void *arg)
{
	warm_up(arg);
	insert_all(arg);
	cancel_all(arg);
	return NULL;
}

static jd_status insert_run(void *arg, struct jd_scheduler *scheduler)
{
	return in_a_task(arg, scheduler, insert_and_cancel);
}

static void insert_report(void *arg, struct jd_bench_state *state)
{
	struct timer_data *data = arg;

	jd_bench_add_time(state, (double)data->insert_ns * 1e-9);
}

static void cancel_report(void *arg, struct jd_bench_state *state)
{
	struct timer_data *data = arg;

	jd_bench_add_time(state, (double)data->cancel_ns * 1e-9);
}

/* --- Cancel on another worker ----------------------------------------------------------------- */

enum {
	STEP_BEGIN,
	STEP_ARMED,
	STEP_CANCELLED,
	STEP_ALONE, /* one has waited in vain for the other */
};

static uint32_t step_of(struct timer_data *data)
{
	/* order: (BT1) acquire - what was done before the step; pairs with (BT2). */
	return atomic_load_explicit(&data->step, memory_order_acquire);
}

static void go_on_to(struct timer_data *data, uint32_t step)
{
	/* order: (BT2) release - what was done before the step; pairs with (BT1). */
	atomic_store_explicit(&data->step, step, memory_order_release);
}

/* False: the other task does not run; a pool may be slow to start its second thread. */
static bool wait_for(struct timer_data *data, uint32_t step)
{
	uint64_t limit = jd_clock_now() + TIMER_WAIT_S * JD_SEC;

	while (step_of(data) != step && step_of(data) != STEP_ALONE) {
		jd_cpu_relax();
		if (jd_clock_now() > limit)
			go_on_to(data, STEP_ALONE);
	}
	return step_of(data) == step;
}

/* Keeps its worker until all is cancelled, so the other task is on another. */
static void *arm_and_wait(void *arg)
{
	warm_up(arg);
	insert_all(arg);
	if (step_of(arg) == STEP_BEGIN) {
		go_on_to(arg, STEP_ARMED);
		wait_for(arg, STEP_CANCELLED);
	}
	return NULL;
}

static void *cancel_elsewhere(void *arg)
{
	if (wait_for(arg, STEP_ARMED)) {
		cancel_all(arg);
		go_on_to(arg, STEP_CANCELLED);
	}
	return NULL;
}

static jd_status across_run(void *arg, struct jd_scheduler *scheduler)
{
	struct timer_data *data = arg;
	struct jd_task *task;

	if (jd_num_cpus(scheduler) < 2)
		return JD_ENOTSUP;
	data->scheduler = scheduler;
	go_on_to(data, STEP_BEGIN);
	jd_status status = jd_spawn_fn(scheduler, cancel_elsewhere, data, &task);

	if (status != JD_OK)
		return status;
	status = in_a_task(data, scheduler, arm_and_wait);
	jd_status joined = jd_task_join(task, NULL);

	if (step_of(data) == STEP_ALONE)
		return JD_ETIMEDOUT;
	return status == JD_OK ? joined : status;
}

/* --- Churn ------------------------------------------------------------------------------------ */

static void *churn(void *arg)
{
	struct timer_data *data = arg;

	for (uint32_t i = 0; i < TIMER_COUNT; i++) {
		struct timed *timed = &data->timed[i % 64];

		data->failures += jd_schedule_after(data->scheduler, &timed->timer,
						    &timed->runnable,
						    TIMER_TIMEOUT_S * JD_SEC) != JD_OK ||
				  jd_cancel_timer(data->scheduler, &timed->timer) != JD_OK;
	}
	return NULL;
}

static jd_status churn_run(void *arg, struct jd_scheduler *scheduler)
{
	return in_a_task(arg, scheduler, churn);
}

void b_timer(void)
{
	static struct timer_data data;
	static const struct bench_workload insert = {.name = "timer_insert",
						     .ops = TIMER_COUNT,
						     .runs = 1,
						     .own_time = true,
						     .data = &data,
						     .setup = timer_setup,
						     .parallel = insert_run,
						     .check = timer_check,
						     .report = insert_report,
						     .teardown = timer_teardown};
	static struct bench_workload cancel, across, churned;

	cancel = across = churned = insert;
	cancel.name = "timer_cancel";
	cancel.report = cancel_report;
	across.name = "timer_cancel_across";
	across.parallel = across_run;
	across.report = cancel_report;
	churned.name = "timer_churn";
	churned.parallel = churn_run;
	churned.own_time = false;
	churned.runs = 5;
	churned.report = NULL;
	bench_workload_add(&insert);
	bench_workload_add(&cancel);
	bench_workload_add(&across);
	bench_workload_add(&churned);
}
