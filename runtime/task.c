/* task.c - what happens to a task: run, wake, await, cancel, detach. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/task.h"

#include "runtime/memory.h"
#include "runtime/runnable.h"
#include "runtime/worker.h"

static const struct jd_waker_ops task_waker_ops;

static jd_label task_label(const struct jd_task *task)
{
	return atomic_load_explicit(&task->label, memory_order_relaxed);
}

static jd_status task_status(const struct jd_task *task)
{
	return (jd_status)(int32_t)task->runnable._reserved;
}

/* --- Ending --------------------------------------------------------------------------------- */

/* By a thread that drives no worker: into a lane for such, or home. */
static void keep_elsewhere(struct jd_scheduler *scheduler, void *ptr, unsigned units)
{
	struct jd_foreign_lane *foreign = jd_foreign_enter(scheduler->registry->foreign);
	struct jd_slab_block *block = ptr;

	if (foreign) {
		jd_lane_keep(&foreign->lane, block, units);
		jd_lane_release(&foreign->lane);
		jd_foreign_leave(foreign);
		return;
	}
	block->next = NULL;
	block->ahead = NULL;
	jd_slabs_give_home(scheduler->registry->slabs, block);
	jd_scheduler_release(scheduler);
}

/* A block that is not a worker's to keep. */
JD_NOINLINE static void free_elsewhere(struct jd_task *task, unsigned units, struct jd_lane *lane)
{
	struct jd_scheduler *scheduler = task->scheduler;

	if (units) {
		keep_elsewhere(scheduler, task, units);
		return;
	}
	jd_memory_free(scheduler->allocator, jd_task_entry(task),
		       jd_task_size(task->ops->size, task->ops->result_size), alignof(max_align_t));
	if (lane)
		jd_lane_release(lane);
	else
		jd_scheduler_release(scheduler);
}

/* The memory and the reference on the scheduler go. The awaiter is empty. */
static inline void task_free(struct jd_task *task, struct jd_lane *lane)
{
	unsigned units = jd_task_state_units(jd_task_state_peek(&task->state));

	if (JD_UNLIKELY(!lane || !units)) {
		free_elsewhere(task, units, lane);
		return;
	}
	jd_lane_keep(lane, task, units);
	jd_lane_release(lane);
}

static void task_destroy(struct jd_task *task)
{
	jd_waker_drop(&task->awaiter);
	/* Not sooner: that may have been code of the user, which may block. */
	task_free(task, jd_worker_lane(task->scheduler));
}

static void drop_result(struct jd_task *task)
{
	if (task_status(task) == JD_OK && task->ops->drop_result)
		task->ops->drop_result(jd_task_result(task));
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
JD_NOINLINE static void task_schedule(struct jd_task *task, uint32_t flags)
{
	struct jd_scheduler *scheduler = task->scheduler;

	task->runnable.flags = JD_RUNNABLE_RESUME | flags;

	jd_status status = jd_task_schedule(task);

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

static inline void task_unregister(struct jd_task *task, struct jd_lane *lane)
{
	if (JD_UNLIKELY(!jd_task_state_units(jd_task_state_peek(&task->state))))
		jd_registry_remove(task->scheduler->registry, jd_task_entry(task));
	else if (JD_LIKELY(lane != NULL))
		jd_registry_end(lane->tally, &task->word);
	else
		jd_registry_end_elsewhere(task->scheduler->registry, &task->word);
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
	jd_future_drop(jd_task_future(task));
	jd_task_observe(task, JD_EVENT_FINISH);
	task_unregister(task, jd_worker_lane(task->scheduler));
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

/* The slot is ours to empty; so is the reference, which goes with it. */
static void wake_awaiter(struct jd_task *task)
{
	struct jd_waker waker = task->awaiter;

	task->awaiter = (struct jd_waker){0};
	enum jd_task_next next = jd_task_state_notified(&task->state);

	jd_waker_wake(&waker);
	task_follow(task, next);
}

static void task_finish(struct jd_task *task, jd_status status)
{
	jd_future_drop(jd_task_future(task));
	jd_task_observe(task, JD_EVENT_FINISH);
	task->runnable._reserved = (uint32_t)status;
	struct jd_lane *lane = jd_worker_lane(task->scheduler);

	task_unregister(task, lane);
	/* Nobody can ask for the result, nobody waits: there is nothing to publish. */
	if (jd_task_state_sole(jd_task_state_load(&task->state))) {
		if (JD_UNLIKELY(task->ops->drop_result != NULL)) {
			drop_result(task);
			lane = jd_worker_lane(task->scheduler);
		}
		task_free(task, lane);
		return;
	}
	switch (jd_task_state_complete(&task->state)) {
	case JD_TASK_END_DONE:
		return;
	case JD_TASK_END_WAKE:
		wake_awaiter(task);
		return;
	case JD_TASK_END_RESULT:
		drop_result(task);
		break;
	case JD_TASK_END_MORE:
		break;
	}
	if (jd_task_state_load(&task->state) & (JD_TASK_AWAITER | JD_TASK_REGISTERING))
		notify_awaiter(task);
	task_unref(task);
}

static void task_pend(struct jd_task *task)
{
	enum jd_task_next next;

	jd_task_observe(task, JD_EVENT_PARKED);
	uint64_t s = jd_task_state_pend(&task->state, &next);

	if (s & JD_TASK_CLOSED)
		task_close(task);
	else if (s & JD_TASK_SCHEDULED)
		task_schedule(task, JD_RUNNABLE_YIELDED); /* who runs us is alive */
	else if (JD_UNLIKELY(next != JD_TASK_NOTHING))
		task_follow(task, next);
}

static void task_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct jd_task *task = jd_container_of(runnable, struct jd_task, runnable);

	uint64_t s = jd_task_state_begin(&task->state);

	if (JD_UNLIKELY(!jd_task_state_polls(s))) {
		if (!jd_task_state_runnable(s))
			JD_MISUSE("a task was run by one who does not own its runnable");
		task_close(task);
		return;
	}
	jd_task_observe(task, JD_EVENT_POLL);

	/* Borrowed: the reference of the runnable is what its clones are counted from. */
	struct jd_waker waker = {&task_waker_ops, task};
	struct jd_context context = {
		.scheduler = task->scheduler, .waker = &waker, .task = task, .worker = worker};
	void *result = task->ops->result_size ? jd_task_result(task) : NULL;
	jd_status status = jd_future_poll(jd_task_future(task), &context, result);

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
		.id = jd_task_word_id(&task->word),
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
	struct jd_task *task = jd_container_of((struct jd_runnable *)(uintptr_t)runnable,
					       struct jd_task, runnable);

	if (jd_task_state_units(jd_task_state_peek(&task->state)))
		return;
	JD_PREFETCH(jd_task_entry(task)->pprev);
	JD_PREFETCH(jd_task_entry(task)->next);
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

	jd_task_observe(task, JD_EVENT_WAKE);
	if (jd_task_state_wake(&task->state) == JD_TASK_SCHEDULE)
		task_schedule(task, 0); /* the waker keeps task and scheduler alive */
}

static void task_waker_drop(void *data)
{
	struct jd_task *task = data;

	jd_task_observe(task, JD_EVENT_WAKER_DROP);
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

jd_status jd_task_poll(struct jd_task *task, struct jd_context *context, void *result)
{
	if (!task || !context)
		return JD_EINVAL;
	for (bool registered = false;; registered = true) {
		uint64_t s = jd_task_state_load(&task->state);

		if (s & JD_TASK_TAKEN)
			return JD_ECONSUMED;
		if (s & JD_TASK_CLOSED) {
			if (!jd_task_state_closing(s))
				return JD_ECANCELED;
		} else if (jd_task_state_take(&task->state)) {
			break;
		}
		if (registered)
			return JD_PENDING;
		register_awaiter(task, context->waker);
	}
	if (task_status(task) != JD_OK)
		return task_status(task);
	if (result)
		memcpy(result, jd_task_result(task), task->ops->result_size);
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

/* For a runnable that no scheduler took: the future stays the caller's. */
void jd_task_abandon(struct jd_task *task, bool handle)
{
	jd_task_observe(task, JD_EVENT_FINISH);
	task_unregister(task, jd_worker_lane(task->scheduler));
	check_empty(task->scheduler);
	jd_task_state_set(&task->state, JD_TASK_CLOSED);
	jd_task_state_clear(&task->state, JD_TASK_SCHEDULED);
	if (handle)
		jd_task_detach(task);
	task_unref(task);
}
