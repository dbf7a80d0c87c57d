/* sync.h - tasks waiting for each other: oneshot, channel, mutex, semaphore, notify, wait group. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_SYNC_H
#define JACKDAW_SYNC_H

/*
 * What holds for everything in this file:
 *  - Objects and futures lie in the caller's memory. An object must not move after its init, and
 *    must live until every future made on it was dropped. A wait allocates nothing.
 *  - Every function may be called from any thread, inside or outside of tasks, and none blocks:
 *    waiting is done by awaiting a future (jd_block does it on a plain thread). An object belongs
 *    to no scheduler: its users may run on different ones.
 *  - What was done before an operation that lets another go on (send, unlock, release, notify,
 *    done) is visible to that other after its wait.
 *  - A future that is dropped before it ended has had no effect: what had been handed to it
 *    meanwhile (a lock, permits, a notification, a free slot) goes to the next in line.
 *  - An object may be freed as soon as the last wait on it has ended, even though the call that
 *    ended it may not have returned on its thread yet.
 *  - fini gives JD_EBUSY, and does nothing, while a future waits; JD_OK otherwise. It is for the
 *    last user only. NULL arguments are misuse except where it says otherwise.
 */
#include <jackdaw/base.h>
#include <jackdaw/future.h>

JD_BEGIN_DECLS

/* Private: the node of one wait, inside its future, guarded by the lock of the object. */
struct jd_waiter_link {
	struct jd_waiter_link *_next;
	struct jd_waiter_link *_prev;
};

struct jd_waiter {
	struct jd_waiter_link _link;
	struct jd_waker _waker;
	uint64_t _n;
	uint32_t _state;
};

/* --- Oneshot: one value, once ----------------------------------------------------------------
 *
 *   struct jd_oneshot reply;                     struct jd_oneshot_receive receive;
 *   int slot, value;
 *
 *   jd_oneshot_init(&reply, &slot, sizeof(slot), NULL);
 *   jd_oneshot_receive_init(&receive, &reply, &value);
 *   // the sender: jd_oneshot_send(&reply, &(int){42});
 *   jd_status status = jd_block(scheduler, &receive.base, NULL);
 *   jd_future_drop(&receive.base);
 *   jd_oneshot_fini(&reply);
 */
struct jd_oneshot {
	struct jd_lock _lock;
	uint32_t _flags;           /* L */
	void *_slot;               /* I; its bytes: L */
	size_t _size;              /* I */
	void (*_drop)(void *);     /* I */
	struct jd_waker _receiver; /* L */
	struct jd_waker _sender;   /* L */
};

/*
 * slot holds the value on its way: size bytes of the caller's, for as long as the oneshot; NULL
 * when size is 0. drop destroys a value that nobody took; NULL when there is nothing to do.
 */
JD_API void jd_oneshot_init(struct jd_oneshot *self, void *slot, size_t size,
			    void (*drop)(void *value));
JD_API jd_status jd_oneshot_fini(struct jd_oneshot *self);

/*
 * Moves size bytes from value and ends the sending half. JD_ECLOSED: the receiver is gone, the
 * value is still the caller's. JD_EALREADY: the sending half had ended before.
 */
JD_API JD_MUST_CHECK jd_status jd_oneshot_send(struct jd_oneshot *self, const void *value);

/* Ends the sending half without a value: the receiver gets JD_ECLOSED. Nothing if it had ended. */
JD_API void jd_oneshot_close_sender(struct jd_oneshot *self);

/* Ends the receiving half when no receive future was made, or after try_receive. */
JD_API void jd_oneshot_close_receiver(struct jd_oneshot *self);

/* The receiver is gone: sending would be in vain. */
JD_API bool jd_oneshot_is_closed(struct jd_oneshot *self);

/* JD_OK: *value was filled. JD_EWOULDBLOCK: not sent yet. JD_ECLOSED: never will be, or taken. */
JD_API jd_status jd_oneshot_try_receive(struct jd_oneshot *self, void *value);

/*
 * The receiving half. Result: none; the value goes to *value. JD_OK, or JD_ECLOSED when the sender
 * ended without one. At most one such future per oneshot; dropping it ends the receiving half.
 */
struct jd_oneshot_receive {
	struct jd_future base;
	struct jd_oneshot *_oneshot;
	void *_value;
};
JD_API void jd_oneshot_receive_init(struct jd_oneshot_receive *self, struct jd_oneshot *oneshot,
				    void *value);

/* For the sender: ends with JD_OK when the receiving half has ended. One at a time. */
struct jd_oneshot_closed {
	struct jd_future base;
	struct jd_oneshot *_oneshot;
};
JD_API void jd_oneshot_closed_init(struct jd_oneshot_closed *self, struct jd_oneshot *oneshot);

/* --- Channel: many senders, one receiver, in order -------------------------------------------
 * Items are moved as item_size bytes. What one sender sends arrives in its order. An item that
 * could not be delivered is still the sender's: a send that ended with JD_OK moved it, any other
 * outcome (also dropping the send) did not.
 *
 *   struct jd_channel jobs;
 *
 *   if (jd_channel_init(&jobs, 64, sizeof(struct job), NULL, NULL) != JD_OK)
 *           ...
 *   // a sender: jd_channel_send_init(&send, &jobs, &job); await it; at the end
 *   jd_channel_close(&jobs);
 *   // the receiver: jd_channel_receive_init(&receive, &jobs, &job); await it until JD_ECLOSED
 *   jd_channel_fini(&jobs);
 */
#define JD_CHANNEL_UNBOUNDED SIZE_MAX

struct jd_item_chunk;

/* Private: a FIFO of items in chunks. */
struct jd_item_queue {
	struct jd_item_chunk *_head;
	struct jd_item_chunk *_tail;
	struct jd_item_chunk *_spare; /* emptied chunks, kept */
	size_t _spares;
	size_t _keep; /* so many spare ones are kept */
	size_t _per_chunk;
	size_t _item_size;
	const struct jd_allocator *_allocator;
};

struct jd_channel {
	struct jd_lock _lock;
	bool _closed;                   /* L */
	size_t _capacity;               /* I */
	size_t _count;                  /* L: items in the queue */
	size_t _reserved;               /* L: free slots promised to senders that were woken */
	size_t _senders;                /* L */
	struct jd_item_queue _queue;    /* L */
	void (*_drop)(void *);          /* I */
	struct jd_waiter_link _waiting; /* L: senders, in order */
	struct jd_waker _receiver;      /* L */
	const void *_receiving;         /* L: the receive that waits */
};

/*
 * At most capacity items (>= 1) are on their way, or JD_CHANNEL_UNBOUNDED. A bounded channel
 * allocates here and never again; an unbounded one as it grows. drop destroys items that nobody
 * received, at fini; NULL when there is nothing to do. allocator NULL is the default. There is one
 * sender to begin with. JD_ENOMEM, JD_EINVAL (capacity or item_size 0).
 */
JD_API JD_MUST_CHECK jd_status jd_channel_init(struct jd_channel *self, size_t capacity,
					       size_t item_size, void (*drop)(void *item),
					       const struct jd_allocator *allocator);
/* JD_EBUSY also while a sender that was woken has neither sent nor been dropped. */
JD_API jd_status jd_channel_fini(struct jd_channel *self);

/*
 * No more sends: they end with JD_ECLOSED, also those that wait. The receiver gets the items that
 * are there, then JD_ECLOSED. Either side may close; a second time does nothing.
 */
JD_API void jd_channel_close(struct jd_channel *self);

/*
 * For senders that come and go: the last one to leave closes the channel. Needs no matching
 * add for the first one. Leaving more often than joining is misuse.
 */
JD_API void jd_channel_add_sender(struct jd_channel *self);
JD_API void jd_channel_drop_sender(struct jd_channel *self);

/* JD_OK: moved. JD_EWOULDBLOCK: full, or others wait. JD_ECLOSED. JD_ENOMEM (unbounded only). */
JD_API JD_MUST_CHECK jd_status jd_channel_try_send(struct jd_channel *self, const void *item);

/* JD_OK: *item was filled. JD_EWOULDBLOCK: empty. JD_ECLOSED: closed and empty. */
JD_API JD_MUST_CHECK jd_status jd_channel_try_receive(struct jd_channel *self, void *item);

/* Items on their way; a moment old. */
JD_API size_t jd_channel_count(struct jd_channel *self);
JD_API bool jd_channel_is_closed(struct jd_channel *self);

/*
 * Waits for room, in the order of the first polls. Result: none. JD_OK: *item was moved;
 * JD_ECLOSED; JD_ENOMEM (unbounded only). *item must stay as it is until then.
 */
struct jd_channel_send {
	struct jd_future base;
	struct jd_channel *_channel;
	const void *_item;
	struct jd_waiter _waiter;
};
JD_API void jd_channel_send_init(struct jd_channel_send *self, struct jd_channel *channel,
				 const void *item);

/*
 * Waits for an item. Result: none; it goes to *item. JD_OK, JD_ECLOSED, or JD_EBUSY when another
 * receive waits already. Dropping it before it ended takes no item.
 */
struct jd_channel_receive {
	struct jd_future base;
	struct jd_channel *_channel;
	void *_item;
};
JD_API void jd_channel_receive_init(struct jd_channel_receive *self, struct jd_channel *channel,
				    void *item);

/* --- Mutex: held across awaits ---------------------------------------------------------------
 * First come, first served: unlock hands the lock to the task that waits longest, and nobody
 * overtakes. It belongs to no task: whoever was given it may have another unlock it.
 *
 *   jd_mutex_lock_init(&self->lock, mutex);
 *   JD_CO_AWAIT(status, &self->lock.base, NULL);
 *   ... awaits are fine here ...
 *   jd_mutex_unlock(mutex);
 */
struct jd_mutex {
	struct jd_lock _lock;
	bool _locked;                   /* L */
	struct jd_waiter_link _waiting; /* L */
};

JD_API void jd_mutex_init(struct jd_mutex *self);
/* JD_EBUSY also while it is locked. */
JD_API jd_status jd_mutex_fini(struct jd_mutex *self);

/* JD_OK: locked. JD_EWOULDBLOCK. */
JD_API JD_MUST_CHECK jd_status jd_mutex_try_lock(struct jd_mutex *self);

/* Unlocking what is not locked is misuse. */
JD_API void jd_mutex_unlock(struct jd_mutex *self);

/* Ends with JD_OK when the mutex is the caller's; dropping it after that does not unlock. */
struct jd_mutex_lock {
	struct jd_future base;
	struct jd_mutex *_mutex;
	struct jd_waiter _waiter;
};
JD_API void jd_mutex_lock_init(struct jd_mutex_lock *self, struct jd_mutex *mutex);

/* --- Semaphore: a number of permits ----------------------------------------------------------
 * First come, first served, whatever the numbers: while the first in line waits for many permits,
 * a later request for few waits too, so that large requests do not starve.
 */
#define JD_SEMAPHORE_MAX ((uint64_t)INT64_MAX)

struct jd_semaphore {
	struct jd_lock _lock;
	uint64_t _permits;              /* L */
	struct jd_waiter_link _waiting; /* L */
};

/* JD_ERANGE: more permits than JD_SEMAPHORE_MAX. */
JD_API JD_MUST_CHECK jd_status jd_semaphore_init(struct jd_semaphore *self, uint64_t permits);
JD_API jd_status jd_semaphore_fini(struct jd_semaphore *self);

/* Gives permits back, or adds new ones. JD_ERANGE: there would be too many; then none is added. */
JD_API jd_status jd_semaphore_release(struct jd_semaphore *self, uint64_t permits);

/* JD_OK: all of them were taken. JD_EWOULDBLOCK: not enough, or others wait; none was taken. */
JD_API JD_MUST_CHECK jd_status jd_semaphore_try_acquire(struct jd_semaphore *self,
							uint64_t permits);

/* Permits that could be taken now; a moment old. */
JD_API uint64_t jd_semaphore_available(struct jd_semaphore *self);

/*
 * Ends with JD_OK when all the permits are the caller's. Zero permits are had at once. Dropping it
 * after its end does not give them back.
 */
struct jd_semaphore_acquire {
	struct jd_future base;
	struct jd_semaphore *_semaphore;
	struct jd_waiter _waiter;
};
JD_API void jd_semaphore_acquire_init(struct jd_semaphore_acquire *self,
				      struct jd_semaphore *semaphore, uint64_t permits);

/* --- Notify: something happened --------------------------------------------------------------
 * Carries no data: it tells tasks to look again. To wait for a condition without missing a change,
 * make the wait first, then look, then await:
 *
 *   for (;;) {
 *           jd_notify_wait_init(&self->changed, notify);
 *           if (condition())
 *                   break;          // a wait that was never polled needs no drop, may have one
 *           JD_CO_AWAIT(status, &self->changed.base, NULL);
 *   }
 */
struct jd_notify {
	struct jd_lock _lock;
	bool _permit;                   /* L */
	uint64_t _epoch;                /* L: how many notify_all there were */
	struct jd_waiter_link _waiting; /* L */
};

JD_API void jd_notify_init(struct jd_notify *self);
JD_API jd_status jd_notify_fini(struct jd_notify *self);

/* Ends the wait that was first polled earliest; if there is none, the next one (kept once only). */
JD_API void jd_notify_one(struct jd_notify *self);

/* Ends every wait that was made before this call, polled or not. Nothing is kept for later ones. */
JD_API void jd_notify_all(struct jd_notify *self);

/* Ends with JD_OK when notified. */
struct jd_notify_wait {
	struct jd_future base;
	struct jd_notify *_notify;
	uint64_t _epoch;
	struct jd_waiter _waiter;
};
JD_API void jd_notify_wait_init(struct jd_notify_wait *self, struct jd_notify *notify);

/* --- Wait group: until so many things are done -----------------------------------------------
 *
 *   jd_wait_group_init(&group);
 *   jd_wait_group_add(&group, 3);   // before the three start
 *   // each of them, at its end: jd_wait_group_done(&group);
 *   jd_wait_group_wait_init(&wait, &group);
 *   jd_block(scheduler, &wait.base, NULL);
 */
struct jd_wait_group {
	struct jd_lock _lock;
	uint64_t _count;                /* L */
	struct jd_waiter_link _waiting; /* L */
};

JD_API void jd_wait_group_init(struct jd_wait_group *self);
/* JD_EBUSY also while the count is not 0. */
JD_API jd_status jd_wait_group_fini(struct jd_wait_group *self);

/* JD_ERANGE: the count would not fit into 63 bits; then it is as before. */
JD_API jd_status jd_wait_group_add(struct jd_wait_group *self, uint64_t n);

/* One less. At 0 every wait that was polled before ends. Below 0 is misuse. */
JD_API void jd_wait_group_done(struct jd_wait_group *self);

JD_API uint64_t jd_wait_group_count(struct jd_wait_group *self);

/* Ends with JD_OK when the count was 0 at its first poll or has fallen to 0 since. */
struct jd_wait_group_wait {
	struct jd_future base;
	struct jd_wait_group *_group;
	struct jd_waiter _waiter;
};
JD_API void jd_wait_group_wait_init(struct jd_wait_group_wait *self, struct jd_wait_group *group);

JD_END_DECLS

#endif
