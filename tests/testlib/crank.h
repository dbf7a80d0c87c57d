/* crank.h - a scheduler with virtual time that does nothing unless the test turns the crank. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_CRANK_H
#define JD_TESTS_TESTLIB_CRANK_H

/*
 * Runnables run in the order they came, and only inside crank_run and jd_block. Time stands still
 * but for crank_advance; jd_block moves it to the next timer when nothing is queued. One thread.
 */
#include <jackdaw/scheduler.h>

struct crank {
	struct jd_scheduler base;
	struct jd_allocator allocator;
	uint64_t now;
	struct jd_runnable *head, **tail;
	struct jd_timer *timers; /* in the order they were armed */
	unsigned armed;          /* timers in that list */
	unsigned allocated;      /* blocks that exist */
	unsigned fail_after;     /* so many more allocations succeed; UINT_MAX: all */
	jd_status refuse_timers; /* schedule_at fails with this unless JD_OK */
	bool closed;
};

/* Aborts when there is no memory, so that tests need not look. */
struct crank *crank_new(void);

/* Destroys the scheduler, checks that no timer and no block of memory is left, frees it. */
void crank_free(struct crank *crank);

/* Runs one queued runnable; false: there was none. */
bool crank_step(struct crank *crank);

/* Runs until nothing is queued. Returns how many. */
unsigned crank_run(struct crank *crank);

/* Moves the clock and fires what is due, earliest first. Runs nothing that is queued. */
void crank_advance(struct crank *crank, uint64_t to_ns);

/* A waker that counts; its address is its identity. */
struct tally {
	unsigned wakes;
	int refs; /* clones that exist */
};

/* A waker that is borrowed: not counted in refs. */
struct jd_waker tally_waker(struct tally *tally);

/* Polls with that waker, outside of any task. */
jd_status crank_poll(struct crank *crank, struct jd_future *future, struct tally *tally,
		     void *result);

/* A future that the test ends when it likes. Result: int. Keeps the waker of its last poll. */
struct valve {
	struct jd_future base;
	bool open;        /* ends at the next poll */
	jd_status status; /* with this */
	int value;        /* and this */
	unsigned polls, drops;
	struct jd_waker waker;
};

/* Closed; once open it yields JD_OK with the value. */
void valve_init(struct valve *valve, int value);

/* Opens it and wakes who polled it. */
void valve_open(struct valve *valve, jd_status status);

#endif
