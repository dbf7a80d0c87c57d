/* test_lane.c - the stocks of a worker: exact references, recycled blocks, nothing left behind. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/atomic.h"
#include "runtime/lane.h"
#include "tests/conformance/count_allocator.h"

enum {
	MANY = 5 * JD_LANE_REFS,
	UNITS = 3,
	BLOCK = UNITS * JD_LANE_UNIT,
	DEPOT = JD_DEPOT_BYTES / BLOCK, /* blocks in it at most */
	LANE = 2 * JD_MAGAZINE,         /* blocks in a lane at most */
	SLAB = JD_SLAB_BYTES / BLOCK,   /* blocks in a slab */
};

/* A scheduler of which a lane needs the allocator and the count of references only. */
struct fixture {
	struct count_allocator memory;
	struct jd_scheduler scheduler;
	struct jd_registry_tally tally;
	struct jd_slabs *slabs;
	struct jd_lane lane, other;
};

static void set_up(struct fixture *f)
{
	count_allocator_init(&f->memory);
	f->scheduler = (struct jd_scheduler){.allocator = &f->memory.base};
	f->tally = (struct jd_registry_tally){0};
	atomic_init(&f->scheduler._refs, 1);
	assert_int_equal(jd_slabs_new(&f->memory.base, sizeof(struct jd_slab_block), &f->slabs),
			 JD_OK);
	jd_lane_init(&f->lane, &f->scheduler, &f->tally, f->slabs);
	jd_lane_init(&f->other, &f->scheduler, &f->tally, f->slabs);
}

static void tear_down(struct fixture *f)
{
	jd_lane_fini(&f->lane);
	jd_lane_fini(&f->other);
	jd_slabs_free(f->slabs);
	assert_int_equal(count_allocator_live(&f->memory), 0);
	assert_int_equal(f->memory.misfits, 0);
}

/* As a task that begins there, and says so in its block. */
static void *begin(struct jd_lane *lane, unsigned units)
{
	struct jd_slab_block *block = jd_lane_take(lane, units);

	assert_non_null(block);
	jd_registry_begin(lane->tally, &block->word);
	memset(block + 1, 0xd5, (size_t)units * JD_LANE_UNIT - sizeof(*block));
	return block;
}

static void end(struct jd_lane *lane, void *ptr, unsigned units)
{
	struct jd_slab_block *block = ptr;

	jd_registry_end(lane->tally, &block->word);
	jd_lane_keep(lane, block, units);
}

static uint64_t allocs(struct fixture *f)
{
	return atomic_load_explicit(&f->memory.allocs, memory_order_relaxed);
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
	tear_down(&f);
	assert_int_equal(refs(&f), 1);
}

static void test_sizes(void **state)
{
	(void)state;
	if (JD_ADDRESS_CHECKED) {
		assert_int_equal(jd_lane_units(1), 0);
		return;
	}
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
	set_up(&f);
	void *a = begin(&f.lane, UNITS), *b = begin(&f.lane, UNITS);
	void *other = begin(&f.lane, UNITS + 1);

	end(&f.lane, a, UNITS);
	end(&f.lane, other, UNITS + 1);
	end(&f.lane, b, UNITS);
	assert_ptr_equal(begin(&f.lane, UNITS), b);
	assert_ptr_equal(begin(&f.lane, UNITS), a);
	assert_ptr_equal(begin(&f.lane, UNITS + 1), other);
	end(&f.lane, a, UNITS);
	end(&f.lane, b, UNITS);
	end(&f.lane, other, UNITS + 1);
	tear_down(&f);
}

/* Blocks are apart from each other, and a new one is clear as far as was asked for. */
static void test_blocks_are_whole(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	for (unsigned units = 1; units <= JD_LANE_UNITS_MAX; units++) {
		struct jd_slab_block *blocks[LANE];

		for (int i = 0; i < LANE; i++) {
			blocks[i] = begin(&f.lane, units);
			assert_int_equal((uintptr_t)blocks[i] % JD_LANE_UNIT, 0);
			for (int j = 0; j < i; j++)
				assert_int_not_equal(jd_task_word_id(&blocks[j]->word),
						     jd_task_word_id(&blocks[i]->word));
		}
		for (int i = 0; i < LANE; i++)
			end(&f.lane, blocks[i], units);
	}
	tear_down(&f);
}

/* What is kept is bounded, and the rest goes back to the allocator. */
static void test_bound(void **state)
{
	enum {
		COUNT = 3 * (DEPOT + LANE)
	};
	static void *blocks[COUNT];
	struct fixture f;

	(void)state;
	set_up(&f);
	uint64_t none = atomic_load_explicit(&f.memory.bytes, memory_order_relaxed);

	for (size_t i = 0; i < COUNT; i++)
		blocks[i] = begin(&f.lane, UNITS);
	assert_true(f.memory.bytes > none + COUNT * BLOCK);
	/* So that whole slabs come home. */
	for (size_t i = 0; i < COUNT; i++)
		end(&f.lane, blocks[i], UNITS);
	uint64_t kept = atomic_load_explicit(&f.memory.bytes, memory_order_relaxed) - none;

	assert_true(kept > DEPOT * BLOCK);
	assert_true(kept <= (DEPOT + LANE + 2 * SLAB) * (BLOCK + 8));
	tear_down(&f);
}

/* One makes tasks, another ends them: the blocks come back by the magazine. */
static void test_lopsided(void **state)
{
	enum {
		ROUNDS = 1000,
		WAVE = DEPOT / 2
	};
	static void *blocks[WAVE];
	struct fixture f;
	uint64_t first = 0;

	(void)state;
	set_up(&f);
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < WAVE; i++)
			blocks[i] = begin(&f.lane, UNITS);
		for (size_t i = 0; i < WAVE; i++)
			end(&f.other, blocks[i], UNITS);
		if (round == 1)
			first = allocs(&f);
	}
	print_message("  %d tasks, %d allocations\n", ROUNDS * WAVE, (int)allocs(&f));
	assert_int_equal(allocs(&f), first);
	tear_down(&f);
}

/* Beyond what is kept the allocator is asked for many blocks at once, and given many. */
static void test_bursts(void **state)
{
	enum {
		ROUNDS = 20,
		COUNT = 4 * DEPOT
	};
	static void *blocks[COUNT];
	struct fixture f;

	(void)state;
	set_up(&f);
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < COUNT; i++)
			blocks[i] = begin(&f.lane, UNITS);
		for (size_t i = 0; i < COUNT; i++)
			end(&f.lane, blocks[i], UNITS);
	}
	print_message("  %d tasks, %d allocations\n", ROUNDS * COUNT, (int)allocs(&f));
	assert_true(allocs(&f) * JD_MAGAZINE <= ROUNDS * COUNT);
	tear_down(&f);
}

static void test_no_memory(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	for (uint64_t i = 1; i <= 2; i++) {
		count_allocator_fail(&f.memory, i, i); /* the slab, then the table */
		assert_null(jd_lane_take(&f.lane, UNITS));
	}
	count_allocator_fail(&f.memory, 0, 0);
	end(&f.lane, begin(&f.lane, UNITS), UNITS);
	tear_down(&f);
	assert_int_equal(refs(&f), 1);
}

/* --- Ids ------------------------------------------------------------------------------------- */

static bool count_word(void *arg, struct jd_task_word *word)
{
	(void)word;
	++*(int *)arg;
	return true;
}

/* However often it is used, a block never has an id again, also after its slab has gone. */
static void test_ids_are_never_used_twice(void **state)
{
	enum {
		COUNT = 3 * LANE,
		ROUNDS = 6
	};
	static jd_task_id ids[ROUNDS][COUNT];
	static void *blocks[COUNT];
	struct fixture f;

	(void)state;
	set_up(&f);
	for (int round = 0; round < ROUNDS; round++) {
		int n = 0;

		for (int i = 0; i < COUNT; i++) {
			struct jd_slab_block *block = blocks[i] = begin(&f.lane, UNITS);

			ids[round][i] = jd_task_word_id(&block->word);
			assert_true(jd_slabs_contain(f.slabs, ids[round][i]));
		}
		assert_true(jd_slabs_each(f.slabs, count_word, &n));
		assert_int_equal(n, COUNT);
		for (int r = 0; r < round; r++) {
			for (int i = 0; i < COUNT; i++)
				assert_false(jd_slabs_contain(f.slabs, ids[r][i]));
		}
		for (int i = 0; i < COUNT; i++) {
			end(&f.lane, blocks[i], UNITS);
			assert_false(jd_slabs_contain(f.slabs, ids[round][i]));
		}
		if (round % 2) {
			jd_lane_fini(&f.lane);
			while ((blocks[0] = jd_depot_take(&f.slabs->depots[UNITS],
							  jd_slabs_room(UNITS))) != NULL)
				jd_slabs_give_home(f.slabs, blocks[0]);
		}
	}
	tear_down(&f);
}

/* A block whose count is at its end is not used again; when all are, nor is the slab's place. */
static void test_worn_blocks(void **state)
{
	struct fixture f;
	struct jd_slab_block *blocks[SLAB];

	(void)state;
	set_up(&f);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < SLAB; i++) {
			blocks[i] = jd_lane_take(&f.lane, UNITS);
			assert_non_null(blocks[i]);
			assert_int_equal(blocks[i]->word.bits >> JD_SLAB_INDEX_SHIFT, round);
			blocks[i]->word.bits |= JD_SLAB_WORN - JD_SLAB_USE;
		}
		/* Each is good for one more. */
		for (int i = 0; i < SLAB; i++) {
			jd_registry_begin(&f.tally, &blocks[i]->word);
			assert_true(jd_slabs_contain(f.slabs, jd_task_word_id(&blocks[i]->word)));
			end(&f.lane, blocks[i], UNITS);
		}
	}
	uint64_t before = allocs(&f);

	begin(&f.lane, UNITS);
	assert_int_equal(allocs(&f), before + 1);
	tear_down(&f);
}

/* An entry of its own has an id that no kept one has. */
static void test_own_entries(void **state)
{
	struct jd_registry_entry entry = {NULL, NULL, {0}};
	struct jd_registry *registry;
	int n = 0;

	(void)state;
	assert_int_equal(jd_registry_new(jd_allocator_default(), &registry), JD_OK);
	assert_int_equal(jd_registry_keep(registry, 1, sizeof(struct jd_slab_block)), JD_OK);
	jd_registry_insert(registry, &entry);
	jd_task_id id = jd_task_word_id(&entry.word);

	assert_int_equal(id % 2, 0);
	assert_true(jd_registry_contains(registry, id));
	assert_false(jd_registry_contains(registry, id + 1));
	assert_int_equal(jd_registry_count(registry), 1);
	jd_registry_each(registry, count_word, &n);
	assert_int_equal(n, 1);
	jd_registry_remove(registry, &entry);
	assert_false(jd_registry_contains(registry, id));
	assert_true(jd_registry_is_empty(registry));
	jd_registry_free(registry);
}

/* It is empty when all have ended, wherever, and not before. */
static void test_tallies(void **state)
{
	enum {
		TALLIES = 3
	};
	struct jd_task_word entries[TALLIES] = {{0}};
	struct jd_registry *registry;

	(void)state;
	assert_int_equal(jd_registry_new(jd_allocator_default(), &registry), JD_OK);
	assert_int_equal(jd_registry_keep(registry, TALLIES, sizeof(struct jd_slab_block)), JD_OK);
	assert_true(jd_registry_is_empty(registry));
	for (int i = 0; i < TALLIES; i++)
		jd_registry_begin(&registry->tallies[i], &entries[i]);
	for (int i = 0; i < TALLIES; i++) {
		assert_false(jd_registry_is_empty(registry));
		assert_int_equal(jd_registry_count(registry), TALLIES - i);
		if (i == 1)
			jd_registry_end_elsewhere(registry, &entries[i]);
		else
			jd_registry_end(&registry->tallies[TALLIES - 1], &entries[i]);
	}
	assert_true(jd_registry_is_empty(registry));
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

/* Tasks from outside end on workers: their blocks find their way back to who is outside. */
static void test_from_outside(void **state)
{
	enum {
		ROUNDS = 50,
		WAVE = 2000
	};
	struct jd_scheduler *scheduler;
	struct count_allocator memory;
	const struct jd_ws_options options = {.workers = 2, .allocator = &memory.base};

	(void)state;
	if (JD_ADDRESS_CHECKED)
		skip();
	count_allocator_init(&memory);
	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < WAVE; i++)
			assert_int_equal(jd_spawn_fn(scheduler, nothing, NULL, NULL), JD_OK);
		assert_int_equal(jd_scheduler_drain(scheduler, JD_NEVER), JD_OK);
	}
	print_message("  %d tasks, %d allocations\n", ROUNDS * WAVE, (int)memory.allocs);
	assert_true(memory.allocs < ROUNDS * WAVE / 20);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	assert_int_equal(count_allocator_live(&memory), 0);
	assert_int_equal(memory.misfits, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_blocks_are_recycled),
		cmocka_unit_test(test_blocks_are_whole),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_lopsided),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_ids_are_never_used_twice),
		cmocka_unit_test(test_worn_blocks),
		cmocka_unit_test(test_own_entries),
		cmocka_unit_test(test_tallies),
		cmocka_unit_test(test_drain_is_told_of_the_last),
		cmocka_unit_test(test_scheduler_leaves_nothing),
		cmocka_unit_test(test_from_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
