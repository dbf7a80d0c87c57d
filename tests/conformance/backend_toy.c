/* backend_toy.c - the smallest scheduler: one thread, one queue, made from include/ alone. */
/* SPDX-License-Identifier: Apache-2.0 */

/* It shows how little an implementation needs, and what callers get where one lacks something. */
#include "tests/conformance/backend.h"

struct toy {
	struct jd_scheduler base;
	struct jd_runnable *head, **tail;
	bool closed, stopped;
	unsigned depth; /* runnables that run now, one inside another */
	uint64_t now;   /* a look at the clock takes a microsecond, a wait for nothing no time */
};

static struct toy *toy_of(struct jd_scheduler *base)
{
	return jd_container_of(base, struct toy, base);
}

static jd_status toy_schedule(struct jd_scheduler *base, struct jd_runnable *runnable)
{
	struct toy *toy = toy_of(base);

	if (toy->stopped || (toy->closed && !(runnable->flags & JD_RUNNABLE_RESUME)))
		return JD_ECLOSED;
	runnable->next = NULL;
	*toy->tail = runnable;
	toy->tail = &runnable->next;
	return JD_OK;
}

static struct jd_runnable *pop(struct toy *toy)
{
	struct jd_runnable *runnable = toy->head;

	toy->head = runnable->next;
	if (!toy->head)
		toy->tail = &toy->head;
	return runnable;
}

static jd_status toy_park(struct jd_scheduler *base, struct jd_parker *parker, uint64_t deadline_ns)
{
	struct toy *toy = toy_of(base);

	while (!jd_parker_try(parker)) {
		if (toy->now >= deadline_ns)
			return JD_ETIMEDOUT;
		if (toy->head) {
			toy->depth++;
			jd_runnable_run(pop(toy), NULL);
			toy->depth--;
		} else if (deadline_ns == JD_NEVER) {
			return JD_EDEADLK;
		} else {
			toy->now = deadline_ns;
		}
	}
	return JD_OK;
}

static uint64_t toy_now(struct jd_scheduler *base)
{
	return toy_of(base)->now += JD_US;
}

static jd_status toy_close(struct jd_scheduler *base)
{
	bool was = toy_of(base)->closed;

	toy_of(base)->closed = true;
	return was ? JD_EALREADY : JD_OK;
}

static jd_status toy_shutdown(struct jd_scheduler *base)
{
	struct toy *toy = toy_of(base);

	if (toy->stopped || toy->depth)
		return toy->stopped ? JD_EALREADY : JD_EDEADLK;
	toy->closed = toy->stopped = true;
	while (toy->head)
		jd_runnable_cancel(pop(toy));
	jd_scheduler_cancel_tasks(base);
	return JD_OK;
}

static void toy_free(struct jd_scheduler *base)
{
	const struct jd_allocator *allocator = base->allocator;

	jd_scheduler_fini(base);
	allocator->free(allocator->ctx, toy_of(base), sizeof(struct toy), _Alignof(struct toy));
}

static jd_status toy_make(const struct conf_options *options, struct jd_scheduler **scheduler)
{
	static const struct jd_scheduler_ops ops = {
		.name = "toy",
		.schedule = toy_schedule,
		.park = toy_park,
		.now = toy_now,
		.close = toy_close,
		.shutdown = toy_shutdown,
		.free = toy_free,
	};
	const struct jd_allocator *a = options->allocator;
	struct toy *toy = a->alloc(a->ctx, sizeof(*toy), _Alignof(struct toy));

	if (!toy)
		return JD_ENOMEM;
	*toy = (struct toy){.tail = &toy->head};
	*scheduler = &toy->base;
	jd_status status = jd_scheduler_init(*scheduler, &ops, a);

	if (status != JD_OK)
		a->free(a->ctx, toy, sizeof(*toy), _Alignof(struct toy));
	return status;
}

const struct conf_backend conf_backend_toy = {
	.name = "toy", .has = CONF_DEADLOCK | CONF_CLOCK, .make = toy_make};
