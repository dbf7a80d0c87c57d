/* test_world.h - small futures, runnables and allocators that the test scheduler's tests share. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_TEST_WORLD_H
#define TESTS_UNIT_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/fork.h>
#include <jackdaw/test_scheduler.h>

/* --- A log of small numbers -------------------------------------------------------------- */

struct log {
	int items[256];
	size_t count;
};

static inline void log_add(struct log *log, int item)
{
	if (log && log->count < sizeof(log->items) / sizeof(log->items[0]))
		log->items[log->count++] = item;
}

/* The numbers as "1 2 3". Static buffer. */
static inline const char *log_text(const struct log *log)
{
	static char text[2048];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < log->count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, i ? " %d" : "%d",
					 log->items[i]);
	return text;
}

/* --- A runnable that is no task ---------------------------------------------------------- */

struct raw {
	struct jd_runnable runnable;
	struct log *log;
	int number;
	int ran;
	int cancelled;
	bool was_main;
	struct jd_scheduler *scheduler;
	void (*then)(struct raw *self);
	void *arg;
};

static inline void raw_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct raw *self = jd_container_of(runnable, struct raw, runnable);

	(void)worker;
	self->ran++;
	if (self->scheduler)
		self->was_main = jd_is_main_thread(self->scheduler);
	log_add(self->log, self->number);
	if (self->then)
		self->then(self);
}

static inline void raw_cancel(struct jd_runnable *runnable)
{
	jd_container_of(runnable, struct raw, runnable)->cancelled++;
}

static inline void raw_init(struct raw *self, struct log *log, int number)
{
	static const struct jd_runnable_ops ops = {.run = raw_run, .cancel = raw_cancel};

	*self = (struct raw){.runnable = JD_RUNNABLE_INIT(&ops), .log = log, .number = number};
}

/* --- A future made of a function --------------------------------------------------------- */

struct call {
	struct jd_future base;
	jd_status (*poll)(struct call *self, struct jd_context *context, int *result);
	void *arg;
	int number;
	int polls;
};

static inline jd_status call_poll(struct jd_future *future, struct jd_context *context,
				  void *result)
{
	struct call *self = jd_container_of(future, struct call, base);

	self->polls++;
	return self->poll(self, context, result);
}

static inline struct call call_make(jd_status (*poll)(struct call *, struct jd_context *, int *),
				    void *arg, int number)
{
	static const struct jd_future_ops ops = {
		.poll = call_poll, .size = sizeof(struct call), .result_size = sizeof(int)};

	return (struct call){.base = {&ops}, .poll = poll, .arg = arg, .number = number};
}

/* Ready at once with its number, which it logs (arg: struct log * or NULL). */
static inline jd_status poll_log(struct call *self, struct jd_context *context, int *result)
{
	(void)context;
	log_add(self->arg, self->number);
	*result = self->number;
	return JD_OK;
}

/* Pending for ever; keeps no waker. */
static inline jd_status poll_never(struct call *self, struct jd_context *context, int *result)
{
	(void)self;
	(void)context;
	(void)result;
	return JD_PENDING;
}

/* Keeps a waker in *arg (struct jd_waker *) and stays pending until its second poll. */
static inline jd_status poll_twice(struct call *self, struct jd_context *context, int *result)
{
	if (self->polls == 1) {
		jd_waker_store(self->arg, context->waker);
		return JD_PENDING;
	}
	*result = self->number;
	return JD_OK;
}

/* Wakes itself in each poll and is ready after number of them. */
static inline jd_status poll_yields(struct call *self, struct jd_context *context, int *result)
{
	if (self->polls > self->number) {
		*result = self->polls;
		return JD_OK;
	}
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

/* --- A future that sleeps ---------------------------------------------------------------- */

struct nap {
	struct jd_future base;
	uint64_t delay_ns;
	struct jd_scheduler *scheduler; /* NULL: not armed yet */
	struct jd_timer timer;
	struct jd_runnable runnable;
	struct jd_waker waker;
	bool fired;
};

static inline void nap_fire(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct nap *self = jd_container_of(runnable, struct nap, runnable);

	(void)worker;
	self->fired = true;
	jd_waker_wake(&self->waker);
}

static inline void nap_cancelled(struct jd_runnable *runnable)
{
	nap_fire(runnable, NULL);
}

static inline jd_status nap_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	static const struct jd_runnable_ops ops = {.run = nap_fire, .cancel = nap_cancelled};
	struct nap *self = jd_container_of(future, struct nap, base);

	(void)result;
	if (self->fired)
		return JD_OK;
	jd_waker_store(&self->waker, context->waker);
	if (self->scheduler)
		return JD_PENDING;
	self->runnable = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
	self->runnable.flags = JD_RUNNABLE_INLINE | JD_RUNNABLE_RESUME;
	jd_status status = jd_schedule_after(context->scheduler, &self->timer, &self->runnable,
					     self->delay_ns);

	if (status != JD_OK)
		return status;
	self->scheduler = context->scheduler;
	return JD_PENDING;
}

static inline void nap_drop(struct jd_future *future)
{
	struct nap *self = jd_container_of(future, struct nap, base);

	if (self->scheduler && !self->fired)
		jd_cancel_timer(self->scheduler, &self->timer);
	jd_waker_drop(&self->waker);
}

static inline struct nap nap_make(uint64_t delay_ns)
{
	static const struct jd_future_ops ops = {
		.poll = nap_poll, .drop = nap_drop, .size = sizeof(struct nap)};

	return (struct nap){.base = {&ops}, .delay_ns = delay_ns};
}

/* --- Reports ----------------------------------------------------------------------------- */

/* Everything written to the file so far. Static buffer; the file is emptied for the next. */
static inline const char *file_text(FILE *file)
{
	static char text[1 << 16];

	fflush(file);
	rewind(file);
	size_t length = fread(text, 1, sizeof(text) - 1, file);

	text[length] = '\0';
	return text;
}

#define assert_contains(text_, part_)                                \
	do {                                                         \
		const char *in_ = (text_);                           \
		if (!strstr(in_, (part_)))                           \
			fail_msg("no \"%s\" in:\n%s", (part_), in_); \
	} while (0)

#define assert_lacks(text_, part_)                                         \
	do {                                                               \
		const char *in_ = (text_);                                 \
		if (strstr(in_, (part_)))                                  \
			fail_msg("unwanted \"%s\" in:\n%s", (part_), in_); \
	} while (0)

/* --- An allocator that counts and can fail ----------------------------------------------- */

struct meter {
	struct jd_allocator allocator;
	uint64_t live;     /* blocks */
	uint64_t allocs;   /* calls so far */
	uint64_t fail_at;  /* the call, counted from 1, from which on ... */
	uint64_t fail_for; /* ... so many calls fail */
};

static inline void *meter_alloc(void *ctx, size_t size, size_t align)
{
	struct meter *self = ctx;
	const struct jd_allocator *base = jd_allocator_default();

	self->allocs++;
	if (self->fail_at && self->allocs >= self->fail_at &&
	    self->allocs - self->fail_at < self->fail_for)
		return NULL;
	void *ptr = base->alloc(base->ctx, size, align);

	self->live += ptr != NULL;
	return ptr;
}

static inline void meter_free(void *ctx, void *ptr, size_t size, size_t align)
{
	struct meter *self = ctx;
	const struct jd_allocator *base = jd_allocator_default();

	self->live--;
	base->free(base->ctx, ptr, size, align);
}

static inline void meter_init(struct meter *self)
{
	*self = (struct meter){.allocator = {meter_alloc, meter_free, self}};
}

/* --- Schedulers -------------------------------------------------------------------------- */

static inline struct jd_test_scheduler *world_new(const struct jd_test_options *options)
{
	struct jd_test_scheduler *ts;

	assert_int_equal(jd_test_scheduler_new(options, &ts), JD_OK);
	return ts;
}

static inline struct jd_test_scheduler *world_seeded(uint64_t seed)
{
	return world_new(&(struct jd_test_options){.seed = seed});
}

/* Ends it and wants a clean verdict. */
static inline void world_end(struct jd_test_scheduler *ts)
{
	assert_int_equal(jd_test_end(ts), JD_OK);
}

static inline void world_no_work(struct jd_fork_frame *frame, struct jd_fork_point point)
{
	(void)frame;
	(void)point;
}

/* One fork, one join: one choice. */
static inline void world_fork_once(struct jd_test_scheduler *ts)
{
	struct jd_fork_region region;
	struct jd_fork_frame frame;
	struct jd_fork_point point = jd_fork_enter(jd_test_scheduler_base(ts), &region);

	jd_fork(point, &frame, world_no_work);
	jd_join_run(point, &frame);
	jd_fork_leave(&region);
}

#endif
