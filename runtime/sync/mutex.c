/* mutex.c - a mutex that is awaited, first come first served. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sync/waiter.h"

/* Invariant: nobody waits while it is free, because unlock hands it over. */

void jd_mutex_init(struct jd_mutex *self)
{
	*self = (struct jd_mutex){._locked = false};
	jd_waiters_init(&self->_waiting);
}

jd_status jd_mutex_fini(struct jd_mutex *self)
{
	jd_lock_acquire(&self->_lock);
	bool busy = self->_locked;

	JD_ASSERT(busy || jd_waiters_empty(&self->_waiting));
	jd_lock_release(&self->_lock);
	return busy ? JD_EBUSY : JD_OK;
}

jd_status jd_mutex_try_lock(struct jd_mutex *self)
{
	jd_lock_acquire(&self->_lock);
	bool taken = !self->_locked;

	self->_locked = true;
	jd_lock_release(&self->_lock);
	return taken ? JD_OK : JD_EWOULDBLOCK;
}

void jd_mutex_unlock(struct jd_mutex *self)
{
	struct jd_waker waker = {0};

	jd_lock_acquire(&self->_lock);
	if (!self->_locked)
		JD_MISUSE("unlock of a mutex that is not locked");
	if (jd_waiters_empty(&self->_waiting))
		self->_locked = false;
	else
		waker = jd_waiters_remove(jd_waiters_first(&self->_waiting), JD_WAITER_GRANTED);
	jd_lock_release(&self->_lock);
	jd_waker_wake(&waker);
}

static jd_status mutex_lock_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_mutex_lock *self = jd_container_of(future, struct jd_mutex_lock, base);
	struct jd_mutex *mutex = self->_mutex;
	struct jd_waiter *waiter = &self->_waiter;
	struct jd_waker old = {0};

	(void)result;
	jd_lock_acquire(&mutex->_lock);
	bool locked = waiter->_state == JD_WAITER_GRANTED;

	if (waiter->_state == JD_WAITER_IDLE) {
		locked = !mutex->_locked;
		mutex->_locked = true;
		if (!locked)
			jd_waiters_push(&mutex->_waiting, waiter);
	}
	if (!locked)
		old = jd_waker_replace(&waiter->_waker, context->waker);
	jd_lock_release(&mutex->_lock);
	jd_waker_drop(&old);
	if (!locked)
		return JD_PENDING;
	self->_mutex = NULL;
	return JD_OK;
}

static void mutex_lock_drop(struct jd_future *future)
{
	struct jd_mutex_lock *self = jd_container_of(future, struct jd_mutex_lock, base);
	struct jd_waker waker = {0};

	if (!self->_mutex)
		return;
	jd_lock_acquire(&self->_mutex->_lock);
	bool granted = self->_waiter._state == JD_WAITER_GRANTED;

	if (self->_waiter._state == JD_WAITER_QUEUED)
		waker = jd_waiters_remove(&self->_waiter, JD_WAITER_ENDED);
	jd_lock_release(&self->_mutex->_lock);
	jd_waker_drop(&waker);
	if (granted)
		jd_mutex_unlock(self->_mutex);
}

void jd_mutex_lock_init(struct jd_mutex_lock *self, struct jd_mutex *mutex)
{
	static const struct jd_future_ops ops = {
		.poll = mutex_lock_poll,
		.drop = mutex_lock_drop,
		.size = sizeof(struct jd_mutex_lock),
	};

	*self = (struct jd_mutex_lock){.base = {&ops}, ._mutex = mutex};
}
