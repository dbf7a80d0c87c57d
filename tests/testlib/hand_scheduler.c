/* hand_scheduler.c - a scheduler whose queue a test empties by hand; counts what it is asked. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/hand_scheduler.h"

#include <stdlib.h>

#include "platform/platform.h"

static struct hand_scheduler *hand(struct jd_scheduler *base)
{
	return jd_container_of(base, struct hand_scheduler, base);
}

static jd_status take(struct hand_scheduler *self, struct jd_runnable *runnable, unsigned *kind)
{
	pthread_mutex_lock(&self->lock);
	if (self->refuse != JD_OK || self->stopped ||
	    (self->closed && !(runnable->flags & JD_RUNNABLE_RESUME))) {
		jd_status refuse = self->refuse != JD_OK ? self->refuse : JD_ECLOSED;

		pthread_mutex_unlock(&self->lock);
		return refuse;
	}
	self->scheds++;
	if (kind)
		++*kind;
	self->flags = runnable->flags;
	if (self->on_schedule) {
		pthread_mutex_unlock(&self->lock);
		self->on_schedule(self, runnable);
		/* The hook may have released everything but this call's hold. */
		pthread_mutex_lock(&self->lock);
		self->after_hook++;
	} else {
		runnable->next = NULL;
		*self->tail = runnable;
		self->tail = &runnable->next;
		self->queued++;
	}
	pthread_mutex_unlock(&self->lock);
	return JD_OK;
}

static jd_status hand_schedule(struct jd_scheduler *base, struct jd_runnable *runnable)
{
	return take(hand(base), runnable, NULL);
}

static jd_status hand_schedule_labeled(struct jd_scheduler *base, struct jd_runnable *runnable,
				       jd_label label)
{
	hand(base)->label = label;
	return take(hand(base), runnable, &hand(base)->labeled);
}

static jd_status hand_schedule_foreground(struct jd_scheduler *base, struct jd_runnable *runnable,
					  jd_session_id session)
{
	runnable->session = session;
	hand(base)->session = session;
	return take(hand(base), runnable, &hand(base)->foreground);
}

static jd_status hand_schedule_blocking(struct jd_scheduler *base, struct jd_runnable *runnable)
{
	return take(hand(base), runnable, &hand(base)->blocking);
}

static jd_status hand_schedule_at(struct jd_scheduler *base, struct jd_timer *timer,
				  struct jd_runnable *runnable, uint64_t deadline_ns)
{
	(void)base;
	(void)timer;
	(void)runnable;
	(void)deadline_ns;
	return JD_ENOTSUP;
}

static jd_status hand_cancel_timer(struct jd_scheduler *base, struct jd_timer *timer)
{
	(void)base;
	(void)timer;
	return JD_EALREADY;
}

static jd_status hand_park(struct jd_scheduler *base, struct jd_parker *parker,
			   uint64_t deadline_ns)
{
	struct hand_scheduler *self = hand(base);

	for (;;) {
		if (jd_parker_try(parker))
			return JD_OK;
		if (jd_clock_now() >= deadline_ns)
			return JD_ETIMEDOUT;
		if (hand_run(self))
			continue;
		return self->no_sleep ? JD_EDEADLK : jd_parker_sleep(parker, deadline_ns);
	}
}

static bool hand_is_main_thread(struct jd_scheduler *base)
{
	(void)base;
	return false;
}

static uint64_t hand_now(struct jd_scheduler *base)
{
	(void)base;
	return jd_clock_now();
}

static jd_status hand_close(struct jd_scheduler *base)
{
	struct hand_scheduler *self = hand(base);

	pthread_mutex_lock(&self->lock);
	bool was = self->closed;

	self->closed = true;
	pthread_mutex_unlock(&self->lock);
	return was ? JD_EALREADY : JD_OK;
}

static jd_status hand_shutdown(struct jd_scheduler *base)
{
	struct hand_scheduler *self = hand(base);
	struct jd_runnable *runnable;

	pthread_mutex_lock(&self->lock);
	bool was = self->stopped;

	self->closed = self->stopped = true;
	pthread_mutex_unlock(&self->lock);
	if (was)
		return JD_EALREADY;
	while ((runnable = hand_pop(self)))
		jd_runnable_cancel(runnable);
	jd_scheduler_cancel_tasks(base);
	return JD_OK;
}

static void hand_dump(struct jd_scheduler *base, FILE *out)
{
	fprintf(out, "hand: %u queued\n", hand_queued(hand(base)));
}

static void hand_free(struct jd_scheduler *base)
{
	struct hand_scheduler *self = hand(base);

	if (self->freed)
		atomic_fetch_add_explicit(self->freed, 1, memory_order_relaxed);
	jd_scheduler_fini(base);
	pthread_mutex_destroy(&self->lock);
	free(self);
}

static const struct jd_scheduler_ops hand_ops = {
	.name = "hand",
	.schedule = hand_schedule,
	.schedule_labeled = hand_schedule_labeled,
	.schedule_foreground = hand_schedule_foreground,
	.schedule_blocking = hand_schedule_blocking,
	.schedule_at = hand_schedule_at,
	.cancel_timer = hand_cancel_timer,
	.park = hand_park,
	.is_main_thread = hand_is_main_thread,
	.now = hand_now,
	.close = hand_close,
	.shutdown = hand_shutdown,
	.dump = hand_dump,
	.free = hand_free,
};

struct hand_scheduler *hand_new(struct count_allocator *memory)
{
	struct hand_scheduler *self = calloc(1, sizeof(*self));

	if (!self || pthread_mutex_init(&self->lock, NULL) ||
	    jd_scheduler_init(&self->base, &hand_ops, &memory->base) != JD_OK)
		jd_panic("TEST", "cannot make a hand scheduler", __FILE__, __LINE__);
	self->memory = memory;
	self->tail = &self->head;
	return self;
}

void hand_destroy(struct hand_scheduler *self)
{
	JD_ASSERT(jd_scheduler_destroy(&self->base) == JD_OK);
}

struct jd_runnable *hand_pop(struct hand_scheduler *self)
{
	pthread_mutex_lock(&self->lock);
	struct jd_runnable *runnable = self->head;

	if (runnable) {
		self->head = runnable->next;
		if (!self->head)
			self->tail = &self->head;
		self->queued--;
	}
	pthread_mutex_unlock(&self->lock);
	return runnable;
}

bool hand_run(struct hand_scheduler *self)
{
	struct jd_runnable *runnable = hand_pop(self);

	if (runnable)
		jd_runnable_run(runnable, NULL);
	return runnable;
}

unsigned hand_run_all(struct hand_scheduler *self)
{
	unsigned n = 0;

	while (hand_run(self))
		n++;
	return n;
}

unsigned hand_queued(struct hand_scheduler *self)
{
	pthread_mutex_lock(&self->lock);
	unsigned n = self->queued;

	pthread_mutex_unlock(&self->lock);
	return n;
}

unsigned hand_scheds(struct hand_scheduler *self)
{
	pthread_mutex_lock(&self->lock);
	unsigned n = self->scheds;

	pthread_mutex_unlock(&self->lock);
	return n;
}
