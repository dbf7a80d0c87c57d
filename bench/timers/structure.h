/* structure.h - a timer structure alone, as a contender: one thread, no scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_TIMERS_STRUCTURE_H
#define JD_BENCH_TIMERS_STRUCTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * count timers lie side by side in one array, as they do in nobody's program, but the same for all.
 * The loops are the contender's, so that no call through a pointer is measured with the operation.
 */
struct timer_structure {
	const char *name;
	bool real_time; /* reads the clock itself: deadlines are from its start, in whole ms */

	/* Empty, with memory for count timers that are touched; false: no memory. */
	bool (*start)(size_t count, uint64_t now_ns);
	void (*stop)(void);

	/* Timer i at deadline_ns[i], for all; false: refused. */
	bool (*insert_all)(const uint64_t *deadline_ns, size_t count);
	/* In that order. ahead > 0: so many timers before its turn one is loaded into the cache. */
	void (*cancel_all)(const uint32_t *order, size_t count, size_t ahead);
	/* Inserts and cancels one of 1,000 timers, count times, at deadline_ns. */
	bool (*churn)(uint64_t deadline_ns, size_t count);
	/* Fires all that is due, reading from each what a scheduler needs; returns how many. */
	size_t (*fire)(uint64_t now_ns);

	/* For tails; NULL: it has none. One timer; SIZE_MAX: none is due. */
	bool (*insert)(size_t i, uint64_t deadline_ns);
	size_t (*pop)(uint64_t now_ns);
};

enum {
	TIMER_CHURN = 1000
};

#define TIMER_STRUCTURES(X) X(wheel) X(floor) X(heap4) TIMER_STRUCTURE_UV(X) TIMER_STRUCTURE_EV(X)
#ifdef TIMER_HAVE_UV
#define TIMER_STRUCTURE_UV(X) X(uv)
#else
#define TIMER_STRUCTURE_UV(X)
#endif
#ifdef TIMER_HAVE_EV
#define TIMER_STRUCTURE_EV(X) X(ev)
#else
#define TIMER_STRUCTURE_EV(X)
#endif

#define TIMER_STRUCTURE_DECLARE(name) extern const struct timer_structure timer_structure_##name;
TIMER_STRUCTURES(TIMER_STRUCTURE_DECLARE)
#undef TIMER_STRUCTURE_DECLARE

#endif
