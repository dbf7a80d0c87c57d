/* job_queue.c - an example application: requests with deadlines, retries and a bounded queue. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/examples/job_queue.h"

#include <stdlib.h>
#include <string.h>

#include <jackdaw/co.h>
#include <jackdaw/combine.h>
#include <jackdaw/sync.h>
#include <jackdaw/task.h>
#include <jackdaw/timer.h>

enum {
	ATTEMPTS_MAX = 3
};

struct request {
	uint64_t random; /* all that chance decides about it */
	uint64_t deadline_ns;
	struct jd_oneshot reply; /* an enum job_outcome, from the worker to the client */
	enum job_outcome slot;
	enum job_outcome outcome;
	unsigned ended;    /* must become 1; written by the client */
	unsigned attempts; /* written by the worker */
};

struct app {
	const struct job_queue_config *config;
	struct request *requests;
	struct jd_channel queue;   /* of struct request * */
	struct jd_mutex receiving; /* the queue has one receiver at a time */
	struct jd_semaphore connections;
	struct jd_mutex ledger_mutex;
	uint64_t ledger[JOB_OUTCOMES]; /* ledger_mutex */
};

/* A new random number from an old one (the finalizer of splitmix64). */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* --- The ledger: a slow store that reads and writes one number at a time ---------------------- */

struct record {
	struct jd_co co;
	struct app *app;
	enum job_outcome outcome;
	uint64_t value;
	struct jd_mutex_lock lock;
	struct jd_sleep store;
};

static JD_CO_FN jd_status record_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct record *self = jd_container_of(future, struct record, co.base);
	struct app *app = self->app;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	if (!app->config->lost_update) {
		jd_mutex_lock_init(&self->lock, &app->ledger_mutex);
		JD_CO_AWAIT(status, &self->lock.base, NULL);
	}
	self->value = app->ledger[self->outcome];
	jd_sleep_init(&self->store, 10 * JD_US);
	JD_CO_AWAIT(status, &self->store.base, NULL);
	/* Without the mutex, what another client counted meanwhile is lost here. */
	app->ledger[self->outcome] = self->value + 1;
	if (!app->config->lost_update)
		jd_mutex_unlock(&app->ledger_mutex);
	JD_CO_END(status);
}

static void record_init(struct record *self, struct app *app, enum job_outcome outcome)
{
	static const struct jd_future_ops ops = {
		.poll = record_poll, .drop = jd_co_drop, .size = sizeof(struct record)};

	self->app = app;
	self->outcome = outcome;
	jd_co_init(&self->co, &ops);
}

/* --- The handler: one attempt at a request ---------------------------------------------------- */

struct handler {
	struct jd_co co;
	struct app *app;
	uint64_t random;
	bool connected;
	struct jd_semaphore_acquire acquire;
	struct jd_sleep work;
};

/* Also when the attempt is given up half-way, because its time is over. */
static void handler_drop(struct jd_future *future)
{
	struct handler *self = jd_container_of(future, struct handler, co.base);

	jd_co_fini(&self->co);
	if (self->connected)
		jd_semaphore_release(&self->app->connections, 1);
}

static JD_CO_FN jd_status handler_poll(struct jd_future *future, struct jd_context *context,
				       void *result)
{
	struct handler *self = jd_container_of(future, struct handler, co.base);
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	jd_semaphore_acquire_init(&self->acquire, &self->app->connections, 1);
	JD_CO_AWAIT(status, &self->acquire.base, NULL);
	self->connected = true;
	jd_sleep_init(&self->work, 100 * JD_US + self->random % (3 * JD_MS));
	JD_CO_AWAIT(status, &self->work.base, NULL);
	if (status == JD_OK && (self->random >> 32) % 4 == 0)
		status = JD_EFAILED;
	JD_CO_END(status);
}

static void handler_init(struct handler *self, struct app *app, uint64_t random)
{
	static const struct jd_future_ops ops = {
		.poll = handler_poll, .drop = handler_drop, .size = sizeof(struct handler)};

	self->app = app;
	self->random = random;
	self->connected = false;
	jd_co_init(&self->co, &ops);
}

/* --- Workers ---------------------------------------------------------------------------------- */

struct worker {
	struct jd_co co;
	struct app *app;
	struct request *request;
	struct jd_mutex_lock lock;
	struct jd_channel_receive receive;
	struct handler handler;
	struct jd_timeout limit;
	struct jd_sleep pause;
};

static enum job_outcome outcome_of(jd_status status)
{
	return status == JD_OK ? JOB_OK : status == JD_ETIMEDOUT ? JOB_TIMED_OUT : JOB_FAILED;
}

static JD_CO_FN jd_status worker_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct worker *self = jd_container_of(future, struct worker, co.base);
	struct app *app = self->app;
	struct request *request = self->request;
	enum job_outcome outcome;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (;;) {
		jd_mutex_lock_init(&self->lock, &app->receiving);
		JD_CO_AWAIT(status, &self->lock.base, NULL);
		jd_channel_receive_init(&self->receive, &app->queue, &self->request);
		JD_CO_AWAIT(status, &self->receive.base, NULL);
		jd_mutex_unlock(&app->receiving);
		if (status != JD_OK)
			JD_CO_RETURN(status == JD_ECLOSED ? JD_OK : status);

		for (request = self->request;;) {
			handler_init(&self->handler, app,
				     mix(request->random + ++request->attempts));
			status = jd_timeout_init_until(&self->limit, &self->handler.co.base, NULL,
						       request->deadline_ns, JD_OWN);
			if (status == JD_OK)
				JD_CO_AWAIT(status, &self->limit.base, NULL);
			if (status != JD_EFAILED || request->attempts == ATTEMPTS_MAX)
				break;
			jd_sleep_init(&self->pause, JD_MS << request->attempts);
			JD_CO_AWAIT(status, &self->pause.base, NULL);
		}
		outcome = outcome_of(status);
		/* JD_ECLOSED: the client has lost patience, and has counted the request itself. */
		status = jd_oneshot_send(&request->reply, &outcome);
		if (status != JD_OK && status != JD_ECLOSED)
			JD_CO_RETURN(status);
	}
	JD_CO_END(JD_OK);
}

static jd_status worker_spawn(struct app *app, struct jd_scheduler *scheduler,
			      struct jd_task **task)
{
	static const struct jd_future_ops ops = {
		.poll = worker_poll, .drop = jd_co_drop, .size = sizeof(struct worker)};
	struct worker worker = {.app = app};

	jd_co_init(&worker.co, &ops);
	return jd_spawn_labeled(scheduler, &worker.co.base, "worker", task);
}

/* --- Clients ---------------------------------------------------------------------------------- */

struct client {
	struct jd_co co;
	struct app *app;
	unsigned next; /* the number of its next request */
	struct request *request;
	enum job_outcome outcome;
	struct jd_sleep think;
	struct jd_channel_send send;
	struct jd_oneshot_receive receive;
	struct jd_timeout limit;
	struct record record;
};

static void client_begin(struct client *self, struct jd_scheduler *scheduler)
{
	struct request *request = self->request;

	request->deadline_ns = jd_deadline_after(jd_now(scheduler),
						 5 * JD_MS + mix(request->random) % (15 * JD_MS));
	jd_channel_send_init(&self->send, &self->app->queue, &self->request);
}

/* Every fourth client waits 8 ms at most, the others as long as it takes. */
static uint64_t patience(const struct request *request)
{
	return request->random % 4 == 0 ? 8 * JD_MS : JD_NEVER;
}

static JD_CO_FN jd_status client_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct client *self = jd_container_of(future, struct client, co.base);
	const struct job_queue_config *config = self->app->config;
	jd_status status = JD_OK;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (; self->next < config->requests; self->next += config->clients) {
		self->request = &self->app->requests[self->next];
		jd_sleep_init(&self->think, self->request->random % (2 * JD_MS));
		JD_CO_AWAIT(status, &self->think.base, NULL);

		/* The queue is full for too long: the request ends here. */
		client_begin(self, context->scheduler);
		status = jd_timeout_init_until(&self->limit, &self->send.base, NULL,
					       self->request->deadline_ns, JD_OWN);
		if (status == JD_OK)
			JD_CO_AWAIT(status, &self->limit.base, NULL);

		if (status == JD_OK) {
			jd_oneshot_receive_init(&self->receive, &self->request->reply,
						&self->outcome);
			status = jd_timeout_init(&self->limit, &self->receive.base, NULL,
						 patience(self->request), JD_OWN);
			if (status == JD_OK)
				JD_CO_AWAIT(status, &self->limit.base, NULL);
		}
		if (status == JD_ETIMEDOUT)
			self->outcome = JOB_TIMED_OUT;
		else if (status != JD_OK)
			break;
		self->request->outcome = self->outcome;
		self->request->ended++;
		record_init(&self->record, self->app, self->outcome);
		JD_CO_AWAIT(status, &self->record.co.base, NULL);
	}
	/* The last client to leave closes the queue, and so ends the workers. */
	jd_channel_drop_sender(&self->app->queue);
	JD_CO_END(status);
}

static jd_status client_spawn(struct app *app, struct jd_scheduler *scheduler, unsigned index,
			      struct jd_task **task)
{
	static const struct jd_future_ops ops = {
		.poll = client_poll, .drop = jd_co_drop, .size = sizeof(struct client)};
	struct client client = {.app = app, .next = index};

	jd_co_init(&client.co, &ops);
	jd_channel_add_sender(&app->queue);
	jd_status status = jd_spawn_labeled(scheduler, &client.co.base, "client", task);

	if (status != JD_OK)
		jd_channel_drop_sender(&app->queue);
	return status;
}

/* --- The application -------------------------------------------------------------------------- */

/* All tasks, and the future that waits for all of them. */
struct crew {
	size_t count;
	struct jd_task_future *tasks;
	struct jd_future **children;
	jd_status *statuses;
};

static jd_status crew_new(struct crew *crew, size_t size)
{
	*crew = (struct crew){
		.tasks = calloc(size, sizeof(*crew->tasks)),
		.children = calloc(size, sizeof(*crew->children)),
		.statuses = calloc(size, sizeof(*crew->statuses)),
	};
	return crew->tasks && crew->children && crew->statuses ? JD_OK : JD_ENOMEM;
}

static void crew_free(struct crew *crew)
{
	free(crew->tasks);
	free(crew->children);
	free(crew->statuses);
}

static void crew_add(struct crew *crew, struct jd_task *task)
{
	jd_task_future_init(&crew->tasks[crew->count], task);
	crew->children[crew->count] = &crew->tasks[crew->count].base;
	crew->count++;
}

static jd_status crew_spawn(struct crew *crew, struct app *app, struct jd_scheduler *scheduler)
{
	jd_status status = JD_OK;
	struct jd_task *task;

	for (unsigned i = 0; i < app->config->workers && status == JD_OK; i++) {
		status = worker_spawn(app, scheduler, &task);
		if (status == JD_OK)
			crew_add(crew, task);
	}
	for (unsigned i = 0; i < app->config->clients && status == JD_OK; i++) {
		status = client_spawn(app, scheduler, i, &task);
		if (status == JD_OK)
			crew_add(crew, task);
	}
	return status;
}

/*
 * Waits until all that were spawned have ended; the first error is the result. When waiting itself
 * fails (a deadlock, no memory), the tasks are cancelled and their futures dropped before anything
 * they use goes away. *gone says whether that is certain.
 */
static jd_status crew_wait(struct crew *crew, struct jd_scheduler *scheduler, bool *gone)
{
	struct jd_join_all all;
	jd_status status =
		jd_join_all_init(&all, crew->children, crew->count, crew->statuses, NULL, JD_OWN);

	*gone = status == JD_OK;
	if (status != JD_OK)
		return status;
	status = jd_block(scheduler, &all.base, NULL);
	jd_future_drop(&all.base);
	if (status == JD_EDEADLK || status == JD_ENOMEM || status == JD_EAGAIN)
		*gone = jd_scheduler_drain(scheduler, JD_NEVER) == JD_OK;
	return status;
}

static void requests_init(struct app *app)
{
	for (unsigned i = 0; i < app->config->requests; i++) {
		struct request *request = &app->requests[i];

		request->random = mix(app->config->seed ^ mix(i));
		jd_oneshot_init(&request->reply, &request->slot, sizeof(request->slot), NULL);
	}
}

static jd_status app_init(struct app *app, const struct job_queue_config *config)
{
	*app = (struct app){.config = config};
	app->requests = calloc(config->requests + 1, sizeof(*app->requests));
	if (!app->requests)
		return JD_ENOMEM;
	requests_init(app);
	jd_mutex_init(&app->receiving);
	jd_mutex_init(&app->ledger_mutex);
	jd_status status = jd_semaphore_init(&app->connections, config->connections);

	if (status == JD_OK)
		status = jd_channel_init(&app->queue, config->capacity, sizeof(struct request *),
					 NULL, NULL);
	if (status != JD_OK)
		free(app->requests);
	return status;
}

/* Whatever is still in use here is a mistake of the application: said, not passed over. */
static jd_status app_fini(struct app *app)
{
	jd_status status = jd_channel_fini(&app->queue);

	if (status == JD_OK &&
	    jd_semaphore_available(&app->connections) != app->config->connections)
		status = JD_EBUSY;
	if (status == JD_OK)
		status = jd_semaphore_fini(&app->connections);
	if (status == JD_OK)
		status = jd_mutex_fini(&app->receiving);
	if (status == JD_OK)
		status = jd_mutex_fini(&app->ledger_mutex);
	free(app->requests);
	return status;
}

static void app_stats(const struct app *app, struct job_queue_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	memcpy(stats->ledger, app->ledger, sizeof(stats->ledger));
	for (unsigned i = 0; i < app->config->requests; i++) {
		const struct request *request = &app->requests[i];

		stats->attempts += request->attempts;
		stats->ended_twice += request->ended > 1;
		stats->never_ended += request->ended == 0;
		if (request->ended)
			stats->ended[request->outcome]++;
	}
}

static jd_status crew_run(struct crew *crew, struct app *app, struct jd_scheduler *scheduler,
			  bool *gone)
{
	jd_status status = crew_spawn(crew, app, scheduler);

	/* The first sender was us; without any client the workers must end too. */
	jd_channel_drop_sender(&app->queue);
	jd_status waited = crew_wait(crew, scheduler, gone);

	return status == JD_OK ? waited : status;
}

jd_status job_queue_run(struct jd_scheduler *scheduler, const struct job_queue_config *config,
			struct job_queue_stats *stats)
{
	struct app *app = malloc(sizeof(*app));
	struct crew crew;
	bool gone = true;

	if (!app)
		return JD_ENOMEM;
	jd_status status = app_init(app, config);

	if (status != JD_OK) {
		free(app);
		return status;
	}
	status = crew_new(&crew, (size_t)config->workers + config->clients);
	if (status == JD_OK)
		status = crew_run(&crew, app, scheduler, &gone);
	if (!gone)
		return status; /* tasks may still use the memory: it is left to them */
	app_stats(app, stats);
	crew_free(&crew);
	jd_status clean = app_fini(app);

	free(app);
	return status == JD_OK ? clean : status;
}

const char *job_queue_check(const struct job_queue_config *config,
			    const struct job_queue_stats *stats)
{
	uint64_t sum = 0;

	if (stats->ended_twice)
		return "a request ended more than once";
	if (stats->never_ended)
		return "a request never ended";
	for (int i = 0; i < JOB_OUTCOMES; i++) {
		if (stats->ledger[i] != stats->ended[i])
			return "the ledger lost an update";
		sum += stats->ledger[i];
	}
	return sum == config->requests ? NULL : "the ledger does not add up";
}
