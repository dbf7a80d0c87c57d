/* test_step.c - one step of the test's world, and the waits that step it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/test_scheduler.h"

#include "runtime/exec_frame.h"
#include "runtime/parker.h"
#include "runtime/task.h"
#include "runtime/tuning.h"

/* --- Candidates -------------------------------------------------------------------------- */

/* Background, sessions, due timers; the third class only when there is none of these. */
static uint64_t candidates(const struct jd_test_scheduler *ts)
{
	uint64_t n =
		(uint64_t)ts->background.count + ts->sessions.active_count + ts->timers.due_count;

	return n ? n : ts->deprioritized.count;
}

/* Takes candidate i; *session is told when it is a session's. */
static struct jd_runnable *take(struct jd_test_scheduler *ts, uint64_t i,
				struct jd_test_session **session)
{
	*session = NULL;
	if (i < ts->background.count)
		return jd_test_queue_take(&ts->background, i);
	i -= ts->background.count;
	if (i < ts->sessions.active_count)
		return jd_test_queue_take_session(ts, i, session);
	i -= ts->sessions.active_count;
	if (i < ts->timers.due_count)
		return jd_test_clock_take(ts, i);
	return jd_test_queue_take(&ts->deprioritized, i - ts->timers.due_count);
}

static const struct jd_runnable *peek(const struct jd_test_scheduler *ts, uint64_t i)
{
	if (i < ts->background.count)
		return ts->background.items[i];
	i -= ts->background.count;
	if (i < ts->sessions.active_count)
		return ts->sessions.active[i]->head;
	i -= ts->sessions.active_count;
	if (i < ts->timers.due_count)
		return ts->timers.due[i]->_runnable;
	return ts->deprioritized.items[i - ts->timers.due_count];
}

static void describe(const struct jd_runnable *runnable, struct jd_runnable_info *info)
{
	*info = (struct jd_runnable_info){.session = runnable->session};
	if (runnable->ops->describe)
		runnable->ops->describe(runnable, info);
}

bool jd_test_candidate(struct jd_test_scheduler *ts, uint64_t i, struct jd_runnable_info *info)
{
	if (!ts || !info || !ts->picking || i >= candidates(ts))
		return false;
	describe(peek(ts, i), info);
	return true;
}

bool jd_test_step_possible(struct jd_test_scheduler *ts)
{
	jd_lock_acquire(&ts->lock);
	bool possible = candidates(ts) > 0;

	jd_lock_release(&ts->lock);
	return possible;
}

/* --- One step ---------------------------------------------------------------------------- */

static void enter(struct jd_test_scheduler *ts, struct jd_runnable *runnable,
		  struct jd_test_session *session)
{
	struct jd_test_session *outer = ts->current;
	bool outer_main = ts->main;
	struct jd_runnable_info info;
	struct jd_exec_frame barrier;

	describe(runnable, &info);
	jd_test_choice_trace(ts, JD_TEST_TRACE_RUN, info.id);
	ts->steps++;
	ts->current = session;
	ts->main = session != NULL;
	ts->depth++;
	jd_exec_frame_push_barrier(&barrier);
	jd_runnable_run(runnable, NULL);
	jd_exec_frame_pop(&barrier);
	ts->depth--;
	ts->main = outer_main;
	ts->current = outer;
}

/* Counts what a test may do before it is taken for a livelock. */
static bool may_go_on(struct jd_test_scheduler *ts)
{
	if (JD_LIKELY(!ts->gave_up && ts->effort < ts->options.max_steps)) {
		ts->effort++;
		return true;
	}
	if (!ts->gave_up) {
		ts->gave_up = true;
		jd_test_report_stuck(ts, "livelock: max_steps was reached");
	}
	return false;
}

/*
 * With many queued, the memory of a random one is in no cache, and waiting for it would be most of
 * a step. But what the seed will say is known ahead, so the coming candidates are fetched while
 * others run, some at a time so that their address translations overlap too. Which they will be is
 * guessed from how the number of candidates has been changing; a wrong guess costs a fetch and
 * changes no choice.
 */
static uint64_t guess(const struct jd_test_scheduler *ts, uint64_t n, uint32_t steps)
{
	uint64_t draw = jd_choice_seeded_peek(&ts->seeded, steps - 1) >> 32;

	return (draw * (n + ts->trend * steps)) >> 32;
}

/* First the slot, then the runnable it holds, then what that leads to. */
static void fetch(const struct jd_test_scheduler *ts, uint64_t n, uint32_t i)
{
	const struct jd_test_bag *bag = &ts->background;
	uint64_t next = guess(ts, n, i), item = guess(ts, n, i + JD_TEST_AHEAD_BATCH);
	uint64_t slot = guess(ts, n, i + 2 * JD_TEST_AHEAD_BATCH);

	if (slot < bag->count)
		JD_PREFETCH(&bag->items[slot]);
	if (item < bag->count) {
		uintptr_t memory = (uintptr_t)bag->items[item];

		/* A small task, and the line behind it, at which its allocator will look. */
		for (uintptr_t offset = 0; offset < 256; offset += 64)
			JD_PREFETCH((void *)(memory + offset));
	}
	if (next < bag->count)
		jd_task_prefetch(bag->items[next]);
}

static void look_ahead(struct jd_test_scheduler *ts, uint64_t n)
{
	ts->trend = n - ts->last_candidates;
	ts->last_candidates = n;
	if (JD_LIKELY(n < JD_TEST_AHEAD_MIN) || ts->steps % JD_TEST_AHEAD_BATCH ||
	    ts->trend + 1 > 2 || ts->provider != &ts->seeded.base ||
	    atomic_load_explicit(&ts->parking, memory_order_relaxed))
		return;
	for (uint32_t i = 1; i <= JD_TEST_AHEAD_BATCH; i++)
		fetch(ts, n, i);
}

enum step {
	STEP_RAN,
	STEP_NOTHING, /* there is no candidate */
	STEP_GAVE_UP,
};

/* Runs one candidate. */
static enum step step(struct jd_test_scheduler *ts)
{
	struct jd_runnable *runnable = NULL;
	struct jd_test_session *session = NULL;

	jd_lock_acquire(&ts->lock);
	uint64_t n = candidates(ts);
	bool tired = ts->effort >= ts->options.max_steps;

	if (n && !tired)
		runnable = take(ts, jd_test_choice_ask(ts, JD_CHOICE_RUN, n), &session);
	look_ahead(ts, n);
	jd_lock_release(&ts->lock);
	if (!n)
		return STEP_NOTHING;
	if (!may_go_on(ts))
		return STEP_GAVE_UP;
	enter(ts, runnable, session);
	return STEP_RAN;
}

/* --- Waits ------------------------------------------------------------------------------- */

/* The runnable that waits keeps its session from running until the wait is popped. */
static void push_frame(struct jd_test_scheduler *ts, struct jd_test_frame *frame)
{
	frame->outer = ts->frames;
	frame->session = ts->current;
	frame->in_runnable = ts->depth > 0;
	ts->frames = frame;
	if (!frame->session)
		return;
	jd_lock_acquire(&ts->lock);
	jd_test_queue_block(ts, frame->session);
	jd_lock_release(&ts->lock);
}

static void pop_frame(struct jd_test_scheduler *ts, struct jd_test_frame *frame)
{
	JD_ASSERT(ts->frames == frame);
	ts->frames = frame->outer;
	if (!frame->session)
		return;
	jd_lock_acquire(&ts->lock);
	jd_test_queue_unblock(ts, frame->session);
	jd_lock_release(&ts->lock);
}

static bool unparked(struct jd_parker *parker)
{
	return atomic_load_explicit(&parker->word, memory_order_relaxed) == JD_PARKER_NOTIFIED;
}

/*
 * A wait has ended, by an unpark or by time. On a machine with several threads others run on until
 * the waiter notices; what happens in between is a choice.
 */
static void notice(struct jd_test_scheduler *ts)
{
	if (!jd_test_step_possible(ts))
		return;
	uint64_t n = jd_test_choice_ask(ts, JD_CHOICE_BLOCK, JD_TEST_BLOCK_STEPS + 1);

	while (n-- && step(ts) == STEP_RAN)
		;
}

/* Whether the budget of this wait is used up; drawn when the wait begins. */
static bool out_of_ticks(struct jd_test_scheduler *ts, const struct jd_test_frame *frame)
{
	struct jd_parker *parker = frame->parker;

	if (!ts->ticks_max || frame->deadline_ns == JD_NEVER)
		return false;
	if (parker->test_deadline_ns != frame->deadline_ns) {
		parker->test_deadline_ns = frame->deadline_ns;
		parker->test_ticks =
			ts->ticks_min +
			jd_test_choice_ask(ts, JD_CHOICE_TICKS, ts->ticks_max - ts->ticks_min + 1);
	}
	return parker->test_ticks == 0;
}

static void use_tick(const struct jd_test_scheduler *ts, const struct jd_test_frame *frame)
{
	if (ts->ticks_max && frame->parker->test_ticks)
		frame->parker->test_ticks--;
}

static jd_status deadlock(struct jd_test_scheduler *ts, const char *what)
{
	if (!ts->options.allow_deadlock) {
		ts->deadlocked = true;
		jd_test_report_stuck(ts, what);
	}
	return JD_EDEADLK;
}

/* Nothing can run: lets time pass, virtual or real. JD_PENDING: look again. */
static jd_status idle(struct jd_test_scheduler *ts, const struct jd_test_frame *frame)
{
	uint64_t next = jd_test_clock_next(ts);
	uint64_t target = next < frame->deadline_ns ? next : frame->deadline_ns;

	if (atomic_load_explicit(&ts->parking, memory_order_relaxed)) {
		if (jd_test_foreign_sleep(ts, frame->parker, target))
			return JD_PENDING;
		if (target == JD_NEVER)
			return deadlock(ts, "deadlock: nothing can run, no timer is armed, and no "
					    "other thread did anything for park_limit_ns");
	}
	if (target == JD_NEVER)
		return deadlock(ts, "deadlock: nothing can run, no timer is armed, "
				    "parking is forbidden");
	jd_test_clock_move(ts, target);
	return JD_PENDING;
}

static jd_status wait_in_frame(struct jd_test_scheduler *ts, struct jd_test_frame *frame)
{
	struct jd_parker *parker = frame->parker;

	for (;;) {
		bool ended = unparked(parker);
		bool late = jd_test_clock_now(ts) >= frame->deadline_ns;

		if (ended || late) {
			notice(ts);
			return jd_parker_try(parker) ? JD_OK : JD_ETIMEDOUT;
		}
		if (out_of_ticks(ts, frame)) {
			jd_test_clock_move(ts, frame->deadline_ns);
			return jd_parker_try(parker) ? JD_OK : JD_ETIMEDOUT;
		}
		enum step stepped = step(ts);

		if (stepped == STEP_RAN)
			use_tick(ts, frame);
		else if (stepped == STEP_GAVE_UP)
			return JD_EDEADLK;
		else if (idle(ts, frame) != JD_PENDING)
			return JD_EDEADLK;
	}
}

static bool is_shut_down(struct jd_test_scheduler *ts)
{
	jd_lock_acquire(&ts->lock);
	bool down = ts->phase == JD_TEST_SHUTDOWN;

	jd_lock_release(&ts->lock);
	return down;
}

jd_status jd_test_step_park(struct jd_scheduler *base, struct jd_parker *parker,
			    uint64_t deadline_ns)
{
	struct jd_test_scheduler *ts = jd_container_of(base, struct jd_test_scheduler, base);
	struct jd_test_frame frame = {.parker = parker, .deadline_ns = deadline_ns};

	if (is_shut_down(ts))
		return jd_parker_try(parker) ? JD_OK : JD_ECLOSED;
	if (!jd_test_is_owner(ts))
		return jd_test_foreign_park(ts, parker, deadline_ns);
	/* Counts also where nothing is stepped: a future that wakes itself in every poll. */
	if (!may_go_on(ts))
		return JD_EDEADLK;
	push_frame(ts, &frame);
	jd_status status = wait_in_frame(ts, &frame);

	pop_frame(ts, &frame);
	return status;
}

/* --- Stepping by hand -------------------------------------------------------------------- */

bool jd_test_tick(struct jd_test_scheduler *ts)
{
	struct jd_test_frame frame = {.deadline_ns = JD_NEVER};

	if (!ts || !jd_test_is_owner(ts))
		return false;
	push_frame(ts, &frame);
	bool ran = step(ts) == STEP_RAN;

	pop_frame(ts, &frame);
	return ran;
}

static jd_status run_until_parked(struct jd_test_scheduler *ts)
{
	enum step stepped;

	do
		stepped = step(ts);
	while (stepped == STEP_RAN);
	return stepped == STEP_NOTHING ? JD_OK : JD_EDEADLK;
}

jd_status jd_test_run_until_parked(struct jd_test_scheduler *ts)
{
	struct jd_test_frame frame = {.deadline_ns = JD_NEVER};

	if (!ts)
		return JD_EINVAL;
	if (!jd_test_is_owner(ts))
		return JD_EPERM;
	push_frame(ts, &frame);
	jd_status status = run_until_parked(ts);

	pop_frame(ts, &frame);
	return status;
}

jd_status jd_test_advance_clock(struct jd_test_scheduler *ts, uint64_t delay_ns)
{
	struct jd_test_frame frame = {.deadline_ns = JD_NEVER};

	if (!ts)
		return JD_EINVAL;
	if (!jd_test_is_owner(ts))
		return JD_EPERM;
	uint64_t target = jd_deadline_after(jd_test_clock_now(ts), delay_ns);

	/* The end of time is not an instant: a wait until JD_NEVER must not end by time. */
	if (target == JD_NEVER)
		target = JD_NEVER - 1;
	push_frame(ts, &frame);
	jd_status status = run_until_parked(ts);

	while (status == JD_OK && jd_test_clock_now(ts) < target) {
		uint64_t next = jd_test_clock_next(ts);

		jd_test_clock_move(ts, next < target ? next : target);
		status = run_until_parked(ts);
	}
	pop_frame(ts, &frame);
	return status;
}
