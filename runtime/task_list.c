/* task_list.c - looking at tasks: one; all of a scheduler, listed or cancelled at its end. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runnable.h"
#include "runtime/task.h"

/* --- One task --------------------------------------------------------------------------------- */

bool jd_task_is_finished(const struct jd_task *task)
{
	return !jd_task_state_open(jd_task_state_load(&task->state));
}

jd_task_id jd_task_get_id(const struct jd_task *task)
{
	return jd_task_word_id(&task->word);
}

jd_label jd_task_get_label(const struct jd_task *task)
{
	return atomic_load_explicit(&task->label, memory_order_relaxed);
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
		return jd_task_state_closing(s) ? "closing" : "done";
	if (s & JD_TASK_RUNNING)
		return "running";
	return s & JD_TASK_SCHEDULED ? "scheduled" : "waiting";
}

/* --- All of them ------------------------------------------------------------------------------ */

struct each_arg {
	bool (*fn)(void *arg, const struct jd_runnable_info *info);
	void *arg;
};

static bool each_entry(void *arg, struct jd_task_word *entry)
{
	struct each_arg *each = arg;
	struct jd_task *task = jd_container_of(entry, struct jd_task, word);
	/* order: (R9) acquire - the fields of this task; pairs with (R8). */
	uint64_t word = atomic_load_explicit(&entry->bits, memory_order_acquire);
	struct jd_runnable_info info = {
		.id = word / 2,
		/* order: (TK2) acquire - a later one tells that word has changed; pairs with (TK1).
		 */
		.label = atomic_load_explicit(&task->label, memory_order_acquire),
		/* order: (TK4) acquire - as (TK2); pairs with (TK3). */
		.site = atomic_load_explicit(&task->site, memory_order_acquire),
		.state = jd_task_get_state(task),
	};

	/* A block that may be recycled meanwhile holds background tasks only. */
	if (!jd_task_state_units(jd_task_state_peek(&task->state)))
		info.session = task->runnable.session;
	if (atomic_load_explicit(&entry->bits, memory_order_relaxed) != word || word % 2 == 0)
		return true; /* it ended, or never was while we looked */
	return each->fn(each->arg, &info);
}

void jd_scheduler_each_task(struct jd_scheduler *self,
			    bool (*fn)(void *arg, const struct jd_runnable_info *info), void *arg)
{
	struct each_arg each = {fn, arg};

	jd_registry_each(self->registry, each_entry, &each);
}

/* Closes a waiting task and collects its runnable; the others come by themselves. */
static bool collect_entry(void *arg, struct jd_task_word *entry)
{
	struct jd_runnable **list = arg;
	struct jd_task *task = jd_container_of(entry, struct jd_task, word);
	bool was_open;

	if (jd_task_state_cancel(&task->state, &was_open) == JD_TASK_SCHEDULE) {
		task->runnable.next = *list;
		*list = &task->runnable;
	}
	return true;
}

void jd_scheduler_cancel_tasks(struct jd_scheduler *self)
{
	struct jd_runnable *waiting = NULL;

	jd_registry_each(self->registry, collect_entry, &waiting);
	jd_runnable_cancel_list(waiting);
	/*
	 * What is left is in the hands of threads that are about to schedule it and will be
	 * refused. A drop above may have closed others; they come the same way.
	 */
	while (!jd_registry_is_empty(self->registry))
		jd_runnable_cancel_list(jd_registry_take_orphans(self->registry, true));
}
