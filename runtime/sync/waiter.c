/* waiter.c - ending many waits. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sync/waiter.h"

/* Moves all of a list to an empty one. */
static void splice(struct jd_waiter_link *to, struct jd_waiter_link *from)
{
	jd_waiters_init(to);
	if (jd_waiters_empty(from))
		return;
	*to = *from;
	to->_next->_prev = to;
	to->_prev->_next = to;
	jd_waiters_init(from);
}

void jd_waiters_wake_all(struct jd_lock *lock, struct jd_waiter_link *list, uint32_t state)
{
	struct jd_waiter_link all;
	struct jd_wake_batch batch = {.count = 0};
	bool more = true;

	splice(&all, list);
	while (more) {
		while (!jd_waiters_empty(&all) && !jd_wake_batch_full(&batch))
			jd_wake_batch_add(&batch, jd_waiters_remove(jd_waiters_first(&all), state));
		more = !jd_waiters_empty(&all);
		jd_lock_release(lock);
		jd_wake_batch_wake(&batch);
		if (more)
			jd_lock_acquire(lock);
	}
}
