/* local.c - stealing from what is queued at a worker; its beginning and end. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/local.h"

jd_status jd_local_init(struct jd_local *local, size_t capacity,
			const struct jd_allocator *allocator, struct jd_reclaim *reclaim)
{
	jd_status status = jd_deque_init(&local->newest, capacity, allocator, reclaim);

	if (status != JD_OK)
		return status;
	status = jd_deque_init(&local->yielded, capacity, allocator, reclaim);
	if (status != JD_OK)
		jd_deque_fini(&local->newest);
	local->private = NULL;
	atomic_init(&local->single, NULL);
	atomic_init(&local->turns, 0);
	return status;
}

void jd_local_fini(struct jd_local *local)
{
	JD_ASSERT(!local->private && !atomic_load_explicit(&local->single, memory_order_relaxed));
	jd_deque_fini(&local->newest);
	jd_deque_fini(&local->yielded);
}

jd_status jd_local_give_way_slow(struct jd_local *local, struct jd_runnable *runnable)
{
	if (jd_deque_reserve(&local->yielded, 2) != JD_OK)
		return JD_ENOMEM;
	/* A second one of the same run is behind the first. */
	if (local->private)
		jd_local_queue_private(local);
	local->private = runnable;
	return JD_OK;
}

/* From one of the victim's deques into the thief's of the same kind. */
static void steal_half(struct jd_deque *victim, struct jd_deque *thief, size_t max,
		       struct jd_loot *loot)
{
	void *item;

	if (jd_deque_steal_half(victim, thief, max, &item, &loot->moved) == JD_STEAL_OK)
		loot->first = item;
}

struct jd_loot jd_local_steal(struct jd_local *victim, struct jd_local *thief, size_t max,
			      uint64_t *seen)
{
	struct jd_loot loot = {NULL, 0, false};
	size_t newest = jd_deque_size(&victim->newest), yielded = jd_deque_size(&victim->yielded);
	bool single = atomic_load_explicit(&victim->single, memory_order_relaxed);

	if (newest + yielded + single == 0)
		return loot;
	uint64_t turns = atomic_load_explicit(&victim->turns, memory_order_relaxed);
	bool stuck = *seen == turns;

	*seen = turns;
	if (newest + yielded + single == 1 && !stuck) {
		loot.again = true;
		return loot;
	}
	/* Not the newest, which its owner wants next, if there is another. */
	if (newest > 1 || (newest && !single))
		steal_half(&victim->newest, &thief->newest, max, &loot);
	if (!loot.first && yielded)
		steal_half(&victim->yielded, &thief->yielded, max, &loot);
	if (!loot.first && single && (newest || stuck)) {
		loot.first = jd_local_take_single(victim);
		loot.moved = loot.first != NULL;
	}
	loot.again = !loot.first;
	return loot;
}

struct jd_loot jd_local_balance(struct jd_local *victim, struct jd_local *thief, size_t max,
				uint64_t *seen)
{
	struct jd_loot loot = {NULL, 0, false};
	size_t theirs = jd_local_size(victim), mine = jd_local_size(thief);
	size_t newest = jd_deque_size(&victim->newest), yielded = jd_deque_size(&victim->yielded);
	uint64_t turns = atomic_load_explicit(&victim->turns, memory_order_relaxed);
	/* What it has waits for one that runs long, whoever has more. */
	size_t want = *seen == turns ? (theirs + 1) / 2 : theirs > mine ? (theirs - mine) / 2 : 0;

	*seen = turns;
	max = max < want ? max : want;
	if (!max)
		return loot;
	if (yielded && yielded >= newest) {
		steal_half(&victim->yielded, &thief->yielded, max, &loot);
	} else if (newest) {
		steal_half(&victim->newest, &thief->newest, max, &loot);
	} else {
		loot.first = jd_local_take_single(victim);
		loot.moved = loot.first != NULL;
	}
	return loot;
}
