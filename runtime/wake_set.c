/* wake_set.c - the wakers of the children of one future. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/wake_set.h"

#include "runtime/memory.h"

static size_t set_size(size_t count)
{
	return sizeof(struct jd_wake_set) + count * sizeof(struct jd_wake_entry);
}

struct jd_wake_set *jd_wake_set_new(const struct jd_allocator *allocator, size_t count)
{
	if (count > (SIZE_MAX - sizeof(struct jd_wake_set)) / sizeof(struct jd_wake_entry))
		return NULL;
	struct jd_wake_set *set =
		jd_memory_zalloc(allocator, 1, set_size(count), alignof(struct jd_wake_set));

	if (!set)
		return NULL;
	set->allocator = allocator;
	set->count = count;
	atomic_init(&set->refs, 1);
	for (size_t i = 0; i < count; i++)
		set->entries[i].set = set;
	return set;
}

static void unref(struct jd_wake_set *set)
{
	/* order: (WS1) acq_rel - all uses come before the free; pairs with (WS1). */
	uint64_t old = atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel);

	JD_ASSERT(old > 0);
	if (old == 1)
		jd_memory_free(set->allocator, set, set_size(set->count),
			       alignof(struct jd_wake_set));
}

static struct jd_waker swap_parent(struct jd_wake_set *set, struct jd_waker parent)
{
	jd_lock_acquire(&set->lock);
	struct jd_waker old = set->parent;

	set->parent = parent;
	jd_lock_release(&set->lock);
	return old;
}

void jd_wake_set_release(struct jd_wake_set *set)
{
	if (!set)
		return;
	struct jd_waker parent = swap_parent(set, (struct jd_waker){0});

	unref(set);
	jd_waker_drop(&parent);
}

void jd_wake_set_listen(struct jd_wake_set *set, const struct jd_waker *parent)
{
	struct jd_waker old = swap_parent(set, jd_waker_clone(parent));

	jd_waker_drop(&old);
}

struct jd_wake_entry *jd_wake_set_take(struct jd_wake_set *set)
{
	/* order: (WS2) acquire - the links of the entries; pairs with (WS4). */
	struct jd_wake_entry *entry =
		atomic_exchange_explicit(&set->woken, NULL, memory_order_acquire);
	struct jd_wake_entry *oldest = NULL;

	while (entry) {
		struct jd_wake_entry *next = entry->next;

		entry->next = oldest;
		oldest = entry;
		entry = next;
	}
	return oldest;
}

size_t jd_wake_set_begin(struct jd_wake_entry *entry)
{
	/*
	 * order: (WS3) acq_rel - what every wake up to now wrote, also of those that found the
	 * entry marked; a read-modify-write so that none is skipped; pairs with (WS5).
	 */
	uint32_t marked = atomic_exchange_explicit(&entry->marked, 0, memory_order_acq_rel);

	JD_ASSERT(marked);
	return (size_t)(entry - entry->set->entries);
}

/* --- The wakers ------------------------------------------------------------------------------ */

static void entry_clone(void *data)
{
	struct jd_wake_entry *entry = data;

	atomic_fetch_add_explicit(&entry->set->refs, 1, memory_order_relaxed);
}

static void entry_wake_ref(void *data)
{
	struct jd_wake_entry *entry = data;
	struct jd_wake_set *set = entry->set;

	/* order: (WS5) acq_rel - what the waker wrote before; pairs with (WS3). */
	if (atomic_exchange_explicit(&entry->marked, 1, memory_order_acq_rel))
		return;
	struct jd_wake_entry *top = atomic_load_explicit(&set->woken, memory_order_relaxed);

	do {
		entry->next = top;
		/* order: (WS4) release - the link; pairs with (WS2). */
	} while (!atomic_compare_exchange_weak_explicit(
		&set->woken, &top, entry, memory_order_release, memory_order_relaxed));
	if (top)
		return; /* whoever pushed that one wakes the parent */
	struct jd_waker parent = swap_parent(set, (struct jd_waker){0});

	jd_waker_wake(&parent);
}

static void entry_drop(void *data)
{
	struct jd_wake_entry *entry = data;

	unref(entry->set);
}

static void entry_wake(void *data)
{
	entry_wake_ref(data);
	entry_drop(data);
}

struct jd_waker jd_wake_set_waker(struct jd_wake_set *set, size_t i)
{
	static const struct jd_waker_ops ops = {
		.clone = entry_clone,
		.wake = entry_wake,
		.wake_ref = entry_wake_ref,
		.drop = entry_drop,
	};

	return (struct jd_waker){&ops, &set->entries[i]};
}
