/* thread_pool.c - the threads of a scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/thread_pool.h"

#include <stdio.h>

#include "runtime/exec_frame.h"
#include "runtime/memory.h"
#include "runtime/runnable.h"
#include "runtime/tuning.h"

_Thread_local struct jd_pool_thread *jd_pool_self;

void jd_thread_pool_init(struct jd_thread_pool *pool, const struct jd_allocator *allocator,
			 const char *name_prefix, unsigned blocking_max, uint64_t keep_ns)
{
	*pool = (struct jd_thread_pool){
		.allocator = allocator,
		.name_prefix = name_prefix,
		.blocking_max = blocking_max,
		.keep_ns = keep_ns,
	};
	pool->tail = &pool->head;
}

static void push_back(struct jd_thread_pool *pool, struct jd_runnable *job)
{
	job->next = NULL;
	*pool->tail = job;
	pool->tail = &job->next;
	pool->queued++;
}

/* The next job that may run now: a worker first, then blocking work within its limit. L. */
static struct jd_runnable *pop_job(struct jd_thread_pool *pool, bool *blocking)
{
	struct jd_runnable *job = pool->urgent;

	*blocking = false;
	if (job) {
		pool->urgent = job->next;
		return job;
	}
	job = pool->head;
	if (!job || pool->blocking >= pool->blocking_max)
		return NULL;
	pool->head = job->next;
	if (!pool->head)
		pool->tail = &pool->head;
	pool->queued--;
	pool->blocking++;
	*blocking = true;
	return job;
}

/* Waits for a job; false when the thread should end. L, released while waiting. */
static bool wait_for_job(struct jd_thread_pool *pool)
{
	uint32_t seen = atomic_load_explicit(&pool->wake, memory_order_relaxed);
	uint64_t deadline = jd_deadline_after(jd_clock_now(), pool->keep_ns);

	pool->idle++;
	jd_lock_release(&pool->lock);
	jd_status status = jd_futex_wait(&pool->wake, seen, deadline);

	jd_lock_acquire(&pool->lock);
	pool->idle--;
	if (pool->assigned)
		pool->assigned--;
	return status != JD_ETIMEDOUT || pool->urgent || pool->head;
}

/* L on return only. */
static void run_job(struct jd_thread_pool *pool, struct jd_runnable *job, bool blocking)
{
	if (blocking)
		jd_runnable_unmark(job);
	jd_runnable_run(job, NULL);
	jd_lock_acquire(&pool->lock);
	if (blocking)
		pool->blocking--;
}

void jd_thread_pool_name(struct jd_pool_thread *self, int worker)
{
	char name[32];

	if (worker < 0)
		snprintf(name, sizeof(name), "%s-b%u", self->pool->name_prefix, self->number);
	else
		snprintf(name, sizeof(name), "%s-%d", self->pool->name_prefix, worker);
	jd_thread_name(name);
}

/* Joins threads that have left. Not called by pool threads that hold a job of theirs up. */
static void join_gone(struct jd_thread_pool *pool, struct jd_pool_thread *gone)
{
	while (gone) {
		struct jd_pool_thread *next = gone->next;

		jd_thread_join(&gone->thread);
		jd_memory_delete(pool->allocator, gone, struct jd_pool_thread);
		gone = next;
	}
}

static void thread_main(void *arg)
{
	struct jd_pool_thread *self = arg;
	struct jd_thread_pool *pool = self->pool;
	struct jd_runnable *job = self->first;
	bool blocking = self->first_blocking;
	struct jd_exec_frame barrier;

	jd_pool_self = self;
	jd_exec_frame_push_barrier(&barrier);
	jd_thread_set_slack(JD_WORKER_SLACK_NS);
	if (blocking)
		jd_thread_pool_name(self, -1);
	/* Not under the lock: whoever starts us holds it. */
	run_job(pool, job, blocking);
	while (!self->leave) {
		job = pop_job(pool, &blocking);
		if (!job && (pool->closed || !wait_for_job(pool)))
			break;
		if (!job)
			job = pop_job(pool, &blocking);
		if (!job)
			continue;
		jd_lock_release(&pool->lock);
		run_job(pool, job, blocking);
	}
	pool->alive--;
	*self->pprev = self->next;
	if (self->next)
		self->next->pprev = self->pprev;
	self->next = pool->gone;
	pool->gone = self;
	jd_lock_release(&pool->lock);
	jd_exec_frame_pop(&barrier);
	jd_pool_self = NULL;
}

/* Starts a thread for the job. L on entry and on return, released in between. */
static jd_status start_thread(struct jd_thread_pool *pool, struct jd_runnable *job, bool blocking)
{
	struct jd_pool_thread *gone = pool->gone;

	pool->gone = NULL;
	jd_lock_release(&pool->lock);
	join_gone(pool, gone);

	struct jd_pool_thread *thread = jd_memory_new(pool->allocator, struct jd_pool_thread);
	jd_status status = thread ? JD_OK : JD_ENOMEM;

	jd_lock_acquire(&pool->lock);
	if (pool->closed)
		status = JD_ECLOSED;
	if (status == JD_OK) {
		thread->pool = pool;
		thread->number = pool->started++;
		thread->first = job;
		thread->first_blocking = blocking;
		/* Started under the lock: it cannot get as far as unlinking itself before it is. */
		status = jd_thread_start(&thread->thread, NULL, 0, thread_main, thread);
	}
	if (status != JD_OK) {
		jd_memory_delete(pool->allocator, thread, struct jd_pool_thread);
		return status;
	}
	if (blocking)
		pool->blocking++;
	pool->alive++;
	if (pool->alive > pool->alive_max)
		pool->alive_max = pool->alive;
	thread->next = pool->threads;
	if (thread->next)
		thread->next->pprev = &thread->next;
	thread->pprev = &pool->threads;
	pool->threads = thread;
	return JD_OK;
}

/* A thread waits that nobody has woken for another job yet: wake it for this one. L. */
static bool assign_idle(struct jd_thread_pool *pool)
{
	if (pool->idle <= pool->assigned)
		return false;
	pool->assigned++;
	atomic_fetch_add_explicit(&pool->wake, 1, memory_order_relaxed);
	return true;
}

jd_status jd_thread_pool_submit(struct jd_thread_pool *pool, struct jd_runnable *job)
{
	jd_status status = JD_OK;
	bool wake = false;

	jd_runnable_mark(job);
	jd_lock_acquire(&pool->lock);
	if (pool->closed) {
		status = JD_ECLOSED;
	} else if (pool->blocking + pool->queued >= pool->blocking_max) {
		push_back(pool, job);
	} else if (assign_idle(pool)) {
		push_back(pool, job);
		wake = true;
	} else {
		status = start_thread(pool, job, true);
		/* Without another thread it can still wait for one that is at work, or about to. */
		if (status != JD_OK && status != JD_ECLOSED && (pool->blocking || pool->assigned)) {
			push_back(pool, job);
			status = JD_OK;
		}
	}
	if (status != JD_OK)
		jd_runnable_unmark(job);
	jd_lock_release(&pool->lock);
	if (wake)
		jd_futex_wake_one(&pool->wake);
	return status;
}

jd_status jd_thread_pool_submit_now(struct jd_thread_pool *pool, struct jd_runnable *job)
{
	jd_status status = JD_OK;
	bool wake = false;

	jd_lock_acquire(&pool->lock);
	if (pool->closed) {
		status = JD_ECLOSED;
	} else if (assign_idle(pool)) {
		wake = true;
		job->next = pool->urgent;
		pool->urgent = job;
	} else {
		status = start_thread(pool, job, false);
	}
	jd_lock_release(&pool->lock);
	if (wake)
		jd_futex_wake_one(&pool->wake);
	return status;
}

void jd_thread_pool_dump(struct jd_thread_pool *pool, FILE *out)
{
	jd_lock_acquire(&pool->lock);
	unsigned alive = pool->alive, idle = pool->idle, max = pool->alive_max;
	unsigned started = pool->started, blocking = pool->blocking, queued = pool->queued;

	jd_lock_release(&pool->lock);
	fprintf(out,
		"  threads %u idle %u most %u started %u; blocking jobs %u of %u, in line %u\n",
		alive, idle, max, started, blocking, pool->blocking_max, queued);
}

struct jd_runnable *jd_thread_pool_close(struct jd_thread_pool *pool)
{
	jd_lock_acquire(&pool->lock);
	struct jd_runnable *jobs = pool->head;

	pool->head = NULL;
	pool->tail = &pool->head;
	pool->queued = 0;
	pool->closed = true;
	atomic_fetch_add_explicit(&pool->wake, 1, memory_order_relaxed);
	jd_lock_release(&pool->lock);
	jd_futex_wake_all(&pool->wake);
	return jd_runnable_unmark_list(jobs);
}

void jd_thread_pool_join(struct jd_thread_pool *pool)
{
	for (;;) {
		jd_lock_acquire(&pool->lock);
		struct jd_pool_thread *thread = pool->gone;

		if (!thread && pool->threads) {
			/* It may unlink itself meanwhile; joining is what waits for that. */
			thread = pool->threads;
			jd_lock_release(&pool->lock);
			jd_thread_join(&thread->thread);
			jd_lock_acquire(&pool->lock);
			struct jd_pool_thread **at = &pool->gone;

			while (*at != thread)
				at = &(*at)->next;
			*at = thread->next;
			jd_lock_release(&pool->lock);
			jd_memory_delete(pool->allocator, thread, struct jd_pool_thread);
			continue;
		}
		pool->gone = NULL;
		jd_lock_release(&pool->lock);
		if (!thread)
			return;
		join_gone(pool, thread);
	}
}
