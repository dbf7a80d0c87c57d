/* topology_windows.c - discovery without help of a library: the system's records. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/windows/topology_windows.h"

#include "platform/windows/windows.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "platform/cpu.h"

/* Records have different sizes, and this is where a size and a kind are. */
#define RECORD_HEAD offsetof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX, Processor)

typedef WINBOOL(WINAPI *information_fn)(LOGICAL_PROCESSOR_RELATIONSHIP relation,
					PSYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX buffer,
					PDWORD bytes);

static bool holds(const GROUP_AFFINITY *groups, unsigned count, unsigned os)
{
	for (unsigned i = 0; i < count; i++) {
		if (groups[i].Group == os / JD_WINDOWS_GROUP)
			return groups[i].Mask >> os % JD_WINDOWS_GROUP & 1;
	}
	return false;
}

/* --- What a record says ----------------------------------------------------------------------- */

/* One thing that CPUs share, whatever it is. */
struct shared {
	LOGICAL_PROCESSOR_RELATIONSHIP kind;
	unsigned level; /* of a cache */
	const GROUP_AFFINITY *groups;
	unsigned count;
};

/* Since Windows Server 2022 a node may have several groups; before, their number was reserved. */
static unsigned node_groups(const NUMA_NODE_RELATIONSHIP *node)
{
	const size_t place = offsetof(NUMA_NODE_RELATIONSHIP, GroupMask) - sizeof(WORD);
	WORD count;

	memcpy(&count, (const unsigned char *)node + place, sizeof(count));
	return count ? count : 1;
}

/* False: nothing that we look for. Caches of instructions are none of that. */
static bool read_record(const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *record,
			struct shared *shared)
{
	*shared = (struct shared){.kind = record->Relationship, .count = 1};
	switch (record->Relationship) {
	case RelationProcessorCore:
		shared->groups = record->Processor.GroupMask;
		shared->count = record->Processor.GroupCount;
		return true;
	case RelationCache:
		shared->groups = &record->Cache.GroupMask;
		shared->level = record->Cache.Level;
		return record->Cache.Type == CacheUnified || record->Cache.Type == CacheData;
	case RelationNumaNode:
		shared->groups = &record->NumaNode.GroupMask;
		shared->count = node_groups(&record->NumaNode);
		return true;
	default:
		return false;
	}
}

/* The end of what read_record looks at lies within the record. */
static bool complete(const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *record)
{
	size_t need = RECORD_HEAD;

	switch (record->Relationship) {
	case RelationProcessorCore:
		need += offsetof(PROCESSOR_RELATIONSHIP, GroupMask);
		if (record->Size >= need)
			need += record->Processor.GroupCount * sizeof(GROUP_AFFINITY);
		break;
	case RelationCache:
		need += sizeof(CACHE_RELATIONSHIP);
		break;
	case RelationNumaNode:
		need += offsetof(NUMA_NODE_RELATIONSHIP, GroupMask);
		if (record->Size >= need)
			need += node_groups(&record->NumaNode) * sizeof(GROUP_AFFINITY);
		break;
	default:
		break;
	}
	return record->Size >= need;
}

/* --- What it means for our CPUs --------------------------------------------------------------- */

/* number tells this thing from all others of its kind. */
static bool apply(struct jd_topology *t, const struct shared *shared, unsigned number,
		  const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *record, unsigned char *levels)
{
	unsigned rank = 0;

	for (unsigned i = 0; i < t->cpus; i++) {
		struct jd_topology_cpu *cpu = &t->cpu[i];

		if (!holds(shared->groups, shared->count, cpu->os))
			continue;
		if (shared->kind == RelationProcessorCore) {
			cpu->core = number;
			cpu->rank = rank++;
		} else if (shared->kind == RelationNumaNode) {
			cpu->node = (unsigned)record->NumaNode.NodeNumber;
		} else if (shared->level > levels[i]) {
			levels[i] = (unsigned char)shared->level;
			cpu->cache = number;
		}
	}
	return rank > 0;
}

bool jd_topology_from_records(struct jd_topology *topology, const void *records, size_t bytes)
{
	const unsigned char *at = records, *end = at + bytes;
	static const unsigned apart = 1u << 31; /* numbers that no record has */
	unsigned char levels[JD_WINDOWS_CPUS] = {0};
	unsigned number = 0;
	bool found = false;

	JD_ASSERT(topology->cpus <= JD_WINDOWS_CPUS);
	for (unsigned i = 0; i < topology->cpus; i++) {
		topology->cpu[i].core = topology->cpu[i].cache = apart + i;
		topology->cpu[i].node = topology->cpu[i].rank = 0;
	}
	while ((size_t)(end - at) >= RECORD_HEAD) {
		const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *record = (const void *)at;
		struct shared shared;

		if (record->Size > (size_t)(end - at) || !complete(record))
			return false;
		if (read_record(record, &shared))
			found |= apply(topology, &shared, number++, record, levels);
		at += record->Size;
	}
	return found && at == end;
}

/* --- Discovery -------------------------------------------------------------------------------- */

/* Into buffer, or only how many bytes it takes; 0: the system does not tell. */
static DWORD system_records(void *buffer, DWORD bytes)
{
	HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
	FARPROC found = kernel ? GetProcAddress(kernel, "GetLogicalProcessorInformationEx") : NULL;
	information_fn information = (information_fn)(void (*)(void))found;

	if (!information)
		return 0;
	if (information(RelationAll, buffer, &bytes))
		return bytes;
	return !buffer && GetLastError() == ERROR_INSUFFICIENT_BUFFER ? bytes : 0;
}

/* The allowed CPUs into the topology; those that come and go meanwhile are not ours. */
static bool fill_numbers(struct jd_topology *t)
{
	unsigned os[JD_WINDOWS_CPUS];
	unsigned n = jd_topology_allowed(os, JD_WINDOWS_CPUS);

	for (unsigned i = 0; i < n && i < t->cpus; i++)
		t->cpu[i].os = os[i];
	return n >= t->cpus;
}

static bool fill(struct jd_topology *t, const struct jd_allocator *allocator)
{
	DWORD bytes = system_records(NULL, 0);
	void *records = bytes ? allocator->alloc(allocator->ctx, bytes, 16) : NULL;
	DWORD got = records ? system_records(records, bytes) : 0;
	bool good = got && fill_numbers(t) && jd_topology_from_records(t, records, got);

	if (records)
		allocator->free(allocator->ctx, records, bytes, 16);
	return good;
}

jd_status jd_topology_discover(const struct jd_allocator *allocator, struct jd_topology **topology)
{
	unsigned cpus = jd_topology_allowed(NULL, 0);

	if (cpus < 1 || cpus > JD_WINDOWS_CPUS)
		return jd_topology_flat(allocator, topology);
	jd_status status = jd_topology_alloc(allocator, cpus, topology);

	if (status)
		return status;
	if (fill(*topology, allocator)) {
		snprintf((*topology)->source, sizeof((*topology)->source), "the system's records");
		return JD_OK;
	}
	jd_topology_free(*topology);
	return jd_topology_flat(allocator, topology);
}

jd_status jd_topology_bind(const struct jd_topology *topology, const unsigned *os, unsigned n)
{
	(void)topology;
	return jd_cpu_pin(os, n);
}

void jd_topology_release(struct jd_topology *topology)
{
	JD_ASSERT(!topology->native);
}
