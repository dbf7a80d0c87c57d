/* b_timer_fire.c - timers that fire: how late, at what cost; and those that do not, yet. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <jackdaw/task.h>
#include <jackdaw/timer.h>

#include "bench/files.h"
#include "bench/gap.h"
#include "bench/histogram.h"
#include "bench/os/usage.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"
#include "bench/workers.h"
#include "platform/platform.h"

/*
 * Deadlines at random instants of one second, armed well before it begins. Lateness: from the
 * deadline to the moment at which the timer's code runs, by the scheduler's clock; one that is
 * early fails the row. cpu_ms: of all threads but the measuring one, from shortly before the first
 * deadline to the end, with one reading of the clock (some 25 ns) for each timer. ns_per_op is that
 * cost for a timer.
 */
enum {
	FIRE_MANY = 1000 * 1000,
	FIRE_SOME = 100 * 1000,
	FIRE_LEAD_MS = 1500, /* to arm them in */
	FIRE_SPAN_MS = 1000,
	FIRE_QUICK = 20, /* so many times fewer, and less long, when in haste */
	FAR_S = 3600,
	FAR_SETTLE_MS = 200,
	FAR_IDLE_S = 5,
};

#define FIRE_NOT_YET UINT32_MAX
#define FIRE_EARLY (UINT32_MAX - 1)

/* A timer of its own, or a task that sleeps. */
struct fire_timer {
	struct jd_timer timer;
	struct jd_runnable runnable;
	struct jd_scheduler *scheduler;
	uint64_t deadline_ns;
	uint32_t *late_ns;
};

struct fire_task {
	struct jd_future base;
	struct jd_sleep sleep;
	uint32_t *late_ns;
};

struct fire_data {
	unsigned count;
	bool tasks;   /* tasks that sleep; otherwise timers that only note the time */
	bool precise; /* no slack */
	bool far;     /* they do not fire; the row is idle */
	uint32_t *late_ns;
	struct fire_timer *timers;
	struct bench_usage used;
	struct bench_histogram late;
	bool incomplete;
};

static uint64_t next_random(uint64_t *state)
{
	/* Marsaglia's xorshift64*. */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545F4914F6CDD1D);
}

static void note(struct jd_scheduler *scheduler, uint64_t deadline_ns, uint32_t *late_ns)
{
	uint64_t now = jd_now(scheduler), late = now - deadline_ns;

	if (now < deadline_ns)
		*late_ns = FIRE_EARLY;
	else
		*late_ns = late < FIRE_EARLY ? (uint32_t)late : FIRE_EARLY - 1;
}

/* --- Timers ----------------------------------------------------------------------------------- */

static void timer_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct fire_timer *self = jd_container_of(runnable, struct fire_timer, runnable);

	(void)worker;
	note(self->scheduler, self->deadline_ns, self->late_ns);
}

static void timer_cancel(struct jd_runnable *runnable)
{
	(void)runnable;
}

static jd_status start_timer(struct fire_data *data, struct jd_scheduler *scheduler, unsigned i,
			     uint64_t deadline_ns)
{
	static const struct jd_runnable_ops ops = {.run = timer_run, .cancel = timer_cancel};
	struct fire_timer *t = &data->timers[i];

	*t = (struct fire_timer){.runnable = JD_RUNNABLE_INIT(&ops), .scheduler = scheduler};
	t->runnable.flags = JD_RUNNABLE_INLINE;
	t->deadline_ns = deadline_ns;
	t->late_ns = &data->late_ns[i];
	if (data->precise)
		jd_timer_set_slack(&t->timer, 0);
	return jd_schedule_at(scheduler, &t->timer, &t->runnable, deadline_ns);
}

/* --- Tasks ------------------------------------------------------------------------------------ */

static jd_status task_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct fire_task *self = jd_container_of(future, struct fire_task, base);
	jd_status status = jd_future_poll(&self->sleep.base, context, result);

	if (status == JD_OK)
		note(context->scheduler, self->sleep._time_ns, self->late_ns);
	return status;
}

static void task_drop(struct jd_future *future)
{
	jd_future_drop(&jd_container_of(future, struct fire_task, base)->sleep.base);
}

static jd_status start_task(struct fire_data *data, struct jd_scheduler *scheduler, unsigned i,
			    uint64_t deadline_ns)
{
	static const struct jd_future_ops ops = {
		.poll = task_poll,
		.drop = task_drop,
		.size = sizeof(struct fire_task),
	};
	struct fire_task task = {.base = {&ops}, .late_ns = &data->late_ns[i]};

	jd_sleep_init_until(&task.sleep, deadline_ns);
	if (data->precise)
		jd_sleep_set_slack(&task.sleep, 0);
	return jd_spawn(scheduler, &task.base, NULL);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static unsigned count_of(const struct fire_data *data)
{
	return bench_is_quick() ? data->count / FIRE_QUICK : data->count;
}

static uint64_t haste(uint64_t ns)
{
	return bench_is_quick() ? ns / FIRE_QUICK : ns;
}

static bool fire_setup(void *arg, struct jd_bench_state *state)
{
	struct fire_data *data = arg;
	unsigned n = count_of(data);

	data->late_ns = malloc(n * sizeof(*data->late_ns));
	data->timers = data->tasks ? NULL : malloc(n * sizeof(*data->timers));
	if (!data->late_ns || (!data->tasks && !data->timers)) {
		jd_bench_fail(state, "out of memory");
		return false;
	}
	for (unsigned i = 0; i < n; i++)
		data->late_ns[i] = FIRE_NOT_YET;
	return true;
}

static void fire_teardown(void *arg)
{
	struct fire_data *data = arg;

	free(data->late_ns);
	free(data->timers);
}

struct arming {
	struct fire_data *data;
	struct jd_scheduler *scheduler;
	uint64_t begin_ns;
	jd_status status;
};

/* On a worker, as in a server. */
static void *arm_all(void *arg)
{
	struct arming *arming = arg;
	struct fire_data *data = arming->data;
	uint64_t seed = 99, span = haste(FIRE_SPAN_MS * JD_MS);
	unsigned n = count_of(data);

	for (unsigned i = 0; i < n && arming->status == JD_OK; i++) {
		uint64_t deadline = arming->begin_ns + next_random(&seed) % span;

		arming->status = (data->tasks ? start_task : start_timer)(data, arming->scheduler,
									  i, deadline);
	}
	return NULL;
}

static jd_status arm(struct arming *arming)
{
	struct jd_task *task;
	jd_status status = jd_spawn_fn(arming->scheduler, arm_all, arming, &task);

	if (status == JD_OK)
		status = jd_task_join(task, NULL);
	return status == JD_OK ? arming->status : status;
}

static jd_status fire_run(void *arg, struct jd_scheduler *scheduler)
{
	struct fire_data *data = arg;
	struct bench_usage before, after;
	uint64_t now = jd_now(scheduler), begin = now + haste(FIRE_LEAD_MS * JD_MS);
	struct arming arming = {data, scheduler, begin, JD_OK};
	jd_status status = arm(&arming);

	now = jd_now(scheduler);
	if (status == JD_OK && now + JD_MS >= begin)
		status = JD_ETIMEDOUT; /* too slow: part of the second is over */
	if (status == JD_OK)
		status = bench_gap(scheduler, begin - now);
	bench_usage_others(&before);
	if (status == JD_OK)
		status = bench_gap(scheduler, haste(FIRE_SPAN_MS * JD_MS) + 20 * JD_MS);
	if (status == JD_OK && data->tasks)
		status = jd_scheduler_drain(scheduler, JD_NEVER);
	for (unsigned i = 0, n = count_of(data); status == JD_OK && !data->tasks && i < n; i++)
		while (status == JD_OK && data->late_ns[i] == FIRE_NOT_YET)
			status = bench_gap(scheduler, 10 * JD_MS);
	bench_usage_others(&after);
	data->used.cpu_s = after.cpu_s - before.cpu_s;
	data->used.switches = after.switches - before.switches;
	return status;
}

static const char *fire_check(void *arg)
{
	struct fire_data *data = arg;
	unsigned n = count_of(data);

	for (unsigned i = 0; i < n; i++) {
		if (data->late_ns[i] == FIRE_NOT_YET)
			return "a timer did not fire";
		if (data->late_ns[i] == FIRE_EARLY)
			return "a timer was early";
		bench_histogram_add(&data->late, data->late_ns[i]);
	}
	return NULL;
}

static void fire_report(void *arg, struct jd_bench_state *state)
{
	struct fire_data *data = arg;

	jd_bench_add_time(state, data->used.cpu_s);
	if (data->far)
		jd_bench_counter(state, "idle_cpu_ppm",
				 data->used.cpu_s * 1e6 / (double)haste(FAR_IDLE_S * JD_SEC) * 1e9,
				 JD_BENCH_PLAIN);
	jd_bench_counter(state, "cpu_ms", data->used.cpu_s * 1e3, JD_BENCH_PLAIN);
	jd_bench_counter(state, "switches", (double)data->used.switches, JD_BENCH_PLAIN);
	bench_histogram_report(&data->late, state);
	bench_histogram_clear(&data->late);
}

/* A million timers an hour ahead, and five seconds of nothing. */
static jd_status far_run(void *arg, struct jd_scheduler *scheduler)
{
	struct fire_data *data = arg;
	struct bench_usage before, after;
	struct arming arming = {data, scheduler, jd_now(scheduler) + FAR_S * JD_SEC, JD_OK};
	jd_status status = arm(&arming);

	if (status == JD_OK)
		status = bench_gap(scheduler, FAR_SETTLE_MS * JD_MS);
	bench_usage_others(&before);
	if (status == JD_OK)
		status = bench_gap(scheduler, haste(FAR_IDLE_S * JD_SEC));
	bench_usage_others(&after);
	data->used.cpu_s = after.cpu_s > before.cpu_s ? after.cpu_s - before.cpu_s : 0;
	data->used.switches = after.switches - before.switches;
	for (unsigned i = 0, n = count_of(data); i < n; i++)
		if (jd_cancel_timer(scheduler, &data->timers[i].timer) != JD_OK)
			data->incomplete = true;
	return status;
}

static const char *far_check(void *arg)
{
	return ((struct fire_data *)arg)->incomplete ? "a timer fired an hour early" : NULL;
}

void b_timer_fire(void)
{
	static struct fire_data fire = {.count = FIRE_MANY};
	static struct fire_data wake = {.count = FIRE_MANY, .tasks = true};
	static struct fire_data late = {.count = FIRE_SOME, .tasks = true};
	static struct fire_data precise = {.count = FIRE_SOME, .tasks = true, .precise = true};
	static struct fire_data far = {.count = FIRE_MANY};
	static struct bench_workload rows[] = {
		{.name = "timer_fire", .data = &fire, .parallel = fire_run, .check = fire_check},
		{.name = "timer_wake", .data = &wake, .parallel = fire_run, .check = fire_check},
		{.name = "timer_late", .data = &late, .parallel = fire_run, .check = fire_check},
		{.name = "timer_late_precise",
		 .data = &precise,
		 .parallel = fire_run,
		 .check = fire_check},
		{.name = "timer_far", .data = &far, .parallel = far_run, .check = far_check},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rows[i].ops = count_of(rows[i].data);
		rows[i].runs = 1;
		rows[i].own_time = true;
		rows[i].setup = fire_setup;
		rows[i].report = fire_report;
		rows[i].teardown = fire_teardown;
		bench_workload_add(&rows[i]);
	}
}
