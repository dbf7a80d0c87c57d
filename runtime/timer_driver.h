/* timer_driver.h - the timers of one worker: who may touch what, and who wins. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_TIMER_DRIVER_H
#define JD_RUNTIME_TIMER_DRIVER_H

/*
 * A driver is a wheel and the ways into it. It has an owner (the thread that drives the worker;
 * the driver of a pool scheduler has none), it can be looked after by any thread, and timers can
 * be armed and cancelled by any thread.
 *
 *   who         arms                 cancels, with the token   cancels, without it
 *   the owner   ring (two stores)    dead (one store)          claim (a CAS), unlinks (a CAS)
 *   any other   wheel, or if the     the same                  the same
 *               token is taken,
 *               inbox (one CAS)
 *
 * The wheel is touched only by who holds the token: a try-lock that nobody ever waits for. Who
 * fails to take it leaves, because the holder, or who comes after it, will do the work. The holder
 * first puts what is in the ring and in the inbox into the wheel, takes out what was cancelled, and
 * then fires what is due. Usually the owner holds it, between two tasks; when the owner is stuck in
 * a task, any worker may. Others who arm or cancel hold it for a moment, or long enough to empty a
 * full list of the dead.
 *
 * No call here blocks or spins. An owner whose ring is full empties it itself, or, if the token
 * is taken, uses the inbox.
 *
 * Who wins. Timers are claimed for firing by a holder of the token only. So a cancel that has the
 * token decides alone: if the timer names a cell of this driver, it is armed, and now cancelled.
 * (A claim resets that before the token is let go; an arming elsewhere first says so in _owner, and
 * who reads that finds the old cell gone.)
 * It touches one cold line, the timer's; the cell is written down as dead. A cancel that does not
 * get the token meets somebody who may be firing. Then the word _cell of the cell decides, which is
 * the timer from before the cell is published until somebody wins:
 *   fire    the holder of the token:   CAS claim: timer -> 0; then enters its runnable
 *   cancel  any thread without it:     CAS claim: timer -> 0; then says JD_OK
 *   close   shutdown, alone:           CAS claim: timer -> 0; then cancels its runnable
 * One modification order, so exactly one of them succeeds, and whoever loses knows. The claims of
 * the dead are reset by the next holder, before it does anything else.
 *
 * The timer's memory. After it has been armed, it is touched by the winner alone: the holder writes
 * it only after it won, before it enters the runnable; a cancel only its own caller's timer.
 * Everything else (ring, inbox, unlinks, the dead, wheel) names cells. So once cancel has said
 * JD_OK, or the runnable is entered, nothing of us refers to the timer, and it may be armed again
 * or freed, though the cell may be in the wheel for a while still.
 *   A cancel may meet a second arming of its timer, even unfinished: it finds the new cell, or the
 * old cell armed anew for the same timer, and cancels that; or the old cell, free or armed for
 * another, and says that it fired, which is true of the first arming. An arming writes the cell and
 * its claim before the timer names it, and does not touch the timer afterwards (unless the inbox
 * was closed, and then only if it wins its own claim).
 *
 * The cell's memory. A cell is free again when (a) fire won: the holder has it out of the wheel
 * and frees it; or (b) cancel won: then it is among the dead or in `unlinks`, once. The holder that
 * meets it there takes it out of the wheel and frees it, if it has met the arming before; otherwise
 * it remembers that (met), and frees it when it meets the arming.
 *
 * Never early. A delay may be put into the ring as it is, without reading a clock; who empties the
 * ring reads the clock after it has seen the tail (the owner: after its own arming) and adds the
 * delay to that. That reading is not earlier than the call, so neither is the instant. And a
 * timer fires when its instant is not later than a reading made before.
 *
 * Nobody oversleeps. jd_timer_driver_next is not later than the instant at which somebody must
 * look: the least of ring_next while the ring is not empty, inbox_next, and wheel_next. The first
 * is written before the tail (TD2), inbox_next after the push (TD7). The holder, before it takes
 * the content of either, lowers wheel_next to its number (TD5), and makes it exact again when all
 * of that is in the wheel. A reader looks at the ring and the inbox first and at wheel_next last;
 * so if it finds them taken, it finds the lowered number or one that is exact (TD9, TD10). An
 * arming with the token lowers wheel_next itself.
 * Whoever arms sees afterwards that somebody looks in time, whatever it saw here before: what was
 * first may have fired meanwhile. timekeeper.h says how.
 *
 * Memory. An arming that the wheel has no memory for stays in a list that the holder tries again,
 * and fires from if need be. Arming itself fails with JD_ENOMEM only when there is no cell. Before
 * more memory is taken for cells, the requests to unlink are handled, by whoever arms.
 */
#include <jackdaw/scheduler.h>

#include "runtime/timer_cell.h"
#include "runtime/tuning.h"
#include "timers/wheel.h"

/* When a timer is to fire, as the armer knows it. */
struct jd_timer_when {
	uint64_t time_ns;   /* an instant, or a delay from the call on */
	uint64_t about_ns;  /* the instant, or not later than that */
	bool relative;      /* time_ns is a delay */
	uint8_t slack_bits; /* it may be up to 2^slack_bits - 1 ns late in order to be in company */
};

/* What is done with the runnable of a timer that fired; it must not wait for a timer. */
struct jd_timer_delivery {
	void (*deliver)(struct jd_timer_delivery *self, struct jd_runnable *runnable);
};

/* Access: O the owner, A any thread, atomic, T who holds the token, I immutable after init. */
struct jd_timer_driver {
	JD_CACHE_ALIGNED _Atomic(uint32_t) tail; /* O writes: of the ring */
	_Atomic(uint64_t) ring_next;             /* O writes: not above any in the ring */
	uint32_t head_seen;                      /* O */
	_Atomic(uint64_t) now_seen;              /* A: the clock, some time ago */
	struct jd_timer_cells own;
	struct jd_timer_cell *ring[JD_TIMER_RING]; /* O writes, T reads */

	JD_CACHE_ALIGNED _Atomic(struct jd_timer *) inbox; /* A: cells, by _next */
	_Atomic(struct jd_timer *) unlinks;                /* A: cells, by _owner */
	_Atomic(uint64_t) inbox_next;                      /* A */
	struct jd_timer_cells foreign;

	JD_CACHE_ALIGNED _Atomic(uint32_t) token;  /* A: 1 while held */
	_Atomic(uint32_t) head;                    /* T writes: of the ring */
	_Atomic(uint64_t) wheel_next;              /* T writes */
	bool held_by_owner;                        /* T */
	_Atomic(uint32_t) dead_count;              /* T writes */
	struct jd_timer_cell *dead[JD_TIMER_DEAD]; /* T: cancelled by a holder */
	struct jd_timer *homeless;                 /* T: the wheel had no memory for them */
	struct jd_timer *freed[2];                 /* T: last first; own and foreign ones */
	struct jd_timer *freed_last[2];            /* T */
	uint32_t closing[2];                       /* of who closes: cells looked at */
	bool closed;                               /* of who closes */
	struct jd_wheel wheel;                     /* T */
};

void jd_timer_driver_init(struct jd_timer_driver *driver, const struct jd_allocator *allocator,
			  uint64_t now_ns);

/* Gives memory back, also that of a zeroed driver; no timer is armed any more. */
void jd_timer_driver_fini(struct jd_timer_driver *driver);

/*
 * An instant, or a delay from now, with the slack that the timer has or gets by default. Reads the
 * clock for a delay, unless patient: then a timer of some slack may begin its delay a little later,
 * when somebody reads the clock anyway. Only by the owner.
 */
struct jd_timer_when jd_timer_when(struct jd_timer_driver *driver, const struct jd_timer *timer,
				   uint64_t time_ns, bool relative, bool patient);

/*
 * As schedule_at. owner: the caller is the driver's owner. When it is JD_OK, the caller sees that
 * nobody sleeps too long who should look in time.
 */
jd_status jd_timer_driver_arm(struct jd_timer_driver *driver, bool owner, struct jd_timer *timer,
			      struct jd_runnable *runnable, const struct jd_timer_when *when);

/* Both in one. */
jd_status jd_timer_driver_arm_at(struct jd_timer_driver *driver, bool owner, struct jd_timer *timer,
				 struct jd_runnable *runnable, uint64_t time_ns, bool relative,
				 bool patient);

/* As cancel_timer, for a timer of any driver. self: the driver that the caller owns, or NULL. */
jd_status jd_timer_cancel(struct jd_timer_driver *self, struct jd_timer *timer);

/* Steps of it: without the token; and when the list of the dead is full, with it. */
JD_COLD jd_status jd_timer_cancel_by_claim(struct jd_timer *timer);
void jd_timer_driver_bury(struct jd_timer_driver *driver, bool owner);

/*
 * Delivers what is due, JD_TIMER_BATCH at most. now_ns is a reading of the clock made by the caller
 * before. False: somebody else holds the token, and nothing was done.
 */
bool jd_timer_driver_fire(struct jd_timer_driver *driver, bool owner, uint64_t now_ns,
			  struct jd_timer_delivery *delivery);

/* Takes no more timers; then claims any one that is left, to be cancelled at once. When nobody
 * fires any more, and there is no owner. */
struct jd_runnable *jd_timer_driver_close(struct jd_timer_driver *driver);

/* When somebody must look, at the latest; JD_NEVER: no timer. A moment old. */
static inline uint64_t jd_timer_driver_next(const struct jd_timer_driver *driver)
{
	uint64_t next = JD_NEVER, wheel;
	/* order: (TD9) acquire - wheel_next, of a ring that was emptied; pairs with (TD16). */
	uint32_t head = atomic_load_explicit(&driver->head, memory_order_acquire);

	/* order: (TD11) acquire - ring_next; pairs with (TD2). */
	if (atomic_load_explicit(&driver->tail, memory_order_acquire) != head)
		next = atomic_load_explicit(&driver->ring_next, memory_order_relaxed);
	/* order: (TD10) acquire - wheel_next, of an inbox that was taken; pairs with (TD5). */
	uint64_t inbox = atomic_load_explicit(&driver->inbox_next, memory_order_acquire);

	if (inbox < next)
		next = inbox;
	wheel = atomic_load_explicit(&driver->wheel_next, memory_order_relaxed);
	return wheel < next ? wheel : next;
}

/* Something has come in, by the owner, or was cancelled, that nobody has seen to yet. */
static inline bool jd_timer_driver_pending(const struct jd_timer_driver *driver)
{
	return atomic_load_explicit(&driver->dead_count, memory_order_relaxed) ||
	       atomic_load_explicit(&driver->tail, memory_order_relaxed) !=
		       atomic_load_explicit(&driver->head, memory_order_relaxed);
}

/* The instant at which a timer fires that may be late by a power of two: a multiple of it. */
static inline uint64_t jd_timer_rounded(uint64_t deadline_ns, unsigned slack_bits)
{
	uint64_t slack = (UINT64_C(1) << slack_bits) - 1;

	return deadline_ns > UINT64_MAX - slack ? deadline_ns : (deadline_ns + slack) & ~slack;
}

static inline bool jd_timer_driver_take(struct jd_timer_driver *driver)
{
	uint32_t free_word = 0;

	/* order: (TD12) acquire - what the last holder did; pairs with (TD13). */
	return atomic_compare_exchange_strong_explicit(&driver->token, &free_word, 1,
						       memory_order_acquire, memory_order_relaxed);
}

static inline void jd_timer_driver_release(struct jd_timer_driver *driver)
{
	/* order: (TD13) release - what this holder did; pairs with (TD12). */
	atomic_store_explicit(&driver->token, 0, memory_order_release);
}

/*
 * As cancel_timer, in few instructions: the processor works on several at once, each of which waits
 * for its timer. *full: this driver's dead are to be buried, and the caller has its token.
 */
static inline jd_status jd_timer_drop(struct jd_timer *timer, struct jd_timer_driver **full)
{
	/*
	 * One that is not armed may have been on a scheduler that is gone.
	 * order: (TD4) acquire - _owner of this arming or a later one; pairs with (TD19).
	 */
	if (!atomic_load_explicit(&timer->_cell, memory_order_acquire))
		return JD_EALREADY;
	/* order: (TD3) acquire - not the cell of an arming before; pairs with (TD14). */
	struct jd_timer_driver *home = atomic_load_explicit(&timer->_owner, memory_order_acquire);

	if (JD_UNLIKELY(!jd_timer_driver_take(home)))
		return jd_timer_cancel_by_claim(timer);
	/* order: (TD22) acquire - as (TD20), and _owner; pairs with (TD19). */
	struct jd_timer_cell *cell = atomic_load_explicit(&timer->_cell, memory_order_acquire);

	/* It fired in the last moment, and may even be armed again, here or elsewhere. */
	if (JD_UNLIKELY(!cell ||
			atomic_load_explicit(&timer->_owner, memory_order_relaxed) != home)) {
		jd_timer_driver_release(home);
		return jd_timer_cancel_by_claim(timer);
	}
	uint32_t n = atomic_load_explicit(&home->dead_count, memory_order_relaxed);

	atomic_store_explicit(&timer->_cell, NULL, memory_order_relaxed);
	/* It was in no cache for long; nobody waits for it now. */
	JD_PREFETCH(cell);
	home->dead[n] = cell;
	atomic_store_explicit(&home->dead_count, n + 1, memory_order_relaxed);
	if (JD_UNLIKELY(n + 1 == JD_TIMER_DEAD))
		*full = home;
	else
		jd_timer_driver_release(home);
	return JD_OK;
}

#endif
