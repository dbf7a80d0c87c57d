/* registry.h - the live tasks of a scheduler: found by id, listed, cancelled at shutdown. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_REGISTRY_H
#define JD_RUNTIME_REGISTRY_H

/*
 * A task is in the registry from before its first schedule until its future is gone. That is what
 * "running" means to jd_is_task_running, what drain waits for, and what shutdown has to cancel.
 * Sharded by the thread that inserts, so that workers do not meet here unless one ends what another
 * began. Each shard is a chained hash table under a lock that is held for a few instructions, and
 * deals out ids of its own in sequence, so chains are short and an id tells its shard.
 *
 * Who waits for the end asks how many shards have entries: that changes rarely, where a count of
 * all entries would be written by every worker for every task. It cannot miss a task that moves: a
 * child is inserted before its parent is removed.
 *
 * Membership keeps memory alive in one direction: removal takes the shard's lock, so whoever finds
 * a task while holding that lock may touch it, and may take a reference to touch it longer.
 */
#include <jackdaw/scheduler.h>

#include "runtime/lock.h"
#include "runtime/tuning.h"

/* The part of a task that the registry knows. L: the shard's lock; I: immutable once inserted. */
struct jd_registry_entry {
	struct jd_registry_entry *next;   /* L: in its bucket */
	struct jd_registry_entry **pprev; /* L */
	jd_task_id id;                    /* I */
};

struct jd_registry_shard {
	JD_CACHE_ALIGNED struct jd_lock lock;
	struct jd_registry_entry **buckets; /* L */
	size_t mask;                        /* L: buckets - 1 */
	size_t count;                       /* L */
	uint64_t ids;                       /* L: given so far */
};

struct jd_registry {
	struct jd_registry_shard shards[JD_REGISTRY_SHARDS];
	const struct jd_allocator *allocator;    /* I */
	unsigned shift;                          /* I: log2 of the shards in use */
	JD_CACHE_ALIGNED _Atomic(uint64_t) busy; /* A: shards with entries */
	struct jd_lock lock;                     /* guards the two lists below */
	_Atomic(uint32_t) waiters;               /* A: drainers exist; written under lock */
	struct jd_registry_drainer *drainers;    /* L */
	struct jd_runnable *orphans;             /* L: refused at shutdown, to be cancelled */
	_Atomic(uint32_t) changes;               /* A: futex word: busy is 0, or an orphan */
};

/* Somebody waits for the registry to become empty; in the waiter's memory. */
struct jd_registry_drainer {
	struct jd_registry_drainer *next;   /* L: the registry's lock */
	struct jd_registry_drainer **pprev; /* L: NULL when not linked */
	struct jd_waker waker;              /* L */
};

jd_status jd_registry_new(const struct jd_allocator *allocator, struct jd_registry **registry);
void jd_registry_free(struct jd_registry *registry);

/* Before the first entry: ids are 1, 2, 3 ... in the order of insertion, whatever the threads. */
void jd_registry_make_serial(struct jd_registry *registry);

/* Gives the entry its id and makes it findable. Never fails. */
void jd_registry_insert(struct jd_registry *registry, struct jd_registry_entry *entry);
void jd_registry_remove(struct jd_registry *registry, struct jd_registry_entry *entry);

bool jd_registry_contains(struct jd_registry *registry, jd_task_id id);
uint64_t jd_registry_count(struct jd_registry *registry);

/* One load. What removed tasks did is visible when it is true. */
bool jd_registry_is_empty(const struct jd_registry *registry);

/*
 * Calls fn on every entry, one shard at a time under its lock, until fn returns false. fn must
 * not call back into the registry.
 */
void jd_registry_each(struct jd_registry *registry,
		      bool (*fn)(void *arg, struct jd_registry_entry *entry), void *arg);

/* JD_OK when empty; otherwise links the drainer, whose waker will be woken, and JD_PENDING. */
jd_status jd_registry_drain_poll(struct jd_registry *registry, struct jd_registry_drainer *drainer,
				 const struct jd_waker *waker);
void jd_registry_drain_drop(struct jd_registry *registry, struct jd_registry_drainer *drainer);

/*
 * A runnable that a scheduler in shutdown refused: shutdown will cancel it, on the thread where
 * futures may be dropped.
 */
void jd_registry_orphan(struct jd_registry *registry, struct jd_runnable *runnable);

/* All orphans; with wait set, blocks until there is one or the registry is empty. */
struct jd_runnable *jd_registry_take_orphans(struct jd_registry *registry, bool wait);

#endif
