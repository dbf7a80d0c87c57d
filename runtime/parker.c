/* parker.c - the token of a blocking call. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/parker.h"

#include "runtime/exec_frame.h"
#include "runtime/memory.h"

jd_status jd_parker_new(struct jd_scheduler *scheduler, struct jd_parker **out)
{
	if (!scheduler || !out)
		return JD_EINVAL;
	struct jd_parker *parker = jd_memory_new(scheduler->allocator, struct jd_parker);

	if (!parker)
		return JD_ENOMEM;
	atomic_init(&parker->refs, 1);
	parker->scheduler = jd_scheduler_retain(scheduler);
	*out = parker;
	return JD_OK;
}

void jd_parker_retain(struct jd_parker *parker)
{
	uint32_t old = atomic_fetch_add_explicit(&parker->refs, 1, memory_order_relaxed);

	if (old >= UINT32_MAX / 2)
		JD_MISUSE("a parker has more references than can be counted: they are leaked");
}

void jd_parker_release(struct jd_parker *parker)
{
	/* order: (K1) acq_rel - all uses come before the free; pairs with (K1). */
	if (atomic_fetch_sub_explicit(&parker->refs, 1, memory_order_acq_rel) != 1)
		return;
	struct jd_scheduler *scheduler = parker->scheduler;

	jd_memory_delete(scheduler->allocator, parker, struct jd_parker);
	jd_scheduler_release(scheduler);
}

void jd_parker_unpark(struct jd_parker *parker)
{
	struct jd_scheduler *scheduler = parker->scheduler;

	if (JD_UNLIKELY(scheduler->observer != NULL))
		scheduler->observer->event(scheduler->observer, JD_EVENT_UNPARK, NULL);
	/*
	 * order: (K2) acq_rel - what the unparker did; acquire so that a later unpark carries on
	 * what an earlier one published; pairs with (K3), (K4), (K5).
	 */
	if (atomic_exchange_explicit(&parker->word, JD_PARKER_NOTIFIED, memory_order_acq_rel) ==
	    JD_PARKER_SLEEPING) {
		if (scheduler->ops->unpark)
			scheduler->ops->unpark(scheduler, parker);
		else
			jd_parker_wake(parker);
	}
}

bool jd_parker_try(struct jd_parker *parker)
{
	uint32_t notified = JD_PARKER_NOTIFIED;

	/* order: (K3) acquire - what the unparker did; pairs with (K2). */
	return atomic_compare_exchange_strong_explicit(&parker->word, &notified, JD_PARKER_EMPTY,
						       memory_order_acquire, memory_order_relaxed);
}

bool jd_parker_enter(struct jd_parker *parker)
{
	uint32_t empty = JD_PARKER_EMPTY;

	/* order: (K4) acquire - of a token that is there already; pairs with (K2). */
	if (atomic_compare_exchange_strong_explicit(&parker->word, &empty, JD_PARKER_SLEEPING,
						    memory_order_acquire, memory_order_acquire))
		return true;
	if (empty == JD_PARKER_SLEEPING)
		JD_MISUSE("two threads park on one parker");
	bool had = jd_parker_try(parker);

	JD_ASSERT(had);
	return false;
}

bool jd_parker_leave(struct jd_parker *parker)
{
	/* order: (K5) acquire - as (K3); pairs with (K2). */
	return atomic_exchange_explicit(&parker->word, JD_PARKER_EMPTY, memory_order_acquire) ==
	       JD_PARKER_NOTIFIED;
}

jd_status jd_parker_sleep(struct jd_parker *parker, uint64_t deadline_ns)
{
	if (!jd_parker_enter(parker))
		return JD_OK;
	while (!jd_parker_try(parker)) {
		if (jd_futex_wait(&parker->word, JD_PARKER_SLEEPING, deadline_ns) == JD_ETIMEDOUT)
			return jd_parker_leave(parker) ? JD_OK : JD_ETIMEDOUT;
	}
	return JD_OK;
}

void jd_parker_wake(struct jd_parker *parker)
{
	jd_futex_wake_one(&parker->word);
}

jd_status jd_parker_park(struct jd_parker *parker, uint64_t deadline_ns)
{
	if (!parker)
		return JD_EINVAL;
	/* A scheduler may run others on this stack meanwhile: see exec_frame.h. */
	struct jd_exec_frame barrier;

	jd_exec_frame_push_barrier(&barrier);
	jd_status status = parker->scheduler->ops->park(parker->scheduler, parker, deadline_ns);

	jd_exec_frame_pop(&barrier);
	return status;
}

static void parker_waker_clone(void *data)
{
	jd_parker_retain(data);
}

static void parker_waker_wake_ref(void *data)
{
	jd_parker_unpark(data);
}

static void parker_waker_drop(void *data)
{
	jd_parker_release(data);
}

static void parker_waker_wake(void *data)
{
	jd_parker_unpark(data);
	jd_parker_release(data);
}

struct jd_waker jd_parker_waker(struct jd_parker *parker)
{
	static const struct jd_waker_ops ops = {
		.clone = parker_waker_clone,
		.wake = parker_waker_wake,
		.wake_ref = parker_waker_wake_ref,
		.drop = parker_waker_drop,
	};

	jd_parker_retain(parker);
	return (struct jd_waker){&ops, parker};
}
