/* reclaim_keep.c - a stack of retired buffers, freed at the end. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "deque/reclaim_keep.h"

#include "platform/compiler.h"

static void keep_enter(struct jd_reclaim *base)
{
	(void)base;
}

static void keep_leave(struct jd_reclaim *base)
{
	(void)base;
}

static void keep_retire(struct jd_reclaim *base, struct jd_retired *item)
{
	struct jd_reclaim_keep *self = jd_container_of(base, struct jd_reclaim_keep, base);
	struct jd_retired *head = atomic_load_explicit(&self->_kept, memory_order_relaxed);

	JD_ASSERT(item->free);
	do
		item->next = head;
	/* order: (RK1) release - the item's link and content; pairs with (RK2). */
	while (!atomic_compare_exchange_weak_explicit(&self->_kept, &head, item,
						      memory_order_release, memory_order_relaxed));
}

static void keep_barrier(struct jd_reclaim *base)
{
	struct jd_reclaim_keep *self = jd_container_of(base, struct jd_reclaim_keep, base);
	/* order: (RK2) acquire - what each retire wrote; pairs with (RK1). */
	struct jd_retired *item =
		atomic_exchange_explicit(&self->_kept, NULL, memory_order_acquire);

	while (item) {
		struct jd_retired *next = item->next;

		item->free(item);
		item = next;
	}
}

static const struct jd_reclaim_ops keep_ops = {
	.name = "keep",
	.enter = keep_enter,
	.leave = keep_leave,
	.retire = keep_retire,
	.barrier = keep_barrier,
};

void jd_reclaim_keep_init(struct jd_reclaim_keep *self)
{
	self->base.ops = &keep_ops;
	atomic_init(&self->_kept, NULL);
}

void jd_reclaim_keep_fini(struct jd_reclaim_keep *self)
{
	keep_barrier(&self->base);
}
