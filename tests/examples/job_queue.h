/* job_queue.h - an example application: requests with deadlines, retries and a bounded queue. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXAMPLE_JOB_QUEUE_H
#define EXAMPLE_JOB_QUEUE_H

/*
 * Clients submit requests to a bounded queue and wait for the reply, each with a deadline and with
 * limited patience. Workers take requests from the queue; a handler needs one of few database
 * connections, takes a while and fails now and then; the worker tries again after a pause that
 * doubles, until the deadline. How every request ended is counted in a ledger.
 *
 * The application is given a scheduler and does not know which: see job_queue_main.c, which runs
 * it on the production scheduler and, as a test, on thousands of seeds of the TestScheduler.
 */
#include <jackdaw/base.h>
#include <jackdaw/scheduler.h>

struct job_queue_config {
	unsigned clients;     /* >= 1 */
	unsigned workers;     /* >= 1 */
	unsigned connections; /* >= 1 */
	unsigned requests;    /* of all clients together */
	unsigned capacity;    /* of the queue, >= 1 */
	uint64_t seed;        /* of how long and how well the requests go */
	bool lost_update;     /* plant a bug: the ledger's mutex is forgotten */
};

enum job_outcome {
	JOB_OK,
	JOB_FAILED,    /* every attempt did */
	JOB_TIMED_OUT, /* the deadline passed, or the client lost patience */
	JOB_OUTCOMES,
};

struct job_queue_stats {
	uint64_t ledger[JOB_OUTCOMES]; /* what was counted */
	uint64_t ended[JOB_OUTCOMES];  /* what really happened, from the requests themselves */
	uint64_t ended_twice;          /* requests that ended more than once */
	uint64_t never_ended;
	uint64_t attempts;
};

/*
 * Runs the whole application and returns when it is done. JD_OK, or why it could not be run
 * (JD_ENOMEM, JD_ECLOSED, ...). Blocks.
 */
jd_status job_queue_run(struct jd_scheduler *scheduler, const struct job_queue_config *config,
			struct job_queue_stats *stats);

/* NULL: every request ended exactly once and the ledger adds up. Else what does not hold. */
const char *job_queue_check(const struct job_queue_config *config,
			    const struct job_queue_stats *stats);

#endif
