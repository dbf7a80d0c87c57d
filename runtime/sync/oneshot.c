/* oneshot.c - one value from one sender to one receiver. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/sync/waiter.h"

/* The flags only ever grow. SENT without TAKEN: the slot holds a value. */
enum {
	SENT = 1,  /* implies SENDER_GONE */
	TAKEN = 2, /* by the receiver, or destroyed */
	SENDER_GONE = 4,
	RECEIVER_GONE = 8,
};

void jd_oneshot_init(struct jd_oneshot *self, void *slot, size_t size, void (*drop)(void *value))
{
	if (size && !slot)
		JD_MISUSE("a oneshot needs a slot for its value");
	*self = (struct jd_oneshot){._slot = slot, ._size = size, ._drop = drop};
}

/* Under the lock: the value in the slot is the caller's to take or to destroy. */
static bool take_value(struct jd_oneshot *self)
{
	if ((self->_flags & (SENT | TAKEN)) != SENT)
		return false;
	self->_flags |= TAKEN;
	return true;
}

static void move(void *to, const void *from, size_t size)
{
	if (size)
		memcpy(to, from, size);
}

static void destroy_value(struct jd_oneshot *self)
{
	if (self->_drop)
		self->_drop(self->_slot);
}

jd_status jd_oneshot_fini(struct jd_oneshot *self)
{
	jd_lock_acquire(&self->_lock);
	bool busy = self->_receiver.ops || self->_sender.ops;
	bool left = !busy && take_value(self);

	jd_lock_release(&self->_lock);
	if (left)
		destroy_value(self);
	return busy ? JD_EBUSY : JD_OK;
}

/* Ends the sending half, with a value or without. */
static jd_status end_sender(struct jd_oneshot *self, uint32_t how, const void *value)
{
	struct jd_waker receiver = {0};
	jd_status status = JD_OK;

	jd_lock_acquire(&self->_lock);
	if (self->_flags & SENDER_GONE) {
		status = JD_EALREADY;
	} else if (self->_flags & RECEIVER_GONE) {
		status = JD_ECLOSED;
		self->_flags |= SENDER_GONE;
	} else {
		self->_flags |= how;
		if (how & SENT)
			move(self->_slot, value, self->_size);
		receiver = self->_receiver;
		self->_receiver = (struct jd_waker){0};
	}
	jd_lock_release(&self->_lock);
	jd_waker_wake(&receiver);
	return status;
}

jd_status jd_oneshot_send(struct jd_oneshot *self, const void *value)
{
	if (self->_size && !value)
		JD_MISUSE("a oneshot has no value to send");
	return end_sender(self, SENT | SENDER_GONE, value);
}

void jd_oneshot_close_sender(struct jd_oneshot *self)
{
	end_sender(self, SENDER_GONE, NULL);
}

void jd_oneshot_close_receiver(struct jd_oneshot *self)
{
	struct jd_waker sender = {0}, receiver = {0};
	bool left;

	/* The sender may free everything once it knows, so what it sent is destroyed first; and it
	 * may send meanwhile. */
	do {
		jd_lock_acquire(&self->_lock);
		left = take_value(self);
		if (!left) {
			self->_flags |= RECEIVER_GONE;
			sender = self->_sender;
			receiver = self->_receiver;
			self->_sender = (struct jd_waker){0};
			self->_receiver = (struct jd_waker){0};
		}
		jd_lock_release(&self->_lock);
		if (left)
			destroy_value(self);
	} while (left);
	jd_waker_drop(&receiver);
	jd_waker_wake(&sender);
}

bool jd_oneshot_is_closed(struct jd_oneshot *self)
{
	jd_lock_acquire(&self->_lock);
	bool closed = self->_flags & RECEIVER_GONE;

	jd_lock_release(&self->_lock);
	return closed;
}

/* Under the lock. */
static jd_status try_receive(struct jd_oneshot *self, void *value)
{
	if (take_value(self)) {
		move(value, self->_slot, self->_size);
		return JD_OK;
	}
	return self->_flags & (SENDER_GONE | RECEIVER_GONE) ? JD_ECLOSED : JD_EWOULDBLOCK;
}

jd_status jd_oneshot_try_receive(struct jd_oneshot *self, void *value)
{
	jd_lock_acquire(&self->_lock);
	jd_status status = try_receive(self, value);

	jd_lock_release(&self->_lock);
	return status;
}

/* --- Receiving ------------------------------------------------------------------------------- */

static jd_status receive_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_oneshot_receive *self = jd_container_of(future, struct jd_oneshot_receive, base);
	struct jd_oneshot *oneshot = self->_oneshot;
	struct jd_waker old = {0}, sender = {0};

	(void)result;
	jd_lock_acquire(&oneshot->_lock);
	jd_status status = try_receive(oneshot, self->_value);

	if (status == JD_EWOULDBLOCK) {
		old = jd_waker_replace(&oneshot->_receiver, context->waker);
	} else {
		oneshot->_flags |= RECEIVER_GONE;
		sender = oneshot->_sender;
		oneshot->_sender = (struct jd_waker){0};
	}
	jd_lock_release(&oneshot->_lock);
	jd_waker_drop(&old);
	jd_waker_wake(&sender);
	if (status == JD_EWOULDBLOCK)
		return JD_PENDING;
	self->_oneshot = NULL;
	return status;
}

static void receive_drop(struct jd_future *future)
{
	struct jd_oneshot_receive *self = jd_container_of(future, struct jd_oneshot_receive, base);

	if (self->_oneshot)
		jd_oneshot_close_receiver(self->_oneshot);
}

void jd_oneshot_receive_init(struct jd_oneshot_receive *self, struct jd_oneshot *oneshot,
			     void *value)
{
	static const struct jd_future_ops ops = {
		.poll = receive_poll,
		.drop = receive_drop,
		.size = sizeof(struct jd_oneshot_receive),
	};

	*self = (struct jd_oneshot_receive){.base = {&ops}, ._oneshot = oneshot, ._value = value};
}

/* --- The sender's view of the receiver ------------------------------------------------------- */

static jd_status closed_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_oneshot_closed *self = jd_container_of(future, struct jd_oneshot_closed, base);
	struct jd_oneshot *oneshot = self->_oneshot;
	struct jd_waker old = {0};

	(void)result;
	jd_lock_acquire(&oneshot->_lock);
	bool closed = oneshot->_flags & RECEIVER_GONE;

	if (!closed)
		old = jd_waker_replace(&oneshot->_sender, context->waker);
	jd_lock_release(&oneshot->_lock);
	jd_waker_drop(&old);
	if (!closed)
		return JD_PENDING;
	self->_oneshot = NULL;
	return JD_OK;
}

static void closed_drop(struct jd_future *future)
{
	struct jd_oneshot_closed *self = jd_container_of(future, struct jd_oneshot_closed, base);
	struct jd_oneshot *oneshot = self->_oneshot;

	if (!oneshot)
		return;
	jd_lock_acquire(&oneshot->_lock);
	struct jd_waker waker = oneshot->_sender;

	oneshot->_sender = (struct jd_waker){0};
	jd_lock_release(&oneshot->_lock);
	jd_waker_drop(&waker);
}

void jd_oneshot_closed_init(struct jd_oneshot_closed *self, struct jd_oneshot *oneshot)
{
	static const struct jd_future_ops ops = {
		.poll = closed_poll,
		.drop = closed_drop,
		.size = sizeof(struct jd_oneshot_closed),
	};

	*self = (struct jd_oneshot_closed){.base = {&ops}, ._oneshot = oneshot};
}
