/* task_state.h - the one word that says what a task is doing, and all its transitions. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_TASK_STATE_H
#define JD_RUNTIME_TASK_STATE_H

/*
 * Nothing but C11 atomics here, so that a model checker can run it as it stands.
 *
 * bits        SCHEDULED  a runnable exists: queued, or in the hands of whoever will queue it; or,
 *                        together with RUNNING, the task was woken during its poll
 *             RUNNING    the future is being polled
 *             COMPLETED  the future ended and is gone, status and result are there
 *             CLOSED     cancelled, or the result was taken or destroyed
 *             HANDLE     the struct jd_task * of the spawner exists
 *             AWAITER    the awaiter slot holds a waker
 *             REGISTERING the owner of the handle is writing the awaiter slot
 *             NOTIFYING  somebody is emptying the awaiter slot
 *             TAKEN      the owner of the handle has taken the result; with CLOSED
 *             SHARED     others may cancel the task while it has its future; never changes
 *             KIND       two bits: enum jd_task_kind; never change
 *             UNITS      four bits: the size of its block; 0: not from a slab; never change
 * the rest    the reference count, in units of JD_TASK_REF: the runnable and every waker
 *
 * Who may touch what (the invariants; F is the future, R the result, A the awaiter slot)
 *  1. F: the holder of the runnable (SCHEDULED, not RUNNING) or the poller (RUNNING), never two at
 *     once: a runnable exists iff SCHEDULED is set and RUNNING is not.
 *  2. F is alive until COMPLETED, or until CLOSED with neither SCHEDULED nor RUNNING.
 *  3. R: the poller before it sets COMPLETED; after that the handle's owner, who takes it by
 *     setting CLOSED; without a handle the poller destroys it. When CLOSED came first (cancel
 *     during the last poll) the poller destroys it.
 *  4. A: whoever set REGISTERING while NOTIFYING was clear, or NOTIFYING while both were clear.
 *     The second comer leaves its work to the first.
 *  5. The memory is freed when the count is 0 and HANDLE is clear. A count of 0 without HANDLE
 *     and with a living future cannot be seen: the transition that would make it so (last waker
 *     dropped, handle dropped) makes a closed runnable instead.
 *
 * A wake is a read-modify-write even when the task is scheduled already: what the waker wrote
 * before must be visible to the poll that this SCHEDULED stands for (release here, acquire in
 * begin). A plain load there loses wake-ups on weakly ordered machines.
 *
 * Every transition is acquire-release. It is one locked instruction on any machine and leaves one
 * rule to remember: whoever sees a bit sees what led to it. All pair with each other; the labels
 * name the pairs that matter.
 */
#include <stdbool.h>
#include <stdint.h>

#include "platform/atomic.h"
#include "platform/compiler.h"

enum {
	JD_TASK_SCHEDULED = 1u << 0,
	JD_TASK_RUNNING = 1u << 1,
	JD_TASK_COMPLETED = 1u << 2,
	JD_TASK_CLOSED = 1u << 3,
	JD_TASK_HANDLE = 1u << 4,
	JD_TASK_AWAITER = 1u << 5,
	JD_TASK_REGISTERING = 1u << 6,
	JD_TASK_NOTIFYING = 1u << 7,
	JD_TASK_SHARED = 1u << 8,
	JD_TASK_TAKEN = 1u << 9,
	JD_TASK_KIND_SHIFT = 10,
	JD_TASK_UNITS_SHIFT = 12,
	JD_TASK_REF = 1u << 16,
};

/* More references than this are a leak about to wrap around: the caller aborts. */
#define JD_TASK_REF_MAX ((uint64_t)JD_TASK_REF << 47)

typedef _Atomic(uint64_t) jd_task_state;

/* A new task: its runnable exists; and its handle, unless nobody wanted one. */
#define JD_TASK_STATE_DETACHED ((uint64_t)JD_TASK_SCHEDULED | JD_TASK_REF)
#define JD_TASK_STATE_NEW (JD_TASK_STATE_DETACHED | JD_TASK_HANDLE)

static inline uint64_t jd_task_state_refs(uint64_t s)
{
	return s / JD_TASK_REF;
}

/* KIND and UNITS. */
#define JD_TASK_FACTS ((uint64_t)JD_TASK_REF - (1u << JD_TASK_KIND_SHIFT))

/* What never changes, to be added to a new state; and how it is read, from any. */
static inline uint64_t jd_task_state_facts(unsigned kind, unsigned units)
{
	return (uint64_t)kind << JD_TASK_KIND_SHIFT | (uint64_t)units << JD_TASK_UNITS_SHIFT;
}

static inline unsigned jd_task_state_kind(uint64_t s)
{
	return (unsigned)(s >> JD_TASK_KIND_SHIFT) & 3;
}

static inline unsigned jd_task_state_units(uint64_t s)
{
	return (unsigned)(s >> JD_TASK_UNITS_SHIFT) & 15;
}

/* As (T1), for who needs only what never changes, or what he himself did. */
static inline uint64_t jd_task_state_peek(const jd_task_state *state)
{
	return atomic_load_explicit(state, memory_order_relaxed);
}

/* Neither finished nor cancelled. */
static inline bool jd_task_state_open(uint64_t s)
{
	return !(s & (JD_TASK_COMPLETED | JD_TASK_CLOSED));
}

/* Whether the future still exists although the task was closed; see invariant 2. */
static inline bool jd_task_state_closing(uint64_t s)
{
	return s & (JD_TASK_SCHEDULED | JD_TASK_RUNNING);
}

static inline uint64_t jd_task_state_load(const jd_task_state *state)
{
	/* order: (T1) acquire - what led to the bits seen; pairs with (T2) and every transition. */
	return atomic_load_explicit(state, memory_order_acquire);
}

static inline bool jd_task_state_cas(jd_task_state *state, uint64_t *old, uint64_t new_)
{
	/* order: (T2) acq_rel - the rule of this file; pairs with (T1), (T2), (T3), (T4), (T6). */
	return atomic_compare_exchange_weak_explicit(state, old, new_, memory_order_acq_rel,
						     memory_order_acquire);
}

static inline uint64_t jd_task_state_set(jd_task_state *state, uint64_t bits)
{
	/* order: (T3) acq_rel - as (T2); pairs with (T1), (T2), (T4), (T6). */
	return atomic_fetch_or_explicit(state, bits, memory_order_acq_rel);
}

static inline uint64_t jd_task_state_clear(jd_task_state *state, uint64_t bits)
{
	/* order: (T4) acq_rel - as (T2); pairs with (T1), (T2), (T3), (T6). */
	return atomic_fetch_and_explicit(state, ~bits, memory_order_acq_rel);
}

/* One more reference for who holds one already. Returns the old word, to check for overflow. */
static inline uint64_t jd_task_state_ref(jd_task_state *state)
{
	return atomic_fetch_add_explicit(state, JD_TASK_REF, memory_order_relaxed);
}

/* What the caller of a transition has to do next. */
enum jd_task_next {
	JD_TASK_NOTHING,
	JD_TASK_SCHEDULE, /* the runnable was made and is the caller's: schedule it */
	JD_TASK_DESTROY,  /* nobody is left: free the memory */
	JD_TASK_MISUSED,  /* given up what it did not have: nothing was changed, abort */
};

/* A waker fires; the caller holds a reference. */
static inline enum jd_task_next jd_task_state_wake(jd_task_state *state)
{
	uint64_t s = jd_task_state_load(state), t;

	do {
		if (!jd_task_state_open(s))
			return JD_TASK_NOTHING;
		t = s | JD_TASK_SCHEDULED;
		if (!(s & (JD_TASK_SCHEDULED | JD_TASK_RUNNING)))
			t += JD_TASK_REF;
	} while (!jd_task_state_cas(state, &s, t));
	return s & (JD_TASK_SCHEDULED | JD_TASK_RUNNING) ? JD_TASK_NOTHING : JD_TASK_SCHEDULE;
}

/* Whether a runnable exists, so that running or cancelling it is no misuse. */
static inline bool jd_task_state_runnable(uint64_t s)
{
	return (s & (JD_TASK_SCHEDULED | JD_TASK_RUNNING)) == JD_TASK_SCHEDULED;
}

/* The same, and it has not been cancelled, so that running it polls. */
static inline bool jd_task_state_polls(uint64_t s)
{
	return (s & (JD_TASK_SCHEDULED | JD_TASK_RUNNING | JD_TASK_CLOSED)) == JD_TASK_SCHEDULED;
}

/*
 * Nobody but the caller, who has the runnable or has just polled, can reach the task: no handle, no
 * waker but the borrowed one of a poll that is over, and nobody in the awaiter slot. The registry
 * still can, but it cancels only when no runnable runs any more (jd_scheduler_cancel_tasks). So a
 * store does what else takes a compare-and-swap; it releases, because all transitions do.
 */
static inline bool jd_task_state_sole(uint64_t s)
{
	const uint64_t others = JD_TASK_HANDLE | JD_TASK_AWAITER | JD_TASK_REGISTERING |
				JD_TASK_NOTIFYING | JD_TASK_SHARED;

	return jd_task_state_refs(s) == 1 && !(s & others);
}

static inline void jd_task_state_put(jd_task_state *state, uint64_t s)
{
	/* order: (T5) release - as (T2), without the need to see what is there; pairs with (T1). */
	atomic_store_explicit(state, s, memory_order_release);
}

/*
 * The runnable is run. Returns the word as it was. If there was no runnable, or it has CLOSED,
 * nothing was changed: that is misuse, or the future is to be dropped. Otherwise poll.
 */
static inline uint64_t jd_task_state_begin(jd_task_state *state)
{
	uint64_t s = jd_task_state_load(state), t;

	if (JD_LIKELY((s & ~JD_TASK_FACTS) == JD_TASK_STATE_DETACHED)) { /* sole */
		jd_task_state_put(state, s ^ (JD_TASK_SCHEDULED | JD_TASK_RUNNING));
		return s;
	}
	do {
		if (!jd_task_state_polls(s))
			return s;
		t = (s & ~(uint64_t)JD_TASK_SCHEDULED) | JD_TASK_RUNNING;
	} while (!jd_task_state_cas(state, &s, t));
	return s;
}

/* What is left to do for who has completed a task. */
enum jd_task_end {
	JD_TASK_END_DONE,   /* nothing: the reference is gone, and perhaps the task */
	JD_TASK_END_WAKE,   /* empty the awaiter slot, jd_task_state_notified, wake */
	JD_TASK_END_RESULT, /* nobody will take the result: destroy it; then as JD_TASK_END_MORE */
	JD_TASK_END_MORE,   /* notify if there is somebody, and give up the reference */
};

/*
 * The future ended and is gone, the result is in place. In one step, what usually are three: the
 * end is published; an awaiter becomes the caller's to notify, or, if there is none, the reference
 * of the runnable goes: with a handle that has not been closed nothing else is left to do.
 */
static inline enum jd_task_end jd_task_state_complete(jd_task_state *state)
{
	const uint64_t slot = JD_TASK_AWAITER | JD_TASK_REGISTERING | JD_TASK_NOTIFYING;
	uint64_t s = jd_task_state_load(state), t;
	enum jd_task_end end;

	do {
		t = (s & ~(uint64_t)(JD_TASK_RUNNING | JD_TASK_SCHEDULED)) | JD_TASK_COMPLETED;
		end = JD_TASK_END_MORE;
		if (!(s & JD_TASK_HANDLE) || (s & JD_TASK_CLOSED)) {
			t |= JD_TASK_CLOSED;
			end = JD_TASK_END_RESULT;
		} else if ((s & slot) == JD_TASK_AWAITER) {
			t |= JD_TASK_NOTIFYING;
			end = JD_TASK_END_WAKE;
		} else if (!(s & slot)) {
			t -= JD_TASK_REF;
			end = JD_TASK_END_DONE;
		}
	} while (!jd_task_state_cas(state, &s, t));
	return end;
}

/*
 * Cancel, by the owner of the handle, by one who holds a reference, or, of a SHARED task, by one
 * who keeps the future from going meanwhile. *was_open tells whether it had any effect.
 */
static inline enum jd_task_next jd_task_state_cancel(jd_task_state *state, bool *was_open)
{
	uint64_t s = jd_task_state_load(state), t;

	do {
		*was_open = jd_task_state_open(s);
		if (!*was_open)
			return JD_TASK_NOTHING;
		t = s | JD_TASK_CLOSED;
		if (!(s & (JD_TASK_SCHEDULED | JD_TASK_RUNNING)))
			t = (t | JD_TASK_SCHEDULED) + JD_TASK_REF;
	} while (!jd_task_state_cas(state, &s, t));
	return s & (JD_TASK_SCHEDULED | JD_TASK_RUNNING) ? JD_TASK_NOTHING : JD_TASK_SCHEDULE;
}

/* The part of invariant 5: s is about to lose its last holder; what should it become? */
static inline enum jd_task_next jd_task_state_orphan(uint64_t s, uint64_t *t)
{
	if (jd_task_state_refs(s) || (s & JD_TASK_HANDLE)) {
		*t = s;
		return JD_TASK_NOTHING;
	}
	if (!jd_task_state_open(s)) {
		*t = s;
		return JD_TASK_DESTROY;
	}
	*t = s | JD_TASK_SCHEDULED | JD_TASK_CLOSED | JD_TASK_REF;
	return JD_TASK_SCHEDULE;
}

/*
 * The poll ended pending. Returns the word as it was. If it has CLOSED, nothing was changed: the
 * caller drops the future and calls jd_task_state_clear(SCHEDULED | RUNNING). Otherwise RUNNING
 * was cleared. If SCHEDULED is set the caller has the runnable and schedules it; if not, the
 * runnable is gone and its reference with it, and *next is what follows from that.
 */
static inline uint64_t jd_task_state_pend(jd_task_state *state, enum jd_task_next *next)
{
	uint64_t s = jd_task_state_load(state), t;

	*next = JD_TASK_NOTHING;
	/* Sole, and it woke itself. */
	if ((s & ~JD_TASK_FACTS) == (JD_TASK_STATE_DETACHED | JD_TASK_RUNNING)) {
		jd_task_state_put(state, s ^ JD_TASK_RUNNING);
		return s;
	}
	do {
		*next = JD_TASK_NOTHING;
		if (s & JD_TASK_CLOSED)
			return s;
		t = s & ~(uint64_t)JD_TASK_RUNNING;
		if (!(s & JD_TASK_SCHEDULED))
			*next = jd_task_state_orphan(t - JD_TASK_REF, &t);
	} while (!jd_task_state_cas(state, &s, t));
	return s;
}

/* A reference (waker or runnable) goes. */
static inline enum jd_task_next jd_task_state_unref(jd_task_state *state)
{
	uint64_t s = jd_task_state_load(state), t;
	enum jd_task_next next;

	do {
		if (!jd_task_state_refs(s))
			return JD_TASK_MISUSED;
		next = jd_task_state_orphan(s - JD_TASK_REF, &t);
	} while (!jd_task_state_cas(state, &s, t));
	return next;
}

/*
 * The handle goes. *result tells the caller to destroy the result: nobody has taken it. Then the
 * memory is still there: call again, the second call gives the next step.
 */
static inline enum jd_task_next jd_task_state_detach(jd_task_state *state, bool *result)
{
	uint64_t s = jd_task_state_load(state), t;
	enum jd_task_next next;

	do {
		*result = false;
		if (!(s & JD_TASK_HANDLE))
			return JD_TASK_MISUSED;
		*result = (s & JD_TASK_COMPLETED) && !(s & JD_TASK_CLOSED);
		if (*result) {
			next = JD_TASK_NOTHING;
			t = s | JD_TASK_CLOSED;
		} else {
			next = jd_task_state_orphan(s & ~(uint64_t)JD_TASK_HANDLE, &t);
		}
	} while (!jd_task_state_cas(state, &s, t));
	return next;
}

/* The owner of the handle takes the result: true exactly once, and only when there is one. */
static inline bool jd_task_state_take(jd_task_state *state)
{
	uint64_t s = jd_task_state_load(state);

	do {
		if ((s & (JD_TASK_COMPLETED | JD_TASK_CLOSED)) != JD_TASK_COMPLETED)
			return false;
	} while (!jd_task_state_cas(state, &s, s | JD_TASK_CLOSED | JD_TASK_TAKEN));
	return true;
}

/*
 * Registering an awaiter, by the owner of the handle, in two steps around the writing of the slot.
 * begin: false when somebody notifies at this moment; then wake the new waker at once instead.
 */
static inline bool jd_task_state_register_begin(jd_task_state *state)
{
	uint64_t s = jd_task_state_load(state);

	do {
		if (s & JD_TASK_NOTIFYING)
			return false;
	} while (!jd_task_state_cas(state, &s, s | JD_TASK_REGISTERING));
	return true;
}

/* end: false when a notification came meanwhile; the slot was given back to the caller to wake. */
static inline bool jd_task_state_register_end(jd_task_state *state)
{
	const uint64_t all = JD_TASK_REGISTERING | JD_TASK_NOTIFYING | JD_TASK_AWAITER;
	uint64_t s = jd_task_state_load(state), t;
	bool missed;

	do {
		missed = s & JD_TASK_NOTIFYING;
		if (missed)
			return false;
		t = (s & ~all) | JD_TASK_AWAITER;
	} while (!jd_task_state_cas(state, &s, t));
	return true;
}

/* After register_end was false and the slot was emptied: let go of it. */
static inline void jd_task_state_register_abort(jd_task_state *state)
{
	jd_task_state_clear(state, JD_TASK_REGISTERING | JD_TASK_NOTIFYING | JD_TASK_AWAITER);
}

/* Notify: true when the slot is the caller's to empty; then notify_end and wake what was in it. */
static inline bool jd_task_state_notify_begin(jd_task_state *state)
{
	uint64_t s = jd_task_state_set(state, JD_TASK_NOTIFYING);

	return !(s & (JD_TASK_NOTIFYING | JD_TASK_REGISTERING));
}

static inline void jd_task_state_notify_end(jd_task_state *state)
{
	jd_task_state_clear(state, JD_TASK_NOTIFYING | JD_TASK_AWAITER);
}

/* After JD_TASK_END_WAKE, when the slot is empty: that, and the reference goes. */
static inline enum jd_task_next jd_task_state_notified(jd_task_state *state)
{
	const uint64_t ours = JD_TASK_AWAITER + JD_TASK_NOTIFYING + JD_TASK_REF;
	uint64_t t;

	/* Nobody else touches these two bits meanwhile (invariant 4), so taking away clears them.
	 * order: (T6) acq_rel - as (T2); pairs with (T1), (T2), (T3), (T4). */
	uint64_t s = atomic_fetch_sub_explicit(state, ours, memory_order_acq_rel);

	return jd_task_state_orphan(s - ours, &t);
}

#endif
