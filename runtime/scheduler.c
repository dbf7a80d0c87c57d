/* scheduler.c - the part that every scheduler shares: checks, references, life cycle. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/scheduler.h>

#include <jackdaw/task.h>

#include "runtime/registry.h"

/* --- The base ------------------------------------------------------------------------------- */

static bool ops_complete(const struct jd_scheduler_ops *ops)
{
	return ops && ops->name && ops->schedule && ops->park && ops->now && ops->close &&
	       ops->shutdown && ops->free;
}

jd_status jd_scheduler_init(struct jd_scheduler *self, const struct jd_scheduler_ops *ops,
			    const struct jd_allocator *allocator)
{
	if (!self || !ops_complete(ops))
		return JD_EINVAL;
	*self = (struct jd_scheduler){
		.ops = ops,
		.allocator = allocator ? allocator : jd_allocator_default(),
		.num_cpus = 1,
	};
	atomic_init(&self->_refs, 1);
	return jd_registry_new(self->allocator, &self->registry);
}

void jd_scheduler_fini(struct jd_scheduler *self)
{
	JD_ASSERT(jd_registry_is_empty(self->registry));
	jd_registry_free(self->registry);
	self->registry = NULL;
}

struct jd_scheduler *jd_scheduler_retain(struct jd_scheduler *scheduler)
{
	atomic_fetch_add_explicit(&scheduler->_refs, 1, memory_order_relaxed);
	return scheduler;
}

void jd_scheduler_release(struct jd_scheduler *scheduler)
{
	if (!scheduler)
		return;
	/* order: (B1) acq_rel - all uses come before the free; pairs with (B1). */
	uint64_t old = atomic_fetch_sub_explicit(&scheduler->_refs, 1, memory_order_acq_rel);

	JD_ASSERT(old > 0);
	if (old == 1)
		scheduler->ops->free(scheduler);
}

jd_status jd_scheduler_destroy(struct jd_scheduler *scheduler)
{
	if (!scheduler)
		return JD_OK;
	jd_status status = scheduler->ops->shutdown(scheduler);

	if (status == JD_OK)
		jd_scheduler_release(scheduler);
	return status;
}

jd_status jd_scheduler_close(struct jd_scheduler *scheduler)
{
	return scheduler ? scheduler->ops->close(scheduler) : JD_EINVAL;
}

/* --- Scheduling ----------------------------------------------------------------------------- */

static bool runnable_valid(const struct jd_runnable *runnable)
{
	return runnable && runnable->ops && runnable->ops->run && runnable->ops->cancel;
}

jd_status jd_schedule(struct jd_scheduler *scheduler, struct jd_runnable *runnable)
{
	if (!scheduler || !runnable_valid(runnable))
		return JD_EINVAL;
	return scheduler->ops->schedule(scheduler, runnable);
}

jd_status jd_schedule_labeled(struct jd_scheduler *scheduler, struct jd_runnable *runnable,
			      jd_label label)
{
	if (!scheduler || !runnable_valid(runnable))
		return JD_EINVAL;
	if (!label || !scheduler->ops->schedule_labeled)
		return scheduler->ops->schedule(scheduler, runnable);
	return scheduler->ops->schedule_labeled(scheduler, runnable, label);
}

jd_status jd_schedule_foreground(struct jd_scheduler *scheduler, struct jd_runnable *runnable,
				 jd_session_id session)
{
	if (!scheduler || !runnable_valid(runnable) || !session)
		return JD_EINVAL;
	if (!scheduler->ops->schedule_foreground)
		return JD_ENOTSUP;
	return scheduler->ops->schedule_foreground(scheduler, runnable, session);
}

jd_status jd_schedule_blocking(struct jd_scheduler *scheduler, struct jd_runnable *runnable)
{
	if (!scheduler || !runnable_valid(runnable))
		return JD_EINVAL;
	if (!scheduler->ops->schedule_blocking)
		return JD_ENOTSUP;
	return scheduler->ops->schedule_blocking(scheduler, runnable);
}

jd_status jd_schedule_at(struct jd_scheduler *scheduler, struct jd_timer *timer,
			 struct jd_runnable *runnable, uint64_t deadline_ns)
{
	if (!scheduler || !timer || !runnable_valid(runnable))
		return JD_EINVAL;
	if (!scheduler->ops->schedule_at)
		return JD_ENOTSUP;
	return scheduler->ops->schedule_at(scheduler, timer, runnable, deadline_ns);
}

jd_status jd_schedule_after(struct jd_scheduler *scheduler, struct jd_timer *timer,
			    struct jd_runnable *runnable, uint64_t delay_ns)
{
	if (!scheduler || !timer || !runnable_valid(runnable))
		return JD_EINVAL;
	if (scheduler->ops->schedule_after)
		return scheduler->ops->schedule_after(scheduler, timer, runnable, delay_ns);
	return jd_schedule_at(scheduler, timer, runnable,
			      jd_deadline_after(jd_now(scheduler), delay_ns));
}

jd_status jd_cancel_timer(struct jd_scheduler *scheduler, struct jd_timer *timer)
{
	if (!scheduler || !timer)
		return JD_EINVAL;
	if (!scheduler->ops->cancel_timer)
		return JD_ENOTSUP;
	return scheduler->ops->cancel_timer(scheduler, timer);
}

/* --- Facts ---------------------------------------------------------------------------------- */

bool jd_is_main_thread(struct jd_scheduler *scheduler)
{
	return scheduler && scheduler->ops->is_main_thread &&
	       scheduler->ops->is_main_thread(scheduler);
}

uint64_t jd_now(struct jd_scheduler *scheduler)
{
	return scheduler->ops->now(scheduler);
}

unsigned jd_num_cpus(const struct jd_scheduler *scheduler)
{
	return scheduler->num_cpus;
}

jd_session_id jd_session_new(struct jd_scheduler *scheduler)
{
	return atomic_fetch_add_explicit(&scheduler->_next_session, 1, memory_order_relaxed) + 1;
}

bool jd_is_task_running(struct jd_scheduler *scheduler, jd_task_id id)
{
	return scheduler && jd_registry_contains(scheduler->registry, id);
}

uint64_t jd_scheduler_task_count(struct jd_scheduler *self)
{
	return jd_registry_count(self->registry);
}

static bool dump_task(void *arg, const struct jd_runnable_info *info)
{
	FILE *out = arg;

	fprintf(out, "  task %llu %s label=%s session=%llu at %s\n", (unsigned long long)info->id,
		info->state, info->label ? info->label : "-", (unsigned long long)info->session,
		info->site ? info->site : "?");
	return true;
}

void jd_dump(struct jd_scheduler *scheduler, FILE *out)
{
	if (!scheduler || !out)
		return;
	fprintf(out, "scheduler %s: %llu live tasks, %u cpus\n", scheduler->ops->name,
		(unsigned long long)jd_scheduler_task_count(scheduler), scheduler->num_cpus);
	if (scheduler->ops->dump)
		scheduler->ops->dump(scheduler, out);
	jd_scheduler_each_task(scheduler, dump_task, out);
}

/* --- Drain ---------------------------------------------------------------------------------- */

struct drain_future {
	struct jd_future base;
	struct jd_registry *registry;
	struct jd_registry_drainer drainer;
};

static jd_status drain_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct drain_future *self = jd_container_of(future, struct drain_future, base);

	(void)result;
	return jd_registry_drain_poll(self->registry, &self->drainer, context->waker);
}

jd_status jd_scheduler_drain(struct jd_scheduler *scheduler, uint64_t deadline_ns)
{
	static const struct jd_future_ops ops = {.poll = drain_poll,
						 .size = sizeof(struct drain_future)};

	if (!scheduler)
		return JD_EINVAL;
	struct drain_future future = {.base = {&ops}, .registry = scheduler->registry};
	uint64_t now = jd_now(scheduler);
	jd_status status;

	if (deadline_ns == JD_NEVER)
		status = jd_block(scheduler, &future.base, NULL);
	else
		status = jd_block_with_timeout(scheduler, &future.base,
					       deadline_ns > now ? deadline_ns - now : 0, NULL);
	jd_registry_drain_drop(scheduler->registry, &future.drainer);
	return status;
}
