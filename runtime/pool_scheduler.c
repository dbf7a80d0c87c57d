/* pool_scheduler.c - a scheduler over a foreign thread pool: what the pool does not promise. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/pool_scheduler.h>

#include <stdio.h>

#include "runtime/exec_frame.h"
#include "runtime/main_loop.h"
#include "runtime/memory.h"
#include "runtime/parked.h"
#include "runtime/pool_queue.h"
#include "runtime/runnable.h"
#include "runtime/thread_pool.h"
#include "runtime/timer_driver.h"
#include "runtime/tuning.h"

/*
 * The gate is one word: how much the pool owes us, from before a runnable is queued until its call
 * has returned, and how far the life of the scheduler has come. Admission is one
 * increment whose result tells both: either shutdown sees it and waits, or it is refused. (A
 * refused one shows up in the count for a moment; its caller holds a reference.)
 *
 * Whoever leaves touches nothing of the scheduler afterwards: the thread that shuts it down sleeps
 * on the gate itself, and waking it needs the address only.
 */
#define GATE_CLOSED 1u        /* admitted work goes on */
#define GATE_STOPPED 2u       /* shutdown has begun; CLOSED is set too */
#define GATE_ONE 4u           /* one call */
#define GATE_FULL 0x80000000u /* half of what the count can hold: 2^29 calls */

/* Access: I immutable after new, A any thread, atomic, L alarm_lock. */
struct jd_pool_scheduler {
	struct jd_scheduler base;
	struct jd_scheduler_ops ops; /* I: with the pool's name */
	struct jd_pool *pool;        /* I */
	bool has_main;               /* I */
	char name[12];               /* I */
	struct jd_main_loop main;
	struct jd_thread_pool blocking;
	struct jd_parked_list parked;
	struct jd_timer_driver timers;
	struct jd_lock alarm_lock;
	uint64_t alarm_ns; /* L: what the pool's alarm is set to */
	bool alarm_off;    /* L: it is not set any more */
	struct jd_pool_queue queue;
	JD_CACHE_ALIGNED _Atomic(uint32_t) gate; /* A */
};

/* What the calling thread is in: a call of the pool, an alarm, a stand-in's life. */
struct pool_frame {
	struct jd_pool_scheduler *ps;
	void *call; /* the pool's, for sleeps; NULL: none */
	bool stand_in;
};

static _Thread_local const struct pool_frame *current;

static bool in_frame_of(const struct jd_pool_scheduler *ps)
{
	return current && current->ps == ps;
}

static struct jd_pool_scheduler *pool_of(struct jd_scheduler *base)
{
	return jd_container_of(base, struct jd_pool_scheduler, base);
}

/* --- The gate ------------------------------------------------------------------------------- */

static void leave(struct jd_pool_scheduler *ps)
{
	/* order: (G1) release - what the call did; pairs with (G2). */
	uint32_t old = atomic_fetch_sub_explicit(&ps->gate, GATE_ONE, memory_order_release);

	if (old == (GATE_ONE | GATE_CLOSED | GATE_STOPPED))
		jd_futex_wake_all(&ps->gate);
}

/* JD_OK: the count has one more. refuse: the flags that keep it out. */
static jd_status enter(struct jd_pool_scheduler *ps, uint32_t refuse)
{
	/* order: (G3) acquire - what led to the flags; pairs with (G5). */
	uint32_t old = atomic_fetch_add_explicit(&ps->gate, GATE_ONE, memory_order_acquire);

	if (JD_LIKELY(!(old & (refuse | GATE_FULL))))
		return JD_OK;
	leave(ps);
	return old & refuse ? JD_ECLOSED : JD_ENOMEM;
}

static uint32_t gate_of(const struct jd_pool_scheduler *ps)
{
	/* order: (G4) acquire - what led to the flags; pairs with (G5). */
	return atomic_load_explicit(&ps->gate, memory_order_acquire);
}

/* Sets flags; false when they all were set. */
static bool shut(struct jd_pool_scheduler *ps, uint32_t flags)
{
	/* order: (G5) acq_rel - what came before the change; pairs with (G3), (G4), (G5). */
	uint32_t old = atomic_fetch_or_explicit(&ps->gate, flags, memory_order_acq_rel);

	return (old & flags) != flags;
}

static void wait_until_empty(struct jd_pool_scheduler *ps)
{
	for (;;) {
		/* order: (G2) acquire - what the calls did; pairs with (G1). */
		uint32_t gate = atomic_load_explicit(&ps->gate, memory_order_acquire);

		if (gate < GATE_ONE)
			return;
		jd_futex_wait(&ps->gate, gate, JD_NEVER);
	}
}

/* The flags that keep a runnable out. */
static uint32_t refusal(const struct jd_runnable *runnable)
{
	return runnable->flags & JD_RUNNABLE_RESUME ? GATE_STOPPED : GATE_STOPPED | GATE_CLOSED;
}

static bool admits(const struct jd_pool_scheduler *ps, const struct jd_runnable *runnable)
{
	return !(gate_of(ps) & refusal(runnable));
}

/* --- Scheduling ----------------------------------------------------------------------------- */

static jd_status submit(struct jd_pool_scheduler *ps, struct jd_runnable *runnable, uint32_t refuse)
{
	const struct jd_pool_ops *ops = ps->pool->ops;
	jd_status status = enter(ps, refuse);

	if (status != JD_OK)
		return status;
	if (ops->call) {
		jd_pool_queue_push(&ps->queue, runnable);
		ops->call(ps->pool);
		return JD_OK;
	}
	jd_runnable_mark(runnable);
	status = ops->submit(ps->pool, runnable);
	if (status != JD_OK) {
		jd_runnable_unmark(runnable);
		leave(ps);
	}
	return status;
}

static void run_on_pool(struct jd_pool_scheduler *ps, struct jd_runnable *runnable, void *call)
{
	const struct pool_frame frame = {.ps = ps, .call = call}, *outer = current;
	struct jd_exec_frame barrier;

	current = &frame;
	jd_exec_frame_push_barrier(&barrier);
	jd_runnable_run(runnable, NULL);
	jd_exec_frame_pop(&barrier);
	current = outer;
}

void jd_pool_scheduler_call(struct jd_pool *pool, void *call)
{
	struct jd_pool_scheduler *ps = pool_of(pool->scheduler);
	struct jd_runnable *runnable = jd_pool_queue_take(&ps->queue);

	if (runnable)
		run_on_pool(ps, runnable, call);
	leave(ps);
}

void jd_pool_scheduler_run(struct jd_pool *pool, struct jd_runnable *runnable)
{
	struct jd_pool_scheduler *ps = pool_of(pool->scheduler);

	jd_runnable_unmark(runnable);
	if (JD_UNLIKELY(gate_of(ps) & GATE_STOPPED))
		jd_pool_queue_push(&ps->queue, runnable);
	else
		run_on_pool(ps, runnable, NULL);
	leave(ps);
}

static jd_status ps_schedule(struct jd_scheduler *base, struct jd_runnable *runnable)
{
	return submit(pool_of(base), runnable, refusal(runnable));
}

static jd_status ps_schedule_foreground(struct jd_scheduler *base, struct jd_runnable *runnable,
					jd_session_id session)
{
	struct jd_pool_scheduler *ps = pool_of(base);

	if (!ps->has_main)
		return JD_ENOTSUP;
	return admits(ps, runnable) ? jd_main_loop_post(&ps->main, runnable, session) : JD_ECLOSED;
}

static jd_status ps_schedule_blocking(struct jd_scheduler *base, struct jd_runnable *runnable)
{
	struct jd_pool_scheduler *ps = pool_of(base);

	if (!admits(ps, runnable))
		return JD_ECLOSED;
	jd_status status = jd_thread_pool_submit(&ps->blocking, runnable);

	/* A task that was woken must run, and needs no memory for it: if need be on the pool. */
	if ((status == JD_EAGAIN || status == JD_ENOMEM) && (runnable->flags & JD_RUNNABLE_RESUME))
		return submit(ps, runnable, GATE_STOPPED);
	return status;
}

/* --- Timers --------------------------------------------------------------------------------- */

/* Sets the alarm if it would come too late. The lock keeps a later deadline from being set last. */
static void set_alarm(struct jd_pool_scheduler *ps)
{
	jd_lock_acquire(&ps->alarm_lock);
	uint64_t next = jd_timer_driver_next(&ps->timers);

	if (next < ps->alarm_ns && !ps->alarm_off) {
		ps->alarm_ns = next;
		ps->pool->ops->set_alarm(ps->pool, next);
	}
	jd_lock_release(&ps->alarm_lock);
}

/* The alarm counts as not set; off: nor will it be set again. */
static void forget_alarm(struct jd_pool_scheduler *ps, bool off)
{
	jd_lock_acquire(&ps->alarm_lock);
	ps->alarm_ns = JD_NEVER;
	ps->alarm_off |= off;
	jd_lock_release(&ps->alarm_lock);
}

/* Timers fired. Those whose runnables the pool does not take are run here, when all are out. */
struct delivery {
	struct jd_timer_delivery base;
	struct jd_pool_scheduler *ps;
	struct jd_runnable *here;
};

static void deliver(struct jd_timer_delivery *base, struct jd_runnable *runnable)
{
	struct delivery *self = jd_container_of(base, struct delivery, base);

	if (runnable->flags & JD_RUNNABLE_INLINE) {
		jd_runnable_run(runnable, NULL);
		return;
	}
	jd_status status = submit(self->ps, runnable, GATE_STOPPED);

	if (status == JD_ECLOSED) {
		jd_runnable_cancel(runnable);
	} else if (status != JD_OK) {
		runnable->next = self->here;
		self->here = runnable;
	}
}

void jd_pool_scheduler_alarm(struct jd_pool *pool)
{
	struct jd_pool_scheduler *ps = pool_of(pool->scheduler);
	const struct pool_frame frame = {.ps = ps}, *outer = current;
	struct delivery delivery = {{deliver}, ps, NULL};
	uint64_t now;

	forget_alarm(ps, false);
	current = &frame;
	do {
		now = jd_clock_now();
	} while (jd_timer_driver_fire(&ps->timers, false, now, &delivery.base) &&
		 jd_timer_driver_next(&ps->timers) <= now);
	while (delivery.here) {
		struct jd_runnable *runnable = delivery.here;

		delivery.here = runnable->next;
		jd_runnable_run(runnable, NULL);
	}
	current = outer;
	set_alarm(ps);
}

static jd_status arm(struct jd_pool_scheduler *ps, struct jd_timer *timer,
		     struct jd_runnable *runnable, uint64_t time_ns, bool relative)
{
	if (!admits(ps, runnable))
		return JD_ECLOSED;
	struct jd_timer_when when = jd_timer_when(&ps->timers, timer, time_ns, relative, false);
	jd_status status = jd_timer_driver_arm(&ps->timers, false, timer, runnable, &when);

	/* Also when another timer is first: it may be firing, and the alarm be set without us. */
	if (status == JD_OK)
		set_alarm(ps);
	return status;
}

static jd_status ps_schedule_at(struct jd_scheduler *base, struct jd_timer *timer,
				struct jd_runnable *runnable, uint64_t deadline_ns)
{
	return arm(pool_of(base), timer, runnable, deadline_ns, false);
}

static jd_status ps_schedule_after(struct jd_scheduler *base, struct jd_timer *timer,
				   struct jd_runnable *runnable, uint64_t delay_ns)
{
	return arm(pool_of(base), timer, runnable, delay_ns, true);
}

static jd_status ps_cancel_timer(struct jd_scheduler *base, struct jd_timer *timer)
{
	(void)base;
	return jd_timer_cancel(NULL, timer);
}

/* --- Waiting -------------------------------------------------------------------------------- */

/* A thread of ours that takes the place of one that sleeps. Owned by the job it is. */
struct stand_in {
	struct jd_runnable base;
	struct jd_pool_scheduler *ps;
};

static void stand_in_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct stand_in *self = jd_container_of(runnable, struct stand_in, base);
	const struct pool_frame frame = {.ps = self->ps, .stand_in = true};

	(void)worker;
	jd_memory_delete(frame.ps->base.allocator, self, struct stand_in);
	current = &frame;
	while ((runnable = jd_pool_queue_wait(&frame.ps->queue)) != NULL)
		jd_runnable_run(runnable, NULL);
	current = NULL;
}

static jd_status start_stand_in(struct jd_pool_scheduler *ps)
{
	/* Started at once or not at all, so nobody cancels it. */
	static const struct jd_runnable_ops ops = {.run = stand_in_run};
	struct stand_in *self = jd_memory_new(ps->base.allocator, struct stand_in);

	if (!self)
		return JD_ENOMEM;
	*self = (struct stand_in){JD_RUNNABLE_INIT(&ops), ps};
	jd_status status = jd_thread_pool_submit_now(&ps->blocking, &self->base);

	if (status != JD_OK)
		jd_memory_delete(ps->base.allocator, self, struct stand_in);
	return status;
}

/* A thread that runs what is queued sleeps: another one stands in, if the queue is ours. */
static jd_status park_inside(struct jd_pool_scheduler *ps, struct jd_parker *parker,
			     uint64_t deadline_ns)
{
	const struct jd_pool_ops *ops = ps->pool->ops;
	bool stand_in = current->stand_in;
	jd_status status = JD_OK;

	if (jd_parker_try(parker))
		return JD_OK;
	if (!ops->call)
		return jd_parked_sleep(&ps->parked, parker, deadline_ns);
	if (jd_pool_queue_sleeps(&ps->queue, stand_in))
		status = start_stand_in(ps);
	bool failed = status != JD_OK;

	if (!failed) {
		if (ops->sleeps && current->call)
			ops->sleeps(ps->pool, current->call);
		status = jd_parked_sleep(&ps->parked, parker, deadline_ns);
	}
	jd_pool_queue_woke(&ps->queue, stand_in, failed);
	return status;
}

/* The calling thread is in a runnable of this scheduler, other than a foreground one. */
static bool is_inside(const struct jd_pool_scheduler *ps)
{
	return in_frame_of(ps) || (jd_pool_self && jd_pool_self->pool == &ps->blocking);
}

static jd_status ps_park(struct jd_scheduler *base, struct jd_parker *parker, uint64_t deadline_ns)
{
	struct jd_pool_scheduler *ps = pool_of(base);

	if (in_frame_of(ps))
		return park_inside(ps, parker, deadline_ns);
	if (is_inside(ps))
		return jd_parked_sleep(&ps->parked, parker, deadline_ns);
	if (jd_main_loop_here(&ps->main))
		return jd_main_loop_park(&ps->main, parker, deadline_ns);
	return jd_parker_sleep(parker, deadline_ns);
}

static void ps_unpark(struct jd_scheduler *base, struct jd_parker *parker)
{
	struct jd_pool_scheduler *ps = pool_of(base);

	/* The sleeper is on its parker, or, if it is the main thread, on the loop's word. */
	jd_parker_wake(parker);
	if (ps->has_main)
		jd_main_loop_kick(&ps->main);
}

/* --- Facts ---------------------------------------------------------------------------------- */

static bool ps_is_main_thread(struct jd_scheduler *base)
{
	return jd_main_loop_here(&pool_of(base)->main);
}

static uint64_t ps_now(struct jd_scheduler *base)
{
	(void)base;
	return jd_clock_now();
}

static void ps_dump(struct jd_scheduler *base, FILE *out)
{
	struct jd_pool_scheduler *ps = pool_of(base);
	uint32_t gate = gate_of(ps);
	const char *phase = gate & GATE_STOPPED  ? "stopped"
			    : gate & GATE_CLOSED ? "closed"
						 : "open";

	fprintf(out, "  %s, %u runnables with the pool\n", phase, gate / GATE_ONE);
	if (ps->pool->ops->dump)
		ps->pool->ops->dump(ps->pool, out);
}

/* --- Life cycle ----------------------------------------------------------------------------- */

static jd_status ps_close(struct jd_scheduler *base)
{
	return shut(pool_of(base), GATE_CLOSED) ? JD_OK : JD_EALREADY;
}

static jd_status shutdown_check(struct jd_pool_scheduler *ps)
{
	if (is_inside(ps))
		return JD_EDEADLK;
	if (!ps->has_main)
		return JD_OK;
	if (!jd_main_loop_here(&ps->main))
		return JD_EPERM;
	return jd_main_loop_busy(&ps->main) ? JD_EDEADLK : JD_OK;
}

/*
 * The steps:
 *  1. Every schedule call is refused from now on, by the gate or by a queue that is closed.
 *  2. Calls that wait in park get JD_ECLOSED. What runs returns; what the pool still calls finds
 *     nothing, or comes back to the queue; then the gate is empty. Blocking jobs and stand-ins
 *     return, their threads end.
 *  3. The alarm is off. From here on this thread is alone with the queues.
 *  4. Timers are cancelled first, one by one: tasks that are dropped below may hold some of them,
 *     and must find each of them either armed or already let go.
 *  5. What was queued is cancelled, then what waits for a wake that will not come.
 */
static jd_status ps_shutdown(struct jd_scheduler *base)
{
	struct jd_pool_scheduler *ps = pool_of(base);
	jd_status status = shutdown_check(ps);
	struct jd_runnable *runnable;

	if (status != JD_OK)
		return status;
	if (!shut(ps, GATE_CLOSED | GATE_STOPPED))
		return JD_EALREADY;
	struct jd_runnable *blocking = jd_thread_pool_close(&ps->blocking);
	struct jd_runnable *foreground = jd_main_loop_close(&ps->main);

	jd_pool_queue_stop(&ps->queue);
	jd_parked_stop(&ps->parked);
	wait_until_empty(ps);
	jd_thread_pool_join(&ps->blocking);
	forget_alarm(ps, true);
	ps->pool->ops->stop(ps->pool);

	while ((runnable = jd_timer_driver_close(&ps->timers)) != NULL)
		jd_runnable_cancel(runnable);
	jd_runnable_cancel_list(jd_pool_queue_close(&ps->queue));
	jd_runnable_cancel_list(blocking);
	jd_runnable_cancel_list(foreground);
	jd_scheduler_cancel_tasks(base);
	return JD_OK;
}

/* All but the pool, which on an error of new is still the caller's. */
static void free_own(struct jd_pool_scheduler *ps)
{
	const struct jd_allocator *allocator = ps->base.allocator;

	jd_timer_driver_fini(&ps->timers);
	jd_main_loop_fini(&ps->main);
	if (ps->base.registry)
		jd_scheduler_fini(&ps->base);
	jd_memory_delete(allocator, ps, struct jd_pool_scheduler);
}

static void ps_free(struct jd_scheduler *base)
{
	struct jd_pool *pool = pool_of(base)->pool;

	pool->ops->free(pool);
	free_own(pool_of(base));
}

/* name is the pool's. */
static const struct jd_scheduler_ops ps_ops = {
	.schedule = ps_schedule,
	.schedule_foreground = ps_schedule_foreground,
	.schedule_blocking = ps_schedule_blocking,
	.schedule_at = ps_schedule_at,
	.schedule_after = ps_schedule_after,
	.cancel_timer = ps_cancel_timer,
	.park = ps_park,
	.unpark = ps_unpark,
	.is_main_thread = ps_is_main_thread,
	.now = ps_now,
	.close = ps_close,
	.shutdown = ps_shutdown,
	.dump = ps_dump,
	.free = ps_free,
};

/* How many threads can run at once here; 0: no memory to find out. */
static unsigned parallelism(const struct jd_allocator *allocator)
{
	struct jd_topology *topology;
	unsigned n = 0;

	if (jd_topology_new(allocator, true, &topology) == JD_OK) {
		n = jd_topology_parallelism(topology);
		jd_topology_free(topology);
	}
	return n;
}

static jd_status ps_init(struct jd_pool_scheduler *ps, struct jd_pool *pool,
			 const struct jd_pool_options *options,
			 const struct jd_allocator *allocator)
{
	ps->base.allocator = allocator;
	ps->ops = ps_ops;
	ps->ops.name = pool->ops->name;
	jd_status status = jd_scheduler_init(&ps->base, &ps->ops, allocator);

	if (status != JD_OK)
		return status;
	ps->base.num_cpus = options->num_cpus ? options->num_cpus : parallelism(allocator);
	ps->pool = pool;
	ps->has_main = options->main_thread;
	snprintf(ps->name, sizeof(ps->name), "%.9s", options->name ? options->name : "jackdaw");
	jd_main_loop_init(&ps->main, ps->has_main ? jd_thread_self() : 0);
	ps->base.main_loop = ps->has_main ? &ps->main : NULL;
	jd_thread_pool_init(&ps->blocking, allocator, ps->name,
			    options->blocking_max ? options->blocking_max : JD_POOL_BLOCKING_MAX,
			    JD_POOL_KEEP_ALIVE_NS);
	jd_timer_driver_init(&ps->timers, allocator, jd_clock_now());
	ps->alarm_ns = JD_NEVER;
	jd_pool_queue_init(&ps->queue);
	atomic_init(&ps->gate, 0);
	return ps->base.num_cpus ? JD_OK : JD_ENOMEM;
}

static bool pool_complete(const struct jd_pool *pool)
{
	return pool && pool->ops && pool->ops->name && !pool->ops->call != !pool->ops->submit &&
	       pool->ops->set_alarm && pool->ops->stop && pool->ops->free;
}

jd_status jd_pool_scheduler_new(struct jd_pool *pool, const struct jd_pool_options *options,
				struct jd_scheduler **scheduler)
{
	static const struct jd_pool_options defaults;

	if (!pool_complete(pool) || !scheduler)
		return JD_EINVAL;
	if (!options)
		options = &defaults;
	if (options->blocking_max > UINT16_MAX)
		return JD_ERANGE;
	const struct jd_allocator *allocator = options->allocator ? options->allocator
								  : jd_allocator_default();
	struct jd_pool_scheduler *ps = jd_memory_new(allocator, struct jd_pool_scheduler);

	if (!ps)
		return JD_ENOMEM;
	jd_status status = ps_init(ps, pool, options, allocator);

	if (status != JD_OK) {
		free_own(ps);
		return status;
	}
	pool->scheduler = &ps->base;
	*scheduler = &ps->base;
	return JD_OK;
}
