/* test_topology_windows.c - Windows' processor records read, this machine's and made-up ones. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <windows.h>

#include <cmocka.h>

#include "platform/windows/topology_windows.h"
#include "tests/conformance/count_allocator.h"

typedef SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX record_type;

/* --- Machines made up ------------------------------------------------------------------------- */

struct machine {
	_Alignas(16) unsigned char bytes[16384];
	size_t used;
};

static record_type *add(struct machine *m, LOGICAL_PROCESSOR_RELATIONSHIP kind)
{
	record_type *record = (void *)(m->bytes + m->used);

	assert_true(m->used + sizeof(*record) <= sizeof(m->bytes));
	memset(record, 0, sizeof(*record));
	record->Relationship = kind;
	record->Size = sizeof(*record);
	m->used += record->Size;
	return record;
}

static void add_core(struct machine *m, WORD group, KAFFINITY mask)
{
	record_type *record = add(m, RelationProcessorCore);

	record->Processor.GroupCount = 1;
	record->Processor.GroupMask[0] = (GROUP_AFFINITY){.Mask = mask, .Group = group};
}

static void add_cache(struct machine *m, BYTE level, PROCESSOR_CACHE_TYPE type, WORD group,
		      KAFFINITY mask)
{
	record_type *record = add(m, RelationCache);

	record->Cache.Level = level;
	record->Cache.Type = type;
	record->Cache.GroupMask = (GROUP_AFFINITY){.Mask = mask, .Group = group};
}

static void add_node(struct machine *m, DWORD number, WORD group, KAFFINITY mask)
{
	record_type *record = add(m, RelationNumaNode);

	record->NumaNode.NodeNumber = number;
	record->NumaNode.GroupMask = (GROUP_AFFINITY){.Mask = mask, .Group = group};
}

/* Two groups, a node each, of two caches of four cores of two CPUs: 32. */
static void make_server(struct machine *m)
{
	m->used = 0;
	for (WORD group = 0; group < 2; group++) {
		for (unsigned core = 0; core < 8; core++) {
			KAFFINITY mask = (KAFFINITY)3 << 2 * core;

			add_core(m, group, mask);
			add_cache(m, 1, CacheInstruction, group, mask);
			add_cache(m, 1, CacheData, group, mask);
			add_cache(m, 2, CacheUnified, group, mask);
		}
		add_cache(m, 3, CacheUnified, group, 0xff);
		add_cache(m, 3, CacheUnified, group, 0xff00);
		add_cache(m, 4, CacheInstruction, group, 0xffff); /* counts for nothing */
		add_node(m, group, group, 0xffff);
	}
	add(m, RelationProcessorPackage);
	add(m, RelationGroup);
}

static struct jd_topology *topology_of(unsigned cpus, unsigned per_group)
{
	struct jd_topology *t;

	assert_int_equal(jd_topology_alloc(jd_allocator_default(), cpus, &t), JD_OK);
	for (unsigned i = 0; i < cpus; i++)
		t->cpu[i].os = i / per_group * 64 + i % per_group;
	return t;
}

static void test_distances_of_a_server(void **state)
{
	struct jd_topology *t = topology_of(32, 16);
	static struct machine m;

	(void)state;
	make_server(&m);
	assert_true(jd_topology_from_records(t, m.bytes, m.used));
	for (unsigned i = 0; i < 32; i++) {
		unsigned count[5] = {0};

		for (unsigned j = 0; j < 32; j++)
			count[jd_topology_distance(t, i, j)]++;
		assert_int_equal(count[0], 1);
		assert_int_equal(count[1], 1);
		assert_int_equal(count[2], 6);
		assert_int_equal(count[3], 8);
		assert_int_equal(count[4], 16);
		assert_int_equal(t->cpu[i].rank, i % 2);
	}
	jd_topology_free(t);
}

/* The rank counts the CPUs we may use: whoever may use one of each core has only first ones. */
static void test_only_some_are_allowed(void **state)
{
	struct jd_topology *t = topology_of(3, 3);
	static struct machine m;

	(void)state;
	make_server(&m);
	t->cpu[0].os = 1;      /* of group 0, core 0 */
	t->cpu[1].os = 3;      /* core 1 */
	t->cpu[2].os = 64 + 3; /* the like in group 1 */
	assert_true(jd_topology_from_records(t, m.bytes, m.used));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(t->cpu[i].rank, 0);
	assert_int_equal(jd_topology_distance(t, 0, 1), 2);
	assert_int_equal(jd_topology_distance(t, 1, 2), 4);
	jd_topology_free(t);
}

static void test_a_node_of_two_groups(void **state)
{
	struct jd_topology *t = topology_of(4, 2);
	static struct machine m;
	WORD count = 2;

	(void)state;
	m.used = 0;
	for (WORD group = 0; group < 2; group++) {
		add_core(&m, group, 1);
		add_core(&m, group, 2);
	}
	record_type *record = add(&m, RelationNumaNode);
	GROUP_AFFINITY *masks = &record->NumaNode.GroupMask;

	record->NumaNode.NodeNumber = 7;
	memcpy((unsigned char *)masks - sizeof(count), &count, sizeof(count));
	masks[0] = (GROUP_AFFINITY){.Mask = 3, .Group = 0};
	masks[1] = (GROUP_AFFINITY){.Mask = 3, .Group = 1};
	assert_true(record->Size >= (size_t)((unsigned char *)&masks[2] - (unsigned char *)record));
	assert_true(jd_topology_from_records(t, m.bytes, m.used));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(t->cpu[i].node, 7);
	assert_int_equal(jd_topology_distance(t, 0, 3), 3);
	jd_topology_free(t);
}

/* Nothing beyond the records is read, and what is cut off is not believed. */
static void test_broken_records(void **state)
{
	struct jd_topology *t = topology_of(32, 16);
	static struct machine m;

	(void)state;
	make_server(&m);
	assert_false(jd_topology_from_records(t, m.bytes, 0));
	for (size_t cut = 1; cut < sizeof(record_type); cut++)
		assert_false(jd_topology_from_records(t, m.bytes, m.used - cut));
	record_type *first = (void *)m.bytes;

	first->Processor.GroupCount = 1000;
	assert_false(jd_topology_from_records(t, m.bytes, m.used));
	make_server(&m);
	first->Size = 4;
	assert_false(jd_topology_from_records(t, m.bytes, m.used));
	first->Size = 0;
	assert_false(jd_topology_from_records(t, m.bytes, m.used));
	m.used = 0;
	add_node(&m, 0, 0, 3); /* no core at all */
	assert_false(jd_topology_from_records(t, m.bytes, m.used));
	jd_topology_free(t);
}

/* --- This machine ----------------------------------------------------------------------------- */

static unsigned process_cpus(void)
{
	DWORD_PTR mask = 0, all = 0;

	assert_true(GetProcessAffinityMask(GetCurrentProcess(), &mask, &all));
	return mask ? (unsigned)__builtin_popcountll(mask)
		    : GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
}

static void test_this_machine(void **state)
{
	struct count_allocator memory;
	struct jd_topology *t;

	(void)state;
	count_allocator_init(&memory);
	assert_int_equal(jd_topology_new(&memory.base, false, &t), JD_OK);
	print_message("           %s\n", jd_topology_source(t));
	assert_int_equal(jd_topology_cpus(t), process_cpus());
	assert_int_equal(strncmp(jd_topology_source(t), "the system's records: ", 22), 0);
	for (unsigned i = 0; i < jd_topology_cpus(t); i++) {
		for (unsigned j = 0; j < jd_topology_cpus(t); j++) {
			unsigned d = jd_topology_distance(t, i, j);

			assert_int_equal(d, jd_topology_distance(t, j, i));
			assert_true((d == 0) == (i == j));
			assert_true(d <= JD_TOPOLOGY_FARTHEST);
		}
	}
	jd_topology_free(t);
	assert_int_equal(count_allocator_live(&memory), 0);
}

/* Without the memory for the records there still is a topology, a flat one. */
static void test_no_memory(void **state)
{
	struct count_allocator memory;
	struct jd_topology *t = NULL;

	(void)state;
	count_allocator_init(&memory);
	count_allocator_fail(&memory, 1, UINT64_MAX);
	assert_int_equal(jd_topology_new(&memory.base, false, &t), JD_ENOMEM);
	count_allocator_fail(&memory, 2, 2);
	assert_int_equal(jd_topology_new(&memory.base, false, &t), JD_OK);
	assert_int_equal(strncmp(jd_topology_source(t), "affinity mask: ", 15), 0);
	count_allocator_fail(&memory, 0, 0);
	jd_topology_free(t);
	assert_int_equal(count_allocator_live(&memory), 0);
}

struct visit {
	const struct jd_topology *topology;
	unsigned pinned, masked, landed, nested; /* counts of what went right */
};

/* Binds itself to each CPU in turn, finds itself there, and still sees all of the process. */
static void pin_everywhere(void *arg)
{
	struct visit *v = arg;
	struct jd_topology *again;

	for (unsigned i = 0; i < jd_topology_cpus(v->topology); i++) {
		GROUP_AFFINITY now = {0};

		v->pinned += jd_topology_pin(v->topology, i) == JD_OK;
		v->masked += GetThreadGroupAffinity(GetCurrentThread(), &now) &&
			     __builtin_popcountll(now.Mask) == 1 &&
			     now.Group == v->topology->cpu[i].os / 64;
		SwitchToThread();
		v->landed += jd_topology_current(v->topology) == (int)i;
	}
	if (jd_topology_new(jd_allocator_default(), false, &again) != JD_OK)
		return;
	v->nested = jd_topology_cpus(again);
	jd_topology_free(again);
}

static void test_pin(void **state)
{
	struct jd_thread thread;
	struct jd_topology *t;
	struct visit v = {0};

	(void)state;
	assert_int_equal(jd_topology_new(jd_allocator_default(), false, &t), JD_OK);
	v.topology = t;
	assert_int_equal(jd_thread_start(&thread, "pin", 0, pin_everywhere, &v), JD_OK);
	jd_thread_join(&thread);
	assert_int_equal(v.pinned, jd_topology_cpus(t));
	assert_int_equal(v.masked, jd_topology_cpus(t));
	assert_int_equal(v.landed, jd_topology_cpus(t));
	assert_int_equal(v.nested, jd_topology_cpus(t));
	assert_int_equal(jd_topology_pin(t, jd_topology_cpus(t)), JD_EINVAL);
	assert_int_equal(jd_topology_pin(NULL, 0), JD_EINVAL);
	jd_topology_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distances_of_a_server),
		cmocka_unit_test(test_only_some_are_allowed),
		cmocka_unit_test(test_a_node_of_two_groups),
		cmocka_unit_test(test_broken_records),
		cmocka_unit_test(test_this_machine),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_pin),
	};

	return cmocka_run_group_tests_name("topology_windows", tests, NULL, NULL);
}
