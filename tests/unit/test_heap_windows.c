/* test_heap_windows.c - schedulers leave nothing on the heaps: counted by the system. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <windows.h>

#include <tlhelp32.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/timer.h>

#include "tests/conformance/backend.h"

enum {
	WARM = 20,
	ROUNDS = 100,
	SLACK = 25,      /* blocks that come and go; a leak is ROUNDS blocks or more */
	PER_THREAD = 12, /* blocks of a thread that the pool has started, and keeps */
	TASKS = 100,
};

/* Blocks in use on all heaps of the process. */
static unsigned count_blocks(void)
{
	HANDLE heaps[64];
	DWORD n = GetProcessHeaps(64, heaps);
	unsigned blocks = 0;

	assert_in_range(n, 1, 64);
	for (DWORD i = 0; i < n; i++) {
		PROCESS_HEAP_ENTRY entry = {0};

		assert_true(HeapLock(heaps[i]));
		while (HeapWalk(heaps[i], &entry))
			blocks += entry.wFlags & PROCESS_HEAP_ENTRY_BUSY ? 1 : 0;
		assert_true(HeapUnlock(heaps[i]));
	}
	return blocks;
}

static unsigned count_threads(void)
{
	HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
	THREADENTRY32 entry;
	unsigned threads = 0;

	assert_true(all != INVALID_HANDLE_VALUE);
	entry.dwSize = sizeof(entry);
	for (BOOL some = Thread32First(all, &entry); some; some = Thread32Next(all, &entry))
		threads += entry.th32OwnerProcessID == GetCurrentProcessId();
	CloseHandle(all);
	return threads;
}

static void *nothing(void *arg)
{
	return arg;
}

static void spawn_some(struct jd_scheduler *scheduler, unsigned has)
{
	struct jd_sleep nap;

	for (int i = 0; i < TASKS; i++) {
		jd_sleep_init(&nap, i % 2 ? 0 : JD_NEVER);
		assert_int_equal(jd_spawn_fn(scheduler, nothing, NULL, NULL), JD_OK);
		assert_int_equal(jd_spawn(scheduler, &nap.base, NULL), JD_OK);
		if (has & CONF_FOREGROUND) {
			jd_sleep_init(&nap, i % 2 ? 0 : JD_NEVER);
			assert_int_equal(jd_spawn_foreground(scheduler, 1, &nap.base, NULL), JD_OK);
		}
		if (i % 10 == 0)
			assert_int_equal(jd_spawn_blocking(scheduler, nothing, NULL, NULL), JD_OK);
	}
}

/* Half of what it spawned is done when it is destroyed, the rest never would be. */
static void one_life(const struct conf_backend *backend)
{
	const struct conf_options options = {
		.workers = 2,
		.main_thread = backend->has & CONF_FOREGROUND,
		.allocator = jd_allocator_default(),
	};
	struct jd_scheduler *scheduler;

	assert_int_equal(backend->make(&options, &scheduler), JD_OK);
	spawn_some(scheduler, backend->has);
	assert_int_equal(jd_scheduler_drain(scheduler, jd_now(scheduler) + JD_MS), JD_ETIMEDOUT);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

static void lives_of(const struct conf_backend *backend)
{
	for (int i = 0; i < WARM; i++)
		one_life(backend);
	unsigned before = count_blocks(), threads = count_threads();

	for (int i = 0; i < ROUNDS; i++)
		one_life(backend);
	unsigned after = count_blocks(), more = count_threads();

	print_message("           %s: %u blocks (%u threads), %u (%u) after %d lives more\n",
		      backend->name, before, threads, after, more, ROUNDS);
	more = more > threads ? more - threads : 0;
	if (after > before + SLACK + PER_THREAD * more)
		fail_msg("%s leaks", backend->name);
}

static void test_ws(void **state)
{
	(void)state;
	lives_of(&conf_backend_ws);
}

static void test_test(void **state)
{
	(void)state;
	lives_of(&conf_backend_test);
}

static void test_pool(void **state)
{
	(void)state;
	lives_of(&conf_backend_pool);
}

static void test_winpool(void **state)
{
	(void)state;
	lives_of(&conf_backend_winpool);
}

/* What it counts is what a leak would add to. */
static void test_a_leak_shows(void **state)
{
	unsigned before = count_blocks();
	void *leak[SLACK + 1];

	(void)state;
	for (int i = 0; i <= SLACK; i++)
		leak[i] = malloc(100);
	assert_true(count_blocks() > before + SLACK);
	for (int i = 0; i <= SLACK; i++)
		free(leak[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_leak_shows), cmocka_unit_test(test_ws),
		cmocka_unit_test(test_test),         cmocka_unit_test(test_pool),
		cmocka_unit_test(test_winpool),
	};

	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
