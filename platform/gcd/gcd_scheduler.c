/* gcd_scheduler.c - Grand Central Dispatch as a scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/os_scheduler.h>

/* libdispatch's headers ask clang's questions, to which older gccs have no answer. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 14
#define __has_feature(x) 0
#define __has_extension(x) 0
#include <dispatch/dispatch.h>
#undef __has_feature
#undef __has_extension
#else
#include <dispatch/dispatch.h>
#endif
#ifndef __APPLE__ /* there <sys/qos.h> has them, in an enum */
#define QOS_CLASS_USER_INTERACTIVE 0x21
#define QOS_CLASS_USER_INITIATED 0x19
#define QOS_CLASS_DEFAULT 0x15
#define QOS_CLASS_UTILITY 0x11
#define QOS_CLASS_BACKGROUND 0x09
#include <dlfcn.h>
#endif
#include <pthread.h>
#include <stdalign.h>
#include <string.h>

#include <jackdaw/main_loop.h>
#include <jackdaw/pool_scheduler.h>

#include "platform/platform.h"

/*
 * libdispatch is not instrumented. So ThreadSanitizer is told what it orders (what came before the
 * first call of dispatch_async_f or dispatch_source_set_timer happens before the callback), and
 * that the memory it takes during our calls is its own business: all it sees of that are malloc and
 * free.
 */
#if defined(__SANITIZE_THREAD__)
#define GCD_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GCD_TSAN 1
#endif
#endif
#ifdef GCD_TSAN
#include <sanitizer/tsan_interface.h>
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define GCD_TAKES_OVER(object) __tsan_acquire(object)
#define GCD_HANDS_OVER(object) __tsan_release(object)
#define GCD_BEGIN() AnnotateIgnoreWritesBegin(__FILE__, __LINE__)
#define GCD_END() AnnotateIgnoreWritesEnd(__FILE__, __LINE__)
#else
#define GCD_TAKES_OVER(object) ((void)(object))
#define GCD_HANDS_OVER(object) ((void)(object))
#define GCD_BEGIN() ((void)0)
#define GCD_END() ((void)0)
#endif

/* Foreground work in one turn of the main queue, so that what else is there gets its turn. */
#define GCD_MAIN_BUDGET_NS (10 * JD_MS)

/* --- libdispatch ------------------------------------------------------------------------------
 * Loaded when it is first needed, off Apple: linked, it would be loaded by every program that uses
 * the library (2 ms and three more libraries), and none would start where it is missing. It is
 * never closed, because its threads never end. */

#define GCD_FUNCTIONS(X)                           \
	X(dispatch_activate)                       \
	X(dispatch_async_f)                        \
	X(dispatch_get_global_queue)               \
	X(dispatch_queue_attr_make_with_qos_class) \
	X(dispatch_queue_create)                   \
	X(dispatch_release)                        \
	X(dispatch_set_context)                    \
	X(dispatch_source_cancel)                  \
	X(dispatch_source_create)                  \
	X(dispatch_source_set_cancel_handler_f)    \
	X(dispatch_source_set_event_handler_f)     \
	X(dispatch_source_set_timer)               \
	X(dispatch_time)

/* I: filled once, by gcd_load. */
static struct gcd_api {
#define GCD_MEMBER(name) __typeof__(name) *name;
	GCD_FUNCTIONS(GCD_MEMBER)
#undef GCD_MEMBER
	dispatch_source_type_t timer;
	dispatch_source_type_t read;
	dispatch_queue_t main_queue;
	bool loaded;
} gcd;

#ifdef __APPLE__
static void gcd_load(void)
{
	gcd = (struct gcd_api){
#define GCD_VALUE(name) .name = (name),
		GCD_FUNCTIONS(GCD_VALUE)
#undef GCD_VALUE
			.timer = DISPATCH_SOURCE_TYPE_TIMER,
		.read = DISPATCH_SOURCE_TYPE_READ,
		.main_queue = dispatch_get_main_queue(),
		.loaded = true,
	};
}
#else
/* POSIX lets the address of a function go through void *; C has no word for it. */
static bool find(void *library, const char *name, void *slot)
{
	void *address = dlsym(library, name);

	memcpy(slot, &address, sizeof(address));
	return address;
}

/* False, and nothing is kept of it, when there is none or it is not what we need. */
static bool load(const char *name)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return false;
#define GCD_FIND(name) find(library, #name, &gcd.name) &&
	gcd.loaded = GCD_FUNCTIONS(GCD_FIND)
			     find(library, "_dispatch_source_type_timer", &gcd.timer) &&
		     find(library, "_dispatch_source_type_read", &gcd.read) &&
		     find(library, "_dispatch_main_q", &gcd.main_queue);
#undef GCD_FIND
	if (!gcd.loaded)
		dlclose(library);
	return gcd.loaded;
}

/*
 * The one that the process has, if it has one, or as the loader searches; then where the build
 * found it, as some distributions have one that is too old.
 */
static void gcd_load(void)
{
	if (!load("libdispatch.so"))
		(void)load(JD_DISPATCH_LIBRARY);
}
#endif

/* The conversion is implicit in GNU C only. */
static dispatch_object_t source(dispatch_source_t native)
{
	return (dispatch_object_t){._ds = native};
}

/* --- The pool ------------------------------------------------------------------------------- */

/* Access: I immutable after new, A any thread. */
struct gcd_pool {
	struct jd_pool base;
	const struct jd_allocator *allocator; /* I */
	enum jd_gcd_qos qos;                  /* I */
	dispatch_queue_t workers;             /* I: global, not counted */
	dispatch_queue_t alarm_queue;         /* I: serial, with a thread of its own when needed */
	dispatch_source_t alarm;              /* I */
	dispatch_source_t foreground;         /* I: of main_queue, or NULL */
	_Atomic(uint32_t) alarm_gone;         /* A: futex word */
};

static struct gcd_pool *gcd_of(struct jd_pool *base)
{
	return jd_container_of(base, struct gcd_pool, base);
}

static void run(void *arg)
{
	struct gcd_pool *self = arg;

	GCD_TAKES_OVER(self);
	jd_pool_scheduler_call(&self->base, NULL);
}

/* libdispatch carries one pointer, which is all there is to carry. */
static void gcd_call(struct jd_pool *base)
{
	struct gcd_pool *self = gcd_of(base);

	GCD_BEGIN();
	gcd.dispatch_async_f(self->workers, self, run);
	GCD_END();
}

static void alarm_fired(void *arg)
{
	struct gcd_pool *self = arg;

	GCD_TAKES_OVER(self);
	jd_pool_scheduler_alarm(&self->base);
}

static void alarm_cancelled(void *arg)
{
	struct gcd_pool *self = arg;

	GCD_TAKES_OVER(self);
	/* order: (D1) release - the alarms that were; pairs with (D2). */
	atomic_store_explicit(&self->alarm_gone, 1, memory_order_release);
	jd_futex_wake_one(&self->alarm_gone);
}

static void gcd_set_alarm(struct jd_pool *base, uint64_t deadline_ns)
{
	struct gcd_pool *self = gcd_of(base);
	uint64_t now = jd_clock_now();
	uint64_t delay = deadline_ns > now ? deadline_ns - now : 0;
	/* An alarm after a hundred years at the latest keeps the sum in range. */
	dispatch_time_t start = gcd.dispatch_time(
		DISPATCH_TIME_NOW, (int64_t)(delay < INT64_MAX / 4 ? delay : INT64_MAX / 4));

	GCD_BEGIN();
	gcd.dispatch_source_set_timer(self->alarm, start, DISPATCH_TIME_FOREVER, 0);
	GCD_END();
}

static void gcd_stop(struct jd_pool *base)
{
	struct gcd_pool *self = gcd_of(base);

	if (self->foreground)
		gcd.dispatch_source_cancel(self->foreground);
	if (!self->alarm)
		return;
	GCD_BEGIN();
	gcd.dispatch_source_cancel(self->alarm);
	GCD_END();
	/* order: (D2) acquire - the alarms that were; pairs with (D1). */
	while (!atomic_load_explicit(&self->alarm_gone, memory_order_acquire))
		jd_futex_wait(&self->alarm_gone, 0, JD_NEVER);
}

static void gcd_free(struct jd_pool *base)
{
	struct gcd_pool *self = gcd_of(base);

	if (self->alarm)
		gcd.dispatch_release(source(self->alarm));
	if (self->alarm_queue)
		gcd.dispatch_release((dispatch_object_t){._dq = self->alarm_queue});
	self->allocator->free(self->allocator->ctx, self, sizeof(*self), alignof(struct gcd_pool));
}

static void gcd_dump(struct jd_pool *base, FILE *out)
{
	static const char *const names[] = {"default", "user-interactive", "user-initiated",
					    "utility", "background"};

	fprintf(out, "  global queue, service class %s\n", names[gcd_of(base)->qos]);
}

/* --- The main queue --------------------------------------------------------------------------
 * It polls the main loop's descriptor, as any host would. */

static void foreground_ready(void *arg)
{
	struct gcd_pool *self = arg;

	GCD_TAKES_OVER(self);
	if (jd_main_loop_dispatch(self->base.scheduler, GCD_MAIN_BUDGET_NS) == JD_EPERM)
		JD_MISUSE("the main dispatch queue is not drained by the main thread");
}

static void foreground_cancelled(void *arg)
{
	struct gcd_pool *self = arg;

	gcd.dispatch_release(source(self->foreground));
	jd_scheduler_release(self->base.scheduler);
}

static jd_status serve_main_queue(struct gcd_pool *self)
{
	int fd;
	jd_status status = jd_main_loop_fd(self->base.scheduler, &fd);

	if (status != JD_OK)
		return status;
	self->foreground = gcd.dispatch_source_create(gcd.read, (uintptr_t)fd, 0, gcd.main_queue);
	if (!self->foreground)
		return JD_ENOMEM;
	/* Until libdispatch has let go of the descriptor. */
	jd_scheduler_retain(self->base.scheduler);
	gcd.dispatch_set_context(source(self->foreground), self);
	gcd.dispatch_source_set_event_handler_f(self->foreground, foreground_ready);
	gcd.dispatch_source_set_cancel_handler_f(self->foreground, foreground_cancelled);
	gcd.dispatch_activate(source(self->foreground));
	return JD_OK;
}

/* --- Making one ----------------------------------------------------------------------------- */

/* Serial queues get a thread even when all of the global queues' are busy or blocked. */
static jd_status make_alarm(struct gcd_pool *self)
{
	dispatch_queue_attr_t attr = gcd.dispatch_queue_attr_make_with_qos_class(
		DISPATCH_QUEUE_SERIAL, QOS_CLASS_USER_INTERACTIVE, 0);

	self->alarm_queue = gcd.dispatch_queue_create("jackdaw.alarm", attr);
	if (!self->alarm_queue)
		return JD_ENOMEM;
	self->alarm =
		gcd.dispatch_source_create(gcd.timer, 0, DISPATCH_TIMER_STRICT, self->alarm_queue);
	if (!self->alarm)
		return JD_ENOMEM;
	gcd.dispatch_set_context(source(self->alarm), self);
	gcd.dispatch_source_set_event_handler_f(self->alarm, alarm_fired);
	gcd.dispatch_source_set_cancel_handler_f(self->alarm, alarm_cancelled);
	gcd.dispatch_source_set_timer(self->alarm, DISPATCH_TIME_FOREVER, DISPATCH_TIME_FOREVER, 0);
	gcd.dispatch_activate(source(self->alarm));
	return JD_OK;
}

static const struct jd_pool_ops gcd_ops = {
	.name = "gcd",
	.call = gcd_call,
	.set_alarm = gcd_set_alarm,
	.stop = gcd_stop,
	.free = gcd_free,
	.dump = gcd_dump,
};

/* What the scheduler is made from; NULL: no memory. */
static struct gcd_pool *pool_new(const struct jd_allocator *allocator, enum jd_gcd_qos qos)
{
	static const unsigned classes[] = {QOS_CLASS_DEFAULT, QOS_CLASS_USER_INTERACTIVE,
					   QOS_CLASS_USER_INITIATED, QOS_CLASS_UTILITY,
					   QOS_CLASS_BACKGROUND};
	struct gcd_pool *self =
		allocator->alloc(allocator->ctx, sizeof(*self), alignof(struct gcd_pool));

	if (self) {
		*self = (struct gcd_pool){.base = {.ops = &gcd_ops}, .allocator = allocator};
		self->qos = qos;
		self->workers = gcd.dispatch_get_global_queue(classes[qos], 0);
	}
	return self;
}

jd_status jd_gcd_scheduler_new(const struct jd_gcd_options *options,
			       struct jd_scheduler **scheduler)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static const struct jd_gcd_options defaults;

	if (!options)
		options = &defaults;
	if (!scheduler || (unsigned)options->qos > JD_GCD_BACKGROUND)
		return JD_EINVAL;
	pthread_once(&once, gcd_load);
	if (!gcd.loaded)
		return JD_ENOTSUP;
	const struct jd_allocator *allocator = options->allocator ? options->allocator
								  : jd_allocator_default();
	const struct jd_pool_options pool_options = {
		.main_thread = options->main_thread || options->main_queue,
		.blocking_max = options->blocking_max,
		.name = options->name,
		.allocator = allocator,
	};
	struct gcd_pool *self = pool_new(allocator, options->qos);

	if (!self)
		return JD_ENOMEM;
	jd_status status = jd_pool_scheduler_new(&self->base, &pool_options, scheduler);

	if (status != JD_OK) {
		gcd_free(&self->base);
		return status;
	}
	GCD_HANDS_OVER(self);
	GCD_BEGIN();
	status = make_alarm(self);
	if (status == JD_OK && options->main_queue)
		status = serve_main_queue(self);
	GCD_END();
	if (status != JD_OK)
		jd_scheduler_destroy(self->base.scheduler);
	return status;
}
