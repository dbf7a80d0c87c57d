/* crank.c - a scheduler that does nothing by itself: the test turns the crank. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/crank.h"

#include <limits.h>
#include <stdlib.h>

#include "platform/compiler.h"

static struct crank *crank_of(struct jd_scheduler *self)
{
	return jd_container_of(self, struct crank, base);
}

/* --- Memory ---------------------------------------------------------------------------------- */

static void *counted_alloc(void *ctx, size_t size, size_t align)
{
	struct crank *crank = ctx;

	JD_ASSERT(align <= _Alignof(max_align_t) || (align & (align - 1)) == 0);
	if (crank->fail_after == 0)
		return NULL;
	if (crank->fail_after != UINT_MAX)
		crank->fail_after--;
	void *ptr = jd_allocator_default()->alloc(NULL, size, align);

	crank->allocated += ptr != NULL;
	return ptr;
}

static void counted_free(void *ctx, void *ptr, size_t size, size_t align)
{
	struct crank *crank = ctx;

	crank->allocated--;
	jd_allocator_default()->free(NULL, ptr, size, align);
}

/* --- The operations -------------------------------------------------------------------------- */

static jd_status crank_schedule(struct jd_scheduler *self, struct jd_runnable *runnable)
{
	struct crank *crank = crank_of(self);

	if (crank->closed)
		return JD_ECLOSED;
	runnable->next = NULL;
	*crank->tail = runnable;
	crank->tail = &runnable->next;
	return JD_OK;
}

static void timer_unlink(struct crank *crank, struct jd_timer *timer)
{
	struct jd_timer **link = &crank->timers;

	while (*link != timer)
		link = &(*link)->_next;
	*link = timer->_next;
	atomic_store_explicit(&timer->_cell, NULL, memory_order_relaxed);
	crank->armed--;
}

static jd_status crank_schedule_at(struct jd_scheduler *self, struct jd_timer *timer,
				   struct jd_runnable *runnable, uint64_t deadline_ns)
{
	struct crank *crank = crank_of(self);

	if (crank->closed)
		return JD_ECLOSED;
	if (crank->refuse_timers != JD_OK)
		return crank->refuse_timers;
	if (atomic_load_explicit(&timer->_cell, memory_order_relaxed))
		return JD_EBUSY;
	timer->_runnable = runnable;
	timer->_deadline_ns = deadline_ns;
	timer->_next = crank->timers;
	crank->timers = timer;
	atomic_store_explicit(&timer->_cell, crank, memory_order_relaxed);
	crank->armed++;
	return JD_OK;
}

static jd_status crank_cancel_timer(struct jd_scheduler *self, struct jd_timer *timer)
{
	if (!atomic_load_explicit(&timer->_cell, memory_order_relaxed))
		return JD_EALREADY;
	timer_unlink(crank_of(self), timer);
	return JD_OK;
}

static struct jd_timer *earliest(struct crank *crank)
{
	struct jd_timer *best = crank->timers;

	for (struct jd_timer *t = best; t; t = t->_next) {
		if (t->_deadline_ns <= best->_deadline_ns)
			best = t;
	}
	return best;
}

static jd_status crank_park(struct jd_scheduler *self, struct jd_parker *parker, uint64_t deadline)
{
	struct crank *crank = crank_of(self);

	while (!jd_parker_try(parker)) {
		if (crank_step(crank))
			continue;
		struct jd_timer *next = earliest(crank);
		uint64_t at = next ? next->_deadline_ns : JD_NEVER;

		if (at == JD_NEVER && deadline == JD_NEVER)
			return JD_EDEADLK;
		crank_advance(crank, at < deadline ? at : deadline);
		if (at > deadline)
			return jd_parker_try(parker) ? JD_OK : JD_ETIMEDOUT;
	}
	return JD_OK;
}

static uint64_t crank_now(struct jd_scheduler *self)
{
	return crank_of(self)->now;
}

static jd_status crank_close(struct jd_scheduler *self)
{
	(void)self;
	return JD_ENOTSUP; /* only shutdown, by crank_free */
}

static jd_status crank_shutdown(struct jd_scheduler *self)
{
	struct crank *crank = crank_of(self);

	crank->closed = true;
	while (crank->head) {
		struct jd_runnable *runnable = crank->head;

		crank->head = runnable->next;
		jd_runnable_cancel(runnable);
	}
	while (crank->timers) {
		struct jd_timer *timer = crank->timers;

		timer_unlink(crank, timer);
		jd_runnable_cancel(timer->_runnable);
	}
	jd_scheduler_cancel_tasks(self);
	return JD_OK;
}

static void crank_free_memory(struct jd_scheduler *self)
{
	struct crank *crank = crank_of(self);

	jd_scheduler_fini(self);
	JD_ASSERT(crank->armed == 0);
	JD_ASSERT(crank->allocated == 0);
	free(crank);
}

static const struct jd_scheduler_ops crank_ops = {
	.name = "crank",
	.schedule = crank_schedule,
	.schedule_at = crank_schedule_at,
	.cancel_timer = crank_cancel_timer,
	.park = crank_park,
	.now = crank_now,
	.close = crank_close,
	.shutdown = crank_shutdown,
	.free = crank_free_memory,
};

/* --- For tests ------------------------------------------------------------------------------- */

struct crank *crank_new(void)
{
	struct crank *crank = calloc(1, sizeof(*crank));

	if (!crank)
		abort();
	crank->allocator =
		(struct jd_allocator){.alloc = counted_alloc, .free = counted_free, .ctx = crank};
	crank->fail_after = UINT_MAX;
	crank->tail = &crank->head;
	if (jd_scheduler_init(&crank->base, &crank_ops, &crank->allocator) != JD_OK)
		abort();
	return crank;
}

void crank_free(struct crank *crank)
{
	if (jd_scheduler_destroy(&crank->base) != JD_OK)
		abort();
}

bool crank_step(struct crank *crank)
{
	struct jd_runnable *runnable = crank->head;

	if (!runnable)
		return false;
	crank->head = runnable->next;
	if (!crank->head)
		crank->tail = &crank->head;
	jd_runnable_run(runnable, NULL);
	return true;
}

unsigned crank_run(struct crank *crank)
{
	unsigned n = 0;

	while (crank_step(crank))
		n++;
	return n;
}

void crank_advance(struct crank *crank, uint64_t to_ns)
{
	for (;;) {
		struct jd_timer *next = earliest(crank);

		if (!next || next->_deadline_ns > to_ns || next->_deadline_ns == JD_NEVER)
			break;
		if (crank->now < next->_deadline_ns)
			crank->now = next->_deadline_ns;
		timer_unlink(crank, next);
		jd_runnable_run(next->_runnable, NULL);
	}
	if (crank->now < to_ns)
		crank->now = to_ns;
}

static void tally_clone(void *data)
{
	((struct tally *)data)->refs++;
}

static void tally_wake_ref(void *data)
{
	((struct tally *)data)->wakes++;
}

static void tally_drop(void *data)
{
	((struct tally *)data)->refs--;
}

static void tally_wake(void *data)
{
	tally_wake_ref(data);
	tally_drop(data);
}

struct jd_waker tally_waker(struct tally *tally)
{
	static const struct jd_waker_ops ops = {
		.clone = tally_clone,
		.wake = tally_wake,
		.wake_ref = tally_wake_ref,
		.drop = tally_drop,
	};

	return (struct jd_waker){&ops, tally};
}

jd_status crank_poll(struct crank *crank, struct jd_future *future, struct tally *tally,
		     void *result)
{
	struct jd_waker waker = tally_waker(tally);
	struct jd_context context = {.scheduler = &crank->base, .waker = &waker};

	return jd_future_poll(future, &context, result);
}

static jd_status valve_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct valve *valve = jd_container_of(future, struct valve, base);

	JD_ASSERT(!valve->drops);
	valve->polls++;
	if (!valve->open) {
		jd_waker_store(&valve->waker, context->waker);
		return JD_PENDING;
	}
	jd_waker_drop(&valve->waker);
	if (valve->status == JD_OK)
		*(int *)result = valve->value;
	return valve->status;
}

static void valve_drop(struct jd_future *future)
{
	struct valve *valve = jd_container_of(future, struct valve, base);

	valve->drops++;
	jd_waker_drop(&valve->waker);
}

void valve_init(struct valve *valve, int value)
{
	static const struct jd_future_ops ops = {
		.poll = valve_poll,
		.drop = valve_drop,
		.size = sizeof(struct valve),
		.result_size = sizeof(int),
	};

	*valve = (struct valve){.base = {&ops}, .value = value};
}

void valve_open(struct valve *valve, jd_status status)
{
	valve->open = true;
	valve->status = status;
	jd_waker_wake(&valve->waker);
}
