/* waiter.h - the lists in which the synchronisation objects keep who waits for them. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_SYNC_WAITER_H
#define JD_RUNTIME_SYNC_WAITER_H

/*
 * A waiter is queued while it waits. Whoever ends its wait unlinks it, sets its state and takes
 * its waker, all under the object's lock; wakes it after the lock was released; and touches
 * neither the waiter nor, unless others still wait, the object from then on: both may be gone.
 *
 * Lists are circular with the object's own link as the head, so that a waiter can be unlinked
 * without knowing which list it is in (see jd_waiters_wake_all).
 */
#include <jackdaw/sync.h>

#include "runtime/lock.h"
#include "runtime/tuning.h"

/*
 * The state is guarded by the object's lock, so the owner of a future cannot look at it without.
 * When a wait has ended its future forgets the object, so that dropping it does not touch what may
 * be gone.
 */
enum {
	JD_WAITER_IDLE, /* not polled yet */
	JD_WAITER_QUEUED,
	JD_WAITER_GRANTED, /* it was given what it waits for; if it is dropped, that is passed on */
	JD_WAITER_ENDED,   /* its wait is over, and there is nothing to pass on */
};

static inline void jd_waiters_init(struct jd_waiter_link *list)
{
	list->_next = list;
	list->_prev = list;
}

static inline bool jd_waiters_empty(const struct jd_waiter_link *list)
{
	return list->_next == list;
}

static inline void jd_waiters_push(struct jd_waiter_link *list, struct jd_waiter *waiter)
{
	struct jd_waiter_link *link = &waiter->_link;

	JD_ASSERT(waiter->_state == JD_WAITER_IDLE);
	link->_next = list;
	link->_prev = list->_prev;
	list->_prev->_next = link;
	list->_prev = link;
	waiter->_state = JD_WAITER_QUEUED;
}

/* The one that waits longest; the list is not empty. */
static inline struct jd_waiter *jd_waiters_first(const struct jd_waiter_link *list)
{
	return jd_container_of(list->_next, struct jd_waiter, _link);
}

/* Ends a wait; the caller gets the waker, to wake it after the lock. */
static inline struct jd_waker jd_waiters_remove(struct jd_waiter *waiter, uint32_t state)
{
	struct jd_waiter_link *link = &waiter->_link;
	struct jd_waker waker = waiter->_waker;

	JD_ASSERT(waiter->_state == JD_WAITER_QUEUED);
	link->_prev->_next = link->_next;
	link->_next->_prev = link->_prev;
	waiter->_state = state;
	waiter->_waker = (struct jd_waker){0};
	return waker;
}

/* A later poll brings its waker. Returns the one to drop after the lock, or an empty one. */
static inline struct jd_waker jd_waker_replace(struct jd_waker *slot, const struct jd_waker *waker)
{
	struct jd_waker old = *slot;

	if (slot->ops && jd_waker_same(slot, waker))
		return (struct jd_waker){0};
	*slot = jd_waker_clone(waker);
	return old;
}

/* Wakers that are to be woken after the lock. */
struct jd_wake_batch {
	struct jd_waker wakers[JD_WAKE_BATCH];
	unsigned count;
};

static inline bool jd_wake_batch_full(const struct jd_wake_batch *batch)
{
	return batch->count == JD_WAKE_BATCH;
}

static inline void jd_wake_batch_add(struct jd_wake_batch *batch, struct jd_waker waker)
{
	batch->wakers[batch->count++] = waker;
}

static inline void jd_wake_batch_wake(struct jd_wake_batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++)
		jd_waker_wake(&batch->wakers[i]);
	batch->count = 0;
}

/*
 * Ends the wait of everybody in the list now and nobody who comes while it works. Called with the
 * lock held, returns with it released. A waiter's wait ends when its turn comes, not before: as
 * long as one is left, somebody still uses the object, so the lock can be taken again.
 */
void jd_waiters_wake_all(struct jd_lock *lock, struct jd_waiter_link *list, uint32_t state);

#endif
