/* test_gcd_scheduler.c - what is particular to Grand Central Dispatch; the rest is conformance. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <dlfcn.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <jackdaw/main_loop.h>
#include <jackdaw/os_scheduler.h>

#include "tests/conformance/count_allocator.h"
#include "tests/conformance/gate.h"
#include "tests/testlib/os_flow.h"

enum {
	HOPS = 2000 /* each other one needs a wake-up of the main queue */
};

static jd_status make(const struct jd_allocator *allocator, struct jd_scheduler **scheduler)
{
	const struct jd_gcd_options options = {.allocator = allocator};

	return jd_gcd_scheduler_new(&options, scheduler);
}

static jd_status use(const struct jd_gcd_options *options)
{
	struct jd_scheduler *scheduler;
	jd_status status = jd_gcd_scheduler_new(options, &scheduler);

	return status == JD_OK ? os_use(scheduler) : status;
}

static void use_once(void *arg)
{
	*(jd_status *)arg = use(NULL);
}

/* The thread that loads libdispatch is its main thread to it; that must not matter to us. */
static void test_the_first_thread_may_end(void **state)
{
	pid_t child = fork(); /* libdispatch is not loaded yet */
	int end;

	(void)state;
	assert_true(child >= 0);
	if (!child) {
		struct gate_thread thread;
		jd_status status = JD_EFAILED;

		gate_thread_start(&thread, use_once, &status);
		gate_thread_join(&thread);
		_exit(status == JD_OK && use(NULL) == JD_OK ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &end, 0), child);
	assert_true(WIFEXITED(end));
	assert_int_equal(WEXITSTATUS(end), 0);
}

static void test_arguments(void **state)
{
	struct jd_scheduler *scheduler;
	struct jd_gcd_options options = {.qos = JD_GCD_BACKGROUND + 1};

	(void)state;
	assert_int_equal(jd_gcd_scheduler_new(NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_gcd_scheduler_new(&options, &scheduler), JD_EINVAL);
	options = (struct jd_gcd_options){.blocking_max = 65536};
	assert_int_equal(jd_gcd_scheduler_new(&options, &scheduler), JD_ERANGE);
}

static void test_no_memory(void **state)
{
	(void)state;
	os_check_no_memory(make);
}

/* libdispatch may take some, or none: that is its business. */
static void test_schedule_takes_no_memory(void **state)
{
	(void)state;
	os_check_schedule_takes_no_memory(make, 0);
}

static void test_service_classes(void **state)
{
	(void)state;
	for (int qos = JD_GCD_DEFAULT; qos <= JD_GCD_BACKGROUND; qos++) {
		const struct jd_gcd_options options = {.qos = (enum jd_gcd_qos)qos};

		assert_int_equal(use(&options), JD_OK);
	}
}

static void test_dump(void **state)
{
	const struct jd_gcd_options options = {.qos = JD_GCD_UTILITY};
	struct jd_scheduler *scheduler;
	char text[1000];

	(void)state;
	assert_int_equal(jd_gcd_scheduler_new(&options, &scheduler), JD_OK);
	os_dump(scheduler, text, sizeof(text));
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	assert_non_null(strstr(text, "scheduler gcd: 0 live tasks"));
	assert_non_null(strstr(text, "open, 0 runnables with the pool"));
	assert_non_null(strstr(text, "global queue, service class utility"));
}

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_nothing_is_left_behind(void **state)
{
	(void)state;
	assert_int_equal(use(NULL), JD_OK);
	unsigned before = count_descriptors();

	for (int i = 0; i < 100; i++)
		assert_int_equal(use(NULL), JD_OK);
	assert_true(count_descriptors() <= before);
}

/* --- The main queue ---------------------------------------------------------------------------
 * Off Apple only Foundation's run loop drains it on the main thread. It does so through these. */

struct main_queue {
	int (*handle)(void);
	void (*drain)(void *message);
};

static bool main_queue_find(struct main_queue *queue)
{
	void *library = dlopen("libdispatch.so", RTLD_NOW | RTLD_NOLOAD);

	if (!library)
		return false;
	void *handle = dlsym(library, "_dispatch_get_main_queue_handle_4CF");
	void *drain = dlsym(library, "_dispatch_main_queue_callback_4CF");

	memcpy(&queue->handle, &handle, sizeof(handle));
	memcpy(&queue->drain, &drain, sizeof(drain));
	dlclose(library);
	return handle && drain;
}

/* A turn of the run loop; false: nothing came in half a minute. */
static bool main_queue_turn(const struct main_queue *queue)
{
	struct pollfd p = {.fd = queue->handle(), .events = POLLIN};
	uint64_t posts;

	if (poll(&p, 1, 30000) != 1)
		return false;
	if (read(p.fd, &posts, sizeof(posts)) > 0)
		queue->drain(NULL);
	return true;
}

static void test_main_queue(void **state)
{
	static struct count_allocator memory; /* in use still when a check fails */
	const struct jd_gcd_options options = {.main_queue = true, .allocator = &memory.base};
	struct main_queue queue = {0};
	static struct os_hops hops;

	(void)state;
	count_allocator_init(&memory);
	assert_int_equal(jd_gcd_scheduler_new(&options, &hops.scheduler), JD_OK);
	assert_true(main_queue_find(&queue));
	assert_int_equal(os_hops_start(&hops, HOPS), JD_OK);
	while (hops.left)
		assert_true(main_queue_turn(&queue));
	/* A call that waits runs it as well. */
	assert_int_equal(os_hops_start(&hops, 2), JD_OK);
	assert_int_equal(jd_scheduler_drain(hops.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(hops.left, 0);
	assert_int_equal(hops.mistakes, 0);
	/* The source must have let go of the descriptor before the memory goes. */
	assert_int_equal(jd_scheduler_destroy(hops.scheduler), JD_OK);
	while (count_allocator_live(&memory))
		assert_true(main_queue_turn(&queue));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_thread_may_end), /* nothing before it */
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_schedule_takes_no_memory),
		cmocka_unit_test(test_service_classes),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_nothing_is_left_behind),
		cmocka_unit_test(test_main_queue),
	};

	return cmocka_run_group_tests_name("gcd_scheduler", tests, NULL, NULL);
}
