/* wheel_check.c - the dumb, exhaustive view of a timer wheel. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "platform/compiler.h"
#include "timers/wheel_check.h"

/* One check: what was seen so far. */
struct check {
	const struct jd_wheel *wheel;
	FILE *why;
	size_t bytes; /* of their blocks */
	size_t large; /* of these, not from chunks */
	bool ok;
};

JD_PRINTF(3, 4) static bool claim(struct check *c, bool holds, const char *format, ...)
{
	va_list args;

	if (holds)
		return true;
	c->ok = false;
	if (!c->why)
		return false;
	va_start(args, format);
	fputs("wheel: ", c->why);
	vfprintf(c->why, format, args);
	fputc('\n', c->why);
	va_end(args);
	return false;
}

/* Where a deadline belongs: the value of _slot, found from the top. */
static uint32_t expected_slot(const struct jd_wheel *w, uint64_t deadline_ns)
{
	uint64_t tick = deadline_ns >> w->shift, ticks_off;
	unsigned level = w->levels - 1u;

	if (deadline_ns == JD_NEVER)
		return JD_WHEEL_NEVER;
	if (tick < w->tick)
		return JD_WHEEL_EXACT;
	ticks_off = tick - w->tick;
	if (tick << w->shift == deadline_ns && ticks_off < JD_WHEEL_RING)
		return jd_wheel_ring_slot(tick % JD_WHEEL_RING);
	if (tick / 64 == w->tick / 64)
		return JD_WHEEL_EXACT;
	/* The lowest level that reaches it. */
	while (level > 1 && (tick >> 6 * (level - 1)) - (w->tick >> 6 * (level - 1)) <= 255)
		level--;
	return JD_WHEEL_UPPER + (level - 1) * JD_WHEEL_SLOTS + (uint32_t)(tick >> 6 * level & 255);
}

/*
 * May a timer be where it says it is? Since it was placed, the tick may have come nearer, so a
 * lower level might reach it by now; but its slot is still one that contains its deadline, in the
 * window of its level, and only a stuck one is where the tick is.
 */
static bool may_be_at(const struct jd_wheel *w, uint64_t deadline_ns, uint32_t slot)
{
	uint64_t tick = deadline_ns >> w->shift;

	if (slot == expected_slot(w, deadline_ns))
		return true;
	if (slot == JD_WHEEL_EXACT)
		return deadline_ns != JD_NEVER && tick / 64 <= w->tick / 64;
	if (slot < JD_WHEEL_UPPER || deadline_ns == JD_NEVER)
		return false;
	unsigned level = 1 + (slot - JD_WHEEL_UPPER) / JD_WHEEL_SLOTS;
	uint64_t at = tick >> 6 * level, now = w->tick >> 6 * level;

	return at % JD_WHEEL_SLOTS == (slot - JD_WHEEL_UPPER) % JD_WHEEL_SLOTS && at >= now &&
	       at - now < JD_WHEEL_SLOTS && (at > now || w->stuck >> level & 1);
}

static void check_timer(struct check *c, const struct jd_timer *t, uint32_t slot)
{
	claim(c, t->_slot == slot, "slot %" PRIu32 ": a timer that says %" PRIu32, slot, t->_slot);
	claim(c, may_be_at(c->wheel, t->_deadline_ns, slot),
	      "slot %" PRIu32 ": %" PRIu64 " does not belong here at tick %" PRIu64 ", shift %u",
	      slot, t->_deadline_ns, c->wheel->tick, c->wheel->shift);
}

static void check_heap(struct check *c, const struct jd_timer_heap *heap, uint32_t slot)
{
	uint64_t min_ns = JD_NEVER;

	size_t bytes = heap->capacity * sizeof(heap->entry[0]);

	c->bytes += bytes;
	c->large += bytes > JD_TIMER_POOL_LARGEST ? bytes : 0;
	if (!claim(c, heap->count <= heap->capacity && (heap->count > 0) == (heap->capacity > 0),
		   "slot %" PRIu32 ": %" PRIu32 " timers, room for %" PRIu32, slot, heap->count,
		   heap->capacity))
		return;
	for (uint32_t i = 0; i < heap->count; i++) {
		const struct jd_timer_entry *e = &heap->entry[i];

		claim(c, e->timer->_index == i && e->timer->_deadline_ns == e->deadline_ns,
		      "slot %" PRIu32 ": entry %" PRIu32 " and its timer differ", slot, i);
		claim(c,
		      !heap->ordered || i == 0 ||
			      heap->entry[(i - 1) / 4].deadline_ns <= e->deadline_ns,
		      "slot %" PRIu32 ": entry %" PRIu32 " is not in order", slot, i);
		if (e->deadline_ns < min_ns)
			min_ns = e->deadline_ns;
		check_timer(c, e->timer, slot);
	}
	claim(c, !heap->stale || !heap->ordered, "slot %" PRIu32 ": stale and in order", slot);
	claim(c,
	      heap->count == 0 || (heap->stale ? heap->min_ns <= min_ns : heap->min_ns == min_ns),
	      "slot %" PRIu32 ": minimum %" PRIu64 " is said to be %" PRIu64, slot, min_ns,
	      heap->min_ns);
}

static void check_block(struct check *c, struct jd_timer **from, struct jd_timer **stop,
			uint32_t slot, uint32_t *live)
{
	for (; from != stop; from++) {
		if (!*from)
			continue;
		++*live;
		claim(c, (*from)->_entry == from, "slot %" PRIu32 ": a timer elsewhere", slot);
		check_timer(c, *from, slot);
	}
}

static void check_bag(struct check *c, const struct jd_timer_bag *bag, uint32_t slot)
{
	struct jd_timer_bag_end *end = bag->end;
	uint32_t live = 0, capacity = 0;

	if (!claim(c, bag->live == 0 || end, "slot %" PRIu32 ": timers without blocks", slot))
		return;
	claim(c,
	      bag->live || !end ||
		      (end->next == end && end->size == JD_TIMER_POOL_LINE &&
		       bag->tail == jd_timer_bag_first(end)),
	      "slot %" PRIu32 ": empty with more than an empty line", slot);
	while (end && capacity < bag->capacity) {
		struct jd_timer **first;

		end = end->next;
		first = jd_timer_bag_first(end);
		capacity += (uint32_t)((struct jd_timer **)(void *)end - first);
		c->bytes += end->size;
		check_block(c, first, end == bag->end ? bag->tail : (void *)end, slot, &live);
	}
	claim(c, end == bag->end && capacity == bag->capacity,
	      "slot %" PRIu32 ": blocks that are no circle of %" PRIu32, slot, bag->capacity);
	claim(c, live == bag->live, "slot %" PRIu32 ": %" PRIu32 " timers, said to be %" PRIu32,
	      slot, live, bag->live);
}

static void check_bits(struct check *c, uint64_t summary, const uint64_t *words, unsigned i,
		       bool occupied, uint32_t slot)
{
	claim(c, (words[i / 64] >> i % 64 & 1) == occupied && (!occupied || summary >> i / 64 & 1),
	      "slot %" PRIu32 ": occupied is not %d", slot, occupied);
	claim(c, (words[i / 64] != 0) == (summary >> i / 64 & 1),
	      "slot %" PRIu32 ": the summary is wrong", slot);
}

/* The run is entries of one block of the slot that is being fired, before all heaps. */
static void check_run(struct check *c)
{
	const struct jd_wheel *w = c->wheel;
	const struct jd_timer_bag_walk *walk = &w->walk;

	if (walk->at == w->run_end)
		return;
	if (!claim(c, w->due && walk->end, "a run without a slot that is being fired"))
		return;
	claim(c,
	      walk->at >= jd_timer_bag_first(walk->end) && walk->at < w->run_end &&
		      w->run_end <= jd_timer_bag_stop(w->due, walk->end),
	      "a run outside its block");
	claim(c, w->exact.count == 0 || w->exact.min_ns >= w->tick << w->shift,
	      "exact comes before the run");
}

static void check_ring(struct check *c)
{
	const struct jd_wheel_ring *ring = c->wheel->ring;

	for (unsigned i = 0; ring && i < JD_WHEEL_RING; i++) {
		uint32_t slot = jd_wheel_ring_slot(i);

		check_bits(c, ring->summary, ring->occupied, i, ring->slot[i].live > 0, slot);
		check_bag(c, &ring->slot[i], slot);
	}
	claim(c,
	      !c->wheel->due || (ring && c->wheel->due->live > 0 &&
				 c->wheel->due == &ring->slot[c->wheel->tick % JD_WHEEL_RING]),
	      "what is being fired is not the slot of the tick");
	check_run(c);
}

static void check_level(struct check *c, unsigned level)
{
	const struct jd_wheel_level *l = c->wheel->level[level];

	for (unsigned i = 0; l && i < JD_WHEEL_SLOTS; i++) {
		uint32_t slot = JD_WHEEL_UPPER + (level - 1) * JD_WHEEL_SLOTS + i;
		bool here = (c->wheel->tick >> 6 * level) % JD_WHEEL_SLOTS == i;

		check_bits(c, l->summary, l->occupied, i, l->slot[i].count > 0, slot);
		check_heap(c, &l->slot[i], slot);
		claim(c, (here && l->slot[i].count > 0) == (here && c->wheel->stuck >> level & 1),
		      "slot %" PRIu32 ": stuck is wrong", slot);
		claim(c, !here || l->slot[i].count == 0 || l->slot[i].ordered,
		      "slot %" PRIu32 ": stuck and not in order", slot);
	}
	claim(c, l || !(c->wheel->stuck >> level & 1), "level %u: stuck without a table", level);
}

/* What is not used of the chunks is in the lists of free blocks. */
static void check_pool(struct check *c)
{
	const struct jd_timer_pool *pool = &c->wheel->pool;
	size_t chunks = 0, blocks = 0, unused = 0;

	for (const struct jd_timer_chunk *chunk = pool->chunks; chunk; chunk = chunk->next) {
		chunks += chunk->size;
		blocks += chunk->size - sizeof(*chunk);
	}
	for (unsigned k = 0; k < JD_TIMER_POOL_CLASSES; k++)
		for (void *const *block = pool->unused[k]; block; block = *block)
			unused += (size_t)JD_TIMER_POOL_LINE << 2 * k;
	claim(c, chunks == pool->chunk_bytes, "%zu bytes in chunks, said to be %zu", chunks,
	      pool->chunk_bytes);
	claim(c, c->bytes == pool->used, "%zu bytes in use, said to be %zu", c->bytes, pool->used);
	claim(c, c->bytes - c->large + unused == blocks,
	      "blocks of %zu bytes: %zu used, %zu not used", blocks, c->bytes - c->large, unused);
}

bool jd_wheel_check(const struct jd_wheel *wheel, FILE *why)
{
	struct check c = {.wheel = wheel, .why = why, .ok = true};

	claim(&c, wheel->tick <= wheel->now_ns >> wheel->shift, "the tick is after now");
	claim(&c, wheel->exact.count == 0 || wheel->exact.ordered, "exact is not in order");
	check_ring(&c);
	check_heap(&c, &wheel->exact, JD_WHEEL_EXACT);
	check_heap(&c, &wheel->never, JD_WHEEL_NEVER);
	for (unsigned level = 1; level < wheel->levels; level++)
		check_level(&c, level);
	check_pool(&c);
	return c.ok;
}

/* --- Dump ------------------------------------------------------------------------------------- */

static void dump_heap(const struct jd_timer_heap *heap, FILE *out)
{
	fprintf(out, "%" PRIu32 " from %s%" PRIu64 " ns%s\n", heap->count,
		heap->stale ? "at least " : "", heap->min_ns, heap->ordered ? ", a heap" : "");
}

void jd_wheel_dump(const struct jd_wheel *wheel, FILE *out)
{
	fprintf(out,
		"wheel: now %" PRIu64 " ns, tick 2^%u ns, %zu timers, %" PRIu32
		" never, %zu bytes, %zu in chunks\n",
		wheel->now_ns, wheel->shift, jd_wheel_count(wheel), wheel->never.count,
		wheel->pool.used, wheel->pool.chunk_bytes);
	if (wheel->exact.count) {
		fputs("  exact: ", out);
		dump_heap(&wheel->exact, out);
	}
	for (unsigned i = 0; wheel->ring && i < JD_WHEEL_RING; i++) {
		uint64_t tick = wheel->tick + i;
		const struct jd_timer_bag *bag = &wheel->ring->slot[tick % JD_WHEEL_RING];

		if (bag->live)
			fprintf(out, "  ring %" PRIu64 ": %" PRIu32 " at %" PRIu64 " ns%s\n",
				tick % JD_WHEEL_RING, bag->live, tick << wheel->shift,
				bag == wheel->due ? ", being fired" : "");
	}
	for (unsigned level = 1; level < wheel->levels; level++) {
		for (unsigned i = 0; wheel->level[level] && i < JD_WHEEL_SLOTS; i++) {
			if (wheel->level[level]->slot[i].count == 0)
				continue;
			fprintf(out, "  level %u slot %u: ", level, i);
			dump_heap(&wheel->level[level]->slot[i], out);
		}
	}
}
