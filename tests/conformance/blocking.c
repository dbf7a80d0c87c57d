/* blocking.c - conformance: work that blocks holds no worker; waits inside tasks neither. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

/* --- Without threads for it ------------------------------------------------------------------ */

static void *never_called(void *arg)
{
	conf_add(&((struct conf *)arg)->failures);
	return NULL;
}

static void refused_by_one_that_lacks_it(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *job = conf_jobs(c, 1, NULL, NULL, latch);
	struct jd_task *task = NULL;

	CHECK_STATUS(c, jd_schedule_blocking(c->scheduler, &job->base), JD_ENOTSUP);
	CHECK_STATUS(c, jd_spawn_blocking(c->scheduler, never_called, c, &task), JD_ENOTSUP);
	CHECK(c, !task);
	CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), 0);
	CHECK_STATUS(c, jd_schedule(c->scheduler, &job->base), JD_OK);
	WAIT(latch, 1);
	CHECK_RAN_ONCE(c, job, 1);
	conf_latch_close(latch);
}

/* --- Blocking jobs --------------------------------------------------------------------------- */

struct call {
	unsigned calls;
	unsigned index;
};

static void *return_call(void *arg)
{
	struct call *call = arg;

	call->calls++;
	return call;
}

static void a_function_is_called_once(struct conf *c)
{
	struct call *calls = conf_array(c, struct call, 100);
	struct jd_task *tasks[100] = {NULL};

	for (unsigned i = 0; i < 100; i++)
		CHECK_STATUS(c, jd_spawn_blocking(c->scheduler, return_call, &calls[i], &tasks[i]),
			     JD_OK);
	for (unsigned i = 0; i < 100; i++) {
		void *result = NULL;

		CHECK_STATUS(c, jd_task_join(tasks[i], &result), JD_OK);
		CHECK(c, result == &calls[i]);
		CHECK_EQUAL(c, calls[i].calls, 1);
	}
}

static void runnables_run_once(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 300, NULL, NULL, latch);

	for (unsigned i = 0; i < 300; i++)
		CHECK_STATUS(c, jd_schedule_blocking(c->scheduler, &jobs[i].base), JD_OK);
	WAIT(latch, 300);
	CHECK_RAN_ONCE(c, jobs, 300);
	conf_latch_close(latch);
}

struct held {
	struct gate entered;
	struct gate leave;
};

static struct held *held_new(struct conf *c)
{
	struct held *held = conf_new(c, struct held);

	gate_init(&held->entered, "blocking job entered");
	gate_init(&held->leave, "blocking job may leave");
	return held;
}

static void held_free(struct held *held)
{
	gate_fini(&held->entered);
	gate_fini(&held->leave);
}

static void stand(struct conf_job *job)
{
	struct held *held = job->arg;

	gate_open(&held->entered);
	gate_wait(&held->leave, 1);
}

/* More of them than workers stand at a gate, all at once; tasks go on as if nothing were. */
static void holds_no_worker(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c), *others = conf_latch_new(c);
	struct held *held = held_new(c);
	unsigned n = 3 * jd_num_cpus(c->scheduler) + 2;
	struct conf_job *jobs = conf_jobs(c, n, stand, held, latch);
	struct conf_job *quick = conf_jobs(c, 500, NULL, NULL, others);

	for (unsigned i = 0; i < n; i++)
		CHECK_STATUS(c, jd_schedule_blocking(c->scheduler, &jobs[i].base), JD_OK);
	gate_wait(&held->entered, n);
	for (unsigned i = 0; i < 500; i++)
		CHECK_STATUS(c, jd_schedule(c->scheduler, &quick[i].base), JD_OK);
	WAIT(others, 500);
	CHECK_EQUAL(c, conf_latch_count(latch), 0);
	gate_open(&held->leave);
	WAIT(latch, n);
	CHECK_RAN_ONCE(c, jobs, n);
	CHECK_RAN_ONCE(c, quick, 500);
	held_free(held);
	conf_latch_close(latch);
	conf_latch_close(others);
}

static void *spawn_and_join(void *arg)
{
	struct conf_node *node = arg;
	struct jd_task *task;

	/* A node that is set at once: a task like any other. */
	conf_node_set(node);
	if (conf_node_spawn(node, &task))
		JOIN(node, task, JD_OK);
	return node;
}

static void may_wait_for_tasks(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 20);
	struct jd_task *tasks[20] = {NULL};

	for (unsigned i = 0; i < 20; i++)
		CHECK_STATUS(c,
			     jd_spawn_blocking(c->scheduler, spawn_and_join, &nodes[i], &tasks[i]),
			     JD_OK);
	for (unsigned i = 0; i < 20; i++) {
		void *result = NULL;

		CHECK_STATUS(c, jd_task_join(tasks[i], &result), JD_OK);
		CHECK(c, result == &nodes[i]);
		CHECK_ENDED(&nodes[i], 1);
	}
}

static jd_status join_blocking(struct conf_node *node, struct jd_context *context)
{
	struct jd_task **task = node->arg;
	void *result;

	if (!*task) {
		struct call *call = conf_new(node->c, struct call);

		CHECK_STATUS(node->c,
			     jd_spawn_blocking(context->scheduler, return_call, call, task), JD_OK);
	}
	return jd_task_poll(*task, context, &result);
}

/* The usual way: a task awaits blocking work without blocking itself. */
static void awaited_by_tasks(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 50);
	struct jd_task *tasks[50] = {NULL};
	struct jd_task **inner = conf_array(c, struct jd_task *, 50);

	for (unsigned i = 0; i < 50; i++) {
		nodes[i].poll = join_blocking;
		nodes[i].arg = &inner[i];
		conf_node_spawn(&nodes[i], &tasks[i]);
	}
	for (unsigned i = 0; i < 50; i++) {
		JOIN(&nodes[i], tasks[i], JD_OK);
		jd_task_detach(inner[i]);
		CHECK_ENDED(&nodes[i], 1);
	}
}

/* --- Waits inside tasks ---------------------------------------------------------------------- */

static jd_status block_on_event(struct conf_node *node, struct jd_context *context)
{
	struct conf_node *event = node->arg;
	struct conf_future future = conf_node_future(event);
	struct conf_value value;

	CHECK_STATUS(node->c, jd_block(context->scheduler, &future.base, &value), JD_OK);
	jd_future_drop(&future.base);
	return JD_OK;
}

static jd_status set_events(struct conf_node *node, struct jd_context *context)
{
	struct conf_node *events = node->arg;

	(void)context;
	for (unsigned i = 0; i < 12; i++)
		conf_node_set(&events[i]);
	return JD_OK;
}

/* All workers wait inside tasks, and more tasks than workers; the one that ends it still runs. */
static void all_workers_wait_at_once(struct conf *c)
{
	struct conf_node *events = conf_nodes(c, 12), *nodes = conf_nodes(c, 12);
	struct conf_node *setter = conf_node_new(c);
	struct jd_task *tasks[13] = {NULL};

	for (unsigned i = 0; i < 12; i++) {
		nodes[i].poll = block_on_event;
		nodes[i].arg = &events[i];
		conf_node_spawn(&nodes[i], &tasks[i]);
	}
	setter->poll = set_events;
	setter->arg = events;
	conf_node_spawn(setter, &tasks[12]);
	for (unsigned i = 0; i < 12; i++) {
		JOIN(&nodes[i], tasks[i], JD_OK);
		CHECK_ENDED(&nodes[i], 1);
		CHECK_ENDED(&events[i], 0);
	}
	JOIN(setter, tasks[12], JD_OK);
}

static jd_status nest(struct conf_node *node, struct jd_context *context)
{
	unsigned *depth = node->arg;
	struct jd_task *task;

	(void)context;
	if (++*depth == 20)
		return JD_OK;
	struct conf_node *inner = conf_node_new(node->c);

	inner->poll = nest;
	inner->arg = depth;
	if (conf_node_spawn(inner, &task))
		JOIN(inner, task, JD_OK);
	return JD_OK;
}

/* A task waits for a task that waits for a task ... twenty deep, on two workers. */
static void nested_waits(struct conf *c)
{
	struct conf_node *node = conf_node_new(c);
	unsigned *depth = conf_new(c, unsigned);
	struct jd_task *task;

	node->poll = nest;
	node->arg = depth;
	if (conf_node_spawn(node, &task))
		JOIN(node, task, JD_OK);
	CHECK_EQUAL(c, *depth, 20);
}

static jd_status time_out_inside(struct conf_node *node, struct jd_context *context)
{
	struct conf_node *never = node->arg;
	struct conf_future future = conf_node_future(never);
	struct conf_value value;
	uint64_t until = jd_now(context->scheduler) + 2 * JD_MS;

	CHECK_STATUS(node->c,
		     jd_block_with_timeout(context->scheduler, &future.base, 2 * JD_MS, &value),
		     JD_ETIMEDOUT);
	CHECK(node->c, jd_now(context->scheduler) >= until);
	jd_future_drop(&future.base);
	return JD_OK;
}

static void timeouts_inside_tasks(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 8), *nevers = conf_nodes(c, 8);
	struct jd_task *tasks[8] = {NULL};

	for (unsigned i = 0; i < 8; i++) {
		nodes[i].poll = time_out_inside;
		nodes[i].arg = &nevers[i];
		conf_node_spawn(&nodes[i], &tasks[i]);
	}
	for (unsigned i = 0; i < 8; i++) {
		JOIN(&nodes[i], tasks[i], JD_OK);
		CHECK_ENDED(&nodes[i], 1);
		CHECK_ENDED(&nevers[i], 0);
	}
}

const struct conf_test conf_blocking_tests[] = {
	{"blocking.refused_by_one_that_lacks_it", refused_by_one_that_lacks_it,
	 CONF_BLOCKING | CONF_WITHOUT},
	{"blocking.a_function_is_called_once", a_function_is_called_once, CONF_BLOCKING},
	{"blocking.runnables_run_once", runnables_run_once, CONF_BLOCKING},
	{"blocking.holds_no_worker", holds_no_worker, CONF_BLOCKING | CONF_PARALLEL},
	{"blocking.may_wait_for_tasks", may_wait_for_tasks, CONF_BLOCKING},
	{"blocking.awaited_by_tasks", awaited_by_tasks, CONF_BLOCKING},
	{"blocking.all_workers_wait_at_once", all_workers_wait_at_once, 0},
	{"blocking.nested_waits", nested_waits, 0},
	{"blocking.timeouts_inside_tasks", timeouts_inside_tasks, 0},
	{NULL, NULL, 0},
};
