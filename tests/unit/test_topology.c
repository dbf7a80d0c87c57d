/* test_topology.c - the CPUs we may use: how many, how far apart, and binding to them. */
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

#include "platform/platform.h"
#include "tests/testlib/death.h"

/* Fails an allocation when told to, and knows what is out. One thread at a time. */
struct counting {
	struct jd_allocator base;
	size_t bytes_out;
	bool fail;
	unsigned fail_after; /* so many */
};

static void *counting_alloc(void *ctx, size_t size, size_t align)
{
	struct counting *c = ctx;
	size_t rounded = (size + align - 1) / align * align;
	bool fails = c->fail && c->fail_after-- == 0;
	void *p = fails ? NULL : aligned_alloc(align, rounded);

	if (p)
		c->bytes_out += size;
	return p;
}

static void counting_free(void *ctx, void *ptr, size_t size, size_t align)
{
	struct counting *c = ctx;

	(void)align;
	c->bytes_out -= size;
	free(ptr);
}

static void counting_init(struct counting *c)
{
	*c = (struct counting){.base = {counting_alloc, counting_free, c}};
}

static unsigned affinity_count(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 0 : (unsigned)CPU_COUNT(&set);
}

#ifdef TEST_HWLOC
#define SOURCE "hwloc: "
#else
#define SOURCE "affinity mask: "
#endif

/* What must hold of every topology. */
static void check_sane(const struct jd_topology *t)
{
	unsigned n = jd_topology_cpus(t);

	assert_true(n >= 1);
	assert_true(jd_topology_parallelism(t) >= 1);
	assert_true(jd_topology_parallelism(t) <= n);
	assert_non_null(jd_topology_source(t));
	assert_true(strlen(jd_topology_source(t)) > 0);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; j < n; j++) {
			unsigned d = jd_topology_distance(t, i, j);

			assert_int_equal(d, jd_topology_distance(t, j, i));
			assert_true((d == 0) == (i == j));
			assert_true(d <= 4);
		}
	}
}

static void test_this_machine(void **state)
{
	struct counting c;
	struct jd_topology *t;

	(void)state;
	counting_init(&c);
	assert_int_equal(jd_topology_new(&c.base, false, &t), JD_OK);
	print_message("           %s\n", jd_topology_source(t));
	assert_int_equal(jd_topology_cpus(t), affinity_count());
	assert_int_equal(strncmp(jd_topology_source(t), SOURCE, strlen(SOURCE)), 0);
	check_sane(t);
	jd_topology_free(t);
	jd_topology_free(NULL);
	assert_int_equal(c.bytes_out, 0);
}

/* The same CPUs without caches and nodes; an allocation that fails leaves nothing. */
static void test_flat(void **state)
{
	static const char source[] = "affinity mask: ";
	struct counting c;
	struct jd_topology *t;

	(void)state;
	counting_init(&c);
	assert_int_equal(jd_topology_new(&c.base, true, &t), JD_OK);
	assert_int_equal(jd_topology_cpus(t), affinity_count());
	assert_int_equal(strncmp(jd_topology_source(t), source, strlen(source)), 0);
	check_sane(t);
	for (unsigned i = 1; i < jd_topology_cpus(t); i++)
		assert_int_equal(jd_topology_distance(t, 0, i), 3);
	jd_topology_free(t);
	for (unsigned n = 0; n < 2; n++) {
		c.fail_after = n;
		c.fail = true;
		assert_int_equal(jd_topology_new(&c.base, true, &t), JD_ENOMEM);
	}
	assert_int_equal(c.bytes_out, 0);
}

static void test_bad_arguments_and_no_memory(void **state)
{
	struct counting c;
	struct jd_topology *t = NULL;

	(void)state;
	counting_init(&c);
	c.fail = true;
	assert_int_equal(jd_topology_new(&c.base, false, &t), JD_ENOMEM);
	c.fail = false;
	assert_int_equal(jd_topology_new(NULL, false, &t), JD_EINVAL);
	assert_int_equal(jd_topology_new(&c.base, false, NULL), JD_EINVAL);
	assert_int_equal(jd_topology_new(&c.base, false, &t), JD_OK);
	assert_int_equal(jd_topology_pin(t, jd_topology_cpus(t)), JD_EINVAL);
	assert_int_equal(jd_topology_pin(t, UINT32_MAX), JD_EINVAL);
	assert_int_equal(jd_topology_pin(NULL, 0), JD_EINVAL);
	jd_topology_free(t);
	assert_int_equal(c.bytes_out, 0);
}

static void distance_from_nowhere(void *arg)
{
	const struct jd_topology *t = arg;

	jd_topology_distance(t, 0, jd_topology_cpus(t));
}

static void distance_to_nowhere(void *arg)
{
	const struct jd_topology *t = arg;

	jd_topology_distance(t, jd_topology_cpus(t), 0);
}

static void test_distance_of_no_cpu_aborts(void **state)
{
	struct counting c;
	struct jd_topology *t;

	(void)state;
	counting_init(&c);
	assert_int_equal(jd_topology_new(&c.base, false, &t), JD_OK);
	assert_true(death_aborts(distance_from_nowhere, t, "INTERNAL: i < topology->cpus"));
	assert_true(death_aborts(distance_to_nowhere, t, "INTERNAL: i < topology->cpus"));
	jd_topology_free(t);
}

/* --- What needs a thread of its own, because it changes the thread's mask --------------------- */

struct visit {
	const struct jd_topology *topology;
	unsigned pinned, landed, nested, masked, source; /* counts of what went right */
};

/* Binds itself to each CPU in turn and finds itself there, alone on the mask. */
static void pin_everywhere(void *arg)
{
	struct visit *v = arg;

	for (unsigned i = 0; i < jd_topology_cpus(v->topology); i++) {
		v->pinned += jd_topology_pin(v->topology, i) == JD_OK;
		v->masked += affinity_count() == 1;
		v->landed += jd_topology_current(v->topology) == (int)i;
	}
}

static void test_pin(void **state)
{
	struct counting c;
	struct jd_thread thread;
	struct jd_topology *t;
	struct visit v = {0};
	unsigned before = affinity_count();

	(void)state;
	counting_init(&c);
	assert_int_equal(jd_topology_new(&c.base, false, &t), JD_OK);
	v.topology = t;
	assert_int_equal(jd_thread_start(&thread, "pin", 0, pin_everywhere, &v), JD_OK);
	jd_thread_join(&thread);
	assert_int_equal(v.pinned, jd_topology_cpus(t));
	assert_int_equal(v.masked, jd_topology_cpus(t));
	assert_int_equal(v.landed, jd_topology_cpus(t));
	assert_int_equal(affinity_count(), before);
	jd_topology_free(t);
}

/* A topology made by a thread that we pinned is that of the process. */
static void discover_pinned(void *arg)
{
	struct visit *v = arg;
	struct counting c;
	struct jd_topology *t;

	counting_init(&c);
	v->pinned = jd_topology_pin(v->topology, 0) == JD_OK;
	if (jd_topology_new(&c.base, false, &t) != JD_OK)
		return;
	v->nested = jd_topology_cpus(t);
	jd_topology_free(t);
}

/* A topology made by a thread whose user narrowed its mask has no other CPU. */
static void discover_narrowed(void *arg)
{
	struct visit *v = arg;
	struct counting c;
	struct jd_topology *t;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	counting_init(&c);
	v->masked = sched_setaffinity(0, sizeof(set), &set) == 0;
	if (jd_topology_new(&c.base, false, &t) != JD_OK)
		return;
	v->nested = jd_topology_cpus(t);
	v->landed = jd_topology_current(t) == 0;
	v->source = strncmp(jd_topology_source(t), SOURCE "1 CPU;", strlen(SOURCE "1 CPU;")) == 0;
	jd_topology_free(t);
}

static void test_discovery_inside_a_thread(void **state)
{
	struct counting c;
	struct jd_thread thread;
	struct jd_topology *t;
	struct visit pinned = {0}, narrowed = {0};

	(void)state;
	counting_init(&c);
	assert_int_equal(jd_topology_new(&c.base, false, &t), JD_OK);
	pinned.topology = t;
	assert_int_equal(jd_thread_start(&thread, "pin", 0, discover_pinned, &pinned), JD_OK);
	jd_thread_join(&thread);
	assert_int_equal(pinned.pinned, 1);
	assert_int_equal(pinned.nested, jd_topology_cpus(t));

	assert_int_equal(jd_thread_start(&thread, "mask", 0, discover_narrowed, &narrowed), JD_OK);
	jd_thread_join(&thread);
	assert_int_equal(narrowed.masked, 1);
	assert_int_equal(narrowed.nested, 1);
	assert_int_equal(narrowed.landed, 1);
	assert_int_equal(narrowed.source, 1);
	jd_topology_free(t);
}

/* --- Machines we do not have ------------------------------------------------------------------ */

#ifdef TEST_HWLOC

static struct jd_topology *described(struct counting *c, const char *description)
{
	struct jd_topology *t;

	counting_init(c);
	setenv("HWLOC_SYNTHETIC", description, 1);
	assert_int_equal(jd_topology_new(&c->base, false, &t), JD_OK);
	unsetenv("HWLOC_SYNTHETIC");
	check_sane(t);
	return t;
}

static void count_distances(const struct jd_topology *t, unsigned i, unsigned count[5])
{
	memset(count, 0, 5 * sizeof(count[0]));
	for (unsigned j = 0; j < jd_topology_cpus(t); j++)
		count[jd_topology_distance(t, i, j)]++;
}

/* 2 NUMA nodes of 2 shared L3 of 4 cores with an L2 of their own and 2 threads each: 32 CPUs. */
static void test_distances_of_a_server(void **state)
{
	struct counting c;
	struct jd_topology *t = described(&c, "pack:2 [numa] l3:2 l2:4 core:1 pu:2");

	(void)state;
	assert_int_equal(jd_topology_cpus(t), 32);
	for (unsigned i = 0; i < 32; i++) {
		unsigned count[5];

		count_distances(t, i, count);
		assert_int_equal(count[0], 1);
		assert_int_equal(count[1], 1);
		assert_int_equal(count[2], 6);
		assert_int_equal(count[3], 8);
		assert_int_equal(count[4], 16);
	}
	jd_topology_free(t);
	assert_int_equal(c.bytes_out, 0);
}

static void test_distances_without_caches(void **state)
{
	struct counting c;
	struct jd_topology *t = described(&c, "numa:2 core:8 pu:2");
	unsigned count[5];

	(void)state;
	assert_int_equal(jd_topology_cpus(t), 32);
	count_distances(t, 0, count);
	assert_int_equal(count[1], 1);
	assert_int_equal(count[2], 0);
	assert_int_equal(count[3], 14);
	assert_int_equal(count[4], 16);
	jd_topology_free(t);
}

/* Whoever uses only the first n CPUs gets n cores, as long as there are that many. */
static void test_cores_come_before_siblings(void **state)
{
	struct counting c;
	struct jd_topology *t = described(&c, "numa:2 core:4 pu:2");

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		for (unsigned j = 0; j < i; j++)
			assert_true(jd_topology_distance(t, i, j) > 1);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(jd_topology_distance(t, i, i + 8), 1);
	jd_topology_free(t);
}

static void test_no_binding_to_a_described_machine(void **state)
{
	struct counting c;
	struct jd_topology *t = described(&c, "core:4 pu:1");

	(void)state;
	assert_int_equal(jd_topology_cpus(t), 4);
	assert_int_equal(jd_topology_pin(t, 0), JD_ENOTSUP);
	assert_int_equal(jd_topology_pin(t, 4), JD_EINVAL);
	assert_int_equal(jd_topology_current(t), -1);
	jd_topology_free(t);
}

static void test_a_thousand_cpus(void **state)
{
	struct counting c;
	struct jd_topology *t = described(&c, "numa:8 l3:4 core:16 pu:2");

	(void)state;
	assert_int_equal(jd_topology_cpus(t), 1024);
	jd_topology_free(t);
	assert_int_equal(c.bytes_out, 0);
}

#else

static void test_everything_is_equally_far(void **state)
{
	struct counting c;
	struct jd_topology *t;

	(void)state;
	counting_init(&c);
	assert_int_equal(jd_topology_new(&c.base, false, &t), JD_OK);
	for (unsigned i = 1; i < jd_topology_cpus(t); i++)
		assert_int_equal(jd_topology_distance(t, 0, i), 3);
	jd_topology_free(t);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_this_machine),
		cmocka_unit_test(test_flat),
		cmocka_unit_test(test_bad_arguments_and_no_memory),
		cmocka_unit_test(test_distance_of_no_cpu_aborts),
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_discovery_inside_a_thread),
#ifdef TEST_HWLOC
		cmocka_unit_test(test_distances_of_a_server),
		cmocka_unit_test(test_distances_without_caches),
		cmocka_unit_test(test_cores_come_before_siblings),
		cmocka_unit_test(test_no_binding_to_a_described_machine),
		cmocka_unit_test(test_a_thousand_cpus),
#else
		cmocka_unit_test(test_everything_is_equally_far),
#endif
	};

	return cmocka_run_group_tests_name("topology", tests, NULL, NULL);
}
