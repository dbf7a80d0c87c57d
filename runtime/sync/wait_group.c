/* wait_group.c - waiting until so many things are done. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sync/waiter.h"

void jd_wait_group_init(struct jd_wait_group *self)
{
	*self = (struct jd_wait_group){._count = 0};
	jd_waiters_init(&self->_waiting);
}

jd_status jd_wait_group_fini(struct jd_wait_group *self)
{
	jd_lock_acquire(&self->_lock);
	bool busy = self->_count || !jd_waiters_empty(&self->_waiting);

	jd_lock_release(&self->_lock);
	return busy ? JD_EBUSY : JD_OK;
}

jd_status jd_wait_group_add(struct jd_wait_group *self, uint64_t n)
{
	jd_lock_acquire(&self->_lock);
	bool fits = n <= (uint64_t)INT64_MAX - self->_count;

	if (fits)
		self->_count += n;
	jd_lock_release(&self->_lock);
	return fits ? JD_OK : JD_ERANGE;
}

void jd_wait_group_done(struct jd_wait_group *self)
{
	jd_lock_acquire(&self->_lock);
	if (self->_count == 0)
		JD_MISUSE("wait group: done was called more often than was added");
	if (--self->_count == 0)
		jd_waiters_wake_all(&self->_lock, &self->_waiting, JD_WAITER_ENDED);
	else
		jd_lock_release(&self->_lock);
}

uint64_t jd_wait_group_count(struct jd_wait_group *self)
{
	jd_lock_acquire(&self->_lock);
	uint64_t count = self->_count;

	jd_lock_release(&self->_lock);
	return count;
}

static jd_status wait_group_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_wait_group_wait *self = jd_container_of(future, struct jd_wait_group_wait, base);
	struct jd_wait_group *group = self->_group;
	struct jd_waiter *waiter = &self->_waiter;
	struct jd_waker old = {0};

	(void)result;
	jd_lock_acquire(&group->_lock);
	if (waiter->_state == JD_WAITER_IDLE && group->_count)
		jd_waiters_push(&group->_waiting, waiter);
	bool pending = waiter->_state == JD_WAITER_QUEUED;

	if (pending)
		old = jd_waker_replace(&waiter->_waker, context->waker);
	jd_lock_release(&group->_lock);
	jd_waker_drop(&old);
	if (pending)
		return JD_PENDING;
	self->_group = NULL;
	return JD_OK;
}

static void wait_group_drop(struct jd_future *future)
{
	struct jd_wait_group_wait *self = jd_container_of(future, struct jd_wait_group_wait, base);
	struct jd_waker waker = {0};

	if (!self->_group)
		return;
	jd_lock_acquire(&self->_group->_lock);
	if (self->_waiter._state == JD_WAITER_QUEUED)
		waker = jd_waiters_remove(&self->_waiter, JD_WAITER_ENDED);
	jd_lock_release(&self->_group->_lock);
	jd_waker_drop(&waker);
}

void jd_wait_group_wait_init(struct jd_wait_group_wait *self, struct jd_wait_group *group)
{
	static const struct jd_future_ops ops = {
		.poll = wait_group_poll,
		.drop = wait_group_drop,
		.size = sizeof(struct jd_wait_group_wait),
	};

	*self = (struct jd_wait_group_wait){.base = {&ops}, ._group = group};
}
