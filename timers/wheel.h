/* wheel.h - hierarchical timer wheel over the whole 64-bit nanosecond range. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TIMERS_WHEEL_H
#define JD_TIMERS_WHEEL_H

#include <jackdaw/base.h>
#include <jackdaw/scheduler.h>

/*
 * After George Varghese and Tony Lauck, "Hashed and Hierarchical Timing Wheels: Data Structures for
 * the Efficient Implementation of a Timer Facility", SOSP 1987; their scheme 7, with three changes:
 * the wheels do not turn (a slot is named by digits of absolute time, so nothing wraps), a gap is
 * crossed by bitmaps instead of ticks, and firing is exact, whatever the width of a slot.
 *
 * A tick is 2^shift ns. Write now and a deadline in ticks, in base 64. The timer's level is the
 * place of the highest digit in which the two differ (0 if none does) and its slot in that level
 * is that digit of the deadline. With shift 0:
 *
 *   level  a slot is   the level reaches up to        with shift 20:   slot      reach
 *     0      1 ns         64 ns from now                               1.05 ms   67.1 ms
 *     1     64 ns        4.1 us                                        67.1 ms   4.29 s
 *     2    4.1 us        262 us                                        4.29 s    4.58 min
 *     3    262 us       16.8 ms                                        4.58 min  4.89 h
 *     4   16.8 ms       1.07 s                                         4.89 h    13.0 d
 *     5    1.07 s       68.7 s                                         13.0 d    2.28 y
 *     6    68.7 s       73.3 min                                       2.28 y    146 y
 *     7    73.3 min     78.2 h                                         146 y     585 y (all)
 *     8    78.2 h        209 d
 *     9     209 d       36.6 y
 *    10    36.6 y        585 y (all: 16 slots)
 *
 * What follows from that rule, and holds between any two calls (jd_wheel_check verifies it):
 *  - Every occupied slot of level 0 is that of now or later, in the other levels later than that of
 *    now. So in time order come the slots of level 0, then those of level 1, and so on: the first
 *    occupied slot holds the earliest timer.
 *  - Timers of equal deadlines are always in the same slot, in the order of their insertion.
 *  - When now moves, with L its highest changed digit: the levels above L stay as they are, the
 *    levels below L are in the past, and of level L the slots before now's new digit. What is in
 *    the slot of that digit is split: due, or moved to a level below L. So a timer moves at most
 *    once per level in its life, and a gap of years costs what is in it.
 *
 * A slot knows its smallest deadline unless the timer that had it was removed from a slot that is
 * not in order; then the next question sorts the slot. Timers inserted with growing deadlines
 * (one timeout for all) keep a slot in order, and then nothing ever needs sorting.
 *
 * Single-threaded: the caller serialises all calls on one wheel. No call blocks, reads a clock or
 * runs user code (but the allocator). Time is what the caller says it is, from jd_wheel_init on.
 */

enum {
	JD_WHEEL_LEVELS = 11,
	JD_WHEEL_SLOTS = 64, /* a level; its occupancy is one word */
	JD_WHEEL_SHIFT_MAX = 40,
};

struct jd_wheel_slot {
	struct jd_timer *head; /* in order of insertion, or of deadline; see unsorted */
	struct jd_timer *tail;
	uint64_t min_ns; /* smallest deadline; a lower bound if the slot is stale */
};

struct jd_wheel {
	const struct jd_allocator *allocator;
	uint64_t now_ns;
	size_t count; /* all timers in here */
	unsigned shift;
	unsigned occupied_levels;           /* bit L: occupied[L] != 0 */
	uint64_t occupied[JD_WHEEL_LEVELS]; /* bit S: slot[L][S] is not empty */
	uint64_t unsorted[JD_WHEEL_LEVELS]; /* bit S: perhaps not in order of deadlines */
	uint64_t stale[JD_WHEEL_LEVELS];    /* bit S: min_ns is only a lower bound */
	struct jd_wheel_slot due;           /* expired and not yet popped, in order of deadlines */
	struct jd_wheel_slot never;         /* deadline JD_NEVER */
	struct jd_wheel_slot slot[JD_WHEEL_LEVELS][JD_WHEEL_SLOTS];
};

/*
 * Of struct jd_timer, _next, _prev, _deadline_ns and _slot belong to the wheel while the timer is
 * in one. Outside they are free, but _slot must be 0 again at the next insert (zeroed memory will
 * do, and so does what left a wheel). The wheel never touches the remaining fields.
 */

/*
 * Empty, at the instant now_ns. shift: 0 .. JD_WHEEL_SHIFT_MAX. The allocator is used by insert and
 * fini only, and outlives the wheel.
 */
void jd_wheel_init(struct jd_wheel *wheel, const struct jd_allocator *allocator, uint64_t now_ns,
		   unsigned shift);

/* Gives all memory back; timers still inside are forgotten. A zeroed wheel may be given too. */
void jd_wheel_fini(struct jd_wheel *wheel);

/*
 * O(1). The timer fires at deadline_ns or up to slack_ns after it, never before; 0 is exact. After
 * the call _deadline_ns is the instant chosen. An instant that is not after now is due at the next
 * advance. JD_NEVER is kept, never fires and does not count as next deadline. The timer must not be
 * in a wheel and stays where it is in memory until it left this one.
 * JD_ENOMEM: nothing happened, the timer is in no wheel.
 */
JD_MUST_CHECK jd_status jd_wheel_insert(struct jd_wheel *wheel, struct jd_timer *timer,
					uint64_t deadline_ns, uint64_t slack_ns);

/* O(1). The timer must be in this wheel. */
void jd_wheel_remove(struct jd_wheel *wheel, struct jd_timer *timer);

/* True while the timer is in a wheel. */
static inline bool jd_wheel_holds(const struct jd_timer *timer)
{
	return timer->_slot != 0;
}

/*
 * The smallest deadline in here, exactly; JD_NEVER when nothing will fire. O(1), except that after
 * the removal of a slot's minimum it may sort that slot, once.
 */
uint64_t jd_wheel_next_deadline(struct jd_wheel *wheel);

/*
 * Moves to now_ns and takes out exactly the timers with deadline <= now_ns: *expired is their list
 * by _next, ended by NULL, ordered by deadline, equal ones by insertion. Returns how many. Time
 * that goes back (now_ns < the wheel's now) counts as standing still. Whoever walks the list reads
 * _next before it lets go of a timer.
 */
size_t jd_wheel_advance(struct jd_wheel *wheel, uint64_t now_ns, struct jd_timer **expired);

/*
 * The same for one timer: the first that is due at now_ns, or NULL. The others that are due stay in
 * the wheel, so that they can still be removed. Calling it until NULL gives the order of advance;
 * timers that are inserted meanwhile and are due come behind those that were.
 */
struct jd_timer *jd_wheel_pop(struct jd_wheel *wheel, uint64_t now_ns);

/* Takes out any one timer, due or not, also JD_NEVER; NULL when the wheel is empty. */
struct jd_timer *jd_wheel_pop_any(struct jd_wheel *wheel);

/* Takes everything out, also JD_NEVER; the list as above, but in no order worth mentioning. */
size_t jd_wheel_drain(struct jd_wheel *wheel, struct jd_timer **all);

/* Calls fn for every timer, in that same order. fn must not change the wheel. */
void jd_wheel_each(const struct jd_wheel *wheel,
		   void (*fn)(void *arg, const struct jd_timer *timer), void *arg);

static inline size_t jd_wheel_count(const struct jd_wheel *wheel)
{
	return wheel->count;
}

static inline uint64_t jd_wheel_now(const struct jd_wheel *wheel)
{
	return wheel->now_ns;
}

/* --- For wheel_check.c ---------------------------------------------------------------------- */

/* jd_timer._slot of a timer in a wheel: these, or 1 + level * JD_WHEEL_SLOTS + slot. */
enum {
	JD_WHEEL_DUE = JD_WHEEL_LEVELS * JD_WHEEL_SLOTS + 1,
	JD_WHEEL_NEVER,
};

/* Where the rule above puts a deadline: the value of jd_timer._slot. */
uint32_t jd_wheel_place(const struct jd_wheel *wheel, uint64_t deadline_ns);

#endif
