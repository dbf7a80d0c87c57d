/* wake_set.h - one waker for each of many children: which of them were woken since last time. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_WAKE_SET_H
#define JD_RUNTIME_WAKE_SET_H

/*
 * Owned by the future that polls the children and by every waker they keep, which may outlive it.
 * All functions but the wakers' are for the one thread that polls.
 *
 * A wake marks its entry and, unless that was marked already, pushes it; the push that finds the
 * stack empty wakes the parent. The poller stores its parent waker first and takes the stack
 * afterwards, so a wake is either in what it took or finds the new parent.
 */
#include <jackdaw/future.h>

#include "platform/atomic.h"
#include "runtime/lock.h"

struct jd_wake_entry {
	struct jd_wake_set *set;    /* I */
	struct jd_wake_entry *next; /* whoever set marked; after the push, who takes the stack */
	_Atomic(uint32_t) marked;   /* A: pushed, and not yet begun */
};

struct jd_wake_set {
	const struct jd_allocator *allocator;  /* I */
	size_t count;                          /* I */
	_Atomic(uint64_t) refs;                /* A */
	_Atomic(struct jd_wake_entry *) woken; /* A: a stack */
	struct jd_lock lock;
	struct jd_waker parent; /* L: who polls */
	struct jd_wake_entry entries[];
};

/* NULL when there is no memory. */
struct jd_wake_set *jd_wake_set_new(const struct jd_allocator *allocator, size_t count);

/* Gives up the poller's reference, and its waker. NULL is allowed. */
void jd_wake_set_release(struct jd_wake_set *set);

/* At the start of each poll: from now on wakes go there. */
void jd_wake_set_listen(struct jd_wake_set *set, const struct jd_waker *parent);

/* Everything woken since the last take, oldest first, linked by next. After listen. */
struct jd_wake_entry *jd_wake_set_take(struct jd_wake_set *set);

/* Before the child of a taken entry is polled: now a wake counts again. Returns its index. */
size_t jd_wake_set_begin(struct jd_wake_entry *entry);

/* The waker of child i; borrowed. */
struct jd_waker jd_wake_set_waker(struct jd_wake_set *set, size_t i);

#endif
