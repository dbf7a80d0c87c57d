/* test_scheduler.c - the deterministic scheduler: life cycle and operations. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/test_scheduler.h"

#include "runtime/memory.h"
#include "runtime/registry.h"
#include "runtime/task.h"
#include "runtime/tuning.h"

static struct jd_test_scheduler *of(struct jd_scheduler *base)
{
	return jd_container_of(base, struct jd_test_scheduler, base);
}

/* --- Scheduling -------------------------------------------------------------------------- */

/* Told before the runnable is queued: afterwards it may be gone. */
static bool told_on(struct jd_test_scheduler *ts, const struct jd_runnable *runnable)
{
	struct jd_runnable_info info = {0};

	if (JD_LIKELY(jd_test_is_owner(ts)))
		return false;
	if (runnable->ops->describe)
		runnable->ops->describe(runnable, &info);
	return jd_test_foreign_check(ts, JD_TEST_FOREIGN_SCHEDULE, &info);
}

static bool admits(const struct jd_test_scheduler *ts, const struct jd_runnable *runnable)
{
	return ts->phase == JD_TEST_OPEN ||
	       (ts->phase == JD_TEST_CLOSED && (runnable->flags & JD_RUNNABLE_RESUME));
}

static bool is_deprioritized(const struct jd_test_scheduler *ts, jd_label label)
{
	for (size_t i = 0; label && i < ts->label_count; i++) {
		if (strcmp(ts->labels[i], label) == 0)
			return true;
	}
	return false;
}

static jd_status test_schedule_labeled(struct jd_scheduler *base, struct jd_runnable *runnable,
				       jd_label label)
{
	struct jd_test_scheduler *ts = of(base);
	bool foreign = told_on(ts, runnable);
	jd_status status = JD_ECLOSED;

	jd_lock_acquire(&ts->lock);
	if (admits(ts, runnable))
		status = jd_test_queue_push(
			ts, is_deprioritized(ts, label) ? &ts->deprioritized : &ts->background,
			runnable);
	jd_lock_release(&ts->lock);
	if (foreign)
		jd_test_foreign_notify(ts);
	return status;
}

static jd_status test_schedule(struct jd_scheduler *base, struct jd_runnable *runnable)
{
	return test_schedule_labeled(base, runnable, NULL);
}

static jd_status test_schedule_foreground(struct jd_scheduler *base, struct jd_runnable *runnable,
					  jd_session_id session)
{
	struct jd_test_scheduler *ts = of(base);
	bool foreign = told_on(ts, runnable);
	jd_status status = JD_ECLOSED;

	jd_lock_acquire(&ts->lock);
	if (admits(ts, runnable))
		status = jd_test_queue_push_session(ts, runnable, session);
	jd_lock_release(&ts->lock);
	if (foreign)
		jd_test_foreign_notify(ts);
	return status;
}

/* One thread is as good as another here; only the label has to be asked for. */
static jd_status test_schedule_blocking(struct jd_scheduler *base, struct jd_runnable *runnable)
{
	struct jd_runnable_info info = {0};

	if (runnable->ops->describe)
		runnable->ops->describe(runnable, &info);
	return test_schedule_labeled(base, runnable, info.label);
}

jd_status jd_test_deprioritize(struct jd_test_scheduler *ts, jd_label label)
{
	if (!ts || !label)
		return JD_EINVAL;
	const struct jd_allocator *allocator = ts->base.allocator;
	size_t length = strlen(label) + 1;
	char *text = jd_memory_alloc(allocator, length, 1);
	jd_status status = JD_ENOMEM;

	if (!text)
		return JD_ENOMEM;
	memcpy(text, label, length);
	jd_lock_acquire(&ts->lock);
	char **labels =
		jd_memory_zalloc(allocator, ts->label_count + 1, sizeof(*labels), alignof(char *));

	if (labels && jd_test_queue_reserve(ts, &ts->deprioritized) == JD_OK) {
		if (ts->label_count)
			memcpy(labels, ts->labels, ts->label_count * sizeof(*labels));
		labels[ts->label_count] = text;
		char **old = ts->labels;

		ts->labels = labels;
		labels = old;
		jd_memory_free(allocator, old, ts->label_count++ * sizeof(*labels),
			       alignof(char *));
		status = JD_OK;
	} else {
		jd_memory_free(allocator, labels, (ts->label_count + 1) * sizeof(*labels),
			       alignof(char *));
	}
	jd_lock_release(&ts->lock);
	if (status != JD_OK)
		jd_memory_free(allocator, text, length, 1);
	return status;
}

/* --- Facts ------------------------------------------------------------------------------- */

static bool test_is_main_thread(struct jd_scheduler *base)
{
	struct jd_test_scheduler *ts = of(base);

	return jd_test_is_owner(ts) && ts->main;
}

static uint64_t test_now(struct jd_scheduler *base)
{
	return jd_test_clock_now(of(base));
}

uint64_t jd_test_seed(const struct jd_test_scheduler *ts)
{
	return ts->options.seed;
}

uint64_t jd_test_steps(const struct jd_test_scheduler *ts)
{
	return ts->steps;
}

void jd_test_allow_parking(struct jd_test_scheduler *ts)
{
	atomic_store_explicit(&ts->parking, 1, memory_order_relaxed);
}

void jd_test_forbid_parking(struct jd_test_scheduler *ts)
{
	atomic_store_explicit(&ts->parking, 0, memory_order_relaxed);
}

jd_status jd_test_set_block_ticks(struct jd_test_scheduler *ts, uint64_t min, uint64_t max)
{
	if (!ts || min > max)
		return JD_EINVAL;
	ts->ticks_min = min;
	ts->ticks_max = max;
	return JD_OK;
}

/* --- What happens to tasks --------------------------------------------------------------- */

/* Tells on other threads. The events that can only be seen beside a schedule are not told twice. */
static void foreign_event(struct jd_test_scheduler *ts, enum jd_event event,
			  const struct jd_task *task)
{
	struct jd_runnable_info info = {0};

	if (task) {
		info.id = jd_task_get_id(task);
		info.label = jd_task_get_label(task);
		info.site = jd_task_get_site(task);
	}
	if (event == JD_EVENT_WAKE)
		jd_test_foreign_check(ts, JD_TEST_FOREIGN_WAKE, &info);
	else if (event == JD_EVENT_WAKER_DROP)
		jd_test_foreign_check(ts, JD_TEST_FOREIGN_WAKER_DROP, &info);
	else if (event == JD_EVENT_UNPARK)
		jd_test_foreign_check(ts, JD_TEST_FOREIGN_UNPARK, &info);
}

/* A poll ended pending: now and then its task is woken for no reason. */
static void maybe_spurious(struct jd_test_scheduler *ts, struct jd_task *task)
{
	unsigned percent = ts->options.spurious_polls_percent;

	if (percent && jd_test_choice_ask(ts, JD_CHOICE_SPURIOUS, 100) < percent) {
		/* Running: the mark is seen, and the task queued, when its poll is over. */
		enum jd_task_next next = jd_task_state_wake(&task->state);

		JD_ASSERT(next != JD_TASK_SCHEDULE);
	}
}

static void own_event(struct jd_test_scheduler *ts, enum jd_event event, struct jd_task *task)
{
	unsigned what = JD_TEST_TRACE_EVENT + (unsigned)event;

	switch (event) {
	case JD_EVENT_SPAWN:
		jd_test_choice_trace(ts, what, jd_task_get_id(task));
		jd_test_choice_trace(ts, what, jd_test_choice_hash_text(jd_task_get_label(task)));
		break;
	case JD_EVENT_WAKE:
	case JD_EVENT_FINISH:
		jd_test_choice_trace(ts, what, jd_task_get_id(task));
		break;
	case JD_EVENT_PARKED:
		maybe_spurious(ts, task);
		break;
	case JD_EVENT_POLL:
	case JD_EVENT_WAKER_DROP:
	case JD_EVENT_UNPARK:
		break;
	}
}

static void on_event(struct jd_observer *self, enum jd_event event, struct jd_task *task)
{
	struct jd_test_scheduler *ts = jd_container_of(self, struct jd_test_scheduler, observer);

	if (JD_LIKELY(jd_test_is_owner(ts)))
		own_event(ts, event, task);
	else
		foreign_event(ts, event, task);
	if (ts->options.observer)
		ts->options.observer->event(ts->options.observer, event, task);
}

/* --- Life cycle -------------------------------------------------------------------------- */

static jd_status test_close(struct jd_scheduler *base)
{
	struct jd_test_scheduler *ts = of(base);
	jd_status status = JD_EALREADY;

	jd_test_foreign_check(ts, JD_TEST_FOREIGN_CLOSE, NULL);
	jd_lock_acquire(&ts->lock);
	if (ts->phase == JD_TEST_OPEN) {
		ts->phase = JD_TEST_CLOSED;
		status = JD_OK;
	}
	jd_lock_release(&ts->lock);
	return status;
}

/* One at a time, entered with no lock held: a cancel may cancel timers and drop tasks. */
static void cancel_all(struct jd_test_scheduler *ts)
{
	for (;;) {
		jd_lock_acquire(&ts->lock);
		struct jd_runnable *runnable = jd_test_queue_take_any(ts);

		if (!runnable)
			runnable = jd_test_clock_take_any(ts);
		jd_lock_release(&ts->lock);
		if (!runnable)
			return;
		jd_runnable_cancel(runnable);
	}
}

static jd_status test_shutdown(struct jd_scheduler *base)
{
	struct jd_test_scheduler *ts = of(base);

	if (!jd_test_is_owner(ts))
		return JD_EPERM;
	jd_lock_acquire(&ts->lock);
	bool down = ts->phase == JD_TEST_SHUTDOWN;
	bool inside = ts->depth || ts->frames;

	if (!inside)
		ts->phase = JD_TEST_SHUTDOWN;
	jd_lock_release(&ts->lock);
	if (down)
		return JD_EALREADY;
	if (inside)
		return JD_EDEADLK;
	atomic_store_explicit(&ts->ended, 1, memory_order_relaxed);
	jd_test_foreign_notify(ts);
	cancel_all(ts);
	jd_scheduler_cancel_tasks(base);
	return JD_OK;
}

static void test_free(struct jd_scheduler *base)
{
	struct jd_test_scheduler *ts = of(base);
	const struct jd_allocator *allocator = base->allocator;

	jd_fork_host_fini(&ts->forks);
	jd_test_choice_fini(ts);
	jd_test_clock_fini(ts);
	jd_test_queue_fini(ts);
	for (size_t i = 0; i < ts->label_count; i++)
		jd_memory_free(allocator, ts->labels[i], strlen(ts->labels[i]) + 1, 1);
	jd_memory_free(allocator, ts->labels, ts->label_count * sizeof(*ts->labels),
		       alignof(char *));
	jd_scheduler_fini(base);
	jd_memory_delete(allocator, ts, struct jd_test_scheduler);
}

static const struct jd_scheduler_ops test_ops = {
	.name = "test",
	.schedule = test_schedule,
	.schedule_labeled = test_schedule_labeled,
	.schedule_foreground = test_schedule_foreground,
	.schedule_blocking = test_schedule_blocking,
	.schedule_at = jd_test_clock_schedule_at,
	.cancel_timer = jd_test_clock_cancel,
	.park = jd_test_step_park,
	.unpark = jd_test_foreign_unpark,
	.is_main_thread = test_is_main_thread,
	.now = test_now,
	.close = test_close,
	.shutdown = test_shutdown,
	.dump = jd_test_report_dump,
	.free = test_free,
};

static void fill_options(struct jd_test_options *to, const struct jd_test_options *from)
{
	*to = from ? *from : (struct jd_test_options){0};
	if (!to->report)
		to->report = stderr;
	if (!to->max_steps)
		to->max_steps = JD_TEST_MAX_STEPS;
	if (!to->park_limit_ns)
		to->park_limit_ns = JD_TEST_PARK_LIMIT;
	if (!to->num_cpus)
		to->num_cpus = 4;
}

/* Another thread's forks depend on nothing but itself: nobody takes them. */
static uint64_t choose_fork(struct jd_fork_host *host, uint64_t n)
{
	struct jd_test_scheduler *ts = jd_container_of(host, struct jd_test_scheduler, forks);

	return jd_test_is_owner(ts) ? jd_test_choice_ask(ts, JD_CHOICE_FORK, n) : 0;
}

static jd_status init_parts(struct jd_test_scheduler *ts)
{
	ts->owner = jd_thread_self();
	ts->main = true;
	ts->base.num_cpus = ts->options.num_cpus;
	ts->observer.event = on_event;
	ts->base.observer = &ts->observer;
	ts->hash = UINT64_C(0x6a61636b64617721);
	atomic_init(&ts->clock, ts->options.start_ns);
	atomic_init(&ts->parking, ts->options.allow_parking);
	jd_wheel_init(&ts->timers.wheel, ts->base.allocator, ts->options.start_ns,
		      JD_TIMER_WHEEL_SHIFT);
	jd_status status = jd_test_queue_reserve(ts, &ts->background);

	if (status == JD_OK)
		status = jd_fork_host_init(&ts->forks, ts->base.allocator, JD_TEST_FORK_STACKS,
					   JD_FORK_SLOTS, NULL);
	if (status != JD_OK)
		return status;
	ts->forks.choose = choose_fork;
	ts->base.fork_host = &ts->forks;
	return jd_test_choice_init(ts);
}

jd_status jd_test_scheduler_new(const struct jd_test_options *options,
				struct jd_test_scheduler **out)
{
	struct jd_test_options filled;

	fill_options(&filled, options);
	if (!out || filled.spurious_polls_percent > 99 || filled.start_ns == JD_NEVER)
		return JD_EINVAL;
	const struct jd_allocator *allocator = filled.allocator ? filled.allocator
								: jd_allocator_default();
	struct jd_test_scheduler *ts = jd_memory_new(allocator, struct jd_test_scheduler);

	if (!ts)
		return JD_ENOMEM;
	jd_status status = jd_scheduler_init(&ts->base, &test_ops, allocator);

	if (status != JD_OK) {
		jd_memory_delete(allocator, ts, struct jd_test_scheduler);
		return status;
	}
	/* An id names the same task in every run. */
	jd_registry_make_serial(ts->base.registry);
	ts->options = filled;
	status = init_parts(ts);
	if (status != JD_OK) {
		jd_scheduler_release(&ts->base);
		return status;
	}
	*out = ts;
	return JD_OK;
}

struct jd_scheduler *jd_test_scheduler_base(struct jd_test_scheduler *ts)
{
	return ts ? &ts->base : NULL;
}

struct jd_test_scheduler *jd_test_scheduler_from(struct jd_scheduler *scheduler)
{
	return scheduler && scheduler->ops == &test_ops ? of(scheduler) : NULL;
}

jd_status jd_test_end(struct jd_test_scheduler *ts)
{
	if (!ts)
		return JD_OK;
	if (!jd_test_is_owner(ts) || ts->depth || ts->frames)
		return JD_EPERM;
	jd_status status = jd_test_check(ts);
	jd_status down = jd_test_report_finish(ts);

	return status == JD_OK ? down : status;
}
