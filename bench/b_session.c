/* b_session.c - what an execution context costs a spawn: nothing, a session, a table of ids. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/exec_context.h>

#include "bench/files.h"
#include "bench/run.h"

/*
 * One task spawns empty tasks in waves, as in the row spawn, but through a context. The rows differ
 * in what these tasks are to the context only:
 *
 *   session_none   in no session: the context hands them on
 *   session_track  in no session; the context keeps their ids
 *   session_spawn  in a session
 *   session_both   in a session, with their ids
 *
 * session_request is what a request costs that has four tasks: a session made, entered, awaited
 * and validated.
 */
enum {
	COUNT = 200 * 1000,
	WAVE = 1000,
	REQUESTS = 40 * 1000,
	REQUEST_TASKS = 4,
};

struct session_data {
	bool session;
	bool track;
	bool request;                    /* a session each wave */
	uint32_t count;                  /* of tasks */
	uint32_t wave_count;             /* of these, at once */
	struct jd_exec_context *context; /* of the current run */
	_Atomic(uint64_t) finished;      /* A */
	_Atomic(int32_t) status;         /* A: of whatever failed */
};

/* An empty task. */
struct leaf {
	struct jd_future base;
	struct session_data *data;
	struct bench_join *wave;
};

static jd_status leaf_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	(void)future;
	(void)context;
	(void)result;
	return JD_OK;
}

/* The wave ends when its tasks are out of the session, or all but: it is told by their drops. */
static void leaf_drop(struct jd_future *future)
{
	struct leaf *self = jd_container_of(future, struct leaf, base);

	bench_join_finish(self->wave);
}

struct spawner {
	struct jd_future base;
	struct session_data *data;
	uint32_t left;
	jd_exec_session session;
	struct bench_join wave;
	struct jd_exec_join join;
	jd_status status;
	bool in_wave, in_join;
};

/* The children that could not be spawned give up their parts at once. */
static void spawn_leaves(void *arg)
{
	static const struct jd_future_ops ops = {
		.poll = leaf_poll, .drop = leaf_drop, .size = sizeof(struct leaf)};
	struct spawner *self = arg;
	uint32_t n = self->left < self->data->wave_count ? self->left : self->data->wave_count;

	self->left -= n;
	bench_join_add(&self->wave, n);
	for (; n > 0 && self->status == JD_OK; n--) {
		struct leaf leaf = {{&ops}, self->data, &self->wave};

		self->status = jd_exec_spawn(self->data->context, &leaf.base, NULL);
	}
	if (self->status != JD_OK)
		for (n++; n > 0; n--)
			bench_join_finish(&self->wave);
}

static void begin_wave(struct spawner *self, struct jd_context *context)
{
	struct jd_exec_context *exec = self->data->context;

	self->in_wave = true;
	bench_join_init(&self->wave, context->waker);
	if (!self->data->request) {
		spawn_leaves(self);
	} else {
		self->status = jd_exec_create_session(exec, &self->session);
		if (self->status == JD_OK)
			self->status =
				jd_exec_with_session(exec, self->session, spawn_leaves, self);
	}
	bench_join_leave(&self->wave);
}

/* The session of a request is empty an instant after its last task was dropped. */
static jd_status end_wave(struct spawner *self, struct jd_context *context)
{
	struct jd_exec_context *exec = self->data->context;

	if (!self->data->request)
		return self->status;
	if (!self->in_join) {
		self->status = jd_exec_join_init(&self->join, exec, self->session);
		self->in_join = self->status == JD_OK;
	}
	if (self->status == JD_OK)
		self->status = jd_future_poll(&self->join.base, context, NULL);
	if (self->status == JD_PENDING) {
		self->status = JD_OK;
		return JD_PENDING;
	}
	if (self->in_join)
		jd_future_drop(&self->join.base);
	self->in_join = false;
	if (self->status == JD_OK)
		self->status = jd_exec_validate_session_cleanup(exec, self->session, NULL);
	return self->status;
}

static jd_status spawner_end(struct spawner *self)
{
	if (self->status == JD_OK)
		atomic_fetch_add_explicit(&self->data->finished, 1, memory_order_relaxed);
	else
		atomic_store_explicit(&self->data->status, self->status, memory_order_relaxed);
	return self->status;
}

static jd_status spawner_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct spawner *self = jd_container_of(future, struct spawner, base);

	(void)result;
	for (;;) {
		if (self->in_wave && !bench_join_done(&self->wave))
			return JD_PENDING;
		if (self->in_wave && end_wave(self, context) == JD_PENDING)
			return JD_PENDING;
		if (self->left == 0 || self->status != JD_OK)
			return spawner_end(self);
		begin_wave(self, context);
	}
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void session_reset(void *arg)
{
	struct session_data *data = arg;

	atomic_store_explicit(&data->finished, 0, memory_order_relaxed);
	atomic_store_explicit(&data->status, JD_OK, memory_order_relaxed);
}

static void start(void *arg)
{
	struct session_data *data = arg;
	static const struct jd_future_ops ops = {.poll = spawner_poll,
						 .size = sizeof(struct spawner)};
	struct spawner first = {.base = {&ops}, .data = data, .left = data->count};
	jd_status status = jd_exec_spawn(data->context, &first.base, NULL);

	if (status != JD_OK)
		atomic_store_explicit(&data->status, status, memory_order_relaxed);
}

static jd_status session_run(void *arg, struct jd_scheduler *scheduler)
{
	struct session_data *data = arg;
	const struct jd_exec_production_options options = {.track_tasks = data->track,
							   .tasks_expected = data->wave_count};
	jd_exec_session session;
	jd_status status = jd_exec_production_new(scheduler, &options, &data->context);

	if (status != JD_OK)
		return status;
	if (data->session) {
		status = jd_exec_create_session(data->context, &session);
		if (status == JD_OK)
			status = jd_exec_with_session(data->context, session, start, data);
	} else {
		start(data);
	}
	jd_status drained = jd_scheduler_drain(scheduler, JD_NEVER);
	jd_status ended = jd_exec_context_destroy(data->context);

	return status != JD_OK ? status : drained != JD_OK ? drained : ended;
}

static const char *session_check(void *arg)
{
	struct session_data *data = arg;
	jd_status status = (jd_status)atomic_load_explicit(&data->status, memory_order_relaxed);

	if (status != JD_OK)
		return jd_status_text(status);
	if (atomic_load_explicit(&data->finished, memory_order_relaxed) != 1)
		return "the first task did not come to its end";
	return NULL;
}

void b_session(void)
{
	static struct session_data data[] = {
		{.count = COUNT, .wave_count = WAVE},
		{.count = COUNT, .wave_count = WAVE, .track = true},
		{.count = COUNT, .wave_count = WAVE, .session = true},
		{.count = COUNT, .wave_count = WAVE, .session = true, .track = true},
		{.count = REQUESTS * REQUEST_TASKS, .wave_count = REQUEST_TASKS, .request = true},
	};
	static const char *const names[] = {"session_none", "session_track", "session_spawn",
					    "session_both", "session_request"};
	static struct bench_workload workloads[5];

	for (size_t i = 0; i < 5; i++) {
		workloads[i] = (struct bench_workload){
			.name = names[i],
			.data = &data[i],
			.ops = data[i].request ? REQUESTS : COUNT,
			.runs = 8,
			.reset = session_reset,
			.parallel = session_run,
			.check = session_check,
		};
		bench_workload_add(&workloads[i]);
	}
}
