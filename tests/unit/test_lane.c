/* test_lane.c - the stocks of a worker: exact references, recycled blocks, nothing left behind. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/atomic.h"
#include "runtime/lane.h"
#include "tests/conformance/count_allocator.h"

enum {
	MANY = 5 * JD_LANE_REFS,
	UNITS = 3,
	ROOM = JD_LANE_BYTES / JD_LANE_UNIT / UNITS /* blocks kept, rounded down */
};

/* A scheduler of which a lane needs the allocator and the count of references only. */
struct fixture {
	struct count_allocator memory;
	struct jd_scheduler scheduler;
	struct jd_lane lane;
};

static void set_up(struct fixture *f)
{
	count_allocator_init(&f->memory);
	f->scheduler = (struct jd_scheduler){.allocator = &f->memory.base};
	atomic_init(&f->scheduler._refs, 1);
	jd_lane_init(&f->lane, &f->scheduler);
}

static uint64_t refs(const struct fixture *f)
{
	return atomic_load_explicit(&f->scheduler._refs, memory_order_relaxed);
}

/* What was taken is counted all the time, and the stock is bounded and goes back. */
static void test_references(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	for (uint64_t taken = 1; taken <= MANY; taken++) {
		jd_lane_retain(&f.lane);
		assert_int_equal(refs(&f), 1 + taken + f.lane.refs);
	}
	for (uint64_t left = MANY; left-- > 0;) {
		jd_lane_release(&f.lane);
		assert_int_equal(refs(&f), 1 + left + f.lane.refs);
		assert_true(f.lane.refs <= 2 * JD_LANE_REFS);
	}
	jd_lane_fini(&f.lane);
	assert_int_equal(refs(&f), 1);
}

static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(jd_lane_units(1), 1);
	assert_int_equal(jd_lane_units(JD_LANE_UNIT), 1);
	assert_int_equal(jd_lane_units(JD_LANE_UNIT + 1), 2);
	assert_int_equal(jd_lane_units(JD_LANE_UNIT * JD_LANE_UNITS_MAX), JD_LANE_UNITS_MAX);
	assert_int_equal(jd_lane_units(JD_LANE_UNIT * JD_LANE_UNITS_MAX + 1), 0);
}

/* The newest block is the next one, each size for itself. */
static void test_blocks_are_recycled(void **state)
{
	struct fixture f;

	(void)state;
	if (JD_ADDRESS_CHECKED)
		skip();
	set_up(&f);
	void *a = jd_lane_alloc(&f.lane, UNITS), *b = jd_lane_alloc(&f.lane, UNITS);
	void *other = jd_lane_alloc(&f.lane, UNITS + 1);

	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(other);
	jd_lane_free(&f.lane, a, UNITS);
	jd_lane_free(&f.lane, other, UNITS + 1);
	jd_lane_free(&f.lane, b, UNITS);
	assert_int_equal(count_allocator_live(&f.memory), 3);
	assert_ptr_equal(jd_lane_alloc(&f.lane, UNITS), b);
	assert_ptr_equal(jd_lane_alloc(&f.lane, UNITS), a);
	assert_ptr_equal(jd_lane_alloc(&f.lane, UNITS + 1), other);
	jd_lane_free(&f.lane, a, UNITS);
	jd_lane_free(&f.lane, b, UNITS);
	jd_lane_free(&f.lane, other, UNITS + 1);
	jd_lane_fini(&f.lane);
	assert_int_equal(count_allocator_live(&f.memory), 0);
	assert_int_equal(f.memory.misfits, 0);
}

/* Beyond the bound blocks go to the allocator at once. */
static void test_bound(void **state)
{
	static void *blocks[ROOM + 100];
	struct fixture f;

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < ROOM + 100; i++)
		assert_non_null(blocks[i] = jd_lane_alloc(&f.lane, UNITS));
	for (size_t i = 0; i < ROOM + 100; i++)
		jd_lane_free(&f.lane, blocks[i], UNITS);
	assert_true(count_allocator_live(&f.memory) <= ROOM + 1);
	jd_lane_fini(&f.lane);
	assert_int_equal(count_allocator_live(&f.memory), 0);
	assert_int_equal(f.memory.misfits, 0);
}

static void test_no_memory(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	count_allocator_fail(&f.memory, 1, 1);
	assert_null(jd_lane_alloc(&f.lane, UNITS));
	jd_lane_fini(&f.lane);
	assert_int_equal(refs(&f), 1);
}

/* --- On a scheduler: tasks made by a worker, ended by workers and by the owner of a handle --- */

static void *nothing(void *arg)
{
	return arg;
}

struct spawner {
	struct jd_scheduler *scheduler;
	struct jd_task *kept; /* outlives the scheduler's end */
	jd_status status;
};

static void *spawn_many(void *arg)
{
	struct spawner *self = arg;

	self->status = jd_spawn_fn(self->scheduler, nothing, NULL, &self->kept);
	for (int i = 0; i < MANY && self->status == JD_OK; i++)
		self->status = jd_spawn_fn(self->scheduler, nothing, NULL, NULL);
	return NULL;
}

static void test_scheduler_leaves_nothing(void **state)
{
	struct count_allocator memory;
	struct spawner self = {.status = JD_PENDING};

	(void)state;
	count_allocator_init(&memory);
	const struct jd_ws_options options = {.workers = 2, .allocator = &memory.base};

	assert_int_equal(jd_ws_scheduler_new(&options, &self.scheduler), JD_OK);
	assert_int_equal(jd_spawn_fn(self.scheduler, spawn_many, &self, NULL), JD_OK);
	assert_int_equal(jd_scheduler_drain(self.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(self.status, JD_OK);
	assert_int_equal(jd_scheduler_destroy(self.scheduler), JD_OK);
	/* The handle keeps the scheduler's memory, and nothing else does. */
	assert_true(count_allocator_live(&memory) > 1);
	assert_true(jd_task_is_finished(self.kept));
	jd_task_detach(self.kept);
	assert_int_equal(count_allocator_live(&memory), 0);
	assert_int_equal(memory.misfits, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_blocks_are_recycled),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_scheduler_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
