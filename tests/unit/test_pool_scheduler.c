/* test_pool_scheduler.c - a pool that refuses, and one whose alarm and threads are the test's. */
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

/* Keeps what is submitted until the test runs it, and remembers what it was asked for. */
struct hand_pool {
	struct jd_pool base;
	struct jd_runnable *queued; /* newest first */
	unsigned submitted;
	uint64_t alarm_ns; /* the latest one */
	unsigned alarms;   /* how often it was set */
	unsigned sleeps, wakes, stops, frees;
	jd_status refuse;       /* what submit returns, if not JD_OK */
	jd_status refuse_sleep; /* what sleeps returns */
};

static struct hand_pool *hand_of(struct jd_pool *base)
{
	return jd_container_of(base, struct hand_pool, base);
}

static jd_status hand_submit(struct jd_pool *base, struct jd_runnable *runnable)
{
	struct hand_pool *hand = hand_of(base);

	if (hand->refuse != JD_OK)
		return hand->refuse;
	runnable->next = hand->queued;
	hand->queued = runnable;
	hand->submitted++;
	return JD_OK;
}

static void hand_set_alarm(struct jd_pool *base, uint64_t deadline_ns)
{
	hand_of(base)->alarm_ns = deadline_ns;
	hand_of(base)->alarms++;
}

static jd_status hand_sleeps(struct jd_pool *base)
{
	hand_of(base)->sleeps++;
	return hand_of(base)->refuse_sleep;
}

static void hand_woke(struct jd_pool *base)
{
	hand_of(base)->wakes++;
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
	.submit = hand_submit,
	.set_alarm = hand_set_alarm,
	.sleeps = hand_sleeps,
	.woke = hand_woke,
	.stop = hand_stop,
	.free = hand_free,
};

/* Runs the newest; false when there is none. */
static bool hand_run(struct hand_pool *hand)
{
	struct jd_runnable *runnable = hand->queued;

	if (runnable) {
		hand->queued = runnable->next;
		jd_pool_scheduler_run(&hand->base, runnable);
	}
	return runnable;
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
	assert_int_equal(hand->sleeps - (hand->refuse_sleep != JD_OK), hand->wakes);
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
	ops.submit = NULL;
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

static void test_what_the_pool_refuses_is_the_callers(void **state)
{
	struct hand_pool hand;
	struct jd_scheduler *scheduler = hand_scheduler(&hand);
	struct job job = job_new(&hand, 0);

	(void)state;
	hand.refuse = JD_ENOMEM;
	assert_int_equal(jd_schedule(scheduler, &job.base), JD_ENOMEM);
	hand.refuse = JD_OK;
	assert_int_equal(jd_schedule(scheduler, &job.base), JD_OK);
	assert_true(hand_run(&hand));
	assert_int_equal(job.runs, 1);
	/* Waits for ever if the one that was refused still counted. */
	finish(&hand);
	assert_int_equal(job.runs + job.cancels, 1);
}

static void test_one_alarm_for_the_next_deadline(void **state)
{
	struct hand_pool hand;
	struct jd_scheduler *scheduler = hand_scheduler(&hand);
	struct job late = job_new(&hand, 0), soon = late, later = late;
	uint64_t now = jd_now(scheduler);

	(void)state;
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
	assert_true(hand_run(&hand));
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

static void test_a_timer_needs_no_memory_to_fire(void **state)
{
	struct hand_pool hand;
	struct jd_scheduler *scheduler = hand_scheduler(&hand);
	struct job queued = job_new(&hand, 0), in_place = job_new(&hand, JD_RUNNABLE_INLINE);

	(void)state;
	queued.fn = in_place.fn = destroy_inside;
	assert_int_equal(jd_schedule_after(scheduler, &queued.timer, &queued.base, 0), JD_OK);
	assert_int_equal(jd_schedule_after(scheduler, &in_place.timer, &in_place.base, 0), JD_OK);
	hand.refuse = JD_ENOMEM;
	jd_pool_scheduler_alarm(&hand.base);
	hand.refuse = JD_OK;
	assert_int_equal(queued.runs, 1);
	assert_int_equal(in_place.runs, 1);
	/* The alarm is one of the scheduler's own, too. */
	assert_int_equal(queued.status, JD_EDEADLK);
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
	assert_true(hand_run(&hand));
	assert_int_equal(job.status, JD_ETIMEDOUT);
	assert_int_equal(hand.sleeps, 1);
	assert_int_equal(hand.wakes, 1);
	hand.refuse_sleep = JD_EAGAIN;
	assert_int_equal(jd_schedule(scheduler, &job.base), JD_OK);
	assert_true(hand_run(&hand));
	assert_int_equal(job.status, JD_EAGAIN);
	assert_int_equal(hand.wakes, 1);
	finish(&hand);
}

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
	while (jd_schedule(scheduler, &probe.base) == JD_OK)
		assert_true(hand_run(&hand)); /* it has not begun */
	assert_int_equal(job.runs + job.cancels, 0);
	assert_int_equal(hand.stops, 0);
	jd_pool_scheduler_alarm(&hand.base); /* too late to run: it is cancelled */
	assert_int_equal(due.runs, 0);
	assert_int_equal(due.cancels, 1);
	assert_true(hand_run(&hand)); /* as is this one, which is put aside */
	gate_thread_join(&thread);
	assert_int_equal(closer.status, JD_OK);
	assert_int_equal(job.runs, 0);
	assert_int_equal(job.cancels, 1);
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
		cmocka_unit_test(test_what_the_pool_refuses_is_the_callers),
		cmocka_unit_test(test_one_alarm_for_the_next_deadline),
		cmocka_unit_test(test_a_timer_needs_no_memory_to_fire),
		cmocka_unit_test(test_the_pool_is_told_who_sleeps),
		cmocka_unit_test(test_shutdown_waits_for_what_the_pool_has),
	};

	return cmocka_run_group_tests_name("pool_scheduler", tests, NULL, NULL);
}
