/* depot.h - full magazines of free blocks, put and taken whole by any thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_DEPOT_H
#define JD_RUNTIME_DEPOT_H

/*
 * Nothing but C11 atomics here, so that a model checker can run it as it stands.
 *
 * Where one worker makes tasks and another ends them, the blocks go from the one to the other and
 * have to come back. They do so by the magazine, a list of so many blocks: as in J. Bonwick and
 * J. Adams, "Magazines and Vmem" (USENIX 2001), but without a lock: a shelf of slots, each of which
 * holds a magazine or NULL.
 *
 * Why each magazine has one owner. A slot changes in two ways: from NULL to a magazine, by a CAS of
 * who owned the magazine, and to NULL, by an exchange whose result is the new owner's. Both are
 * read-modify-writes, so what was put in is taken out once. Neither relies on what the slot held
 * before, so a magazine that came back to it meanwhile (the ABA problem) does no harm. The CAS
 * releases and the exchange acquires: who takes a magazine sees its list, and all that was done to
 * its blocks before.
 *
 * Both are wait-free: one look at each slot. While others move magazines a put may find no room and
 * a take nothing, although there was some at every moment. The caller then turns to the slabs, as
 * if the depot were full or empty. A depot never holds more than its slots, and nothing is lost.
 *
 * Magazines are put in from below and taken from above: the last one in is about the first one out,
 * as its blocks are more likely to be in a cache.
 *
 * Rejected. A stack of magazines under one head: its pop needs a count beside the pointer, in one
 * word or in two, and all threads meet at that word. Lists of returned blocks by owner: one
 * read-modify-write for each block instead of one for each magazine.
 */
#include <stdbool.h>
#include <stddef.h>

#include "platform/atomic.h"
#include "platform/compiler.h"
#include "runtime/tuning.h"

/* Access: A any thread, atomic. */
struct jd_depot {
	JD_CACHE_ALIGNED JD_ATOMIC(void *) slots[JD_DEPOT_SLOTS]; /* A */
};

/* Puts a magazine in, of which the caller is then rid. False: there is no room among `room`. */
static inline bool jd_depot_put(struct jd_depot *depot, unsigned room, void *magazine)
{
	for (unsigned i = 0; i < room; i++) {
		void *none = NULL;

		if (atomic_load_explicit(&depot->slots[i], memory_order_relaxed))
			continue;
		/* order: (DP1) release - the list, and what was done to its blocks; pairs with
		 * (DP2). */
		if (atomic_compare_exchange_strong_explicit(&depot->slots[i], &none, magazine,
							    memory_order_release,
							    memory_order_relaxed))
			return true;
	}
	return false;
}

/* Takes a magazine out, which is then the caller's; NULL: there is none. */
static inline void *jd_depot_take(struct jd_depot *depot, unsigned room)
{
	for (unsigned i = room; i-- > 0;) {
		if (!atomic_load_explicit(&depot->slots[i], memory_order_relaxed))
			continue;
		/* order: (DP2) acquire - what came with it; pairs with (DP1). */
		void *magazine =
			atomic_exchange_explicit(&depot->slots[i], NULL, memory_order_acquire);

		if (magazine)
			return magazine;
	}
	return NULL;
}

#endif
