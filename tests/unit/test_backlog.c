/* test_backlog.c - bounded backlog: a spawner of many needs memory for few, and nothing is lost. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/fork.h>
#include <jackdaw/task.h>
#include <jackdaw/timer.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/atomic.h"
#include "platform/compiler.h"
#include "runtime/tuning.h"
#include "tests/conformance/count_allocator.h"

enum {
	BACKLOG = 1000,
	MANY = JD_CHECKED ? 200 * 1000 : 10 * 1000 * 1000,
	CHAIN = 20 * 1000,
};

/* Access: A any thread, atomic; S by the spawner. */
struct world {
	struct jd_scheduler *scheduler;
	struct count_allocator memory;
	uint64_t count;         /* S: to be spawned */
	_Atomic(uint64_t) ran;  /* A */
	_Atomic(uint64_t) peak; /* A: bytes at most, now and then */
	_Atomic(uint64_t) deep; /* A: most that were on a stack at once */
	_Atomic(int) status;    /* A: of what went wrong */
};

static _Thread_local unsigned depth;

static void set_up(struct world *w, unsigned workers, unsigned max_backlog)
{
	*w = (struct world){.count = MANY};
	count_allocator_init(&w->memory);
	const struct jd_ws_options options = {
		.workers = workers, .max_backlog = max_backlog, .allocator = &w->memory.base};

	assert_int_equal(jd_ws_scheduler_new(&options, &w->scheduler), JD_OK);
}

static void tear_down(struct world *w)
{
	assert_int_equal(jd_scheduler_destroy(w->scheduler), JD_OK);
	assert_int_equal(w->status, JD_OK);
	assert_int_equal(count_allocator_live(&w->memory), 0);
	assert_int_equal(w->memory.misfits, 0);
}

static void expect(struct world *w, jd_status status)
{
	if (status != JD_OK)
		atomic_store_explicit(&w->status, (int)status, memory_order_relaxed);
}

static void raise_to(_Atomic(uint64_t) *most, uint64_t value)
{
	uint64_t old = atomic_load_explicit(most, memory_order_relaxed);

	while (old < value &&
	       !atomic_compare_exchange_weak_explicit(most, &old, value, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

static void ran(struct world *w)
{
	if (atomic_fetch_add_explicit(&w->ran, 1, memory_order_relaxed) % 64 == 0)
		raise_to(&w->peak, atomic_load_explicit(&w->memory.bytes, memory_order_relaxed));
}

static void *leaf(void *arg)
{
	ran(arg);
	return NULL;
}

static void *spawn_many(void *arg)
{
	struct world *w = arg;

	for (uint64_t i = 0; i < w->count; i++)
		expect(w, jd_spawn_fn(w->scheduler, leaf, w, NULL));
	return NULL;
}

static uint64_t peak_with(unsigned workers, unsigned max_backlog, uint64_t count)
{
	struct world w;

	set_up(&w, workers, max_backlog);
	w.count = count;
	uint64_t before = atomic_load_explicit(&w.memory.bytes, memory_order_relaxed);

	assert_int_equal(jd_spawn_fn(w.scheduler, spawn_many, &w, NULL), JD_OK);
	assert_int_equal(jd_scheduler_drain(w.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(w.ran, count);
	uint64_t peak = w.peak - before;

	tear_down(&w);
	return peak;
}

/* 10,000,000 children of one task: bytes for a thousand, whatever they are. */
static void test_memory_is_bounded(void **state)
{
	enum {
		FEW = 64 * 1000
	};

	(void)state;
	for (unsigned workers = 1; workers <= 2; workers++) {
		uint64_t peak = peak_with(workers, BACKLOG, MANY);

		print_message("  %d tasks, %u workers: %d KiB\n", MANY, workers,
			      (int)(peak / 1024));
		assert_true(peak < 4 * 1024 * 1024);
	}
	assert_true(peak_with(1, 0, FEW) > FEW * 100);
}

/* --- Depth ------------------------------------------------------------------------------------ */

/* Each spawns the next. */
static void *link_of_chain(void *arg)
{
	struct world *w = arg;

	raise_to(&w->deep, ++depth);
	if (w->count-- > 0)
		expect(w, jd_spawn_fn(w->scheduler, link_of_chain, w, NULL));
	ran(w);
	depth--;
	return NULL;
}

static void *fill_and_chain(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < BACKLOG; i++)
		expect(w, jd_spawn_fn(w->scheduler, leaf, w, NULL));
	return link_of_chain(w);
}

/* A chain behind a full queue goes so deep and no deeper; what comes then is queued. */
static void test_depth_is_bounded(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, 1, BACKLOG);
	w.count = CHAIN;
	assert_int_equal(jd_spawn_fn(w.scheduler, fill_and_chain, &w, NULL), JD_OK);
	assert_int_equal(jd_scheduler_drain(w.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(w.ran, BACKLOG + CHAIN + 1);
	assert_int_equal(w.deep, JD_WORKER_DEPTH + 1);
	tear_down(&w);
}

/* --- What runs in a spawn --------------------------------------------------------------------- */

static void *answer(void *arg)
{
	ran(arg);
	return arg;
}

static void *sleeper(void *arg)
{
	struct world *w = arg;
	struct jd_sleep sleep;

	jd_sleep_init(&sleep, JD_MS);
	expect(w, jd_block(w->scheduler, &sleep.base, NULL));
	jd_future_drop(&sleep.base);
	ran(w);
	return w;
}

struct forked {
	struct jd_fork_frame frame;
	struct world *w;
};

static void count_down(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	(void)fork;
	ran(jd_container_of(frame, struct forked, frame)->w);
}

static void *forker(void *arg)
{
	struct world *w = arg;
	struct jd_fork_region region;
	struct jd_fork_point fork = jd_fork_enter(w->scheduler, &region);
	struct forked f = {.w = w};
	struct jd_fork_point inner = jd_fork(fork, &f.frame, count_down);

	/* Runs in its spawn, between our fork and our join, and forks as well. */
	if (w->count-- > 0)
		expect(w, jd_spawn_fn(w->scheduler, forker, w, NULL));
	(void)inner;
	if (jd_join(fork, &f.frame))
		ran(w);
	jd_fork_leave(&region);
	return NULL;
}

static void *spawn_each_kind(void *arg)
{
	struct world *w = arg;
	struct jd_task *task;
	void *result = NULL;

	for (int i = 0; i < BACKLOG; i++)
		expect(w, jd_spawn_fn(w->scheduler, leaf, w, NULL));
	/* It is done when it has been spawned, and its result is there. */
	expect(w, jd_spawn_fn(w->scheduler, answer, w, &task));
	expect(w, jd_task_is_finished(task) ? JD_OK : JD_EFAILED);
	expect(w, jd_task_join(task, &result));
	expect(w, result == w ? JD_OK : JD_EFAILED);
	w->count = 10;
	forker(w);
	/* It blocks: the worker goes on without us, and we go on without a worker. */
	expect(w, jd_spawn_fn(w->scheduler, sleeper, w, &task));
	expect(w, jd_spawn_fn(w->scheduler, answer, w, NULL));
	expect(w, jd_task_join(task, &result));
	return NULL;
}

static void test_what_runs_in_a_spawn(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, 1, BACKLOG);
	assert_int_equal(jd_spawn_fn(w.scheduler, spawn_each_kind, &w, NULL), JD_OK);
	assert_int_equal(jd_scheduler_drain(w.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(w.ran, BACKLOG + 1 + 11 + 2);
	tear_down(&w);
}

/* Who drives no worker has no backlog, and after close nothing new runs. */
static void test_outside_and_closed(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, 2, 1);
	for (int i = 0; i < BACKLOG; i++)
		assert_int_equal(jd_spawn_fn(w.scheduler, leaf, &w, NULL), JD_OK);
	assert_int_equal(jd_scheduler_drain(w.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(w.ran, BACKLOG);
	assert_int_equal(jd_scheduler_close(w.scheduler), JD_OK);
	assert_int_equal(jd_spawn_fn(w.scheduler, leaf, &w, NULL), JD_ECLOSED);
	assert_int_equal(w.ran, BACKLOG);
	tear_down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_what_runs_in_a_spawn),
		cmocka_unit_test(test_outside_and_closed),
	};

	return cmocka_run_group_tests_name("backlog", tests, NULL, NULL);
}
