/* cloud.c - a small cloud platform: requests, work that outlives them, a check at each end. */
/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The platform runs a customer's handler for each request, in a session of its own. A handler may
 * spawn tasks, which have to be finished when the response is sent, and register work that may go
 * on after that. When the response is there the platform checks that nothing else was left.
 *
 *   example_cloud ws            on the production scheduler
 *   example_cloud test          the same code under 10,000 seeds, on the simulated platform
 *   example_cloud test --bug    a handler that forgets to register its work: found in every seed
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jackdaw/co.h>
#include <jackdaw/exec_context.h>
#include <jackdaw/task.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/timer.h>
#include <jackdaw/ws_scheduler.h>

struct request {
	struct platform *platform;
	unsigned number;
	jd_exec_session session;
	uint64_t rows[2]; /* what the lookups found */
	uint64_t response;
	bool logged;    /* by background work */
	bool refilled;  /* by background work */
	bool responded; /* by the platform */
	struct jd_exec_cleanup cleanup;
	struct jd_runnable_info left[4]; /* room for the cleanup */
};

struct platform {
	struct jd_exec_context *context;
	bool bug; /* every third handler forgets to register its work */
	unsigned count;
	struct request *requests;
	struct jd_task **tasks;
};

/* Under this key every task of a session finds its request. */
static const char request_key;

static struct request *current_request(struct platform *platform)
{
	return jd_exec_session_get(platform->context, &request_key);
}

/* --- What handlers are made of ---------------------------------------------------------------- */

enum job_kind {
	JOB_LOOKUP, /* in a database; part of the response */
	JOB_LOG,    /* a line that is written later */
	JOB_REFILL, /* of a cache, later */
};

struct job {
	struct jd_co co;
	struct platform *platform;
	enum job_kind kind;
	unsigned index; /* of a lookup */
	struct jd_sleep io;
};

static JD_CO_FN jd_status job_poll(struct jd_future *future, struct jd_context *context,
				   void *result)
{
	struct job *self = jd_container_of(future, struct job, co.base);
	struct request *request = current_request(self->platform);
	jd_status status;

	(void)result;
	if (!request)
		return JD_EFAILED; /* in no session: the platform is broken */
	JD_CO_BEGIN(&self->co, context);
	jd_exec_delay(self->platform->context, &self->io, (self->index + 1) * 100 * JD_US);
	JD_CO_AWAIT(status, &self->io.base, NULL);
	if (self->kind == JOB_LOOKUP)
		request->rows[self->index] = request->number * 10 + self->index;
	else if (self->kind == JOB_LOG)
		request->logged = true;
	else
		request->refilled = true;
	JD_CO_END(status);
}

static struct job job_make(struct platform *platform, enum job_kind kind, unsigned index)
{
	static const struct jd_future_ops ops = {
		.poll = job_poll, .drop = jd_co_drop, .size = sizeof(struct job)};
	struct job job = {.platform = platform, .kind = kind, .index = index};

	jd_co_init(&job.co, &ops);
	return job;
}

/* --- A customer's handler --------------------------------------------------------------------- */

struct handler {
	struct jd_co co;
	struct platform *platform;
	struct jd_task *lookups[2];
	struct jd_sleep authorise;
};

static void handler_drop(struct jd_future *future)
{
	struct handler *self = jd_container_of(future, struct handler, co.base);

	jd_co_fini(&self->co);
	for (unsigned i = 0; i < 2; i++)
		jd_task_drop(self->lookups[i]);
}

static jd_status start_lookup(struct handler *self, unsigned i)
{
	struct job job = job_make(self->platform, JOB_LOOKUP, i);

	return jd_exec_spawn_labeled(self->platform->context, &job.co.base, "lookup",
				     &self->lookups[i]);
}

static jd_status start_log(struct handler *self)
{
	struct job job = job_make(self->platform, JOB_LOG, 0);

	return jd_exec_wait_until_labeled(self->platform->context, &job.co.base, "log", NULL);
}

static jd_status start_refill(struct handler *self)
{
	struct jd_exec_context *context = self->platform->context;
	struct job job = job_make(self->platform, JOB_REFILL, 1);

	/* The bug: as if the task would be awaited. */
	if (self->platform->bug && current_request(self->platform)->number % 3 == 0)
		return jd_exec_spawn_labeled(context, &job.co.base, "refill", NULL);
	return jd_exec_wait_until_labeled(context, &job.co.base, "refill", NULL);
}

static JD_CO_FN jd_status handler_poll(struct jd_future *future, struct jd_context *context,
				       void *result)
{
	struct handler *self = jd_container_of(future, struct handler, co.base);
	struct request *request = current_request(self->platform);
	struct jd_task *task;
	jd_status status = JD_OK;

	JD_CO_BEGIN(&self->co, context);
	jd_exec_pass_through(self->platform->context, &self->authorise);
	JD_CO_AWAIT(status, &self->authorise.base, NULL);
	for (unsigned i = 0; i < 2 && status == JD_OK; i++)
		status = start_lookup(self, i);
	if (status == JD_OK)
		status = start_log(self);
	if (status == JD_OK) {
		task = self->lookups[0];
		self->lookups[0] = NULL;
		JD_CO_AWAIT_TASK(status, task, NULL);
	}
	if (status == JD_OK) {
		task = self->lookups[1];
		self->lookups[1] = NULL;
		JD_CO_AWAIT_TASK(status, task, NULL);
	}
	if (status == JD_OK)
		status = start_refill(self);
	if (status == JD_OK)
		*(uint64_t *)result = request->rows[0] + request->rows[1];
	JD_CO_END(status);
}

/* --- The platform ----------------------------------------------------------------------------- */

struct serve {
	struct jd_co co;
	struct request *request;
	struct jd_task *handler;
	struct jd_exec_join cancel;
};

/* Called in the session. */
static void start_handler(void *arg)
{
	static const struct jd_future_ops ops = {.poll = handler_poll,
						 .drop = handler_drop,
						 .size = sizeof(struct handler),
						 .result_size = sizeof(uint64_t)};
	struct serve *self = arg;
	struct handler handler = {.platform = self->request->platform};

	jd_co_init(&handler.co, &ops);
	self->handler = NULL;
	if (jd_exec_spawn_labeled(handler.platform->context, &handler.co.base, "handler",
				  &self->handler) != JD_OK)
		self->handler = NULL;
}

static jd_status serve_begin(struct serve *self)
{
	struct request *request = self->request;
	struct jd_exec_context *context = request->platform->context;
	jd_status status = jd_exec_create_session(context, &request->session);

	if (status == JD_OK)
		status =
			jd_exec_session_set(context, request->session, &request_key, request, NULL);
	if (status == JD_OK)
		status = jd_exec_with_session(context, request->session, start_handler, self);
	return status == JD_OK && !self->handler ? JD_ENOMEM : status;
}

/* The response is there: is anything left that nobody said may outlive it? */
static jd_status check_cleanup(struct request *request)
{
	request->responded = true;
	request->cleanup = (struct jd_exec_cleanup){.tasks = request->left, .capacity = 4};
	return jd_exec_validate_session_cleanup(request->platform->context, request->session,
						&request->cleanup);
}

static JD_CO_FN jd_status serve_poll(struct jd_future *future, struct jd_context *context,
				     void *result)
{
	struct serve *self = jd_container_of(future, struct serve, co.base);
	struct request *request = self->request;
	struct jd_task *task;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	status = serve_begin(self);
	if (status != JD_OK)
		JD_CO_RETURN(status);
	task = self->handler;
	self->handler = NULL;
	JD_CO_AWAIT_TASK(status, task, &request->response);
	if (status == JD_OK)
		status = check_cleanup(request);
	if (status == JD_EBUSY) {
		/* What misbehaves goes, and is gone before the request's memory is. */
		status = jd_exec_cancel_init(&self->cancel, request->platform->context,
					     request->session);
		if (status == JD_OK)
			JD_CO_AWAIT(status, &self->cancel.base, NULL);
	}
	JD_CO_END(status);
}

static void serve_drop(struct jd_future *future)
{
	struct serve *self = jd_container_of(future, struct serve, co.base);

	jd_co_fini(&self->co);
	jd_task_drop(self->handler);
}

static jd_status serve_spawn(struct request *request, struct jd_task **task)
{
	static const struct jd_future_ops ops = {
		.poll = serve_poll, .drop = serve_drop, .size = sizeof(struct serve)};
	struct serve serve = {.request = request};

	jd_co_init(&serve.co, &ops);
	return jd_exec_spawn_labeled(request->platform->context, &serve.co.base, "serve", task);
}

/* All requests at once; then what outlives them. */
static jd_status platform_run(struct platform *platform)
{
	jd_status status = JD_OK, ended;

	for (unsigned i = 0; i < platform->count && status == JD_OK; i++) {
		struct request *request = &platform->requests[i];

		*request = (struct request){.platform = platform, .number = i};
		status = serve_spawn(request, &platform->tasks[i]);
	}
	for (unsigned i = 0; i < platform->count && platform->tasks[i]; i++) {
		ended = jd_task_join(platform->tasks[i], NULL);
		if (status == JD_OK)
			status = ended;
	}
	for (unsigned i = 0; i < platform->count && status == JD_OK; i++)
		status = jd_exec_session_join(platform->context, platform->requests[i].session,
					      JD_NEVER);
	return status;
}

/* NULL, or what is wrong. */
static const char *platform_check(const struct platform *platform)
{
	for (unsigned i = 0; i < platform->count; i++) {
		const struct request *request = &platform->requests[i];
		bool guilty = platform->bug && i % 3 == 0;

		if (!request->responded || request->response != i * 20 + 1)
			return "a response is missing or wrong";
		if (request->cleanup.count != (guilty ? 1 : 0))
			return "a cleanup check found something else than what was left";
		if (guilty && strcmp(request->left[0].label, "refill") != 0)
			return "a cleanup check named the wrong task";
		if (!guilty && (!request->logged || !request->refilled))
			return "background work was lost";
	}
	return NULL;
}

/* The whole program, on any scheduler. NULL, or what is wrong. */
static const char *cloud(struct jd_exec_context *context, unsigned count, bool bug)
{
	struct platform platform = {.context = context, .count = count, .bug = bug};
	const char *wrong = "no memory";

	platform.requests = calloc(count, sizeof(*platform.requests));
	platform.tasks = calloc(count, sizeof(*platform.tasks));
	if (platform.requests && platform.tasks) {
		jd_status status = platform_run(&platform);

		if (status != JD_OK) /* tasks may still use the memory: it is left to them */
			return jd_status_text(status);
		wrong = platform_check(&platform);
		if (!wrong && bug)
			jd_exec_cleanup_print(&platform.requests[0].cleanup, stdout);
	}
	free(platform.requests);
	free(platform.tasks);
	return wrong;
}

/* --- Where it runs ---------------------------------------------------------------------------- */

static int run_in_production(void)
{
	struct jd_scheduler *scheduler;
	struct jd_exec_context *context;

	if (jd_ws_scheduler_new(NULL, &scheduler) != JD_OK)
		return 1;
	if (jd_exec_production_new(scheduler, NULL, &context) != JD_OK)
		return 1;
	const char *wrong = cloud(context, 1000, false);

	if (!wrong && jd_exec_context_destroy(context) != JD_OK)
		wrong = "the context did not end";
	if (!wrong && jd_scheduler_destroy(scheduler) != JD_OK)
		wrong = "the scheduler did not end";
	printf("in production: %s\n", wrong ? wrong : "1000 requests, all clean");
	return wrong != NULL;
}

static int one_seed(struct jd_test_scheduler *test, void *arg)
{
	struct jd_exec_context *context;

	if (jd_exec_simulated_new(jd_test_scheduler_base(test), NULL, &context) != JD_OK)
		return 1;
	const char *wrong = cloud(context, 3, *(bool *)arg);

	if (wrong)
		jd_test_fail(test, wrong);
	/* In the simulated form this fails when a session was not checked. */
	jd_test_expect(test, jd_exec_context_destroy(context) == JD_OK);
	return wrong != NULL;
}

static int run_under_seeds(const char *program, bool bug)
{
	char command[500];
	const struct jd_test_options options = {
		.name = "cloud", .command = command, .spurious_polls_percent = 5};

	snprintf(command, sizeof(command), "%s test%s", program, bug ? " --bug" : "");
	jd_status status = jd_test_many(&options, bug ? 100 : 10000, one_seed, &bug);

	printf("under seeds: %s\n", jd_status_text(status));
	return status != JD_OK;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "ws") == 0)
		return run_in_production();
	if (argc == 2 && strcmp(argv[1], "test") == 0)
		return run_under_seeds(argv[0], false);
	if (argc == 3 && strcmp(argv[1], "test") == 0 && strcmp(argv[2], "--bug") == 0)
		return run_under_seeds(argv[0], true);
	fprintf(stderr, "usage: %s ws | test [--bug]\n", argv[0]);
	return 2;
}
