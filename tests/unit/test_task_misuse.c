/* test_task_misuse.c - tasks without memory, without a scheduler, and in wrong hands. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/death.h"
#include "tests/testlib/task_case.h"

#define NEVER_READY 1000u

static const struct jd_task_options background = {.kind = JD_TASK_BACKGROUND};

/* --- Bad arguments --------------------------------------------------------------------------- */

static void new_refuses_bad_arguments(void **state)
{
	struct task_case *tc = *state;
	struct probe_future f;
	struct jd_runnable *r = NULL;
	struct jd_task *t = NULL;
	struct jd_task_options foreground = {.kind = JD_TASK_FOREGROUND};
	struct jd_task_options unknown = {.kind = (enum jd_task_kind)77};
	struct jd_future_ops no_poll, small;
	uint64_t before = tc->memory.allocs;

	probe_future_init(&f, &tc->probe);
	no_poll = small = *f.base.ops;
	no_poll.poll = NULL;
	small.size = sizeof(struct jd_future) - 1;
	assert_int_equal(jd_task_new(NULL, &f.base, &background, &r, &t), JD_EINVAL);
	assert_int_equal(jd_task_new(tc->scheduler, NULL, &background, &r, &t), JD_EINVAL);
	assert_int_equal(jd_task_new(tc->scheduler, &f.base, NULL, &r, &t), JD_EINVAL);
	assert_int_equal(jd_task_new(tc->scheduler, &f.base, &background, NULL, &t), JD_EINVAL);
	assert_int_equal(jd_task_new(tc->scheduler, &f.base, &background, &r, NULL), JD_EINVAL);
	assert_int_equal(jd_task_new(tc->scheduler, &f.base, &foreground, &r, &t), JD_EINVAL);
	assert_int_equal(jd_task_new(tc->scheduler, &f.base, &unknown, &r, &t), JD_EINVAL);
	f.base.ops = &no_poll;
	assert_int_equal(jd_task_new(tc->scheduler, &f.base, &background, &r, &t), JD_EINVAL);
	f.base.ops = &small;
	assert_int_equal(jd_task_new(tc->scheduler, &f.base, &background, &r, &t), JD_EINVAL);
	f.base.ops = NULL;
	assert_int_equal(jd_task_new(tc->scheduler, &f.base, &background, &r, &t), JD_EINVAL);
	assert_null(r);
	assert_null(t);
	assert_int_equal(tc->memory.allocs, before);
	assert_counts(tc, 0, 0, 0, 0);
}

static void absurd_sizes_are_no_memory(void **state)
{
	struct task_case *tc = *state;
	struct probe_future f;
	struct jd_runnable *r;
	struct jd_task *t;
	struct jd_future_ops huge;

	probe_future_init(&f, &tc->probe);
	huge = *f.base.ops;
	f.base.ops = &huge;
	huge.size = SIZE_MAX;
	assert_int_equal(jd_task_new(tc->scheduler, &f.base, &background, &r, &t), JD_ENOMEM);
	huge.size = sizeof(f);
	huge.result_size = SIZE_MAX - 8;
	assert_int_equal(jd_task_new(tc->scheduler, &f.base, &background, &r, &t), JD_ENOMEM);
	assert_counts(tc, 0, 0, 0, 0);
}

static void handle_calls_refuse_null(void **state)
{
	struct task_case *tc = *state;
	struct probe_future f;
	int result;

	probe_future_init(&f, &tc->probe);
	assert_int_equal(jd_task_poll(NULL, &tc->context, NULL), JD_EINVAL);
	assert_int_equal(jd_task_cancel(NULL), JD_EINVAL);
	assert_int_equal(jd_task_join(NULL, &result), JD_EINVAL);
	assert_int_equal(jd_block(NULL, &f.base, NULL), JD_EINVAL);
	assert_int_equal(jd_block(tc->scheduler, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_block_with_timeout(NULL, &f.base, 0, NULL), JD_EINVAL);
	assert_int_equal(jd_block_with_timeout(tc->scheduler, NULL, 5, NULL), JD_EINVAL);
	assert_int_equal(jd_spawn_fn(tc->scheduler, NULL, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_spawn_blocking(tc->scheduler, NULL, NULL, NULL), JD_EINVAL);
	task_case_spawn(tc);
	assert_int_equal(jd_task_poll(tc->task, NULL, &result), JD_EINVAL);
	jd_task_drop(tc->task);
	jd_task_detach(NULL);
	jd_task_drop(NULL);
	jd_future_drop(NULL);
	assert_int_equal(hand_run_all(tc->hand), 1);
}

/* --- No memory ------------------------------------------------------------------------------- */

/* Whatever allocation fails, the caller keeps the future and nothing is left behind. */
static void spawn_without_memory(void **state)
{
	struct task_case *tc = *state;
	struct probe_future f;
	unsigned failures = 0;

	probe_future_init(&f, &tc->probe);
	for (uint64_t nth = 1;; nth++) {
		uint64_t live = count_allocator_live(&tc->memory);

		count_allocator_fail(&tc->memory, nth, nth);
		jd_status status = jd_task_spawn(tc->scheduler, &f.base, &background, &tc->task);

		count_allocator_fail(&tc->memory, 0, 0);
		if (status == JD_OK)
			break;
		assert_int_equal(status, JD_ENOMEM);
		assert_int_equal(count_allocator_live(&tc->memory), live);
		assert_int_equal(SCHED(tc), 0);
		assert_counts(tc, 0, 0, 0, 0);
		assert_int_equal(jd_scheduler_task_count(tc->scheduler), 0);
		failures++;
	}
	assert_int_equal(failures, 1);
	hand_run(tc->hand);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

static void block_without_memory(void **state)
{
	struct task_case *tc = *state;
	struct probe_result result = {0};
	struct probe_future f;

	probe_future_init(&f, &tc->probe);
	count_allocator_fail(&tc->memory, 1, UINT64_MAX);
	assert_int_equal(jd_block(tc->scheduler, &f.base, &result), JD_ENOMEM);
	assert_counts(tc, 0, 0, 0, 0);
	/* Polling once needs no memory. */
	assert_int_equal(jd_block_with_timeout(tc->scheduler, &f.base, 0, &result), JD_OK);
	count_allocator_fail(&tc->memory, 0, 0);
	assert_true(probe_result_drop(&result));
	jd_future_drop(&f.base);
	assert_counts(tc, 1, 1, 0, 1);
}

static void join_without_memory_keeps_the_handle(void **state)
{
	struct task_case *tc = *state;
	struct probe_result result = {0};

	task_case_spawn(tc);
	count_allocator_fail(&tc->memory, 1, UINT64_MAX);
	assert_int_equal(jd_task_join(tc->task, &result), JD_ENOMEM);
	count_allocator_fail(&tc->memory, 0, 0);
	assert_counts(tc, 0, 0, 0, 0);
	assert_int_equal(jd_task_join(tc->task, &result), JD_OK);
	assert_true(probe_result_drop(&result));
	assert_counts(tc, 1, 1, 1, 1);
}

static void scheduler_without_memory(void **state)
{
	struct task_case *tc = *state;
	struct count_allocator memory;

	count_allocator_init(&memory);
	for (uint64_t nth = 1;; nth++) {
		struct jd_scheduler base;

		count_allocator_fail(&memory, nth, nth);
		jd_status status = jd_scheduler_init(&base, tc->scheduler->ops, &memory.base);

		if (status == JD_OK) {
			assert_true(nth > 1);
			jd_scheduler_fini(&base);
			break;
		}
		assert_int_equal(status, JD_ENOMEM);
		assert_int_equal(count_allocator_live(&memory), 0);
	}
	assert_int_equal(count_allocator_live(&memory), 0);
	assert_int_equal(jd_scheduler_init(NULL, tc->scheduler->ops, NULL), JD_EINVAL);
	assert_int_equal(jd_scheduler_init(tc->scheduler, NULL, NULL), JD_EINVAL);
}

/* --- A scheduler that refuses ---------------------------------------------------------------- */

static void refused_spawn_drops_nothing(void **state)
{
	struct task_case *tc = *state;
	const jd_status codes[] = {JD_ECLOSED, JD_ENOMEM, JD_ENOTSUP};
	struct probe_future f;

	probe_future_init(&f, &tc->probe);
	for (size_t i = 0; i < 3; i++) {
		tc->hand->refuse = codes[i];
		tc->task = NULL;
		assert_int_equal(jd_task_spawn(tc->scheduler, &f.base, &background, &tc->task),
				 codes[i]);
		assert_null(tc->task);
		assert_counts(tc, 0, 0, i + 1, 0);
		assert_int_equal(jd_scheduler_task_count(tc->scheduler), 0);
	}
	tc->hand->refuse = JD_OK;
	jd_future_drop(&f.base);
	assert_counts(tc, 0, 1, 3, 0);
}

/* After close what is there goes on; new work is refused. */
static void closed_still_resumes(void **state)
{
	struct task_case *tc = *state;
	struct probe other = {0};
	struct probe_future f;

	tc->probe.ready_after = 1;
	tc->probe.keep_waker = true;
	task_case_spawn(tc);
	hand_run(tc->hand);
	assert_int_equal(jd_scheduler_close(tc->scheduler), JD_OK);
	assert_int_equal(jd_scheduler_close(tc->scheduler), JD_EALREADY);
	probe_future_init(&f, &other);
	assert_int_equal(jd_task_spawn(tc->scheduler, &f.base, &background, NULL), JD_ECLOSED);
	assert_int_equal(probe_get(&other.drops), 0);
	jd_waker_wake(&tc->probe.waker);
	assert_int_equal(hand_run_all(tc->hand), 1);
	assert_int_equal(task_case_await(tc), JD_OK);
	/* One block was that of the refused task. */
	assert_counts(tc, 2, 1, 1, 1);
	jd_task_detach(tc->task);
	assert_counts(tc, 2, 1, 2, 1);
}

/* --- Shutdown -------------------------------------------------------------------------------- */

/* Queued, waiting (with and without wakers) and finished tasks, all with handles. */
static void shutdown_cancels_what_is_left(void **state)
{
	struct task_case *tc = *state;
	struct probe probes[4] = {{0}};
	struct jd_task *tasks[4];
	struct probe_future f;
	struct probe_result result = {0};

	for (int i = 3; i >= 0; i--) {
		probes[i].ready_after = i == 3 ? 0 : NEVER_READY;
		probes[i].keep_waker = i == 1;
		probe_future_init(&f, &probes[i]);
		assert_int_equal(jd_task_spawn(tc->scheduler, &f.base, &background, &tasks[i]),
				 JD_OK);
		if (i > 0)
			hand_run(tc->hand);
		assert_int_equal(jd_task_poll(tasks[i], &tc->context, NULL) == JD_PENDING, i != 3);
	}
	assert_int_equal(WAKES(tc), 0);
	assert_int_equal(DS(tc), 0);
	hand_destroy(tc->hand);
	tc->hand = NULL;
	assert_int_equal(WAKES(tc), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(probe_get(&probes[i].drops), 1);
		assert_int_equal(jd_task_poll(tasks[i], &tc->context, &result), JD_ECANCELED);
		jd_task_drop(tasks[i]);
	}
	/* A waker may outlive all: waking does nothing, dropping frees. */
	assert_int_equal(DS(tc), 2);
	assert_true(count_allocator_live(&tc->memory) > 0);
	jd_waker_wake_ref(&probes[1].waker);
	jd_waker_drop(&probes[1].waker);
	assert_int_equal(DS(tc), 3);
	/* The last handle frees the scheduler's memory with its own. */
	assert_int_equal(jd_task_poll(tasks[3], &tc->context, NULL), JD_ECONSUMED);
	jd_task_drop(tasks[3]);
	assert_int_equal(count_allocator_live(&tc->memory), 0);
}

static void result_outlives_the_scheduler(void **state)
{
	struct task_case *tc = *state;

	task_case_spawn(tc);
	hand_run(tc->hand);
	hand_destroy(tc->hand);
	tc->hand = NULL;
	assert_int_equal(task_case_await(tc), JD_OK);
	assert_counts(tc, 1, 1, 0, 1);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

static void drop_other(struct probe *probe)
{
	jd_task_drop(probe->arg);
}

/* A future that is dropped by the shutdown drops the handle of a waiting task: a cycle of one. */
static void shutdown_drops_handles_within_futures(void **state)
{
	struct task_case *tc = *state;
	struct probe inner = {.ready_after = NEVER_READY};
	struct probe_future f;
	struct jd_task *task;

	tc->probe.ready_after = NEVER_READY;
	tc->probe.keep_waker = true;
	tc->probe.on_drop = drop_other;
	task_case_spawn(tc);
	probe_future_init(&f, &inner);
	assert_int_equal(jd_task_spawn(tc->scheduler, &f.base, &background, &task), JD_OK);
	tc->probe.arg = task;
	assert_int_equal(hand_run_all(tc->hand), 2);
	hand_destroy(tc->hand);
	tc->hand = NULL;
	assert_int_equal(DF(tc), 1);
	assert_int_equal(probe_get(&inner.drops), 1);
	jd_task_detach(tc->task);
	jd_waker_drop(&tc->probe.waker);
	assert_int_equal(count_allocator_live(&tc->memory), 0);
}

/* --- Blocking -------------------------------------------------------------------------------- */

static void join_runs_and_yields(void **state)
{
	struct task_case *tc = *state;
	struct probe_result result = {0};

	task_case_spawn(tc);
	assert_int_equal(jd_task_join(tc->task, &result), JD_OK);
	assert_true(probe_result_drop(&result));
	assert_counts(tc, 1, 1, 1, 1);
}

static void join_that_cannot_end_keeps_the_handle(void **state)
{
	struct task_case *tc = *state;
	struct probe_result result = {0};

	tc->hand->no_sleep = true;
	tc->probe.ready_after = 1;
	tc->probe.keep_waker = true;
	task_case_spawn(tc);
	assert_int_equal(jd_task_join(tc->task, &result), JD_EDEADLK);
	assert_counts(tc, 1, 0, 0, 0);
	jd_waker_wake(&tc->probe.waker);
	assert_int_equal(jd_task_join(tc->task, &result), JD_OK);
	assert_true(probe_result_drop(&result));
	assert_counts(tc, 2, 1, 1, 1);
}

/* A status of the wait must not be mistaken for one of the task. */
static void join_of_a_task_that_ends_like_a_wait(void **state)
{
	struct task_case *tc = *state;

	tc->probe.end = JD_EDEADLK;
	task_case_spawn(tc);
	assert_int_equal(jd_task_join(tc->task, NULL), JD_EDEADLK);
	assert_counts(tc, 1, 1, 1, 0);
}

static void timed_out_future_goes_on(void **state)
{
	struct task_case *tc = *state;
	struct probe_result result = {0};
	struct probe_future f;

	tc->probe.ready_after = 3;
	probe_future_init(&f, &tc->probe);
	assert_int_equal(jd_block_with_timeout(tc->scheduler, &f.base, 0, &result), JD_ETIMEDOUT);
	assert_counts(tc, 1, 0, 0, 0);
	assert_int_equal(jd_block_with_timeout(tc->scheduler, &f.base, JD_MS, &result),
			 JD_ETIMEDOUT);
	/* Once at the start, once more at the deadline. */
	assert_counts(tc, 3, 0, 0, 0);
	assert_int_equal(jd_block_with_timeout(tc->scheduler, &f.base, 0, &result), JD_OK);
	assert_true(probe_result_drop(&result));
	jd_future_drop(&f.base);
	assert_counts(tc, 4, 1, 0, 1);
}

static void act_wake(struct probe *probe, struct jd_context *context)
{
	(void)probe;
	jd_waker_wake_ref(context->waker);
}

/* A future that always wakes itself must not keep the deadline from coming. */
static void timeout_of_a_restless_future(void **state)
{
	struct task_case *tc = *state;
	struct probe_future f;

	tc->probe.ready_after = UINT32_MAX;
	tc->probe.on_poll = act_wake;
	probe_future_init(&f, &tc->probe);
	assert_int_equal(jd_block_with_timeout(tc->scheduler, &f.base, JD_MS, NULL), JD_ETIMEDOUT);
	assert_true(POLL(tc) > 1);
	jd_future_drop(&f.base);
}

/* --- What must end the process --------------------------------------------------------------- */

static void underflow(void *arg)
{
	struct task_case *tc = arg;
	struct jd_waker copy;

	tc->probe.ready_after = NEVER_READY;
	tc->probe.keep_waker = true;
	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	copy = tc->probe.waker;
	jd_waker_drop(&tc->probe.waker);
	jd_waker_drop(&copy);
}

static void waker_dropped_twice_aborts(void **state)
{
	assert_true(death_aborts(underflow, *state, "BUG IN CLIENT"));
}

static void run_twice(void *arg)
{
	struct task_case *tc = arg;

	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	jd_runnable_run(tc->runnable, NULL);
}

static void runnable_run_twice_aborts(void **state)
{
	assert_true(death_aborts(run_twice, *state, "BUG IN CLIENT"));
}

static void cancel_after_run(void *arg)
{
	struct task_case *tc = arg;

	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	jd_runnable_cancel(tc->runnable);
}

static void runnable_cancelled_after_run_aborts(void **state)
{
	assert_true(death_aborts(cancel_after_run, *state, "BUG IN CLIENT"));
}

static void run_during_run_hook(struct probe *probe, struct jd_context *context)
{
	(void)context;
	probe->on_poll = NULL;
	jd_runnable_run(probe->arg, NULL);
}

static void run_during_run(void *arg)
{
	struct task_case *tc = arg;

	tc->probe.on_poll = run_during_run_hook;
	task_case_new(tc);
	tc->probe.arg = tc->runnable;
	jd_runnable_run(tc->runnable, NULL);
}

static void runnable_run_during_run_aborts(void **state)
{
	assert_true(death_aborts(run_during_run, *state, "BUG IN CLIENT"));
}

static void detach_twice(void *arg)
{
	struct task_case *tc = arg;

	task_case_spawn(tc);
	jd_task_detach(tc->task);
	jd_task_detach(tc->task);
}

static void handle_dropped_twice_aborts(void **state)
{
	assert_true(death_aborts(detach_twice, *state, "BUG IN CLIENT"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, task_case_setup, task_case_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(new_refuses_bad_arguments),
		CASE(absurd_sizes_are_no_memory),
		CASE(handle_calls_refuse_null),
		CASE(spawn_without_memory),
		CASE(block_without_memory),
		CASE(join_without_memory_keeps_the_handle),
		CASE(scheduler_without_memory),
		CASE(refused_spawn_drops_nothing),
		CASE(closed_still_resumes),
		CASE(shutdown_cancels_what_is_left),
		CASE(result_outlives_the_scheduler),
		CASE(shutdown_drops_handles_within_futures),
		CASE(join_runs_and_yields),
		CASE(join_that_cannot_end_keeps_the_handle),
		CASE(join_of_a_task_that_ends_like_a_wait),
		CASE(timed_out_future_goes_on),
		CASE(timeout_of_a_restless_future),
		CASE(waker_dropped_twice_aborts),
		CASE(runnable_run_twice_aborts),
		CASE(runnable_cancelled_after_run_aborts),
		CASE(runnable_run_during_run_aborts),
		CASE(handle_dropped_twice_aborts),
	};

	return cmocka_run_group_tests_name("task_misuse", tests, NULL, NULL);
}
