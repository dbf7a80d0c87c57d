/* future.h - what can be awaited: futures, the wakers they hand on, and the context of a poll. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_FUTURE_H
#define JACKDAW_FUTURE_H

#include <jackdaw/base.h>

JD_BEGIN_DECLS

struct jd_scheduler;
struct jd_task;
struct jd_worker;

/*
 * A waker tells whoever polled a future that polling it again is worth while. It is a value of two
 * words that owns one reference on what it wakes. All four operations may be called from any
 * thread, never block, and never run user code before they return; waking what has finished does
 * nothing. A waker may outlive the task and the scheduler it belongs to.
 */
struct jd_waker_ops {
	void (*clone)(void *data);    /* take one more reference */
	void (*wake)(void *data);     /* wake, and give up the reference */
	void (*wake_ref)(void *data); /* wake, and keep the reference */
	void (*drop)(void *data);     /* give up the reference */
};

struct jd_waker {
	const struct jd_waker_ops *ops; /* NULL: the empty waker, {0} */
	void *data;
};

/* True when both wake the same thing, so that a stored clone need not be replaced. */
static inline bool jd_waker_same(const struct jd_waker *a, const struct jd_waker *b)
{
	return a->ops == b->ops && a->data == b->data;
}

/* A second waker for the same thing. */
static inline struct jd_waker jd_waker_clone(const struct jd_waker *waker)
{
	if (waker->ops)
		waker->ops->clone(waker->data);
	return *waker;
}

/* Wakes and leaves *waker empty. */
static inline void jd_waker_wake(struct jd_waker *waker)
{
	struct jd_waker w = *waker;

	waker->ops = NULL;
	if (w.ops)
		w.ops->wake(w.data);
}

/* Wakes; *waker stays valid. */
static inline void jd_waker_wake_ref(const struct jd_waker *waker)
{
	if (waker->ops)
		waker->ops->wake_ref(waker->data);
}

/* Gives up the reference without waking and leaves *waker empty. */
static inline void jd_waker_drop(struct jd_waker *waker)
{
	struct jd_waker w = *waker;

	waker->ops = NULL;
	if (w.ops)
		w.ops->drop(w.data);
}

/* Makes *slot a clone of waker unless it wakes the same thing already. Drops the old one. */
static inline void jd_waker_store(struct jd_waker *slot, const struct jd_waker *waker)
{
	if (slot->ops && jd_waker_same(slot, waker))
		return;
	struct jd_waker old = *slot;
	*slot = jd_waker_clone(waker);
	jd_waker_drop(&old);
}

/* What a poll is told. Valid during the poll only; clone the waker to keep it. */
struct jd_context {
	struct jd_scheduler *scheduler; /* never NULL; borrowed */
	const struct jd_waker *waker;   /* wakes whoever polls; borrowed */
	struct jd_task *task;           /* the task being polled, NULL in a blocking call */
	struct jd_worker *worker;       /* opaque hint of the scheduler, may be NULL; pass it on */
};

struct jd_future;

/*
 * The kind of a future. A future is caller-defined state that starts with a struct jd_future;
 * poll advances it, drop ends it.
 *
 * poll  returns JD_PENDING and has then arranged for context->waker (the one of the latest poll)
 *       to be woken; or JD_OK and has written result_size bytes to *result; or an error, and has
 *       written nothing. result is NULL only when result_size is 0. Must not block. May be called
 *       spuriously. After it returned anything but JD_PENDING it is not called again.
 * drop  releases everything the state holds, finished or not; called exactly once, then never
 *       anything again. May be NULL when there is nothing to release.
 * drop_result  destroys a result nobody will take. May be NULL.
 *
 * A future may be moved with memcpy until its first poll, and not from then on; so poll may link
 * the state into lists. One thread at a time touches a future, not always the same one.
 */
struct jd_future_ops {
	jd_status (*poll)(struct jd_future *self, struct jd_context *context, void *result);
	void (*drop)(struct jd_future *self);
	void (*drop_result)(void *result);
	size_t size;        /* of the whole state, at least sizeof(struct jd_future) */
	size_t result_size; /* 0: the future has no result but its status */
};

struct jd_future {
	const struct jd_future_ops *ops;
};

/* Polls; result may be NULL only if the future's result_size is 0. */
static inline jd_status jd_future_poll(struct jd_future *future, struct jd_context *context,
				       void *result)
{
	return future->ops->poll(future, context, result);
}

/* Ends a future that the caller owns. NULL is allowed. */
static inline void jd_future_drop(struct jd_future *future)
{
	if (future && future->ops->drop)
		future->ops->drop(future);
}

/*
 * Who drops the futures that a combinator drives. Borrowed ones stay the caller's: they may be
 * polled further by themselves and must outlive the combinator. Owned ones are dropped by it as
 * soon as it does not need them any more, at the latest when it is dropped itself.
 */
enum jd_ownership {
	JD_BORROW,
	JD_OWN,
};

JD_END_DECLS

#endif
