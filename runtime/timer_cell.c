/* timer_cell.c - pools of timer cells. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/timer_cell.h"

#include "runtime/lock.h"
#include "runtime/memory.h"
#include "runtime/tuning.h"

/* Chunk k holds FIRST << k cells, from number FIRST * (2^k - 1) on. */
static unsigned chunk_of(uint32_t number)
{
	return 31u - (unsigned)__builtin_clz(number / JD_TIMER_CELLS_FIRST + 1);
}

static uint32_t chunk_start(unsigned k)
{
	return (uint32_t)JD_TIMER_CELLS_FIRST * ((UINT32_C(1) << k) - 1);
}

static size_t chunk_cells(unsigned k)
{
	return (size_t)JD_TIMER_CELLS_FIRST << k;
}

void jd_timer_cells_init(struct jd_timer_cells *cells, const struct jd_allocator *allocator,
			 bool foreign)
{
	memset(cells, 0, sizeof(*cells));
	cells->allocator = allocator;
	cells->foreign = foreign;
	atomic_init(&cells->lock._word, 0);
	atomic_init(&cells->returned, NULL);
	atomic_init(&cells->stack, 0);
}

void jd_timer_cells_fini(struct jd_timer_cells *cells)
{
	for (unsigned k = 0; k < JD_TIMER_CHUNKS && cells->chunk[k]; k++)
		jd_memory_free(cells->allocator, cells->chunk[k],
			       chunk_cells(k) * sizeof(struct jd_timer_cell),
			       alignof(struct jd_timer_cell));
	jd_memory_free(cells->allocator, cells->mine, cells->mine_capacity * sizeof(*cells->mine),
		       alignof(struct jd_timer_cell *));
	cells->chunk[0] = NULL;
	cells->mine = NULL;
}

struct jd_timer_cell *jd_timer_cells_at(const struct jd_timer_cells *cells, uint32_t i)
{
	unsigned k = chunk_of(i);

	return &cells->chunk[k][i - chunk_start(k)];
}

uint32_t jd_timer_cells_count(struct jd_timer_cells *cells)
{
	if (!cells->foreign)
		return cells->carved;
	jd_lock_acquire(&cells->lock);
	uint32_t n = cells->carved;

	jd_lock_release(&cells->lock);
	return n;
}

/* Room in the private stack for all cells up to this chunk. */
static bool grow_stack(struct jd_timer_cells *cells, unsigned k)
{
	uint32_t capacity = chunk_start(k + 1);
	struct jd_timer_cell **mine = jd_memory_alloc(cells->allocator, capacity * sizeof(*mine),
						      alignof(struct jd_timer_cell *));

	if (!mine)
		return false;
	if (cells->mine_count)
		memcpy(mine, cells->mine, cells->mine_count * sizeof(*mine));
	jd_memory_free(cells->allocator, cells->mine, cells->mine_capacity * sizeof(*mine),
		       alignof(struct jd_timer_cell *));
	cells->mine = mine;
	cells->mine_capacity = capacity;
	return true;
}

static bool grow(struct jd_timer_cells *cells, unsigned k)
{
	if (!cells->foreign && cells->mine_capacity < chunk_start(k + 1) && !grow_stack(cells, k))
		return false;
	cells->chunk[k] = jd_memory_alloc(cells->allocator,
					  chunk_cells(k) * sizeof(struct jd_timer_cell),
					  alignof(struct jd_timer_cell));
	return cells->chunk[k] != NULL;
}

/* A cell that nobody ever had; NULL: no memory. By the owner, or under the lock. */
static struct jd_timer_cell *carve(struct jd_timer_cells *cells)
{
	unsigned k = chunk_of(cells->carved);

	if (k >= JD_TIMER_CHUNKS || (!cells->chunk[k] && !grow(cells, k)))
		return NULL;
	struct jd_timer_cell *cell = jd_timer_cells_at(cells, cells->carved);

	memset(&cell->node, 0, sizeof(cell->node));
	atomic_init(&cell->node._cell, NULL);
	atomic_init(&cell->node._owner, NULL);
	atomic_init(&cell->link, 0);
	cell->number = cells->carved++;
	cell->met = 0;
	cell->foreign = cells->foreign;
	return cell;
}

/* --- The own pool --------------------------------------------------------------------------- */

static struct jd_timer_cell *take_own(struct jd_timer_cells *cells)
{
	if (cells->mine_count)
		return cells->mine[--cells->mine_count];
	if (!cells->taken && atomic_load_explicit(&cells->returned, memory_order_relaxed))
		/* order: (TCE1) acquire - the cells are ours; pairs with (TCE2). */
		cells->taken = jd_timer_cell_of(
			atomic_exchange_explicit(&cells->returned, NULL, memory_order_acquire));
	struct jd_timer_cell *cell = cells->taken;

	if (!cell)
		return carve(cells);
	cells->taken = jd_timer_cell_of(cell->node._next);
	return cell;
}

static void return_list(struct jd_timer_cells *cells, struct jd_timer *first, struct jd_timer *last)
{
	last->_next = atomic_load_explicit(&cells->returned, memory_order_relaxed);
	/* order: (TCE2) release - we are done with the cells; pairs with (TCE1). */
	while (!atomic_compare_exchange_weak_explicit(&cells->returned, &last->_next, first,
						      memory_order_release, memory_order_relaxed))
		;
}

/* --- The foreign pool ----------------------------------------------------------------------- */

#define JD_TIMER_POP (UINT64_C(1) << 32)

/* The cells from first to last are linked by next_free already. */
static void push_foreign(struct jd_timer_cells *cells, struct jd_timer_cell *first,
			 struct jd_timer_cell *last)
{
	uint64_t head = atomic_load_explicit(&cells->stack, memory_order_relaxed), new_head;

	do {
		atomic_store_explicit(&last->link, (uint32_t)head, memory_order_relaxed);
		new_head = (head & ~(JD_TIMER_POP - 1)) | (first->number + 1);
		/* order: (TCE3) release - we are done with the cells; pairs with (TCE4), (TCE5). */
	} while (!atomic_compare_exchange_weak_explicit(
		&cells->stack, &head, new_head, memory_order_release, memory_order_relaxed));
}

static struct jd_timer_cell *carve_foreign(struct jd_timer_cells *cells)
{
	struct jd_timer_cell *first, *second = NULL, *last = NULL;

	jd_lock_acquire(&cells->lock);
	first = carve(cells);
	for (int i = 1; first && i < JD_TIMER_CELLS_FIRST; i++) {
		struct jd_timer_cell *more = carve(cells);

		if (!more)
			break;
		if (last)
			atomic_store_explicit(&last->link, more->number + 1, memory_order_relaxed);
		else
			second = more;
		last = more;
	}
	/* Under the lock: whoever learns of a number has a chunk to look it up in. */
	if (second)
		push_foreign(cells, second, last);
	jd_lock_release(&cells->lock);
	return first;
}

static struct jd_timer_cell *take_foreign(struct jd_timer_cells *cells)
{
	/* order: (TCE4) acquire - the cell, and its chunk; pairs with (TCE3), (TCE5). */
	uint64_t head = atomic_load_explicit(&cells->stack, memory_order_acquire);

	while ((uint32_t)head) {
		struct jd_timer_cell *cell = jd_timer_cells_at(cells, (uint32_t)head - 1);
		uint32_t next = atomic_load_explicit(&cell->link, memory_order_relaxed);
		uint64_t new_head = ((head + JD_TIMER_POP) & ~(JD_TIMER_POP - 1)) | next;

		/* order: (TCE5) acq_rel - as (TCE4), passed on; pairs with (TCE3), (TCE4). */
		if (atomic_compare_exchange_weak_explicit(&cells->stack, &head, new_head,
							  memory_order_acq_rel,
							  memory_order_acquire)) {
			if (next)
				JD_PREFETCH(jd_timer_cells_at(cells, next - 1));
			return cell;
		}
	}
	return carve_foreign(cells);
}

/* --- Either --------------------------------------------------------------------------------- */

struct jd_timer_cell *jd_timer_cells_take(struct jd_timer_cells *cells)
{
	return cells->foreign ? take_foreign(cells) : take_own(cells);
}

void jd_timer_cells_give(struct jd_timer_cells *cells, struct jd_timer_cell *cell)
{
	if (cells->foreign)
		push_foreign(cells, cell, cell);
	else
		cells->mine[cells->mine_count++] = cell;
}

void jd_timer_cells_give_list(struct jd_timer_cells *cells, struct jd_timer *first,
			      struct jd_timer *last)
{
	if (!cells->foreign) {
		return_list(cells, first, last);
		return;
	}
	for (struct jd_timer *t = first; t != last; t = t->_next)
		atomic_store_explicit(&jd_timer_cell_of(t)->link,
				      jd_timer_cell_of(t->_next)->number + 1, memory_order_relaxed);
	push_foreign(cells, jd_timer_cell_of(first), jd_timer_cell_of(last));
}
