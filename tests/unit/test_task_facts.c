/* test_task_facts.c - awaiting a task, and what one can know about it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/task_case.h"

/* --- Awaiting -------------------------------------------------------------------------------- */

/* The latest awaiter counts; the waker of an earlier one is let go of. */
static void the_latest_awaiter_counts(void **state)
{
	struct task_case *tc = *state;
	struct probe_waker other = {0};
	struct jd_waker waker = probe_waker_get(&other);
	struct jd_context context = {.scheduler = tc->scheduler, .waker = &waker};

	task_case_new(tc);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	assert_int_equal(jd_task_poll(tc->task, &context, NULL), JD_PENDING);
	assert_int_equal(probe_get(&tc->awaiter.refs), 1);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(WAKES(tc), 0);
	assert_int_equal(probe_get(&other.wakes), 1);
	assert_int_equal(task_case_await(tc), JD_OK);
	jd_task_detach(tc->task);
	jd_waker_drop(&waker);
	assert_int_equal(probe_get(&other.refs), 0);
}

/* Whoever drops the handle of an unfinished task also lets go of the awaiter's waker. */
static void awaiter_goes_with_the_task(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	assert_int_equal(probe_get(&tc->awaiter.refs), 2);
	jd_task_drop(tc->task);
	jd_runnable_cancel(tc->runnable);
	assert_counts(tc, 0, 1, 1, 0);
	assert_int_equal(probe_get(&tc->awaiter.refs), 1);
}

struct order {
	struct task_case *tc;
	unsigned drops_at_wake;
	bool taken_at_wake;
};

static void look_at_wake(struct probe_waker *waker)
{
	struct order *order = waker->arg;

	order->drops_at_wake = DF(order->tc);
	order->taken_at_wake = task_case_await(order->tc) == JD_OK;
}

static void look_at_drop(struct probe *probe)
{
	struct order *order = probe->arg;

	/* Still running: the result is not there yet, and nobody was told. */
	assert_string_equal(jd_task_get_state(order->tc->task), "running");
	assert_false(jd_task_is_finished(order->tc->task));
	assert_int_equal(WAKES(order->tc), 0);
}

/* The future is dropped, then the result published, then the awaiter woken: in this order. */
static void end_has_an_order(void **state)
{
	struct task_case *tc = *state;
	struct order order = {tc, 0, false};

	tc->probe.on_drop = look_at_drop;
	tc->probe.arg = &order;
	tc->awaiter.on_wake = look_at_wake;
	tc->awaiter.arg = &order;
	task_case_new(tc);
	assert_int_equal(task_case_await(tc), JD_PENDING);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(order.drops_at_wake, 1);
	assert_true(order.taken_at_wake);
	jd_task_detach(tc->task);
}

static void unwanted_result_is_destroyed(void **state)
{
	struct task_case *tc = *state;

	task_case_new(tc);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(jd_task_poll(tc->task, &tc->context, NULL), JD_OK);
	assert_counts(tc, 1, 1, 0, 1);
	jd_task_detach(tc->task);
	assert_counts(tc, 1, 1, 1, 1);
}

/* Awaiting as a future: dropped before the end it cancels; after the end it lets go. */
static void task_future_cancels(void **state)
{
	struct task_case *tc = *state;
	struct jd_task_future future;

	task_case_spawn(tc);
	jd_task_future_init(&future, tc->task);
	assert_int_equal(jd_future_poll(&future.base, &tc->context, NULL), JD_PENDING);
	jd_future_drop(&future.base);
	assert_counts(tc, 0, 0, 0, 0);
	assert_true(hand_run(tc->hand));
	assert_counts(tc, 0, 1, 1, 0);
}

static void task_future_yields(void **state)
{
	struct task_case *tc = *state;
	struct jd_task_future future;
	struct probe_result result = {0};

	task_case_spawn(tc);
	jd_task_future_init(&future, tc->task);
	assert_int_equal(jd_future_poll(&future.base, &tc->context, &result), JD_PENDING);
	assert_true(hand_run(tc->hand));
	assert_int_equal(WAKES(tc), 1);
	assert_int_equal(jd_future_poll(&future.base, &tc->context, &result), JD_OK);
	assert_true(probe_result_drop(&result));
	jd_future_drop(&future.base);
	assert_counts(tc, 1, 1, 1, 1);
}

/* --- What a task is told to be --------------------------------------------------------------- */

static void one_allocation_a_task(void **state)
{
	struct task_case *tc = *state;
	uint64_t before = tc->memory.allocs;

	task_case_new(tc);
	assert_int_equal(tc->memory.allocs, before + 1);
	assert_int_equal(tc->memory.watched_allocs, 1);
	jd_task_detach(tc->task);
	jd_runnable_run(tc->runnable, NULL);
	assert_int_equal(tc->memory.allocs, before + 1);
}

static void facts_of_a_task(void **state)
{
	struct task_case *tc = *state;
	const struct jd_task_options options = {
		.kind = JD_TASK_FOREGROUND, .label = "painter", .session = 7, .site = "a.c:12"};
	struct jd_runnable_info info;
	struct probe_future future;

	probe_future_init(&future, &tc->probe);
	assert_int_equal(
		jd_task_new(tc->scheduler, &future.base, &options, &tc->runnable, &tc->task),
		JD_OK);
	assert_int_not_equal(jd_task_get_id(tc->task), 0);
	assert_string_equal(jd_task_get_label(tc->task), "painter");
	assert_int_equal(jd_task_get_session(tc->task), 7);
	assert_string_equal(jd_task_get_site(tc->task), "a.c:12");
	assert_ptr_equal(jd_task_get_scheduler(tc->task), tc->scheduler);
	tc->runnable->ops->describe(tc->runnable, &info);
	assert_int_equal(info.id, jd_task_get_id(tc->task));
	assert_string_equal(info.label, "painter");
	assert_int_equal(info.session, 7);
	assert_string_equal(info.site, "a.c:12");
	assert_string_equal(info.state, "scheduled");
	jd_task_drop(tc->task);
	jd_runnable_cancel(tc->runnable);
}

static void note_state(struct probe *probe, struct jd_context *context)
{
	(void)context;
	probe->arg = (void *)(uintptr_t)jd_task_get_state(probe->task);
}

static void state_words(void **state)
{
	struct task_case *tc = *state;
	jd_task_id id;

	tc->probe.ready_after = 1;
	tc->probe.on_poll = note_state;
	task_case_spawn(tc);
	id = jd_task_get_id(tc->task);
	assert_string_equal(jd_task_get_state(tc->task), "scheduled");
	assert_true(jd_is_task_running(tc->scheduler, id));
	hand_run(tc->hand);
	assert_string_equal((const char *)tc->probe.arg, "running");
	assert_string_equal(jd_task_get_state(tc->task), "waiting");
	assert_true(jd_is_task_running(tc->scheduler, id));
	assert_false(jd_task_is_finished(tc->task));
	jd_task_cancel(tc->task);
	assert_string_equal(jd_task_get_state(tc->task), "closing");
	assert_true(jd_task_is_finished(tc->task));
	assert_true(jd_is_task_running(tc->scheduler, id));
	hand_run(tc->hand);
	assert_string_equal(jd_task_get_state(tc->task), "done");
	assert_false(jd_is_task_running(tc->scheduler, id));
	jd_task_detach(tc->task);
}

/* A poll is told its scheduler, its task, and the worker it was run with. */
static void context_of_a_poll(void **state)
{
	struct task_case *tc = *state;
	struct jd_worker *worker = (struct jd_worker *)(uintptr_t)&tc->probe;

	task_case_new(tc);
	jd_runnable_run(tc->runnable, worker);
	assert_ptr_equal(tc->probe.task, tc->task);
	assert_ptr_equal(tc->probe.worker, worker);
	assert_ptr_equal(tc->probe.scheduler, tc->scheduler);
	jd_task_detach(tc->task);
}

static void wake_self(struct probe *probe, struct jd_context *context)
{
	(void)probe;
	jd_waker_wake_ref(context->waker);
}

/* Each kind keeps its way to the scheduler; flags tell new, resumed and yielding work apart. */
static void kinds_and_flags(void **state)
{
	struct task_case *tc = *state;
	struct jd_task_options options = {.kind = JD_TASK_BLOCKING, .label = "b", .session = 9};
	unsigned *const counts[] = {&tc->hand->labeled, &tc->hand->foreground, &tc->hand->blocking};
	struct probe_future future;

	tc->probe.ready_after = 2;
	for (int kind = JD_TASK_BACKGROUND; kind <= JD_TASK_BLOCKING; kind++) {
		atomic_store_explicit(&tc->probe.polls, 0, memory_order_relaxed);
		atomic_store_explicit(&tc->probe.drops, 0, memory_order_relaxed);
		tc->probe.on_poll = wake_self;
		options.kind = (enum jd_task_kind)kind;
		probe_future_init(&future, &tc->probe);
		assert_int_equal(jd_task_spawn(tc->scheduler, &future.base, &options, NULL), JD_OK);
		assert_int_equal(*counts[kind], 1);
		assert_false(tc->hand->flags & (JD_RUNNABLE_RESUME | JD_RUNNABLE_YIELDED));
		hand_run(tc->hand);
		assert_int_equal(*counts[kind], 2);
		assert_true(tc->hand->flags & JD_RUNNABLE_RESUME);
		assert_true(tc->hand->flags & JD_RUNNABLE_YIELDED);
		tc->probe.on_poll = NULL;
		tc->probe.keep_waker = true;
		hand_run(tc->hand);
		jd_waker_wake(&tc->probe.waker);
		assert_int_equal(*counts[kind], 3);
		assert_true(tc->hand->flags & JD_RUNNABLE_RESUME);
		assert_false(tc->hand->flags & JD_RUNNABLE_YIELDED);
		hand_run(tc->hand);
		assert_int_equal(DF(tc), 1);
		tc->probe.keep_waker = false;
	}
	assert_int_equal(tc->hand->session, 9);
	assert_string_equal(tc->hand->label, "b");
	assert_int_equal(DT(tc), 3);
}

static void ids_are_unique(void **state)
{
	struct task_case *tc = *state;
	jd_task_id ids[100];

	for (size_t i = 0; i < 100; i++) {
		task_case_new(tc);
		ids[i] = jd_task_get_id(tc->task);
		assert_int_not_equal(ids[i], 0);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(ids[i], ids[j]);
		jd_task_drop(tc->task);
		jd_runnable_cancel(tc->runnable);
		/* The probe is used again. */
		atomic_store_explicit(&tc->probe.drops, 0, memory_order_relaxed);
	}
	assert_false(jd_is_task_running(tc->scheduler, 0));
	assert_false(jd_is_task_running(tc->scheduler, UINT64_MAX));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, task_case_setup, task_case_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_latest_awaiter_counts),
		CASE(awaiter_goes_with_the_task),
		CASE(end_has_an_order),
		CASE(unwanted_result_is_destroyed),
		CASE(task_future_cancels),
		CASE(task_future_yields),
		CASE(one_allocation_a_task),
		CASE(facts_of_a_task),
		CASE(state_words),
		CASE(context_of_a_poll),
		CASE(kinds_and_flags),
		CASE(ids_are_unique),
	};

	return cmocka_run_group_tests_name("task_facts", tests, NULL, NULL);
}
