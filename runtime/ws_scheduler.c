/* ws_scheduler.c - the production scheduler: its operations and its life. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/ws_scheduler.h>

#include <stdio.h>
#include <stdlib.h>

#include "runtime/main_loop.h"
#include "runtime/memory.h"
#include "runtime/parked.h"
#include "runtime/runnable.h"
#include "runtime/task.h"
#include "runtime/tuning.h"
#include "runtime/worker.h"

/* The phase of the workers; it only grows. */
enum ws_phase {
	WS_OPEN,
	WS_CLOSED,  /* admitted work goes on */
	WS_STOPPED, /* shutdown has begun */
};

/* Access: I immutable after new, A any thread, atomic. */
struct jd_ws_scheduler {
	struct jd_scheduler base;
	bool has_main;                /* I */
	const char *workers_by;       /* I: who said how many workers; static */
	struct jd_topology *topology; /* I */
	struct jd_thread_pool pool;
	struct jd_main_loop main;
	struct jd_parked_list parked;
	struct jd_placement placement;
	struct jd_workers workers;
	char name[12]; /* I */
};

static const struct jd_scheduler_ops ws_ops;

static struct jd_ws_scheduler *ws_of(struct jd_scheduler *base)
{
	return jd_container_of(base, struct jd_ws_scheduler, base);
}

static enum ws_phase phase_of(const struct jd_ws_scheduler *ws)
{
	/* order: (S1) acquire - what came before the change; pairs with (S2). */
	return (enum ws_phase)atomic_load_explicit(&ws->workers.phase, memory_order_acquire);
}

/* Goes on to a later phase; false when it was that far already. */
static bool advance_phase(struct jd_ws_scheduler *ws, enum ws_phase phase)
{
	uint32_t old = atomic_load_explicit(&ws->workers.phase, memory_order_relaxed);

	do {
		if (old >= (uint32_t)phase)
			return false;
	}
	/* order: (S2) acq_rel - what came before the change; pairs with (S1), (S3), (S4). */
	while (!atomic_compare_exchange_weak_explicit(&ws->workers.phase, &old, (uint32_t)phase,
						      memory_order_acq_rel, memory_order_relaxed));
	return true;
}

/* Whether the runnable may still come in. What slips through is refused by the queues. */
static bool admits(const struct jd_ws_scheduler *ws, const struct jd_runnable *runnable)
{
	enum ws_phase phase = phase_of(ws);

	return JD_LIKELY(phase == WS_OPEN) ||
	       (phase == WS_CLOSED && (runnable->flags & JD_RUNNABLE_RESUME));
}

/* The calling thread is one of this scheduler's. */
static bool is_own_thread(const struct jd_ws_scheduler *ws)
{
	return jd_pool_self && jd_pool_self->pool == &ws->pool;
}

/* --- Scheduling ----------------------------------------------------------------------------- */

static jd_status ws_schedule(struct jd_scheduler *base, struct jd_runnable *runnable)
{
	struct jd_ws_scheduler *ws = ws_of(base);

	return admits(ws, runnable) ? jd_workers_schedule(&ws->workers, runnable) : JD_ECLOSED;
}

static jd_status ws_schedule_foreground(struct jd_scheduler *base, struct jd_runnable *runnable,
					jd_session_id session)
{
	struct jd_ws_scheduler *ws = ws_of(base);

	if (!ws->has_main)
		return JD_ENOTSUP;
	return admits(ws, runnable) ? jd_main_loop_post(&ws->main, runnable, session) : JD_ECLOSED;
}

static jd_status ws_schedule_blocking(struct jd_scheduler *base, struct jd_runnable *runnable)
{
	struct jd_ws_scheduler *ws = ws_of(base);

	if (!admits(ws, runnable))
		return JD_ECLOSED;
	jd_status status = jd_thread_pool_submit(&ws->pool, runnable);

	/* A task that was woken must run, without memory: if need be it holds a worker. */
	if ((status == JD_EAGAIN || status == JD_ENOMEM) && (runnable->flags & JD_RUNNABLE_RESUME))
		return jd_workers_schedule(&ws->workers, runnable);
	return status;
}

static jd_status ws_schedule_at(struct jd_scheduler *base, struct jd_timer *timer,
				struct jd_runnable *runnable, uint64_t deadline_ns)
{
	struct jd_ws_scheduler *ws = ws_of(base);

	return admits(ws, runnable)
		       ? jd_workers_arm(&ws->workers, timer, runnable, deadline_ns, false)
		       : JD_ECLOSED;
}

static jd_status ws_schedule_after(struct jd_scheduler *base, struct jd_timer *timer,
				   struct jd_runnable *runnable, uint64_t delay_ns)
{
	struct jd_ws_scheduler *ws = ws_of(base);

	return admits(ws, runnable) ? jd_workers_arm(&ws->workers, timer, runnable, delay_ns, true)
				    : JD_ECLOSED;
}

static jd_status ws_cancel_timer(struct jd_scheduler *base, struct jd_timer *timer)
{
	return jd_workers_cancel(&ws_of(base)->workers, timer);
}

/* --- Waiting -------------------------------------------------------------------------------- */

/* One of our own threads sleeps; its worker, if it drives one, goes to another. */
static jd_status park_own(struct jd_ws_scheduler *ws, struct jd_parker *parker,
			  uint64_t deadline_ns)
{
	if (jd_parker_try(parker))
		return JD_OK;
	if (jd_pool_self->worker) {
		jd_status status = jd_workers_hand_on(&ws->workers);

		if (status != JD_OK)
			return status;
	}
	return jd_parked_sleep(&ws->parked, parker, deadline_ns);
}

static jd_status ws_park(struct jd_scheduler *base, struct jd_parker *parker, uint64_t deadline_ns)
{
	struct jd_ws_scheduler *ws = ws_of(base);

	if (is_own_thread(ws))
		return park_own(ws, parker, deadline_ns);
	if (jd_main_loop_here(&ws->main))
		return jd_main_loop_park(&ws->main, parker, deadline_ns);
	return jd_parker_sleep(parker, deadline_ns);
}

static void ws_unpark(struct jd_scheduler *base, struct jd_parker *parker)
{
	struct jd_ws_scheduler *ws = ws_of(base);

	/* The sleeper is on its parker, or, if it is the main thread, on the loop's word. */
	jd_parker_wake(parker);
	if (ws->has_main)
		jd_main_loop_kick(&ws->main);
}

/* --- Facts ---------------------------------------------------------------------------------- */

static bool ws_is_main_thread(struct jd_scheduler *base)
{
	return jd_main_loop_here(&ws_of(base)->main);
}

static uint64_t ws_now(struct jd_scheduler *base)
{
	(void)base;
	return jd_clock_now();
}

static void ws_dump(struct jd_scheduler *base, FILE *out)
{
	static const char *const phases[] = {"open", "closed", "stopped"};
	struct jd_ws_scheduler *ws = ws_of(base);

	fprintf(out, "  %s, %u workers by %s, placement %s, %s\n", phases[phase_of(ws)],
		ws->workers.count, ws->workers_by, jd_placement_text(&ws->placement),
		jd_topology_source(ws->topology));
	jd_workers_dump(&ws->workers, out);
	jd_thread_pool_dump(&ws->pool, out);
}

/* --- Life cycle ----------------------------------------------------------------------------- */

static jd_status ws_close(struct jd_scheduler *base)
{
	struct jd_ws_scheduler *ws = ws_of(base);

	if (!advance_phase(ws, WS_CLOSED))
		return JD_EALREADY;
	jd_gate_close(&ws->workers.gate);
	return JD_OK;
}

static jd_status shutdown_check(struct jd_ws_scheduler *ws)
{
	if (is_own_thread(ws))
		return JD_EDEADLK;
	if (!ws->has_main)
		return JD_OK;
	if (!jd_main_loop_here(&ws->main))
		return JD_EPERM;
	return jd_main_loop_busy(&ws->main) ? JD_EDEADLK : JD_OK;
}

/*
 * The steps:
 *  1. Every schedule call is refused from now on. A runnable that a thread is just handing in
 *     goes into a queue before that queue is closed, or is refused by it; a task that is refused
 *     becomes an orphan of the registry.
 *  2. Threads that wait in park get JD_ECLOSED, workers end after their current runnable.
 *  3. All threads are joined. From here on this thread is alone with the queues.
 *  4. Timers are cancelled first, one by one: tasks that are dropped below may hold some of them,
 *     and must find each of them either armed or already let go.
 *  5. What was queued is cancelled, then what waits for a wake that will not come.
 */
static jd_status ws_shutdown(struct jd_scheduler *base)
{
	struct jd_ws_scheduler *ws = ws_of(base);
	jd_status status = shutdown_check(ws);

	if (status != JD_OK)
		return status;
	if (!advance_phase(ws, WS_STOPPED))
		return JD_EALREADY;
	struct jd_runnable *injected = jd_workers_close(&ws->workers);
	struct jd_runnable *blocking = jd_thread_pool_close(&ws->pool);
	struct jd_runnable *foreground = jd_main_loop_close(&ws->main);
	struct jd_runnable *runnable;

	jd_parked_stop(&ws->parked);
	jd_workers_stop(&ws->workers);
	jd_thread_pool_join(&ws->pool);
	for (unsigned i = 0; i < ws->workers.count; i++)
		jd_lane_fini(&ws->workers.workers[i].lane);
	for (unsigned i = 0; i < JD_FOREIGN_LANES; i++)
		jd_lane_fini(&ws->workers.foreign.lanes[i].lane);

	while ((runnable = jd_timekeeper_close(&ws->workers.timers)) != NULL)
		jd_runnable_cancel(runnable);
	jd_runnable_cancel_list(injected);
	while ((runnable = jd_workers_rest(&ws->workers)) != NULL)
		jd_runnable_cancel(runnable);
	jd_runnable_cancel_list(blocking);
	jd_runnable_cancel_list(foreground);
	jd_scheduler_cancel_tasks(base);
	return JD_OK;
}

static void ws_free(struct jd_scheduler *base)
{
	struct jd_ws_scheduler *ws = ws_of(base);
	const struct jd_allocator *allocator = base->allocator;

	if (ws->workers.workers)
		jd_workers_fini(&ws->workers);
	jd_placement_fini(&ws->placement);
	jd_topology_free(ws->topology);
	jd_main_loop_fini(&ws->main);
	if (base->registry)
		jd_scheduler_fini(base);
	jd_memory_free(allocator, ws, sizeof(*ws), alignof(struct jd_ws_scheduler));
}

static const struct jd_scheduler_ops ws_ops = {
	.name = "ws",
	.schedule = ws_schedule,
	.schedule_foreground = ws_schedule_foreground,
	.schedule_blocking = ws_schedule_blocking,
	.schedule_at = ws_schedule_at,
	.schedule_after = ws_schedule_after,
	.cancel_timer = ws_cancel_timer,
	.park = ws_park,
	.unpark = ws_unpark,
	.is_main_thread = ws_is_main_thread,
	.now = ws_now,
	.close = ws_close,
	.shutdown = ws_shutdown,
	.dump = ws_dump,
	.free = ws_free,
};

jd_status jd_ws_scheduler_stats(struct jd_scheduler *scheduler, uint32_t worker,
				struct jd_ws_stats *stats)
{
	if (!scheduler || !stats)
		return JD_EINVAL;
	if (scheduler->ops != &ws_ops)
		return JD_ENOTSUP;
	const struct jd_workers *all = &ws_of(scheduler)->workers;
	bool one = worker != JD_WS_ALL;

	if (one && worker >= all->count)
		return JD_EINVAL;
	jd_workers_stats(all, one ? worker : 0, one ? worker + 1 : all->count, stats);
	return JD_OK;
}

/* A number from 1 to JD_WORKERS_MAX and nothing else; 0: it is none. */
static unsigned parse_workers(const char *text)
{
	unsigned n = 0;

	for (; *text >= '0' && *text <= '9' && n <= JD_WORKERS_MAX; text++)
		n = n * 10 + (unsigned)(*text - '0');
	return *text == '\0' && n <= JD_WORKERS_MAX ? n : 0;
}

/* The option, the environment, the machine: the first that says something. */
static jd_status choose_workers(struct jd_ws_scheduler *ws, unsigned wanted, unsigned *workers)
{
	const char *text = getenv("JD_WORKERS");
	unsigned n = jd_topology_parallelism(ws->topology);

	if (wanted) {
		ws->workers_by = "option";
		*workers = wanted;
		return JD_OK;
	}
	if (text && *text) {
		ws->workers_by = "JD_WORKERS";
		*workers = parse_workers(text);
		return *workers ? JD_OK : JD_EINVAL;
	}
	/* With one, a task that computes for a second would stop everything else. */
	ws->workers_by = n < 2 ? "default, at least 2" : "default";
	*workers = n < 2 ? 2 : (n > JD_WORKERS_MAX ? JD_WORKERS_MAX : n);
	return JD_OK;
}

static jd_status init_workers(struct jd_ws_scheduler *ws, const struct jd_ws_options *options)
{
	const struct jd_allocator *allocator = ws->base.allocator;
	enum jd_placement_policy policy = options->placement;
	unsigned count;
	jd_status status = choose_workers(ws, options->workers, &count);

	if (options->pin && policy == JD_PLACEMENT_NONE)
		policy = JD_PLACEMENT_COMPACT;
	if (status == JD_OK)
		status = jd_placement_init(&ws->placement, allocator, ws->topology, policy, count,
					   options->pin);
	if (status != JD_OK)
		return status;
	ws->base.num_cpus = count;
	jd_gate_init(&ws->workers.gate, options->inject_max, JD_FOREIGN_LANES);
	ws->workers.full = options->inject_policy;
	ws->base.fork_host = &ws->workers.forks;
	ws->workers.max_backlog = options->max_backlog;
	/* Not on one CPU, where nobody can post meanwhile, nor where a quota is all there is. */
	ws->workers.dozes = jd_topology_cpus(ws->topology) > 1 &&
			    jd_topology_parallelism(ws->topology) == jd_topology_cpus(ws->topology);
	status = jd_registry_keep(ws->base.registry, count + JD_FOREIGN_LANES,
				  sizeof(struct jd_task));
	if (status == JD_OK)
		status = jd_workers_init(&ws->workers, count, allocator, &ws->placement, &ws->pool);
	for (unsigned i = 0; status == JD_OK && i < count; i++)
		jd_lane_init(&ws->workers.workers[i].lane, &ws->base,
			     &ws->base.registry->tallies[i], ws->base.registry->slabs);
	for (unsigned i = 0; status == JD_OK && i < JD_FOREIGN_LANES; i++)
		jd_lane_init(&ws->workers.foreign.lanes[i].lane, &ws->base,
			     &ws->base.registry->tallies[count + i], ws->base.registry->slabs);
	if (status == JD_OK)
		ws->base.registry->foreign = &ws->workers.foreign;
	return status;
}

/* Everything but the threads. */
static jd_status ws_init(struct jd_ws_scheduler *ws, const struct jd_ws_options *options)
{
	const struct jd_allocator *allocator = options->allocator;
	jd_status status = jd_scheduler_init(&ws->base, &ws_ops, allocator);

	if (status != JD_OK)
		return status;
	allocator = ws->base.allocator;
	/* Nobody who is not bound asks how far CPUs are apart. */
	status = jd_topology_new(
		allocator, options->placement == JD_PLACEMENT_NONE && !options->pin, &ws->topology);
	if (status != JD_OK)
		return status;
	ws->has_main = options->main_thread;
	snprintf(ws->name, sizeof(ws->name), "%.9s", options->name ? options->name : "jackdaw");
	jd_main_loop_init(&ws->main, ws->has_main ? jd_thread_self() : 0);
	ws->base.main_loop = ws->has_main ? &ws->main : NULL;
	jd_thread_pool_init(&ws->pool, allocator, ws->name,
			    options->blocking_max ? options->blocking_max : JD_POOL_BLOCKING_MAX,
			    options->keep_alive_ns ? options->keep_alive_ns
						   : JD_POOL_KEEP_ALIVE_NS);
	return init_workers(ws, options);
}

jd_status jd_ws_scheduler_new(const struct jd_ws_options *options, struct jd_scheduler **out)
{
	static const struct jd_ws_options defaults;

	if (!out)
		return JD_EINVAL;
	if (!options)
		options = &defaults;
	if ((unsigned)options->placement > JD_PLACEMENT_NUMA ||
	    (unsigned)options->inject_policy > JD_INJECT_RUN_INLINE)
		return JD_EINVAL;
	if (options->workers > JD_WORKERS_MAX || options->blocking_max > UINT16_MAX)
		return JD_ERANGE;
	const struct jd_allocator *allocator = options->allocator ? options->allocator
								  : jd_allocator_default();
	struct jd_ws_scheduler *ws =
		jd_memory_zalloc(allocator, 1, sizeof(*ws), alignof(struct jd_ws_scheduler));

	if (!ws)
		return JD_ENOMEM;
	ws->base.allocator = allocator;
	jd_status status = ws_init(ws, options);

	if (status != JD_OK) {
		ws_free(&ws->base);
		return status;
	}
	for (unsigned i = 0; i < ws->workers.count && status == JD_OK; i++)
		status = jd_thread_pool_submit_now(&ws->pool, &ws->workers.workers[i].drive);
	if (status != JD_OK) {
		jd_scheduler_destroy(&ws->base);
		return status;
	}
	*out = &ws->base;
	return JD_OK;
}
