/* semaphore.c - permits that are awaited, first come first served. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sync/waiter.h"

/* Invariant, whenever the lock is free: the first in line wants more than there is. */

jd_status jd_semaphore_init(struct jd_semaphore *self, uint64_t permits)
{
	if (permits > JD_SEMAPHORE_MAX)
		return JD_ERANGE;
	*self = (struct jd_semaphore){._permits = permits};
	jd_waiters_init(&self->_waiting);
	return JD_OK;
}

jd_status jd_semaphore_fini(struct jd_semaphore *self)
{
	jd_lock_acquire(&self->_lock);
	bool busy = !jd_waiters_empty(&self->_waiting);

	jd_lock_release(&self->_lock);
	return busy ? JD_EBUSY : JD_OK;
}

/* Whether the first in line, if there is one, can have what it wants. */
static bool can_grant(const struct jd_semaphore *self)
{
	return !jd_waiters_empty(&self->_waiting) &&
	       jd_waiters_first(&self->_waiting)->_n <= self->_permits;
}

/* Restores the invariant. Called with the lock held, returns with it released. */
static void grant(struct jd_semaphore *self)
{
	struct jd_wake_batch batch = {.count = 0};
	bool more = true;

	while (more) {
		while (can_grant(self) && !jd_wake_batch_full(&batch)) {
			struct jd_waiter *waiter = jd_waiters_first(&self->_waiting);

			self->_permits -= waiter->_n;
			jd_wake_batch_add(&batch, jd_waiters_remove(waiter, JD_WAITER_GRANTED));
		}
		more = can_grant(self);
		jd_lock_release(&self->_lock);
		jd_wake_batch_wake(&batch);
		if (more)
			jd_lock_acquire(&self->_lock);
	}
}

jd_status jd_semaphore_release(struct jd_semaphore *self, uint64_t permits)
{
	jd_lock_acquire(&self->_lock);
	if (self->_permits > JD_SEMAPHORE_MAX || permits > JD_SEMAPHORE_MAX - self->_permits) {
		jd_lock_release(&self->_lock);
		return JD_ERANGE;
	}
	self->_permits += permits;
	grant(self);
	return JD_OK;
}

/* Under the lock. */
static bool take(struct jd_semaphore *self, uint64_t permits)
{
	if (permits && (!jd_waiters_empty(&self->_waiting) || permits > self->_permits))
		return false;
	self->_permits -= permits;
	return true;
}

jd_status jd_semaphore_try_acquire(struct jd_semaphore *self, uint64_t permits)
{
	jd_lock_acquire(&self->_lock);
	bool taken = take(self, permits);

	jd_lock_release(&self->_lock);
	return taken ? JD_OK : JD_EWOULDBLOCK;
}

uint64_t jd_semaphore_available(struct jd_semaphore *self)
{
	jd_lock_acquire(&self->_lock);
	uint64_t permits = jd_waiters_empty(&self->_waiting) ? self->_permits : 0;

	jd_lock_release(&self->_lock);
	return permits;
}

static jd_status acquire_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_semaphore_acquire *self =
		jd_container_of(future, struct jd_semaphore_acquire, base);
	struct jd_semaphore *semaphore = self->_semaphore;
	struct jd_waiter *waiter = &self->_waiter;
	struct jd_waker old = {0};

	(void)result;
	jd_lock_acquire(&semaphore->_lock);
	bool taken = waiter->_state == JD_WAITER_GRANTED;

	if (waiter->_state == JD_WAITER_IDLE) {
		taken = take(semaphore, waiter->_n);
		if (!taken)
			jd_waiters_push(&semaphore->_waiting, waiter);
	}
	if (!taken)
		old = jd_waker_replace(&waiter->_waker, context->waker);
	jd_lock_release(&semaphore->_lock);
	jd_waker_drop(&old);
	if (!taken)
		return JD_PENDING;
	self->_semaphore = NULL;
	return JD_OK;
}

static void acquire_drop(struct jd_future *future)
{
	struct jd_semaphore_acquire *self =
		jd_container_of(future, struct jd_semaphore_acquire, base);
	struct jd_semaphore *semaphore = self->_semaphore;
	struct jd_waker waker = {0};

	if (!semaphore)
		return;
	jd_lock_acquire(&semaphore->_lock);
	/* Ours may have been the large request that held up the others, or permits come back. Those
	 * were counted before, so 64 bits hold them even when more were added meanwhile. */
	if (self->_waiter._state == JD_WAITER_GRANTED)
		semaphore->_permits += self->_waiter._n;
	else if (self->_waiter._state == JD_WAITER_QUEUED)
		waker = jd_waiters_remove(&self->_waiter, JD_WAITER_ENDED);
	grant(semaphore);
	jd_waker_drop(&waker);
}

void jd_semaphore_acquire_init(struct jd_semaphore_acquire *self, struct jd_semaphore *semaphore,
			       uint64_t permits)
{
	static const struct jd_future_ops ops = {
		.poll = acquire_poll,
		.drop = acquire_drop,
		.size = sizeof(struct jd_semaphore_acquire),
	};

	*self = (struct jd_semaphore_acquire){
		.base = {&ops}, ._semaphore = semaphore, ._waiter = {._n = permits}};
}
