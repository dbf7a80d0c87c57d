/* reclaimer.c - a thread that waits for grace periods and frees what was retired before. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/reclaimer.h"

/* _word: bit 0 asks the thread to end, the rest counts what it should look at. */
enum {
	STOP = 1u,
	CHANGE = 2u,
};

static void reclaimer_enter(struct jd_reclaim *base)
{
	(void)base;
	jd_grace_enter();
}

static void reclaimer_leave(struct jd_reclaim *base)
{
	(void)base;
	jd_grace_leave();
}

static struct jd_retired *take(struct jd_reclaimer *self)
{
	/* order: (RC1) acquire - what the retiring threads wrote; pairs with (RC2). */
	return atomic_exchange_explicit(&self->_retired, NULL, memory_order_acquire);
}

static uint64_t free_all(struct jd_retired *item)
{
	uint64_t n = 0;

	for (; item; n++) {
		struct jd_retired *next = item->next;

		item->free(item);
		item = next;
	}
	return n;
}

static void reclaimer_main(void *arg)
{
	struct jd_reclaimer *self = arg;

	for (;;) {
		/* order: (RC3) acquire - before the stack is looked at, so that a retire that we
		 * miss there has changed the word; pairs with (RC4). */
		uint32_t seen = atomic_load_explicit(&self->_word, memory_order_acquire);
		struct jd_retired *item = take(self);

		if (item) {
			jd_grace_wait();
			atomic_fetch_add_explicit(&self->_freed, free_all(item),
						  memory_order_relaxed);
		} else if (seen & STOP) {
			return;
		} else {
			jd_futex_wait(&self->_word, seen, JD_NEVER);
		}
	}
}

static void notify(struct jd_reclaimer *self, uint32_t change)
{
	/* order: (RC4) release - after the push on the stack; pairs with (RC3). */
	atomic_fetch_add_explicit(&self->_word, change, memory_order_release);
	jd_futex_wake_one(&self->_word);
}

static void reclaimer_retire(struct jd_reclaim *base, struct jd_retired *item)
{
	struct jd_reclaimer *self = jd_container_of(base, struct jd_reclaimer, _base);
	struct jd_retired *head = atomic_load_explicit(&self->_retired, memory_order_relaxed);

	do
		item->next = head;
	/* order: (RC2) release - the item's link and content; pairs with (RC1). */
	while (!atomic_compare_exchange_weak_explicit(&self->_retired, &head, item,
						      memory_order_release, memory_order_relaxed));
	if (atomic_exchange_explicit(&self->_started, true, memory_order_relaxed))
		notify(self, CHANGE);
	else if (jd_thread_start(&self->_thread, "jd-reclaim", 0, reclaimer_main, self) != JD_OK)
		/* Kept for now; the next one that is retired tries again. */
		atomic_store_explicit(&self->_started, false, memory_order_relaxed);
}

static void reclaimer_barrier(struct jd_reclaim *base)
{
	struct jd_reclaimer *self = jd_container_of(base, struct jd_reclaimer, _base);

	if (atomic_load_explicit(&self->_started, memory_order_relaxed)) {
		notify(self, STOP);
		jd_thread_join(&self->_thread);
		atomic_store_explicit(&self->_word, 0, memory_order_relaxed);
		atomic_store_explicit(&self->_started, false, memory_order_relaxed);
	}
	/* Nobody is inside a section: no need to wait for what no thread took care of. */
	free_all(take(self));
}

static const struct jd_reclaim_ops reclaimer_ops = {
	.name = "grace",
	.enter = reclaimer_enter,
	.leave = reclaimer_leave,
	.retire = reclaimer_retire,
	.barrier = reclaimer_barrier,
};

void jd_reclaimer_init(struct jd_reclaimer *self)
{
	jd_reclaim_keep_init(&self->_keep);
	self->_base.ops = &reclaimer_ops;
	self->reclaim = jd_grace_available() ? &self->_base : &self->_keep.base;
	atomic_init(&self->_retired, NULL);
	atomic_init(&self->_word, 0);
	atomic_init(&self->_started, false);
	atomic_init(&self->_freed, 0);
}

void jd_reclaimer_fini(struct jd_reclaimer *self)
{
	self->reclaim->ops->barrier(self->reclaim);
}

void jd_reclaimer_attach(struct jd_reclaimer *self)
{
	(void)self;
	jd_grace_attach();
}

void jd_reclaimer_detach(struct jd_reclaimer *self)
{
	(void)self;
	jd_grace_detach();
}

uint64_t jd_reclaimer_freed(const struct jd_reclaimer *self)
{
	return atomic_load_explicit(&self->_freed, memory_order_relaxed);
}
