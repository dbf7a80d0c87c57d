/* probe.c - a future, and a waker, that count what happens to them. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/probe.h"

#define CHECK UINT64_C(0x5eed5eed5eed5eed)

static jd_status probe_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct probe_future *self = jd_container_of(future, struct probe_future, base);
	struct probe *probe = self->probe;
	jd_status status = JD_PENDING;

	if (probe_add(&probe->polling))
		probe_add(&probe->overlaps);
	if (!self->self)
		self->self = self;
	if (self->self != self || probe_get(&probe->drops))
		probe_add(&probe->overlaps);
	probe->task = context->task;
	probe->worker = context->worker;
	probe->scheduler = context->scheduler;
	if (probe_get(&probe->polls) >= probe->ready_after)
		status = probe->end;
	if (probe->keep_waker && status == JD_PENDING)
		jd_waker_store(&probe->waker, context->waker);
	probe_add(&probe->polls);
	if (probe->on_poll)
		probe->on_poll(probe, context);
	if (status == JD_OK && result)
		*(struct probe_result *)result = (struct probe_result){probe, CHECK};
	probe_sub(&probe->polling);
	return status;
}

static void probe_drop(struct jd_future *future)
{
	struct probe_future *self = jd_container_of(future, struct probe_future, base);

	if (probe_get(&self->probe->polling))
		probe_add(&self->probe->overlaps);
	probe_add(&self->probe->drops);
	if (self->probe->on_drop)
		self->probe->on_drop(self->probe);
}

static void probe_drop_result(void *result)
{
	struct probe_result *self = result;

	if (self->check == CHECK)
		probe_add(&self->probe->result_drops);
	self->check = 0;
}

static const struct jd_future_ops probe_ops = {
	.poll = probe_poll,
	.drop = probe_drop,
	.drop_result = probe_drop_result,
	.size = sizeof(struct probe_future),
	.result_size = sizeof(struct probe_result),
};

void probe_future_init(struct probe_future *self, struct probe *probe)
{
	*self = (struct probe_future){{&probe_ops}, probe, NULL};
}

bool probe_result_drop(struct probe_result *result)
{
	bool good = result->check == CHECK;

	probe_drop_result(result);
	return good;
}

static void waker_clone(void *data)
{
	struct probe_waker *self = data;

	probe_add(&self->refs);
	if (self->on_clone)
		self->on_clone(self);
}

static void waker_drop(void *data)
{
	struct probe_waker *self = data;

	probe_sub(&self->refs);
}

static void waker_wake_ref(void *data)
{
	struct probe_waker *self = data;

	probe_add(&self->wakes);
	if (self->on_wake)
		self->on_wake(self);
}

static void waker_wake(void *data)
{
	waker_wake_ref(data);
	waker_drop(data);
}

struct jd_waker probe_waker_get(struct probe_waker *self)
{
	static const struct jd_waker_ops ops = {waker_clone, waker_wake, waker_wake_ref,
						waker_drop};

	probe_add(&self->refs);
	return (struct jd_waker){&ops, self};
}
