/* grace_urcu.c - grace periods by liburcu, in its default (memory barrier) flavour. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <urcu/urcu-memb.h>

#include "platform/platform.h"

/*
 * Why this flavour: with the faster one (QSBR) a section ends only when a thread says that it is
 * quiescent, so a worker that computes for a minute would hold up every grace period, and with it
 * the end of another scheduler in the same process. Here a reader counts up and down in its own
 * memory and the waiter makes all threads pass a barrier (membarrier), so a grace period lasts as
 * long as the longest section: a few instructions, plus a preemption.
 *
 * Why not call_rcu: before 0.14 it aborts the process when it gets no thread or no memory, its
 * thread takes the process's signals, and it cannot be joined at the end.
 */

/* How often this thread is attached: to several schedulers, or again inside a nested call. */
static _Thread_local unsigned attached;

bool jd_grace_available(void)
{
	return true;
}

void jd_grace_attach(void)
{
	if (attached++ == 0)
		urcu_memb_register_thread();
}

void jd_grace_detach(void)
{
	JD_ASSERT(attached > 0);
	if (--attached == 0)
		urcu_memb_unregister_thread();
}

void jd_grace_enter(void)
{
	/* An unregistered reader is not waited for: what it reads could be freed under it. */
	JD_ASSERT(attached > 0);
	urcu_memb_read_lock();
}

void jd_grace_leave(void)
{
	urcu_memb_read_unlock();
}

void jd_grace_wait(void)
{
	JD_ASSERT(attached == 0 || !urcu_memb_read_ongoing());
	urcu_memb_synchronize_rcu();
}
