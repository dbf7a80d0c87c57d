/* thread_pool.h - the threads of a scheduler: they drive workers and do blocking work. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_THREAD_POOL_H
#define JD_RUNTIME_THREAD_POOL_H

/*
 * All threads of a scheduler are alike. A worker is a job among others: "drive worker 3". So when
 * a task blocks, its thread hands the worker to another thread and goes on as a plain one; and
 * blocking work runs on the same threads without ever holding a worker.
 *
 * A thread is called after the worker that it drives, "prefix-3"; while it drives none,
 * "prefix-b7", the number being its own.
 *
 * Threads are started when a job finds none idle, and leave after a while without one. Blocking
 * jobs beyond the limit wait in line, first come, first served. Nothing here is on the way of a
 * task from schedule to run; a lock guards it all.
 */
#include <jackdaw/scheduler.h>

#include "runtime/lock.h"

struct jd_thread_pool;

/* One thread. Access: T the thread itself, I immutable after start, L the pool's lock. */
struct jd_pool_thread {
	struct jd_thread_pool *pool;   /* I */
	struct jd_worker *worker;      /* T: the worker it drives now, or NULL */
	bool leave;                    /* T: do not wait for another job after this one */
	unsigned depth;                /* T: spawned tasks that run in their spawn; see worker.h */
	struct jd_pool_thread *next;   /* L: in `threads` or `gone` */
	struct jd_pool_thread **pprev; /* L: in `threads` */
	unsigned number;               /* I: how many were started before */
	struct jd_runnable *first;     /* I: the job it was started for */
	bool first_blocking;           /* I */
	struct jd_thread thread;
};

struct jd_thread_pool {
	struct jd_lock lock;
	_Atomic(uint32_t) wake;               /* A: futex word of idle threads, counts up */
	const struct jd_allocator *allocator; /* I */
	const char *name_prefix;              /* I */
	unsigned blocking_max;                /* I: blocking jobs at once */
	uint64_t keep_ns;                     /* I: how long a thread without a job stays */
	unsigned started;                     /* L: threads started so far, for their names */
	unsigned alive;                       /* L: threads that have not left */
	unsigned alive_max;                   /* L: most of them at once so far */
	unsigned idle;                        /* L: threads that wait for a job */
	unsigned queued;                      /* L: blocking jobs in line */
	unsigned assigned;                    /* L: of these, woken for a job but not yet up */
	unsigned blocking;                    /* L: blocking jobs that run */
	struct jd_runnable *urgent;           /* L: workers to be driven */
	struct jd_runnable *head;             /* L: blocking jobs in line */
	struct jd_runnable **tail;            /* L */
	struct jd_pool_thread *threads;       /* L: all alive */
	struct jd_pool_thread *gone;          /* L: have left, to be joined */
	bool closed;                          /* L */
};

/* The thread of some pool that the caller runs on, or NULL. */
extern _Thread_local struct jd_pool_thread *jd_pool_self;

/* name_prefix must outlive the pool. */
void jd_thread_pool_init(struct jd_thread_pool *pool, const struct jd_allocator *allocator,
			 const char *name_prefix, unsigned blocking_max, uint64_t keep_ns);

/* A blocking job. JD_ECLOSED; JD_EAGAIN or JD_ENOMEM only when there is no thread at all. */
jd_status jd_thread_pool_submit(struct jd_thread_pool *pool, struct jd_runnable *job);

/* A job that starts at once, on an idle or a new thread. JD_EAGAIN, JD_ENOMEM, JD_ECLOSED. */
jd_status jd_thread_pool_submit_now(struct jd_thread_pool *pool, struct jd_runnable *job);

/* The calling thread drives that worker from now on, or none (-1): what it is called. */
void jd_thread_pool_name(struct jd_pool_thread *self, int worker);

/* How many threads there are, and what they do: one line. Any thread. */
void jd_thread_pool_dump(struct jd_thread_pool *pool, FILE *out);

/* No more jobs. Returns the blocking jobs that had not begun, linked by next. */
struct jd_runnable *jd_thread_pool_close(struct jd_thread_pool *pool);

/* After close: waits until all jobs have returned and all threads have ended. */
void jd_thread_pool_join(struct jd_thread_pool *pool);

#endif
