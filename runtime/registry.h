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
 * Membership keeps memory alive in one direction: removal takes the shard's lock, so whoever finds
 * a task while holding that lock may touch it, and may take a reference to touch it longer.
 *
 * Kept entries. The block of a task that comes from a slab has its entry for good: one word, which
 * says what its id is and whether it is live (slab.h). So a task begins and ends there by a store,
 * with no lock. Whoever holds the lock of the slabs may touch the block (it cannot be returned to
 * the allocator), but not trust what it reads: the task may end and the next begin meanwhile.
 * Fields that others read are atomic, and the word, which is never the same again, is read before
 * and after. The id is the place of the block and how often it was used, so none is given twice.
 *
 * Is anybody left? Tasks with an entry of their own count in their shard, and `busy` counts the
 * shards that have some. Tasks with a kept entry count in the tally of the lane where they begin
 * and in that of the worker where they end; no line is written by two workers. Empty is: read all
 * `ended`, then `busy`, then all `begun`; busy is 0 and the sums are equal. Why that is enough:
 * each end that was read brings its beginning with it, which is then in the later sum; so when the
 * sums are equal every beginning that was read has ended. Take any task that began before the
 * question. With a kept entry: its beginning was read, so its end was. With its own: busy was 0, so
 * it was removed. And children begin before their parent ends: what it left behind had begun before
 * as well, and so on.
 *
 * Who tells the waiters. A removal that leaves busy at 0, an end where no worker is, and a worker
 * that has ended tasks and is not about to run another one: if it is, somebody is left. Each does
 * a seq_cst read-modify-write of what it counted in, then looks at `waiters`; a waiter writes
 * `waiters`, then looks at the counts: one sees the other, and of two that count at the same time
 * the later one sees both.
 */
#include <jackdaw/scheduler.h>

#include "runtime/lock.h"
#include "runtime/slab.h"
#include "runtime/tuning.h"

/*
 * An entry of a task's own. The word is the first of the task; what is in front of it, tasks with
 * kept entries do without. L: the shard's lock.
 */
struct jd_registry_entry {
	struct jd_registry_entry *next;   /* L: in its bucket */
	struct jd_registry_entry **pprev; /* L */
	struct jd_task_word word;         /* A */
};

static inline jd_task_id jd_task_word_id(const struct jd_task_word *word)
{
	return atomic_load_explicit(&word->bits, memory_order_relaxed) / 2;
}

struct jd_registry_shard {
	JD_CACHE_ALIGNED struct jd_lock lock;
	struct jd_registry_entry **buckets; /* L */
	size_t mask;                        /* L: buckets - 1 */
	size_t count;                       /* L: entries */
	uint64_t ids;                       /* L: given so far */
};

/* What one worker counts. W: its driving thread writes, any thread reads, atomic. */
struct jd_registry_tally {
	JD_CACHE_ALIGNED _Atomic(uint64_t) begun; /* W */
	_Atomic(uint64_t) ended;                  /* W */
	bool unchecked;                           /* O: it has ended some and told nobody */
};

struct jd_registry {
	struct jd_registry_shard shards[JD_REGISTRY_SHARDS];
	const struct jd_allocator *allocator;    /* I */
	unsigned shift;                          /* I: log2 of the shards in use */
	unsigned even;                           /* I: 1: odd ids are those of kept entries */
	unsigned tally_count;                    /* I */
	struct jd_registry_tally *tallies;       /* I: of the workers, then of foreign lanes */
	struct jd_slabs *slabs;                  /* I: of kept entries; NULL: there are none */
	struct jd_foreign *foreign;              /* I: see foreign.h; NULL: there are none */
	JD_CACHE_ALIGNED _Atomic(uint64_t) busy; /* A: shards with entries */
	_Atomic(uint64_t) ended;                 /* A: kept ones, by threads without a tally */
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

/* Before the first entry: kept ones, whose first clear bytes begin as 0, and tallies. JD_ENOMEM. */
jd_status jd_registry_keep(struct jd_registry *registry, unsigned tallies, size_t clear);

/* The number of the calling thread, from 1 on, for who spreads threads over something. */
uint32_t jd_registry_thread(void);

/* Gives the entry its id and makes it findable. Never fails. */
void jd_registry_insert(struct jd_registry *registry, struct jd_registry_entry *entry);
void jd_registry_remove(struct jd_registry *registry, struct jd_registry_entry *entry);

/* A task begins in a kept entry: all others may see it from now on. Never fails. Owner of tally. */
static inline void jd_registry_begin(struct jd_registry_tally *tally, struct jd_task_word *entry)
{
	uint64_t word = atomic_load_explicit(&entry->bits, memory_order_relaxed);
	uint64_t begun = atomic_load_explicit(&tally->begun, memory_order_relaxed);

	atomic_store_explicit(&tally->begun, begun + 1, memory_order_relaxed);
	/* The next use, and live.
	 * order: (R8) release - the task's fields; pairs with (R9). */
	atomic_store_explicit(&entry->bits, word + JD_SLAB_USE + 1, memory_order_release);
}

/* A task in a kept entry ends, on a thread that drives no worker of this registry. */
void jd_registry_end_elsewhere(struct jd_registry *registry, struct jd_task_word *entry);

/*
 * The same on a worker. jd_registry_check has to be called before the thread turns to anything but
 * another task. Owner of tally.
 */
static inline void jd_registry_end(struct jd_registry_tally *tally, struct jd_task_word *entry)
{
	uint64_t word = atomic_load_explicit(&entry->bits, memory_order_relaxed);
	uint64_t ended = atomic_load_explicit(&tally->ended, memory_order_relaxed);

	atomic_store_explicit(&entry->bits, word - 1, memory_order_relaxed);
	/* order: (R6) release - what the task did, and all that began before; pairs with (R7). */
	atomic_store_explicit(&tally->ended, ended + 1, memory_order_release);
	tally->unchecked = true;
}

/* Tells those who wait for the end if this is it. Owner of tally. */
JD_COLD void jd_registry_check(struct jd_registry *registry, struct jd_registry_tally *tally);

bool jd_registry_contains(struct jd_registry *registry, jd_task_id id);
uint64_t jd_registry_count(struct jd_registry *registry);

/* What removed tasks did is visible when it is true. */
bool jd_registry_is_empty(const struct jd_registry *registry);

/*
 * Calls fn on the word of every live entry, one shard or slab at a time under its lock, until fn
 * returns false. fn must not call back into the registry. A kept entry may change hands during fn;
 * see above.
 */
void jd_registry_each(struct jd_registry *registry,
		      bool (*fn)(void *arg, struct jd_task_word *word), void *arg);

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
