/* run.h - a workload: what it computes, how it is checked, and the rows made from it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_RUN_H
#define JD_BENCH_RUN_H

#include <jackdaw/scheduler.h>

#include "bench/join.h"

struct bench_contender;
struct jd_bench_state;

/*
 * One workload. It makes the row NAME/serial/1 if it has a serial form, and a row
 * NAME/CONTENDER/WORKERS for each contender and number of workers (workers.h). Every function is
 * called on the thread that measures; NULL means nothing to do.
 */
struct bench_workload {
	const char *name;
	double ops;    /* operations of one run, for ns_per_op */
	int64_t runs;  /* see bench_runs; when several, one more before, not measured */
	void *data;    /* handed to all functions */
	bool own_time; /* what was measured is not the whole run: report adds the time */
	bool forks;    /* has rows only of contenders on which forked frames are stolen */
	bool simulate; /* makes sense in virtual time on one thread: has rows of such contenders */

	/* Before the first run; not measured. False: it has called jd_bench_fail or _skip. */
	bool (*setup)(void *data, struct jd_bench_state *state);
	/* Before each run; not measured. */
	void (*reset)(void *data);
	/* One run. Returns when all of it is done. An error fails the row; JD_ENOTSUP skips it, and
	 * JD_ETIMEDOUT: tasks that must run at the same time did not. */
	jd_status (*serial)(void *data);
	jd_status (*parallel)(void *data, struct jd_scheduler *scheduler);
	/* Instead of parallel: it makes its schedulers itself. */
	jd_status (*whole)(void *data, const struct bench_contender *contender, unsigned workers);
	/* After each run; not measured. NULL: the answer is right. Else what is wrong. */
	const char *(*check)(void *data);
	/* After the last run, when all answers were right; may set counters. */
	void (*report)(void *data, struct jd_bench_state *state);
	/* Undoes setup. */
	void (*teardown)(void *data);
};

/* Makes the rows. The workload must outlive the run. */
void bench_workload_add(const struct bench_workload *workload);

/*
 * A whole computation as one blocking call for the measuring thread: start is called once, from
 * the first poll, adds a part for each task it spawns, and all these give their parts up when they
 * finish. The first error anybody reports is the result.
 */
struct bench_run {
	struct jd_future base;
	struct bench_join join;
	_Atomic(int32_t) status; /* A */
	bool started;
	void (*start)(struct bench_run *run, struct jd_scheduler *scheduler, void *arg);
	void *arg;
};

jd_status bench_run_block(struct bench_run *run, struct jd_scheduler *scheduler,
			  void (*start)(struct bench_run *run, struct jd_scheduler *scheduler,
					void *arg),
			  void *arg);

/* Runs the future as a task and waits for it on this thread; its result must be empty. */
jd_status bench_task_run(struct jd_scheduler *scheduler, struct jd_future *future);

/* Remembers the first error; JD_OK changes nothing. Any thread. */
void bench_run_error(struct bench_run *run, jd_status status);

/* Spawns a detached task that holds a part of the run. On an error the part is given up, the error
 * remembered, and nothing was spawned. */
jd_status bench_run_spawn(struct bench_run *run, struct jd_scheduler *scheduler,
			  struct jd_future *future);

/* --- Contenders ------------------------------------------------------------------------------- */

/* Something that runs the workloads: one file each, c_<name>.c. */
struct bench_contender {
	const char *name;
	/* Destroyed with jd_scheduler_destroy. JD_ENOTSUP: the row is skipped. */
	jd_status (*make)(unsigned workers, struct jd_scheduler **scheduler);
	/* NULL, or how many workers it always has: then that is its only row. */
	unsigned (*workers)(void);
	bool forks;     /* idle workers take forked frames */
	bool simulated; /* one thread, virtual time: only for workloads that allow it */
};

#ifdef JD_BENCH_PORTABLE
#define BENCH_CONTENDERS(X) X(ws) X(winpool)
#else
#define BENCH_CONTENDERS(X) X(ws) X(mutex) X(gcd) X(test)
#endif

#define BENCH_CONTENDER_DECLARE(name) extern const struct bench_contender c_##name;
BENCH_CONTENDERS(BENCH_CONTENDER_DECLARE)
#undef BENCH_CONTENDER_DECLARE

#endif
