/* wheel.h - hierarchical timer wheel over the whole 64-bit nanosecond range. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TIMERS_WHEEL_H
#define JD_TIMERS_WHEEL_H

#include <jackdaw/base.h>
#include <jackdaw/scheduler.h>

#include "timers/timer_bag.h"
#include "timers/timer_heap.h"
#include "timers/timer_pool.h"

/*
 * After George Varghese and Tony Lauck, "Hashed and Hierarchical Timing Wheels: Data Structures for
 * the Efficient Implementation of a Timer Facility", SOSP 1987; their scheme 7, with these changes:
 *  - slots are arrays, because at a million timers the cost is memory that is not in the cache;
 *  - the first level is wide, so that most timers never move;
 *  - gaps are crossed by bitmaps instead of ticks;
 *  - no timer is late because its slot is wide: a timer that is not at the begin of a tick (the
 *    exact class) waits in a heap when its time is near.
 *
 * A tick is 2^shift ns. `tick` is the cursor: everything before it has left the wheel. Level 0, the
 * ring, has 4096 slots of one tick, for ticks tick .. tick + 4095. Level L > 0 has 256 slots of
 * 64^L ticks, for those that contain the tick and the 255 after it. So neighbours overlap, and a
 * timer is in the lowest level that reaches it. With a tick of 2^19 ns:
 *
 *   level  a slot is   reaches    | lateness beyond the slack, in every level: 0 ns
 *     0    524 us      2.15 s     |
 *     1    33.6 ms     8.6 s      | what a level costs: a timer moves once from each level
 *     2    2.15 s      9.2 min    | above 0 that it waits in, when the cursor enters its slot
 *     3    137 s       9.8 h      |
 *     4    2.4 h       26 d       | shift 0 (a tick is 1 ns, ring 4.1 us) has 11 levels,
 *     5    6.5 d       4.6 y      | shift 40 (18 min, 52 days) has 4
 *     6    1.1 y       293 y      |
 *     7    73 y        585 y: all |
 *
 * Two classes, and who is in which. insert(deadline, slack) rounds the deadline up to a multiple of
 * the largest power of two that is at most slack + 1, if that is a tick or more; else it leaves it.
 *  - at the begin of a tick (the coarse class): late by less than slack + 1 ns, by design, and in
 *    no order among those of one tick. The ring takes them. A slack of two ticks and more makes
 *    timers meet in fewer instants, which saves wake-ups.
 *  - within a tick (the exact class; slack 0 or less than a tick): not late by design. They wait in
 *    levels above 0, and for the slot of level 1 that the cursor is in, in the heap `exact`.
 * No timer ever leaves before its instant.
 *
 * Cost, n timers: insert and remove O(1), for an exact timer within the slot of level 1 of now
 * O(log of those). next_deadline O(levels): minima are known; one that was removed is found again
 * by making a heap of that slot, once while the slot is not empty. A gap of any length costs what
 * fires in it, and moves: O(levels) a timer in all its life. Each poll moves some timers ahead of
 * time, at most 32 a level; what a poll must move at once is a slot of level 1, whose timers fire
 * within 64 ticks, and, after a gap or more than a million timers a minute, what is left of others.
 *
 * Memory: about 8 bytes a timer in the ring, 16 elsewhere, up to four times that with cleared or
 * unused entries; tables are made on first use: 98 KB for the ring and 64 bytes for each slot ever
 * used, 8 KB a level. What a peak needed is kept until the end. Without memory an insert says so; a
 * move that gets none leaves the slot where it is, as a heap, out of which its timers fire as
 * exactly.
 *
 * Single-threaded: the caller serialises all calls on one wheel. No call blocks, reads a clock or
 * runs user code (but the allocator). Time is what the caller says it is, from jd_wheel_init on.
 */

enum {
	JD_WHEEL_RING_BITS = 12,
	JD_WHEEL_RING = 1 << JD_WHEEL_RING_BITS,
	JD_WHEEL_SLOTS = 256, /* of a level above the ring */
	JD_WHEEL_RATIO_BITS = 6,
	JD_WHEEL_LEVELS = 11, /* at most, the ring included */
	JD_WHEEL_SHIFT_MAX = 40,
};

/* Which slots of a level are not empty; the summary has a bit for each word that is not 0. */
struct jd_wheel_ring {
	uint64_t summary;
	uint64_t occupied[JD_WHEEL_RING / 64];
	struct jd_timer_bag slot[JD_WHEEL_RING];
};

struct jd_wheel_level {
	uint64_t summary;
	uint64_t occupied[JD_WHEEL_SLOTS / 64];
	struct jd_timer_heap slot[JD_WHEEL_SLOTS];
};

struct jd_wheel {
	uint64_t now_ns;               /* as last told */
	uint64_t tick;                 /* not after now; not after any that is occupied */
	struct jd_timer_bag *due;      /* the slot of tick when it is being fired, or NULL */
	struct jd_timer_bag_walk walk; /* in due; begins when its end is NULL */
	struct jd_timer **run_end;     /* from walk.at up to here nothing else comes first */
	uint8_t shift;
	uint8_t levels;
	uint16_t stuck; /* bit L: the slot of tick in level L got no memory to move */
	struct jd_timer_heap exact;
	struct jd_timer_heap never;                    /* deadline JD_NEVER; in no order */
	struct jd_wheel_ring *ring;                    /* NULL: not used yet */
	struct jd_wheel_level *level[JD_WHEEL_LEVELS]; /* the same; [0] is the ring's place */
	struct jd_timer_pool pool;
};

/*
 * Of struct jd_timer, the union of _next, _deadline_ns and _slot belong to the wheel while the
 * timer is in one. Outside they are free, but _slot must be 0 again at the next insert (zeroed
 * memory will do, and so does what left a wheel). The wheel never touches the remaining fields.
 */

/* Empty, at now_ns. shift: 0 .. JD_WHEEL_SHIFT_MAX. The allocator outlives the wheel. */
void jd_wheel_init(struct jd_wheel *wheel, const struct jd_allocator *allocator, uint64_t now_ns,
		   unsigned shift);

/* Gives all memory back; timers still inside are forgotten. A zeroed wheel may be given too. */
void jd_wheel_fini(struct jd_wheel *wheel);

/*
 * The timer fires at deadline_ns or up to slack_ns after it, never before; 0 is exact. After the
 * call _deadline_ns is the instant chosen. An instant that is not after now is due at the next
 * advance. JD_NEVER is kept, never fires and does not count as next deadline. The timer must not be
 * in a wheel and stays where it is in memory until it left this one.
 * JD_ENOMEM: nothing happened, the timer is in no wheel.
 */
JD_MUST_CHECK static inline jd_status jd_wheel_insert(struct jd_wheel *wheel,
						      struct jd_timer *timer, uint64_t deadline_ns,
						      uint64_t slack_ns);

/* The timer must be in this wheel. */
static inline void jd_wheel_remove(struct jd_wheel *wheel, struct jd_timer *timer);

/* True while the timer is in a wheel. */
static inline bool jd_wheel_holds(const struct jd_timer *timer)
{
	return timer->_slot != 0;
}

/* The smallest instant in here (see insert), exactly; JD_NEVER when nothing will fire. */
uint64_t jd_wheel_next_deadline(struct jd_wheel *wheel);

/*
 * Moves to now_ns and takes out exactly the timers whose instant is not after it: *expired is their
 * list by _next, ended by NULL, ordered by instant, in no order among equals. Returns how many.
 * Time that goes back (now_ns < the wheel's now) counts as standing still. Whoever walks the list
 * reads _next before it lets go of a timer.
 */
size_t jd_wheel_advance(struct jd_wheel *wheel, uint64_t now_ns, struct jd_timer **expired);

/*
 * The same for one timer: the first that is due at now_ns, or NULL. The others that are due stay in
 * the wheel, so that they can still be removed. Calling it until NULL gives what advance gives, and
 * costs the same; timers that are inserted meanwhile and are due are among them.
 */
static inline struct jd_timer *jd_wheel_pop(struct jd_wheel *wheel, uint64_t now_ns);

/* Takes out any one timer, due or not, also JD_NEVER; NULL when the wheel is empty. */
struct jd_timer *jd_wheel_pop_any(struct jd_wheel *wheel);

/* Takes everything out, also JD_NEVER; the list as above, but in no order worth mentioning. */
size_t jd_wheel_drain(struct jd_wheel *wheel, struct jd_timer **all);

/* Calls fn for every timer, in no order worth mentioning. fn must not change the wheel. */
void jd_wheel_each(const struct jd_wheel *wheel,
		   void (*fn)(void *arg, const struct jd_timer *timer), void *arg);

/* How many there are: a look at every slot, because no operation counts. */
size_t jd_wheel_count(const struct jd_wheel *wheel);

static inline uint64_t jd_wheel_now(const struct jd_wheel *wheel)
{
	return wheel->now_ns;
}

/* --- How it is done: inline for the ring, else in wheel.c ------------------------------------- */

/*
 * jd_timer._slot of a timer in a wheel: in the ring, the offset of its bag in bytes, which saves
 * a removal the arithmetic; JD_WHEEL_EXACT, JD_WHEEL_NEVER; from JD_WHEEL_UPPER on, JD_WHEEL_SLOTS
 * a level.
 */
enum {
	JD_WHEEL_EXACT = sizeof(struct jd_wheel_ring),
	JD_WHEEL_NEVER,
	JD_WHEEL_UPPER,
};

static inline uint32_t jd_wheel_ring_slot(unsigned i)
{
	return (uint32_t)(offsetof(struct jd_wheel_ring, slot) + i * sizeof(struct jd_timer_bag));
}

static inline struct jd_timer_bag *jd_wheel_ring_bag(const struct jd_wheel *wheel, uint32_t slot)
{
	return (struct jd_timer_bag *)(void *)((char *)wheel->ring + slot);
}

/* A slot of level L spans 2^this ticks. */
static inline unsigned jd_wheel_width(unsigned level)
{
	return JD_WHEEL_RATIO_BITS * level;
}

/* What the inline functions leave to wheel.c. */
jd_status jd_wheel_insert_elsewhere(struct jd_wheel *wheel, struct jd_timer *timer);
void jd_wheel_remove_elsewhere(struct jd_wheel *wheel, struct jd_timer *timer);
struct jd_timer *jd_wheel_pop_elsewhere(struct jd_wheel *wheel);

/* Makes room in slot i of the ring, which is full. False: no memory, nothing happened. */
bool jd_wheel_ring_grow(struct jd_wheel *wheel, unsigned i);

/* The last one has left a slot of the ring. */
void jd_wheel_ring_empty(struct jd_wheel *wheel, struct jd_timer_bag *bag);

static inline void jd_wheel_set_bit(uint64_t *summary, uint64_t *words, unsigned i)
{
	words[i / 64] |= UINT64_C(1) << i % 64;
	*summary |= UINT64_C(1) << i / 64;
}

/* The largest power of two that is at most slack + 1 has so many bits below it. */
static inline unsigned jd_wheel_slack_bits(uint64_t slack_ns)
{
	return slack_ns == UINT64_MAX ? 63 : 63u - (unsigned)__builtin_clzll(slack_ns + 1);
}

/* The first multiple of 2^bits from ns on; ns itself where there is none before JD_NEVER. */
static inline uint64_t jd_wheel_round_up(uint64_t ns, unsigned bits)
{
	uint64_t rest = (UINT64_C(1) << bits) - 1;

	return ns > UINT64_MAX - rest ? ns : (ns + rest) & ~rest;
}

/* At the begin of a tick that the ring reaches. */
static inline bool jd_wheel_in_ring(const struct jd_wheel *wheel, uint64_t ns)
{
	uint64_t tick = ns >> wheel->shift;

	return tick << wheel->shift == ns && tick >= wheel->tick &&
	       tick - wheel->tick < JD_WHEEL_RING;
}

static inline bool jd_wheel_place_in_ring(struct jd_wheel *wheel, struct jd_timer *timer,
					  uint64_t tick)
{
	unsigned i = tick % JD_WHEEL_RING;

	if (JD_UNLIKELY(!wheel->ring || jd_timer_bag_full(&wheel->ring->slot[i])) &&
	    !jd_wheel_ring_grow(wheel, i))
		return false;
	struct jd_wheel_ring *ring = wheel->ring;

	if (ring->slot[i].live == 0)
		jd_wheel_set_bit(&ring->summary, ring->occupied, i);
	timer->_slot = jd_wheel_ring_slot(i);
	jd_timer_bag_append(&ring->slot[i], timer);
	return true;
}

static inline jd_status jd_wheel_insert(struct jd_wheel *wheel, struct jd_timer *timer,
					uint64_t deadline_ns, uint64_t slack_ns)
{
	unsigned bits = jd_wheel_slack_bits(slack_ns);

	JD_ASSERT(timer->_slot == 0);
	if (bits >= wheel->shift)
		deadline_ns = jd_wheel_round_up(deadline_ns, bits);
	timer->_deadline_ns = deadline_ns;
	if (JD_UNLIKELY(deadline_ns == JD_NEVER || !jd_wheel_in_ring(wheel, deadline_ns)))
		return jd_wheel_insert_elsewhere(wheel, timer);
	return jd_wheel_place_in_ring(wheel, timer, deadline_ns >> wheel->shift) ? JD_OK
										 : JD_ENOMEM;
}

static inline void jd_wheel_remove(struct jd_wheel *wheel, struct jd_timer *timer)
{
	uint32_t slot = timer->_slot;

	if (JD_UNLIKELY(slot - 1 >= JD_WHEEL_EXACT - 1)) {
		jd_wheel_remove_elsewhere(wheel, timer);
		return;
	}
	struct jd_timer_bag *bag = jd_wheel_ring_bag(wheel, slot);

	timer->_slot = 0;
	if (JD_UNLIKELY(jd_timer_bag_remove(bag, timer)))
		jd_wheel_ring_empty(wheel, bag);
}

static inline struct jd_timer *jd_wheel_pop(struct jd_wheel *wheel, uint64_t now_ns)
{
	struct jd_timer **at = wheel->walk.at, *timer;

	if (now_ns > wheel->now_ns)
		wheel->now_ns = now_ns;
	if (JD_UNLIKELY(at == wheel->run_end) || JD_UNLIKELY((timer = *at) == NULL))
		return jd_wheel_pop_elsewhere(wheel);
	wheel->walk.at = at + 1;
	if (JD_LIKELY(wheel->run_end - at > JD_TIMER_BAG_AHEAD))
		jd_timer_bag_prefetch(at[JD_TIMER_BAG_AHEAD]);
	/* As jd_wheel_remove, without a look at the timer, which may still be under way. */
	*at = NULL;
	timer->_slot = 0;
	if (JD_UNLIKELY(--wheel->due->live == 0))
		jd_wheel_ring_empty(wheel, wheel->due);
	return timer;
}

#endif
