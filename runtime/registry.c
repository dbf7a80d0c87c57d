/* registry.c - the live tasks of a scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/registry.h"

#include "runtime/memory.h"

static size_t shards_of(const struct jd_registry *registry)
{
	return (size_t)1 << registry->shift;
}

/* Numbers are dealt out to the shards in turn: shard i of n has i + 1, i + 1 + n, and so on. */
static struct jd_registry_shard *shard_of(struct jd_registry *registry, uint64_t number)
{
	return &registry->shards[(number - 1) & (shards_of(registry) - 1)];
}

static uint64_t next_number(const struct jd_registry *registry, struct jd_registry_shard *shard)
{
	return (shard->ids++ << registry->shift) + (uint64_t)(shard - registry->shards) + 1;
}

static uint64_t number_of(const struct jd_registry *registry, const struct jd_registry_entry *entry)
{
	return jd_task_word_id(&entry->word) >> registry->even;
}

static struct jd_registry_entry **bucket_of(const struct jd_registry *registry,
					    const struct jd_registry_shard *shard, uint64_t number)
{
	return &shard->buckets[((number - 1) >> registry->shift) & shard->mask];
}

uint32_t jd_registry_thread(void)
{
	static _Atomic(uint32_t) threads;
	static _Thread_local uint32_t number;

	if (JD_UNLIKELY(!number))
		number = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
	return number;
}

/* The shard where the calling thread inserts. */
static struct jd_registry_shard *own_shard(struct jd_registry *registry)
{
	return &registry->shards[jd_registry_thread() & (shards_of(registry) - 1)];
}

static void link_entry(const struct jd_registry *registry, struct jd_registry_shard *shard,
		       struct jd_registry_entry *entry)
{
	struct jd_registry_entry **head = bucket_of(registry, shard, number_of(registry, entry));

	entry->next = *head;
	if (entry->next)
		entry->next->pprev = &entry->next;
	entry->pprev = head;
	*head = entry;
}

jd_status jd_registry_new(const struct jd_allocator *allocator, struct jd_registry **out)
{
	struct jd_registry *registry = jd_memory_new(allocator, struct jd_registry);

	if (!registry)
		return JD_ENOMEM;
	registry->allocator = allocator;
	registry->shift = JD_REGISTRY_SHARD_BITS;
	for (size_t i = 0; i < JD_REGISTRY_SHARDS; i++) {
		struct jd_registry_shard *shard = &registry->shards[i];

		shard->buckets = jd_memory_zalloc(allocator, JD_REGISTRY_BUCKETS,
						  sizeof(*shard->buckets),
						  alignof(struct jd_registry_entry *));
		if (!shard->buckets) {
			jd_registry_free(registry);
			return JD_ENOMEM;
		}
		shard->mask = JD_REGISTRY_BUCKETS - 1;
	}
	*out = registry;
	return JD_OK;
}

void jd_registry_free(struct jd_registry *registry)
{
	if (!registry)
		return;
	for (size_t i = 0; i < JD_REGISTRY_SHARDS; i++) {
		struct jd_registry_shard *shard = &registry->shards[i];

		jd_memory_free(registry->allocator, shard->buckets,
			       (shard->mask + 1) * sizeof(*shard->buckets),
			       alignof(struct jd_registry_entry *));
	}
	jd_slabs_free(registry->slabs);
	jd_memory_free(registry->allocator, registry->tallies,
		       registry->tally_count * sizeof(*registry->tallies),
		       alignof(struct jd_registry_tally));
	jd_memory_delete(registry->allocator, registry, struct jd_registry);
}

jd_status jd_registry_keep(struct jd_registry *registry, unsigned tallies, size_t clear)
{
	JD_ASSERT(jd_registry_is_empty(registry) && !registry->tallies);
	registry->tallies = jd_memory_zalloc(registry->allocator, tallies,
					     sizeof(*registry->tallies),
					     alignof(struct jd_registry_tally));
	if (!registry->tallies)
		return JD_ENOMEM;
	registry->tally_count = tallies;
	registry->even = 1;
	return jd_slabs_new(registry->allocator, clear, &registry->slabs);
}

void jd_registry_make_serial(struct jd_registry *registry)
{
	JD_ASSERT(jd_registry_is_empty(registry) && !registry->shards[0].ids);
	registry->shift = 0;
}

/* Doubles the buckets; without memory the chains grow instead, which is only slower. */
static void grow(struct jd_registry *registry, struct jd_registry_shard *shard)
{
	size_t old_count = shard->mask + 1;
	struct jd_registry_entry **old = shard->buckets;
	struct jd_registry_entry **buckets = jd_memory_zalloc(registry->allocator, old_count * 2,
							      sizeof(*buckets),
							      alignof(struct jd_registry_entry *));

	if (!buckets)
		return;
	shard->buckets = buckets;
	shard->mask = old_count * 2 - 1;
	for (size_t i = 0; i < old_count; i++) {
		struct jd_registry_entry *entry = old[i], *next;

		for (; entry; entry = next) {
			next = entry->next;
			link_entry(registry, shard, entry);
		}
	}
	jd_memory_free(registry->allocator, old, old_count * sizeof(*old),
		       alignof(struct jd_registry_entry *));
}

void jd_registry_insert(struct jd_registry *registry, struct jd_registry_entry *entry)
{
	struct jd_registry_shard *shard = own_shard(registry);

	jd_lock_acquire(&shard->lock);
	jd_task_id id = next_number(registry, shard) << registry->even;

	if (JD_UNLIKELY(shard->count > shard->mask))
		grow(registry, shard);
	if (shard->count++ == 0)
		atomic_fetch_add_explicit(&registry->busy, 1, memory_order_relaxed);
	atomic_store_explicit(&entry->word.bits, id * 2 + 1, memory_order_relaxed);
	link_entry(registry, shard, entry);
	jd_lock_release(&shard->lock);
}

/* Nobody is left: tell those who wait for that. */
static void became_empty(struct jd_registry *registry)
{
	for (;;) {
		struct jd_waker waker = {0};

		jd_lock_acquire(&registry->lock);
		struct jd_registry_drainer *drainer = registry->drainers;

		if (drainer) {
			waker = drainer->waker;
			drainer->waker = (struct jd_waker){0};
			registry->drainers = drainer->next;
			if (drainer->next)
				drainer->next->pprev = &registry->drainers;
			drainer->pprev = NULL;
		} else {
			atomic_store_explicit(&registry->waiters, 0, memory_order_relaxed);
		}
		atomic_fetch_add_explicit(&registry->changes, 1, memory_order_relaxed);
		jd_lock_release(&registry->lock);
		if (!drainer)
			break;
		jd_waker_wake(&waker);
	}
	jd_futex_wake_all(&registry->changes);
}

/* After a count has changed by a seq_cst read-modify-write. */
static void tell_if_empty(struct jd_registry *registry)
{
	/* order: (R2) seq_cst - the second half of (R1), (R10), (R11); pairs with (R3). */
	if (atomic_load_explicit(&registry->waiters, memory_order_seq_cst) &&
	    jd_registry_is_empty(registry))
		became_empty(registry);
}

void jd_registry_remove(struct jd_registry *registry, struct jd_registry_entry *entry)
{
	struct jd_registry_shard *shard = shard_of(registry, number_of(registry, entry));

	jd_lock_acquire(&shard->lock);
	JD_ASSERT(entry->pprev && shard->count > 0);
	*entry->pprev = entry->next;
	if (entry->next)
		entry->next->pprev = entry->pprev;
	entry->pprev = NULL;
	bool last = --shard->count == 0;

	jd_lock_release(&shard->lock);
	if (!last)
		return;
	/*
	 * The shard may have been filled again meanwhile, then it was counted twice for a moment:
	 * busy is never less than the shards with entries. What the removals before did to this
	 * shard came to us with its lock.
	 * order: (R1) seq_cst - the fall to zero against the announcement of a waiter: either this
	 * sees the waiter or the waiter sees zero; also releases what the task did to the drainer.
	 * Pairs with (R3); pairs with (R4).
	 */
	if (atomic_fetch_sub_explicit(&registry->busy, 1, memory_order_seq_cst) == 1)
		tell_if_empty(registry);
}

void jd_registry_end_elsewhere(struct jd_registry *registry, struct jd_task_word *entry)
{
	uint64_t word = atomic_load_explicit(&entry->bits, memory_order_relaxed);

	atomic_store_explicit(&entry->bits, word - 1, memory_order_relaxed);
	/* order: (R10) seq_cst - as (R1); pairs with (R3), (R7). */
	atomic_fetch_add_explicit(&registry->ended, 1, memory_order_seq_cst);
	tell_if_empty(registry);
}

void jd_registry_check(struct jd_registry *registry, struct jd_registry_tally *tally)
{
	tally->unchecked = false;
	/* order: (R11) seq_cst - as (R1), for all ends since the last time; pairs with (R3), (R7).
	 */
	atomic_fetch_add_explicit(&tally->ended, 0, memory_order_seq_cst);
	tell_if_empty(registry);
}

bool jd_registry_contains(struct jd_registry *registry, jd_task_id id)
{
	if (registry->slabs && id % 2)
		return jd_slabs_contain(registry->slabs, id);
	uint64_t number = id >> registry->even;
	struct jd_registry_shard *shard = shard_of(registry, number);

	jd_lock_acquire(&shard->lock);
	struct jd_registry_entry *entry = *bucket_of(registry, shard, number);

	while (entry && number_of(registry, entry) != number)
		entry = entry->next;
	jd_lock_release(&shard->lock);
	return entry != NULL;
}

/* How many tasks have ended in kept entries. */
static uint64_t ended(const struct jd_registry *registry)
{
	/* order: (R7) seq_cst - what began before, and the later half of a handshake with who ends
	 * another at this moment; pairs with (R6), (R10), (R11). */
	uint64_t sum = atomic_load_explicit(&registry->ended, memory_order_seq_cst);

	for (unsigned i = 0; i < registry->tally_count; i++) {
		const struct jd_registry_tally *tally = &registry->tallies[i];

		/* order: (R12) seq_cst - as (R7); pairs with (R6), (R11). */
		sum += atomic_load_explicit(&tally->ended, memory_order_seq_cst);
	}
	return sum;
}

static uint64_t begun(const struct jd_registry *registry)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < registry->tally_count; i++)
		sum += atomic_load_explicit(&registry->tallies[i].begun, memory_order_relaxed);
	return sum;
}

bool jd_registry_is_empty(const struct jd_registry *registry)
{
	uint64_t kept_ended = ended(registry);

	/* order: (R4) seq_cst - what the last task did is seen with the zero; pairs with (R1). */
	return !atomic_load_explicit(&registry->busy, memory_order_seq_cst) &&
	       begun(registry) == kept_ended;
}

/* All locks at once: a task that one shard loses while another gets its child counts once. */
uint64_t jd_registry_count(struct jd_registry *registry)
{
	uint64_t count = 0, kept_ended = ended(registry);

	for (size_t i = 0; i < shards_of(registry); i++) {
		jd_lock_acquire(&registry->shards[i].lock);
		count += registry->shards[i].count;
	}
	for (size_t i = 0; i < shards_of(registry); i++)
		jd_lock_release(&registry->shards[i].lock);
	return count + begun(registry) - kept_ended;
}

void jd_registry_each(struct jd_registry *registry,
		      bool (*fn)(void *arg, struct jd_task_word *word), void *arg)
{
	bool more = !registry->slabs || jd_slabs_each(registry->slabs, fn, arg);

	for (size_t i = 0; more && i < shards_of(registry); i++) {
		struct jd_registry_shard *shard = &registry->shards[i];

		jd_lock_acquire(&shard->lock);
		for (size_t b = 0; more && b <= shard->mask; b++) {
			struct jd_registry_entry *entry = shard->buckets[b];

			for (; more && entry; entry = entry->next)
				more = fn(arg, &entry->word);
		}
		jd_lock_release(&shard->lock);
	}
}

jd_status jd_registry_drain_poll(struct jd_registry *registry, struct jd_registry_drainer *drainer,
				 const struct jd_waker *waker)
{
	struct jd_waker fresh = jd_waker_clone(waker);

	jd_lock_acquire(&registry->lock);
	struct jd_waker old = drainer->waker;

	drainer->waker = fresh;
	if (!drainer->pprev) {
		drainer->next = registry->drainers;
		if (drainer->next)
			drainer->next->pprev = &drainer->next;
		drainer->pprev = &registry->drainers;
		registry->drainers = drainer;
	}
	/* order: (R3) seq_cst - announce, then look; pairs with (R1), (R2), (R10), (R11). */
	atomic_store_explicit(&registry->waiters, 1, memory_order_seq_cst);
	jd_lock_release(&registry->lock);
	jd_waker_drop(&old);
	if (!jd_registry_is_empty(registry))
		return JD_PENDING;
	jd_registry_drain_drop(registry, drainer);
	return JD_OK;
}

void jd_registry_drain_drop(struct jd_registry *registry, struct jd_registry_drainer *drainer)
{
	jd_lock_acquire(&registry->lock);
	struct jd_waker old = drainer->waker;

	drainer->waker = (struct jd_waker){0};
	if (drainer->pprev) {
		*drainer->pprev = drainer->next;
		if (drainer->next)
			drainer->next->pprev = drainer->pprev;
		drainer->pprev = NULL;
	}
	jd_lock_release(&registry->lock);
	jd_waker_drop(&old);
}

void jd_registry_orphan(struct jd_registry *registry, struct jd_runnable *runnable)
{
	jd_lock_acquire(&registry->lock);
	runnable->next = registry->orphans;
	registry->orphans = runnable;
	atomic_fetch_add_explicit(&registry->changes, 1, memory_order_relaxed);
	jd_lock_release(&registry->lock);
	jd_futex_wake_all(&registry->changes);
}

struct jd_runnable *jd_registry_take_orphans(struct jd_registry *registry, bool wait)
{
	for (;;) {
		jd_lock_acquire(&registry->lock);
		struct jd_runnable *orphans = registry->orphans;
		uint32_t seen = atomic_load_explicit(&registry->changes, memory_order_relaxed);

		registry->orphans = NULL;
		/* order: (R5) seq_cst - announce, then look at the count; pairs with (R1), (R2). */
		atomic_store_explicit(&registry->waiters, 1, memory_order_seq_cst);
		jd_lock_release(&registry->lock);
		if (orphans || !wait || jd_registry_is_empty(registry))
			return orphans;
		jd_futex_wait(&registry->changes, seen, JD_NEVER);
	}
}
