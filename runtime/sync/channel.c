/* channel.c - items from many senders to one receiver, with a limit on how many are on the way. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/sync/item_queue.h"
#include "runtime/sync/waiter.h"

/*
 * Invariants, whenever the lock is free:
 *  - count + reserved <= capacity;
 *  - while senders wait, count + reserved == capacity and the channel is not closed;
 *  - while the waker of a receive is stored, count == 0 and the channel is not closed.
 * A sender that waits is promised a slot, and moves its item itself when it is polled: so an item
 * is moved exactly when its send says so.
 */

jd_status jd_channel_init(struct jd_channel *self, size_t capacity, size_t item_size,
			  void (*drop)(void *item), const struct jd_allocator *allocator)
{
	if (!self || !capacity || !item_size)
		return JD_EINVAL;
	*self = (struct jd_channel){._capacity = capacity, ._senders = 1, ._drop = drop};
	jd_waiters_init(&self->_waiting);

	struct jd_item_queue *queue = &self->_queue;
	bool bounded = capacity != JD_CHANNEL_UNBOUNDED;

	/* An unbounded channel keeps one chunk, so as not to free and allocate at each border. */
	jd_item_queue_init(queue, item_size, bounded ? SIZE_MAX : 1,
			   allocator ? allocator : jd_allocator_default());

	size_t chunks = bounded ? jd_item_queue_chunks(queue, capacity) : 1;

	for (size_t i = 0; i < chunks; i++) {
		struct jd_item_chunk *chunk = jd_item_queue_alloc(queue);

		if (!chunk) {
			jd_item_queue_fini(queue);
			return JD_ENOMEM;
		}
		jd_item_queue_give(queue, chunk);
	}
	return JD_OK;
}

/* Under no lock: nobody else uses the channel any more. */
static void destroy_items(struct jd_channel *self)
{
	struct jd_item_queue *queue = &self->_queue;

	while (self->_count) {
		self->_count--;
		if (self->_drop)
			self->_drop(jd_item_queue_front(queue));
		jd_item_queue_free(queue, jd_item_queue_pop(queue));
	}
	jd_item_queue_fini(queue);
}

jd_status jd_channel_fini(struct jd_channel *self)
{
	jd_lock_acquire(&self->_lock);
	bool busy = !jd_waiters_empty(&self->_waiting) || self->_reserved || self->_receiving;

	jd_lock_release(&self->_lock);
	if (busy)
		return JD_EBUSY;
	destroy_items(self);
	return JD_OK;
}

/* Under the lock: whoever waits to receive looks again. To be woken after the lock. */
static struct jd_waker take_receiver(struct jd_channel *self)
{
	struct jd_waker waker = self->_receiver;

	self->_receiver = (struct jd_waker){0};
	return waker;
}

/* Called with the lock held, returns with it released. */
static void close_and_release(struct jd_channel *self)
{
	self->_closed = true;

	struct jd_waker receiver = take_receiver(self);

	jd_waiters_wake_all(&self->_lock, &self->_waiting, JD_WAITER_ENDED);
	jd_waker_wake(&receiver);
}

void jd_channel_close(struct jd_channel *self)
{
	jd_lock_acquire(&self->_lock);
	close_and_release(self);
}

void jd_channel_add_sender(struct jd_channel *self)
{
	jd_lock_acquire(&self->_lock);
	self->_senders++;
	jd_lock_release(&self->_lock);
}

void jd_channel_drop_sender(struct jd_channel *self)
{
	jd_lock_acquire(&self->_lock);
	if (self->_senders == 0)
		JD_MISUSE("channel: more senders left than there were");
	if (--self->_senders == 0)
		close_and_release(self);
	else
		jd_lock_release(&self->_lock);
}

size_t jd_channel_count(struct jd_channel *self)
{
	jd_lock_acquire(&self->_lock);
	size_t count = self->_count;

	jd_lock_release(&self->_lock);
	return count;
}

bool jd_channel_is_closed(struct jd_channel *self)
{
	jd_lock_acquire(&self->_lock);
	bool closed = self->_closed;

	jd_lock_release(&self->_lock);
	return closed;
}

/* --- Sending --------------------------------------------------------------------------------- */

static bool has_room(const struct jd_channel *self)
{
	return self->_count < self->_capacity - self->_reserved;
}

/* Under the lock: the first in line is promised a slot that is free; to be woken after the lock. */
static struct jd_waker promise_slot(struct jd_channel *self)
{
	if (jd_waiters_empty(&self->_waiting) || !has_room(self))
		return (struct jd_waker){0};
	self->_reserved++;
	return jd_waiters_remove(jd_waiters_first(&self->_waiting), JD_WAITER_GRANTED);
}

/*
 * Puts an item for which there is a slot. Called with the lock held, returns with it released.
 * Only an unbounded channel runs out of chunks; it has no promised slots.
 */
static jd_status put_and_release(struct jd_channel *self, const void *item)
{
	while (!jd_item_queue_push(&self->_queue, item)) {
		JD_ASSERT(self->_capacity == JD_CHANNEL_UNBOUNDED);
		jd_lock_release(&self->_lock);

		struct jd_item_chunk *chunk = jd_item_queue_alloc(&self->_queue);

		if (!chunk)
			return JD_ENOMEM;
		jd_lock_acquire(&self->_lock);
		jd_item_queue_give(&self->_queue, chunk);
		if (self->_closed) {
			jd_lock_release(&self->_lock);
			return JD_ECLOSED;
		}
	}
	self->_count++;

	struct jd_waker receiver = take_receiver(self);

	jd_lock_release(&self->_lock);
	jd_waker_wake(&receiver);
	return JD_OK;
}

jd_status jd_channel_try_send(struct jd_channel *self, const void *item)
{
	jd_lock_acquire(&self->_lock);
	if (!self->_closed && has_room(self))
		return put_and_release(self, item);
	jd_status status = self->_closed ? JD_ECLOSED : JD_EWOULDBLOCK;

	jd_lock_release(&self->_lock);
	return status;
}

/* The lock is held until the item was put, or there is nothing to put or no room. */
static jd_status send_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_channel_send *self = jd_container_of(future, struct jd_channel_send, base);
	struct jd_channel *channel = self->_channel;
	struct jd_waiter *waiter = &self->_waiter;
	struct jd_waker old = {0};
	jd_status status;

	(void)result;
	jd_lock_acquire(&channel->_lock);
	bool promised = waiter->_state == JD_WAITER_GRANTED;

	channel->_reserved -= promised;
	if (promised)
		waiter->_state = JD_WAITER_ENDED;
	if (channel->_closed && waiter->_state != JD_WAITER_QUEUED) {
		status = JD_ECLOSED; /* a queued one waits for its turn: see jd_waiters_wake_all */
		jd_lock_release(&channel->_lock);
	} else if (promised || (waiter->_state == JD_WAITER_IDLE && has_room(channel))) {
		status = put_and_release(channel, self->_item);
	} else {
		status = JD_PENDING;
		if (waiter->_state == JD_WAITER_IDLE)
			jd_waiters_push(&channel->_waiting, waiter);
		old = jd_waker_replace(&waiter->_waker, context->waker);
		jd_lock_release(&channel->_lock);
	}
	jd_waker_drop(&old);
	if (status != JD_PENDING)
		self->_channel = NULL;
	return status;
}

static void send_drop(struct jd_future *future)
{
	struct jd_channel_send *self = jd_container_of(future, struct jd_channel_send, base);
	struct jd_channel *channel = self->_channel;
	struct jd_waker old = {0}, next = {0};

	if (!channel)
		return;
	jd_lock_acquire(&channel->_lock);
	if (self->_waiter._state == JD_WAITER_QUEUED) {
		old = jd_waiters_remove(&self->_waiter, JD_WAITER_ENDED);
	} else if (self->_waiter._state == JD_WAITER_GRANTED) {
		channel->_reserved--;
		next = promise_slot(channel);
	}
	jd_lock_release(&channel->_lock);
	jd_waker_drop(&old);
	jd_waker_wake(&next);
}

void jd_channel_send_init(struct jd_channel_send *self, struct jd_channel *channel,
			  const void *item)
{
	static const struct jd_future_ops ops = {
		.poll = send_poll,
		.drop = send_drop,
		.size = sizeof(struct jd_channel_send),
	};

	*self = (struct jd_channel_send){.base = {&ops}, ._channel = channel, ._item = item};
}

/* --- Receiving ------------------------------------------------------------------------------- */

/* What is to be done after the lock. */
struct after {
	struct jd_item_chunk *chunk; /* to free */
	struct jd_waker sender;      /* to wake */
	struct jd_waker old;         /* to drop */
};

/* Under the lock. */
static jd_status get(struct jd_channel *self, void *item, struct after *after)
{
	if (!self->_count)
		return self->_closed ? JD_ECLOSED : JD_EWOULDBLOCK;
	memcpy(item, jd_item_queue_front(&self->_queue), self->_queue._item_size);
	after->chunk = jd_item_queue_pop(&self->_queue);
	self->_count--;
	after->sender = promise_slot(self);
	return JD_OK;
}

static void release_and_do(struct jd_channel *self, struct after *after)
{
	jd_lock_release(&self->_lock);
	jd_item_queue_free(&self->_queue, after->chunk);
	jd_waker_wake(&after->sender);
	jd_waker_drop(&after->old);
}

jd_status jd_channel_try_receive(struct jd_channel *self, void *item)
{
	struct after after = {0};

	jd_lock_acquire(&self->_lock);
	jd_status status = get(self, item, &after);

	release_and_do(self, &after);
	return status;
}

/* Under the lock: this receive waits no more. */
static void leave(struct jd_channel *channel, struct jd_channel_receive *self, struct after *after)
{
	if (channel->_receiving != self)
		return;
	channel->_receiving = NULL;
	after->old = take_receiver(channel);
}

static jd_status receive_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_channel_receive *self = jd_container_of(future, struct jd_channel_receive, base);
	struct jd_channel *channel = self->_channel;
	struct after after = {0};

	(void)result;
	jd_lock_acquire(&channel->_lock);
	jd_status status = get(channel, self->_item, &after);

	if (status == JD_EWOULDBLOCK && channel->_receiving && channel->_receiving != self)
		status = JD_EBUSY;
	if (status == JD_EWOULDBLOCK) {
		status = JD_PENDING;
		channel->_receiving = self;
		after.old = jd_waker_replace(&channel->_receiver, context->waker);
	} else {
		leave(channel, self, &after);
	}
	release_and_do(channel, &after);
	if (status != JD_PENDING)
		self->_channel = NULL;
	return status;
}

static void receive_drop(struct jd_future *future)
{
	struct jd_channel_receive *self = jd_container_of(future, struct jd_channel_receive, base);
	struct after after = {0};

	if (!self->_channel)
		return;
	jd_lock_acquire(&self->_channel->_lock);
	leave(self->_channel, self, &after);
	release_and_do(self->_channel, &after);
}

void jd_channel_receive_init(struct jd_channel_receive *self, struct jd_channel *channel,
			     void *item)
{
	static const struct jd_future_ops ops = {
		.poll = receive_poll,
		.drop = receive_drop,
		.size = sizeof(struct jd_channel_receive),
	};

	*self = (struct jd_channel_receive){.base = {&ops}, ._channel = channel, ._item = item};
}
