/* parked.h - the threads of a scheduler that wait in park, so that shutdown can end their waits. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_PARKED_H
#define JD_RUNTIME_PARKED_H

#include <jackdaw/scheduler.h>

#include "runtime/lock.h"

struct jd_parked;

/* Zero is an empty list. */
struct jd_parked_list {
	struct jd_lock lock;
	struct jd_parked *head; /* L: in the frames of the waiting calls */
	bool stopped;           /* L */
};

/* Sleeps on the parker as jd_parker_sleep does. JD_ECLOSED: stopped, before or meanwhile. */
jd_status jd_parked_sleep(struct jd_parked_list *list, struct jd_parker *parker,
			  uint64_t deadline_ns);

/* Ends all waits and refuses new ones. */
void jd_parked_stop(struct jd_parked_list *list);

#endif
