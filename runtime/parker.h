/* parker.h - the object of one blocking call: a token, and whoever waits for it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_PARKER_H
#define JD_RUNTIME_PARKER_H

#include <jackdaw/scheduler.h>

#include "platform/platform.h"

/*
 * EMPTY -> NOTIFIED (unpark) -> EMPTY (park returns at once)
 * EMPTY -> SLEEPING (park) -> NOTIFIED (unpark, which then ends the sleep) -> EMPTY
 * Only the parking thread leaves NOTIFIED or SLEEPING for EMPTY.
 */
enum {
	JD_PARKER_EMPTY,
	JD_PARKER_NOTIFIED,
	JD_PARKER_SLEEPING,
};

/* Counted, because wakers made from it may outlive the call; each holds the scheduler's memory. */
struct jd_parker {
	_Atomic(uint32_t) word;         /* A */
	_Atomic(uint32_t) refs;         /* A */
	struct jd_scheduler *scheduler; /* I: one reference */
	uint64_t test_deadline_ns;      /* O: the test scheduler's: the timed wait that has ... */
	uint64_t test_ticks;            /* O: ... so many steps left */
};

/*
 * Announces that the owner is about to sleep. False: there was an unpark, now consumed. After
 * true the owner waits until jd_parker_try, or gives up with jd_parker_leave.
 */
bool jd_parker_enter(struct jd_parker *parker);

/* Stops waiting; true when an unpark had come meanwhile, which is consumed. */
bool jd_parker_leave(struct jd_parker *parker);

#endif
