/* thread.c - threads through pthreads. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "platform/platform.h"

/*
 * What struct jd_thread holds here. It lives until the join, so the new thread can read its orders
 * from it and starting one needs no memory. Access: I immutable once the thread was created,
 * O the starting thread only.
 */
struct posix_thread {
	pthread_t handle;      /* O */
	void (*fn)(void *arg); /* I */
	void *arg;             /* I */
	char name[16];         /* I */
};

_Static_assert(sizeof(struct posix_thread) <= sizeof(struct jd_thread), "jd_thread is too small");
_Static_assert(alignof(struct posix_thread) <= alignof(struct jd_thread), "jd_thread alignment");

static void *thread_main(void *arg)
{
	const struct posix_thread *t = arg;

	if (t->name[0])
		jd_thread_name(t->name);
	t->fn(t->arg);
	return NULL;
}

/*
 * Everything but the signals of a thread's own faults: blocking those would take the crash from
 * whoever reports it (a sanitizer, a crash handler) and change nothing else.
 */
static void signals_to_block(sigset_t *set)
{
	static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};

	sigfillset(set);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(set, faults[i]);
}

/* At least the system's minimum, in whole pages. Returns 0 when that does not fit a size_t. */
static size_t stack_size(size_t bytes)
{
	long page = sysconf(_SC_PAGESIZE);
	long min = sysconf(_SC_THREAD_STACK_MIN);
	size_t unit = page > 0 ? (size_t)page : 4096;

	if (min > 0 && bytes < (size_t)min)
		bytes = (size_t)min;
	if (bytes > SIZE_MAX - unit)
		return 0;
	return (bytes + unit - 1) / unit * unit;
}

static int create(struct posix_thread *t, size_t stack_bytes)
{
	pthread_attr_t attr;
	size_t bytes = stack_bytes ? stack_size(stack_bytes) : 0;
	int rc;

	if (stack_bytes && bytes == 0)
		return -1;
	rc = pthread_attr_init(&attr);
	if (rc)
		return rc;
	if (bytes)
		rc = pthread_attr_setstacksize(&attr, bytes);
	if (!rc)
		rc = pthread_create(&t->handle, &attr, thread_main, t);
	pthread_attr_destroy(&attr);
	return rc;
}

jd_status jd_thread_start(struct jd_thread *thread, const char *name, size_t stack_bytes,
			  void (*fn)(void *arg), void *arg)
{
	struct posix_thread *t = (struct posix_thread *)(void *)thread;
	sigset_t blocked, before;
	int rc;

	if (!thread || !fn)
		return JD_EINVAL;
	t->fn = fn;
	t->arg = arg;
	snprintf(t->name, sizeof(t->name), "%s", name ? name : "");

	/* The new thread inherits our mask; there is no moment at which it takes a signal. */
	signals_to_block(&blocked);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	rc = create(t, stack_bytes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc ? JD_EAGAIN : JD_OK;
}

void jd_thread_join(struct jd_thread *thread)
{
	struct posix_thread *t = (struct posix_thread *)(void *)thread;
	int rc = pthread_join(t->handle, NULL);

	JD_ASSERT(rc == 0);
}

uint64_t jd_thread_self(void)
{
	/* System thread ids are recycled; these are not. Only uniqueness matters: relaxed. */
	static _Atomic(uint64_t) last;
	static _Thread_local uint64_t self;

	if (JD_UNLIKELY(self == 0))
		self = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	return self;
}

void jd_thread_yield(void)
{
	sched_yield();
}
