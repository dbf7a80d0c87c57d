/* foreign.c - lanes of threads that are no workers: entered, looked at, closed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/foreign.h"

#include "platform/platform.h"

_Thread_local struct jd_foreign_self jd_foreign_self;

void jd_foreign_init(struct jd_foreign *self, const struct jd_allocator *allocator,
		     struct jd_reclaim *reclaim)
{
	self->allocator = allocator;
	self->reclaim = reclaim;
	for (unsigned i = 0; i < JD_FOREIGN_LANES; i++)
		self->lanes[i].all = self;
}

void jd_foreign_fini(struct jd_foreign *self)
{
	for (unsigned i = 0; i < JD_FOREIGN_LANES; i++) {
		if (self->lanes[i].queued)
			jd_deque_fini(&self->lanes[i].queue);
	}
}

/* Without memory for it the lane goes on without, and asks again after as many visits. */
static void count_visit(struct jd_foreign_lane *lane)
{
	struct jd_foreign *all = lane->all;

	if (++lane->visits < JD_FOREIGN_VISITS)
		return;
	lane->visits = 0;
	if (jd_deque_init(&lane->queue, JD_FOREIGN_CAPACITY, all->allocator, all->reclaim) != JD_OK)
		return;
	lane->queued = true;
	/* order: (FL3) seq_cst - the queue, and before the first push in S; pairs with (FL4),
	 * (FL6). */
	atomic_fetch_or_explicit(&all->open, (uint32_t)1 << (lane - all->lanes),
				 memory_order_seq_cst);
}

static bool try_enter(struct jd_foreign_lane *lane)
{
	uint32_t word = JD_FOREIGN_FREE;

	/* order: (FL2) acquire - what the last holder did; pairs with (FL1). */
	return atomic_load_explicit(&lane->held, memory_order_relaxed) == JD_FOREIGN_FREE &&
	       atomic_compare_exchange_strong_explicit(&lane->held, &word, JD_FOREIGN_HELD,
						       memory_order_acquire, memory_order_relaxed);
}

struct jd_foreign_lane *jd_foreign_enter(struct jd_foreign *self)
{
	struct jd_foreign_self *me = &jd_foreign_self;

	if (me->held)
		return NULL;
	if (JD_UNLIKELY(!me->at))
		me->at = (uint32_t)(jd_thread_self() % JD_FOREIGN_LANES) + 1;
	struct jd_foreign_lane *lane = &self->lanes[me->at - 1];

	if (JD_UNLIKELY(!try_enter(lane))) {
		me->at = me->at % JD_FOREIGN_LANES + 1;
		lane = &self->lanes[me->at - 1];
		if (!try_enter(lane))
			return NULL;
	}
	if (JD_UNLIKELY(!lane->queued))
		count_visit(lane);
	me->held = lane;
	return lane;
}

size_t jd_foreign_size(const struct jd_foreign *self)
{
	/* order: (FL6) acquire - the queues; pairs with (FL3). */
	uint32_t open = atomic_load_explicit(&self->open, memory_order_acquire);
	size_t n = 0;

	for (unsigned i = 0; open; i++, open >>= 1) {
		if (open & 1)
			n += jd_deque_size(&self->lanes[i].queue);
	}
	return n;
}

size_t jd_foreign_take(struct jd_foreign *self, unsigned start, void **items, size_t max)
{
	/* order: (FL7) acquire - as (FL6); pairs with (FL3). */
	uint32_t open = atomic_load_explicit(&self->open, memory_order_acquire);

	for (unsigned n = 0; open && n < JD_FOREIGN_LANES; n++) {
		unsigned i = (start + n) % JD_FOREIGN_LANES;
		size_t taken;

		if (!(open >> i & 1))
			continue;
		taken = jd_deque_take_many(&self->lanes[i].queue, items, max);
		if (taken)
			return taken;
	}
	return 0;
}

bool jd_foreign_empty(const struct jd_foreign *self)
{
	/* order: (FL4) seq_cst - after the announcement of sleep in S; pairs with (FL3). */
	uint32_t open = atomic_load_explicit(&self->open, memory_order_seq_cst);

	for (unsigned i = 0; open; i++, open >>= 1) {
		if ((open & 1) && !jd_deque_empty(&self->lanes[i].queue))
			return false;
	}
	return true;
}

void jd_foreign_close(struct jd_foreign *self)
{
	for (unsigned i = 0; i < JD_FOREIGN_LANES; i++) {
		_Atomic(uint32_t) *held = &self->lanes[i].held;
		uint32_t word = JD_FOREIGN_FREE;

		/* order: (FL5) acquire - what the last holder did; pairs with (FL1). */
		while (!atomic_compare_exchange_strong_explicit(held, &word, JD_FOREIGN_CLOSED,
								memory_order_acquire,
								memory_order_relaxed) &&
		       word != JD_FOREIGN_CLOSED) {
			word = JD_FOREIGN_FREE;
			jd_thread_yield();
		}
	}
}

struct jd_runnable *jd_foreign_rest(struct jd_foreign *self)
{
	for (unsigned i = 0; i < JD_FOREIGN_LANES; i++) {
		struct jd_foreign_lane *lane = &self->lanes[i];
		void *item = lane->queued ? jd_deque_pop_oldest(&lane->queue) : NULL;

		if (item)
			return item;
	}
	return NULL;
}

void jd_foreign_dump(const struct jd_foreign *self, FILE *out)
{
	uint32_t open = atomic_load_explicit(&self->open, memory_order_relaxed);
	unsigned lanes = 0;

	for (; open; open &= open - 1)
		lanes++;
	fprintf(out, "lanes: %u with queued %zu\n", lanes, jd_foreign_size(self));
}
