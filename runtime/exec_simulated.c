/* exec_simulated.c - the form of an execution context for tests: slow and strict. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/exec_context.h>

#include <inttypes.h>

#include "runtime/memory.h"
#include "runtime/tuning.h"

struct simulated {
	struct jd_exec_context base;
	struct jd_exec_simulated_options options; /* I: defaults filled in */
};

static struct simulated *simulated_of(struct jd_exec_context *base)
{
	return jd_container_of(base, struct simulated, base);
}

static uint64_t simulated_latency(struct jd_exec_context *base, enum jd_exec_call call)
{
	(void)call;
	return simulated_of(base)->options.latency_ns;
}

static jd_status simulated_session_left(struct jd_exec_context *base, jd_exec_session session,
					const struct jd_exec_counts *counts)
{
	fprintf(simulated_of(base)->options.report,
		"jackdaw: session %" PRIu64 " was never validated: %" PRIu64
		" tasks running, %" PRIu64 " registered, %" PRIu64 " spawned\n",
		session, counts->running, counts->registered, counts->spawned);
	return JD_EBUSY;
}

static void simulated_free(struct jd_exec_context *base)
{
	const struct jd_allocator *allocator = base->scheduler->allocator;
	struct simulated *self = simulated_of(base);

	jd_exec_context_fini(base);
	jd_memory_delete(allocator, self, struct simulated);
}

jd_status jd_exec_simulated_new(struct jd_scheduler *scheduler,
				const struct jd_exec_simulated_options *options,
				struct jd_exec_context **context)
{
	static const struct jd_exec_context_ops ops = {
		.name = "simulated",
		.latency = simulated_latency,
		.session_left = simulated_session_left,
		.free = simulated_free,
	};

	if (!scheduler || !context)
		return JD_EINVAL;
	struct simulated *self = jd_memory_new(scheduler->allocator, struct simulated);

	if (!self)
		return JD_ENOMEM;
	if (options)
		self->options = *options;
	if (!self->options.latency_ns)
		self->options.latency_ns = JD_EXEC_LATENCY_NS;
	if (!self->options.report)
		self->options.report = stderr;
	jd_status status = jd_exec_context_init(&self->base, &ops, scheduler);

	if (status == JD_OK)
		*context = &self->base;
	else
		jd_memory_delete(scheduler->allocator, self, struct simulated);
	return status;
}
