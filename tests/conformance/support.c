/* support.c - latches, jobs, nodes and wakers: what the tests of the suite are written with. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"

#define WAIT_LIMIT_NS (60 * JD_SEC)
#define PRINT_LIMIT 20u

/* --- Checks ---------------------------------------------------------------------------------- */

/* Counts a failure; true for those that are worth printing. */
static bool failed(struct conf *c)
{
	unsigned before = atomic_fetch_add_explicit(&c->failures, 1, memory_order_relaxed);

	if (before == PRINT_LIMIT)
		fprintf(stderr, "more failures of this test are not printed\n");
	return before < PRINT_LIMIT;
}

bool conf_check(struct conf *c, bool good, const char *what, const char *site)
{
	if (!good && failed(c))
		fprintf(stderr, "%s: not true: %s\n", site, what);
	return good;
}

bool conf_check_status(struct conf *c, jd_status got, jd_status want, const char *what,
		       const char *site)
{
	if (got != want && failed(c))
		fprintf(stderr, "%s: %s gave %s, not %s\n", site, what, jd_status_name(got),
			jd_status_name(want));
	return got == want;
}

bool conf_check_equal(struct conf *c, uint64_t got, uint64_t want, const char *what,
		      const char *site)
{
	if (got != want && failed(c))
		fprintf(stderr, "%s: not true: %s: %llu, not %llu\n", site, what,
			(unsigned long long)got, (unsigned long long)want);
	return got == want;
}

/* --- Making things --------------------------------------------------------------------------- */

struct jd_scheduler *conf_make(struct conf *c, const struct conf_options *options)
{
	struct conf_options o = *options;
	struct jd_scheduler *scheduler = NULL;

	o.allocator = &c->memory.base;
	o.seed = c->seed;
	if (!CHECK_STATUS(c, c->backend->make(&o, &scheduler), JD_OK))
		return NULL;
	return scheduler;
}

uint64_t conf_random(const struct conf *c, uint64_t n)
{
	/* splitmix64 (Steele, Lea, Flood 2014) of the pair. */
	uint64_t z = (c->seed + 1) * UINT64_C(0xd1342543de82ef95) +
		     (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* --- Latches --------------------------------------------------------------------------------- */

struct conf_latch *conf_latch_new_on(struct conf *c, struct jd_scheduler *scheduler)
{
	struct conf_latch *latch = conf_new(c, struct conf_latch);

	latch->c = c;
	pthread_mutex_init(&latch->lock, NULL);
	if (jd_parker_new(scheduler, &latch->parker) != JD_OK)
		abort();
	return latch;
}

struct conf_latch *conf_latch_new(struct conf *c)
{
	return conf_latch_new_on(c, c->scheduler);
}

void conf_latch_close(struct conf_latch *latch)
{
	pthread_mutex_lock(&latch->lock);
	struct jd_parker *parker = latch->parker;

	latch->parker = NULL;
	pthread_mutex_unlock(&latch->lock);
	if (parker)
		jd_parker_release(parker);
}

void conf_latch_hit(struct conf_latch *latch)
{
	pthread_mutex_lock(&latch->lock);
	struct jd_parker *parker = latch->parker;

	latch->count++;
	if (parker)
		jd_parker_retain(parker);
	pthread_mutex_unlock(&latch->lock);
	if (parker) {
		jd_parker_unpark(parker);
		jd_parker_release(parker);
	}
}

unsigned conf_latch_count(struct conf_latch *latch)
{
	pthread_mutex_lock(&latch->lock);
	unsigned count = latch->count;

	pthread_mutex_unlock(&latch->lock);
	return count;
}

bool conf_latch_wait(struct conf_latch *latch, unsigned n, const char *site)
{
	struct jd_scheduler *scheduler = latch->c->scheduler;
	uint64_t deadline = scheduler ? jd_deadline_after(jd_now(scheduler), WAIT_LIMIT_NS)
				      : JD_NEVER;

	while (conf_latch_count(latch) < n) {
		jd_status status = jd_parker_park(latch->parker, deadline);

		if (status != JD_OK && conf_latch_count(latch) < n) {
			if (failed(latch->c))
				fprintf(stderr, "%s: waited for %u, has %u, park gave %s\n", site,
					n, conf_latch_count(latch), jd_status_name(status));
			return false;
		}
	}
	return true;
}

void conf_dump(struct conf *c, struct jd_scheduler *scheduler, char *text, size_t size)
{
	FILE *out = tmpfile();

	text[0] = '\0';
	if (!CHECK(c, out))
		return;
	jd_dump(scheduler, out);
	rewind(out);
	text[fread(text, 1, size - 1, out)] = '\0';
	fclose(out);
}

void conf_let_run(struct conf *c)
{
	struct jd_parker *parker;

	if (!CHECK_STATUS(c, jd_parker_new(c->scheduler, &parker), JD_OK))
		return;
	CHECK_STATUS(c, jd_parker_park(parker, jd_deadline_after(jd_now(c->scheduler), JD_MS)),
		     JD_ETIMEDOUT);
	jd_parker_release(parker);
}

/* --- Jobs ------------------------------------------------------------------------------------ */

static void job_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct conf_job *job = jd_container_of(runnable, struct conf_job, base);
	/* fn may give the job away again: what is needed after it is read before. */
	struct conf_latch *latch = job->latch;

	(void)worker;
	conf_add(&job->runs);
	if (job->fn)
		job->fn(job);
	if (latch)
		conf_latch_hit(latch);
}

static void job_cancel(struct jd_runnable *runnable)
{
	struct conf_job *job = jd_container_of(runnable, struct conf_job, base);
	struct conf_latch *latch = job->latch;

	conf_add(&job->cancels);
	if (latch)
		conf_latch_hit(latch);
}

static void job_describe(const struct jd_runnable *runnable, struct jd_runnable_info *info)
{
	(void)runnable;
	*info = (struct jd_runnable_info){.label = "conformance job", .state = "scheduled"};
}

void conf_job_init(struct conf_job *job, struct conf *c, void (*fn)(struct conf_job *self),
		   void *arg, struct conf_latch *latch)
{
	static const struct jd_runnable_ops ops = {job_run, job_cancel, job_describe};

	*job = (struct conf_job){
		.base = JD_RUNNABLE_INIT(&ops), .c = c, .fn = fn, .arg = arg, .latch = latch};
}

struct conf_job *conf_jobs(struct conf *c, unsigned n, void (*fn)(struct conf_job *self), void *arg,
			   struct conf_latch *latch)
{
	struct conf_job *jobs = conf_array(c, struct conf_job, n);

	for (unsigned i = 0; i < n; i++) {
		conf_job_init(&jobs[i], c, fn, arg, latch);
		jobs[i].index = i;
	}
	return jobs;
}

void conf_jobs_ran_once(struct conf *c, struct conf_job *jobs, unsigned n, const char *site)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < n; i++)
		wrong += conf_get(&jobs[i].runs) != 1 || conf_get(&jobs[i].cancels) != 0;
	conf_check_equal(c, wrong, 0, "jobs that did not run exactly once", site);
}

/* --- Nodes ----------------------------------------------------------------------------------- */

static jd_status event_poll(struct conf_node *node, struct jd_context *context)
{
	struct jd_waker clone = jd_waker_clone(context->waker), old = {0};
	jd_status status = node->end;

	pthread_mutex_lock(&node->lock);
	if (!node->set) {
		old = node->waker;
		node->waker = clone;
		clone = (struct jd_waker){0};
		status = JD_PENDING;
	}
	pthread_mutex_unlock(&node->lock);
	jd_waker_drop(&clone);
	jd_waker_drop(&old);
	return status;
}

static jd_status node_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct conf_future *self = jd_container_of(future, struct conf_future, base);
	struct conf_node *node = self->node;

	self->plain++;
	CHECK_EQUAL(node->c, atomic_fetch_add_explicit(&node->busy, 1, memory_order_relaxed), 0);
	CHECK_EQUAL(node->c, conf_get(&node->drops), 0);
	CHECK(node->c, context->scheduler && context->waker);
	conf_add(&node->polls);
	jd_status status = node->poll ? node->poll(node, context) : event_poll(node, context);

	if (status == JD_OK && result)
		*(struct conf_value *)result = (struct conf_value){node, node->value};
	atomic_fetch_sub_explicit(&node->busy, 1, memory_order_relaxed);
	if (node->polled)
		conf_latch_hit(node->polled);
	return status;
}

static void node_drop(struct jd_future *future)
{
	struct conf_future *self = jd_container_of(future, struct conf_future, base);
	struct conf_node *node = self->node;

	CHECK_EQUAL(node->c, self->plain, conf_get(&node->polls));
	CHECK_EQUAL(node->c, conf_get(&node->busy), 0);
	CHECK_EQUAL(node->c, atomic_fetch_add_explicit(&node->drops, 1, memory_order_relaxed), 0);
	pthread_mutex_lock(&node->lock);
	struct jd_waker waker = node->waker;

	node->waker = (struct jd_waker){0};
	node->gone = true;
	pthread_mutex_unlock(&node->lock);
	jd_waker_drop(&waker);
	if (node->on_drop)
		node->on_drop(node);
	if (node->dropped)
		conf_latch_hit(node->dropped);
}

static void node_drop_result(void *result)
{
	struct conf_value *value = result;

	if (CHECK_EQUAL(value->node->c, value->value, value->node->value))
		conf_add(&value->node->result_drops);
}

static const struct jd_future_ops node_ops = {
	.poll = node_poll,
	.drop = node_drop,
	.drop_result = node_drop_result,
	.size = sizeof(struct conf_future),
	.result_size = sizeof(struct conf_value),
};

static void node_init(struct conf_node *node, struct conf *c)
{
	node->c = c;
	node->value = UINT64_C(0x1234567887654321) ^ (uint64_t)(uintptr_t)node;
	pthread_mutex_init(&node->lock, NULL);
}

struct conf_node *conf_nodes(struct conf *c, unsigned n)
{
	struct conf_node *nodes = conf_array(c, struct conf_node, n);

	for (unsigned i = 0; i < n; i++)
		node_init(&nodes[i], c);
	return nodes;
}

struct conf_node *conf_node_new(struct conf *c)
{
	return conf_nodes(c, 1);
}

struct conf_future conf_node_future(struct conf_node *node)
{
	return (struct conf_future){{&node_ops}, node, 0};
}

void conf_node_set(struct conf_node *node)
{
	pthread_mutex_lock(&node->lock);
	struct jd_waker waker = node->waker;

	node->waker = (struct jd_waker){0};
	node->set = true;
	pthread_mutex_unlock(&node->lock);
	jd_waker_wake(&waker);
}

struct jd_waker conf_node_waker(struct conf_node *node)
{
	pthread_mutex_lock(&node->lock);
	struct jd_waker waker = jd_waker_clone(&node->waker);

	pthread_mutex_unlock(&node->lock);
	return waker;
}

bool conf_node_spawn_on(struct conf_node *node, struct jd_scheduler *scheduler,
			const struct jd_task_options *options, struct jd_task **task)
{
	struct conf_future future = conf_node_future(node);

	return CHECK_STATUS(node->c, jd_task_spawn(scheduler, &future.base, options, task), JD_OK);
}

bool conf_node_spawn(struct conf_node *node, struct jd_task **task)
{
	const struct jd_task_options options = {.kind = JD_TASK_BACKGROUND, .site = JD_SITE};

	return conf_node_spawn_on(node, node->c->scheduler, &options, task);
}

void conf_node_ended(struct conf_node *node, unsigned result_drops, const char *site)
{
	conf_check_equal(node->c, conf_get(&node->drops), 1, "drops of the future", site);
	conf_check_equal(node->c, conf_get(&node->result_drops), result_drops,
			 "drops of the result", site);
	conf_check_equal(node->c, conf_get(&node->busy), 0, "calls into the future", site);
}

void conf_node_join(struct conf_node *node, struct jd_task *task, jd_status want, const char *site)
{
	struct conf_value value = {0};
	jd_status status = jd_task_join(task, &value);

	conf_check_status(node->c, status, want, "join", site);
	if (status == JD_OK && conf_check(node->c, value.node == node, "its own result", site))
		node_drop_result(&value);
}

/* --- Wakers ---------------------------------------------------------------------------------- */

static void waker_clone(void *data)
{
	struct conf_waker *self = data;

	conf_add(&self->refs);
}

static void waker_drop(void *data)
{
	struct conf_waker *self = data;

	atomic_fetch_sub_explicit(&self->refs, 1, memory_order_relaxed);
}

static void waker_wake_ref(void *data)
{
	struct conf_waker *self = data;

	conf_add(&self->wakes);
	if (self->on_wake)
		self->on_wake(self);
}

static void waker_wake(void *data)
{
	/* First: whoever is woken may count. The memory stays, it is the test's. */
	waker_drop(data);
	waker_wake_ref(data);
}

struct jd_waker conf_waker_get(struct conf_waker *self)
{
	static const struct jd_waker_ops ops = {waker_clone, waker_wake, waker_wake_ref,
						waker_drop};

	conf_add(&self->refs);
	return (struct jd_waker){&ops, self};
}
