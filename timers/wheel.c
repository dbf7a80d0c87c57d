/* wheel.c - insert, remove, advance; the rules are in wheel.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "timers/wheel.h"

#include <stdalign.h>
#include <string.h>

#include "platform/compiler.h"

#define NO_TICK UINT64_MAX

/* --- Bits of slots ---------------------------------------------------------------------------- */

static void bits_clear(uint64_t *summary, uint64_t *words, unsigned i)
{
	words[i / 64] &= ~(UINT64_C(1) << i % 64);
	if (!words[i / 64])
		*summary &= ~(UINT64_C(1) << i / 64);
}

/* The first bit from `from` on, around the end; one is set. */
static unsigned bits_next(uint64_t summary, const uint64_t *words, unsigned from)
{
	unsigned w = from / 64;
	uint64_t here = words[w] & UINT64_MAX << from % 64;
	uint64_t after = summary & (w == 63 ? 0 : UINT64_MAX << (w + 1));

	if (here)
		return w * 64 + (unsigned)__builtin_ctzll(here);
	w = (unsigned)__builtin_ctzll(after ? after : summary);
	return w * 64 + (unsigned)__builtin_ctzll(words[w]);
}

/* --- Where slots are -------------------------------------------------------------------------- */

static uint64_t tick_ns(const struct jd_wheel *wheel)
{
	return wheel->tick << wheel->shift;
}

/* The first occupied tick of the ring; NO_TICK: none. */
static uint64_t ring_first(const struct jd_wheel *wheel)
{
	const struct jd_wheel_ring *ring = wheel->ring;
	unsigned from = wheel->tick % JD_WHEEL_RING;

	if (!ring || !ring->summary)
		return NO_TICK;
	return wheel->tick +
	       (bits_next(ring->summary, ring->occupied, from) - from) % JD_WHEEL_RING;
}

/*
 * The first tick of the first occupied slot of a level; NO_TICK: none. A slot that is stuck does
 * not count: it is where the tick is, and its timers are in the order of a heap.
 */
static uint64_t level_first(const struct jd_wheel *wheel, unsigned level)
{
	const struct jd_wheel_level *l = wheel->level[level];
	uint64_t at = (wheel->tick >> jd_wheel_width(level)) + (wheel->stuck >> level & 1);
	unsigned from = at % JD_WHEEL_SLOTS, distance;

	if (!l || !l->summary)
		return NO_TICK;
	distance = (bits_next(l->summary, l->occupied, from) - from) % JD_WHEEL_SLOTS;
	if (wheel->stuck >> level & 1 && distance == JD_WHEEL_SLOTS - 1)
		return NO_TICK;
	return (at + distance) << jd_wheel_width(level);
}

static struct jd_timer_heap *slot_at(const struct jd_wheel *wheel, unsigned level, uint64_t tick)
{
	return &wheel->level[level]->slot[(tick >> jd_wheel_width(level)) % JD_WHEEL_SLOTS];
}

/* The walk through the slot being fired begins again with what is left there. */
static void walk_again(struct jd_wheel *wheel)
{
	wheel->walk.end = NULL;
	wheel->run_end = wheel->walk.at;
}

/* --- Placing ---------------------------------------------------------------------------------- */

static void *table_new(struct jd_wheel *wheel, size_t size)
{
	const struct jd_allocator *allocator = wheel->pool.allocator;
	void *table = allocator->alloc(allocator->ctx, size, alignof(max_align_t));

	if (table)
		memset(table, 0, size);
	return table;
}

bool jd_wheel_ring_grow(struct jd_wheel *wheel, unsigned i)
{
	if (!wheel->ring) {
		wheel->ring = table_new(wheel, sizeof(*wheel->ring));
		if (!wheel->ring)
			return false;
	}
	struct jd_timer_bag *bag = &wheel->ring->slot[i];

	if (!jd_timer_bag_grow(bag, &wheel->pool))
		return false;
	/* Compacted, perhaps. */
	if (bag == wheel->due && bag->end->next == bag->end)
		walk_again(wheel);
	return true;
}

static bool place_in_level(struct jd_wheel *wheel, struct jd_timer *timer, unsigned level,
			   uint64_t tick)
{
	unsigned i = (tick >> jd_wheel_width(level)) % JD_WHEEL_SLOTS;

	if (JD_UNLIKELY(!wheel->level[level])) {
		wheel->level[level] = table_new(wheel, sizeof(*wheel->level[level]));
		if (!wheel->level[level])
			return false;
	}
	struct jd_wheel_level *l = wheel->level[level];

	if (!jd_timer_heap_add(&l->slot[i], &wheel->pool, timer))
		return false;
	timer->_slot = JD_WHEEL_UPPER + (level - 1) * JD_WHEEL_SLOTS + i;
	if (l->slot[i].count == 1)
		jd_wheel_set_bit(&l->summary, l->occupied, i);
	return true;
}

static bool place_in_heap(struct jd_wheel *wheel, struct jd_timer *timer,
			  struct jd_timer_heap *heap, uint32_t slot)
{
	if (!jd_timer_heap_add(heap, &wheel->pool, timer))
		return false;
	timer->_slot = slot;
	return true;
}

/* Not in the ring. */
static JD_NOINLINE bool place_elsewhere(struct jd_wheel *wheel, struct jd_timer *timer,
					uint64_t tick)
{
	uint64_t now = wheel->tick;
	unsigned level = 1;

	if (tick < now || tick >> jd_wheel_width(1) == now >> jd_wheel_width(1)) {
		wheel->exact.ordered = true;
		wheel->run_end = wheel->walk.at; /* it may come first */
		return place_in_heap(wheel, timer, &wheel->exact, JD_WHEEL_EXACT);
	}
	while ((tick >> jd_wheel_width(level)) - (now >> jd_wheel_width(level)) >= JD_WHEEL_SLOTS)
		level++;
	return place_in_level(wheel, timer, level, tick);
}

/* By timer->_deadline_ns. False: no memory, nothing happened. */
static inline bool place(struct jd_wheel *wheel, struct jd_timer *timer)
{
	uint64_t tick = timer->_deadline_ns >> wheel->shift;

	if (JD_LIKELY(jd_wheel_in_ring(wheel, timer->_deadline_ns)))
		return jd_wheel_place_in_ring(wheel, timer, tick);
	return place_elsewhere(wheel, timer, tick);
}

/* --- Moving on -------------------------------------------------------------------------------- */

/* Moves up to `most` timers of a slot, the last ones, to lower levels; fewer without memory. */
static void move_down(struct jd_wheel *wheel, unsigned level, struct jd_timer_heap *slot,
		      uint32_t most)
{
	enum {
		AHEAD = 8
	};
	struct jd_wheel_level *l = wheel->level[level];
	uint32_t n = slot->count, rest = n > most ? n - most : 0;

	for (; n > rest; n--) {
		if (n > AHEAD)
			JD_PREFETCH(slot->entry[n - 1 - AHEAD].timer);
		uint64_t deadline_ns = slot->entry[n - 1].deadline_ns;

		if (!place(wheel, slot->entry[n - 1].timer))
			break;
		if (deadline_ns == slot->min_ns && !slot->ordered)
			slot->stale = true;
	}
	slot->count = n;
	if (n == 0) {
		jd_timer_heap_clear(slot, &wheel->pool);
		bits_clear(&l->summary, l->occupied, (unsigned)(slot - l->slot));
	}
}

/* The slot of a level that begins with the tick moves to lower levels. */
static void cascade(struct jd_wheel *wheel, unsigned level)
{
	struct jd_timer_heap *slot = slot_at(wheel, level, wheel->tick);

	move_down(wheel, level, slot, UINT32_MAX);
	if (slot->count) {
		jd_timer_heap_order(slot);
		wheel->stuck |= (uint16_t)(1u << level);
	}
}

/*
 * Some timers move before they must, so that few are left when they must: from the first slot of a
 * level above 1, as soon as all of it is in reach of the level below. What is left to move at once
 * is a slot of level 1, and that much is about to fire anyway.
 */
static void move_ahead(struct jd_wheel *wheel)
{
	enum {
		MOST = 32
	};

	for (unsigned level = 2; level < wheel->levels; level++) {
		uint64_t first = level_first(wheel, level), last;
		unsigned below = jd_wheel_width(level - 1);

		if (first == NO_TICK)
			continue;
		last = first | ((UINT64_C(1) << jd_wheel_width(level)) - 1);
		if ((last >> below) - (wheel->tick >> below) < JD_WHEEL_SLOTS)
			move_down(wheel, level, slot_at(wheel, level, first), MOST);
	}
}

/* The level whose first slot begins first, and where; at equal ticks the highest. */
static unsigned first_level(const struct jd_wheel *wheel, uint64_t *tick)
{
	unsigned found = 0;

	*tick = NO_TICK;
	for (unsigned level = 1; level < wheel->levels; level++) {
		uint64_t first = level_first(wheel, level);

		if (first != NO_TICK && first <= *tick) {
			*tick = first;
			found = level;
		}
	}
	return found;
}

/* The heap with the earliest timer; exact unless some slot is stuck. */
static struct jd_timer_heap *first_heap(struct jd_wheel *wheel)
{
	struct jd_timer_heap *first = &wheel->exact;

	for (unsigned stuck = wheel->stuck; JD_UNLIKELY(stuck); stuck &= stuck - 1) {
		struct jd_timer_heap *slot =
			slot_at(wheel, (unsigned)__builtin_ctz(stuck), wheel->tick);

		if (first->count == 0 || slot->min_ns < first->min_ns)
			first = slot;
	}
	return first;
}

static uint64_t heap_ns(const struct jd_timer_heap *heap)
{
	return heap->count ? heap->min_ns : JD_NEVER;
}

/*
 * Moves the tick to the first thing that is due and returns the heap that has it. NULL: it is the
 * ring's slot, wheel->due; when that is NULL too there is nothing, and the tick is that of now.
 */
static struct jd_timer_heap *settle(struct jd_wheel *wheel)
{
	for (;;) {
		struct jd_timer_heap *heap = first_heap(wheel);
		uint64_t heap_tick = heap_ns(heap) >> wheel->shift;
		uint64_t ring_tick = ring_first(wheel), level_tick;
		uint64_t limit = wheel->now_ns >> wheel->shift;
		bool heap_due = heap_ns(heap) <= wheel->now_ns && heap->count;
		unsigned level = first_level(wheel, &level_tick);

		if (heap_due && heap_tick < limit)
			limit = heap_tick;
		if (ring_tick < limit)
			limit = ring_tick;
		if (level && level_tick <= limit) {
			if (level_tick > wheel->tick)
				wheel->tick = level_tick;
			cascade(wheel, level);
			continue;
		}
		if (limit > wheel->tick)
			wheel->tick = limit;
		if (ring_tick == limit && ring_tick != NO_TICK &&
		    !(heap_due && heap_ns(heap) < tick_ns(wheel))) {
			wheel->due = &wheel->ring->slot[ring_tick % JD_WHEEL_RING];
			walk_again(wheel);
			return NULL;
		}
		return heap_due ? heap : NULL;
	}
}

/* --- Taking out ------------------------------------------------------------------------------- */

void jd_wheel_ring_empty(struct jd_wheel *wheel, struct jd_timer_bag *bag)
{
	jd_timer_bag_empty(bag, &wheel->pool);
	bits_clear(&wheel->ring->summary, wheel->ring->occupied,
		   (unsigned)(bag - wheel->ring->slot));
	if (bag == wheel->due) {
		walk_again(wheel);
		wheel->due = NULL;
	}
}

static void level_remove(struct jd_wheel *wheel, struct jd_timer *timer, unsigned i)
{
	unsigned level = 1 + i / JD_WHEEL_SLOTS;
	struct jd_wheel_level *l = wheel->level[level];
	struct jd_timer_heap *slot = &l->slot[i % JD_WHEEL_SLOTS];

	jd_timer_heap_remove(slot, &wheel->pool, timer);
	if (slot->count == 0) {
		bits_clear(&l->summary, l->occupied, i % JD_WHEEL_SLOTS);
		if (wheel->stuck && slot == slot_at(wheel, level, wheel->tick))
			wheel->stuck &= (uint16_t) ~(1u << level);
	}
}

void jd_wheel_remove_elsewhere(struct jd_wheel *wheel, struct jd_timer *timer)
{
	uint32_t slot = timer->_slot;

	JD_ASSERT(timer->_slot != 0);
	timer->_slot = 0;
	if (slot == JD_WHEEL_EXACT)
		jd_timer_heap_remove(&wheel->exact, &wheel->pool, timer);
	else if (slot == JD_WHEEL_NEVER)
		jd_timer_heap_remove(&wheel->never, &wheel->pool, timer);
	else
		level_remove(wheel, timer, slot - JD_WHEEL_UPPER);
}

/* The next of the slot that is being fired, and how many follow it there. */
static struct jd_timer *pop_due(struct jd_wheel *wheel)
{
	struct jd_timer_bag *bag = wheel->due;

	if (!wheel->walk.end)
		wheel->walk = jd_timer_bag_begin(bag);
	struct jd_timer *timer = jd_timer_bag_next(bag, &wheel->walk);

	wheel->run_end = jd_timer_bag_stop(bag, wheel->walk.end);
	jd_wheel_remove(wheel, timer);
	return timer;
}

struct jd_timer *jd_wheel_pop_elsewhere(struct jd_wheel *wheel)
{
	struct jd_timer_heap *heap;

	if (wheel->due) {
		heap = first_heap(wheel);
		if (heap_ns(heap) >= tick_ns(wheel))
			heap = NULL;
	} else {
		heap = settle(wheel);
		move_ahead(wheel);
	}
	if (heap) {
		struct jd_timer *timer = heap->entry[0].timer;

		jd_wheel_remove(wheel, timer);
		return timer;
	}
	return wheel->due ? pop_due(wheel) : NULL;
}

/* --- The interface ---------------------------------------------------------------------------- */

void jd_wheel_init(struct jd_wheel *wheel, const struct jd_allocator *allocator, uint64_t now_ns,
		   unsigned shift)
{
	JD_ASSERT(shift <= JD_WHEEL_SHIFT_MAX);
	memset(wheel, 0, sizeof(*wheel));
	jd_timer_pool_init(&wheel->pool, allocator);
	wheel->now_ns = now_ns;
	wheel->shift = (uint8_t)shift;
	wheel->tick = now_ns >> shift;
	/* Enough that the highest level reaches the end of time from its begin. */
	wheel->levels = 2;
	while ((UINT64_MAX >> shift) >> jd_wheel_width(wheel->levels - 1u) >= JD_WHEEL_SLOTS)
		wheel->levels++;
}

void jd_wheel_fini(struct jd_wheel *wheel)
{
	const struct jd_allocator *allocator = wheel->pool.allocator;

	if (!allocator)
		return;
	jd_timer_heap_clear(&wheel->exact, &wheel->pool);
	jd_timer_heap_clear(&wheel->never, &wheel->pool);
	if (wheel->ring) {
		for (unsigned i = 0; i < JD_WHEEL_RING; i++)
			jd_timer_bag_clear(&wheel->ring->slot[i], &wheel->pool);
		allocator->free(allocator->ctx, wheel->ring, sizeof(*wheel->ring),
				alignof(max_align_t));
	}
	for (unsigned level = 1; level < wheel->levels; level++) {
		struct jd_wheel_level *l = wheel->level[level];

		for (unsigned i = 0; l && i < JD_WHEEL_SLOTS; i++)
			jd_timer_heap_clear(&l->slot[i], &wheel->pool);
		if (l)
			allocator->free(allocator->ctx, l, sizeof(*l), alignof(max_align_t));
	}
	jd_timer_pool_fini(&wheel->pool);
	memset(wheel, 0, sizeof(*wheel));
}

jd_status jd_wheel_insert_elsewhere(struct jd_wheel *wheel, struct jd_timer *timer)
{
	bool placed;

	if (timer->_deadline_ns != JD_NEVER)
		placed = place(wheel, timer);
	else
		placed = place_in_heap(wheel, timer, &wheel->never, JD_WHEEL_NEVER);
	return placed ? JD_OK : JD_ENOMEM;
}

uint64_t jd_wheel_next_deadline(struct jd_wheel *wheel)
{
	uint64_t next_ns = heap_ns(first_heap(wheel)), tick = ring_first(wheel);

	if (tick != NO_TICK && tick << wheel->shift < next_ns)
		next_ns = tick << wheel->shift;
	for (unsigned level = 1; level < wheel->levels; level++) {
		tick = level_first(wheel, level);
		/* A slot that begins later has nothing earlier. */
		if (tick == NO_TICK || tick << wheel->shift >= next_ns)
			continue;
		uint64_t min_ns = jd_timer_heap_min(slot_at(wheel, level, tick));

		if (min_ns < next_ns)
			next_ns = min_ns;
	}
	return next_ns;
}

size_t jd_wheel_count(const struct jd_wheel *wheel)
{
	size_t n = (size_t)wheel->exact.count + wheel->never.count;

	for (unsigned i = 0; wheel->ring && i < JD_WHEEL_RING; i++)
		n += wheel->ring->slot[i].live;
	for (unsigned level = 1; level < wheel->levels; level++)
		for (unsigned i = 0; wheel->level[level] && i < JD_WHEEL_SLOTS; i++)
			n += wheel->level[level]->slot[i].count;
	return n;
}

size_t jd_wheel_advance(struct jd_wheel *wheel, uint64_t now_ns, struct jd_timer **expired)
{
	struct jd_timer **link = expired;
	size_t n = 0;

	for (struct jd_timer *t; (t = jd_wheel_pop(wheel, now_ns)) != NULL; n++) {
		*link = t;
		link = &t->_next;
	}
	*link = NULL;
	return n;
}

/* Any timer above the ring. */
static struct jd_timer *any_in_levels(const struct jd_wheel *wheel)
{
	for (unsigned level = 1; level < wheel->levels; level++) {
		const struct jd_wheel_level *l = wheel->level[level];

		if (l && l->summary) {
			const struct jd_timer_heap *slot =
				&l->slot[bits_next(l->summary, l->occupied, 0)];

			return slot->entry[slot->count - 1].timer;
		}
	}
	return NULL;
}

struct jd_timer *jd_wheel_pop_any(struct jd_wheel *wheel)
{
	uint64_t tick = ring_first(wheel);
	struct jd_timer *timer;

	if (tick != NO_TICK) {
		struct jd_timer_bag *bag = &wheel->ring->slot[tick % JD_WHEEL_RING];

		timer = jd_timer_bag_last(bag, &wheel->pool);
		if (bag == wheel->due)
			walk_again(wheel);
	} else if (wheel->exact.count) {
		timer = wheel->exact.entry[wheel->exact.count - 1].timer;
	} else if ((timer = any_in_levels(wheel)) == NULL) {
		if (wheel->never.count == 0)
			return NULL;
		timer = wheel->never.entry[wheel->never.count - 1].timer;
	}
	jd_wheel_remove(wheel, timer);
	return timer;
}

size_t jd_wheel_drain(struct jd_wheel *wheel, struct jd_timer **all)
{
	size_t n = 0;

	*all = NULL;
	for (struct jd_timer *t; (t = jd_wheel_pop_any(wheel)) != NULL; n++) {
		t->_next = *all;
		*all = t;
	}
	return n;
}

static void each_in_heap(const struct jd_timer_heap *heap,
			 void (*fn)(void *arg, const struct jd_timer *timer), void *arg)
{
	for (uint32_t i = 0; i < heap->count; i++)
		fn(arg, heap->entry[i].timer);
}

static void each_in_bag(const struct jd_timer_bag *bag,
			void (*fn)(void *arg, const struct jd_timer *timer), void *arg)
{
	if (!bag->end)
		return;
	struct jd_timer_bag_walk walk = jd_timer_bag_begin(bag);

	for (const struct jd_timer *t; (t = jd_timer_bag_next(bag, &walk)) != NULL;)
		fn(arg, t);
}

void jd_wheel_each(const struct jd_wheel *wheel,
		   void (*fn)(void *arg, const struct jd_timer *timer), void *arg)
{
	for (unsigned i = 0; wheel->ring && i < JD_WHEEL_RING; i++)
		each_in_bag(&wheel->ring->slot[i], fn, arg);
	each_in_heap(&wheel->exact, fn, arg);
	for (unsigned level = 1; level < wheel->levels; level++)
		for (unsigned i = 0; wheel->level[level] && i < JD_WHEEL_SLOTS; i++)
			each_in_heap(&wheel->level[level]->slot[i], fn, arg);
	each_in_heap(&wheel->never, fn, arg);
}
