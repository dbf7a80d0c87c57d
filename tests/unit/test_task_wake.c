/* test_task_wake.c - wakers of a task, and what comes while it is being polled. */
/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Continues test_task.c: same cases, same counters. "During the run" is forced: the poll runs on a
 * second thread and stands at a gate while this thread wakes, cancels, detaches or joins.
 */
#include "runtime/task_state.h"
#include "tests/conformance/gate.h"
#include "tests/testlib/task_case.h"

#define NEVER_READY 1000u

/* A poll that another thread runs and that waits at a gate in the middle. */
struct slow_run {
	struct jd_runnable *runnable;
	struct gate entered;
	struct gate leave;
	struct gate_thread thread;
};

static void stand_at_gate(struct probe *probe, struct jd_context *context)
{
	struct slow_run *slow = probe->arg;

	(void)context;
	gate_open(&slow->entered);
	gate_wait(&slow->leave, 1);
}

static void slow_main(void *arg)
{
	struct slow_run *slow = arg;

	jd_runnable_run(slow->runnable, NULL);
}

/* Returns when the poll stands at the gate. */
static void slow_begin(struct slow_run *slow, struct task_case *tc, struct jd_runnable *runnable)
{
	slow->runnable = runnable;
	gate_init(&slow->entered, "poll entered");
	gate_init(&slow->leave, "poll may end");
	tc->probe.on_poll = stand_at_gate;
	tc->probe.arg = slow;
	gate_thread_start(&slow->thread, slow_main, slow);
	gate_wait(&slow->entered, 1);
}

/* Lets the poll end; returns when run has. */
static void slow_end(struct slow_run *slow, struct task_case *tc)
{
	gate_open(&slow->leave);
	gate_thread_join(&slow->thread);
	gate_fini(&slow->entered);
	gate_fini(&slow->leave);
	tc->probe.on_poll = NULL;
}

/* A task that was polled once and is queued again: SCHED 1, POLL 1, one waker in the probe. */
static void park_and_wake(struct task_case *tc)
{
	tc->probe.ready_after = NEVER_READY;
	tc->probe.keep_waker = true;
	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	jd_waker_wake_ref(&tc->probe.waker);
	assert_int_equal(SCHED(tc), 1);
	assert_int_equal(QUEUED(tc), 1);
}

/* --- During a run that stays pending --------------------------------------------------------- */

static void wake_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	park_and_wake(tc);
	slow_begin(&slow, tc, hand_pop(tc->hand));
	jd_waker_wake_ref(&tc->probe.waker);
	assert_int_equal(SCHED(tc), 1);
	assert_int_equal(QUEUED(tc), 0);
	assert_string_equal(jd_task_get_state(tc->task), "running");
	slow_end(&slow, tc);
	assert_int_equal(SCHED(tc), 2);
	assert_int_equal(QUEUED(tc), 1);
	assert_counts(tc, 2, 0, 0, 0);
	jd_task_drop(tc->task);
	hand_run(tc->hand);
	assert_counts(tc, 2, 1, 0, 0);
	jd_waker_drop(&tc->probe.waker);
	assert_counts(tc, 2, 1, 1, 0);
	assert_int_equal(SCHED(tc), 2);
}

/* However many wakes come during the poll, the task is scheduled once after it. */
static void many_wakes_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	park_and_wake(tc);
	slow_begin(&slow, tc, hand_pop(tc->hand));
	for (int i = 0; i < 100; i++)
		jd_waker_wake_ref(&tc->probe.waker);
	slow_end(&slow, tc);
	assert_int_equal(SCHED(tc), 2);
	assert_int_equal(QUEUED(tc), 1);
	jd_task_drop(tc->task);
	jd_waker_drop(&tc->probe.waker);
	assert_int_equal(hand_run_all(tc->hand), 1);
	assert_counts(tc, 2, 1, 1, 0);
}

static void cancel_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	park_and_wake(tc);
	slow_begin(&slow, tc, hand_pop(tc->hand));
	jd_task_drop(tc->task);
	assert_counts(tc, 2, 0, 0, 0);
	slow_end(&slow, tc);
	assert_counts(tc, 2, 1, 0, 0);
	assert_int_equal(SCHED(tc), 1);
	jd_waker_drop(&tc->probe.waker);
	assert_counts(tc, 2, 1, 1, 0);
	assert_int_equal(SCHED(tc), 1);
}

static void wake_and_cancel_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	park_and_wake(tc);
	slow_begin(&slow, tc, hand_pop(tc->hand));
	jd_waker_wake(&tc->probe.waker);
	assert_int_equal(SCHED(tc), 1);
	jd_task_drop(tc->task);
	assert_counts(tc, 2, 0, 0, 0);
	slow_end(&slow, tc);
	assert_counts(tc, 2, 1, 1, 0);
	assert_int_equal(SCHED(tc), 1);
}

static void cancel_and_wake_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	park_and_wake(tc);
	slow_begin(&slow, tc, hand_pop(tc->hand));
	jd_task_drop(tc->task);
	assert_int_equal(SCHED(tc), 1);
	jd_waker_wake(&tc->probe.waker);
	assert_counts(tc, 2, 0, 0, 0);
	slow_end(&slow, tc);
	assert_counts(tc, 2, 1, 1, 0);
	assert_int_equal(SCHED(tc), 1);
}

/* The awaiter of a task cancelled during its run is told when the future is gone, not before. */
static void await_cancelled_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	park_and_wake(tc);
	slow_begin(&slow, tc, hand_pop(tc->hand));
	assert_int_equal(jd_task_cancel(tc->task), JD_OK);
	assert_int_equal(jd_task_cancel(tc->task), JD_EALREADY);
	assert_string_equal(jd_task_get_state(tc->task), "closing");
	assert_int_equal(task_case_await(tc), JD_PENDING);
	assert_int_equal(WAKES(tc), 0);
	slow_end(&slow, tc);
	assert_int_equal(WAKES(tc), 1);
	assert_int_equal(task_case_await(tc), JD_ECANCELED);
	jd_task_detach(tc->task);
	jd_waker_drop(&tc->probe.waker);
	assert_counts(tc, 2, 1, 1, 0);
}

/* --- During a run that ends ------------------------------------------------------------------ */

static void drop_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	task_case_new(tc);
	slow_begin(&slow, tc, tc->runnable);
	jd_task_drop(tc->task);
	assert_counts(tc, 1, 0, 0, 0);
	slow_end(&slow, tc);
	assert_counts(tc, 1, 1, 1, 1);
}

static void detach_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	task_case_new(tc);
	slow_begin(&slow, tc, tc->runnable);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 0, 0, 0);
	slow_end(&slow, tc);
	assert_counts(tc, 1, 1, 1, 1);
}

static void join_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	task_case_new(tc);
	slow_begin(&slow, tc, tc->runnable);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	assert_counts(tc, 1, 0, 0, 0);
	slow_end(&slow, tc);
	assert_int_equal(WAKES(tc), 1);
	assert_int_equal(task_case_await(tc), JD_OK);
	assert_counts(tc, 1, 1, 0, 1);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

/* Cancelled during the poll that finishes it: JD_ECANCELED, and the result is destroyed. */
static void cancel_during_last_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	task_case_new(tc);
	slow_begin(&slow, tc, tc->runnable);
	assert_int_equal(jd_task_cancel(tc->task), JD_OK);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	slow_end(&slow, tc);
	assert_int_equal(WAKES(tc), 1);
	assert_counts(tc, 1, 1, 0, 1);
	assert_int_equal(task_case_await(tc), JD_ECANCELED);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

static void wake_during_last_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	tc->probe.ready_after = 1;
	tc->probe.keep_waker = true;
	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	jd_waker_wake_ref(&tc->probe.waker);
	slow_begin(&slow, tc, hand_pop(tc->hand));
	jd_waker_wake(&tc->probe.waker);
	slow_end(&slow, tc);
	assert_int_equal(SCHED(tc), 1);
	assert_int_equal(QUEUED(tc), 0);
	assert_counts(tc, 2, 1, 0, 0);
	jd_task_drop(tc->task);
	assert_counts(tc, 2, 1, 1, 1);
}

static void error_joined_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	tc->probe.end = JD_EFAILED;
	task_case_new(tc);
	slow_begin(&slow, tc, tc->runnable);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	slow_end(&slow, tc);
	assert_int_equal(WAKES(tc), 1);
	assert_int_equal(task_case_await(tc), JD_EFAILED);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 0);
}

static void error_cancelled_during_run(void **state)
{
	struct task_case *tc = *state;
	struct slow_run slow;

	tc->probe.end = JD_EFAILED;
	task_case_new(tc);
	slow_begin(&slow, tc, tc->runnable);
	assert_int_equal(jd_task_cancel(tc->task), JD_OK);
	slow_end(&slow, tc);
	assert_int_equal(task_case_await(tc), JD_ECANCELED);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 0);
}

static void join_main(void *arg)
{
	jd_runnable_cancel(arg);
}

/* A blocked joiner is woken by a cancel of the runnable on another thread. */
static void join_and_cancel(void **state)
{
	struct task_case *tc = *state;
	struct gate_thread thread;
	struct probe_result result = {0};

	task_case_new(tc);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	gate_thread_start(&thread, join_main, tc->runnable);
	assert_int_equal(jd_task_join(tc->task, &result), JD_ECANCELED);
	gate_thread_join(&thread);
	assert_counts(tc, 0, 1, 1, 0);
}

static void run_it(struct probe_waker *waker)
{
	struct task_case *tc = waker->arg;

	waker->on_clone = NULL;
	jd_runnable_run(tc->runnable, NULL);
}

static void cancel_it(struct probe_waker *waker)
{
	struct task_case *tc = waker->arg;

	waker->on_clone = NULL;
	jd_runnable_cancel(tc->runnable);
}

/* The task ends at the very moment at which the awaiter is stored: the awaiter must learn it. */
static void end_during_registration(void **state)
{
	struct task_case *tc = *state;

	tc->awaiter.on_clone = run_it;
	tc->awaiter.arg = tc;
	task_case_new(tc);
	jd_status status = task_case_await(tc);

	assert_true(status == JD_OK || (status == JD_PENDING && WAKES(tc) == 1));
	if (status == JD_PENDING)
		assert_int_equal(task_case_await(tc), JD_OK);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

static void cancel_during_registration(void **state)
{
	struct task_case *tc = *state;

	tc->awaiter.on_clone = cancel_it;
	tc->awaiter.arg = tc;
	task_case_new(tc);
	jd_status status = task_case_await(tc);

	assert_true(status == JD_ECANCELED || (status == JD_PENDING && WAKES(tc) == 1));
	assert_int_equal(task_case_await(tc), JD_ECANCELED);
	jd_task_detach(tc->task);
	assert_counts(tc, 0, 1, 1, 0);
}

/* Whoever comes second leaves the awaiter's slot to the first, both ways round. */
static void second_comer_leaves_the_slot(void **state)
{
	jd_task_state word;

	(void)state;
	atomic_init(&word, JD_TASK_STATE_NEW | JD_TASK_AWAITER);
	assert_true(jd_task_state_notify_begin(&word));
	assert_false(jd_task_state_register_begin(&word));
	assert_false(jd_task_state_notify_begin(&word));
	jd_task_state_notify_end(&word);
	assert_int_equal(jd_task_state_load(&word), JD_TASK_STATE_NEW);
	assert_true(jd_task_state_register_begin(&word));
	assert_false(jd_task_state_notify_begin(&word));
	assert_false(jd_task_state_register_end(&word));
	jd_task_state_register_abort(&word);
	assert_int_equal(jd_task_state_load(&word), JD_TASK_STATE_NEW);
	assert_true(jd_task_state_register_begin(&word));
	assert_true(jd_task_state_register_end(&word));
	assert_int_equal(jd_task_state_load(&word), JD_TASK_STATE_NEW | JD_TASK_AWAITER);
}

/* --- Wakers ---------------------------------------------------------------------------------- */

static void waker_clone_chain(void **state)
{
	struct task_case *tc = *state;

	tc->probe.ready_after = 1;
	tc->probe.keep_waker = true;
	task_case_new(tc);
	jd_task_detach(tc->task);
	jd_runnable_run(tc->runnable, NULL);
	struct jd_waker w2 = jd_waker_clone(&tc->probe.waker);
	struct jd_waker w3 = jd_waker_clone(&w2);
	struct jd_waker w4 = jd_waker_clone(&w3);

	assert_true(jd_waker_same(&tc->probe.waker, &w4));
	jd_waker_wake(&w4);
	assert_null(w4.ops);
	assert_int_equal(SCHED(tc), 1);
	jd_waker_wake_ref(&w3);
	assert_int_equal(SCHED(tc), 1);
	hand_run(tc->hand);
	assert_counts(tc, 2, 1, 0, 1);
	jd_waker_wake(&w3);
	jd_waker_wake_ref(&w2);
	jd_waker_drop(&tc->probe.waker);
	assert_int_equal(SCHED(tc), 1);
	assert_counts(tc, 2, 1, 0, 1);
	jd_waker_drop(&w2);
	assert_counts(tc, 2, 1, 1, 1);
}

static void wake_dropped(void **state)
{
	struct task_case *tc = *state;

	park_and_wake(tc);
	jd_task_detach(tc->task);
	jd_runnable_cancel(hand_pop(tc->hand));
	assert_counts(tc, 1, 1, 0, 0);
	jd_waker_wake(&tc->probe.waker);
	assert_int_equal(SCHED(tc), 1);
	assert_int_equal(QUEUED(tc), 0);
	assert_counts(tc, 1, 1, 1, 0);
}

static void wake_completed(void **state)
{
	struct task_case *tc = *state;

	tc->probe.ready_after = 1;
	tc->probe.keep_waker = true;
	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	jd_waker_wake_ref(&tc->probe.waker);
	hand_run(tc->hand);
	jd_waker_wake_ref(&tc->probe.waker);
	assert_int_equal(SCHED(tc), 1);
	/* The waker keeps the memory, not the result: the handle takes that as ever. */
	assert_int_equal(task_case_await(tc), JD_OK);
	jd_task_detach(tc->task);
	assert_counts(tc, 2, 1, 0, 1);
	jd_waker_wake(&tc->probe.waker);
	assert_counts(tc, 2, 1, 1, 1);
}

/* Parked and detached: when the last waker goes, its scheduler is asked to drop the future. */
static void drop_last_waker(void **state)
{
	struct task_case *tc = *state;

	tc->probe.ready_after = NEVER_READY;
	tc->probe.keep_waker = true;
	task_case_new(tc);
	jd_task_detach(tc->task);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(SCHED(tc), 0);
	struct jd_waker clone = jd_waker_clone(&tc->probe.waker);

	jd_waker_drop(&tc->probe.waker);
	assert_int_equal(SCHED(tc), 0);
	jd_waker_drop(&clone);
	assert_int_equal(SCHED(tc), 1);
	assert_int_equal(QUEUED(tc), 1);
	assert_counts(tc, 1, 0, 0, 0);
	hand_run(tc->hand);
	assert_counts(tc, 1, 1, 1, 0);
	assert_int_equal(SCHED(tc), 1);
}

/* The handle keeps a parked task alive that nobody can wake; cancelling it schedules it. */
static void cancel_last_task(void **state)
{
	struct task_case *tc = *state;

	tc->probe.ready_after = NEVER_READY;
	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	assert_counts(tc, 1, 0, 0, 0);
	assert_int_equal(SCHED(tc), 0);
	jd_task_drop(tc->task);
	assert_int_equal(SCHED(tc), 1);
	assert_int_equal(QUEUED(tc), 1);
	assert_counts(tc, 1, 0, 0, 0);
	hand_run(tc->hand);
	assert_counts(tc, 1, 1, 1, 0);
	assert_int_equal(SCHED(tc), 1);
}

static void drop_last_task(void **state)
{
	struct task_case *tc = *state;

	tc->probe.ready_after = NEVER_READY;
	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	jd_task_detach(tc->task);
	assert_int_equal(SCHED(tc), 1);
	assert_int_equal(QUEUED(tc), 1);
	hand_run(tc->hand);
	assert_counts(tc, 1, 1, 1, 0);
	assert_int_equal(SCHED(tc), 1);
}

/* Detached, and a poll that is pending without having kept a waker: nobody can ever wake it. */
static void pending_without_waker(void **state)
{
	struct task_case *tc = *state;

	tc->probe.ready_after = NEVER_READY;
	task_case_new(tc);
	jd_task_detach(tc->task);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(SCHED(tc), 1);
	assert_counts(tc, 1, 0, 0, 0);
	hand_run(tc->hand);
	assert_counts(tc, 1, 1, 1, 0);
	assert_int_equal(SCHED(tc), 1);
}

static void act_wake(struct probe *probe, struct jd_context *context)
{
	(void)probe;
	jd_waker_wake_ref(context->waker);
}

static void wake_by_itself(void **state)
{
	struct task_case *tc = *state;

	tc->probe.ready_after = 3;
	tc->probe.on_poll = act_wake;
	task_case_new(tc);
	jd_task_detach(tc->task);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(SCHED(tc), 1);
	assert_counts(tc, 1, 0, 0, 0);
	assert_int_equal(hand_run_all(tc->hand), 3);
	assert_int_equal(SCHED(tc), 3);
	assert_counts(tc, 4, 1, 1, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, task_case_setup, task_case_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(wake_during_run),
		CASE(many_wakes_during_run),
		CASE(cancel_during_run),
		CASE(wake_and_cancel_during_run),
		CASE(cancel_and_wake_during_run),
		CASE(await_cancelled_during_run),
		CASE(drop_during_run),
		CASE(detach_during_run),
		CASE(join_during_run),
		CASE(cancel_during_last_run),
		CASE(wake_during_last_run),
		CASE(error_joined_during_run),
		CASE(error_cancelled_during_run),
		CASE(join_and_cancel),
		CASE(end_during_registration),
		CASE(cancel_during_registration),
		CASE(second_comer_leaves_the_slot),
		CASE(waker_clone_chain),
		CASE(wake_dropped),
		CASE(wake_completed),
		CASE(drop_last_waker),
		CASE(cancel_last_task),
		CASE(drop_last_task),
		CASE(pending_without_waker),
		CASE(wake_by_itself),
	};

	return cmocka_run_group_tests_name("task_wake", tests, NULL, NULL);
}
