/* test_scheduler.h - the inside of the deterministic scheduler, shared by the test_*.c files. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_TEST_SCHEDULER_H
#define JD_RUNTIME_TEST_SCHEDULER_H

/*
 * test_scheduler.c  life cycle, the operations, labels
 * test_queue.c      what is queued: bags, sessions; O(1) add, pick and remove
 * test_step.c       candidates, one step, blocking waits
 * test_clock.c      timers and virtual time
 * test_choice.c     choose(), the seeded provider, the record file, the trace
 * test_replay.c     the provider that answers from a log; choice files
 * test_foreign.c    other threads: detecting them, sleeping for them
 * test_report.c     deadlocks, leaks, failures, verdicts, dump
 * test_runner.c     once and many
 * test_delay.c      the future that yields a random number of times
 *
 * Only the test's thread steps, chooses and moves the clock. Other threads may queue, arm and
 * cancel at any time, so what they touch is under one lock, which is never held while a runnable
 * is entered. A choice that concerns the queues is made under it, so that what is picked is there.
 *
 * Nothing here depends on an address: containers are arrays in the order of arrival and removal,
 * and sessions are found by id.
 *
 * Memory is taken when a runnable or timer comes in and fails there. A runnable that was admitted
 * before (JD_RUNNABLE_RESUME) always finds a place: bags have a list for what the array cannot
 * take, and a session stays once it was made.
 */
#include <jackdaw/test_scheduler.h>

#include "platform/platform.h"
#include "runtime/fork_host.h"
#include "runtime/lock.h"
#include "timers/wheel.h"

/* An unordered collection of runnables: uniform pick by index, removal by moving the last. */
struct jd_test_bag {
	struct jd_runnable **items;
	size_t count;
	size_t capacity;
	struct jd_runnable *late; /* did not fit in; items is full while this is not empty */
	struct jd_runnable **late_tail;
};

/* A foreground session: FIFO of its runnables. */
struct jd_test_session {
	jd_session_id id;
	struct jd_runnable *head;
	struct jd_runnable **tail;
	size_t slot;      /* in active, or JD_TEST_NO_SLOT */
	uint64_t blocked; /* waits of its runnables on the stack */
};

#define JD_TEST_NO_SLOT SIZE_MAX

struct jd_test_sessions {
	struct jd_test_session **map;    /* by id, open addressing; at most half full */
	size_t map_capacity;             /* a power of two, or 0 */
	size_t count;                    /* sessions that exist */
	struct jd_test_session **active; /* neither empty nor blocked; capacity map_capacity / 2 */
	size_t active_count;
};

/* In jd_timer._cell. */
enum {
	JD_TEST_TIMER_IDLE,
	JD_TEST_TIMER_ARMED, /* in the wheel */
	JD_TEST_TIMER_DUE,   /* in due[_slot] */
};

struct jd_test_timers {
	struct jd_wheel wheel;
	struct jd_timer **due; /* capacity >= armed + due_count, so that expiry cannot fail */
	size_t due_count;
	size_t due_capacity;
	size_t armed;
};

/* One blocking call, on the stack of the thread that waits. */
struct jd_test_frame {
	struct jd_test_frame *outer;
	struct jd_parker *parker; /* NULL: tick, run_until_parked, advance_clock */
	uint64_t deadline_ns;
	struct jd_test_session *session; /* whose runnable waits; NULL: none */
	bool in_runnable;
};

enum jd_test_foreign_kind {
	JD_TEST_FOREIGN_SCHEDULE,
	JD_TEST_FOREIGN_WAKE,
	JD_TEST_FOREIGN_WAKER_DROP,
	JD_TEST_FOREIGN_UNPARK,
	JD_TEST_FOREIGN_TIMER,
	JD_TEST_FOREIGN_CANCEL_TIMER,
	JD_TEST_FOREIGN_PARK,
	JD_TEST_FOREIGN_CLOSE,
};

/* What another thread did; see test_foreign.c. */
struct jd_test_foreign {
	enum jd_test_foreign_kind kind;
	uint64_t thread;
	jd_task_id id;
	jd_label label;
	const char *site;
};

#define JD_TEST_FOREIGN_KEPT 8

enum jd_test_phase {
	JD_TEST_OPEN,
	JD_TEST_CLOSED,   /* takes only what was admitted before */
	JD_TEST_SHUTDOWN, /* takes nothing */
};

/* How a recorded run is written. */
struct jd_test_record {
	FILE *file; /* NULL: not recorded */
	uint64_t count;
};

/* The log kept in memory. */
struct jd_test_log {
	struct jd_choice *items;
	size_t count;
	size_t capacity;
	bool failed; /* no memory: it stops short */
};

/* Access: I immutable after new, O the test's thread, A any thread, L:lock. */
struct jd_test_scheduler {
	struct jd_scheduler base;
	struct jd_observer observer;    /* I */
	struct jd_test_options options; /* I: defaults filled in */
	uint64_t owner;                 /* I: jd_thread_self() of the test's thread */

	struct jd_lock lock;
	struct jd_test_bag background;                        /* L */
	struct jd_test_bag deprioritized;                     /* L */
	struct jd_test_sessions sessions;                     /* L */
	struct jd_test_timers timers;                         /* L */
	enum jd_test_phase phase;                             /* L */
	char **labels;                                        /* L: deprioritized */
	size_t label_count;                                   /* L */
	struct jd_test_foreign foreign[JD_TEST_FOREIGN_KEPT]; /* L */
	uint64_t foreign_count;                               /* L */

	_Atomic(uint64_t) clock;    /* A: written by O */
	_Atomic(uint32_t) parking;  /* A: other threads may take part */
	_Atomic(uint32_t) ended;    /* A: nothing is recorded any more */
	_Atomic(uint64_t) failures; /* A: calls of jd_test_fail */
	_Atomic(uint32_t) activity; /* A: futex word; see test_foreign.c */
	_Atomic(uint32_t) waiters;  /* A: threads that sleep on activity */

	struct jd_test_frame *frames;    /* O: blocking calls, innermost first */
	struct jd_test_session *current; /* O: of the runnable that runs */
	unsigned depth;                  /* O: runnables that run, one inside the other */
	bool main;                       /* O: the virtual flag */
	bool gave_up;                    /* O: max_steps was exceeded */
	bool deadlocked;                 /* O: a wait was told so */
	bool picking;                    /* O: inside choose of a JD_CHOICE_RUN */
	uint64_t steps;                  /* O: runnables run */
	uint64_t last_candidates;        /* O: in the last step */
	uint64_t trend;                  /* O: what was added to that since the step before */
	uint64_t effort;                 /* O: steps and waits, what max_steps limits */
	uint64_t ticks_min, ticks_max;   /* O: of a timed wait; 0, 0: off */

	struct jd_choice_seeded seeded;      /* O */
	struct jd_choice_provider *provider; /* O: who is asked; &seeded.base after an error */
	uint64_t choices;                    /* O: made so far */
	jd_status provider_error;            /* O: the first, or JD_OK */
	uint64_t hash;                       /* O: the trace */
	struct jd_test_record record;        /* O */
	struct jd_test_log log;              /* O */
	struct jd_fork_host forks;           /* A: see fork_host.h */
};

static inline bool jd_test_is_owner(const struct jd_test_scheduler *ts)
{
	return jd_thread_self() == ts->owner;
}

static inline uint64_t jd_test_clock_now(struct jd_test_scheduler *ts)
{
	return atomic_load_explicit(&ts->clock, memory_order_relaxed);
}

/* --- test_queue.c: all under the lock ---------------------------------------------------- */

/* To be called once before the first push. JD_ENOMEM. */
jd_status jd_test_queue_reserve(struct jd_test_scheduler *ts, struct jd_test_bag *bag);
/* JD_ENOMEM when there is no place and the runnable was not admitted before. */
jd_status jd_test_queue_push(struct jd_test_scheduler *ts, struct jd_test_bag *bag,
			     struct jd_runnable *runnable);
/* i < count. */
struct jd_runnable *jd_test_queue_take(struct jd_test_bag *bag, size_t i);

jd_status jd_test_queue_push_session(struct jd_test_scheduler *ts, struct jd_runnable *runnable,
				     jd_session_id session);
/* The first of active session i; *session is told. */
struct jd_runnable *jd_test_queue_take_session(struct jd_test_scheduler *ts, size_t i,
					       struct jd_test_session **session);
void jd_test_queue_block(struct jd_test_scheduler *ts, struct jd_test_session *session);
void jd_test_queue_unblock(struct jd_test_scheduler *ts, struct jd_test_session *session);
/* For shutdown, when nothing waits: any runnable that is queued anywhere; NULL: none. */
struct jd_runnable *jd_test_queue_take_any(struct jd_test_scheduler *ts);
void jd_test_queue_fini(struct jd_test_scheduler *ts);

/* --- test_clock.c ------------------------------------------------------------------------ */

jd_status jd_test_clock_schedule_at(struct jd_scheduler *base, struct jd_timer *timer,
				    struct jd_runnable *runnable, uint64_t deadline_ns);
jd_status jd_test_clock_cancel(struct jd_scheduler *base, struct jd_timer *timer);
/* The deadline of the next timer that is not due yet; JD_NEVER: none. Takes the lock. */
uint64_t jd_test_clock_next(struct jd_test_scheduler *ts);
/* Moves the clock forward; timers up to there become due. Takes the lock. */
void jd_test_clock_move(struct jd_test_scheduler *ts, uint64_t to_ns);
/* Claims due timer i: its runnable is to be entered next. Under the lock. */
struct jd_runnable *jd_test_clock_take(struct jd_test_scheduler *ts, size_t i);
/* For shutdown: claims any timer; NULL: none. Under the lock. */
struct jd_runnable *jd_test_clock_take_any(struct jd_test_scheduler *ts);
void jd_test_clock_fini(struct jd_test_scheduler *ts);

/* --- test_step.c ------------------------------------------------------------------------- */

/* Whether a step would find something. Takes the lock. */
bool jd_test_step_possible(struct jd_test_scheduler *ts);
jd_status jd_test_step_park(struct jd_scheduler *base, struct jd_parker *parker,
			    uint64_t deadline_ns);

/* --- test_choice.c ----------------------------------------------------------------------- */

/* The one decision function. n >= 1, or 0 for 2^64. */
uint64_t jd_test_choice_ask(struct jd_test_scheduler *ts, enum jd_choice_kind kind, uint64_t n);
char jd_test_choice_letter(enum jd_choice_kind kind);

/* What goes into the trace beside choices. */
enum jd_test_trace {
	JD_TEST_TRACE_CHOICE,
	JD_TEST_TRACE_RUN,
	JD_TEST_TRACE_CLOCK,
	JD_TEST_TRACE_EVENT, /* + enum jd_event */
};
void jd_test_choice_trace(struct jd_test_scheduler *ts, unsigned what, uint64_t value);
uint64_t jd_test_choice_hash_text(const char *text);

jd_status jd_test_choice_init(struct jd_test_scheduler *ts);
/* The run came to its end: says so in the record. False when the record could not be written. */
bool jd_test_choice_end(struct jd_test_scheduler *ts);
void jd_test_choice_fini(struct jd_test_scheduler *ts);

/* --- test_foreign.c ---------------------------------------------------------------------- */

/*
 * To be called by whatever other threads may do; true when the caller is one. info may be NULL.
 * Takes the lock.
 */
bool jd_test_foreign_check(struct jd_test_scheduler *ts, enum jd_test_foreign_kind kind,
			   const struct jd_runnable_info *info);
const char *jd_test_foreign_text(enum jd_test_foreign_kind kind);
/* Something changed that a sleeper may wait for. */
void jd_test_foreign_notify(struct jd_test_scheduler *ts);
void jd_test_foreign_unpark(struct jd_scheduler *base, struct jd_parker *parker);
/*
 * The test's thread has nothing to run: sleeps until the parker is unparked, something can run, or
 * until_ns of virtual time, which passes as real time does. False: the limit passed in vain.
 */
bool jd_test_foreign_sleep(struct jd_test_scheduler *ts, struct jd_parker *parker,
			   uint64_t until_ns);
/* A park of another thread. */
jd_status jd_test_foreign_park(struct jd_test_scheduler *ts, struct jd_parker *parker,
			       uint64_t deadline_ns);

/* --- test_report.c ----------------------------------------------------------------------- */

FILE *jd_test_report_file(const struct jd_test_scheduler *ts);
/* "jackdaw: <what>", then the state of the world and how to repeat the run. */
void jd_test_report_stuck(struct jd_test_scheduler *ts, const char *what);
/* How to repeat a run of these options. */
void jd_test_report_repeat(const struct jd_test_options *options, FILE *out);
/* Ends the record and destroys the scheduler. */
jd_status jd_test_report_finish(struct jd_test_scheduler *ts);
void jd_test_report_dump(struct jd_scheduler *base, FILE *out);

#endif
