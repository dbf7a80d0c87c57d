/* idle.h - who sleeps, who searches, and why no work is ever left with nobody to do it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_IDLE_H
#define JD_RUNTIME_IDLE_H

/*
 * Nothing but C11 atomics here, so that a model checker can run it as it stands. The futex calls
 * are the caller's.
 *
 * States of a worker
 *   RUNNING    it runs tasks, or takes them from its own queue
 *   SEARCHING  it has nothing of its own and looks at all queues; counted in `searchers`
 *   DOZING     it sleeps, and looks at its word for a moment; counted in `sleepers`
 *   SLEEPING   it sleeps, and waits on its word; counted in `sleepers`
 *   NOTIFIED   somebody claimed it from its sleep; it wakes as a searcher (already counted)
 *
 * One word holds both counts. Every change of it is a read-modify-write, so each sees the one
 * before and all that led to it. A post of work that was published in any way is one, too (I1). A
 * post after a seq_cst exchange of the queue only loads (I14): every worker would otherwise write
 * this line for every task.
 *
 * To post work                            To go to sleep
 *   1. publish it in a queue                1. word = DOZING
 *   2. RMW counts (unchanged) (I1); or      2. RMW counts: sleepers + 1, searchers - 1     (I2)
 *      load them (I14)
 *   3. a sleeper and no searcher?           3. look at every queue once more
 *      then claim: RMW searchers + 1        4. found: leave (below). Nothing: look at the word
 *   4. find a word DOZING or SLEEPING,      5. CAS word from DOZING to SLEEPING, wait on it
 *      make it NOTIFIED by CAS; if it was   6. woken: RMW sleepers - 1, search
 *      SLEEPING wake that thread
 *
 * No lost wake-up. Let P be the access of a post (I1, I14) and S the RMW of a sleeper (I2).
 *   P before S: step 3 of the sleeper sees the work. After (I1) because S reads from P or later and
 *   synchronises with it. After (I14) P reads what was there before S, so it precedes S in the
 *   order of seq_cst operations; the exchange that published the work precedes P there, and the
 *   looks of step 3, seq_cst loads, come after S.
 *   S before P: the post sees the sleeper's count, and the word written before S.
 *     No searcher: the post claims, and finds a word asleep, perhaps another's; that worker
 *     searches after P. If it finds none, every sleeper it counted has left since, each does an
 *     RMW of the counts after P and looks at every queue before it can sleep again; see below for
 *     the claim that is then given back.
 *     A searcher: it was counted before P and will do one more RMW, after P, when it stops
 *     searching. If it stops because it found work and was the last, it looks again and posts on
 *     behalf of whatever is left (I4). If it stops in order to sleep, its RMW is an S after P.
 *     Both RMWs are seq_cst for the sake of P that only load.
 *   A claim given back (I3) may have made other posts hold still. It is an RMW too, after theirs:
 *   so it decides again, as a post of its own.
 *   A sleeper that finds work in step 3, but also a searcher counted in S, may leave the work to
 *   that one: its next RMW comes after S.
 *
 *   To doze changes none of this: a dozing worker is claimed as a sleeping one. The word is written
 *   by CAS on both sides, so either the claim sees SLEEPING and wakes, or the worker sees NOTIFIED
 *   and does not wait.
 *
 *   post             sleeper                   As a litmus test: Q, C = 0; x[Q]=1; r[C] |
 *   ----             -------                   RMW[C]=1; r[Q], all seq_cst. r[C]==0 on the left and
 *   publish  x[Q]    RMW C (I2)                r[Q]==0 on the right is impossible.
 *   look     r[C]    look  r[Q]
 *
 * Few wake-ups. A post wakes nobody while anybody searches. The last searcher that finds something
 * wakes the next one only if there is more. Never more than half of the workers search, at least
 * one may.
 *
 * Rejected. A lock around a list of sleepers: simple, but on the way from schedule to run. A
 * stack of sleepers in one word: a sleeper that leaves by itself (timer) is in the middle of it. A
 * seq_cst fence in the post instead of the RMW: invisible to ThreadSanitizer, not cheaper on x86.
 */
#include <stdbool.h>
#include <stdint.h>

#include "platform/atomic.h"

enum {
	JD_IDLE_RUNNING,
	JD_IDLE_DOZING,
	JD_IDLE_SLEEPING,
	JD_IDLE_NOTIFIED,
};

/* The futex word of a worker. A: the owner, and whoever claims it. */
typedef _Atomic(uint32_t) jd_idle_word;

/* Access: A any thread, atomic. sleepers in the low half, searchers in the high half. */
struct jd_idle {
	_Atomic(uint32_t) counts; /* A */
};

#define JD_IDLE_SLEEPER ((uint32_t)1)
#define JD_IDLE_SEARCHER ((uint32_t)1 << 16)

static inline uint32_t jd_idle_sleepers(uint32_t counts)
{
	return counts & (JD_IDLE_SEARCHER - 1);
}

static inline uint32_t jd_idle_searchers(uint32_t counts)
{
	return counts / JD_IDLE_SEARCHER;
}

/* A sleeper and no searcher, from c on: claims one more searcher. */
static inline bool jd_idle_decide(struct jd_idle *idle, uint32_t c)
{
	while (jd_idle_sleepers(c) && !jd_idle_searchers(c)) {
		/* order: (I5) acq_rel - the words of the sleepers counted; pairs with (I2). */
		if (atomic_compare_exchange_weak_explicit(&idle->counts, &c, c + JD_IDLE_SEARCHER,
							  memory_order_acq_rel,
							  memory_order_acquire))
			return true;
	}
	return false;
}

/*
 * The decision of a post, after the work was published. True: the caller is now responsible for
 * one searcher: it must notify somebody (jd_idle_claim on the words) or give back.
 */
static inline bool jd_idle_post(struct jd_idle *idle)
{
	/* order: (I1) acq_rel - publishes the work before it, sees sleepers; pairs with (I2). */
	uint32_t c = atomic_fetch_add_explicit(&idle->counts, 0, memory_order_acq_rel);

	return jd_idle_decide(idle, c);
}

/* The same for work that was published by a seq_cst exchange of what sleepers look at. */
static inline bool jd_idle_post_exchanged(struct jd_idle *idle)
{
	/* order: (I14) seq_cst - after the exchange in S; pairs with (I2), (I3), (I4). */
	uint32_t c = atomic_load_explicit(&idle->counts, memory_order_seq_cst);

	return jd_idle_decide(idle, c);
}

/*
 * The claim found nobody to wake. True: others held still because of it, so try again as for a
 * post, the searcher is claimed again.
 */
static inline bool jd_idle_give_back(struct jd_idle *idle)
{
	/* order: (I3) seq_cst - after posts that saw the claim; pairs with (I1), (I2), (I14). */
	atomic_fetch_sub_explicit(&idle->counts, JD_IDLE_SEARCHER, memory_order_seq_cst);
	return jd_idle_post(idle);
}

/* Whether the worker can be claimed: it dozes or sleeps. */
static inline bool jd_idle_asleep(uint32_t word)
{
	return word == JD_IDLE_DOZING || word == JD_IDLE_SLEEPING;
}

/*
 * Makes a dozing or sleeping worker notified. JD_IDLE_RUNNING: it is neither. JD_IDLE_DOZING: it
 * will see it. JD_IDLE_SLEEPING: the caller wakes its thread.
 */
static inline uint32_t jd_idle_claim(jd_idle_word *word)
{
	uint32_t was = atomic_load_explicit(word, memory_order_relaxed);

	while (jd_idle_asleep(was)) {
		/* order: (I6) release - what the claimer did; pairs with (I7), (I12). */
		if (atomic_compare_exchange_weak_explicit(word, &was, JD_IDLE_NOTIFIED,
							  memory_order_release,
							  memory_order_relaxed))
			return was;
	}
	return JD_IDLE_RUNNING;
}

/* From dozing to sleep; false when it was claimed meanwhile. Then it waits on the word. */
static inline bool jd_idle_fall_asleep(jd_idle_word *word)
{
	uint32_t dozing = JD_IDLE_DOZING;

	return atomic_compare_exchange_strong_explicit(word, &dozing, JD_IDLE_SLEEPING,
						       memory_order_relaxed, memory_order_relaxed);
}

/* Whether anybody dozes or sleeps; who will, sees what the caller did before. */
static inline bool jd_idle_any_asleep(struct jd_idle *idle)
{
	/* order: (I15) acq_rel - as (I1); pairs with (I2). */
	return jd_idle_sleepers(atomic_fetch_add_explicit(&idle->counts, 0, memory_order_acq_rel));
}

/* Adds a searcher unconditionally, for waking a chosen worker; then claim, or give back. */
static inline void jd_idle_add_searcher(struct jd_idle *idle)
{
	/* order: (I8) acq_rel - as (I1); pairs with (I2). */
	atomic_fetch_add_explicit(&idle->counts, JD_IDLE_SEARCHER, memory_order_acq_rel);
}

/* A worker out of work asks to search; false when enough do. */
static inline bool jd_idle_search(struct jd_idle *idle, uint32_t limit)
{
	uint32_t c = atomic_load_explicit(&idle->counts, memory_order_relaxed);

	while (jd_idle_searchers(c) < limit) {
		/* order: (I9) acq_rel - one more in the chain of counts; pairs with (I1), (I2). */
		if (atomic_compare_exchange_weak_explicit(&idle->counts, &c, c + JD_IDLE_SEARCHER,
							  memory_order_acq_rel,
							  memory_order_relaxed))
			return true;
	}
	return false;
}

/* A searcher found work. True: it was the last one, so it must post for what is left. */
static inline bool jd_idle_found(struct jd_idle *idle)
{
	/* order: (I4) seq_cst - after every post that relied on this searcher; pairs with (I1),
	 * (I14). */
	return jd_idle_searchers(atomic_fetch_sub_explicit(&idle->counts, JD_IDLE_SEARCHER,
							   memory_order_seq_cst)) == 1;
}

/* Announces sleep. After it the worker looks at every queue, then waits or leaves. Returns how many
 * search now. */
static inline uint32_t jd_idle_enter(struct jd_idle *idle, jd_idle_word *word, bool searching)
{
	uint32_t delta = searching ? JD_IDLE_SLEEPER - JD_IDLE_SEARCHER : JD_IDLE_SLEEPER;

	atomic_store_explicit(word, JD_IDLE_DOZING, memory_order_relaxed);
	/*
	 * order: (I2) seq_cst - publishes the word, sees work posted before, precedes the looks at
	 * the queues in S; pairs with (I1), (I3), (I5), (I8), (I9), (I14), (I15).
	 */
	uint32_t c = atomic_fetch_add_explicit(&idle->counts, delta, memory_order_seq_cst);

	return jd_idle_searchers(c + delta);
}

/*
 * Ends the sleep, by itself or because it was notified; the worker is a searcher afterwards.
 * Returns whether it had been notified.
 *
 * By itself it first moves in the counts and then takes its word back. The other way round, a
 * thread that is preempted in between would be counted as a sleeper whom no post can wake, and
 * every post would spin until it runs again.
 */
static inline bool jd_idle_leave(struct jd_idle *idle, jd_idle_word *word)
{
	/* order: (I7) acquire - what the claimer did; pairs with (I6). */
	uint32_t was = atomic_load_explicit(word, memory_order_acquire);

	if (!jd_idle_asleep(was)) {
		atomic_store_explicit(word, JD_IDLE_RUNNING, memory_order_relaxed);
		/* order: (I10) acq_rel - one more in the chain of counts; pairs with (I1), (I2). */
		atomic_fetch_sub_explicit(&idle->counts, JD_IDLE_SLEEPER, memory_order_acq_rel);
		return true;
	}
	/* order: (I11) acq_rel - as (I10); pairs with (I1), (I2). */
	atomic_fetch_add_explicit(&idle->counts, JD_IDLE_SEARCHER - JD_IDLE_SLEEPER,
				  memory_order_acq_rel);
	/* order: (I12) acquire - as (I7); pairs with (I6). */
	if (atomic_compare_exchange_strong_explicit(word, &was, JD_IDLE_RUNNING,
						    memory_order_acquire, memory_order_acquire))
		return false;
	/* Claimed meanwhile, and counted as a searcher once more. */
	atomic_store_explicit(word, JD_IDLE_RUNNING, memory_order_relaxed);
	/* order: (I13) acq_rel - as (I10); pairs with (I1), (I2). */
	atomic_fetch_sub_explicit(&idle->counts, JD_IDLE_SEARCHER, memory_order_acq_rel);
	return true;
}

#endif
