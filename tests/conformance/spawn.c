/* spawn.c - conformance: spawning everywhere, in numbers, without memory, across schedulers. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

/* --- In numbers ------------------------------------------------------------------------------ */

static jd_status ready(struct conf_node *node, struct jd_context *context)
{
	(void)node;
	(void)context;
	return JD_OK;
}

static void fifty_thousand(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 50000);
	unsigned wrong = 0;

	for (unsigned i = 0; i < 50000; i++) {
		nodes[i].poll = ready;
		nodes[i].dropped = latch;
		if (!conf_node_spawn(&nodes[i], NULL))
			break;
	}
	WAIT(latch, 50000);
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	for (unsigned i = 0; i < 50000; i++)
		wrong += conf_get(&nodes[i].drops) != 1 || conf_get(&nodes[i].polls) != 1;
	CHECK_EQUAL(c, wrong, 0);
	conf_latch_close(latch);
}

/* --- From inside tasks ----------------------------------------------------------------------- */

struct fib {
	struct jd_task *left;
	struct conf_node *left_node;
	struct jd_task *right;
	struct conf_node *right_node;
};

static jd_status fib_poll(struct conf_node *node, struct jd_context *context);

static void fib_drop(struct conf_node *node)
{
	struct fib *fib = node->arg;

	jd_task_drop(fib->left);
	jd_task_drop(fib->right);
}

/* value is the argument until it is the result. */
static struct conf_node *fib_node(struct conf *c, uint64_t n)
{
	struct conf_node *node = conf_node_new(c);

	node->poll = fib_poll;
	node->on_drop = fib_drop;
	node->arg = conf_new(c, struct fib);
	node->value = n;
	return node;
}

/* True when the child has ended; its result is added to the sum. */
static bool fib_take(struct conf_node *node, struct jd_task **task, struct conf_node *child,
		     struct jd_context *context)
{
	struct conf_value value = {0};

	if (!*task)
		return true;
	jd_status status = jd_task_poll(*task, context, &value);

	if (status == JD_PENDING)
		return false;
	CHECK_STATUS(node->c, status, JD_OK);
	CHECK(node->c, value.node == child);
	node->value += value.value;
	jd_task_detach(*task);
	*task = NULL;
	return true;
}

static jd_status fib_poll(struct conf_node *node, struct jd_context *context)
{
	struct fib *fib = node->arg;

	if (!fib->left_node) {
		if (node->value < 2)
			return JD_OK;
		fib->left_node = fib_node(node->c, node->value - 1);
		fib->right_node = fib_node(node->c, node->value - 2);
		node->value = 0;
		conf_node_spawn(fib->left_node, &fib->left);
		conf_node_spawn(fib->right_node, &fib->right);
	}
	bool left = fib_take(node, &fib->left, fib->left_node, context);
	bool right = fib_take(node, &fib->right, fib->right_node, context);

	return left && right ? JD_OK : JD_PENDING;
}

/* fib(14) with a task for every call: 1,219 tasks that await their two children each. */
static void recursively(struct conf *c)
{
	struct conf_node *node = fib_node(c, 14);
	struct jd_task *task;

	if (conf_node_spawn(node, &task))
		JOIN(node, task, JD_OK);
	CHECK_EQUAL(c, node->value, 377);
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), 0);
}

/* --- Fairness -------------------------------------------------------------------------------- */

static jd_status yield_until_set(struct conf_node *node, struct jd_context *context)
{
	struct conf_node *flag = node->arg;

	pthread_mutex_lock(&flag->lock);
	bool set = flag->set;

	pthread_mutex_unlock(&flag->lock);
	if (set)
		return JD_OK;
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

static jd_status set_flag(struct conf_node *node, struct jd_context *context)
{
	(void)context;
	conf_node_set(node->arg);
	return JD_OK;
}

/* On one worker: three tasks yield until a fourth, spawned last, has run. */
static void a_yielding_task_starves_nobody(struct conf *c)
{
	c->scheduler = conf_make(c, &(struct conf_options){.workers = 1});
	if (!c->scheduler)
		return;
	struct conf_node *nodes = conf_nodes(c, 4), *flag = conf_node_new(c);
	struct jd_task *tasks[4] = {NULL};

	for (unsigned i = 0; i < 4; i++) {
		nodes[i].poll = i < 3 ? yield_until_set : set_flag;
		nodes[i].arg = flag;
		conf_node_spawn(&nodes[i], &tasks[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		JOIN(&nodes[i], tasks[i], JD_OK);
		CHECK_ENDED(&nodes[i], 1);
	}
}

static void set_flag_job(struct conf_job *job)
{
	conf_node_set(job->arg);
}

/* Neither does it hold up timers. */
static void a_yielding_task_holds_up_no_timer(struct conf *c)
{
	c->scheduler = conf_make(c, &(struct conf_options){.workers = 1});
	if (!c->scheduler)
		return;
	struct conf_node *node = conf_node_new(c), *flag = conf_node_new(c);
	struct conf_job *job = conf_jobs(c, 1, set_flag_job, flag, NULL);
	struct jd_task *task;

	CHECK_STATUS(c, jd_schedule_after(c->scheduler, &job->timer, &job->base, 2 * JD_MS), JD_OK);
	node->poll = yield_until_set;
	node->arg = flag;
	if (conf_node_spawn(node, &task))
		JOIN(node, task, JD_OK);
	CHECK_RAN_ONCE(c, job, 1);
}

/* --- From other threads ---------------------------------------------------------------------- */

struct spawner {
	struct gate_thread thread;
	struct conf_node *nodes;
	struct jd_task *tasks[500];
};

static void spawner_main(void *arg)
{
	struct spawner *s = arg;

	for (unsigned i = 0; i < 500; i++) {
		if (!(i % 3))
			conf_node_set(&s->nodes[i]);
		conf_node_spawn(&s->nodes[i], &s->tasks[i]);
		if (i % 3 == 1)
			conf_node_set(&s->nodes[i]);
	}
	for (unsigned i = 2; i < 500; i += 3)
		jd_task_cancel(s->tasks[i]);
}

static void from_eight_threads(struct conf *c)
{
	struct spawner *spawners = conf_array(c, struct spawner, 8);

	for (unsigned i = 0; i < 8; i++) {
		spawners[i].nodes = conf_nodes(c, 500);
		gate_thread_start(&spawners[i].thread, spawner_main, &spawners[i]);
	}
	for (unsigned i = 0; i < 8; i++) {
		gate_thread_join(&spawners[i].thread);
		for (unsigned j = 0; j < 500; j++) {
			JOIN(&spawners[i].nodes[j], spawners[i].tasks[j],
			     j % 3 == 2 ? JD_ECANCELED : JD_OK);
			CHECK_ENDED(&spawners[i].nodes[j], j % 3 != 2);
		}
	}
}

/* --- Without memory -------------------------------------------------------------------------- */

/* How often it fails before it succeeds; others are there that wait. */
static unsigned spawn_with_failures(struct conf *c, struct conf_node *node, unsigned others,
				    struct jd_task **task)
{
	struct conf_future future = conf_node_future(node);
	unsigned failures = 0;

	*task = NULL;
	for (uint64_t nth = 1;; nth++) {
		uint64_t live = count_allocator_live(&c->memory);

		count_allocator_fail(&c->memory, nth, nth);
		jd_status status = jd_spawn(c->scheduler, &future.base, task);

		count_allocator_fail(&c->memory, 0, 0);
		if (status == JD_OK)
			return failures;
		CHECK_STATUS(c, status, JD_ENOMEM);
		CHECK(c, !*task);
		CHECK_EQUAL(c, count_allocator_live(&c->memory), live);
		CHECK_EQUAL(c, conf_get(&node->polls) + conf_get(&node->drops), 0);
		CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), others);
		failures++;
	}
}

/*
 * A worker that is just starting may take the failure that was meant for the spawn; and memory may
 * be got for many tasks at once. So until one failed, with none of them at its end.
 */
static void without_memory(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 300);
	struct jd_task *tasks[300];
	unsigned failures = 0, n = 0;

	for (; !failures && n < 300; n++)
		failures = spawn_with_failures(c, &nodes[n], n, &tasks[n]);
	CHECK(c, failures > 0);
	for (unsigned i = 0; i < n; i++) {
		conf_node_set(&nodes[i]);
		JOIN(&nodes[i], tasks[i], JD_OK);
		CHECK_ENDED(&nodes[i], 1);
	}
}

/* What is there goes on, although nothing more can be had. */
static void woken_without_memory(struct conf *c, const struct jd_task_options *options)
{
	struct conf_latch *polled = conf_latch_new(c), *dropped = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 300);
	struct jd_task *tasks[300] = {NULL};

	for (unsigned i = 0; i < 300; i++) {
		nodes[i].polled = polled;
		nodes[i].dropped = dropped;
		conf_node_spawn_on(&nodes[i], c->scheduler, options, &tasks[i]);
	}
	WAIT(polled, 300);
	count_allocator_fail(&c->memory, 1, UINT64_MAX);
	for (unsigned i = 0; i < 300; i++) {
		if (i % 2)
			conf_node_set(&nodes[i]);
		else
			jd_task_cancel(tasks[i]);
	}
	WAIT(dropped, 300);
	count_allocator_fail(&c->memory, 0, 0);
	for (unsigned i = 0; i < 300; i++) {
		JOIN(&nodes[i], tasks[i], i % 2 ? JD_OK : JD_ECANCELED);
		CHECK_ENDED(&nodes[i], i % 2);
	}
	conf_latch_close(polled);
	conf_latch_close(dropped);
}

static void what_runs_needs_no_memory(struct conf *c)
{
	woken_without_memory(c, &(struct jd_task_options){.kind = JD_TASK_BACKGROUND});
	woken_without_memory(c, &(struct jd_task_options){.label = "with a label"});
}

static void foreground_tasks_need_no_memory(struct conf *c)
{
	woken_without_memory(c,
			     &(struct jd_task_options){.kind = JD_TASK_FOREGROUND, .session = 77});
}

static void blocking_tasks_need_no_memory(struct conf *c)
{
	woken_without_memory(c, &(struct jd_task_options){.kind = JD_TASK_BLOCKING});
}

/* --- Two schedulers -------------------------------------------------------------------------- */

struct across {
	struct jd_task *awaited;
	struct conf_node *of;
};

static jd_status await_across(struct conf_node *node, struct jd_context *context)
{
	struct across *across = node->arg;
	struct conf_value value = {0};
	jd_status status = jd_task_poll(across->awaited, context, &value);

	if (status == JD_OK)
		conf_add(&across->of->result_drops);
	return status;
}

static void drop_across(struct conf_node *node)
{
	struct across *across = node->arg;

	jd_task_drop(across->awaited);
}

/* A chain that changes the scheduler with every link, begun by an event. */
static void two_schedulers_await_each_other(struct conf *c)
{
	struct jd_scheduler *other = conf_make(c, &(struct conf_options){.workers = 2});
	const struct jd_task_options options = {.kind = JD_TASK_BACKGROUND};
	struct conf_node *nodes = conf_nodes(c, 50);
	struct across *across = conf_array(c, struct across, 50);
	struct jd_task *task = NULL;

	for (unsigned i = 0; other && i < 50; i++) {
		if (i > 0) {
			across[i] = (struct across){task, &nodes[i - 1]};
			nodes[i].poll = await_across;
			nodes[i].on_drop = drop_across;
			nodes[i].arg = &across[i];
		}
		if (!conf_node_spawn_on(&nodes[i], i % 2 ? other : c->scheduler, &options, &task))
			return;
	}
	conf_node_set(&nodes[0]);
	JOIN(&nodes[49], task, JD_OK);
	CHECK_STATUS(c, jd_scheduler_drain(other, JD_NEVER), JD_OK);
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	for (unsigned i = 0; i < 50; i++)
		CHECK_ENDED(&nodes[i], 1);
	CHECK_STATUS(c, jd_scheduler_destroy(other), JD_OK);
}

/* One is destroyed while tasks of the other await its tasks: they learn it. */
static void an_awaited_scheduler_is_destroyed(struct conf *c)
{
	struct jd_scheduler *other = conf_make(c, &(struct conf_options){.workers = 1});
	const struct jd_task_options options = {.kind = JD_TASK_BACKGROUND};
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *theirs = conf_nodes(c, 20), *ours = conf_nodes(c, 20);
	struct across *across = conf_array(c, struct across, 20);
	struct jd_task *tasks[20] = {NULL};

	for (unsigned i = 0; other && i < 20; i++) {
		theirs[i].polled = latch;
		ours[i].polled = latch;
		conf_node_spawn_on(&theirs[i], other, &options, &across[i].awaited);
		across[i].of = &theirs[i];
		ours[i].poll = await_across;
		ours[i].on_drop = drop_across;
		ours[i].arg = &across[i];
		conf_node_spawn(&ours[i], &tasks[i]);
	}
	WAIT(latch, 40);
	CHECK_STATUS(c, jd_scheduler_destroy(other), JD_OK);
	for (unsigned i = 0; i < 20; i++) {
		JOIN(&ours[i], tasks[i], JD_ECANCELED);
		CHECK_ENDED(&ours[i], 0);
		CHECK_ENDED(&theirs[i], 0);
	}
	conf_latch_close(latch);
}

/* --- Bad arguments --------------------------------------------------------------------------- */

static void bad_arguments(struct conf *c)
{
	struct jd_task_options options = {.kind = JD_TASK_FOREGROUND, .session = 0};
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct jd_future no_ops = {NULL};
	struct jd_task *task = NULL;

	CHECK_STATUS(c, jd_spawn(NULL, &future.base, &task), JD_EINVAL);
	CHECK_STATUS(c, jd_spawn(c->scheduler, NULL, &task), JD_EINVAL);
	CHECK_STATUS(c, jd_spawn(c->scheduler, &no_ops, &task), JD_EINVAL);
	CHECK_STATUS(c, jd_spawn_labeled(NULL, &future.base, "x", &task), JD_EINVAL);
	CHECK_STATUS(c, jd_spawn_fn(c->scheduler, NULL, NULL, &task), JD_EINVAL);
	CHECK_STATUS(c, jd_spawn_blocking(c->scheduler, NULL, NULL, &task), JD_EINVAL);
	CHECK_STATUS(c, jd_task_spawn(c->scheduler, &future.base, NULL, &task), JD_EINVAL);
	CHECK_STATUS(c, jd_task_spawn(c->scheduler, &future.base, &options, &task), JD_EINVAL);
	options.kind = (enum jd_task_kind)9;
	CHECK_STATUS(c, jd_task_spawn(c->scheduler, &future.base, &options, &task), JD_EINVAL);
	CHECK_STATUS(c, jd_task_cancel(NULL), JD_EINVAL);
	CHECK_STATUS(c, jd_task_join(NULL, NULL), JD_EINVAL);
	jd_task_detach(NULL);
	jd_task_drop(NULL);
	CHECK(c, !task);
	CHECK_EQUAL(c, conf_get(&node->polls) + conf_get(&node->drops), 0);
	CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), 0);
}

const struct conf_test conf_spawn_tests[] = {
	{"spawn.fifty_thousand", fifty_thousand, CONF_ONCE},
	{"spawn.recursively", recursively, 0},
	{"spawn.a_yielding_task_starves_nobody", a_yielding_task_starves_nobody, CONF_OWN},
	{"spawn.a_yielding_task_holds_up_no_timer", a_yielding_task_holds_up_no_timer,
	 CONF_OWN | CONF_TIMERS | CONF_CLOCK},
	{"spawn.from_eight_threads", from_eight_threads, CONF_FOREIGN | CONF_ONCE},
	{"spawn.without_memory", without_memory, 0},
	{"spawn.what_runs_needs_no_memory", what_runs_needs_no_memory, 0},
	{"spawn.foreground_tasks_need_no_memory", foreground_tasks_need_no_memory, CONF_FOREGROUND},
	{"spawn.blocking_tasks_need_no_memory", blocking_tasks_need_no_memory, CONF_BLOCKING},
	{"spawn.two_schedulers_await_each_other", two_schedulers_await_each_other, CONF_PARALLEL},
	{"spawn.an_awaited_scheduler_is_destroyed", an_awaited_scheduler_is_destroyed,
	 CONF_PARALLEL},
	{"spawn.bad_arguments", bad_arguments, 0},
	{NULL, NULL, 0},
};
