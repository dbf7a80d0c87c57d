/* life.c - conformance: making, closing, draining, releasing; what is refused then and what not. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

/* --- Making ---------------------------------------------------------------------------------- */

static struct conf_options usual(struct conf *c)
{
	return (struct conf_options){
		.workers = 2,
		.main_thread = c->backend->has & CONF_FOREGROUND,
		.seed = c->seed,
		.allocator = &c->memory.base,
	};
}

static void made_and_destroyed_again_and_again(struct conf *c)
{
	struct conf_options options = usual(c);

	for (unsigned i = 0; i < 30; i++) {
		options.workers = 1 + i % 3;
		struct jd_scheduler *s = conf_make(c, &options);

		if (!s)
			return;
		CHECK(c, jd_num_cpus(s) >= 1);
		CHECK_STATUS(c, jd_scheduler_destroy(s), JD_OK);
		CHECK_EQUAL(c, count_allocator_live(&c->memory), 0);
	}
	CHECK_STATUS(c, jd_scheduler_destroy(NULL), JD_OK);
}

/* Whatever allocation fails, either it is made and works, or nothing is left behind. */
static void made_without_memory(struct conf *c)
{
	struct conf_options options = usual(c);
	unsigned failures = 0;

	for (uint64_t nth = 1;; nth++) {
		count_allocator_fail(&c->memory, nth, nth);
		jd_status status = c->backend->make(&options, &c->scheduler);
		bool refused = c->memory.refused;

		count_allocator_fail(&c->memory, 0, 0);
		if (status == JD_OK) {
			struct conf_latch *latch = conf_latch_new(c);
			struct conf_job *job = conf_jobs(c, 1, NULL, NULL, latch);

			CHECK_STATUS(c, jd_schedule(c->scheduler, &job->base), JD_OK);
			WAIT(latch, 1);
			conf_latch_close(latch);
			CHECK_STATUS(c, jd_scheduler_destroy(c->scheduler), JD_OK);
		} else {
			CHECK_STATUS(c, status, JD_ENOMEM);
			failures++;
		}
		c->scheduler = NULL;
		CHECK_EQUAL(c, count_allocator_live(&c->memory), 0);
		if (!refused)
			break;
	}
	CHECK(c, failures > 0);
}

static void two_live_side_by_side(struct conf *c)
{
	struct conf_options options = usual(c);
	struct jd_scheduler *first = conf_make(c, &options), *second = conf_make(c, &options);

	if (!first || !second)
		return;
	c->scheduler = second;
	struct conf_latch *latch = conf_latch_new_on(c, second);
	struct conf_latch *latch1 = conf_latch_new_on(c, first);
	struct conf_job *jobs = conf_jobs(c, 200, NULL, NULL, latch);
	struct conf_job *jobs1 = conf_jobs(c, 200, NULL, NULL, latch1);

	for (unsigned i = 0; i < 200; i++) {
		CHECK_STATUS(c, jd_schedule(second, &jobs[i].base), JD_OK);
		CHECK_STATUS(c, jd_schedule(first, &jobs1[i].base), JD_OK);
	}
	WAIT(latch1, 200);
	conf_latch_close(latch1);
	CHECK_STATUS(c, jd_scheduler_destroy(first), JD_OK);
	/* The second one does not mind. */
	WAIT(latch, 200);
	CHECK_RAN_ONCE(c, jobs, 200);
	CHECK_RAN_ONCE(c, jobs1, 200);
	conf_latch_close(latch);
}

/* --- Closing --------------------------------------------------------------------------------- */

/* Every way in says so, and none keeps what it was given. */
static void check_refuses_all(struct conf *c, struct conf_job *job, jd_status want)
{
	struct jd_scheduler *s = c->scheduler;
	unsigned has = c->backend->has;
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct jd_task *task = NULL;

	CHECK_STATUS(c, jd_schedule(s, &job->base), want);
	CHECK_STATUS(c, jd_schedule_labeled(s, &job->base, "x"), want);
	CHECK_STATUS(c, jd_schedule_foreground(s, &job->base, 1),
		     has & CONF_FOREGROUND ? want : JD_ENOTSUP);
	CHECK_STATUS(c, jd_schedule_blocking(s, &job->base),
		     has & CONF_BLOCKING ? want : JD_ENOTSUP);
	CHECK_STATUS(c, jd_schedule_after(s, &job->timer, &job->base, 0),
		     has & CONF_TIMERS ? want : JD_ENOTSUP);
	CHECK_STATUS(c, jd_schedule_at(s, &job->timer, &job->base, JD_NEVER),
		     has & CONF_TIMERS ? want : JD_ENOTSUP);
	CHECK_STATUS(c, jd_spawn(s, &future.base, &task), want);
	CHECK_STATUS(c, jd_spawn_foreground(s, 1, &future.base, &task),
		     has & CONF_FOREGROUND ? want : JD_ENOTSUP);
	CHECK(c, !task);
	CHECK_EQUAL(c, conf_get(&node->polls) + conf_get(&node->drops), 0);
	CHECK_EQUAL(c, conf_get(&job->runs) + conf_get(&job->cancels), 0);
	jd_future_drop(&future.base);
}

static void closed_takes_no_new_work(struct conf *c)
{
	struct conf_job *job = conf_jobs(c, 1, NULL, NULL, NULL);

	CHECK_STATUS(c, jd_scheduler_close(c->scheduler), JD_OK);
	CHECK_STATUS(c, jd_scheduler_close(c->scheduler), JD_EALREADY);
	check_refuses_all(c, job, JD_ECLOSED);
	CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), 0);
	CHECK_STATUS(c, jd_scheduler_close(NULL), JD_EINVAL);
}

/* Admitted work goes on: by wakes, and by schedule calls that say that they resume. */
static void closed_lets_admitted_work_go_on(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 100);
	struct conf_job *job = conf_jobs(c, 1, NULL, NULL, latch);
	struct jd_task *tasks[100] = {NULL};

	for (unsigned i = 0; i < 100; i++) {
		nodes[i].polled = latch;
		conf_node_spawn(&nodes[i], &tasks[i]);
	}
	WAIT(latch, 100);
	CHECK_STATUS(c, jd_scheduler_close(c->scheduler), JD_OK);
	job->base.flags = JD_RUNNABLE_RESUME;
	CHECK_STATUS(c, jd_schedule(c->scheduler, &job->base), JD_OK);
	WAIT(latch, 101);
	CHECK_RAN_ONCE(c, job, 1);
	for (unsigned i = 0; i < 100; i++) {
		if (i % 10)
			conf_node_set(&nodes[i]);
		else
			CHECK_STATUS(c, jd_task_cancel(tasks[i]), JD_OK);
	}
	for (unsigned i = 0; i < 100; i++) {
		JOIN(&nodes[i], tasks[i], i % 10 ? JD_OK : JD_ECANCELED);
		CHECK_ENDED(&nodes[i], i % 10 != 0);
	}
	conf_latch_close(latch);
}

static void closed_still_fires_timers(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 3, NULL, NULL, latch);

	CHECK_STATUS(c, jd_schedule_after(c->scheduler, &jobs[0].timer, &jobs[0].base, 2 * JD_MS),
		     JD_OK);
	CHECK_STATUS(c,
		     jd_schedule_after(c->scheduler, &jobs[1].timer, &jobs[1].base, 3600 * JD_SEC),
		     JD_OK);
	CHECK_STATUS(c, jd_scheduler_close(c->scheduler), JD_OK);
	jobs[2].base.flags = JD_RUNNABLE_RESUME;
	CHECK_STATUS(c, jd_schedule_after(c->scheduler, &jobs[2].timer, &jobs[2].base, JD_MS),
		     JD_OK);
	WAIT(latch, 2);
	CHECK_RAN_ONCE(c, &jobs[0], 1);
	CHECK_RAN_ONCE(c, &jobs[2], 1);
	CHECK_STATUS(c, jd_cancel_timer(c->scheduler, &jobs[1].timer), JD_OK);
	conf_latch_close(latch);
}

/* Close does not wait, not even inside what it would wait for. */
static void close_inside(struct conf_job *job)
{
	CHECK_STATUS(job->c, jd_scheduler_close(job->c->scheduler), JD_OK);
	CHECK_STATUS(job->c, jd_schedule(job->c->scheduler, job->arg), JD_ECLOSED);
}

static void closed_from_inside_a_runnable(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 2, NULL, NULL, latch);

	jobs[0].fn = close_inside;
	jobs[0].arg = &jobs[1].base;
	CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[0].base), JD_OK);
	WAIT(latch, 1);
	CHECK_EQUAL(c, conf_get(&jobs[1].runs) + conf_get(&jobs[1].cancels), 0);
	conf_latch_close(latch);
}

/* --- Draining -------------------------------------------------------------------------------- */

static void drain_waits_for_tasks(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 100);

	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	for (unsigned i = 0; i < 100; i++) {
		conf_node_set(&nodes[i]);
		conf_node_spawn(&nodes[i], NULL);
	}
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), 0);
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQUAL(c, conf_get(&nodes[i].drops), 1);
	CHECK_STATUS(c, jd_scheduler_drain(NULL, 0), JD_EINVAL);
}

static void drain_ends_at_its_deadline(struct conf *c)
{
	struct conf_node *node = conf_node_new(c);
	struct jd_task *task;

	if (!conf_node_spawn(node, &task))
		return;
	CHECK_STATUS(c, jd_scheduler_close(c->scheduler), JD_OK);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t deadline = jd_now(c->scheduler) + i * JD_MS;

		CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, i ? deadline : 0), JD_ETIMEDOUT);
		CHECK(c, jd_now(c->scheduler) >= deadline);
	}
	CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), 1);
	conf_node_set(node);
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	JOIN(node, task, JD_OK);
	CHECK_ENDED(node, 1);
}

struct drainer {
	struct gate_thread thread;
	struct conf *c;
};

static void drainer_main(void *arg)
{
	struct drainer *drainer = arg;

	CHECK_STATUS(drainer->c, jd_scheduler_drain(drainer->c->scheduler, JD_NEVER), JD_OK);
}

/* Several threads drain at once; all of them are told. */
static void several_drain(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 20);
	struct drainer drainers[6];

	for (unsigned i = 0; i < 20; i++)
		conf_node_spawn(&nodes[i], NULL);
	for (unsigned i = 0; i < 6; i++) {
		drainers[i].c = c;
		gate_thread_start(&drainers[i].thread, drainer_main, &drainers[i]);
	}
	for (unsigned i = 0; i < 20; i++)
		conf_node_set(&nodes[i]);
	for (unsigned i = 0; i < 6; i++)
		gate_thread_join(&drainers[i].thread);
	CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), 0);
}

/* --- Destroying: where not ------------------------------------------------------------------- */

static void destroy_inside(struct conf_job *job)
{
	CHECK_STATUS(job->c, jd_scheduler_destroy(job->c->scheduler), JD_EDEADLK);
}

/* Refused from a runnable of any kind; nothing was released: all goes on. */
static void not_from_a_runnable(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 5, destroy_inside, NULL, latch);
	struct jd_scheduler *s = c->scheduler;
	unsigned has = c->backend->has, n = 1;

	CHECK_STATUS(c, jd_schedule(s, &jobs[0].base), JD_OK);
	if (has & CONF_FOREGROUND)
		CHECK_STATUS(c, jd_schedule_foreground(s, &jobs[n++].base, 1), JD_OK);
	if (has & CONF_BLOCKING)
		CHECK_STATUS(c, jd_schedule_blocking(s, &jobs[n++].base), JD_OK);
	if (has & CONF_TIMERS) {
		CHECK_STATUS(c, jd_schedule_after(s, &jobs[n].timer, &jobs[n].base, JD_US), JD_OK);
		n++;
	}
	WAIT(latch, n);
	jobs[4].fn = NULL;
	CHECK_STATUS(c, jd_schedule(s, &jobs[4].base), JD_OK);
	WAIT(latch, n + 1);
	CHECK_RAN_ONCE(c, jobs, n);
	CHECK_RAN_ONCE(c, &jobs[4], 1);
	conf_latch_close(latch);
}

static void destroy_elsewhere(void *arg)
{
	struct conf *c = arg;

	CHECK_STATUS(c, jd_scheduler_destroy(c->scheduler), JD_EPERM);
}

static void not_off_the_main_thread(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *job = conf_jobs(c, 1, NULL, NULL, latch);
	struct gate_thread thread;

	gate_thread_start(&thread, destroy_elsewhere, c);
	gate_thread_join(&thread);
	CHECK_STATUS(c, jd_schedule(c->scheduler, &job->base), JD_OK);
	WAIT(latch, 1);
	CHECK_RAN_ONCE(c, job, 1);
	conf_latch_close(latch);
}

/* --- After the end --------------------------------------------------------------------------- */

/* Who holds a reference may still call: everything says that it is over. */
static void all_is_refused_after_the_end(struct conf *c)
{
	struct jd_scheduler *s = jd_scheduler_retain(c->scheduler);
	struct conf_job *jobs = conf_jobs(c, 2, NULL, NULL, NULL);
	char text[1024] = "";

	CHECK_STATUS(c, jd_scheduler_destroy(s), JD_OK);
	check_refuses_all(c, &jobs[0], JD_ECLOSED);
	jobs[1].base.flags = JD_RUNNABLE_RESUME;
	check_refuses_all(c, &jobs[1], JD_ECLOSED);
	CHECK_STATUS(c, jd_scheduler_destroy(s), JD_EALREADY);
	CHECK_STATUS(c, jd_scheduler_close(s), JD_EALREADY);
	CHECK(c, !jd_is_task_running(s, 1));
	CHECK_EQUAL(c, jd_scheduler_task_count(s), 0);
	conf_dump(c, s, text, sizeof(text));
	CHECK(c, text[0]);
	c->scheduler = NULL;
	CHECK(c, count_allocator_live(&c->memory) > 0);
	jd_scheduler_release(s);
}

static void closed_then_destroyed(struct conf *c)
{
	CHECK_STATUS(c, jd_scheduler_close(c->scheduler), JD_OK);
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	/* The runner destroys it now. */
}

const struct conf_test conf_life_tests[] = {
	{"life.made_and_destroyed_again_and_again", made_and_destroyed_again_and_again,
	 CONF_OWN | CONF_ONCE},
	{"life.made_without_memory", made_without_memory, CONF_OWN | CONF_ONCE},
	{"life.two_live_side_by_side", two_live_side_by_side, CONF_OWN},
	{"life.closed_takes_no_new_work", closed_takes_no_new_work, 0},
	{"life.closed_lets_admitted_work_go_on", closed_lets_admitted_work_go_on, 0},
	{"life.closed_still_fires_timers", closed_still_fires_timers, CONF_TIMERS},
	{"life.closed_from_inside_a_runnable", closed_from_inside_a_runnable, 0},
	{"life.drain_waits_for_tasks", drain_waits_for_tasks, 0},
	{"life.drain_ends_at_its_deadline", drain_ends_at_its_deadline, 0},
	{"life.several_drain", several_drain, CONF_FOREIGN | CONF_PARALLEL | CONF_ONCE},
	{"life.not_from_a_runnable", not_from_a_runnable, 0},
	{"life.not_off_the_main_thread", not_off_the_main_thread,
	 CONF_FOREGROUND | CONF_FOREIGN | CONF_ONCE},
	{"life.all_is_refused_after_the_end", all_is_refused_after_the_end, 0},
	{"life.closed_then_destroyed", closed_then_destroyed, 0},
	{NULL, NULL, 0},
};
