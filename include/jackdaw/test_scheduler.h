/* test_scheduler.h - the deterministic scheduler: one thread, one seed, virtual time. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_TEST_SCHEDULER_H
#define JACKDAW_TEST_SCHEDULER_H

#include <stdio.h>

#include <jackdaw/base.h>
#include <jackdaw/future.h>
#include <jackdaw/scheduler.h>
#include <jackdaw/test_choice.h>

JD_BEGIN_DECLS

/*
 * A scheduler for tests. Code written against struct jd_scheduler runs on it unchanged, on the one
 * thread that made it: nothing runs unless that thread blocks (jd_block, jd_parker_park, drain) or
 * asks for it (tick, run_until_parked, advance_clock). What could differ between two runs is asked
 * of one choice provider (test_choice.h), so the same seed gives the same run, always.
 *
 * What runs. A step runs one candidate, picked by a choice: any background runnable (blocking work
 * is background here), the first of any foreground session, or any due timer. Due timers race with
 * ready work and with each other. Sessions in which a foreground runnable waits are left out while
 * it waits. Runnables with a deprioritized label are candidates only when there is no other.
 *
 * Time. now() is virtual and starts at options.start_ns. It stands still while anything can run.
 * It moves by jd_test_advance_clock, stepwise through every timer on the way; and when nothing can
 * run inside a blocking wait, to the next timer or to the end of that wait. A cancelled timer
 * leaves nothing behind. (Two more movers are off unless asked for: an exhausted tick budget moves
 * the clock to the end of its wait, see jd_test_set_block_ticks; and while parking is allowed and
 * the thread really sleeps, the clock follows the real one.)
 *
 * Deadlock. When a blocking wait has nothing to run and no timer to move to, it could only be ended
 * by another thread. If parking is forbidden (the default) this is reported - every pending task
 * with id, label, session, state and spawn site, the seed, and how to repeat the run - and the wait
 * returns JD_EDEADLK. If parking is allowed the thread really sleeps, at most park_limit_ns.
 *
 * The main thread is virtual: is_main_thread() is true inside a foreground runnable, and on the
 * test's own thread outside of all runnables (the body of the test may do what a main thread may);
 * it is false inside background runnables, timers and on other threads.
 *
 * Waits nest on one stack, so an outer wait returns only after the inner ones: a wait that can only
 * be ended by code behind an outer wait is reported as a deadlock, although a scheduler with
 * several threads might go on. The report says which outer waits have ended.
 *
 * Other threads. Scheduling, waking, dropping a waker, unparking, arming or cancelling a timer from
 * a thread other than the test's is memory-safe at any time, and makes the run depend on real time:
 * unless parking is allowed it is recorded and fails the test in jd_test_end.
 *
 * Functions below that take a jd_test_scheduler are for the test's own thread, unless they say
 * otherwise.
 */
struct jd_test_scheduler;

/* Zero in a field is the default; a NULL pointer to options means all defaults. */
struct jd_test_options {
	uint64_t seed;
	const char *name;    /* of the test: in reports and choice files. Borrowed */
	const char *command; /* what repeats it; NULL: $JD_TEST_COMMAND, else "<this program>" */
	const struct jd_allocator *allocator; /* NULL: jd_allocator_default() */
	struct jd_choice_provider *provider;  /* NULL: seeded by seed. Borrowed */
	struct jd_observer *observer;         /* told what the scheduler's own is told */
	FILE *report;                         /* where reports go; NULL: stderr. Borrowed */
	const char *record_path; /* write choices to this file as they are made; NULL: no */
	uint64_t start_ns;       /* virtual time at the start */
	uint64_t max_steps;      /* then the run is given up as a livelock; 0: 100,000,000 */
	uint64_t park_limit_ns;  /* real time a sleep may last when parking is allowed; 0: 15 s */
	unsigned num_cpus;       /* what jd_num_cpus says; 0: 4 */
	unsigned spurious_polls_percent; /* of pending polls followed by one for no reason: 0-99 */
	unsigned max_failures;           /* jd_test_many stops after so many failed seeds; 0: 1 */
	bool keep_choices;               /* keep the log in memory for jd_test_choices */
	bool check_determinism; /* once, many: run each seed twice and compare the traces */
	bool allow_parking;     /* see jd_test_allow_parking */
	bool allow_leaks;       /* jd_test_end does not mind tasks that are left */
	bool allow_deadlock;    /* a deadlock is JD_EDEADLK to who waits, and no failed test */
	bool abort_on_deadlock; /* after its report, abort: for a debugger or a core file */
};

/*
 * Makes one; the caller's thread becomes the test's. JD_EINVAL (scheduler NULL, a percentage above
 * 99), JD_ENOMEM, JD_ENOENT (record_path cannot be written). The environment is not looked at.
 */
JD_API JD_MUST_CHECK jd_status jd_test_scheduler_new(const struct jd_test_options *options,
						     struct jd_test_scheduler **scheduler);

/* The scheduler to give to the code under test. Any thread. */
JD_API struct jd_scheduler *jd_test_scheduler_base(struct jd_test_scheduler *scheduler);

/* The way back; NULL when it is NULL or a scheduler of another kind. Any thread. */
JD_API struct jd_test_scheduler *jd_test_scheduler_from(struct jd_scheduler *scheduler);

/*
 * Ends the test: jd_test_check, then jd_scheduler_destroy. The status is the check's. JD_EPERM
 * (another thread, or inside a runnable or a wait) does and releases nothing. jd_scheduler_destroy
 * alone ends a test without a verdict. NULL is JD_OK.
 */
JD_API jd_status jd_test_end(struct jd_test_scheduler *scheduler);

/*
 * Runs until nothing can run any more, without moving the clock, and gives the verdict on the run
 * so far, having reported each reason; the first that holds is returned:
 *   JD_EFAILED  jd_test_fail was called
 *   JD_EDEADLK  a wait could never end, or max_steps was exceeded
 *   JD_ENONDET  another thread took part while parking was forbidden; or the provider could not
 *               answer a choice because the run differs from the recorded one
 *   JD_EBUSY    tasks are left (see jd_test_leaks)
 *   JD_EPERM    not the test's thread
 */
JD_API jd_status jd_test_check(struct jd_test_scheduler *scheduler);

/* --- Stepping ----------------------------------------------------------------------------
 * All of these may be called inside a runnable too; the session of a foreground runnable that
 * steps the world waits meanwhile, as in a blocking call. */

/* Runs one candidate. False when there was none, or the run was given up. */
JD_API bool jd_test_tick(struct jd_test_scheduler *scheduler);

/* Steps until nothing can run. Does not move the clock. JD_OK, JD_EDEADLK (given up), JD_EPERM. */
JD_API jd_status jd_test_run_until_parked(struct jd_test_scheduler *scheduler);

/*
 * Moves the clock by delay_ns (saturating below JD_NEVER): runs until nothing can run, moves to
 * the next timer on the way, and again; at the end the clock stands at the target and what became
 * due there has run. Status as jd_test_run_until_parked.
 */
JD_API jd_status jd_test_advance_clock(struct jd_test_scheduler *scheduler, uint64_t delay_ns);

/*
 * From now on every schedule of a runnable with this label goes to the third class, which runs
 * only when nothing else can. What is queued already stays where it is. The text is copied.
 * Foreground runnables keep their session's order and are not affected. JD_EINVAL (NULL),
 * JD_ENOMEM.
 */
JD_API jd_status jd_test_deprioritize(struct jd_test_scheduler *scheduler, jd_label label);

/*
 * A wait with a deadline gives up after a number of steps chosen in [min, max], as if these had
 * taken until the deadline: the clock moves there (timers on the way become due and are late).
 * 0, 0 switches it off, as it is at the start. JD_EINVAL when min > max.
 */
JD_API jd_status jd_test_set_block_ticks(struct jd_test_scheduler *scheduler, uint64_t min,
					 uint64_t max);

/*
 * While parking is allowed other threads may take part, and a wait that nothing here can end
 * sleeps for real.
 */
JD_API void jd_test_allow_parking(struct jd_test_scheduler *scheduler);
JD_API void jd_test_forbid_parking(struct jd_test_scheduler *scheduler);

/* --- Choices of the test itself ---------------------------------------------------------- */

/* 64 random bits, a recorded choice as all others. */
JD_API uint64_t jd_test_rng(struct jd_test_scheduler *scheduler);

/* A number below n, recorded; 0 for n of 0 or 1. */
JD_API uint64_t jd_test_choose(struct jd_test_scheduler *scheduler, uint64_t n);

/*
 * A future that yields a chosen number of times, 0 to JD_RANDOM_DELAY_MAX, and is then ready; ready
 * at once on any other scheduler. No result.
 */
struct jd_random_delay {
	struct jd_future base;
	uint64_t left; /* yields to come; JD_NEVER: not chosen yet */
};
#define JD_RANDOM_DELAY_MAX 10
JD_API void jd_test_simulate_random_delay(struct jd_random_delay *self);

/* The same as a task of its own. Any scheduler; status as jd_task_spawn. */
#define jd_test_spawn_random_delay(scheduler_, task_) \
	jd_test_spawn_random_delay_at((scheduler_), JD_SITE, (task_))
JD_API jd_status jd_test_spawn_random_delay_at(struct jd_scheduler *scheduler, const char *site,
					       struct jd_task **task);

/* --- Looking ----------------------------------------------------------------------------- */

JD_API uint64_t jd_test_seed(const struct jd_test_scheduler *scheduler);
JD_API uint64_t jd_test_steps(const struct jd_test_scheduler *scheduler);

/*
 * A hash of everything that happened in order: choices with their answers, tasks run, spawned,
 * woken and finished, and moves of the clock. Equal seeds give equal hashes on every machine.
 */
JD_API uint64_t jd_test_trace_hash(const struct jd_test_scheduler *scheduler);

/* The choices so far, when options.keep_choices was set; else *count is 0. Valid until the next. */
JD_API const struct jd_choice *jd_test_choices(const struct jd_test_scheduler *scheduler,
					       size_t *count);

/* Calls fn for every live task in the order of ids until it returns false. JD_ENOMEM. */
JD_API jd_status jd_test_pending(struct jd_test_scheduler *scheduler,
				 bool (*fn)(void *arg, const struct jd_runnable_info *info),
				 void *arg);

/* How many tasks are left, listing them to out (NULL: do not). */
JD_API uint64_t jd_test_leaks(struct jd_test_scheduler *scheduler, FILE *out);

/* --- Failing ----------------------------------------------------------------------------- */

/*
 * Fails the test from anywhere in it, also from inside futures, on the test's thread: what, where,
 * virtual time, seed and command are reported at once, jd_test_end returns JD_EFAILED. The run
 * goes on.
 */
#define jd_test_fail(scheduler_, what_) jd_test_fail_at((scheduler_), (what_), JD_SITE)
JD_API void jd_test_fail_at(struct jd_test_scheduler *scheduler, const char *what,
			    const char *site);

/* Fails the test unless the condition holds; yields whether it held. */
#define jd_test_expect(scheduler_, cond_) \
	((cond_) ? true : (jd_test_fail((scheduler_), #cond_), false))

/* --- Running ----------------------------------------------------------------------------- */

/*
 * One test. Gets a fresh scheduler, which it must not end; nonzero (also a jd_status) means that it
 * failed. It should not be left by longjmp, as assertions of some test libraries do: then the run
 * cannot be ended and its seed is not told. Use jd_test_expect, or return.
 */
typedef int (*jd_test_fn)(struct jd_test_scheduler *scheduler, void *arg);

/*
 * Runs fn on a new scheduler and always ends the test. JD_OK when it passed; the reason otherwise:
 * JD_EFAILED when fn returned nonzero; as jd_test_check; JD_ENONDET also when check_determinism
 * found two traces, or a replay another one than was recorded; JD_ENOMEM, JD_EINVAL (also:
 * check_determinism with a provider, which nobody could rewind), JD_ENOENT when the run could not
 * be made. A failure is reported with its seed and the command that repeats it.
 *
 * The environment says which run: JD_SEED=<seed> instead of options.seed; JD_REPLAY=<choice file>
 * replays that file if it was recorded under the same name (a test of another name runs as usual);
 * JD_RECORD=<path> is options.record_path. A value that is no number is ignored with a warning.
 *
 * With a record path, the file holds seed and choices of the current run at every moment, so that
 * a crash or a hang can be repeated; that of a failed seed is kept as <path>.<seed>.
 */
JD_API jd_status jd_test_once(const struct jd_test_options *options, jd_test_fn fn, void *arg);

/*
 * Runs fn under n consecutive seeds, at least one, starting with options.seed; JD_SEED and
 * JD_ITERATIONS in the environment replace the first seed and n; with JD_REPLAY that one run
 * only. Returns JD_OK, or the reason of the first failure.
 */
JD_API jd_status jd_test_many(const struct jd_test_options *options, uint64_t n, jd_test_fn fn,
			      void *arg);

JD_END_DECLS

#endif
