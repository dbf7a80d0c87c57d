/* deque.h - growable work-stealing deque of pointers: the owner works LIFO, thieves FIFO. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_DEQUE_DEQUE_H
#define JD_DEQUE_DEQUE_H

/*
 * The deque of Chase and Lev ("Dynamic Circular Work-Stealing Deque", SPAA 2005) in C11 atomics,
 * in a form without fences. Le, Pop, Cohen and Zappa Nardelli ("Correct and Efficient
 * Work-Stealing for Weak Memory Models", PPoPP 2013) published it with fences; those are
 * invisible to ThreadSanitizer, compilers disagree on what to emit for them, and the published
 * code indexes below zero on an empty deque and publishes a grown buffer unordered.
 *
 * Roles. One thread at a time is the owner (handing the role over needs a happens-before edge),
 * any number of threads are thieves. Pairs marked X need external synchronisation:
 *
 *                                  owner's  thief's  hint
 *   push pop pop_oldest reserve check X       -       -      owner's; bare has_room too
 *   steal, victim of steal_half      -        -       -      thief's (inside reclaim's rules)
 *   take_many                        -        -       -      thief's, of a deque without pops
 *   size empty dump                  -        -       -      hint: any thread
 *   init fini                        X        X       X
 *
 * steal_half is the owner's for the deque it fills, which is not the victim. The owner may steal
 * single items from itself.
 * All operations are lock-free; all but a push that grows are wait-free.
 *
 * Indices. bottom and top are 64-bit counters that start anywhere and may wrap; they are compared
 * by the sign of their difference, because a pop on an empty deque puts bottom one below top for
 * a moment. Index i lives in slot i & mask. Items are [top, bottom). top never decreases, which
 * is what makes the compare-and-swap on it safe against reuse (no ABA in 2^64 steals).
 *
 * Why each item is handed out once, and only complete. S is the order of all seq_cst operations.
 *  - Two that take index i by CAS: top passes i once.
 *  - pop takes i without CAS, a thief by CAS: pop exchanged bottom to i (DQ2), then loaded
 *    top < i (DQ3), so the write that made top i comes after that load in S. The thief loaded
 *    top == i (DQ5), then bottom (DQ6): later still in S than (DQ2). So it saw i, that is an
 *    empty deque, or a bottom that the owner wrote afterwards; in that case a new item has been
 *    pushed at i, and that is what the thief reads.
 *    Weaker orders at (DQ2), (DQ3), (DQ5) or (DQ6) hand an item out twice, at once in a model.
 *  - Content: a thief that sees bottom > i read it from a store of the owner at or after the push
 *    of i. Every store of bottom releases, so the slot and what the item points to are visible.
 *  - The buffer: a thief may hold one that was replaced. It reads the slot before its CAS: if the
 *    CAS wins, top was i all along, so nobody wrote index i in any buffer since; if it loses,
 *    what was read is discarded. It may even be a slot that growth did not copy, which is why new
 *    buffers are initialised whole. Reading after the CAS would race with the owner's next lap.
 *  - Slot reuse: the owner overwrites i's slot only after it has seen top > i (DQ9), hence after
 *    the winning thief has read it.
 *  - take_many takes [t, t + n) by one CAS. It is for a deque whose owner only pushes: then every
 *    change of top is such a CAS, bottom only grows, and what was seen below it stays there until
 *    top has passed it.
 *
 * Memory. The buffer doubles and never shrinks: a deque keeps 8 bytes for each item of its
 * highest load, rounded up to a power of two, and as much again in retired buffers until the
 * reclaim back end frees them. The limit is 2^31 items.
 *
 * Rejected: stealing several with one CAS of top where the owner pops (it looks at top only near
 * the end, so it walks into the claimed range: items run twice); shrinking (a smaller buffer can
 * drop items under a slow thief, and the memory would be needed again); an owner's FIFO pop by
 * adding to top and taking it back (top would decrease).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jackdaw/base.h>

#include "deque/reclaim.h"
#include "platform/atomic.h"
#include "platform/compiler.h"

/* The most items a deque can hold. */
#define JD_DEQUE_MAX ((uint64_t)1 << 31)

struct jd_deque_buffer {
	struct jd_retired retired;
	const struct jd_allocator *allocator; /* I */
	uint64_t mask;                        /* I: capacity - 1 */
	/* owner writes, any reads; on lines of their own, away from what everybody reads */
	JD_CACHE_ALIGNED JD_ATOMIC(void *) slots[];
};

/*
 * Access: I immutable after init, O owner only, W owner writes and any thread reads (atomic),
 * A any thread (atomic). The three lines are written by thieves, by the owner, by growth.
 */
struct jd_deque {
	JD_CACHE_ALIGNED JD_ATOMIC(uint64_t) top; /* A: next to steal */

	JD_CACHE_ALIGNED JD_ATOMIC(uint64_t) bottom; /* W: next to push */
	uint64_t top_seen;                           /* O: top at some time; never above top */

	JD_CACHE_ALIGNED JD_ATOMIC(struct jd_deque_buffer *) buffer; /* W */
	JD_ATOMIC(uint64_t) capacity;                                /* W: for dump */
	uint64_t max_capacity;                                       /* I: JD_DEQUE_MAX */
	const struct jd_allocator *allocator;                        /* I */
	struct jd_reclaim *reclaim;                                  /* I */
};

enum jd_steal {
	JD_STEAL_EMPTY, /* there was nothing at some moment during the call */
	JD_STEAL_OK,
	JD_STEAL_RETRY, /* another thief or the owner was faster; there may be more */
};

/*
 * Sets up an empty deque with room for capacity items (rounded up to a power of two). allocator
 * and reclaim must outlive it. JD_EINVAL (capacity 0), JD_ERANGE (> JD_DEQUE_MAX), JD_ENOMEM.
 */
JD_MUST_CHECK jd_status jd_deque_init(struct jd_deque *d, size_t capacity,
				      const struct jd_allocator *allocator,
				      struct jd_reclaim *reclaim);

/* The same with both indices starting at start: tests begin just before they wrap. */
JD_MUST_CHECK jd_status jd_deque_init_at(struct jd_deque *d, size_t capacity,
					 const struct jd_allocator *allocator,
					 struct jd_reclaim *reclaim, uint64_t start);

/* Frees the buffer. The deque must be empty (an item dropped here would be lost) and unused. */
void jd_deque_fini(struct jd_deque *d);

/*
 * Makes sure that the next n pushes succeed. Owner. Allocates and may retire the old buffer.
 * JD_ENOMEM (also beyond the limit): nothing has changed.
 */
JD_MUST_CHECK jd_status jd_deque_reserve(struct jd_deque *d, size_t n);

/*
 * Thief of victim and owner of into (another deque, with the same reclaim rules). Steals up to
 * half of what victim holds, at most max >= 1 items, one by one: the oldest goes to *item, to be
 * run at once, the others into `into` in their order. *moved counts all of them. Never takes
 * what it cannot keep: without memory for more it stops at one.
 */
enum jd_steal jd_deque_steal_half(struct jd_deque *victim, struct jd_deque *into, size_t max,
				  void **item, size_t *moved);

/*
 * Thief of a deque whose owner pushes and nothing else: takes up to max of the oldest, in their
 * order, at once. Returns how many; 0: it was empty, or another thief was faster.
 */
size_t jd_deque_take_many(struct jd_deque *d, void **items, size_t max);

/* Checks what must hold between two operations of the owner; says what is wrong. Owner. O(n). */
bool jd_deque_check(const struct jd_deque *d, FILE *why);

/* One line: indices, size, capacity. Any thread; the figures may be a moment old. */
void jd_deque_dump(const struct jd_deque *d, FILE *out);

/* How many items there are, about. Any thread. Exact for an owner without thieves. */
static inline size_t jd_deque_size(const struct jd_deque *d)
{
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed);
	int64_t n = (int64_t)(b - atomic_load_explicit(&d->top, memory_order_relaxed));

	return n > 0 ? (size_t)n : 0;
}

/* Whether there is none, and will be none until the owner pushes. Owner. */
static inline bool jd_deque_bare(const struct jd_deque *d)
{
	return atomic_load_explicit(&d->bottom, memory_order_relaxed) ==
	       atomic_load_explicit(&d->top, memory_order_relaxed);
}

/* Writes item (not NULL) into the next slot, which nobody sees yet. */
static inline jd_status jd_deque_fill(struct jd_deque *d, void *item)
{
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed);
	struct jd_deque_buffer *a = atomic_load_explicit(&d->buffer, memory_order_relaxed);

	JD_ASSERT(item);
	/* top_seen instead of top: the line that thieves write is read once in a lap. */
	if (JD_UNLIKELY(b - d->top_seen > a->mask)) {
		if (jd_deque_reserve(d, 1) != JD_OK)
			return JD_ENOMEM;
		a = atomic_load_explicit(&d->buffer, memory_order_relaxed);
	}
	atomic_store_explicit(&a->slots[b & a->mask], item, memory_order_relaxed);
	return JD_OK;
}

/* Whether the next push needs no memory, nor a look at what thieves write. Owner. */
static inline bool jd_deque_has_room(const struct jd_deque *d)
{
	return atomic_load_explicit(&d->bottom, memory_order_relaxed) - d->top_seen <=
	       atomic_load_explicit(&d->buffer, memory_order_relaxed)->mask;
}

/* Fetches the slot of the n-th push from now on; a thief may have read it last. Owner. */
static inline void jd_deque_fetch(const struct jd_deque *d, uint64_t n)
{
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed);
	const struct jd_deque_buffer *a = atomic_load_explicit(&d->buffer, memory_order_relaxed);

	JD_PREFETCH(&a->slots[(b + n) & a->mask]);
}

/* Adds item (not NULL). Owner. JD_ENOMEM: nothing changed, the item is still the caller's. */
static inline JD_MUST_CHECK jd_status jd_deque_push(struct jd_deque *d, void *item)
{
	if (JD_UNLIKELY(jd_deque_fill(d, item) != JD_OK))
		return JD_ENOMEM;
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed);

	/* order: (DQ1) release - the slot and the item behind it; pairs with (DQ6). */
	atomic_store_explicit(&d->bottom, b + 1, memory_order_release);
	return JD_OK;
}

/*
 * The same, as the publishing half of a handshake: either what the owner loads next with seq_cst
 * was written after, or jd_deque_empty is false for one who wrote it with a seq_cst operation.
 */
static inline JD_MUST_CHECK jd_status jd_deque_push_post(struct jd_deque *d, void *item)
{
	if (JD_UNLIKELY(jd_deque_fill(d, item) != JD_OK))
		return JD_ENOMEM;
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed);

	/* order: (DQ12) seq_cst - as (DQ1), and before what is loaded next; pairs with (DQ6),
	 * (DQ13). */
	atomic_exchange_explicit(&d->bottom, b + 1, memory_order_seq_cst);
	return JD_OK;
}

/*
 * Any thread. The looking half of that handshake: false when an item is there whose push the caller
 * has to see. May be false for an empty deque, with an old top.
 */
static inline bool jd_deque_empty(const struct jd_deque *d)
{
	uint64_t t = atomic_load_explicit(&d->top, memory_order_relaxed);
	/* order: (DQ13) seq_cst - after the announcement in S; pairs with (DQ12). */
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_seq_cst);

	return (int64_t)(b - t) <= 0;
}

/* The owner takes index t, the oldest, the way a thief would. */
static inline void *jd_deque_pop_top(struct jd_deque *d, uint64_t t)
{
	struct jd_deque_buffer *a = atomic_load_explicit(&d->buffer, memory_order_relaxed);
	void *item = atomic_load_explicit(&a->slots[t & a->mask], memory_order_relaxed);

	/* order: (DQ4) seq_cst - in S with the thieves' claims; pairs with (DQ5), (DQ7). */
	if (!atomic_compare_exchange_strong_explicit(&d->top, &t, t + 1, memory_order_seq_cst,
						     memory_order_relaxed))
		return NULL;
	return item;
}

/* Takes the newest item, NULL when there is none. Owner. */
static inline void *jd_deque_pop(struct jd_deque *d)
{
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed) - 1;
	int64_t below = (int64_t)(b - atomic_load_explicit(&d->top, memory_order_relaxed));
	struct jd_deque_buffer *a;

	/* top only grows: an old one that says empty is right, and if it says that b is the last,
	 * the CAS finds out. Either way the exchange is spared. */
	if (below <= 0)
		return below < 0 ? NULL : jd_deque_pop_top(d, b);
	/* order: (DQ2) seq_cst - claims b before top is looked at; pairs with (DQ6). An exchange
	 * and not a store: gcc and clang then emit the same single locked instruction. */
	atomic_exchange_explicit(&d->bottom, b, memory_order_seq_cst);
	/* order: (DQ3) seq_cst - not before (DQ2) in S; pairs with (DQ7). */
	below = (int64_t)(b - atomic_load_explicit(&d->top, memory_order_seq_cst));
	if (JD_LIKELY(below > 0)) {
		a = atomic_load_explicit(&d->buffer, memory_order_relaxed);
		return atomic_load_explicit(&a->slots[b & a->mask], memory_order_relaxed);
	}
	/* order: (DQ8) release - as every store of bottom is; pairs with (DQ6). */
	atomic_store_explicit(&d->bottom, b + 1, memory_order_release);
	return below < 0 ? NULL : jd_deque_pop_top(d, b);
}

/* Takes the oldest item, NULL when there is none or a thief was faster. Owner. */
static inline void *jd_deque_pop_oldest(struct jd_deque *d)
{
	uint64_t b = atomic_load_explicit(&d->bottom, memory_order_relaxed);
	uint64_t t = atomic_load_explicit(&d->top, memory_order_relaxed);

	/* A thief's way, but the owner needs no leave to read its own buffer and bottom. */
	return (int64_t)(b - t) > 0 ? jd_deque_pop_top(d, t) : NULL;
}

/* Takes the oldest item into *item on JD_STEAL_OK. Thief. */
static inline enum jd_steal jd_deque_steal(struct jd_deque *d, void **item)
{
	struct jd_deque_buffer *a;
	uint64_t t, b;
	void *x;

	/* order: (DQ5) seq_cst - before (DQ6) in S; pairs with (DQ4), (DQ7). */
	t = atomic_load_explicit(&d->top, memory_order_seq_cst);
	/* order: (DQ6) seq_cst - sees a pop that did not see us, and what was pushed; pairs with
	 * (DQ1), (DQ2), (DQ8), (DQ12). */
	b = atomic_load_explicit(&d->bottom, memory_order_seq_cst);
	if ((int64_t)(b - t) <= 0)
		return JD_STEAL_EMPTY;
	d->reclaim->ops->enter(d->reclaim);
	/* order: (DQ10) acquire - the buffer's mask and slots; pairs with (DQ11). */
	a = atomic_load_explicit(&d->buffer, memory_order_acquire);
	x = atomic_load_explicit(&a->slots[t & a->mask], memory_order_relaxed);
	d->reclaim->ops->leave(d->reclaim);
	/* order: (DQ7) seq_cst - claims t in S, after the slot was read; pairs with (DQ3), (DQ4),
	 * (DQ5), (DQ9). */
	if (!atomic_compare_exchange_strong_explicit(&d->top, &t, t + 1, memory_order_seq_cst,
						     memory_order_relaxed))
		return JD_STEAL_RETRY;
	JD_ASSERT(x);
	*item = x;
	return JD_STEAL_OK;
}

#endif
