/* test_placement.c - where workers are put on machines we do not have. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sched.h>

#include <cmocka.h>

#include "runtime/placement.h"

/* 2 NUMA nodes of 2 shared L3 of 4 cores with 2 threads each: 32 CPUs, 16 cores. */
static const char server[] = "pack:2 [numa] l3:2 l2:4 core:1 pu:2";

struct machine {
	struct jd_topology *topology;
	struct jd_placement placement;
};

static void machine_init(struct machine *m, const char *description,
			 enum jd_placement_policy policy, unsigned workers)
{
	setenv("HWLOC_SYNTHETIC", description, 1);
	assert_int_equal(jd_topology_new(jd_allocator_default(), false, &m->topology), JD_OK);
	unsetenv("HWLOC_SYNTHETIC");
	assert_int_equal(jd_placement_init(&m->placement, jd_allocator_default(), m->topology,
					   policy, workers, false),
			 JD_OK);
}

static void machine_fini(struct machine *m)
{
	jd_placement_fini(&m->placement);
	jd_topology_free(m->topology);
}

static unsigned apart(const struct machine *m, unsigned a, unsigned b)
{
	return jd_placement_distance(&m->placement, a, b);
}

/* The smallest and the largest distance between two of the workers [first, end). */
static void check_apart(const struct machine *m, unsigned first, unsigned end, unsigned least,
			unsigned most)
{
	for (unsigned a = first; a < end; a++) {
		for (unsigned b = first; b < a; b++) {
			assert_in_range(apart(m, a, b), least, most);
		}
	}
}

static void test_compact_fills_a_cache_then_a_node(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, server, JD_PLACEMENT_COMPACT, 17);
	check_apart(&m, 0, 4, 2, 2);
	check_apart(&m, 4, 8, 2, 2);
	check_apart(&m, 0, 8, 2, 3);
	assert_int_equal(apart(&m, 0, 4), 3);
	check_apart(&m, 8, 16, 2, 3);
	assert_int_equal(apart(&m, 0, 8), 4);
	/* All 16 cores have one: the next shares one. */
	check_apart(&m, 0, 16, 2, 4);
	assert_int_equal(apart(&m, 0, 16), 1);
	machine_fini(&m);
}

static void test_scatter_keeps_apart(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, server, JD_PLACEMENT_SCATTER, 8);
	assert_int_equal(apart(&m, 0, 1), 4);
	check_apart(&m, 0, 4, 3, 4);
	check_apart(&m, 0, 8, 2, 4);
	machine_fini(&m);
}

static void test_numa_keeps_together_on_each_node(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, server, JD_PLACEMENT_NUMA, 8);
	for (unsigned a = 0; a < 8; a++) {
		for (unsigned b = 0; b < a; b++)
			assert_int_equal(apart(&m, a, b), (a + b) % 2 ? 4 : 2);
	}
	machine_fini(&m);
}

static void test_no_two_on_a_core_while_another_is_free(void **state)
{
	struct machine m;

	(void)state;
	for (int policy = JD_PLACEMENT_COMPACT; policy <= JD_PLACEMENT_NUMA; policy++) {
		machine_init(&m, server, (enum jd_placement_policy)policy, 16);
		check_apart(&m, 0, 16, 2, 4);
		machine_fini(&m);
		machine_init(&m, "pack:1 l3:1 core:3 pu:2", (enum jd_placement_policy)policy, 6);
		check_apart(&m, 0, 3, 2, 2);
		check_apart(&m, 0, 6, 1, 2);
		machine_fini(&m);
	}
}

static void test_more_workers_than_cpus_begin_again(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, "core:2 pu:1", JD_PLACEMENT_SCATTER, 5);
	assert_int_equal(m.placement.homes[2], m.placement.homes[0]);
	assert_int_equal(m.placement.homes[4], m.placement.homes[0]);
	assert_int_not_equal(m.placement.homes[1], m.placement.homes[0]);
	machine_fini(&m);
}

static void test_none_has_no_homes(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, server, JD_PLACEMENT_NONE, 4);
	assert_int_equal(apart(&m, 0, 1), apart(&m, 2, 3));
	assert_int_equal(jd_placement_here(&m.placement), -1);
	assert_false(jd_placement_bind(&m.placement, 0));
	assert_string_equal(jd_placement_text(&m.placement), "none");
	machine_fini(&m);
}

static void *no_memory(void *ctx, size_t size, size_t align)
{
	unsigned *left = ctx;

	if (!*left)
		return NULL;
	--*left;
	return aligned_alloc(align, (size + align - 1) / align * align);
}

static void give_back(void *ctx, void *ptr, size_t size, size_t align)
{
	(void)ctx;
	(void)size;
	(void)align;
	free(ptr);
}

static void test_without_memory_nothing_is_left(void **state)
{
	struct jd_topology *t;
	struct jd_placement placement;

	(void)state;
	assert_int_equal(jd_topology_new(jd_allocator_default(), false, &t), JD_OK);
	for (unsigned n = 0; n < 2; n++) {
		unsigned left = n;
		const struct jd_allocator allocator = {no_memory, give_back, &left};

		assert_int_equal(jd_placement_init(&placement, &allocator, t, JD_PLACEMENT_COMPACT,
						   4, false),
				 JD_ENOMEM);
		jd_placement_fini(&placement);
	}
	jd_topology_free(t);
}

static unsigned affinity_count(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 0 : (unsigned)CPU_COUNT(&set);
}

struct bound {
	struct jd_topology *topology;
	bool pin, done;
	unsigned cpus; /* this thread may use afterwards */
};

static void bind_one(void *arg)
{
	struct bound *bound = arg;
	struct jd_placement placement;

	if (jd_placement_init(&placement, jd_allocator_default(), bound->topology,
			      JD_PLACEMENT_COMPACT, 1, bound->pin) != JD_OK)
		return;
	bound->done = jd_placement_bind(&placement, 0);
	jd_placement_fini(&placement);
	bound->cpus = affinity_count();
}

static void test_a_real_thread_is_bound(void **state)
{
	struct bound bound = {0};

	(void)state;
	assert_int_equal(jd_topology_new(jd_allocator_default(), false, &bound.topology), JD_OK);
	bound.pin = true;

	struct jd_thread thread;

	assert_int_equal(jd_thread_start(&thread, "bound", 0, bind_one, &bound), JD_OK);
	jd_thread_join(&thread);
	assert_int_equal(bound.done, jd_topology_cpus(bound.topology) > 1);
	if (bound.done)
		assert_int_equal(bound.cpus, 1);
	jd_topology_free(bound.topology);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compact_fills_a_cache_then_a_node),
		cmocka_unit_test(test_scatter_keeps_apart),
		cmocka_unit_test(test_numa_keeps_together_on_each_node),
		cmocka_unit_test(test_no_two_on_a_core_while_another_is_free),
		cmocka_unit_test(test_more_workers_than_cpus_begin_again),
		cmocka_unit_test(test_none_has_no_homes),
		cmocka_unit_test(test_without_memory_nothing_is_left),
		cmocka_unit_test(test_a_real_thread_is_bound),
	};

	return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
