/* test_winpool_scheduler.c - what is particular to Windows' pool; the rest is conformance. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <windows.h>

#include <cmocka.h>

#include <jackdaw/os_scheduler.h>
#include <jackdaw/task.h>
#include <jackdaw/timer.h>

#include "tests/conformance/count_allocator.h"
#include "tests/conformance/gate.h"
#include "tests/testlib/host.h"
#include "tests/testlib/os_flow.h"

enum {
	TASKS = 1000,
	CROWD = 8, /* callbacks that wait for each other */
};

static jd_status make(const struct jd_allocator *allocator, struct jd_scheduler **scheduler)
{
	const struct jd_winpool_options options = {.allocator = allocator};

	return jd_winpool_scheduler_new(&options, scheduler);
}

static jd_status use(const struct jd_winpool_options *options)
{
	struct jd_scheduler *scheduler;
	jd_status status = jd_winpool_scheduler_new(options, &scheduler);

	return status == JD_OK ? os_use(scheduler) : status;
}

static void test_arguments(void **state)
{
	struct jd_scheduler *scheduler;
	struct jd_winpool_options options = {.priority = JD_WINPOOL_LOW + 1};

	(void)state;
	assert_int_equal(jd_winpool_scheduler_new(NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_winpool_scheduler_new(&options, &scheduler), JD_EINVAL);
	options = (struct jd_winpool_options){.threads_min = 2, .threads_max = 1};
	assert_int_equal(jd_winpool_scheduler_new(&options, &scheduler), JD_EINVAL);
	options = (struct jd_winpool_options){.threads_min = 1};
	assert_int_equal(jd_winpool_scheduler_new(&options, &scheduler), JD_EINVAL);
	options = (struct jd_winpool_options){.blocking_max = 65536};
	assert_int_equal(jd_winpool_scheduler_new(&options, &scheduler), JD_ERANGE);
}

static void test_no_memory(void **state)
{
	(void)state;
	os_check_no_memory(make);
}

static void test_schedule_takes_no_memory(void **state)
{
	const unsigned emulated = 100; /* gcc emulates thread-locals here, in memory it allocates */

	(void)state;
	os_check_schedule_takes_no_memory(make, emulated);
}

static void test_priorities_and_pools(void **state)
{
	(void)state;
	for (int priority = JD_WINPOOL_NORMAL; priority <= JD_WINPOOL_LOW; priority++) {
		for (unsigned most = 0; most < 4; most++) {
			const struct jd_winpool_options options = {
				.priority = (enum jd_winpool_priority)priority,
				.threads_min = most / 2,
				.threads_max = most,
			};

			assert_int_equal(use(&options), JD_OK);
		}
	}
}

/* --- A pool of its own ------------------------------------------------------------------------ */

struct crowd {
	struct gate arrived;
	_Atomic(int) inside, most;
};

/* Waits, in a way that nobody is told of, until all are there. */
static void *meet(void *arg)
{
	struct crowd *crowd = arg;

	gate_open(&crowd->arrived);
	gate_wait(&crowd->arrived, CROWD);
	return NULL;
}

static void test_the_minimum_serves_callbacks_that_wait_for_each_other(void **state)
{
	const struct jd_winpool_options options = {.threads_min = CROWD, .threads_max = CROWD};
	struct jd_scheduler *scheduler;
	struct crowd crowd = {.inside = 0};

	(void)state;
	gate_init(&crowd.arrived, "callbacks that have met");
	assert_int_equal(jd_winpool_scheduler_new(&options, &scheduler), JD_OK);
	assert_int_equal(jd_num_cpus(scheduler), CROWD);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(jd_spawn_fn(scheduler, meet, &crowd, NULL), JD_OK);
	assert_int_equal(jd_scheduler_drain(scheduler, JD_NEVER), JD_OK);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	gate_fini(&crowd.arrived);
}

static void *be_alone(void *arg)
{
	struct crowd *crowd = arg;
	int inside = atomic_fetch_add_explicit(&crowd->inside, 1, memory_order_relaxed) + 1;

	if (inside > 1)
		atomic_store_explicit(&crowd->most, inside, memory_order_relaxed);
	SwitchToThread();
	atomic_fetch_sub_explicit(&crowd->inside, 1, memory_order_relaxed);
	return NULL;
}

static void test_the_maximum_holds(void **state)
{
	const struct jd_winpool_options options = {.threads_min = 1, .threads_max = 1};
	struct jd_scheduler *scheduler;
	struct crowd crowd = {.inside = 0};

	(void)state;
	assert_int_equal(jd_winpool_scheduler_new(&options, &scheduler), JD_OK);
	for (int i = 0; i < TASKS; i++)
		assert_int_equal(jd_spawn_fn(scheduler, be_alone, &crowd, NULL), JD_OK);
	assert_int_equal(jd_scheduler_drain(scheduler, JD_NEVER), JD_OK);
	assert_int_equal(crowd.most, 0);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* --- Timers ----------------------------------------------------------------------------------- */

/* Earlier deadlines replace later ones while the alarm's callback waits; none is lost. */
static void test_an_earlier_alarm_ends_the_wait_for_a_later(void **state)
{
	struct jd_scheduler *scheduler;

	(void)state;
	assert_int_equal(jd_winpool_scheduler_new(NULL, &scheduler), JD_OK);
	for (int i = 0; i < 50; i++) {
		uint64_t begin = jd_now(scheduler);
		struct jd_sleep later, soon;

		jd_sleep_init(&later, 20 * JD_MS);
		jd_sleep_init(&soon, 2 * JD_MS);
		assert_int_equal(jd_block_with_timeout(scheduler, &later.base, 100, NULL),
				 JD_ETIMEDOUT);
		assert_int_equal(jd_block(scheduler, &soon.base, NULL), JD_OK);
		assert_true(jd_now(scheduler) >= begin + 2 * JD_MS);
		jd_future_drop(&later.base);
		jd_future_drop(&soon.base);
	}
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* --- What is said, what is left --------------------------------------------------------------- */

static void test_dump(void **state)
{
	const struct jd_winpool_options options = {
		.priority = JD_WINPOOL_HIGH, .threads_min = 1, .threads_max = 3};
	struct jd_scheduler *scheduler;
	char text[1000];

	(void)state;
	assert_int_equal(jd_winpool_scheduler_new(&options, &scheduler), JD_OK);
	os_dump(scheduler, text, sizeof(text));
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	assert_non_null(strstr(text, "scheduler winpool: 0 live tasks"));
	assert_non_null(strstr(text, "open, 0 runnables with the pool"));
	assert_non_null(strstr(text, "a pool of its own, 1 to 3 threads, priority high"));
}

static DWORD count_handles(void)
{
	DWORD n = 0;

	assert_true(GetProcessHandleCount(GetCurrentProcess(), &n));
	return n;
}

static void test_nothing_is_left_behind(void **state)
{
	const struct jd_winpool_options own = {.threads_min = 1, .threads_max = 2};
	DWORD before, after;

	(void)state;
	assert_int_equal(use(NULL), JD_OK);
	assert_int_equal(use(&own), JD_OK);
	before = count_handles();
	for (int i = 0; i < 50; i++) {
		assert_int_equal(use(NULL), JD_OK);
		assert_int_equal(use(&own), JD_OK);
	}
	after = count_handles();
	/* Threads of the process's pool come and go. */
	if (after > before + 20)
		fail_msg("%lu handles before, %lu after", before, after);
}

/* --- The main thread -------------------------------------------------------------------------- */

static void test_a_host_waits_on_the_event(void **state)
{
	const struct jd_winpool_options options = {.main_thread = true};
	struct os_hops hops = {.left = 0};
	struct host host;

	(void)state;
	assert_int_equal(jd_winpool_scheduler_new(&options, &hops.scheduler), JD_OK);
	assert_int_equal(host_open(&host, hops.scheduler), JD_OK);
	assert_int_equal(os_hops_start(&hops, 2 * TASKS), JD_OK);
	while (hops.left) {
		assert_true(host_ready(&host, 20000)); /* a lost wake-up ends here */
		assert_int_equal(jd_main_loop_dispatch(hops.scheduler, 10 * JD_MS), JD_OK);
	}
	assert_int_equal(hops.mistakes, 0);
	assert_int_equal(jd_scheduler_drain(hops.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(jd_scheduler_destroy(hops.scheduler), JD_OK);
}

/* A turn of the loop in docs/WINDOWS.md; counts messages. False: neither came in 20 s. */
static bool window_thread_turn(struct jd_scheduler *scheduler, HANDLE handle, int *messages)
{
	DWORD got =
		MsgWaitForMultipleObjectsEx(1, &handle, 20000, QS_ALLINPUT, MWMO_INPUTAVAILABLE);
	MSG message;

	if (got == WAIT_OBJECT_0 && jd_main_loop_dispatch(scheduler, 10 * JD_MS) != JD_OK)
		return false;
	while (PeekMessageW(&message, NULL, 0, 0, PM_REMOVE))
		*messages += message.message == WM_APP;
	return got == WAIT_OBJECT_0 || got == WAIT_OBJECT_0 + 1;
}

/* The message queue of this thread is there once it has been looked at. */
static DWORD window_thread(void)
{
	MSG message;

	PeekMessageW(&message, NULL, 0, 0, PM_NOREMOVE);
	return GetCurrentThreadId();
}

static void post_messages(void *arg)
{
	for (int i = 0; i < TASKS; i++) {
		PostThreadMessageW(*(const DWORD *)arg, WM_APP, 0, 0);
		SwitchToThread();
	}
}

static void test_messages_and_foreground_work(void **state)
{
	const struct jd_winpool_options options = {.main_thread = true};
	struct os_hops hops = {.left = 0};
	struct gate_thread poster;
	DWORD self = window_thread();
	int messages = 0;
	void *handle;

	(void)state;
	assert_int_equal(jd_winpool_scheduler_new(&options, &hops.scheduler), JD_OK);
	assert_int_equal(jd_main_loop_handle(hops.scheduler, &handle), JD_OK);
	assert_int_equal(os_hops_start(&hops, 2 * TASKS), JD_OK);
	gate_thread_start(&poster, post_messages, &self);
	while (hops.left || messages < TASKS)
		assert_true(window_thread_turn(hops.scheduler, handle, &messages));
	gate_thread_join(&poster);
	assert_int_equal(hops.mistakes, 0);
	assert_int_equal(jd_scheduler_destroy(hops.scheduler), JD_OK);
}

/* Gives way again and again, until there was a message. */
struct busy {
	struct jd_future base;
	const int *messages;
};

static jd_status busy_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	(void)result;
	if (*jd_container_of(future, struct busy, base)->messages)
		return JD_OK;
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

static void test_foreground_work_does_not_starve_messages(void **state)
{
	static const struct jd_future_ops ops = {.poll = busy_poll, .size = sizeof(struct busy)};
	const struct jd_winpool_options options = {.main_thread = true};
	int messages = 0, turns = 0;
	struct busy busy = {{&ops}, &messages};
	struct jd_scheduler *scheduler;
	DWORD self = window_thread();
	void *handle;

	(void)state;
	assert_int_equal(jd_winpool_scheduler_new(&options, &scheduler), JD_OK);
	assert_int_equal(jd_main_loop_handle(scheduler, &handle), JD_OK);
	assert_int_equal(jd_spawn_foreground(scheduler, 1, &busy.base, NULL), JD_OK);
	assert_true(PostThreadMessageW(self, WM_APP, 0, 0));
	for (; !messages; turns++)
		assert_true(window_thread_turn(scheduler, handle, &messages));
	assert_in_range(turns, 1, 2);
	assert_int_equal(jd_scheduler_drain(scheduler, JD_NEVER), JD_OK);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_schedule_takes_no_memory),
		cmocka_unit_test(test_priorities_and_pools),
		cmocka_unit_test(test_the_minimum_serves_callbacks_that_wait_for_each_other),
		cmocka_unit_test(test_the_maximum_holds),
		cmocka_unit_test(test_an_earlier_alarm_ends_the_wait_for_a_later),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_nothing_is_left_behind),
		cmocka_unit_test(test_a_host_waits_on_the_event),
		cmocka_unit_test(test_messages_and_foreground_work),
		cmocka_unit_test(test_foreground_work_does_not_starve_messages),
	};

	return cmocka_run_group_tests_name("winpool_scheduler", tests, NULL, NULL);
}
