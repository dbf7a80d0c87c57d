/* id_set.c - which ids there are. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/id_set.h"

#include "runtime/memory.h"

static size_t slots_of(unsigned bits)
{
	return ((size_t)1 << bits) * JD_ID_SLOTS;
}

/* The first slot of a line; k counts from the home of the id. */
static jd_id_slot *line_of(const struct jd_id_table *table, uint64_t id, unsigned k)
{
	/* Ids come with strides: multiplied by 2^64 / golden ratio, high bits differ (Knuth). */
	uint64_t hash = id * 0x9e3779b97f4a7c15u;
	size_t home = table->bits ? (size_t)(hash >> (64 - table->bits)) : 0;
	size_t mask = ((size_t)1 << table->bits) - 1;

	return &table->slots[((home + k) & mask) * JD_ID_SLOTS];
}

static struct jd_id_table *table_new(const struct jd_allocator *allocator, unsigned bits,
				     struct jd_id_table *older)
{
	struct jd_id_table *table = jd_memory_new(allocator, struct jd_id_table);

	if (!table)
		return NULL;
	table->slots =
		jd_memory_alloc(allocator, slots_of(bits) * sizeof(*table->slots), JD_CACHE_LINE);
	if (!table->slots) {
		jd_memory_delete(allocator, table, struct jd_id_table);
		return NULL;
	}
	for (size_t i = 0; i < slots_of(bits); i++)
		atomic_init(&table->slots[i], 0);
	atomic_init(&table->reach, 0);
	table->bits = bits;
	table->older = older;
	return table;
}

static void table_free(const struct jd_allocator *allocator, struct jd_id_table *table)
{
	jd_memory_free(allocator, table->slots, slots_of(table->bits) * sizeof(*table->slots),
		       JD_CACHE_LINE);
	jd_memory_delete(allocator, table, struct jd_id_table);
}

jd_status jd_id_set_new(const struct jd_allocator *allocator, size_t expected,
			struct jd_id_set **out)
{
	struct jd_id_set *set = jd_memory_new(allocator, struct jd_id_set);
	unsigned bits = 0;

	if (!set)
		return JD_ENOMEM;
	/* Half full at most, as far as is known; a hint beyond all memory is no matter of ours. */
	while ((size_t)1 << bits < JD_ID_LINES || (bits < 40 && slots_of(bits) / 2 < expected))
		bits++;
	struct jd_id_table *table = table_new(allocator, bits, NULL);

	if (!table) {
		jd_memory_delete(allocator, set, struct jd_id_set);
		return JD_ENOMEM;
	}
	set->allocator = allocator;
	atomic_init(&set->newest, table);
	*out = set;
	return JD_OK;
}

void jd_id_set_free(struct jd_id_set *set)
{
	if (!set)
		return;
	struct jd_id_table *table = atomic_load_explicit(&set->newest, memory_order_relaxed),
			   *older;

	for (; table; table = older) {
		older = table->older;
		table_free(set->allocator, table);
	}
	jd_memory_delete(set->allocator, set, struct jd_id_set);
}

static void raise_reach(struct jd_id_table *table, uint32_t reach)
{
	uint32_t seen = atomic_load_explicit(&table->reach, memory_order_relaxed);

	while (seen < reach &&
	       !atomic_compare_exchange_weak_explicit(&table->reach, &seen, reach,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

static jd_id_slot *table_add(struct jd_id_table *table, uint64_t id)
{
	for (uint32_t k = 0; k < JD_ID_PROBES && k < (uint64_t)1 << table->bits; k++) {
		jd_id_slot *line = line_of(table, id, k);

		raise_reach(table, k);
		for (unsigned i = 0; i < JD_ID_SLOTS; i++) {
			uint64_t none = 0;

			if (atomic_load_explicit(&line[i], memory_order_relaxed))
				continue;
			/* Relaxed, but a read-modify-write: what (ID2) published stays so. */
			if (atomic_compare_exchange_strong_explicit(&line[i], &none, id,
								    memory_order_relaxed,
								    memory_order_relaxed))
				return &line[i];
		}
	}
	return NULL;
}

/* Another one may have made the set grow meanwhile: that is as good. */
static jd_status grow(struct jd_id_set *set, struct jd_id_table *table)
{
	struct jd_id_table *larger = table_new(set->allocator, table->bits + 2, table);

	if (!larger)
		return JD_ENOMEM;
	/* order: (ID1) release - the table behind the pointer; pairs with (ID3). */
	if (!atomic_compare_exchange_strong_explicit(&set->newest, &table, larger,
						     memory_order_release, memory_order_relaxed))
		table_free(set->allocator, larger);
	return JD_OK;
}

static struct jd_id_table *newest(const struct jd_id_set *set)
{
	/* order: (ID3) acquire - the table behind the pointer; pairs with (ID1). */
	return atomic_load_explicit(&set->newest, memory_order_acquire);
}

jd_status jd_id_set_add(struct jd_id_set *set, uint64_t id, jd_id_slot **slot)
{
	for (;;) {
		struct jd_id_table *table = newest(set);

		*slot = table_add(table, id);
		if (*slot)
			return JD_OK;
		if (grow(set, table) != JD_OK)
			return JD_ENOMEM;
	}
}

void jd_id_set_remove(jd_id_slot *slot, uint64_t id)
{
	JD_ASSERT(atomic_load_explicit(slot, memory_order_relaxed) == id);
	(void)id;
	/* order: (ID2) release - what came before the removal; pairs with (ID4). */
	atomic_store_explicit(slot, 0, memory_order_release);
}

bool jd_id_set_contains(const struct jd_id_set *set, uint64_t id)
{
	for (const struct jd_id_table *table = newest(set); table; table = table->older) {
		uint32_t reach = atomic_load_explicit(&table->reach, memory_order_relaxed);

		for (uint32_t k = 0; k <= reach; k++) {
			jd_id_slot *line = line_of(table, id, k);

			for (unsigned i = 0; i < JD_ID_SLOTS; i++) {
				/* order: (ID4) acquire - of a removal; pairs with (ID2). */
				if (atomic_load_explicit(&line[i], memory_order_acquire) == id)
					return true;
			}
		}
	}
	return false;
}
