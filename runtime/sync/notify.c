/* notify.c - telling one or all of those who wait that something happened. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sync/waiter.h"

/* Invariant: while a permit is kept, nobody waits. */

void jd_notify_init(struct jd_notify *self)
{
	*self = (struct jd_notify){._permit = false};
	jd_waiters_init(&self->_waiting);
}

jd_status jd_notify_fini(struct jd_notify *self)
{
	jd_lock_acquire(&self->_lock);
	bool busy = !jd_waiters_empty(&self->_waiting);

	jd_lock_release(&self->_lock);
	return busy ? JD_EBUSY : JD_OK;
}

void jd_notify_one(struct jd_notify *self)
{
	struct jd_waker waker = {0};

	jd_lock_acquire(&self->_lock);
	if (jd_waiters_empty(&self->_waiting))
		self->_permit = true;
	else
		waker = jd_waiters_remove(jd_waiters_first(&self->_waiting), JD_WAITER_GRANTED);
	jd_lock_release(&self->_lock);
	jd_waker_wake(&waker);
}

void jd_notify_all(struct jd_notify *self)
{
	jd_lock_acquire(&self->_lock);
	self->_epoch++;
	jd_waiters_wake_all(&self->_lock, &self->_waiting, JD_WAITER_ENDED);
}

/* Under the lock: a wait that was not polled before. */
static bool notified_already(struct jd_notify *self, uint64_t epoch)
{
	if (self->_epoch != epoch)
		return true;
	bool permit = self->_permit;

	self->_permit = false;
	return permit;
}

static jd_status notify_wait_poll(struct jd_future *future, struct jd_context *context,
				  void *result)
{
	struct jd_notify_wait *self = jd_container_of(future, struct jd_notify_wait, base);
	struct jd_notify *notify = self->_notify;
	struct jd_waiter *waiter = &self->_waiter;
	struct jd_waker old = {0};

	(void)result;
	jd_lock_acquire(&notify->_lock);
	if (waiter->_state == JD_WAITER_IDLE && !notified_already(notify, self->_epoch))
		jd_waiters_push(&notify->_waiting, waiter);
	bool pending = waiter->_state == JD_WAITER_QUEUED;

	if (pending)
		old = jd_waker_replace(&waiter->_waker, context->waker);
	jd_lock_release(&notify->_lock);
	jd_waker_drop(&old);
	if (pending)
		return JD_PENDING;
	self->_notify = NULL;
	return JD_OK;
}

static void notify_wait_drop(struct jd_future *future)
{
	struct jd_notify_wait *self = jd_container_of(future, struct jd_notify_wait, base);
	struct jd_waker waker = {0};

	if (!self->_notify)
		return;
	jd_lock_acquire(&self->_notify->_lock);
	bool granted = self->_waiter._state == JD_WAITER_GRANTED;

	if (self->_waiter._state == JD_WAITER_QUEUED)
		waker = jd_waiters_remove(&self->_waiter, JD_WAITER_ENDED);
	jd_lock_release(&self->_notify->_lock);
	jd_waker_drop(&waker);
	if (granted)
		jd_notify_one(self->_notify);
}

void jd_notify_wait_init(struct jd_notify_wait *self, struct jd_notify *notify)
{
	static const struct jd_future_ops ops = {
		.poll = notify_wait_poll,
		.drop = notify_wait_drop,
		.size = sizeof(struct jd_notify_wait),
	};

	*self = (struct jd_notify_wait){.base = {&ops}, ._notify = notify};
	jd_lock_acquire(&notify->_lock);
	self->_epoch = notify->_epoch;
	jd_lock_release(&notify->_lock);
}
