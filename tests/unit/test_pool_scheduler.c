/* test_pool_scheduler.c - a scheduler over a pool whose calls and alarm are the test's. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/pool_scheduler.h>
#include <jackdaw/task.h>

#include "tests/conformance/count_allocator.h"
#include "tests/conformance/gate.h"

/* Counts what it is asked for; the test makes the calls. */
struct hand_pool {
	struct jd_pool base;
	_Atomic(unsigned) owed; /* calls */
	unsigned submitted;
	uint64_t alarm_ns; /* the latest one */
	unsigned alarms;   /* how often it was set */
	unsigned sleeps, stops, frees;
	void *sleeper; /* the call that slept last */
};

static struct hand_pool *hand_of(struct jd_pool *base)
{
	return jd_container_of(base, struct hand_pool, base);
}

static void hand_ask(struct jd_pool *base)
{
	atomic_fetch_add_explicit(&hand_of(base)->owed, 1, memory_order_relaxed);
	hand_of(base)->submitted++;
}

static void hand_set_alarm(struct jd_pool *base, uint64_t deadline_ns)
{
	hand_of(base)->alarm_ns = deadline_ns;
	hand_of(base)->alarms++;
}

static void hand_sleeps(struct jd_pool *base, void *call)
{
	hand_of(base)->sleeps++;
	hand_of(base)->sleeper = call;
}

static void hand_stop(struct jd_pool *base)
{
	hand_of(base)->stops++;
}

static void hand_free(struct jd_pool *base)
{
	hand_of(base)->frees++;
}

static const struct jd_pool_ops hand_ops = {
	.name = "hand",
	.call = hand_ask,
	.set_alarm = hand_set_alarm,
	.sleeps = hand_sleeps,
	.stop = hand_stop,
	.free = hand_free,
};

/* --- A pool that queues by itself: newest first ----------------------------------------------- */

struct queue_pool {
	struct jd_pool base;
	struct jd_runnable *queued;
	unsigned stops, frees;
	jd_status refuse; /* what submit returns, if not JD_OK */
};

static struct queue_pool *queue_of(struct jd_pool *base)
{
	return jd_container_of(base, struct queue_pool, base);
}

static jd_status queue_submit(struct jd_pool *base, struct jd_runnable *runnable)
{
	struct queue_pool *pool = queue_of(base);

	if (pool->refuse != JD_OK)
		return pool->refuse;
	runnable->next = pool->queued;
	pool->queued = runnable;
	return JD_OK;
}

static void queue_set_alarm(struct jd_pool *base, uint64_t deadline_ns)
{
	(void)base;
	(void)deadline_ns;
}

static void queue_stop(struct jd_pool *base)
{
	queue_of(base)->stops++;
}

static void queue_free(struct jd_pool *base)
{
	queue_of(base)->frees++;
}

static const struct jd_pool_ops queue_ops = {
	.name = "queue",
	.submit = queue_submit,
	.set_alarm = queue_set_alarm,
	.stop = queue_stop,
	.free = queue_free,
};

/* Runs the newest; false when there is none. */
static bool queue_run(struct queue_pool *pool)
{
	struct jd_runnable *runnable = pool->queued;

	if (runnable) {
		pool->queued = runnable->next;
		jd_pool_scheduler_run(&pool->base, runnable);
	}
	return runnable;
}

/* --- Jobs and schedulers ---------------------------------------------------------------------- */

/* One call that is owed, with this test's idea of a name for it; false: none is. */
static bool hand_call(struct hand_pool *hand)
{
	if (!hand->owed)
		return false;
	atomic_fetch_sub_explicit(&hand->owed, 1, memory_order_relaxed);
	jd_pool_scheduler_call(&hand->base, hand);
	return true;
}

struct job {
	struct jd_runnable base;
	struct jd_timer timer;
	void (*fn)(struct job *self);
	struct hand_pool *hand;
	unsigned runs, cancels;
	jd_status status;
};

static void job_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct job *job = jd_container_of(runnable, struct job, base);

	(void)worker;
	job->runs++;
	if (job->fn)
		job->fn(job);
}

static void job_cancel(struct jd_runnable *runnable)
{
	jd_container_of(runnable, struct job, base)->cancels++;
}

static struct job job_new(struct hand_pool *hand, uint32_t flags)
{
	static const struct jd_runnable_ops ops = {.run = job_run, .cancel = job_cancel};
	struct job job = {.base = JD_RUNNABLE_INIT(&ops), .hand = hand};

	job.base.flags = flags;
	return job;
}

static struct jd_scheduler *hand_scheduler(struct hand_pool *hand)
{
	struct jd_scheduler *scheduler;

	*hand = (struct hand_pool){.base = {.ops = &hand_ops}};
	assert_int_equal(jd_pool_scheduler_new(&hand->base, NULL, &scheduler), JD_OK);
	assert_ptr_equal(hand->base.scheduler, scheduler);
	return scheduler;
}

static void finish(struct hand_pool *hand)
{
	assert_int_equal(jd_scheduler_destroy(hand->base.scheduler), JD_OK);
	assert_int_equal(hand->stops, 1);
	assert_int_equal(hand->frees, 1);
}

/* --- The tests ------------------------------------------------------------------------------- */

static void test_arguments(void **state)
{
	struct jd_scheduler *scheduler;
	struct jd_pool_ops ops = hand_ops;
	struct jd_pool pool = {.ops = &ops}, none = {NULL, NULL};
	const struct jd_pool_options many = {.blocking_max = 65536};

	(void)state;
	assert_int_equal(jd_pool_scheduler_new(NULL, NULL, &scheduler), JD_EINVAL);
	assert_int_equal(jd_pool_scheduler_new(&none, NULL, &scheduler), JD_EINVAL);
	assert_int_equal(jd_pool_scheduler_new(&pool, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_pool_scheduler_new(&pool, &many, &scheduler), JD_ERANGE);
	ops.call = NULL; /* nothing to ask it with; below: two things */
	assert_int_equal(jd_pool_scheduler_new(&pool, NULL, &scheduler), JD_EINVAL);
	ops.submit = queue_submit;
	ops.call = hand_ask;
	assert_int_equal(jd_pool_scheduler_new(&pool, NULL, &scheduler), JD_EINVAL);
	ops = hand_ops;
	ops.set_alarm = NULL;
	assert_int_equal(jd_pool_scheduler_new(&pool, NULL, &scheduler), JD_EINVAL);
	ops = hand_ops;
	ops.stop = NULL;
	assert_int_equal(jd_pool_scheduler_new(&pool, NULL, &scheduler), JD_EINVAL);
	ops = hand_ops;
	ops.free = NULL;
	assert_int_equal(jd_pool_scheduler_new(&pool, NULL, &scheduler), JD_EINVAL);
	ops = hand_ops;
	ops.name = NULL;
	assert_int_equal(jd_pool_scheduler_new(&pool, NULL, &scheduler), JD_EINVAL);
}

static void test_no_memory_calls_no_operation(void **state)
{
	struct count_allocator memory;
	const struct jd_pool_options options = {.allocator = &memory.base, .num_cpus = 3};
	struct hand_pool hand = {.base = {.ops = &hand_ops}};
	struct jd_scheduler *scheduler;
	jd_status status = JD_ENOMEM;
	unsigned n = 0;

	(void)state;
	while (status == JD_ENOMEM) {
		count_allocator_init(&memory);
		count_allocator_fail(&memory, ++n, UINT64_MAX);
		status = jd_pool_scheduler_new(&hand.base, &options, &scheduler);
		assert_int_equal(hand.stops + hand.frees, 0);
		if (status == JD_ENOMEM)
			assert_int_equal(count_allocator_live(&memory), 0);
	}
	assert_int_equal(status, JD_OK);
	assert_int_equal(jd_num_cpus(scheduler), 3);
	assert_string_equal(scheduler->ops->name, "hand");
	finish(&hand);
	assert_int_equal(count_allocator_live(&memory), 0);
}

/* In whatever order the pool calls. */
static void test_each_call_runs_the_oldest(void **state)
{
	struct hand_pool hand;
	struct jd_scheduler *scheduler = hand_scheduler(&hand);
	struct job first = job_new(&hand, 0), second = first, third = first;

	(void)state;
	assert_int_equal(jd_schedule(scheduler, &first.base), JD_OK);
	assert_int_equal(jd_schedule(scheduler, &second.base), JD_OK);
	assert_int_equal(hand.submitted, 2);
	assert_true(hand_call(&hand));
	assert_int_equal(first.runs, 1);
	assert_int_equal(second.runs, 0);
	assert_int_equal(jd_schedule(scheduler, &third.base), JD_OK);
	assert_true(hand_call(&hand));
	assert_int_equal(second.runs, 1);
	assert_int_equal(third.runs, 0);
	assert_true(hand_call(&hand));
	assert_int_equal(third.runs, 1);
	assert_false(hand_call(&hand));
	/* Waits for ever if a call that came still counted as owed. */
	finish(&hand);
}

static void test_one_alarm_for_the_next_deadline(void **state)
{
	struct hand_pool hand;
	struct jd_scheduler *scheduler = hand_scheduler(&hand);
	struct job late = job_new(&hand, 0), soon = late, later = late;
	uint64_t now = jd_now(scheduler);

	(void)state;
	jd_timer_set_slack(&late.timer, 0);
	jd_timer_set_slack(&soon.timer, 0);
	jd_timer_set_slack(&later.timer, 0);
	assert_int_equal(jd_schedule_at(scheduler, &late.timer, &late.base, now + 20 * JD_SEC),
			 JD_OK);
	assert_int_equal(hand.alarm_ns, now + 20 * JD_SEC);
	assert_int_equal(jd_schedule_at(scheduler, &later.timer, &later.base, now + 30 * JD_SEC),
			 JD_OK);
	assert_int_equal(hand.alarms, 1);
	assert_int_equal(jd_schedule_at(scheduler, &soon.timer, &soon.base, now + 1), JD_OK);
	assert_int_equal(hand.alarms, 2);
	assert_int_equal(hand.alarm_ns, now + 1);
	/* It fires what is due, through the pool, and is set for the next. */
	jd_pool_scheduler_alarm(&hand.base);
	assert_int_equal(hand.submitted, 1);
	assert_int_equal(hand.alarm_ns, now + 20 * JD_SEC);
	assert_int_equal(soon.runs, 0);
	assert_true(hand_call(&hand));
	assert_int_equal(soon.runs, 1);
	/* One that comes for nothing fires nothing and is set again. */
	jd_pool_scheduler_alarm(&hand.base);
	assert_int_equal(hand.submitted, 1);
	assert_int_equal(hand.alarms, 4);
	assert_int_equal(hand.alarm_ns, now + 20 * JD_SEC);
	assert_int_equal(jd_cancel_timer(scheduler, &late.timer), JD_OK);
	jd_pool_scheduler_alarm(&hand.base);
	assert_int_equal(hand.alarm_ns, now + 30 * JD_SEC);
	finish(&hand);
	assert_int_equal(late.runs + late.cancels, 0);
	assert_int_equal(later.runs, 0);
	assert_int_equal(later.cancels, 1);
}

static void destroy_inside(struct job *job)
{
	job->status = jd_scheduler_destroy(job->hand->base.scheduler);
}

static void test_an_inline_timer_needs_no_call(void **state)
{
	struct hand_pool hand;
	struct jd_scheduler *scheduler = hand_scheduler(&hand);
	struct job in_place = job_new(&hand, JD_RUNNABLE_INLINE);

	(void)state;
	in_place.fn = destroy_inside;
	assert_int_equal(jd_schedule_after(scheduler, &in_place.timer, &in_place.base, 0), JD_OK);
	jd_pool_scheduler_alarm(&hand.base);
	assert_int_equal(hand.submitted, 0);
	assert_int_equal(in_place.runs, 1);
	/* The alarm is one of the scheduler's own, too. */
	assert_int_equal(in_place.status, JD_EDEADLK);
	finish(&hand);
}

static void park_briefly(struct job *job)
{
	struct jd_scheduler *scheduler = job->hand->base.scheduler;
	struct jd_parker *parker;

	job->status = jd_parker_new(scheduler, &parker);
	if (job->status != JD_OK)
		return;
	job->status = jd_parker_park(parker, jd_now(scheduler) + JD_MS);
	jd_parker_release(parker);
}

static void test_the_pool_is_told_who_sleeps(void **state)
{
	struct hand_pool hand;
	struct jd_scheduler *scheduler = hand_scheduler(&hand);
	struct job job = job_new(&hand, 0);

	(void)state;
	job.fn = park_briefly;
	park_briefly(&job); /* not a thread of the pool */
	assert_int_equal(hand.sleeps, 0);
	assert_int_equal(jd_schedule(scheduler, &job.base), JD_OK);
	assert_true(hand_call(&hand));
	assert_int_equal(job.status, JD_ETIMEDOUT);
	assert_int_equal(hand.sleeps, 1);
	assert_ptr_equal(hand.sleeper, &hand);
	finish(&hand);
}

static void call_once(void *arg)
{
	hand_call(arg);
}

/* --- Stand-ins -------------------------------------------------------------------------------- */

/* Each waits for the one after it; the last opens the gate of all that are ready to go. */
struct chain {
	struct jd_runnable base;
	struct jd_parker *parker, *next;
	jd_status status;
	struct gate *done;
};

static void chain_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct chain *self = jd_container_of(runnable, struct chain, base);

	(void)worker;
	if (self->parker)
		self->status = jd_parker_park(self->parker, JD_NEVER);
	if (self->next)
		jd_parker_unpark(self->next);
	gate_open(self->done);
}

static void chain_cancel(struct jd_runnable *runnable)
{
	jd_container_of(runnable, struct chain, base)->status = JD_ECANCELED;
}

enum {
	CHAIN = 20
};

/*
 * The pool gives one call and no more: the first waits for the second, and so on, and only the last
 * waits for nobody. Half of them are there when the first sleeps, half come afterwards.
 */
static void test_stand_ins_run_what_the_pool_does_not(void **state)
{
	static const struct jd_runnable_ops ops = {.run = chain_run, .cancel = chain_cancel};
	struct hand_pool hand;
	struct jd_scheduler *scheduler = hand_scheduler(&hand);
	struct chain links[CHAIN];
	struct gate done;

	(void)state;
	gate_init(&done, "links of the chain that are done");
	for (int i = 0; i < CHAIN; i++) {
		links[i] = (struct chain){.base = JD_RUNNABLE_INIT(&ops), .done = &done};
		if (i < CHAIN - 1)
			assert_int_equal(jd_parker_new(scheduler, &links[i].parker), JD_OK);
		if (i > 0)
			links[i].next = links[i - 1].parker;
	}
	struct gate_thread pool;

	for (int i = 0; i < CHAIN / 2; i++)
		assert_int_equal(jd_schedule(scheduler, &links[i].base), JD_OK);
	gate_thread_start(&pool, call_once, &hand);
	for (int i = CHAIN / 2; i < CHAIN; i++)
		assert_int_equal(jd_schedule(scheduler, &links[i].base), JD_OK);
	gate_wait(&done, CHAIN);
	gate_thread_join(&pool);
	assert_int_equal(hand.sleeps, 1); /* the others' threads are none of the pool's */
	/* What the pool owes comes, and finds nothing. */
	assert_int_equal(hand.owed, CHAIN - 1);
	while (hand_call(&hand))
		;
	for (int i = 0; i < CHAIN; i++) {
		assert_int_equal(links[i].status, JD_OK);
		if (links[i].parker)
			jd_parker_release(links[i].parker);
	}
	finish(&hand);
	gate_fini(&done);
}

static void test_no_stand_in_no_sleep(void **state)
{
	struct count_allocator memory;
	const struct jd_pool_options options = {.allocator = &memory.base};
	struct hand_pool hand = {.base = {.ops = &hand_ops}};
	struct jd_scheduler *scheduler;
	struct job job = job_new(&hand, 0);

	(void)state;
	count_allocator_init(&memory);
	assert_int_equal(jd_pool_scheduler_new(&hand.base, &options, &scheduler), JD_OK);
	job.fn = park_briefly;
	/* The parker is had, what stands in is not; then its thread is not. */
	for (unsigned n = 2; n <= 3; n++) {
		assert_int_equal(jd_schedule(scheduler, &job.base), JD_OK);
		count_allocator_fail(&memory, n, UINT64_MAX);
		assert_true(hand_call(&hand));
		count_allocator_fail(&memory, 0, 0);
		assert_int_equal(job.status, JD_ENOMEM);
	}
	assert_int_equal(hand.sleeps, 0);
	/* Nothing of that is left: it can be had now. */
	assert_int_equal(jd_schedule(scheduler, &job.base), JD_OK);
	assert_true(hand_call(&hand));
	assert_int_equal(job.status, JD_ETIMEDOUT);
	assert_int_equal(hand.sleeps, 1);
	finish(&hand);
	assert_int_equal(count_allocator_live(&memory), 0);
}

/* --- A pool with a queue of its own ----------------------------------------------------------- */

static void test_what_the_pool_refuses_is_the_callers(void **state)
{
	struct queue_pool pool = {.base = {.ops = &queue_ops}, .refuse = JD_ENOMEM};
	struct job job = job_new(NULL, 0), second = job;
	struct jd_scheduler *scheduler;

	(void)state;
	assert_int_equal(jd_pool_scheduler_new(&pool.base, NULL, &scheduler), JD_OK);
	assert_int_equal(jd_schedule(scheduler, &job.base), JD_ENOMEM);
	/* A timer that is due needs no memory: it runs where it fires. */
	assert_int_equal(jd_schedule_after(scheduler, &job.timer, &job.base, 0), JD_OK);
	jd_pool_scheduler_alarm(&pool.base);
	assert_int_equal(job.runs, 1);
	pool.refuse = JD_OK;
	assert_int_equal(jd_schedule(scheduler, &job.base), JD_OK);
	assert_int_equal(jd_schedule(scheduler, &second.base), JD_OK);
	assert_true(queue_run(&pool));
	assert_int_equal(second.runs, 1);
	assert_true(queue_run(&pool));
	assert_int_equal(job.runs, 2);
	/* Waits for ever if the one that was refused still counted. */
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	assert_int_equal(pool.stops, 1);
	assert_int_equal(pool.frees, 1);
	assert_int_equal(job.cancels + second.cancels, 0);
}

static void destroy_queue(void *arg)
{
	struct queue_pool *pool = arg;

	pool->refuse = jd_scheduler_destroy(pool->base.scheduler);
}

static void test_what_comes_too_late_is_cancelled(void **state)
{
	struct queue_pool pool = {.base = {.ops = &queue_ops}};
	struct job job = job_new(NULL, 0), probe = job_new(NULL, JD_RUNNABLE_RESUME);
	struct jd_scheduler *scheduler;
	struct gate_thread thread;

	(void)state;
	assert_int_equal(jd_pool_scheduler_new(&pool.base, NULL, &scheduler), JD_OK);
	jd_scheduler_retain(scheduler);
	assert_int_equal(jd_schedule(scheduler, &job.base), JD_OK);
	gate_thread_start(&thread, destroy_queue, &pool);
	while (jd_schedule_at(scheduler, &probe.timer, &probe.base, JD_NEVER) == JD_OK)
		jd_cancel_timer(scheduler, &probe.timer); /* it has not begun */
	assert_int_equal(pool.stops, 0);
	assert_true(queue_run(&pool));
	gate_thread_join(&thread);
	assert_int_equal(pool.refuse, JD_OK);
	assert_int_equal(pool.stops, 1);
	assert_int_equal(job.runs, 0);
	assert_int_equal(job.cancels, 1);
	jd_scheduler_release(scheduler);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void destroy(void *arg)
{
	struct job *job = arg;

	job->status = jd_scheduler_destroy(job->hand->base.scheduler);
}

static void test_shutdown_waits_for_what_the_pool_has(void **state)
{
	struct hand_pool hand;
	struct jd_scheduler *scheduler = hand_scheduler(&hand);
	struct job job = job_new(&hand, 0), probe = job_new(&hand, JD_RUNNABLE_RESUME);
	struct job due = job_new(&hand, 0);
	struct job closer = {.hand = &hand, .status = JD_PENDING};
	struct gate_thread thread;

	(void)state;
	jd_scheduler_retain(scheduler);
	assert_int_equal(jd_schedule(scheduler, &job.base), JD_OK);
	assert_int_equal(jd_schedule_after(scheduler, &due.timer, &due.base, 0), JD_OK);
	gate_thread_start(&thread, destroy, &closer);
	while (jd_schedule_at(scheduler, &probe.timer, &probe.base, JD_NEVER) == JD_OK)
		jd_cancel_timer(scheduler, &probe.timer); /* it has not begun */
	assert_int_equal(job.runs + job.cancels, 0);
	assert_int_equal(hand.stops, 0);
	jd_pool_scheduler_alarm(&hand.base); /* too late to run: it is cancelled */
	assert_int_equal(due.runs, 0);
	assert_int_equal(due.cancels, 1);
	assert_true(hand_call(&hand)); /* just in time, or too late */
	gate_thread_join(&thread);
	assert_int_equal(closer.status, JD_OK);
	assert_int_equal(job.runs + job.cancels, 1);
	assert_int_equal(hand.stops, 1);
	assert_int_equal(hand.frees, 0);
	assert_int_equal(jd_schedule(scheduler, &job.base), JD_ECLOSED);
	jd_scheduler_release(scheduler);
	assert_int_equal(hand.frees, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_no_memory_calls_no_operation),
		cmocka_unit_test(test_each_call_runs_the_oldest),
		cmocka_unit_test(test_one_alarm_for_the_next_deadline),
		cmocka_unit_test(test_an_inline_timer_needs_no_call),
		cmocka_unit_test(test_the_pool_is_told_who_sleeps),
		cmocka_unit_test(test_stand_ins_run_what_the_pool_does_not),
		cmocka_unit_test(test_no_stand_in_no_sleep),
		cmocka_unit_test(test_what_the_pool_refuses_is_the_callers),
		cmocka_unit_test(test_what_comes_too_late_is_cancelled),
		cmocka_unit_test(test_shutdown_waits_for_what_the_pool_has),
	};

	return cmocka_run_group_tests_name("pool_scheduler", tests, NULL, NULL);
}
