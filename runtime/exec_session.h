/* exec_session.h - the sessions of an execution context: their tasks, phases, values, waiters. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_EXEC_SESSION_H
#define JD_RUNTIME_EXEC_SESSION_H

/*
 * exec_frame.c       which session is current on a thread
 * exec_session.c     the table of sessions; what is known about one
 * exec_task.c        the wrapper of a task that is in a session; spawning
 * exec_context.c     the calls of exec_context.h
 * exec_simulated.c, exec_production.c   the two forms
 *
 * A record is what there is about a session. References to it: the table until the session is
 * over, which it is not while it has a task; each call and future that works on it. It holds one on
 * the context. A task needs none: it does not touch its record after it left the list.
 *
 * A task is in its record's list from before its first schedule until its future is gone, all
 * under the record's lock. The wrapper's drop takes that lock last, so whoever holds it may touch
 * what is in the list: that is how a session is cancelled without a handle or a reference of its
 * tasks, which would keep a task alive that nothing can wake any more.
 *
 * Order of locks: the record's, then those of the scheduler. The table's is taken alone.
 */
#include <jackdaw/exec_context.h>

#include "platform/platform.h"
#include "runtime/lock.h"
#include "runtime/task.h"
#include "runtime/tuning.h"

enum jd_exec_phase {
	JD_EXEC_OPEN,
	JD_EXEC_VALIDATED, /* takes only what registered tasks spawn */
	JD_EXEC_CANCELLED, /* takes nothing */
};

struct jd_exec_value {
	struct jd_exec_value *next; /* I once linked */
	const void *key;            /* I */
	void *value;                /* I */
	void (*drop)(void *value);  /* I */
};

/* Access: I immutable after new, A any thread, atomic, L lock, T the table's lock. */
struct jd_exec_record {
	struct jd_exec_context *context; /* I: one reference */
	jd_exec_session session;         /* I */
	struct jd_exec_record *next;     /* T: in its bucket */
	_Atomic(uint32_t) refs;          /* A */
	struct jd_lock lock;
	enum jd_exec_phase phase;               /* L */
	bool over;                              /* L: left the table, or is about to */
	struct jd_exec_task *head, **tail;      /* L: in order of spawning */
	struct jd_exec_counts counts;           /* L */
	struct jd_exec_join *joiners;           /* L */
	_Atomic(struct jd_exec_value *) values; /* A: a list that only grows; pushed under L */
};

/* In front of the future of a task. Access: as above, L the record's; P who polls or drops. */
struct jd_exec_task {
	struct jd_task_wrapper base;
	struct jd_exec_context *context; /* I */
	struct jd_exec_record *record;   /* I: NULL: in no session; then one on the context */
	struct jd_task *task;            /* I */
	void *mark;                      /* I: of ops->task_begins */
	struct jd_exec_task *next;       /* L */
	struct jd_exec_task **pprev;     /* L */
	bool registered;                 /* L */
	bool finished;                   /* P */
};

/* How a task leaves its session. */
enum jd_exec_leave {
	JD_EXEC_FINISHED,
	JD_EXEC_DROPPED,
	JD_EXEC_NEVER_RAN, /* it could not be scheduled: as if it never was */
};

struct jd_exec_shard {
	JD_CACHE_ALIGNED struct jd_lock lock;
	struct jd_exec_record **buckets; /* L */
	size_t mask;                     /* L: buckets - 1 */
	size_t count;                    /* L */
};

struct jd_exec_core {
	const struct jd_allocator *allocator; /* I */
	_Atomic(uint64_t) refs;               /* A: the creator, records, tasks in no session */
	_Atomic(uint64_t) last;               /* A: the session given last */
	_Atomic(uint32_t) closed;             /* A: no new session */
	struct jd_exec_shard shards[JD_EXEC_SHARDS];
};

/* The last one frees the context. */
void jd_exec_retain(struct jd_exec_context *context);
void jd_exec_release(struct jd_exec_context *context);

jd_status jd_exec_core_new(const struct jd_allocator *allocator, struct jd_exec_core **core);
void jd_exec_core_free(struct jd_exec_core *core);

/* --- Records ---------------------------------------------------------------------------------- */

/* In the table; no reference for the caller. JD_ENOMEM, JD_ECLOSED. */
jd_status jd_exec_record_new(struct jd_exec_context *context, jd_exec_session *session);
struct jd_exec_record *jd_exec_record_retain(struct jd_exec_record *record);
void jd_exec_record_release(struct jd_exec_record *record);

/* A reference to it. JD_ENOENT: never was one; JD_EALREADY: over. */
jd_status jd_exec_record_find(struct jd_exec_context *context, jd_exec_session session,
			      struct jd_exec_record **record);

/* A reference to any session that is in the table, NULL: none is. */
struct jd_exec_record *jd_exec_record_any(struct jd_exec_core *core);

/* Calls fn for each, one shard at a time under its lock. */
void jd_exec_record_each(struct jd_exec_core *core,
			 void (*fn)(void *arg, struct jd_exec_record *record), void *arg);

/*
 * Puts the task, whose record it is, into the list. spawner is the task in whose poll that happens,
 * or NULL: of a registered one the new one inherits that. JD_ECLOSED.
 */
jd_status jd_exec_record_enter(struct jd_exec_record *record, struct jd_exec_task *task,
			       const struct jd_exec_task *spawner, bool registered);

/* The last thing that happens to a task here. Wakes who waits for the session to be empty. */
void jd_exec_record_leave(struct jd_exec_record *record, struct jd_exec_task *task,
			  enum jd_exec_leave how);

/* See the public calls. caller is not counted; NULL: nobody. */
jd_status jd_exec_record_validate(struct jd_exec_record *record, const struct jd_exec_task *caller,
				  struct jd_exec_cleanup *cleanup);
jd_status jd_exec_record_register(struct jd_exec_record *record, jd_task_id id);

/* Cancels all tasks; *was is the phase before. */
void jd_exec_record_cancel(struct jd_exec_record *record, enum jd_exec_phase *was);
enum jd_exec_phase jd_exec_record_phase(struct jd_exec_record *record);
struct jd_exec_counts jd_exec_record_counts(struct jd_exec_record *record);

/* JD_OK when it has no task; else links the joiner, whose waker will be woken, and JD_PENDING. */
jd_status jd_exec_record_join(struct jd_exec_record *record, struct jd_exec_join *joiner,
			      const struct jd_waker *waker);
void jd_exec_record_unjoin(struct jd_exec_record *record, struct jd_exec_join *joiner);

jd_status jd_exec_record_set(struct jd_exec_record *record, const void *key, void *value,
			     void (*drop)(void *value));
void *jd_exec_record_get(struct jd_exec_record *record, const void *key);

/* --- Tasks ------------------------------------------------------------------------------------ */

/* Spawns in a session, or in none (NULL). */
jd_status jd_exec_task_spawn(struct jd_exec_context *context, struct jd_exec_record *record,
			     struct jd_future *future, const struct jd_task_options *options,
			     bool registered, struct jd_task **task);

/* The same, registered, for a task that ends no sooner than after late_ns. */
jd_status jd_exec_task_spawn_late(struct jd_exec_context *context, struct jd_exec_record *record,
				  struct jd_future *future, const struct jd_task_options *options,
				  uint64_t late_ns, struct jd_task **task);

#endif
