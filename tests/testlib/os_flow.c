/* os_flow.c - what the schedulers over systems' thread pools are put through alike. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/os_flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/task.h>

#include "platform/platform.h"
#include "tests/conformance/count_allocator.h"
#include "tests/testlib/count_malloc.h"

enum {
	TASKS = 1000,
	RUNNABLES = 100000
};

static void *add_one(void *arg)
{
	atomic_fetch_add_explicit((_Atomic(unsigned) *)arg, 1, memory_order_relaxed);
	return NULL;
}

jd_status os_use(struct jd_scheduler *scheduler)
{
	_Atomic(unsigned) ran = 0;
	jd_status status = JD_OK;

	for (int i = 0; i < TASKS && status == JD_OK; i++)
		status = jd_spawn_fn(scheduler, add_one, &ran, NULL);
	if (status == JD_OK)
		status = jd_scheduler_drain(scheduler, jd_now(scheduler) + 60 * JD_SEC);
	if (status == JD_OK)
		status = jd_scheduler_destroy(scheduler);
	return status == JD_OK && ran != TASKS ? JD_EFAILED : status;
}

void os_dump(struct jd_scheduler *scheduler, char *text, size_t size)
{
	FILE *out = tmpfile();

	assert_non_null(out);
	jd_dump(scheduler, out);
	rewind(out);
	text[fread(text, 1, size - 1, out)] = '\0';
	fclose(out);
}

/* --- Memory ----------------------------------------------------------------------------------- */

void os_check_no_memory(os_make_fn *make)
{
	struct count_allocator memory;
	struct jd_scheduler *scheduler;
	jd_status status = JD_ENOMEM;
	unsigned n = 0;

	while (status == JD_ENOMEM) {
		count_allocator_init(&memory);
		count_allocator_fail(&memory, ++n, UINT64_MAX);
		status = make(&memory.base, &scheduler);
		if (status == JD_ENOMEM)
			assert_int_equal(count_allocator_live(&memory), 0);
	}
	assert_true(n > 2);
	assert_int_equal(status, JD_OK);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	assert_int_equal(count_allocator_live(&memory), 0);
}

struct counted {
	struct jd_runnable base;
	_Atomic(uint32_t) *left; /* futex word */
};

static void count_down(struct jd_runnable *runnable)
{
	_Atomic(uint32_t) *left = jd_container_of(runnable, struct counted, base)->left;

	/* order: (OF1) release - that it ran; pairs with (OF2). */
	if (atomic_fetch_sub_explicit(left, 1, memory_order_release) == 1)
		jd_futex_wake_all(left);
}

static void counted_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	(void)worker;
	count_down(runnable);
}

static const struct jd_runnable_ops counted_ops = {.run = counted_run, .cancel = count_down};

void os_check_schedule_takes_no_memory(os_make_fn *make, unsigned thread_locals)
{
	static struct counted runnables[RUNNABLES];
	static _Atomic(uint32_t) left;
	struct count_allocator memory;
	struct jd_scheduler *scheduler;
	jd_status status = JD_OK;
	uint32_t now;

	count_allocator_init(&memory);
	assert_int_equal(make(&memory.base, &scheduler), JD_OK);
	atomic_store_explicit(&left, RUNNABLES, memory_order_relaxed);
	uint64_t allocs = memory.allocs, calls = count_malloc_calls();

	assert_true(allocs > 0 && calls > 0); /* they do count */
	for (size_t i = 0; i < RUNNABLES && status == JD_OK; i++) {
		runnables[i] = (struct counted){JD_RUNNABLE_INIT(&counted_ops), &left};
		status = jd_schedule(scheduler, &runnables[i].base);
	}
	assert_int_equal(status, JD_OK);
	/* order: (OF2) acquire - that they ran; pairs with (OF1). */
	while ((now = atomic_load_explicit(&left, memory_order_acquire)) != 0)
		jd_futex_wait(&left, now, JD_NEVER);
	assert_int_equal(memory.allocs, allocs);
	assert_in_range(count_malloc_calls() - calls, 0, thread_locals);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* --- Hops ------------------------------------------------------------------------------------- */

struct hop {
	struct jd_future base;
	struct os_hops *hops;
	int n;
};

static jd_status hop_poll(struct jd_future *future, struct jd_context *context, void *result);

static jd_status hop_spawn(struct os_hops *hops, int n)
{
	static const struct jd_future_ops ops = {.poll = hop_poll, .size = sizeof(struct hop)};
	struct hop hop = {{&ops}, hops, n};

	return n % 2 ? jd_spawn(hops->scheduler, &hop.base, NULL)
		     : jd_spawn_foreground(hops->scheduler, 1, &hop.base, NULL);
}

static jd_status hop_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct hop *hop = jd_container_of(future, struct hop, base);

	(void)result;
	if (jd_is_main_thread(context->scheduler) == (hop->n % 2))
		atomic_fetch_add_explicit(&hop->hops->mistakes, 1, memory_order_relaxed);
	/* Before the next can do the same. */
	atomic_store_explicit(&hop->hops->left, hop->n, memory_order_relaxed);
	if (hop->n && hop_spawn(hop->hops, hop->n - 1) != JD_OK)
		atomic_fetch_add_explicit(&hop->hops->mistakes, 1, memory_order_relaxed);
	return JD_OK;
}

jd_status os_hops_start(struct os_hops *hops, int n)
{
	atomic_store_explicit(&hops->left, n, memory_order_relaxed);
	return hop_spawn(hops, n);
}
