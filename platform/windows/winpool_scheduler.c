/* winpool_scheduler.c - the thread pool of Windows as a scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/os_scheduler.h>

#include "platform/windows/windows.h"

#include <stdalign.h>

#include <jackdaw/pool_scheduler.h>

#include "platform/platform.h"

/*
 * One work object is submitted as often as calls are wanted: that takes no memory, so it cannot
 * fail, as TrySubmitThreadpoolCallback can. A cleanup group ends all objects at once.
 *
 * The alarm is a thread-pool timer in a pool of its own, with one thread: the pool's threads may
 * all be busy. Such timers go by the system's tick (15.6 ms); so it is set some ticks ahead, and
 * its callback waits for the rest, with a finer tick only at the end (jd_futex_wait). An alarm set
 * meanwhile ends that wait, which then is for the new one.
 */
#define ALARM_AHEAD_NS (32 * JD_MS)

/* The longest a timer is set to, 100 ns; about 290 years. Too early is no mistake. */
#define ALARM_MOST (INT64_MAX / 100)

/* Access: I immutable after new, A any thread. */
struct winpool {
	struct jd_pool base;
	const struct jd_allocator *allocator;        /* I */
	struct jd_winpool_options options;           /* I */
	PTP_POOL own;                                /* I: NULL: the pool of the process */
	PTP_POOL alarm_pool;                         /* I */
	PTP_CLEANUP_GROUP group;                     /* I: of work and timer */
	PTP_WORK work;                               /* I */
	PTP_TIMER timer;                             /* I */
	JD_CACHE_ALIGNED _Atomic(uint64_t) alarm_ns; /* A: JD_NEVER: none is set */
	_Atomic(uint32_t) alarm_word;                /* A: futex word: counts the settings */
};

static struct winpool *winpool_of(struct jd_pool *base)
{
	return jd_container_of(base, struct winpool, base);
}

/* --- Work ----------------------------------------------------------------------------------- */

static void CALLBACK run(PTP_CALLBACK_INSTANCE instance, void *arg, PTP_WORK work)
{
	(void)work;
	jd_pool_scheduler_call(arg, instance);
}

static void winpool_call(struct jd_pool *base)
{
	SubmitThreadpoolWork(winpool_of(base)->work);
}

/* So that the pool need not wait until it notices; what we have queued has its stand-in. */
static void winpool_sleeps(struct jd_pool *base, void *instance)
{
	(void)base;
	CallbackMayRunLong(instance);
}

/* --- The alarm ------------------------------------------------------------------------------ */

static void CALLBACK alarm_fired(PTP_CALLBACK_INSTANCE instance, void *arg, PTP_TIMER timer)
{
	struct winpool *self = arg;
	uint64_t deadline;

	(void)instance;
	(void)timer;
	for (;;) {
		/* order: (WP1) acquire - the setting it counts, or a later; pairs with (WP2). */
		uint32_t seen = atomic_load_explicit(&self->alarm_word, memory_order_acquire);

		deadline = atomic_load_explicit(&self->alarm_ns, memory_order_relaxed);
		if (deadline == JD_NEVER)
			return;
		if (jd_clock_now() >= deadline &&
		    atomic_compare_exchange_strong_explicit(&self->alarm_ns, &deadline, JD_NEVER,
							    memory_order_relaxed,
							    memory_order_relaxed))
			break;
		jd_futex_wait(&self->alarm_word, seen, deadline);
	}
	jd_pool_scheduler_alarm(&self->base);
}

/* To be seen by a callback that waits already. */
static void announce(struct winpool *self, uint64_t deadline_ns)
{
	atomic_store_explicit(&self->alarm_ns, deadline_ns, memory_order_relaxed);
	/* order: (WP2) release - the deadline; pairs with (WP1). */
	atomic_fetch_add_explicit(&self->alarm_word, 1, memory_order_release);
	jd_futex_wake_all(&self->alarm_word);
}

static void winpool_set_alarm(struct jd_pool *base, uint64_t deadline_ns)
{
	struct winpool *self = winpool_of(base);
	uint64_t begin = jd_clock_now() + ALARM_AHEAD_NS;
	uint64_t ticks = deadline_ns > begin ? (deadline_ns - begin) / 100 : 0;
	ULARGE_INTEGER due = {
		/* Relative times are negative. */
		.QuadPart = 0 - (ticks < ALARM_MOST ? ticks : ALARM_MOST),
	};
	FILETIME when = {.dwLowDateTime = due.LowPart, .dwHighDateTime = due.HighPart};

	announce(self, deadline_ns);
	SetThreadpoolTimer(self->timer, &when, 0, 0);
}

/* --- Life ----------------------------------------------------------------------------------- */

/* Ends whatever make has made; callbacks that are on their way return first. */
static void winpool_stop(struct jd_pool *base)
{
	struct winpool *self = winpool_of(base);

	announce(self, JD_NEVER);
	if (self->group) {
		CloseThreadpoolCleanupGroupMembers(self->group, TRUE, NULL);
		CloseThreadpoolCleanupGroup(self->group);
	}
	if (self->alarm_pool)
		CloseThreadpool(self->alarm_pool);
	if (self->own)
		CloseThreadpool(self->own);
}

static void winpool_free(struct jd_pool *base)
{
	struct winpool *self = winpool_of(base);

	self->allocator->free(self->allocator->ctx, self, sizeof(*self), alignof(struct winpool));
}

static void winpool_dump(struct jd_pool *base, FILE *out)
{
	static const char *const names[] = {"normal", "high", "low"};
	const struct jd_winpool_options *options = &winpool_of(base)->options;

	if (winpool_of(base)->own)
		fprintf(out, "  a pool of its own, %u to %u threads, priority %s\n",
			options->threads_min, options->threads_max, names[options->priority]);
	else
		fprintf(out, "  the pool of the process, priority %s\n", names[options->priority]);
}

static const struct jd_pool_ops winpool_ops = {
	.name = "winpool",
	.call = winpool_call,
	.set_alarm = winpool_set_alarm,
	.sleeps = winpool_sleeps,
	.stop = winpool_stop,
	.free = winpool_free,
	.dump = winpool_dump,
};

/* A pool of so many threads; NULL: none to be had. */
static PTP_POOL pool_of(unsigned least, unsigned most)
{
	PTP_POOL pool = CreateThreadpool(NULL);

	if (!pool)
		return NULL;
	SetThreadpoolThreadMaximum(pool, most);
	if (SetThreadpoolThreadMinimum(pool, least))
		return pool;
	CloseThreadpool(pool);
	return NULL;
}

static void environment_init(struct winpool *self, TP_CALLBACK_ENVIRON *environment, PTP_POOL pool)
{
	InitializeThreadpoolEnvironment(environment);
	SetThreadpoolCallbackCleanupGroup(environment, self->group, NULL);
	if (pool)
		SetThreadpoolCallbackPool(environment, pool);
}

static jd_status make_objects(struct winpool *self)
{
	static const TP_CALLBACK_PRIORITY priorities[] = {
		TP_CALLBACK_PRIORITY_NORMAL, TP_CALLBACK_PRIORITY_HIGH, TP_CALLBACK_PRIORITY_LOW};
	TP_CALLBACK_ENVIRON environment;

	self->group = CreateThreadpoolCleanupGroup();
	self->alarm_pool = pool_of(1, 1);
	if (self->options.threads_max)
		self->own = pool_of(self->options.threads_min, self->options.threads_max);
	if (!self->group || !self->alarm_pool || (self->options.threads_max && !self->own))
		return JD_EAGAIN;
	environment_init(self, &environment, self->own);
	SetThreadpoolCallbackPriority(&environment, priorities[self->options.priority]);
	self->work = CreateThreadpoolWork(run, &self->base, &environment);
	DestroyThreadpoolEnvironment(&environment);
	environment_init(self, &environment, self->alarm_pool);
	self->timer = CreateThreadpoolTimer(alarm_fired, self, &environment);
	DestroyThreadpoolEnvironment(&environment);
	return self->work && self->timer ? JD_OK : JD_EAGAIN;
}

static bool options_valid(const struct jd_winpool_options *options)
{
	return (unsigned)options->priority <= JD_WINPOOL_LOW &&
	       options->threads_min <= options->threads_max && options->threads_max <= INT32_MAX;
}

jd_status jd_winpool_scheduler_new(const struct jd_winpool_options *options,
				   struct jd_scheduler **scheduler)
{
	static const struct jd_winpool_options defaults;

	if (!options)
		options = &defaults;
	if (!scheduler || !options_valid(options))
		return JD_EINVAL;
	const struct jd_allocator *allocator = options->allocator ? options->allocator
								  : jd_allocator_default();
	const struct jd_pool_options pool_options = {
		.num_cpus = options->threads_max,
		.main_thread = options->main_thread,
		.blocking_max = options->blocking_max,
		.name = options->name,
		.allocator = allocator,
	};
	struct winpool *self =
		allocator->alloc(allocator->ctx, sizeof(*self), alignof(struct winpool));

	if (!self)
		return JD_ENOMEM;
	*self = (struct winpool){
		.base = {.ops = &winpool_ops}, .allocator = allocator, .options = *options};
	atomic_init(&self->alarm_ns, JD_NEVER);
	jd_status status = jd_pool_scheduler_new(&self->base, &pool_options, scheduler);

	if (status != JD_OK) {
		winpool_free(&self->base);
		return status;
	}
	status = make_objects(self);
	if (status != JD_OK)
		jd_scheduler_destroy(self->base.scheduler);
	return status;
}
