/* test_task.c - the life of a task, one step at a time: run, await, cancel, drop, detach. */
/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The sequences and counters are those every implementation of this model agrees on; the names of
 * the tests are the names of the cases. What differs in C:
 *  - drop(runnable) is jd_runnable_cancel, drop(task) is jd_task_drop, detach is jd_task_detach.
 *  - There are no panics. What a panic in a poll does there, a future that ends with an error
 *    does here: it ends the task, the awaiter learns it, nothing unwinds through run.
 *  - A cancel that comes after the end says JD_EALREADY instead of handing out the result, which
 *    stays and can be taken.
 *  - The schedule function is the scheduler's operation, so "its captures are alive" becomes "the
 *    scheduler is alive" while the operation runs.
 *  - Nobody but the handle's owner sees a result, so "awaited again" is JD_ECONSUMED.
 */
#include "tests/testlib/task_case.h"

static void drop_and_detach(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	assert_counts(tc, 0, 0, 0, 0);
	jd_runnable_cancel(tc->runnable);
	assert_counts(tc, 0, 1, 0, 0);
	jd_task_detach(tc->task);
	assert_counts(tc, 0, 1, 1, 0);
	assert_int_equal(SCHED(tc), 0);
}

static void detach_and_drop(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_task_detach(tc->task);
	assert_counts(tc, 0, 0, 0, 0);
	jd_runnable_cancel(tc->runnable);
	assert_counts(tc, 0, 1, 1, 0);
}

static void detach_and_run(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_task_detach(tc->task);
	assert_counts(tc, 0, 0, 0, 0);
	jd_runnable_run(tc->runnable, NULL);
	assert_counts(tc, 1, 1, 1, 1);
}

static void run_and_detach(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	assert_counts(tc, 1, 1, 0, 0);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

static void cancel_and_run(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_task_drop(tc->task);
	assert_counts(tc, 0, 0, 0, 0);
	jd_runnable_run(tc->runnable, NULL);
	assert_counts(tc, 0, 1, 1, 0);
	assert_int_equal(SCHED(tc), 0);
}

static void cancel_and_drop(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_task_drop(tc->task);
	jd_runnable_cancel(tc->runnable);
	assert_counts(tc, 0, 1, 1, 0);
}

static void run_and_cancel(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	assert_counts(tc, 1, 1, 0, 0);
	jd_task_drop(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

static void run_and_join(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(task_case_await(tc), JD_OK);
	assert_counts(tc, 1, 1, 0, 1);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
	assert_int_equal(WAKES(tc), 0);
}

static void try_poll_then_run(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	assert_int_equal(WAKES(tc), 0);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(WAKES(tc), 1);
	assert_int_equal(task_case_await(tc), JD_OK);
	assert_counts(tc, 1, 1, 0, 1);
	jd_task_drop(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

static void schedule_counter(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(jd_schedule(tc->scheduler, tc->runnable), JD_OK);
		assert_int_equal(SCHED(tc), i);
		assert_ptr_equal(hand_pop(tc->hand), tc->runnable);
	}
	assert_int_equal(POLL(tc), 0);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(SCHED(tc), 3);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

static void cancel_it(struct hand_scheduler *hand, struct jd_runnable *runnable)
{
	struct task_case *tc = hand->arg;

	/* After this only the caller's hold keeps the scheduler, which the operation still uses. */
	jd_runnable_cancel(runnable);
	assert_int_equal(DF(tc), 1);
}

/* The operation cancels the runnable, the last thing that holds the scheduler, and goes on. */
static void drop_inside_schedule(void **state)
{
	struct task_case *tc = *state;
	struct hand_scheduler *hand = tc->hand;
	_Atomic(unsigned) freed = 0;

	tc->probe.ready_after = 1;
	tc->probe.keep_waker = true;
	task_case_new(tc);
	jd_task_detach(tc->task);
	jd_runnable_run(tc->runnable, NULL);
	hand->freed = &freed;
	hand->on_schedule = cancel_it;
	hand->arg = tc;
	tc->hand = NULL;
	jd_scheduler_release(&hand->base);
	assert_int_equal(probe_get(&freed), 0);
	jd_waker_wake(&tc->probe.waker);
	assert_int_equal(probe_get(&freed), 1);
	assert_counts(tc, 1, 1, 1, 0);
}

/* The same when what lets it go is the drop of the last waker, or of the handle. */
static void drop_inside_schedule_by_orphan(void **state)
{
	struct task_case *tc = *state;
	struct hand_scheduler *hand = tc->hand;
	_Atomic(unsigned) freed = 0;

	tc->probe.ready_after = 1;
	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	hand->freed = &freed;
	hand->on_schedule = cancel_it;
	hand->arg = tc;
	tc->hand = NULL;
	jd_scheduler_release(&hand->base);
	jd_task_detach(tc->task);
	assert_int_equal(probe_get(&freed), 1);
	assert_counts(tc, 1, 1, 1, 0);
}

static void trampoline(void *context)
{
	jd_runnable_run(context, NULL);
}

/* A runnable is one pointer: it goes through a system's callback without an allocation. */
static void raw(void **state)
{
	struct task_case *tc = *state;
	void (*callback)(void *) = trampoline;

	task_case_new(tc);
	jd_task_detach(tc->task);
	callback(tc->runnable);
	assert_counts(tc, 1, 1, 1, 1);
}

static void drop_and_join(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_runnable_cancel(tc->runnable);
	assert_int_equal(task_case_await(tc), JD_ECANCELED);
	assert_counts(tc, 0, 1, 0, 0);
	assert_int_equal(task_case_await(tc), JD_ECANCELED);
	jd_task_detach(tc->task);
	assert_counts(tc, 0, 1, 1, 0);
}

static void join_twice(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(task_case_await(tc), JD_OK);
	assert_counts(tc, 1, 1, 0, 1);
	assert_int_equal(task_case_await(tc), JD_ECONSUMED);
	assert_int_equal(task_case_await(tc), JD_ECONSUMED);
	assert_counts(tc, 1, 1, 0, 1);
	jd_task_drop(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

/* The awaiter is there first; the cancel of the runnable wakes it. */
static void join_and_drop(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	jd_runnable_cancel(tc->runnable);
	assert_int_equal(WAKES(tc), 1);
	assert_int_equal(task_case_await(tc), JD_ECANCELED);
	assert_counts(tc, 0, 1, 0, 0);
	jd_task_detach(tc->task);
}

static void cancel_after_run_keeps_the_result(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(jd_task_cancel(tc->task), JD_EALREADY);
	assert_counts(tc, 1, 1, 0, 0);
	assert_int_equal(task_case_await(tc), JD_OK);
	assert_counts(tc, 1, 1, 0, 1);
	jd_task_drop(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

/* A cancelled, still queued task: its awaiter learns it only when the future is gone. */
static void cancel_before_run_awaits_the_end(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	assert_int_equal(jd_task_cancel(tc->task), JD_OK);
	assert_true(jd_task_is_finished(tc->task));
	assert_int_equal(jd_task_cancel(tc->task), JD_EALREADY);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	assert_counts(tc, 0, 0, 0, 0);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(WAKES(tc), 1);
	assert_int_equal(task_case_await(tc), JD_ECANCELED);
	assert_counts(tc, 0, 1, 0, 0);
	assert_int_equal(jd_task_cancel(tc->task), JD_EALREADY);
	jd_task_detach(tc->task);
	assert_counts(tc, 0, 1, 1, 0);
}

static void cancel_parked_is_scheduled_once(void **state)
{
	struct task_case *tc = *state;

	tc->probe.ready_after = 1;
	task_case_spawn(tc);
	assert_true(hand_run(tc->hand));
	assert_int_equal(SCHED(tc), 1);
	assert_int_equal(jd_task_cancel(tc->task), JD_OK);
	assert_int_equal(jd_task_cancel(tc->task), JD_EALREADY);
	assert_int_equal(SCHED(tc), 2);
	assert_int_equal(QUEUED(tc), 1);
	assert_counts(tc, 1, 0, 0, 0);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	assert_true(hand_run(tc->hand));
	assert_int_equal(WAKES(tc), 1);
	assert_int_equal(task_case_await(tc), JD_ECANCELED);
	assert_counts(tc, 1, 1, 0, 0);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 0);
}

/* --- Ending with an error (where others panic) ----------------------------------------------- */

static void error_and_join(void **state)
{
	struct task_case *tc = *state;

	tc->probe.end = JD_EFAILED;
	task_case_new(tc);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(WAKES(tc), 1);
	assert_counts(tc, 1, 1, 0, 0);
	assert_int_equal(task_case_await(tc), JD_EFAILED);
	assert_int_equal(task_case_await(tc), JD_ECONSUMED);
	jd_task_drop(tc->task);
	assert_counts(tc, 1, 1, 1, 0);
}

static void error_and_detach(void **state)
{
	struct task_case *tc = *state;

	tc->probe.end = JD_EFAILED;
	task_case_new(tc);
	jd_task_detach(tc->task);
	jd_runnable_run(tc->runnable, NULL);
	assert_counts(tc, 1, 1, 1, 0);
}

static void error_then_drop(void **state)
{
	struct task_case *tc = *state;

	tc->probe.end = JD_EFAILED;
	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	jd_task_drop(tc->task);
	assert_counts(tc, 1, 1, 1, 0);
}

/* A future may itself end with JD_ECANCELED: that is a status like any other. */
static void future_ends_cancelled(void **state)
{
	struct task_case *tc = *state;

	tc->probe.end = JD_ECANCELED;
	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(task_case_await(tc), JD_ECANCELED);
	jd_task_drop(tc->task);
	assert_counts(tc, 1, 1, 1, 0);
}

static void act_drop(struct probe *probe, struct jd_context *context)
{
	(void)context;
	jd_task_drop(probe->arg);
}

static void act_detach(struct probe *probe, struct jd_context *context)
{
	(void)context;
	jd_task_detach(probe->arg);
}

/* From inside its own poll, which then fails: dropped there, detached there. */
static void error_dropped_during_run(void **state)
{
	struct task_case *tc = *state;

	tc->probe.end = JD_EFAILED;
	tc->probe.on_poll = act_drop;
	task_case_new(tc);
	tc->probe.arg = tc->task;
	jd_runnable_run(tc->runnable, NULL);
	assert_counts(tc, 1, 1, 1, 0);
}

static void error_detached_during_run(void **state)
{
	struct task_case *tc = *state;

	tc->probe.end = JD_EFAILED;
	tc->probe.on_poll = act_detach;
	task_case_new(tc);
	tc->probe.arg = tc->task;
	jd_runnable_run(tc->runnable, NULL);
	assert_counts(tc, 1, 1, 1, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, task_case_setup, task_case_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(drop_and_detach),
		CASE(detach_and_drop),
		CASE(detach_and_run),
		CASE(run_and_detach),
		CASE(cancel_and_run),
		CASE(cancel_and_drop),
		CASE(run_and_cancel),
		CASE(run_and_join),
		CASE(try_poll_then_run),
		CASE(schedule_counter),
		CASE(drop_inside_schedule),
		CASE(drop_inside_schedule_by_orphan),
		CASE(raw),
		CASE(drop_and_join),
		CASE(join_twice),
		CASE(join_and_drop),
		CASE(cancel_after_run_keeps_the_result),
		CASE(cancel_before_run_awaits_the_end),
		CASE(cancel_parked_is_scheduled_once),
		CASE(error_and_join),
		CASE(error_and_detach),
		CASE(error_then_drop),
		CASE(future_ends_cancelled),
		CASE(error_dropped_during_run),
		CASE(error_detached_during_run),
	};

	return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}
