/* test_foreign.c - lanes of foreign threads: entered, shared, closed; on a scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

#include "deque/reclaim_keep.h"
#include "platform/platform.h"
#include "runtime/foreign.h"
#include "runtime/memory.h"
#include "tests/conformance/count_allocator.h"

enum {
	MANY = 1000,
	THREADS = 2 * JD_FOREIGN_LANES,
	ROUNDS = 50,
	PRODUCERS = 4
};

struct fixture {
	struct count_allocator memory;
	struct jd_reclaim_keep keep;
	struct jd_foreign *foreign;
};

static void set_up(struct fixture *f)
{
	count_allocator_init(&f->memory);
	jd_reclaim_keep_init(&f->keep);
	f->foreign = jd_memory_new(&f->memory.base, struct jd_foreign);
	assert_non_null(f->foreign);
	jd_foreign_init(f->foreign, &f->memory.base, &f->keep.base);
	jd_foreign_self.at = 0;
}

static void tear_down(struct fixture *f)
{
	jd_foreign_close(f->foreign);
	while (jd_foreign_rest(f->foreign))
		;
	jd_foreign_fini(f->foreign);
	jd_reclaim_keep_fini(&f->keep);
	jd_memory_delete(&f->memory.base, f->foreign, struct jd_foreign);
	assert_int_equal(count_allocator_live(&f->memory), 0);
}

static bool hand_in(struct jd_foreign *foreign, struct jd_runnable *runnable)
{
	struct jd_foreign_lane *lane = jd_foreign_enter(foreign);

	if (!lane)
		return false;
	bool pushed = jd_foreign_push(lane, runnable);

	jd_foreign_leave(lane);
	return pushed;
}

/* From some visit on what is handed in is queued, and comes out in its order, by the batch. */
static void test_order(void **state)
{
	static struct jd_runnable runnables[MANY];
	struct fixture f;
	void *items[7];
	size_t refused = 0, taken = 0, n;

	(void)state;
	set_up(&f);
	while (refused < MANY && !hand_in(f.foreign, &runnables[refused]))
		refused++;
	assert_int_equal(refused, JD_FOREIGN_VISITS - 1);
	for (size_t i = refused + 1; i < MANY; i++)
		assert_true(hand_in(f.foreign, &runnables[i]));
	assert_int_equal(jd_foreign_size(f.foreign), MANY - refused);
	assert_false(jd_foreign_empty(f.foreign));
	while ((n = jd_foreign_take(f.foreign, 0, items, 7)) > 0) {
		for (size_t i = 0; i < n; i++, taken++)
			assert_ptr_equal(items[i], &runnables[refused + taken]);
	}
	assert_int_equal(taken, MANY - refused);
	assert_true(jd_foreign_empty(f.foreign));
	tear_down(&f);
}

/*
 * A thread that is stopped while it holds a lane: what it handed in before is taken, others hand in
 * elsewhere, and theirs is taken too.
 */
static void test_a_stopped_holder_hides_nothing(void **state)
{
	struct fixture f;
	struct jd_runnable before[2 * JD_FOREIGN_VISITS], after[2 * JD_FOREIGN_VISITS];
	void *items[4 * JD_FOREIGN_VISITS];
	size_t queued = 0, n = 0;

	(void)state;
	set_up(&f);
	for (int i = 0; i < 2 * JD_FOREIGN_VISITS; i++)
		queued += hand_in(f.foreign, &before[i]);
	struct jd_foreign_lane *stopped = jd_foreign_enter(f.foreign);

	assert_non_null(stopped);
	/* This thread plays another one. */
	struct jd_foreign_self self = jd_foreign_self;

	jd_foreign_self.held = NULL;
	for (int i = 0; i < 2 * JD_FOREIGN_VISITS; i++) {
		queued += hand_in(f.foreign, &after[i]);
		assert_int_not_equal(jd_foreign_self.at, self.at);
	}
	assert_int_equal(queued, 2 * (JD_FOREIGN_VISITS + 1));
	for (unsigned i = 0; i < 2; i++)
		n += jd_foreign_take(f.foreign, 0, items + n, queued - n);
	assert_int_equal(n, queued);
	jd_foreign_self = self;
	jd_foreign_leave(stopped);
	tear_down(&f);
}

static void test_taken_closed_and_nested(void **state)
{
	struct fixture f;
	struct jd_foreign_lane *lane;
	struct jd_runnable runnable;

	(void)state;
	set_up(&f);
	lane = jd_foreign_enter(f.foreign);
	assert_non_null(lane);
	assert_ptr_equal(jd_foreign_here(f.foreign), lane);
	assert_null(jd_foreign_enter(f.foreign)); /* one at a time */
	jd_foreign_leave(lane);
	assert_null(jd_foreign_here(f.foreign));
	/* All of them held by others. */
	for (unsigned i = 0; i < JD_FOREIGN_LANES; i++)
		atomic_store_explicit(&f.foreign->lanes[i].held, JD_FOREIGN_HELD,
				      memory_order_relaxed);
	assert_false(hand_in(f.foreign, &runnable));
	for (unsigned i = 0; i < JD_FOREIGN_LANES; i++)
		atomic_store_explicit(&f.foreign->lanes[i].held, JD_FOREIGN_FREE,
				      memory_order_relaxed);
	jd_foreign_close(f.foreign);
	jd_foreign_close(f.foreign);
	assert_null(jd_foreign_enter(f.foreign));
	tear_down(&f);
}

/* Without memory for a queue or for its growth it says no, and says yes when there is some. */
static void test_no_memory(void **state)
{
	static struct jd_runnable runnables[MANY];
	struct fixture f;
	size_t queued = 0;

	(void)state;
	set_up(&f);
	count_allocator_fail(&f.memory, 1, 1);
	for (int i = 0; i < 2 * JD_FOREIGN_VISITS; i++)
		queued += hand_in(f.foreign, &runnables[queued]);
	assert_int_equal(queued, 1);
	count_allocator_fail(&f.memory, 1, MANY);
	for (int i = 0; i < MANY / 2; i++)
		queued += hand_in(f.foreign, &runnables[queued]);
	assert_int_equal(queued, JD_FOREIGN_CAPACITY);
	count_allocator_fail(&f.memory, 0, 0);
	assert_true(hand_in(f.foreign, &runnables[queued]));
	assert_int_equal(jd_foreign_size(f.foreign), queued + 1);
	tear_down(&f);
}

/* --- On a scheduler ------------------------------------------------------------------------- */

struct producer {
	struct jd_thread thread;
	struct jd_scheduler *schedulers[2];
	_Atomic(uint64_t) *ran;
	jd_status status;
};

static void *count_run(void *arg)
{
	_Atomic(uint64_t) *ran = arg;

	atomic_fetch_add_explicit(ran, 1, memory_order_relaxed);
	return NULL;
}

static void produce(void *arg)
{
	struct producer *self = arg;

	self->status = JD_OK;
	for (int i = 0; i < MANY && self->status == JD_OK; i++)
		self->status = jd_spawn_fn(self->schedulers[i % 2], count_run, self->ran, NULL);
}

/* More threads than lanes, on two schedulers, threads that come and go; each task runs once. */
static void test_many_threads(void **state)
{
	static struct producer producers[THREADS];
	_Atomic(uint64_t) ran;
	struct jd_scheduler *schedulers[2];
	const struct jd_ws_options options = {.workers = 2};

	(void)state;
	atomic_init(&ran, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(jd_ws_scheduler_new(&options, &schedulers[i]), JD_OK);
	for (int i = 0; i < THREADS; i++) {
		producers[i].schedulers[0] = schedulers[0];
		producers[i].schedulers[1] = schedulers[1];
		producers[i].ran = &ran;
		assert_int_equal(jd_thread_start(&producers[i].thread, "producer", 0, produce,
						 &producers[i]),
				 JD_OK);
	}
	for (int i = 0; i < THREADS; i++) {
		jd_thread_join(&producers[i].thread);
		assert_int_equal(producers[i].status, JD_OK);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(jd_scheduler_drain(schedulers[i], JD_NEVER), JD_OK);
	assert_int_equal(atomic_load_explicit(&ran, memory_order_relaxed), THREADS * MANY);
	for (int i = 0; i < 2; i++)
		assert_int_equal(jd_scheduler_destroy(schedulers[i]), JD_OK);
}

/* Schedulers end while a thread that used them lives on; the next may be at the same address. */
static void test_one_thread_many_schedulers(void **state)
{
	struct count_allocator memory;

	(void)state;
	count_allocator_init(&memory);
	const struct jd_ws_options options = {.workers = 1, .allocator = &memory.base};

	for (int i = 0; i < ROUNDS; i++) {
		struct jd_scheduler *scheduler;
		_Atomic(uint64_t) ran;

		atomic_init(&ran, 0);
		assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
		for (int j = 0; j < MANY / 10; j++)
			assert_int_equal(jd_spawn_fn(scheduler, count_run, &ran, NULL), JD_OK);
		if (i % 2)
			assert_int_equal(jd_scheduler_drain(scheduler, JD_NEVER), JD_OK);
		assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
		assert_true(!(i % 2) ||
			    atomic_load_explicit(&ran, memory_order_relaxed) == MANY / 10);
		assert_int_equal(count_allocator_live(&memory), 0);
	}
}

/* A stream wakes workers now and then, not for each task: nobody is woken while one searches. */
static void test_a_stream_wakes_few(void **state)
{
	static struct producer producers[PRODUCERS];
	const struct jd_ws_options options = {.workers = 4};
	struct jd_scheduler *scheduler;
	struct jd_ws_stats stats;
	_Atomic(uint64_t) ran;

	(void)state;
	atomic_init(&ran, 0);
	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	for (int i = 0; i < PRODUCERS; i++) {
		producers[i].schedulers[0] = producers[i].schedulers[1] = scheduler;
		producers[i].ran = &ran;
		assert_int_equal(jd_thread_start(&producers[i].thread, "producer", 0, produce,
						 &producers[i]),
				 JD_OK);
	}
	for (int i = 0; i < PRODUCERS; i++)
		jd_thread_join(&producers[i].thread);
	assert_int_equal(jd_scheduler_drain(scheduler, JD_NEVER), JD_OK);
	assert_int_equal(jd_ws_scheduler_stats(scheduler, JD_WS_ALL, &stats), JD_OK);
	print_message("  %d tasks: wake-ups sent %" PRIu64 " useful %" PRIu64 " spurious %" PRIu64
		      "\n",
		      PRODUCERS * MANY, stats.wakes_sent, stats.wakes_useful, stats.wakes_spurious);
	assert_true(stats.injected >= PRODUCERS * MANY / 2);
	assert_true(stats.wakes_sent < PRODUCERS * MANY / 4);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_a_stopped_holder_hides_nothing),
		cmocka_unit_test(test_taken_closed_and_nested),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_one_thread_many_schedulers),
		cmocka_unit_test(test_a_stream_wakes_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
