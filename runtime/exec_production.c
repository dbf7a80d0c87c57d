/* exec_production.c - the form of an execution context for servers: it costs what is used. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/exec_context.h>

#include "runtime/id_set.h"
#include "runtime/memory.h"

struct production {
	struct jd_exec_context base;
	struct jd_id_set *running; /* I: ids of living tasks; NULL: not tracked */
};

static struct production *production_of(struct jd_exec_context *base)
{
	return jd_container_of(base, struct production, base);
}

static jd_status production_task_begins(struct jd_exec_context *base, jd_task_id id, void **mark)
{
	return jd_id_set_add(production_of(base)->running, id, (jd_id_slot **)mark);
}

static void production_task_ends(struct jd_exec_context *base, jd_task_id id, void *mark)
{
	(void)base;
	jd_id_set_remove(mark, id);
}

static bool production_is_task_running(struct jd_exec_context *base, jd_task_id id)
{
	return jd_id_set_contains(production_of(base)->running, id);
}

static void production_free(struct jd_exec_context *base)
{
	const struct jd_allocator *allocator = base->scheduler->allocator;
	struct production *self = production_of(base);

	jd_id_set_free(self->running);
	jd_exec_context_fini(base);
	jd_memory_delete(allocator, self, struct production);
}

jd_status jd_exec_production_new(struct jd_scheduler *scheduler,
				 const struct jd_exec_production_options *options,
				 struct jd_exec_context **context)
{
	static const struct jd_exec_context_ops plain = {
		.name = "production",
		.free = production_free,
	};
	static const struct jd_exec_context_ops tracking = {
		.name = "production",
		.task_begins = production_task_begins,
		.task_ends = production_task_ends,
		.is_task_running = production_is_task_running,
		.free = production_free,
	};

	if (!scheduler || !context)
		return JD_EINVAL;
	const struct jd_allocator *allocator = scheduler->allocator;
	bool track = options && options->track_tasks;
	struct production *self = jd_memory_new(allocator, struct production);
	jd_status status = self ? JD_OK : JD_ENOMEM;

	if (status == JD_OK && track)
		status = jd_id_set_new(allocator, options->tasks_expected, &self->running);
	if (status == JD_OK)
		status = jd_exec_context_init(&self->base, track ? &tracking : &plain, scheduler);
	if (status == JD_OK) {
		*context = &self->base;
	} else if (self) {
		jd_id_set_free(self->running);
		jd_memory_delete(allocator, self, struct production);
	}
	return status;
}
