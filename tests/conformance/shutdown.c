/* shutdown.c - conformance: destroy ends everything, once, and nothing is lost on the way. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

static void destroy(struct conf *c)
{
	CHECK_STATUS(c, jd_scheduler_destroy(c->scheduler), JD_OK);
	c->scheduler = NULL;
}

/* Run or cancelled, one of the two, once. */
static void check_ended_once(struct conf *c, struct conf_job *jobs, unsigned n)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < n; i++)
		wrong += conf_get(&jobs[i].runs) + conf_get(&jobs[i].cancels) != 1;
	CHECK_EQUAL(c, wrong, 0);
}

/* Polls the handle of a task whose scheduler is gone. */
static jd_status status_of(struct conf_node *node, struct jd_task *task)
{
	struct conf_waker *counter = conf_new(node->c, struct conf_waker);
	struct conf_value value = {0};

	counter->c = node->c;
	struct jd_waker waker = conf_waker_get(counter);
	struct jd_context context = {.waker = &waker};
	jd_status status = jd_task_poll(task, &context, &value);

	if (status == JD_OK)
		conf_add(&node->result_drops);
	jd_waker_drop(&waker);
	CHECK_EQUAL(node->c, conf_get(&counter->refs), 0);
	return status;
}

/* --- What is there at the end ---------------------------------------------------------------- */

static void queued_runnables(struct conf *c)
{
	struct conf_job *jobs = conf_jobs(c, 2000, NULL, NULL, NULL);

	for (unsigned i = 0; i < 2000; i++)
		CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[i].base), JD_OK);
	destroy(c);
	check_ended_once(c, jobs, 2000);
}

static void queued_foreground_runnables(struct conf *c)
{
	struct conf_job *jobs = conf_jobs(c, 300, NULL, NULL, NULL);

	for (unsigned i = 0; i < 300; i++)
		CHECK_STATUS(c, jd_schedule_foreground(c->scheduler, &jobs[i].base, 1 + i % 7),
			     JD_OK);
	destroy(c);
	check_ended_once(c, jobs, 300);
}

static void queued_blocking_runnables(struct conf *c)
{
	struct conf_job *jobs = conf_jobs(c, 100, NULL, NULL, NULL);

	for (unsigned i = 0; i < 100; i++)
		CHECK_STATUS(c, jd_schedule_blocking(c->scheduler, &jobs[i].base), JD_OK);
	destroy(c);
	check_ended_once(c, jobs, 100);
}

static void armed_timers(struct conf *c)
{
	static const uint64_t delays[] = {JD_US, 100 * JD_US, JD_MS, 3600 * JD_SEC, JD_NEVER};
	struct conf_job *jobs = conf_jobs(c, 500, NULL, NULL, NULL);

	for (unsigned i = 0; i < 500; i++) {
		if (i % 2)
			jobs[i].base.flags = JD_RUNNABLE_INLINE;
		CHECK_STATUS(c,
			     jd_schedule_after(c->scheduler, &jobs[i].timer, &jobs[i].base,
					       delays[i % 5]),
			     JD_OK);
	}
	destroy(c);
	check_ended_once(c, jobs, 500);
	for (unsigned i = 0; i < 500; i++) {
		if (i % 5 >= 3)
			CHECK_EQUAL(c, conf_get(&jobs[i].cancels), 1);
	}
}

/* Queued or polled once, waiting: each is cancelled, its future dropped, its awaiter told. */
static void waiting_and_queued_tasks(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 600);
	struct jd_task *tasks[600] = {NULL};

	for (unsigned i = 0; i < 600; i++) {
		if (i == 300)
			WAIT(latch, 300);
		nodes[i].polled = i < 300 ? latch : NULL;
		conf_node_spawn(&nodes[i], i % 2 ? &tasks[i] : NULL);
	}
	conf_latch_close(latch);
	destroy(c);
	for (unsigned i = 0; i < 600; i++) {
		if (tasks[i]) {
			CHECK(c, jd_task_is_finished(tasks[i]));
			CHECK_STATUS(c, status_of(&nodes[i], tasks[i]), JD_ECANCELED);
			CHECK_STATUS(c, jd_task_cancel(tasks[i]), JD_EALREADY);
			jd_task_drop(tasks[i]);
		}
		CHECK_ENDED(&nodes[i], 0);
	}
}

static void dropped_on_main(struct conf_node *node)
{
	CHECK(node->c, pthread_equal(pthread_self(), *(pthread_t *)node->arg));
}

/* Futures of foreground tasks are dropped on the main thread, also by the end. */
static void foreground_tasks(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 100);
	pthread_t *self = conf_new(c, pthread_t);

	*self = pthread_self();
	for (unsigned i = 0; i < 100; i++) {
		const struct jd_task_options options = {.kind = JD_TASK_FOREGROUND,
							.session = 1 + i % 3};

		if (i == 50)
			WAIT(latch, 50);
		nodes[i].polled = i < 50 ? latch : NULL;
		nodes[i].on_drop = dropped_on_main;
		nodes[i].arg = self;
		conf_node_spawn_on(&nodes[i], c->scheduler, &options, NULL);
	}
	conf_latch_close(latch);
	destroy(c);
	for (unsigned i = 0; i < 100; i++)
		CHECK_ENDED(&nodes[i], 0);
}

/* --- Tasks that hold timers ------------------------------------------------------------------ */

/* A future that sleeps: its timer and its inline runnable lie in its node. */
struct sleeper {
	struct jd_runnable base;
	struct jd_timer timer;
	struct conf_node *node;
	bool armed;         /* of the task: once, with JD_OK */
	struct gate called; /* run or cancel was entered, and will touch nothing any more */
};

static void sleeper_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct sleeper *sleeper = jd_container_of(runnable, struct sleeper, base);
	struct conf_node *node = sleeper->node;

	(void)worker;
	conf_node_set(node);
	gate_open(&sleeper->called);
}

static void sleeper_cancel(struct jd_runnable *runnable)
{
	struct sleeper *sleeper = jd_container_of(runnable, struct sleeper, base);

	gate_open(&sleeper->called);
}

static jd_status sleeper_poll(struct conf_node *node, struct jd_context *context)
{
	struct sleeper *sleeper = node->arg;
	jd_status status = JD_PENDING;

	if (sleeper->armed && gate_count(&sleeper->called))
		return JD_OK;
	pthread_mutex_lock(&node->lock);
	struct jd_waker old = node->waker;

	node->waker = jd_waker_clone(context->waker);
	pthread_mutex_unlock(&node->lock);
	jd_waker_drop(&old);
	if (!sleeper->armed) {
		status = jd_schedule_after(context->scheduler, &sleeper->timer, &sleeper->base,
					   node->value);
		sleeper->armed = status == JD_OK;
	}
	return sleeper->armed ? JD_PENDING : status;
}

/* As every future with a timer must: not before the timer has let go. */
static void sleeper_drop(struct conf_node *node)
{
	struct sleeper *sleeper = node->arg;

	if (sleeper->armed && jd_cancel_timer(node->c->scheduler, &sleeper->timer) != JD_OK)
		gate_wait(&sleeper->called, 1);
}

static struct sleeper *sleepers_spawn(struct conf *c, struct conf_node *nodes, unsigned n,
				      uint64_t span_ns)
{
	static const struct jd_runnable_ops ops = {.run = sleeper_run, .cancel = sleeper_cancel};
	struct sleeper *sleepers = conf_array(c, struct sleeper, n);

	for (unsigned i = 0; i < n; i++) {
		sleepers[i].base = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
		sleepers[i].base.flags = JD_RUNNABLE_INLINE | JD_RUNNABLE_RESUME;
		sleepers[i].node = &nodes[i];
		gate_init(&sleepers[i].called, "a timer claimed but not entered");
		nodes[i].poll = sleeper_poll;
		nodes[i].on_drop = sleeper_drop;
		nodes[i].arg = &sleepers[i];
		nodes[i].value = i % 10 == 0 ? JD_NEVER : conf_random(c, i) % span_ns;
		conf_node_spawn(&nodes[i], NULL);
	}
	return sleepers;
}

static void sleepers_free(struct sleeper *sleepers, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		gate_fini(&sleepers[i].called);
}

/* The end comes while some of them sleep, some wake up, and some were not polled yet. */
static void tasks_that_hold_timers(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 300);
	struct sleeper *sleepers;

	for (unsigned i = 0; i < 100; i++)
		nodes[i].polled = latch;
	sleepers = sleepers_spawn(c, nodes, 300, 4 * JD_MS);
	WAIT(latch, 100);
	conf_latch_close(latch);
	CHECK_STATUS(c, jd_scheduler_destroy(c->scheduler), JD_OK);
	c->scheduler = NULL;
	for (unsigned i = 0; i < 300; i++)
		CHECK_EQUAL(c, conf_get(&nodes[i].drops), 1);
	sleepers_free(sleepers, 300);
}

/* --- What runs at the end -------------------------------------------------------------------- */

struct last_run {
	struct gate entered;
	struct conf_job *probe;
	unsigned plain; /* written after the long wait; destroy must have waited for it */
};

/* Runs until the scheduler refuses work: then destroy has begun and waits for this. */
static void run_into_the_end(struct conf_job *job)
{
	struct last_run *last = job->arg;

	gate_open(&last->entered);
	while (jd_schedule(job->c->scheduler, &last->probe[0].base) == JD_OK)
		last->probe++;
	last->plain = 1;
}

static void what_runs_may_return(struct conf *c)
{
	struct last_run *last = conf_new(c, struct last_run);
	struct conf_job *job = conf_jobs(c, 1, run_into_the_end, last, NULL);
	struct conf_job *probes;

	/* Each probe is taken at most once; so many that they last until the end. */
	probes = last->probe = conf_jobs(c, 1000000, NULL, NULL, NULL);
	gate_init(&last->entered, "the last runnable entered");
	CHECK_STATUS(c, jd_schedule(c->scheduler, &job->base), JD_OK);
	gate_wait(&last->entered, 1);
	destroy(c);
	CHECK_EQUAL(c, last->plain, 1);
	CHECK_RAN_ONCE(c, job, 1);
	check_ended_once(c, probes, (unsigned)(last->probe - probes));
	gate_fini(&last->entered);
}

/* Behind the only blocking job that may run: those in line are cancelled, not run. */
static void blocking_runnables_in_line(struct conf *c)
{
	const struct conf_options options = {.workers = 1, .blocking_max = 1};
	struct last_run *last = conf_new(c, struct last_run);
	struct conf_job *job = conf_jobs(c, 1, run_into_the_end, last, NULL);
	struct conf_job *line = conf_jobs(c, 100, NULL, NULL, NULL);
	struct conf_job *probes;

	c->scheduler = conf_make(c, &options);
	if (!c->scheduler)
		return;
	probes = last->probe = conf_jobs(c, 1000000, NULL, NULL, NULL);
	gate_init(&last->entered, "the only blocking job entered");
	CHECK_STATUS(c, jd_schedule_blocking(c->scheduler, &job->base), JD_OK);
	gate_wait(&last->entered, 1);
	for (unsigned i = 0; i < 100; i++)
		CHECK_STATUS(c, jd_schedule_blocking(c->scheduler, &line[i].base), JD_OK);
	CHECK_STATUS(c, jd_scheduler_destroy(c->scheduler), JD_OK);
	c->scheduler = NULL;
	CHECK_RAN_ONCE(c, job, 1);
	check_ended_once(c, line, 100);
	check_ended_once(c, probes, (unsigned)(last->probe - probes));
	gate_fini(&last->entered);
}

static jd_status block_for_ever(struct conf_node *node, struct jd_context *context)
{
	struct conf_future future = conf_node_future(node->arg);
	struct conf_value value;
	jd_status status;

	gate_open(((struct conf_node *)node->arg)->arg);
	status = jd_block(context->scheduler, &future.base, &value);
	CHECK(node->c, status == JD_ECLOSED);
	jd_future_drop(&future.base);
	return status;
}

/* Tasks that block in a wait nobody will end: the wait fails and they return. */
static void tasks_that_block(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 6), *nevers = conf_nodes(c, 6);
	struct gate entered;

	gate_init(&entered, "tasks about to block");
	for (unsigned i = 0; i < 6; i++) {
		const struct jd_task_options options = {.kind = i % 2 ? JD_TASK_BLOCKING
								      : JD_TASK_BACKGROUND};

		nevers[i].arg = &entered;
		nodes[i].poll = block_for_ever;
		nodes[i].arg = &nevers[i];
		conf_node_spawn_on(&nodes[i], c->scheduler, &options, NULL);
	}
	gate_wait(&entered, 6);
	destroy(c);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_ENDED(&nodes[i], 0);
		CHECK_ENDED(&nevers[i], 0);
	}
	gate_fini(&entered);
}

/* --- Futures that act when they are dropped -------------------------------------------------- */

struct actor {
	struct jd_task *other;
	struct conf_job *job;
	struct conf_node *extra;
	jd_status job_status;
	jd_status spawn_status;
};

static void act_when_dropped(struct conf_node *node)
{
	struct actor *actor = node->arg;
	struct conf_future future = conf_node_future(actor->extra);

	jd_task_drop(actor->other);
	actor->job_status = jd_schedule(node->c->scheduler, &actor->job->base);
	actor->spawn_status = jd_spawn(node->c->scheduler, &future.base, NULL);
	if (actor->spawn_status != JD_OK)
		jd_future_drop(&future.base);
}

/* They cancel others, and what they hand in now is refused, and theirs. */
static void drops_that_act(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 100), *extra = conf_nodes(c, 100);
	struct conf_job *jobs = conf_jobs(c, 100, NULL, NULL, NULL);
	struct actor *actors = conf_array(c, struct actor, 100);
	struct jd_task *task = NULL;

	for (unsigned i = 0; i < 100; i++) {
		actors[i] = (struct actor){.other = task, .job = &jobs[i], .extra = &extra[i]};
		nodes[i].polled = latch;
		nodes[i].on_drop = act_when_dropped;
		nodes[i].arg = &actors[i];
		conf_node_spawn(&nodes[i], &task);
	}
	WAIT(latch, 100);
	conf_latch_close(latch);
	CHECK_STATUS(c, jd_scheduler_destroy(c->scheduler), JD_OK);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_ENDED(&nodes[i], 0);
		CHECK_STATUS(c, actors[i].job_status, JD_ECLOSED);
		CHECK_STATUS(c, actors[i].spawn_status, JD_ECLOSED);
		CHECK_EQUAL(c, conf_get(&jobs[i].runs) + conf_get(&jobs[i].cancels), 0);
		CHECK_EQUAL(c, conf_get(&extra[i].drops), 1);
	}
	c->scheduler = NULL;
	jd_task_drop(task);
}

/* --- What outlives it ------------------------------------------------------------------------ */

static void handles_and_wakers_outlive_it(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 3);
	struct jd_task *tasks[3] = {NULL};
	struct jd_waker wakers[3];

	for (unsigned i = 0; i < 3; i++) {
		nodes[i].polled = latch;
		conf_node_spawn(&nodes[i], &tasks[i]);
	}
	WAIT(latch, 3);
	for (unsigned i = 0; i < 3; i++)
		wakers[i] = conf_node_waker(&nodes[i]);
	conf_node_set(&nodes[0]);
	while (!jd_task_is_finished(tasks[0]))
		conf_let_run(c);
	conf_latch_close(latch);
	destroy(c);
	/* Ended before: the result is still there. Waiting: cancelled. No handle: a waker. */
	CHECK_STATUS(c, status_of(&nodes[0], tasks[0]), JD_OK);
	CHECK_STATUS(c, status_of(&nodes[1], tasks[1]), JD_ECANCELED);
	jd_task_detach(tasks[2]);
	for (unsigned i = 0; i < 3; i++) {
		struct jd_waker clone = jd_waker_clone(&wakers[i]);

		jd_waker_wake_ref(&wakers[i]);
		jd_waker_wake(&clone);
		CHECK_ENDED(&nodes[i], i == 0);
	}
	CHECK(c, jd_task_get_id(tasks[0]) && jd_task_get_id(tasks[1]));
	jd_task_drop(tasks[0]);
	jd_task_detach(tasks[1]);
	CHECK(c, count_allocator_live(&c->memory) > 0);
	for (unsigned i = 0; i < 3; i++)
		jd_waker_drop(&wakers[i]);
	CHECK_EQUAL(c, count_allocator_live(&c->memory), 0);
}

/* --- Storms at the end ----------------------------------------------------------------------- */

#define STORM 4
#define STORM_MAX 20000

struct stormer {
	struct gate_thread thread;
	struct conf *c;
	struct conf_node *nodes;
	struct conf_job *jobs;
	struct gate *entered;
	unsigned spawned, scheduled, armed; /* taken by the scheduler */
};

static bool storm_once(struct stormer *s, unsigned i)
{
	struct jd_scheduler *scheduler = s->c->scheduler;
	struct conf_future future = conf_node_future(&s->nodes[i]);
	struct conf_job *timer = &s->jobs[STORM_MAX + i];
	jd_status status = jd_spawn(scheduler, &future.base, NULL);

	if (status != JD_OK) {
		CHECK_STATUS(s->c, status, JD_ECLOSED);
		CHECK_EQUAL(s->c, conf_get(&s->nodes[i].polls) + conf_get(&s->nodes[i].drops), 0);
		jd_future_drop(&future.base);
		return false;
	}
	s->spawned++;
	if (i % 2)
		conf_node_set(&s->nodes[i]);
	status = jd_schedule(scheduler, &s->jobs[i].base);
	if (status == JD_OK)
		s->scheduled++;
	else
		CHECK_STATUS(s->c, status, JD_ECLOSED);
	status = s->c->backend->has & CONF_TIMERS
			 ? jd_schedule_after(scheduler, &timer->timer, &timer->base, i % 50 * JD_US)
			 : JD_ECLOSED;
	if (status == JD_OK)
		s->armed++;
	else
		CHECK_STATUS(s->c, status, JD_ECLOSED);
	return status == JD_OK;
}

static void storm_main(void *arg)
{
	struct stormer *s = arg;

	for (unsigned i = 0; i < STORM_MAX; i++) {
		if (i == 20)
			gate_open(s->entered);
		if (!storm_once(s, i))
			break;
	}
	/* Wakes go on after the end. */
	for (unsigned i = 0; i < s->spawned; i += 2)
		conf_node_set(&s->nodes[i]);
}

static void storm_check(struct conf *c, const struct stormer *s)
{
	unsigned wrong = 0, jobs = 0, timers = 0;

	for (unsigned i = 0; i < s->spawned; i++)
		wrong += conf_get(&s->nodes[i].drops) != 1;
	CHECK_EQUAL(c, wrong, 0);
	for (unsigned i = 0; i < STORM_MAX; i++) {
		struct conf_job *job = &s->jobs[i], *timer = &s->jobs[STORM_MAX + i];
		unsigned job_ends = conf_get(&job->runs) + conf_get(&job->cancels);
		unsigned timer_ends = conf_get(&timer->runs) + conf_get(&timer->cancels);

		CHECK(c, job_ends <= 1 && timer_ends <= 1);
		jobs += job_ends;
		timers += timer_ends;
	}
	CHECK_EQUAL(c, jobs, s->scheduled);
	CHECK_EQUAL(c, timers, s->armed);
}

/* Threads spawn, schedule, arm and wake while the end comes: refused, or ended once. */
static void one_storm(struct conf *c, unsigned round)
{
	const struct conf_options options = {.workers = 2, .foreign = true};
	struct stormer *s = conf_array(c, struct stormer, STORM);
	struct jd_scheduler *scheduler = conf_make(c, &options);
	struct gate entered;

	if (!scheduler)
		return;
	c->scheduler = jd_scheduler_retain(scheduler);
	gate_init(&entered, "storm under way");
	for (unsigned i = 0; i < STORM; i++) {
		s[i].c = c;
		s[i].entered = &entered;
		s[i].nodes = conf_nodes(c, STORM_MAX);
		s[i].jobs = conf_jobs(c, 2 * STORM_MAX, NULL, NULL, NULL);
	}
	for (unsigned i = 0; i < STORM; i++)
		gate_thread_start(&s[i].thread, storm_main, &s[i]);
	gate_wait(&entered, round % (STORM + 1));
	if (round % 2)
		CHECK_STATUS(c, jd_scheduler_close(scheduler), JD_OK);
	CHECK_STATUS(c, jd_scheduler_destroy(scheduler), JD_OK);
	for (unsigned i = 0; i < STORM; i++)
		gate_thread_join(&s[i].thread);
	jd_scheduler_release(scheduler);
	c->scheduler = NULL;
	for (unsigned i = 0; i < STORM; i++)
		storm_check(c, &s[i]);
	gate_fini(&entered);
	CHECK_EQUAL(c, count_allocator_live(&c->memory), 0);
}

static void storms(struct conf *c)
{
	for (unsigned round = 0; round < 10 && !conf_get(&c->failures); round++)
		one_storm(c, round);
}

const struct conf_test conf_shutdown_tests[] = {
	{"shutdown.queued_runnables", queued_runnables, 0},
	{"shutdown.queued_foreground_runnables", queued_foreground_runnables, CONF_FOREGROUND},
	{"shutdown.queued_blocking_runnables", queued_blocking_runnables, CONF_BLOCKING},
	{"shutdown.armed_timers", armed_timers, CONF_TIMERS},
	{"shutdown.waiting_and_queued_tasks", waiting_and_queued_tasks, 0},
	{"shutdown.foreground_tasks", foreground_tasks, CONF_FOREGROUND},
	{"shutdown.tasks_that_hold_timers", tasks_that_hold_timers, CONF_TIMERS},
	{"shutdown.what_runs_may_return", what_runs_may_return, CONF_PARALLEL},
	{"shutdown.blocking_runnables_in_line", blocking_runnables_in_line,
	 CONF_OWN | CONF_BLOCKING | CONF_PARALLEL},
	{"shutdown.tasks_that_block", tasks_that_block, CONF_PARALLEL | CONF_BLOCKING},
	{"shutdown.drops_that_act", drops_that_act, 0},
	{"shutdown.handles_and_wakers_outlive_it", handles_and_wakers_outlive_it, 0},
	{"shutdown.storms", storms, CONF_OWN | CONF_FOREIGN | CONF_ONCE},
	{NULL, NULL, 0},
};
