/* floor.c - what the memory costs: slots of fixed size, no timer structure. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "bench/timers/structure.h"
#include "platform/compiler.h"

/*
 * Timers are written into an array for each 2^19 ns, cleared there, read from there. Nobody counts
 * them, an array does not grow, the next deadline is unknown, and one second is all there is. A
 * real structure that touches each timer and one place where it is written down is not faster.
 */
enum {
	SHIFT = 19,
	SLOTS = 4096,
	ROOM = 1024, /* a million timers within a second: 524 a slot, with a deviation of 23 */
	AHEAD = 16,
};

/* As large as the wheel's. */
struct timer {
	uint64_t deadline_ns;
	struct timer **entry;
	uint64_t slot;
	void *owner;
	uint64_t rest[3];
};

static struct timer *timers;
static struct timer *(*slots)[ROOM];
static uint32_t used[SLOTS];
static uint64_t tick; /* all before it were fired */

static bool start(size_t count, uint64_t now_ns)
{
	timers = calloc(count, sizeof(*timers));
	slots = calloc(SLOTS, sizeof(*slots));
	tick = now_ns >> SHIFT;
	for (size_t i = 0; timers && i < count; i++)
		timers[i].owner = &slots;
	return timers && slots;
}

static void stop(void)
{
	free(timers);
	free(slots);
}

static bool insert(size_t i, uint64_t deadline_ns)
{
	struct timer *timer = &timers[i];
	size_t slot = ((deadline_ns >> SHIFT) + 1) % SLOTS;
	struct timer **entry = &slots[slot][used[slot]];

	if (JD_UNLIKELY(used[slot] == ROOM))
		return false;
	/* Soon to be written. */
	JD_PREFETCH((void *)((uintptr_t)entry + 64));
	used[slot]++;
	*entry = timer;
	timer->deadline_ns = deadline_ns;
	timer->entry = entry;
	timer->slot = 1 + slot;
	return true;
}

/* Those before were fired or cancelled, and nobody noticed. */
static void forget_all(void)
{
	for (size_t slot = 0; slot < SLOTS; slot++)
		used[slot] = 0;
}

static bool insert_all(const uint64_t *deadline_ns, size_t count)
{
	forget_all();
	for (size_t i = 0; i < count; i++)
		if (!insert(i, deadline_ns[i]))
			return false;
	return true;
}

static void cancel(struct timer *timer)
{
	*timer->entry = NULL;
	timer->slot = 0;
}

static void cancel_all(const uint32_t *order, size_t count, size_t ahead)
{
	for (size_t i = 0; i < count; i++) {
		if (ahead && i + ahead < count)
			JD_PREFETCH(&timers[order[i + ahead]]);
		cancel(&timers[order[i]]);
	}
}

static bool churn(uint64_t deadline_ns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i % ROOM == 0)
			used[((deadline_ns >> SHIFT) + 1) % SLOTS] = 0;
		if (!insert(i % TIMER_CHURN, deadline_ns))
			return false;
		cancel(&timers[i % TIMER_CHURN]);
	}
	return true;
}

static size_t fire_slot(size_t slot)
{
	struct timer **entry = slots[slot];
	uint32_t n = used[slot];
	size_t fired = 0;

	for (uint32_t i = 0; i < AHEAD && i < n; i++)
		JD_PREFETCH(&entry[i]->slot);
	for (uint32_t i = 0; i < n; i++) {
		struct timer *timer = entry[i];

		if (i + AHEAD < n)
			JD_PREFETCH(&entry[i + AHEAD]->slot);
		timer->slot = 0;
		fired += timer->owner == &slots;
	}
	used[slot] = 0;
	return fired;
}

static size_t fire(uint64_t now_ns)
{
	size_t fired = 0;

	for (; tick <= now_ns >> SHIFT; tick++)
		fired += fire_slot(tick % SLOTS);
	return fired;
}

const struct timer_structure timer_structure_floor = {
	.name = "floor",
	.start = start,
	.stop = stop,
	.insert_all = insert_all,
	.cancel_all = cancel_all,
	.churn = churn,
	.fire = fire,
};
