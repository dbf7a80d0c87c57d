/* slab.c - slabs of blocks: made, emptied, filled again, freed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/slab.h"

#include "runtime/memory.h"

/* L: the lock of the slabs. */
struct jd_slab {
	struct jd_slab *next;       /* L: in partial */
	struct jd_slab **pprev;     /* L */
	struct jd_slab_block *free; /* L: at home; NULL: it is not in partial */
	uint32_t index;             /* I */
	uint16_t units;             /* I */
	uint16_t home;              /* L: blocks at home, worn ones too */
	alignas(JD_LANE_UNIT) unsigned char blocks[];
};

static unsigned blocks_of(unsigned units)
{
	return (unsigned)((JD_SLAB_BYTES - sizeof(struct jd_slab)) / (units * JD_LANE_UNIT));
}

static struct jd_slab_block *block_at(struct jd_slab *slab, unsigned slot)
{
	return (struct jd_slab_block *)(void *)(slab->blocks +
						(size_t)slot * slab->units * JD_LANE_UNIT);
}

static uint64_t word_of(const struct jd_slab_block *block)
{
	return atomic_load_explicit(&block->word.bits, memory_order_relaxed);
}

static uint32_t index_of(uint64_t word)
{
	return (uint32_t)(word >> JD_SLAB_INDEX_SHIFT) & ((1u << JD_SLAB_INDEX_BITS) - 1);
}

static unsigned slot_of(uint64_t word)
{
	return (unsigned)(word >> JD_SLAB_SLOT_SHIFT) & ((1u << JD_SLAB_SLOT_BITS) - 1);
}

jd_status jd_slabs_new(const struct jd_allocator *allocator, size_t clear, struct jd_slabs **out)
{
	struct jd_slabs *slabs = jd_memory_new(allocator, struct jd_slabs);

	if (!slabs)
		return JD_ENOMEM;
	JD_ASSERT(clear >= sizeof(struct jd_slab_block));
	slabs->allocator = allocator;
	slabs->clear = clear;
	*out = slabs;
	return JD_OK;
}

static void slab_free(struct jd_slabs *slabs, struct jd_slab *slab)
{
	jd_memory_free(slabs->allocator, slab, JD_SLAB_BYTES, JD_LANE_UNIT);
}

void jd_slabs_free(struct jd_slabs *slabs)
{
	if (!slabs)
		return;
	for (uint32_t i = 0; i < slabs->count; i++) {
		if (slabs->places[i].slab)
			slab_free(slabs, slabs->places[i].slab);
	}
	jd_memory_free(slabs->allocator, slabs->places, slabs->size * sizeof(*slabs->places),
		       alignof(struct jd_slab_place));
	jd_memory_delete(slabs->allocator, slabs, struct jd_slabs);
}

/* --- Under the lock --------------------------------------------------------------------------- */

static void link_partial(struct jd_slabs *slabs, struct jd_slab *slab)
{
	struct jd_slab **head = &slabs->partial[slab->units];

	slab->next = *head;
	if (slab->next)
		slab->next->pprev = &slab->next;
	slab->pprev = head;
	*head = slab;
}

static void unlink_partial(struct jd_slab *slab)
{
	*slab->pprev = slab->next;
	if (slab->next)
		slab->next->pprev = slab->pprev;
}

static bool grow(struct jd_slabs *slabs)
{
	uint32_t size = slabs->size ? slabs->size * 2 : JD_SLAB_PLACES;
	struct jd_slab_place *places = jd_memory_zalloc(slabs->allocator, size, sizeof(*places),
							alignof(struct jd_slab_place));

	if (!places)
		return false;
	if (slabs->places)
		memcpy(places, slabs->places, slabs->size * sizeof(*places));
	jd_memory_free(slabs->allocator, slabs->places, slabs->size * sizeof(*places),
		       alignof(struct jd_slab_place));
	slabs->places = places;
	slabs->size = size;
	return true;
}

static bool take_place(struct jd_slabs *slabs, uint32_t *index)
{
	if (slabs->unused) {
		*index = slabs->unused - 1;
		slabs->unused = slabs->places[*index].next;
		return true;
	}
	if (slabs->count >> JD_SLAB_INDEX_BITS || (slabs->count == slabs->size && !grow(slabs)))
		return false;
	*index = slabs->count++;
	return true;
}

static void give_place(struct jd_slabs *slabs, uint32_t index)
{
	slabs->places[index].next = slabs->unused;
	slabs->unused = index + 1;
}

/* All blocks are home: its place forgets it, but not how far the counts had come. */
static void forget(struct jd_slabs *slabs, struct jd_slab *slab)
{
	struct jd_slab_place *place = &slabs->places[slab->index];

	for (unsigned slot = 0; slot < blocks_of(slab->units); slot++) {
		uint64_t uses = word_of(block_at(slab, slot)) & ~(JD_SLAB_USE - 1);

		if (uses > place->uses)
			place->uses = uses;
	}
	place->slab = NULL;
	if (place->uses < JD_SLAB_WORN)
		give_place(slabs, slab->index);
}

/* Moves blocks that are at home in front of *list, until it has as many as a magazine. */
static void take_from(struct jd_slab *slab, struct jd_slab_block **list, unsigned *count)
{
	while (slab->free && *count < JD_MAGAZINE) {
		struct jd_slab_block *block = slab->free;

		slab->free = block->next;
		slab->home--;
		block->next = *list;
		*list = block;
		++*count;
	}
	if (!slab->free)
		unlink_partial(slab);
}

/* One block comes home. Returns its slab if that is all of them. */
static struct jd_slab *take_home(struct jd_slabs *slabs, struct jd_slab_block *block)
{
	uint64_t word = word_of(block);
	struct jd_slab *slab = slabs->places[index_of(word)].slab;

	JD_ASSERT(slab && slab->home < blocks_of(slab->units) && word % 2 == 0);
	if (word < JD_SLAB_WORN) {
		if (!slab->free)
			link_partial(slabs, slab);
		block->next = slab->free;
		slab->free = block;
	}
	if (++slab->home < blocks_of(slab->units))
		return NULL;
	if (slab->free)
		unlink_partial(slab);
	forget(slabs, slab);
	return slab;
}

/* --- Taking and giving ------------------------------------------------------------------------ */

/* Writes the words of a new slab and links its blocks, in their order: all are at home. */
static void carve(struct jd_slab *slab, size_t clear, uint64_t uses)
{
	size_t size = (size_t)slab->units * JD_LANE_UNIT;

	slab->free = NULL;
	slab->home = (uint16_t)blocks_of(slab->units);
	for (unsigned slot = slab->home; slot-- > 0;) {
		struct jd_slab_block *block = block_at(slab, slot);

		memset(block, 0, clear < size ? clear : size);
		atomic_init(&block->word.bits, uses | (uint64_t)slab->index << JD_SLAB_INDEX_SHIFT |
						       (uint64_t)slot << JD_SLAB_SLOT_SHIFT | 2);
		block->next = slab->free;
		slab->free = block;
	}
}

/* A magazine from a new slab. */
static struct jd_slab_block *take_new(struct jd_slabs *slabs, unsigned units, unsigned *count)
{
	struct jd_slab *slab = jd_memory_alloc(slabs->allocator, JD_SLAB_BYTES, JD_LANE_UNIT);

	if (!slab)
		return NULL;
	slab->units = (uint16_t)units;
	jd_lock_acquire(&slabs->lock);
	bool placed = take_place(slabs, &slab->index);
	uint64_t uses = placed ? slabs->places[slab->index].uses : 0;

	jd_lock_release(&slabs->lock);
	if (!placed) {
		slab_free(slabs, slab);
		return NULL;
	}
	carve(slab, slabs->clear, uses);

	struct jd_slab_block *list = NULL;

	jd_lock_acquire(&slabs->lock);
	slabs->places[slab->index].slab = slab;
	link_partial(slabs, slab);
	take_from(slab, &list, count);
	jd_lock_release(&slabs->lock);
	return list;
}

struct jd_slab_block *jd_slabs_take(struct jd_slabs *slabs, unsigned units, unsigned *count)
{
	struct jd_slab_block *list = jd_depot_take(&slabs->depots[units], jd_slabs_room(units));

	*count = JD_MAGAZINE;
	if (list)
		return list;
	*count = 0;
	jd_lock_acquire(&slabs->lock);
	while (slabs->partial[units] && *count < JD_MAGAZINE)
		take_from(slabs->partial[units], &list, count);
	jd_lock_release(&slabs->lock);
	return list ? list : take_new(slabs, units, count);
}

void jd_slabs_give(struct jd_slabs *slabs, unsigned units, struct jd_slab_block *magazine)
{
	if (!jd_depot_put(&slabs->depots[units], jd_slabs_room(units), magazine))
		jd_slabs_give_home(slabs, magazine);
}

void jd_slabs_give_home(struct jd_slabs *slabs, struct jd_slab_block *list)
{
	struct jd_slab *empty = NULL;

	jd_lock_acquire(&slabs->lock);
	for (struct jd_slab_block *next; list; list = next) {
		next = list->next;
		struct jd_slab *slab = take_home(slabs, list);

		if (slab) {
			slab->next = empty;
			empty = slab;
		}
	}
	jd_lock_release(&slabs->lock);
	for (struct jd_slab *next; empty; empty = next) {
		next = empty->next;
		slab_free(slabs, empty);
	}
}

/* --- Looking ---------------------------------------------------------------------------------- */

bool jd_slabs_contain(struct jd_slabs *slabs, uint64_t id)
{
	uint64_t word = id * 2 + 1;
	bool found = false;

	jd_lock_acquire(&slabs->lock);
	if (index_of(word) < slabs->count) {
		struct jd_slab *slab = slabs->places[index_of(word)].slab;

		found = slab && slot_of(word) < blocks_of(slab->units) &&
			word_of(block_at(slab, slot_of(word))) == word;
	}
	jd_lock_release(&slabs->lock);
	return found;
}

bool jd_slabs_each(struct jd_slabs *slabs, bool (*fn)(void *arg, struct jd_task_word *word),
		   void *arg)
{
	bool more = true, last = false;

	for (uint32_t i = 0; more && !last; i++) {
		jd_lock_acquire(&slabs->lock);
		last = i >= slabs->count;
		struct jd_slab *slab = last ? NULL : slabs->places[i].slab;

		for (unsigned slot = 0; slab && more && slot < blocks_of(slab->units); slot++) {
			struct jd_slab_block *block = block_at(slab, slot);

			if (word_of(block) % 2)
				more = fn(arg, &block->word);
		}
		jd_lock_release(&slabs->lock);
	}
	return more;
}
