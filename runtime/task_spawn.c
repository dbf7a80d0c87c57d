/* task_spawn.c - how a task is made and scheduled for the first time. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/memory.h"
#include "runtime/task.h"
#include "runtime/worker_wake.h"

/* What goes into a task: a future, perhaps in a wrapper of so many bytes. */
struct content {
	const struct jd_future *future;
	const struct jd_task_wrapper *wrapper; /* NULL: none */
	size_t wrapper_size;
};

size_t jd_task_size(size_t future_size, size_t result_size)
{
	return offsetof(struct jd_registry_entry, word) +
	       jd_task_block_size(future_size, result_size);
}

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

static inline bool spawn_valid(struct jd_scheduler *scheduler, const struct jd_future *future,
			       const struct jd_task_options *options)
{
	return scheduler && future && future->ops && future->ops->poll && options &&
	       future->ops->size >= sizeof(*future) &&
	       (options->kind == JD_TASK_BACKGROUND || options_valid(options));
}

/* --- Its memory ------------------------------------------------------------------------------- */

/*
 * By words as far as that goes: the state has just been written by words, and a wider load would
 * have to wait for these stores.
 */
static inline void copy_state(void *to, const void *from, size_t size)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if (JD_UNLIKELY(size % 8 != 0 || size > 64)) {
		memcpy(t, f, size);
		return;
	}
	switch (size / 8) {
	case 8:
		memcpy(t + 56, f + 56, 8);
		/* fall through */
	case 7:
		memcpy(t + 48, f + 48, 8);
		/* fall through */
	case 6:
		memcpy(t + 40, f + 40, 8);
		/* fall through */
	case 5:
		memcpy(t + 32, f + 32, 8);
		/* fall through */
	case 4:
		memcpy(t + 24, f + 24, 8);
		/* fall through */
	case 3:
		memcpy(t + 16, f + 16, 8);
		/* fall through */
	case 2:
		memcpy(t + 8, f + 8, 8);
		/* fall through */
	default:
		memcpy(t, f, 8);
	}
}

static void write_wrapped(struct jd_task *task, struct content content)
{
	const struct jd_future_ops *ops = content.future->ops;
	struct jd_task_wrapper *w = jd_task_get_wrapper(task);

	memcpy(w, content.wrapper, content.wrapper_size);
	memcpy(jd_task_wrapped(w, content.wrapper_size), content.future, ops->size);
	w->ops.drop_result = ops->drop_result;
	w->ops.size = jd_task_align(content.wrapper_size) + ops->size;
	w->ops.result_size = ops->result_size;
	w->base.ops = &w->ops;
	task->ops = &w->ops;
}

/* All that is new about a task in a block. Others may look at label, site and state: each_entry. */
static inline void write_task(struct jd_task *task, struct jd_scheduler *scheduler,
			      struct content content, const struct jd_task_options *options,
			      uint64_t state)
{
	task->runnable.ops = &jd_task_runnable_ops;
	task->runnable.flags = 0;
	task->runnable._reserved = 0;
	atomic_store_explicit(&task->state, state, memory_order_relaxed);
	task->scheduler = scheduler;
	/* order: (TK1) release - after the end of the block's last task; pairs with (TK2). */
	atomic_store_explicit(&task->label, options->label, memory_order_release);
	/* order: (TK3) release - as (TK1); pairs with (TK4). */
	atomic_store_explicit(&task->site, options->site, memory_order_release);
	if (content.wrapper) {
		write_wrapped(task, content);
	} else {
		task->ops = content.future->ops;
		copy_state(jd_task_future(task), content.future, content.future->ops->size);
	}
}

/* A task in a block from the lane; NULL: there was none. Owner of the lane. */
static inline struct jd_task *make_in_lane(struct jd_lane *lane, struct jd_slab_block *block,
					   unsigned units, struct content content,
					   const struct jd_task_options *options, uint64_t state)
{
	struct jd_task *task = (struct jd_task *)(void *)block;

	if (JD_UNLIKELY(!task))
		return NULL;
	write_task(task, lane->scheduler, content, options, state | jd_task_state_facts(0, units));
	jd_registry_begin(lane->tally, &task->word);
	jd_lane_retain(lane);
	return task;
}

/* A task in memory, and with an entry, of its own: few, large, or of a scheduler without lanes. */
static struct jd_task *make_alone(struct jd_scheduler *scheduler, size_t size,
				  struct content content, const struct jd_task_options *options,
				  uint64_t state)
{
	struct jd_registry_entry *entry = jd_memory_alloc(
		scheduler->allocator, offsetof(struct jd_registry_entry, word) + size,
		alignof(max_align_t));

	if (!entry)
		return NULL;
	struct jd_task *task = (struct jd_task *)(void *)&entry->word;

	memset(task, 0, sizeof(*task));
	if (options->kind == JD_TASK_FOREGROUND)
		task->runnable.session = options->session;
	write_task(task, scheduler, content, options,
		   state | jd_task_state_facts(options->kind, 0));
	jd_scheduler_retain(scheduler);
	jd_registry_insert(scheduler->registry, entry);
	return task;
}

/* The bytes of a task with this content; 0: more than there can be. */
static inline size_t size_with(struct content content)
{
	size_t size = content.future->ops->size, result_size = content.future->ops->result_size;

	if (JD_UNLIKELY((size | result_size) > SIZE_MAX / 8))
		return 0;
	if (content.wrapper)
		size += jd_task_align(content.wrapper_size);
	return jd_task_block_size(size, result_size);
}

/*
 * The content by its parts, because in memory it would be written by words and read by more. On a
 * thread that drives no worker, which holds a foreign lane afterwards, if it can have one.
 */
JD_NOINLINE static struct jd_task *
make_elsewhere(struct jd_scheduler *scheduler, const struct jd_future *future,
	       const struct jd_task_wrapper *wrapper, size_t wrapper_size,
	       const struct jd_task_options *options, uint64_t state)
{
	struct jd_foreign *foreign = scheduler->registry->foreign;
	struct content content = {future, wrapper, wrapper_size};
	size_t size = size_with(content);
	unsigned units = options->kind == JD_TASK_BACKGROUND ? jd_lane_units(size) : 0;

	if (!size)
		return NULL;
	struct jd_foreign_lane *held = units && foreign ? jd_foreign_enter(foreign) : NULL;

	if (!held)
		return make_alone(scheduler, size, content, options, state);
	return make_in_lane(&held->lane, jd_lane_take_far(&held->lane, units), units, content,
			    options, state);
}

/*
 * worker: the one the calling thread drives, or NULL; then jd_foreign_leave_any comes next. NULL:
 * no memory.
 */
static inline struct jd_task *make(struct jd_scheduler *scheduler, struct jd_worker *worker,
				   const struct jd_future *future,
				   const struct jd_task_wrapper *wrapper, size_t wrapper_size,
				   const struct jd_task_options *options, uint64_t state)
{
	struct content content = {future, wrapper, wrapper_size};
	struct jd_task *task = NULL;
	/* Of other kinds tasks are few, and end elsewhere. */
	unsigned units = worker && options->kind == JD_TASK_BACKGROUND
				 ? jd_lane_units(size_with(content))
				 : 0;

	if (JD_LIKELY(units))
		task = make_in_lane(&worker->lane, jd_lane_take(&worker->lane, units), units,
				    content, options, state);
	else
		task = make_elsewhere(scheduler, future, wrapper, wrapper_size, options, state);
	if (JD_LIKELY(task != NULL))
		jd_task_observe(task, JD_EVENT_SPAWN);
	return task;
}

/* --- Making ----------------------------------------------------------------------------------- */

jd_status jd_task_new(struct jd_scheduler *scheduler, struct jd_future *future,
		      const struct jd_task_options *options, struct jd_runnable **runnable,
		      struct jd_task **out)
{
	if (!runnable || !out || !spawn_valid(scheduler, future, options))
		return JD_EINVAL;
	struct jd_task *task = make(scheduler, jd_worker_here(scheduler), future, NULL, 0, options,
				    JD_TASK_STATE_NEW);

	jd_foreign_leave_any();
	if (!task)
		return JD_ENOMEM;
	*out = task;
	*runnable = &task->runnable;
	return JD_OK;
}

struct jd_task_wrapper *jd_task_get_wrapper(struct jd_task *task)
{
	return jd_container_of(jd_task_future(task), struct jd_task_wrapper, base);
}

struct jd_future *jd_task_wrapped(struct jd_task_wrapper *wrapper, size_t size)
{
	return (struct jd_future *)((char *)wrapper + jd_task_align(size));
}

jd_status jd_task_new_around(struct jd_scheduler *scheduler, const struct jd_task_wrapper *wrapper,
			     size_t size, struct jd_future *future,
			     const struct jd_task_options *options, bool handle,
			     struct jd_task **out)
{
	if (!spawn_valid(scheduler, future, options))
		return JD_EINVAL;
	uint64_t state = handle ? JD_TASK_STATE_NEW : JD_TASK_STATE_DETACHED;

	*out = make(scheduler, jd_worker_here(scheduler), future, wrapper, size, options,
		    state | JD_TASK_SHARED);
	jd_foreign_leave_any();
	return *out ? JD_OK : JD_ENOMEM;
}

/* --- Scheduling ------------------------------------------------------------------------------- */

jd_status jd_task_spawn(struct jd_scheduler *scheduler, struct jd_future *future,
			const struct jd_task_options *options, struct jd_task **out)
{
	if (JD_UNLIKELY(!spawn_valid(scheduler, future, options)))
		return JD_EINVAL;
	struct jd_worker *worker = jd_worker_here(scheduler);
	struct jd_task *task = make(scheduler, worker, future, NULL, 0, options,
				    out ? JD_TASK_STATE_NEW : JD_TASK_STATE_DETACHED);

	if (JD_UNLIKELY(!task)) {
		jd_foreign_leave_any();
		return JD_ENOMEM;
	}
	/* Without a handle the task may be gone as soon as it is queued. */
	jd_status status = JD_LIKELY(worker && options->kind == JD_TASK_BACKGROUND)
				   ? jd_worker_spawn(worker, &task->runnable)
				   : jd_task_schedule(task);

	if (!worker)
		jd_foreign_leave_any();
	if (JD_UNLIKELY(status != JD_OK))
		jd_task_abandon(task, out != NULL);
	else if (out)
		*out = task;
	return status;
}
