/* exec_scenario.c - many sessions at once, ended in every way. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/exec_scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jackdaw/task.h>
#include <jackdaw/timer.h>

#include "platform/platform.h"

/* One session while a driver handles it. */
struct request {
	struct exec_world *world;
	jd_exec_session session;
	uint64_t rng;
	_Atomic(uint64_t) live; /* A: its futures that exist */
	struct jd_task *tasks[EXEC_TASKS_MAX];
	jd_task_id ids[EXEC_TASKS_MAX];
	unsigned count;   /* tasks in it and not registered */
	unsigned nesting; /* calls of jd_exec_with_session on the stack */
	bool children;    /* its tasks spawn others, which nobody awaits */
	struct jd_task *planted;
	int planted_line;
};

/* The value of each session. */
struct tag {
	struct exec_world *world;
	struct request *request;
};

static const char request_key = 0, other_key = 0;

/* --- Checks ----------------------------------------------------------------------------------- */

static void world_fail(struct exec_world *world, const char *what)
{
	const char *none = NULL;

	atomic_compare_exchange_strong_explicit(&world->error, &none, what, memory_order_relaxed,
						memory_order_relaxed);
}

#define CHECK(world_, cond_) \
	((cond_) ? (void)0   \
		 : world_fail((world_), "exec_scenario.c:" JD_SITE_STR(__LINE__) ": " #cond_))

static uint64_t draw(uint64_t *rng, uint64_t n)
{
	/* splitmix64 (Steele, Lea, Flood 2014). */
	uint64_t z = *rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % n;
}

static void count(_Atomic(uint64_t) *counter, int by)
{
	atomic_fetch_add_explicit(counter, (uint64_t)by, memory_order_relaxed);
}

static uint64_t look(const _Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* In this session, and no other; the second context has none unless somebody entered one. */
static void check_session(struct request *request)
{
	struct exec_world *world = request->world;

	CHECK(world, jd_exec_get_current_session(world->context) == request->session);
	const struct tag *tag = jd_exec_session_get(world->context, &request_key);

	CHECK(world, tag && tag->request == request);
	CHECK(world, jd_exec_session_get(world->context, &other_key) == NULL);
}

/* --- Tasks ------------------------------------------------------------------------------------ */

struct work {
	struct jd_future base;
	struct request *request;
	uint64_t rng;
	unsigned steps;
	bool child; /* spawned by another one */
	bool endless;
	bool napping;
	struct jd_sleep nap;
};

static jd_status spawn_work(struct request *request, uint64_t rng, bool child, bool registered,
			    struct jd_task **task);

static void inside_other(void *arg)
{
	struct work *self = arg;
	struct exec_world *world = self->request->world;

	CHECK(world, jd_exec_get_current_session(world->other) != 0);
	check_session(self->request);
}

/* A session of the other context for a moment: ours stays what it is. */
static void visit_other(struct work *self)
{
	struct exec_world *world = self->request->world;
	jd_exec_session session;

	if (jd_exec_create_session(world->other, &session) != JD_OK) {
		world_fail(world, "no session in the other context");
		return;
	}
	CHECK(world, jd_exec_with_session(world->other, session, inside_other, self) == JD_OK);
	CHECK(world, jd_exec_get_current_session(world->other) == 0);
	CHECK(world, jd_exec_validate_session_cleanup(world->other, session, NULL) == JD_OK);
}

static void nothing(void *arg)
{
	struct work *self = arg;
	struct exec_world *world = self->request->world;

	CHECK(world, jd_exec_get_current_session(world->context) != self->request->session);
	CHECK(world, jd_exec_session_get(world->context, &request_key) == NULL);
}

/* Another session of the same context for a moment. */
static void visit_sibling(struct work *self)
{
	struct exec_world *world = self->request->world;
	jd_exec_session session;

	if (jd_exec_create_session(world->context, &session) != JD_OK) {
		world_fail(world, "no second session");
		return;
	}
	CHECK(world, jd_exec_with_session(world->context, session, nothing, self) == JD_OK);
	check_session(self->request);
	if (draw(&self->rng, 2)) {
		/* Set inside a poll, it is in force until the poll ends or it is set again. */
		CHECK(world, jd_exec_set_current_session(world->context, session) == JD_OK);
		nothing(self);
		CHECK(world, jd_exec_set_current_session(world->context, self->request->session) ==
					     JD_OK ||
				     jd_exec_set_current_session(world->context, 0) == JD_OK);
	}
	CHECK(world, jd_exec_validate_session_cleanup(world->context, session, NULL) == JD_OK);
}

static jd_status nap(struct work *self, struct jd_context *context, uint64_t delay_ns)
{
	jd_exec_delay(self->request->world->context, &self->nap, delay_ns);
	self->napping = true;
	return jd_future_poll(&self->nap.base, context, NULL);
}

static jd_status step(struct work *self, struct jd_context *context)
{
	switch (draw(&self->rng, 8)) {
	case 0:
	case 1:
		return nap(self, context, draw(&self->rng, 4) * 20 * JD_US);
	case 2:
		if (!self->child &&
		    self->request
			    ->children) /* JD_ECLOSED: the session was cancelled, or validated */
			spawn_work(self->request, draw(&self->rng, UINT64_MAX), true, false, NULL);
		break;
	case 3:
		visit_other(self);
		break;
	case 4:
		visit_sibling(self);
		break;
	default:
		break;
	}
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

static jd_status work_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct work *self = jd_container_of(future, struct work, base);

	check_session(self->request);
	CHECK(self->request->world, jd_exec_get_current_session(self->request->world->other) == 0);
	if (self->napping) {
		if (jd_future_poll(&self->nap.base, context, NULL) == JD_PENDING)
			return JD_PENDING;
		jd_future_drop(&self->nap.base);
		self->napping = false;
	}
	if (self->endless)
		return nap(self, context, 3600 * JD_SEC);
	while (self->steps > 0) {
		self->steps--;
		jd_status status = step(self, context);

		if (status == JD_PENDING)
			return status;
		jd_future_drop(&self->nap.base);
		self->napping = false;
	}
	*(uint64_t *)result = self->request->session;
	return JD_OK;
}

static void work_drop(struct jd_future *future)
{
	struct work *self = jd_container_of(future, struct work, base);
	struct exec_world *world = self->request->world;

	check_session(self->request);
	if (self->napping)
		jd_future_drop(&self->nap.base);
	count(&world->live, -1);
	/* The last access to the request. */
	count(&self->request->live, -1);
}

static struct work work_make(struct request *request, uint64_t rng, bool child)
{
	static const struct jd_future_ops ops = {.poll = work_poll,
						 .drop = work_drop,
						 .size = sizeof(struct work),
						 .result_size = sizeof(uint64_t)};
	struct work work = {.base = {&ops}, .request = request, .rng = rng, .child = child};

	work.steps = (unsigned)draw(&work.rng, 4);
	return work;
}

/* It was counted before, because it may be over before the spawn returns. */
static void counted(struct request *request, jd_status spawned)
{
	if (spawned == JD_OK) {
		count(&request->world->spawned, 1);
		return;
	}
	count(&request->live, -1);
	count(&request->world->live, -1);
}

static jd_status spawn_work(struct request *request, uint64_t rng, bool child, bool registered,
			    struct jd_task **task)
{
	struct jd_exec_context *context = request->world->context;
	struct work work = work_make(request, rng, child);

	count(&request->live, 1);
	count(&request->world->live, 1);
	jd_status status = registered ? jd_exec_wait_until(context, &work.base, task)
				      : jd_exec_spawn(context, &work.base, task);

	counted(request, status);
	return status;
}

/* --- A session -------------------------------------------------------------------------------- */

/* On some driver: spawns, at times from within other sessions. */
static void spawn_all(void *arg)
{
	struct request *request = arg;
	struct exec_world *world = request->world;

	check_session(request);
	if (request->nesting++ < draw(&request->rng, 3)) {
		CHECK(world, jd_exec_with_session(world->context, request->session, spawn_all,
						  request) == JD_OK);
		check_session(request);
		return;
	}
	for (unsigned i = 0; i < world->tasks; i++) {
		bool registered = draw(&request->rng, 4) == 0;
		struct jd_task **task = &request->tasks[request->count];
		jd_status status = spawn_work(request, draw(&request->rng, UINT64_MAX), false,
					      registered, registered ? NULL : task);

		CHECK(world, status == JD_OK);
		if (status == JD_OK && !registered)
			request->ids[request->count++] = jd_task_get_id(*task);
	}
}

/* A task that will not end by itself, and where it was spawned. */
static void plant(void *arg)
{
	struct request *request = arg;
	struct jd_exec_context *context = request->world->context;
	struct work work = work_make(request, 0, true);
	struct jd_task **task = &request->planted;
	jd_status status;

	work.endless = true;
	count(&request->live, 1);
	count(&request->world->live, 1);
	request->planted_line = __LINE__ + 1;
	status = jd_exec_spawn_labeled(context, &work.base, "planted", task);
	counted(request, status);
	CHECK(request->world, status == JD_OK);
}

/* --- Its end ---------------------------------------------------------------------------------- */

static jd_status validate(struct request *request, struct jd_exec_cleanup *cleanup)
{
	return jd_exec_validate_session_cleanup(request->world->context, request->session, cleanup);
}

/* cancelled: nobody can say whether they came to their end before. */
static void join_tasks(struct request *request, bool cancelled)
{
	struct exec_world *world = request->world;

	for (unsigned i = 0; i < request->count; i++) {
		uint64_t value = 0;
		jd_status status = jd_task_join(request->tasks[i], &value);

		CHECK(world, status == JD_OK || (cancelled && status == JD_ECANCELED));
		CHECK(world, status != JD_OK || value == request->session);
		CHECK(world, !jd_exec_is_task_running(world->context, request->ids[i]));
	}
	request->count = 0;
}

static void check_is_over(struct request *request)
{
	struct exec_world *world = request->world;

	CHECK(world, validate(request, NULL) == JD_EALREADY);
	CHECK(world, jd_exec_with_session(world->context, request->session, plant, request) ==
			     JD_EALREADY);
	CHECK(world, jd_exec_set_current_session(world->context, request->session) == JD_EALREADY);
}

/* All of its own tasks were awaited: what is left is registered. */
static void end_in_order(struct request *request)
{
	join_tasks(request, false);
	CHECK(request->world, validate(request, NULL) == JD_OK);
}

/* Children that nobody awaits may be left or not. */
static void end_after_join(struct request *request)
{
	struct exec_world *world = request->world;
	struct jd_exec_cleanup cleanup = {.capacity = 0};

	join_tasks(request, false);
	jd_status status = validate(request, &cleanup);

	CHECK(world, status == JD_OK || (status == JD_EBUSY && cleanup.count > 0));
	CHECK(world, jd_exec_session_join(world->context, request->session, JD_NEVER) == JD_OK);
	CHECK(world, look(&request->live) == 0);
	if (status == JD_EBUSY)
		CHECK(world, validate(request, &cleanup) == JD_OK && cleanup.count == 0);
}

/* The spawn line of the planted task is among those reported. */
static bool is_reported(struct request *request, const struct jd_exec_cleanup *cleanup)
{
	char line[16];
	size_t digits = (size_t)snprintf(line, sizeof(line), ":%d", request->planted_line);

	for (size_t i = 0; i < cleanup->listed; i++) {
		const struct jd_runnable_info *task = &cleanup->tasks[i];
		size_t length = task->site ? strlen(task->site) : 0;

		if (task->id == jd_task_get_id(request->planted) && task->label &&
		    !strcmp(task->label, "planted") && length > digits &&
		    !strcmp(task->site + length - digits, line))
			return true;
	}
	return false;
}

static void end_with_dangling(struct request *request)
{
	struct exec_world *world = request->world;
	struct jd_runnable_info tasks[3 * EXEC_TASKS_MAX];
	struct jd_exec_cleanup cleanup = {.tasks = tasks, .capacity = 3 * EXEC_TASKS_MAX};

	CHECK(world,
	      jd_exec_with_session(world->context, request->session, plant, request) == JD_OK);
	jd_task_id id = jd_task_get_id(request->planted);

	count(&world->planted, 1);
	CHECK(world, validate(request, &cleanup) == JD_EBUSY);
	CHECK(world, cleanup.count == cleanup.listed && cleanup.session == request->session);
	if (is_reported(request, &cleanup))
		count(&world->found, 1);
	CHECK(world, jd_exec_is_task_running(world->context, id));
	CHECK(world, jd_exec_session_cancel(world->context, request->session) == JD_OK);
	CHECK(world, look(&request->live) == 0);
	CHECK(world, !world->tracked || !jd_exec_is_task_running(world->context, id));
	CHECK(world, jd_task_join(request->planted, NULL) == JD_ECANCELED);
	CHECK(world, !jd_exec_is_task_running(world->context, id));
	join_tasks(request, true);
}

static void end_cancelled(struct request *request)
{
	struct exec_world *world = request->world;
	struct jd_exec_join cancel;

	count(&world->cancelled, 1);
	if (draw(&request->rng, 2)) {
		CHECK(world, jd_exec_session_cancel(world->context, request->session) == JD_OK);
	} else {
		CHECK(world,
		      jd_exec_cancel_init(&cancel, world->context, request->session) == JD_OK);
		CHECK(world, jd_block(world->scheduler, &cancel.base, NULL) == JD_OK);
		jd_future_drop(&cancel.base);
	}
	CHECK(world, look(&request->live) == 0);
	join_tasks(request, true);
}

static void register_late(void *arg)
{
	struct request *request = arg;
	struct exec_world *world = request->world;

	for (unsigned i = 0; i < request->count; i++) {
		jd_status status = jd_exec_wait_until_task(world->context, request->ids[i]);

		CHECK(world, status == JD_OK || status == JD_ENOENT);
		jd_task_detach(request->tasks[i]);
	}
	request->count = 0;
}

/* Everything is allowed to go on: nothing need be awaited. */
static void end_registered_late(struct request *request)
{
	struct exec_world *world = request->world;

	CHECK(world, jd_exec_with_session(world->context, request->session, register_late,
					  request) == JD_OK);
	CHECK(world, validate(request, NULL) == JD_OK);
	jd_status status = jd_exec_session_join(world->context, request->session,
						jd_now(world->scheduler) + 30 * JD_US);

	CHECK(world, status == JD_OK || status == JD_ETIMEDOUT);
}

/* --- Drivers ---------------------------------------------------------------------------------- */

static void tag_drop(void *value)
{
	struct tag *tag = value;

	count(&tag->world->values, -1);
	free(tag);
}

static bool request_begin(struct request *request)
{
	struct exec_world *world = request->world;
	struct tag *tag = malloc(sizeof(*tag));

	if (!tag)
		return false;
	*tag = (struct tag){world, request};
	if (jd_exec_create_session(world->context, &request->session) != JD_OK) {
		free(tag);
		return false;
	}
	count(&world->values, 1);
	CHECK(world, jd_exec_session_set(world->context, request->session, &request_key, tag,
					 tag_drop) == JD_OK);
	CHECK(world, jd_exec_session_set(world->context, request->session, &request_key, tag,
					 tag_drop) == JD_EBUSY);
	return true;
}

static void handle(struct exec_world *world, uint32_t number)
{
	static void (*const ends[])(struct request * request) = {
		end_in_order, end_after_join, end_with_dangling, end_cancelled, end_registered_late,
	};
	struct request *request = calloc(1, sizeof(*request));

	if (!request) {
		world_fail(world, "no memory");
		return;
	}
	request->world = world;
	request->rng = world->seed ^ number * UINT64_C(0x9e3779b97f4a7c15);
	if (!request_begin(request)) {
		world_fail(world, "no session");
		free(request);
		return;
	}
	uint64_t end = draw(&request->rng, sizeof(ends) / sizeof(*ends));

	request->children = ends[end] != end_in_order && ends[end] != end_registered_late;
	CHECK(world,
	      jd_exec_with_session(world->context, request->session, spawn_all, request) == JD_OK);
	ends[end](request);
	check_is_over(request);
	CHECK(world, jd_exec_session_join(world->context, request->session, JD_NEVER) == JD_OK);
	CHECK(world, look(&request->live) == 0);
	free(request);
}

static void *drive(void *arg)
{
	struct exec_world *world = arg;
	uint32_t number;

	do {
		number = atomic_fetch_add_explicit(&world->next, 1, memory_order_relaxed);
		if (number < world->sessions)
			handle(world, number);
	} while (number < world->sessions);
	return NULL;
}

const char *exec_scenario_run(struct exec_world *world)
{
	struct jd_task *drivers[16];

	JD_ASSERT(world->drivers <= 16 && world->tasks >= 4 && world->tasks <= EXEC_TASKS_MAX);
	for (unsigned i = 0; i < world->drivers; i++) {
		drivers[i] = NULL;
		if (jd_spawn_blocking(world->scheduler, drive, world, &drivers[i]) != JD_OK)
			world_fail(world, "no driver");
	}
	for (unsigned i = 0; i < world->drivers; i++) {
		void *result;

		if (drivers[i])
			CHECK(world, jd_task_join(drivers[i], &result) == JD_OK);
	}
	CHECK(world, look(&world->live) == 0);
	CHECK(world, look(&world->planted) == look(&world->found));
	return atomic_load_explicit(&world->error, memory_order_relaxed);
}
