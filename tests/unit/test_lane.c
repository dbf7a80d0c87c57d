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

static void discard(struct jd_scheduler *scheduler, void *block, unsigned units)
{
	jd_memory_free(scheduler->allocator, block, (size_t)units * JD_LANE_UNIT,
		       alignof(max_align_t));
}

static void set_up(struct fixture *f)
{
	count_allocator_init(&f->memory);
	f->scheduler = (struct jd_scheduler){.allocator = &f->memory.base};
	atomic_init(&f->scheduler._refs, 1);
	jd_lane_init(&f->lane, &f->scheduler, NULL, discard);
}

static void *lane_alloc(struct jd_lane *lane, unsigned units)
{
	void *block = jd_lane_take(lane, units);

	return block ? block
		     : jd_memory_alloc(lane->scheduler->allocator, (size_t)units * JD_LANE_UNIT,
				       alignof(max_align_t));
}

static void lane_free(struct jd_lane *lane, void *block, unsigned units)
{
	if (!jd_lane_keep(lane, block, units))
		discard(lane->scheduler, block, units);
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
	void *a = lane_alloc(&f.lane, UNITS), *b = lane_alloc(&f.lane, UNITS);
	void *other = lane_alloc(&f.lane, UNITS + 1);

	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(other);
	lane_free(&f.lane, a, UNITS);
	lane_free(&f.lane, other, UNITS + 1);
	lane_free(&f.lane, b, UNITS);
	assert_int_equal(count_allocator_live(&f.memory), 3);
	assert_ptr_equal(lane_alloc(&f.lane, UNITS), b);
	assert_ptr_equal(lane_alloc(&f.lane, UNITS), a);
	assert_ptr_equal(lane_alloc(&f.lane, UNITS + 1), other);
	lane_free(&f.lane, a, UNITS);
	lane_free(&f.lane, b, UNITS);
	lane_free(&f.lane, other, UNITS + 1);
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
		assert_non_null(blocks[i] = lane_alloc(&f.lane, UNITS));
	for (size_t i = 0; i < ROOM + 100; i++)
		lane_free(&f.lane, blocks[i], UNITS);
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
	assert_null(lane_alloc(&f.lane, UNITS));
	jd_lane_fini(&f.lane);
	assert_int_equal(refs(&f), 1);
}

/* --- Kept entries of the registry ------------------------------------------------------------ */

static bool count_entry(void *arg, struct jd_registry_entry *entry)
{
	(void)entry;
	++*(int *)arg;
	return true;
}

static int listed(struct jd_registry *registry)
{
	int n = 0;

	jd_registry_each(registry, count_entry, &n);
	return n;
}

/* However often it is used, an entry never has an id again, and is found by the last one only. */
static void test_ids_are_never_used_twice(void **state)
{
	enum {
		USES = 3 * JD_REGISTRY_USES
	};
	static jd_task_id ids[USES];
	struct jd_registry_entry entry = {NULL, NULL, 0}, own = {NULL, NULL, 0};
	struct jd_registry *registry;

	(void)state;
	assert_int_equal(jd_registry_new(jd_allocator_default(), &registry), JD_OK);
	assert_int_equal(jd_registry_add_tallies(registry, 1), JD_OK);
	struct jd_registry_tally *tally = registry->tallies;

	jd_registry_insert(registry, &own);
	for (int i = 0; i < USES; i++) {
		jd_registry_begin(registry, tally, &entry);
		ids[i] = jd_registry_entry_id(&entry);
		assert_true(jd_registry_contains(registry, ids[i]));
		assert_true(jd_registry_contains(registry, jd_registry_entry_id(&own)));
		assert_int_equal(jd_registry_count(registry), 2);
		assert_int_equal(listed(registry), 2);
		for (int j = 0; j < i; j++) {
			assert_int_not_equal(ids[j], ids[i]);
			assert_false(jd_registry_contains(registry, ids[j]));
		}
		jd_registry_end(tally, &entry);
		assert_false(jd_registry_contains(registry, ids[i]));
		assert_int_equal(jd_registry_entry_id(&entry), ids[i]);
		assert_int_equal(listed(registry), 1);
	}
	jd_registry_remove(registry, &own);
	assert_true(jd_registry_is_empty(registry));
	jd_registry_discard(registry, &entry);
	jd_registry_free(registry);
}

/* It is empty when all have ended, wherever, and not before. */
static void test_tallies(void **state)
{
	enum {
		TALLIES = 3
	};
	struct jd_registry_entry entries[TALLIES] = {{NULL, NULL, 0}};
	struct jd_registry *registry;

	(void)state;
	assert_int_equal(jd_registry_new(jd_allocator_default(), &registry), JD_OK);
	assert_int_equal(jd_registry_add_tallies(registry, TALLIES), JD_OK);
	assert_true(jd_registry_is_empty(registry));
	for (int i = 0; i < TALLIES; i++)
		jd_registry_begin(registry, &registry->tallies[i], &entries[i]);
	for (int i = 0; i < TALLIES; i++) {
		assert_false(jd_registry_is_empty(registry));
		assert_int_equal(jd_registry_count(registry), TALLIES - i);
		if (i == 1)
			jd_registry_end_elsewhere(registry, &entries[i]);
		else
			jd_registry_end(&registry->tallies[TALLIES - 1], &entries[i]);
	}
	assert_true(jd_registry_is_empty(registry));
	for (int i = 0; i < TALLIES; i++)
		jd_registry_discard(registry, &entries[i]);
	jd_registry_free(registry);
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

/* A drain that waits while children of workers end, again and again; and what runs is listed. */
static void test_drain_is_told_of_the_last(void **state)
{
	struct spawner self = {.status = JD_PENDING};
	const struct jd_ws_options options = {.workers = 2};

	(void)state;
	assert_int_equal(jd_ws_scheduler_new(&options, &self.scheduler), JD_OK);
	for (int i = 0; i < 200; i++) {
		struct jd_task *task;

		assert_int_equal(jd_spawn_fn(self.scheduler, spawn_many, &self, &task), JD_OK);
		assert_int_equal(jd_scheduler_drain(self.scheduler, JD_NEVER), JD_OK);
		assert_int_equal(jd_scheduler_task_count(self.scheduler), 0);
		assert_false(jd_is_task_running(self.scheduler, jd_task_get_id(self.kept)));
		jd_task_detach(self.kept);
		jd_task_detach(task);
	}
	assert_int_equal(jd_scheduler_destroy(self.scheduler), JD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_blocks_are_recycled),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_ids_are_never_used_twice),
		cmocka_unit_test(test_tallies),
		cmocka_unit_test(test_drain_is_told_of_the_last),
		cmocka_unit_test(test_scheduler_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
