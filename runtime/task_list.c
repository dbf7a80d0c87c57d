/* task_list.c - all tasks of a scheduler: listed, and cancelled at its end. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runnable.h"
#include "runtime/task.h"

struct each_arg {
	bool (*fn)(void *arg, const struct jd_runnable_info *info);
	void *arg;
};

static bool each_entry(void *arg, struct jd_registry_entry *entry)
{
	struct each_arg *each = arg;
	struct jd_task *task = jd_container_of(entry, struct jd_task, entry);
	/* order: (R9) acquire - the fields of this task; pairs with (R8). */
	uint64_t word = atomic_load_explicit(&entry->word, memory_order_acquire);
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
	if (!task->units)
		info.session = task->runnable.session;
	if (atomic_load_explicit(&entry->word, memory_order_relaxed) != word || word % 2 == 0)
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
static bool collect_entry(void *arg, struct jd_registry_entry *entry)
{
	struct jd_runnable **list = arg;
	struct jd_task *task = jd_container_of(entry, struct jd_task, entry);
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
