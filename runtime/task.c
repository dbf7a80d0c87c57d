/* task.c - what happens to a task: run, wake, await, cancel, detach. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/task.h"

#include "runtime/memory.h"
#include "runtime/runnable.h"
#include "runtime/worker.h"

static const struct jd_waker_ops task_waker_ops;

static size_t align_up(size_t n)
{
	return (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

static struct jd_future *task_future(struct jd_task *task)
{
	return (struct jd_future *)((char *)task + align_up(sizeof(*task)));
}

static void *task_result(struct jd_task *task)
{
	return (char *)task_future(task) + align_up(task->ops->size);
}

size_t jd_task_size(size_t future_size, size_t result_size)
{
	return align_up(sizeof(struct jd_task)) + align_up(future_size) + result_size;
}

static jd_label task_label(const struct jd_task *task)
{
	return atomic_load_explicit(&task->label, memory_order_relaxed);
}

static void observe(struct jd_task *task, enum jd_event event)
{
	struct jd_observer *observer = task->scheduler->observer;

	if (JD_UNLIKELY(observer != NULL))
		observer->event(observer, event, task);
}

/* --- Ending --------------------------------------------------------------------------------- */

static void task_destroy(struct jd_task *task)
{
	struct jd_scheduler *scheduler = task->scheduler;

	jd_waker_drop(&task->awaiter);
	/* Not sooner: that may have been code of the user, which may block. */
	struct jd_lane *lane = jd_worker_lane(scheduler);
	unsigned units = task->units;

	if (!units)
		jd_memory_free(scheduler->allocator, task,
			       jd_task_size(task->ops->size, task->ops->result_size),
			       alignof(max_align_t));
	else if (!lane || !jd_lane_keep(lane, task, units))
		jd_task_discard(scheduler, task, units);
	if (lane)
		jd_lane_release(lane);
	else
		jd_scheduler_release(scheduler);
}

void jd_task_discard(struct jd_scheduler *scheduler, void *block, unsigned units)
{
	struct jd_task *task = block;

	jd_registry_discard(scheduler->registry, &task->entry);
	jd_memory_free(scheduler->allocator, block, (size_t)units * JD_LANE_UNIT,
		       alignof(max_align_t));
}

static void drop_result(struct jd_task *task)
{
	if (task->status == JD_OK && task->ops->drop_result)
		task->ops->drop_result(task_result(task));
}

/* Wakes the awaiter, if the slot is ours to empty; see invariant 4 of the state word. */
static void notify_awaiter(struct jd_task *task)
{
	if (!jd_task_state_notify_begin(&task->state))
		return;
	struct jd_waker waker = task->awaiter;

	task->awaiter = (struct jd_waker){0};
	jd_task_state_notify_end(&task->state);
	jd_waker_wake(&waker);
}

/*
 * Hands the runnable to the scheduler. It refuses only from shutdown on; then whoever shuts down
 * cancels the task, because futures must be dropped where the scheduler says, not here.
 * The caller keeps the scheduler alive during the call.
 */
static void task_schedule(struct jd_task *task, uint32_t flags)
{
	struct jd_scheduler *scheduler = task->scheduler;

	task->runnable.flags = JD_RUNNABLE_RESUME | flags;

	jd_status status = JD_ENOTSUP;

	switch ((enum jd_task_kind)task->kind) {
	case JD_TASK_BACKGROUND:
		status = task_label(task)
				 ? jd_schedule_labeled(scheduler, &task->runnable, task_label(task))
				 : scheduler->ops->schedule(scheduler, &task->runnable);
		break;
	case JD_TASK_FOREGROUND:
		status = jd_schedule_foreground(scheduler, &task->runnable, task->runnable.session);
		break;
	case JD_TASK_BLOCKING:
		status = jd_schedule_blocking(scheduler, &task->runnable);
		break;
	}
	if (JD_UNLIKELY(status != JD_OK))
		jd_registry_orphan(scheduler->registry, &task->runnable);
}

/* Does what a transition of the state word asked for, for one who may have held the last claim. */
static void task_follow(struct jd_task *task, enum jd_task_next next)
{
	if (next == JD_TASK_DESTROY) {
		task_destroy(task);
	} else if (next == JD_TASK_SCHEDULE) {
		/* Once it is queued, another thread may finish and free it, and its reference. */
		struct jd_scheduler *scheduler = jd_scheduler_retain(task->scheduler);

		task_schedule(task, 0);
		jd_scheduler_release(scheduler);
	} else if (JD_UNLIKELY(next == JD_TASK_MISUSED)) {
		JD_MISUSE("a waker or a handle of a task was dropped twice");
	}
}

static void task_unref(struct jd_task *task)
{
	task_follow(task, jd_task_state_unref(&task->state));
}

static void task_unregister(struct jd_task *task)
{
	struct jd_registry *registry = task->scheduler->registry;
	struct jd_lane *lane = jd_worker_lane(task->scheduler);

	if (!task->units)
		jd_registry_remove(registry, &task->entry);
	else if (lane)
		jd_registry_end(lane->tally, &task->entry);
	else
		jd_registry_end_elsewhere(registry, &task->entry);
}

/* After a task ended where its worker may turn to something else than tasks. */
static void check_empty(struct jd_scheduler *scheduler)
{
	struct jd_lane *lane = jd_worker_lane(scheduler);

	if (lane && lane->tally->unchecked)
		jd_registry_check(scheduler->registry, lane->tally);
}

/* The future goes, on the thread that holds the runnable. */
static void end_future(struct jd_task *task)
{
	jd_future_drop(task_future(task));
	observe(task, JD_EVENT_FINISH);
	task_unregister(task);
}

/* Ends a closed task whose runnable, and its reference, are the caller's. */
static void task_close(struct jd_task *task)
{
	end_future(task);
	uint64_t s = jd_task_state_clear(&task->state, JD_TASK_SCHEDULED | JD_TASK_RUNNING);

	if (s & (JD_TASK_AWAITER | JD_TASK_REGISTERING))
		notify_awaiter(task);
	task_unref(task);
}

/* --- The runnable --------------------------------------------------------------------------- */

static void task_finish(struct jd_task *task, jd_status status)
{
	task->status = status;
	end_future(task);
	/* Nobody can ask for the result, nobody waits: there is nothing to publish. */
	if (jd_task_state_sole(jd_task_state_load(&task->state))) {
		drop_result(task);
		task_destroy(task);
		return;
	}
	uint64_t s = jd_task_state_complete(&task->state);

	if (!(s & JD_TASK_HANDLE) || (s & JD_TASK_CLOSED))
		drop_result(task);
	if (s & (JD_TASK_AWAITER | JD_TASK_REGISTERING))
		notify_awaiter(task);
	task_unref(task);
}

static void task_pend(struct jd_task *task)
{
	observe(task, JD_EVENT_PARKED);
	uint64_t s = jd_task_state_pend(&task->state);

	if (s & JD_TASK_CLOSED)
		task_close(task);
	else if (s & JD_TASK_SCHEDULED)
		task_schedule(task, JD_RUNNABLE_YIELDED); /* who runs us is alive */
	else
		task_unref(task);
}

static void task_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct jd_task *task = jd_container_of(runnable, struct jd_task, runnable);

	uint64_t s = jd_task_state_begin(&task->state);

	if (JD_UNLIKELY(!jd_task_state_runnable(s)))
		JD_MISUSE("a task was run by one who does not own its runnable");
	if (s & JD_TASK_CLOSED) {
		task_close(task);
		return;
	}
	observe(task, JD_EVENT_POLL);

	/* Borrowed: the reference of the runnable is what its clones are counted from. */
	struct jd_waker waker = {&task_waker_ops, task};
	struct jd_context context = {
		.scheduler = task->scheduler, .waker = &waker, .task = task, .worker = worker};
	void *result = task->ops->result_size ? task_result(task) : NULL;
	jd_status status = jd_future_poll(task_future(task), &context, result);

	if (status == JD_PENDING)
		task_pend(task);
	else
		task_finish(task, status);
}

static void task_cancel_runnable(struct jd_runnable *runnable)
{
	struct jd_task *task = jd_container_of(runnable, struct jd_task, runnable);

	uint64_t s = jd_task_state_set(&task->state, JD_TASK_CLOSED);

	if (JD_UNLIKELY(!jd_task_state_runnable(s)))
		JD_MISUSE("a task was cancelled by one who does not own its runnable");
	struct jd_scheduler *scheduler = jd_scheduler_retain(task->scheduler);

	task_close(task);
	check_empty(scheduler);
	jd_scheduler_release(scheduler);
}

static void task_describe(const struct jd_runnable *runnable, struct jd_runnable_info *info)
{
	const struct jd_task *task = jd_container_of((struct jd_runnable *)(uintptr_t)runnable,
						     struct jd_task, runnable);

	*info = (struct jd_runnable_info){
		.id = jd_registry_entry_id(&task->entry),
		.label = task_label(task),
		.session = task->runnable.session,
		.site = jd_task_get_site(task),
		.state = jd_task_get_state(task),
	};
}

const struct jd_runnable_ops jd_task_runnable_ops = {
	.run = task_run,
	.cancel = task_cancel_runnable,
	.describe = task_describe,
};

void jd_task_prefetch(const struct jd_runnable *runnable)
{
	if (runnable->ops != &jd_task_runnable_ops)
		return;
	const struct jd_task *task = jd_container_of((struct jd_runnable *)(uintptr_t)runnable,
						     struct jd_task, runnable);

	JD_PREFETCH(task->entry.pprev);
	JD_PREFETCH(task->entry.next);
}

/* --- The waker ------------------------------------------------------------------------------ */

static void task_waker_clone(void *data)
{
	struct jd_task *task = data;

	if (jd_task_state_ref(&task->state) >= JD_TASK_REF_MAX)
		JD_MISUSE("a task has more wakers than can be counted: they are leaked");
}

static void task_waker_wake_ref(void *data)
{
	struct jd_task *task = data;

	observe(task, JD_EVENT_WAKE);
	if (jd_task_state_wake(&task->state) == JD_TASK_SCHEDULE)
		task_schedule(task, 0); /* the waker keeps task and scheduler alive */
}

static void task_waker_drop(void *data)
{
	struct jd_task *task = data;

	observe(task, JD_EVENT_WAKER_DROP);
	task_unref(task);
}

static void task_waker_wake(void *data)
{
	task_waker_wake_ref(data);
	task_unref(data);
}

static const struct jd_waker_ops task_waker_ops = {
	.clone = task_waker_clone,
	.wake = task_waker_wake,
	.wake_ref = task_waker_wake_ref,
	.drop = task_waker_drop,
};

/* --- The handle ----------------------------------------------------------------------------- */

/* Stores the waker for the end of the task, or wakes it when somebody is notifying right now. */
static void register_awaiter(struct jd_task *task, const struct jd_waker *waker)
{
	if (!jd_task_state_register_begin(&task->state)) {
		jd_waker_wake_ref(waker);
		return;
	}
	struct jd_waker old = task->awaiter;

	task->awaiter = jd_waker_clone(waker);
	if (!jd_task_state_register_end(&task->state)) {
		struct jd_waker missed = task->awaiter;

		task->awaiter = (struct jd_waker){0};
		jd_task_state_register_abort(&task->state);
		jd_waker_wake(&missed);
	}
	jd_waker_drop(&old);
}

/* Whether the future still exists although the task was closed; see invariant 2. */
static bool is_closing(uint64_t s)
{
	return s & (JD_TASK_SCHEDULED | JD_TASK_RUNNING);
}

jd_status jd_task_poll(struct jd_task *task, struct jd_context *context, void *result)
{
	if (!task || !context)
		return JD_EINVAL;
	if (task->taken)
		return JD_ECONSUMED;
	for (bool registered = false;; registered = true) {
		uint64_t s = jd_task_state_load(&task->state);

		if (s & JD_TASK_CLOSED) {
			if (!is_closing(s))
				return JD_ECANCELED;
		} else if (jd_task_state_take(&task->state)) {
			break;
		}
		if (registered)
			return JD_PENDING;
		register_awaiter(task, context->waker);
	}
	task->taken = true;
	if (task->status != JD_OK)
		return task->status;
	if (result)
		memcpy(result, task_result(task), task->ops->result_size);
	else
		drop_result(task);
	return JD_OK;
}

jd_status jd_task_cancel(struct jd_task *task)
{
	bool was_open;

	if (!task)
		return JD_EINVAL;
	/* The handle keeps task and scheduler alive while we schedule. */
	if (jd_task_state_cancel(&task->state, &was_open) == JD_TASK_SCHEDULE)
		task_schedule(task, 0);
	return was_open ? JD_OK : JD_EALREADY;
}

void jd_task_detach(struct jd_task *task)
{
	bool result;

	if (!task)
		return;
	enum jd_task_next next = jd_task_state_detach(&task->state, &result);

	if (result) {
		drop_result(task);
		next = jd_task_state_detach(&task->state, &result);
	}
	task_follow(task, next);
}

void jd_task_drop(struct jd_task *task)
{
	if (!task)
		return;
	jd_task_cancel(task);
	jd_task_detach(task);
}

/* --- Making --------------------------------------------------------------------------------- */

static bool options_valid(const struct jd_task_options *options)
{
	switch (options->kind) {
	case JD_TASK_BACKGROUND:
	case JD_TASK_BLOCKING:
		return true;
	case JD_TASK_FOREGROUND:
		return options->session != 0;
	}
	return false;
}

static bool spawn_valid(struct jd_scheduler *scheduler, const struct jd_future *future,
			const struct jd_task_options *options)
{
	return scheduler && future && future->ops && future->ops->poll && options &&
	       future->ops->size >= sizeof(*future) && options_valid(options);
}

/* The memory of a task, a reference on the scheduler, and what lasts as long as the memory. */
static struct jd_task *block_alloc(struct jd_scheduler *scheduler, size_t size,
				   enum jd_task_kind kind)
{
	struct jd_lane *lane = jd_worker_lane(scheduler);
	/* Of other kinds tasks are few, and end elsewhere. */
	unsigned units = lane && kind == JD_TASK_BACKGROUND ? jd_lane_units(size) : 0;
	struct jd_task *task = units ? jd_lane_take(lane, units) : NULL;

	if (!task) {
		task = jd_memory_alloc(scheduler->allocator,
				       units ? (size_t)units * JD_LANE_UNIT : size,
				       alignof(max_align_t));
		if (!task)
			return NULL;
		atomic_init(&task->entry.word, 0);
		task->units = (uint8_t)units;
	}
	if (lane)
		jd_lane_retain(lane);
	else
		jd_scheduler_retain(scheduler);
	task->scheduler = scheduler;
	return task;
}

/* All but the future and its ops. NULL: no memory. */
static struct jd_task *task_alloc(struct jd_scheduler *scheduler, size_t size, size_t result_size,
				  const struct jd_task_options *options, uint64_t state)
{
	if (size > SIZE_MAX / 4 || result_size > SIZE_MAX / 4)
		return NULL;
	struct jd_task *task =
		block_alloc(scheduler, jd_task_size(size, result_size), options->kind);

	if (!task)
		return NULL;
	/* Others may look at label, site and state: see each_entry. */
	task->runnable = (struct jd_runnable)JD_RUNNABLE_INIT(&jd_task_runnable_ops);
	task->runnable.session = options->kind == JD_TASK_FOREGROUND ? options->session : 0;
	atomic_store_explicit(&task->state, state, memory_order_relaxed);
	task->awaiter = (struct jd_waker){0};
	/* order: (TK1) release - after the end of the block's last task; pairs with (TK2). */
	atomic_store_explicit(&task->label, options->label, memory_order_release);
	/* order: (TK3) release - as (TK1); pairs with (TK4). */
	atomic_store_explicit(&task->site, options->site, memory_order_release);
	task->status = JD_OK;
	task->kind = (uint8_t)options->kind;
	task->taken = false;
	return task;
}

/* It is complete. */
static void task_begin(struct jd_task *task)
{
	struct jd_registry *registry = task->scheduler->registry;

	if (task->units)
		jd_registry_begin(registry, jd_worker_lane(task->scheduler)->tally, &task->entry);
	else
		jd_registry_insert(registry, &task->entry);
	observe(task, JD_EVENT_SPAWN);
}

static jd_status task_make(struct jd_scheduler *scheduler, struct jd_future *future,
			   const struct jd_task_options *options, uint64_t state,
			   struct jd_task **out)
{
	if (!spawn_valid(scheduler, future, options))
		return JD_EINVAL;
	const struct jd_future_ops *ops = future->ops;
	struct jd_task *task = task_alloc(scheduler, ops->size, ops->result_size, options, state);

	if (!task)
		return JD_ENOMEM;
	task->ops = ops;
	memcpy(task_future(task), future, ops->size);
	task_begin(task);
	*out = task;
	return JD_OK;
}

jd_status jd_task_new(struct jd_scheduler *scheduler, struct jd_future *future,
		      const struct jd_task_options *options, struct jd_runnable **runnable,
		      struct jd_task **out)
{
	if (!runnable || !out)
		return JD_EINVAL;
	jd_status status = task_make(scheduler, future, options, JD_TASK_STATE_NEW, out);

	if (status == JD_OK)
		*runnable = &(*out)->runnable;
	return status;
}

struct jd_task_wrapper *jd_task_get_wrapper(struct jd_task *task)
{
	return jd_container_of(task_future(task), struct jd_task_wrapper, base);
}

struct jd_future *jd_task_wrapped(struct jd_task_wrapper *wrapper, size_t size)
{
	return (struct jd_future *)((char *)wrapper + align_up(size));
}

jd_status jd_task_new_around(struct jd_scheduler *scheduler, const struct jd_task_wrapper *wrapper,
			     size_t size, struct jd_future *future,
			     const struct jd_task_options *options, bool handle,
			     struct jd_task **out)
{
	if (!spawn_valid(scheduler, future, options))
		return JD_EINVAL;
	const struct jd_future_ops *ops = future->ops;
	uint64_t state = handle ? JD_TASK_STATE_NEW : JD_TASK_STATE_DETACHED;

	if (ops->size > SIZE_MAX / 4)
		return JD_ENOMEM;
	struct jd_task *task = task_alloc(scheduler, align_up(size) + ops->size, ops->result_size,
					  options, state | JD_TASK_SHARED);

	if (!task)
		return JD_ENOMEM;
	struct jd_task_wrapper *w = jd_task_get_wrapper(task);

	memcpy(w, wrapper, size);
	memcpy(jd_task_wrapped(w, size), future, ops->size);
	w->ops.drop_result = ops->drop_result;
	w->ops.size = align_up(size) + ops->size;
	w->ops.result_size = ops->result_size;
	w->base.ops = &w->ops;
	task->ops = &w->ops;
	task_begin(task);
	*out = task;
	return JD_OK;
}

/* For a runnable that no scheduler took: the future stays the caller's. */
void jd_task_abandon(struct jd_task *task, bool handle)
{
	observe(task, JD_EVENT_FINISH);
	task_unregister(task);
	check_empty(task->scheduler);
	jd_task_state_set(&task->state, JD_TASK_CLOSED);
	jd_task_state_clear(&task->state, JD_TASK_SCHEDULED);
	if (handle)
		jd_task_detach(task);
	task_unref(task);
}

jd_status jd_task_first_schedule(struct jd_task *task)
{
	switch ((enum jd_task_kind)task->kind) {
	case JD_TASK_FOREGROUND:
		return jd_schedule_foreground(task->scheduler, &task->runnable,
					      task->runnable.session);
	case JD_TASK_BLOCKING:
		return jd_schedule_blocking(task->scheduler, &task->runnable);
	case JD_TASK_BACKGROUND:
		break;
	}
	return task_label(task)
		       ? jd_schedule_labeled(task->scheduler, &task->runnable, task_label(task))
		       : jd_schedule(task->scheduler, &task->runnable);
}

jd_status jd_task_spawn(struct jd_scheduler *scheduler, struct jd_future *future,
			const struct jd_task_options *options, struct jd_task **out)
{
	struct jd_task *task;
	jd_status status = task_make(scheduler, future, options,
				     out ? JD_TASK_STATE_NEW : JD_TASK_STATE_DETACHED, &task);

	if (status != JD_OK)
		return status;
	/* Without a handle the task may be gone as soon as it is queued. */
	status = jd_task_first_schedule(task);
	if (status != JD_OK)
		jd_task_abandon(task, out != NULL);
	else if (out)
		*out = task;
	return status;
}

/* --- Looking -------------------------------------------------------------------------------- */

bool jd_task_is_finished(const struct jd_task *task)
{
	return !jd_task_state_open(jd_task_state_load(&task->state));
}

jd_task_id jd_task_get_id(const struct jd_task *task)
{
	return jd_registry_entry_id(&task->entry);
}

jd_label jd_task_get_label(const struct jd_task *task)
{
	return task_label(task);
}

jd_session_id jd_task_get_session(const struct jd_task *task)
{
	return task->runnable.session;
}

const char *jd_task_get_site(const struct jd_task *task)
{
	return atomic_load_explicit(&task->site, memory_order_relaxed);
}

struct jd_scheduler *jd_task_get_scheduler(const struct jd_task *task)
{
	return task->scheduler;
}

const char *jd_task_get_state(const struct jd_task *task)
{
	uint64_t s = jd_task_state_load(&task->state);

	if (s & JD_TASK_COMPLETED)
		return "done";
	if (s & JD_TASK_CLOSED)
		return is_closing(s) ? "closing" : "done";
	if (s & JD_TASK_RUNNING)
		return "running";
	return s & JD_TASK_SCHEDULED ? "scheduled" : "waiting";
}
