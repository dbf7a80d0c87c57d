/* deque.c - the deque's rare paths: buffers, growth, stealing several, check and dump. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "deque/deque.h"

#include <inttypes.h>

static size_t buffer_bytes(uint64_t capacity)
{
	return sizeof(struct jd_deque_buffer) + (size_t)capacity * sizeof(JD_ATOMIC(void *));
}

static void buffer_free(struct jd_retired *retired)
{
	struct jd_deque_buffer *a = jd_container_of(retired, struct jd_deque_buffer, retired);

	a->allocator->free(a->allocator->ctx, a, buffer_bytes(a->mask + 1), JD_CACHE_LINE);
}

static struct jd_deque_buffer *buffer_new(const struct jd_allocator *allocator, uint64_t capacity)
{
	struct jd_deque_buffer *a;

	if (capacity > (SIZE_MAX - sizeof(*a)) / sizeof(a->slots[0]))
		return NULL;
	a = allocator->alloc(allocator->ctx, buffer_bytes(capacity), JD_CACHE_LINE);
	if (!a)
		return NULL;
	a->retired.free = buffer_free;
	a->allocator = allocator;
	a->mask = capacity - 1;
	/* All of them: a thief with an old top reads slots that nobody has written yet. */
	for (uint64_t i = 0; i < capacity; i++)
		atomic_init(&a->slots[i], NULL);
	return a;
}

static uint64_t round_up(size_t n)
{
	uint64_t capacity = 1;

	while (capacity < n)
		capacity *= 2;
	return capacity;
}

jd_status jd_deque_init_at(struct jd_deque *d, size_t capacity,
			   const struct jd_allocator *allocator, struct jd_reclaim *reclaim,
			   uint64_t start)
{
	struct jd_deque_buffer *a;

	if (!capacity)
		return JD_EINVAL;
	if (capacity > JD_DEQUE_MAX)
		return JD_ERANGE;
	a = buffer_new(allocator, round_up(capacity));
	if (!a)
		return JD_ENOMEM;
	atomic_init(&d->top, start);
	atomic_init(&d->bottom, start);
	d->top_seen = start;
	atomic_init(&d->buffer, a);
	atomic_init(&d->capacity, a->mask + 1);
	d->max_capacity = JD_DEQUE_MAX;
	d->allocator = allocator;
	d->reclaim = reclaim;
	return JD_OK;
}

jd_status jd_deque_init(struct jd_deque *d, size_t capacity, const struct jd_allocator *allocator,
			struct jd_reclaim *reclaim)
{
	return jd_deque_init_at(d, capacity, allocator, reclaim, 0);
}

void jd_deque_fini(struct jd_deque *d)
{
	JD_ASSERT(jd_deque_size(d) == 0);
	buffer_free(&atomic_load_explicit(&d->buffer, memory_order_relaxed)->retired);
	atomic_store_explicit(&d->buffer, NULL, memory_order_relaxed);
}

jd_status jd_deque_reserve(struct jd_deque *d, size_t n)
{
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed);
	struct jd_deque_buffer *old = atomic_load_explicit(&d->buffer, memory_order_relaxed), *a;
	/* order: (DQ9) acquire - thieves have read the slots below; pairs with (DQ7). */
	uint64_t t = atomic_load_explicit(&d->top, memory_order_acquire);
	uint64_t used = b - t, capacity = old->mask + 1;

	JD_ASSERT(used <= capacity);
	d->top_seen = t;
	if (n <= capacity - used)
		return JD_OK;
	if (used > d->max_capacity || n > d->max_capacity - used)
		return JD_ENOMEM;
	while (capacity - used < n)
		capacity *= 2;
	a = buffer_new(d->allocator, capacity);
	if (!a)
		return JD_ENOMEM;
	for (uint64_t i = t; i != b; i++) {
		void *item = atomic_load_explicit(&old->slots[i & old->mask], memory_order_relaxed);

		atomic_store_explicit(&a->slots[i & a->mask], item, memory_order_relaxed);
	}
	/* order: (DQ11) release - the buffer's mask and slots; pairs with (DQ10). */
	atomic_store_explicit(&d->buffer, a, memory_order_release);
	atomic_store_explicit(&d->capacity, capacity, memory_order_relaxed);
	d->reclaim->ops->retire(d->reclaim, &old->retired);
	return JD_OK;
}

enum jd_steal jd_deque_steal_half(struct jd_deque *victim, struct jd_deque *into, size_t max,
				  void **item, size_t *moved)
{
	size_t want = (jd_deque_size(victim) + 1) / 2;
	enum jd_steal result;

	JD_ASSERT(victim != into && max > 0);
	*moved = 0;
	result = jd_deque_steal(victim, item);
	if (result != JD_STEAL_OK)
		return result;
	*moved = 1;
	want = want < max ? want : max;
	if (want < 2 || jd_deque_reserve(into, want - 1) != JD_OK)
		return JD_STEAL_OK;
	while (*moved < want) {
		void *next;
		jd_status status;

		/* Lost to another thief: the rest is in good hands, do not fight for it. */
		if (jd_deque_steal(victim, &next) != JD_STEAL_OK)
			break;
		status = jd_deque_push(into, next);
		JD_ASSERT(status == JD_OK);
		++*moved;
	}
	return JD_STEAL_OK;
}

size_t jd_deque_take_many(struct jd_deque *d, void **items, size_t max)
{
	/* order: (DQ14) acquire - bottom below is no older than the items taken before; pairs with
	 * (DQ16). */
	uint64_t t = atomic_load_explicit(&d->top, memory_order_acquire);
	/* order: (DQ15) acquire - what was pushed; pairs with (DQ1), (DQ12). */
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_acquire);
	size_t n = (int64_t)(b - t) > 0 ? (size_t)(b - t) : 0;

	if (!n)
		return 0;
	n = n < max ? n : max;
	d->reclaim->ops->enter(d->reclaim);
	/* order: (DQ17) acquire - the buffer's mask and slots; pairs with (DQ11). */
	struct jd_deque_buffer *a = atomic_load_explicit(&d->buffer, memory_order_acquire);

	for (size_t i = 0; i < n; i++)
		items[i] = atomic_load_explicit(&a->slots[(t + i) & a->mask], memory_order_relaxed);
	d->reclaim->ops->leave(d->reclaim);
	/* order: (DQ16) acq_rel - after the slots were read; pairs with (DQ9), (DQ14). */
	return atomic_compare_exchange_strong_explicit(&d->top, &t, t + n, memory_order_acq_rel,
						       memory_order_relaxed)
		       ? n
		       : 0;
}

static bool broken(FILE *why, const char *what, uint64_t x, uint64_t y)
{
	if (why)
		fprintf(why, "deque: %s (%" PRIu64 ", %" PRIu64 ")\n", what, x, y);
	return false;
}

bool jd_deque_check(const struct jd_deque *d, FILE *why)
{
	const struct jd_deque_buffer *a = atomic_load_explicit(&d->buffer, memory_order_relaxed);
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed);
	uint64_t t = atomic_load_explicit(&d->top, memory_order_relaxed);

	if (!a)
		return broken(why, "no buffer", t, b);
	if (a->mask & (a->mask + 1))
		return broken(why, "capacity is no power of two", a->mask, 0);
	if (a->mask + 1 != atomic_load_explicit(&d->capacity, memory_order_relaxed))
		return broken(why, "capacity differs from the buffer's", a->mask, 0);
	if ((int64_t)(b - t) < 0)
		return broken(why, "top is above bottom", t, b);
	if (b - t > a->mask + 1)
		return broken(why, "more items than slots", t, b);
	if ((int64_t)(t - d->top_seen) < 0)
		return broken(why, "top is below what was seen", t, d->top_seen);
	for (; t != b; t++) {
		/* Thieves may have taken it meanwhile, but nobody clears a slot. */
		if (!atomic_load_explicit(&a->slots[t & a->mask], memory_order_relaxed))
			return broken(why, "an empty slot between top and bottom", t, b);
	}
	return true;
}

void jd_deque_dump(const struct jd_deque *d, FILE *out)
{
	fprintf(out, "deque: size %zu top %" PRIu64 " bottom %" PRIu64 " capacity %" PRIu64 "\n",
		jd_deque_size(d), atomic_load_explicit(&d->top, memory_order_relaxed),
		atomic_load_explicit(&d->bottom, memory_order_relaxed),
		atomic_load_explicit(&d->capacity, memory_order_relaxed));
}
