/* worker.c - the worker's loop: take, run; what a runnable on a worker asks of it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker.h"

#include "runtime/exec_frame.h"
#include "runtime/runnable.h"
#include "runtime/task.h"
#include "runtime/tuning.h"
#include "runtime/worker_search.h"
#include "runtime/worker_take.h"
#include "runtime/worker_wake.h"

/* --- The loop ------------------------------------------------------------------------------- */

/* Whether something came from outside. Only to be asked when it matters: others write there. */
static inline bool outside(const struct jd_workers *all)
{
	return jd_injector_has(&all->injector) || jd_foreign_has(&all->foreign);
}

/* The next runnable without going far. */
static struct jd_runnable *take_local(struct jd_worker *w)
{
	bool look = JD_UNLIKELY(--w->look_in == 0);
	struct jd_runnable *r = NULL;

	if (w->local.private) {
		if (!look && jd_local_bare(&w->local) && !outside(w->all))
			return jd_local_pop_private(&w->local);
		/* Before another is taken: see local.h. */
		jd_local_queue_private(&w->local);
	}
	if (JD_UNLIKELY(look))
		r = jd_worker_take_fair(w);
	if (!r)
		r = jd_local_pop(&w->local);
	if (!r && outside(w->all))
		r = jd_worker_take_injected(w, true);
	return r ? r : jd_local_pop_yielded(&w->local);
}

static void drive_loop(struct jd_worker *w, struct jd_pool_thread *self)
{
	struct jd_workers *all = w->all;

	while (!jd_workers_stopping(all)) {
		struct jd_runnable *r = take_local(w);

		if (!r)
			r = jd_worker_search(w);
		if (!r)
			break;
		if (JD_UNLIKELY(w->armed)) {
			w->armed = false;
			jd_worker_wake_timer(all);
		}
		if (r != &w->run_stolen)
			jd_runnable_unmark(r);
		if (!jd_task_belongs(r, w->lane.scheduler))
			jd_worker_tell_ended(w);
		jd_worker_count(&w->local.turns, 1);
		jd_runnable_run(r, w);
		if (JD_UNLIKELY(self->worker != w))
			return; /* a task blocked: another thread drives w now */
	}
	jd_worker_tell_ended(w);
	self->worker = NULL;
}

void jd_worker_drive(struct jd_runnable *job, struct jd_worker *unused)
{
	struct jd_worker *w = jd_container_of(job, struct jd_worker, drive);
	struct jd_workers *all = w->all;
	struct jd_pool_thread *self = jd_pool_self;

	(void)unused;
	self->worker = w;
	jd_thread_pool_name(self, (int)w->index);
	if (jd_placement_bind(all->placement, w->index))
		self->leave = true; /* no other job should be confined to these CPUs */
	struct jd_fork_region region;

	w->fork = jd_fork_host_enter(&all->forks, &region);
	jd_reclaimer_attach(&all->reclaimer);
	drive_loop(w, self);
	jd_reclaimer_detach(&all->reclaimer);
	jd_fork_leave(&region);
}

/* --- From inside ---------------------------------------------------------------------------- */

bool jd_worker_run_now(struct jd_worker *w, struct jd_runnable *runnable)
{
	struct jd_pool_thread *self = jd_pool_self;
	struct jd_fork_region region;
	struct jd_exec_frame barrier;

	/* order: (S4) acquire - as (S1); pairs with (S2). */
	if (self->depth == JD_WORKER_DEPTH ||
	    atomic_load_explicit(&w->all->phase, memory_order_acquire) != 0)
		return false;
	self->depth++;
	jd_exec_frame_push_barrier(&barrier);
	jd_fork_host_enter(&w->all->forks, &region);
	jd_worker_count(&w->local.turns, 1);
	jd_runnable_run(runnable, w);
	jd_fork_leave(&region);
	jd_exec_frame_pop(&barrier);
	self->depth--;
	return true;
}

/* --- From outside --------------------------------------------------------------------------- */

/* The lane that the calling thread holds now, if it can have one. */
static struct jd_foreign_lane *enter_lane(struct jd_foreign *foreign)
{
	struct jd_foreign_lane *lane = jd_foreign_here(foreign);

	return lane ? lane : jd_foreign_enter(foreign);
}

/* In the lane of the calling thread, which it leaves; false: it has none, or there is no queue. */
static bool push_foreign(struct jd_foreign *foreign, struct jd_runnable *runnable)
{
	struct jd_foreign_lane *lane = enter_lane(foreign);
	bool pushed = lane && jd_foreign_push(lane, runnable);

	if (lane)
		jd_foreign_leave(lane);
	return pushed;
}

static jd_status push_injector(struct jd_workers *all, struct jd_runnable *runnable)
{
	if (jd_injector_push(&all->injector, runnable) == JD_INJECTOR_CLOSED) {
		jd_runnable_unmark(runnable);
		return JD_ECLOSED;
	}
	jd_worker_wake_pushed(all);
	return JD_OK;
}

/* On the calling thread, as a job of its own: what it schedules meanwhile is taken in any case. */
static jd_status run_here(struct jd_workers *all, struct jd_runnable *runnable)
{
	struct jd_fork_region region;
	struct jd_exec_frame barrier;

	jd_runnable_unmark(runnable);
	jd_exec_frame_push_barrier(&barrier);
	jd_fork_host_enter(&all->forks, &region);
	jd_foreign_self.inside = true;
	jd_runnable_run(runnable, NULL);
	jd_foreign_self.inside = false;
	jd_fork_leave(&region);
	jd_exec_frame_pop(&barrier);
	return JD_OK;
}

/* There is no room: what then? JD_OK with *in: there is some, which is the caller's. */
static jd_status find_no_room(struct jd_workers *all, struct jd_runnable *runnable, bool *in)
{
	jd_status status = JD_EWOULDBLOCK;

	jd_foreign_leave_any();
	if (all->full == JD_INJECT_RUN_INLINE)
		return run_here(all, runnable);
	/* A thread that drives workers of another scheduler cannot wait. */
	if (all->full == JD_INJECT_BLOCK && !jd_pool_self)
		status = jd_gate_wait(&all->gate);
	if (status == JD_OK)
		*in = true;
	else
		jd_runnable_unmark(runnable);
	return status;
}

/* Room for one, from what the lane has of it or from the gate. */
static bool take_room(struct jd_gate *gate, struct jd_foreign_lane *lane)
{
	uint64_t n;

	if (lane && lane->room) {
		lane->room--;
		return true;
	}
	n = jd_gate_take(gate, lane ? gate->ahead : 1);
	if (n > 1)
		lane->room = n - 1;
	return n > 0;
}

/*
 * From outside, where there is a bound. New work of other threads than ours is counted; in lanes
 * there is nothing else.
 */
static jd_status schedule_bounded(struct jd_workers *all, struct jd_runnable *runnable)
{
	const struct jd_pool_thread *self = jd_pool_self;
	bool ours = (self && self->pool == all->pool) || jd_foreign_self.inside;
	bool in;

	runnable->flags &= ~JD_RUNNABLE_COUNTED;
	if (ours || (runnable->flags & JD_RUNNABLE_RESUME)) {
		jd_foreign_leave_any();
		return push_injector(all, runnable);
	}
	in = take_room(&all->gate, enter_lane(&all->foreign));
	if (!in) {
		jd_status status = find_no_room(all, runnable, &in);

		if (!in)
			return status;
	}
	if (push_foreign(&all->foreign, runnable)) {
		jd_worker_wake_pushed(all);
		return JD_OK;
	}
	runnable->flags |= JD_RUNNABLE_COUNTED;
	jd_status status = push_injector(all, runnable);

	if (status != JD_OK)
		runnable->flags &= ~JD_RUNNABLE_COUNTED;
	return status;
}

JD_NOINLINE static jd_status schedule_outside(struct jd_workers *all, struct jd_runnable *runnable)
{
	if (JD_UNLIKELY(all->gate.capacity))
		return schedule_bounded(all, runnable);
	if (push_foreign(&all->foreign, runnable)) {
		jd_worker_wake_pushed(all);
		return JD_OK;
	}
	return push_injector(all, runnable);
}

JD_COLD static jd_status schedule_behind(struct jd_worker *w, struct jd_runnable *runnable)
{
	jd_status status = jd_local_give_way_slow(&w->local, runnable);

	return status == JD_OK ? JD_OK : push_injector(w->all, runnable);
}

/* Apart, so that the common ways need no stack. */
jd_status jd_worker_push_newest(struct jd_worker *w, struct jd_runnable *runnable)
{
	if (JD_UNLIKELY(jd_local_push_newest(&w->local, runnable) != JD_OK))
		return push_injector(w->all, runnable);
	jd_worker_wake_pushed(w->all);
	return JD_OK;
}

jd_status jd_workers_schedule(struct jd_workers *all, struct jd_runnable *runnable)
{
	struct jd_worker *w = jd_workers_self(all);

	jd_runnable_mark(runnable);
	if (!w)
		return schedule_outside(all, runnable);
	if (runnable->flags & JD_RUNNABLE_YIELDED)
		return JD_LIKELY(jd_local_give_way(&w->local, runnable))
			       ? JD_OK
			       : schedule_behind(w, runnable);
	if (!jd_local_push_single(&w->local, runnable))
		return jd_worker_push_newest(w, runnable);
	jd_worker_wake_pushed(all);
	return JD_OK;
}

jd_status jd_workers_arm(struct jd_workers *all, struct jd_timer *timer,
			 struct jd_runnable *runnable, uint64_t time_ns, bool relative)
{
	struct jd_worker *w = jd_workers_self(all);
	enum jd_timer_announce announce;
	jd_status status = jd_timekeeper_arm(&all->timers, w ? w->index : JD_TIMEKEEPER_OUTSIDE,
					     timer, runnable, time_ns, relative, &announce);

	if (announce == JD_TIMER_SOON)
		w->armed = true;
	else if (announce == JD_TIMER_NOW)
		jd_worker_wake_timer(all);
	return status;
}

jd_status jd_workers_cancel(struct jd_workers *all, struct jd_timer *timer)
{
	struct jd_timer_driver *full = NULL;
	jd_status status = jd_timer_drop(timer, &full);

	if (JD_UNLIKELY(full)) {
		const struct jd_worker *w = jd_workers_self(all);

		jd_timekeeper_bury(&all->timers, w ? w->index : JD_TIMEKEEPER_OUTSIDE, full);
	}
	return status;
}

jd_status jd_workers_hand_on(struct jd_workers *all)
{
	struct jd_pool_thread *self = jd_pool_self;
	struct jd_worker *w = self->worker;

	if (w->armed) {
		w->armed = false;
		jd_worker_wake_timer(all);
	}
	jd_worker_count(&w->stats.handed, 1);
	self->worker = NULL;
	jd_status status = jd_thread_pool_submit_now(all->pool, &w->drive);

	if (status == JD_OK)
		jd_thread_pool_name(self, -1);
	else
		self->worker = w;
	return status;
}
