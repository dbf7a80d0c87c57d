/* foreground.c - conformance: foreground work runs on the main thread, in order. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

/* --- Without a main thread ------------------------------------------------------------------- */

/* The scheduler refuses, the caller keeps runnable and future. */
static void refused(struct conf *c, struct jd_scheduler *s)
{
	struct conf_latch *latch = conf_latch_new_on(c, s);
	struct conf_job *job = conf_jobs(c, 1, NULL, NULL, latch);
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct jd_task *task = NULL;

	CHECK_STATUS(c, jd_schedule_foreground(s, &job->base, 1), JD_ENOTSUP);
	CHECK_STATUS(c, jd_spawn_foreground(s, 1, &future.base, &task), JD_ENOTSUP);
	CHECK(c, !task);
	CHECK(c, !jd_is_main_thread(s));
	CHECK_EQUAL(c, conf_get(&node->drops), 0);
	CHECK_STATUS(c, jd_schedule(s, &job->base), JD_OK);
	WAIT(latch, 1);
	CHECK_RAN_ONCE(c, job, 1);
	jd_future_drop(&future.base);
	CHECK_EQUAL(c, jd_scheduler_task_count(s), 0);
	conf_latch_close(latch);
}

static void refused_by_one_that_lacks_it(struct conf *c)
{
	refused(c, c->scheduler);
}

static void refused_when_made_without(struct conf *c)
{
	c->scheduler = conf_make(c, &(struct conf_options){.workers = 1});
	/* A single-threaded one has its main thread always. */
	if (c->scheduler && c->backend->has & CONF_PARALLEL)
		refused(c, c->scheduler);
}

/* --- Where ----------------------------------------------------------------------------------- */

struct place {
	pthread_t main;
	jd_session_id session;
	unsigned next; /* index of the job that is to run next; main thread only */
};

static void on_main(struct conf_job *job)
{
	struct place *place = job->arg;

	CHECK(job->c, jd_is_main_thread(job->c->scheduler));
	CHECK(job->c, pthread_equal(pthread_self(), place->main));
	CHECK_EQUAL(job->c, job->base.session, place->session);
}

static void in_order(struct conf_job *job)
{
	struct place *place = job->arg;

	on_main(job);
	CHECK_EQUAL(job->c, job->index, place->next);
	place->next = job->index + 1;
}

static struct place *place_new(struct conf *c)
{
	struct place *place = conf_new(c, struct place);

	place->main = pthread_self();
	place->session = jd_session_new(c->scheduler);
	return place;
}

static void not_on_main(struct conf_job *job)
{
	struct place *place = job->arg;

	CHECK(job->c, !jd_is_main_thread(job->c->scheduler));
	if (job->c->backend->has & CONF_PARALLEL)
		CHECK(job->c, !pthread_equal(pthread_self(), place->main));
}

static void background_is_not_on_main(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 300, not_on_main, place_new(c), latch);

	for (unsigned i = 0; i < 300; i++)
		CHECK_STATUS(c,
			     i % 3 == 0   ? jd_schedule_blocking(c->scheduler, &jobs[i].base)
			     : i % 3 == 1 ? jd_schedule(c->scheduler, &jobs[i].base)
					  : jd_schedule_after(c->scheduler, &jobs[i].timer,
							      &jobs[i].base, JD_US),
			     JD_OK);
	WAIT(latch, 300);
	CHECK_RAN_ONCE(c, jobs, 300);
	conf_latch_close(latch);
}

/* --- Order ----------------------------------------------------------------------------------- */

static void one_session_is_fifo(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct place *place = place_new(c);
	struct conf_job *jobs = conf_jobs(c, 500, in_order, place, latch);

	for (unsigned i = 0; i < 500; i++)
		CHECK_STATUS(c, jd_schedule_foreground(c->scheduler, &jobs[i].base, place->session),
			     JD_OK);
	WAIT(latch, 500);
	CHECK_RAN_ONCE(c, jobs, 500);
	conf_latch_close(latch);
}

#define SESSIONS 16
#define PER_SESSION 100

/* Posts of many sessions, shuffled: each session sees its own in order. */
static void many_sessions_are_fifo_each(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs[SESSIONS];
	struct place *places[SESSIONS];
	unsigned posted[SESSIONS] = {0}, total = 0;

	for (unsigned s = 0; s < SESSIONS; s++) {
		places[s] = place_new(c);
		jobs[s] = conf_jobs(c, PER_SESSION, in_order, places[s], latch);
	}
	for (uint64_t n = 0; total < SESSIONS * PER_SESSION; n++) {
		unsigned s = (unsigned)(conf_random(c, n) % SESSIONS);

		if (posted[s] == PER_SESSION)
			continue;
		CHECK_STATUS(c,
			     jd_schedule_foreground(c->scheduler, &jobs[s][posted[s]].base,
						    places[s]->session),
			     JD_OK);
		posted[s]++;
		total++;
		if (conf_random(c, n + (1u << 20)) % 64 == 0)
			WAIT(latch, total / 2);
	}
	WAIT(latch, SESSIONS * PER_SESSION);
	for (unsigned s = 0; s < SESSIONS; s++)
		CHECK_RAN_ONCE(c, jobs[s], PER_SESSION);
	conf_latch_close(latch);
}

static void in_order_and_post(struct conf_job *job)
{
	struct place *place = job->arg;

	in_order(job);
	/* Goes behind what is queued: job n posts job n + 10. */
	if (job->index + 10 < 200)
		CHECK_STATUS(
			job->c,
			jd_schedule_foreground(job->c->scheduler, &job[10].base, place->session),
			JD_OK);
}

static void posts_from_inside_go_behind(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct place *place = place_new(c);
	struct conf_job *jobs = conf_jobs(c, 200, in_order_and_post, place, latch);

	for (unsigned i = 0; i < 10; i++)
		CHECK_STATUS(c, jd_schedule_foreground(c->scheduler, &jobs[i].base, place->session),
			     JD_OK);
	WAIT(latch, 200);
	CHECK_RAN_ONCE(c, jobs, 200);
	conf_latch_close(latch);
}

static void post_from_background(struct conf_job *job)
{
	struct conf_job *target = job->arg;
	struct place *place = target->arg;

	CHECK_STATUS(job->c,
		     jd_schedule_foreground(job->c->scheduler, &target->base, place->session),
		     JD_OK);
	if (job->index + 1 < 200)
		CHECK_STATUS(job->c, jd_schedule(job->c->scheduler, &job[1].base), JD_OK);
}

/* One background chain posts in its order; the main thread must keep it, sleeping in between. */
static void posts_of_a_background_chain_keep_their_order(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct place *place = place_new(c);
	struct conf_job *targets = conf_jobs(c, 200, in_order, place, latch);
	struct conf_job *chain = conf_jobs(c, 200, post_from_background, NULL, NULL);

	for (unsigned i = 0; i < 200; i++)
		chain[i].arg = &targets[i];
	CHECK_STATUS(c, jd_schedule(c->scheduler, &chain[0].base), JD_OK);
	WAIT(latch, 200);
	CHECK_RAN_ONCE(c, targets, 200);
	conf_latch_close(latch);
}

/* --- From other threads ---------------------------------------------------------------------- */

struct poster {
	struct gate_thread thread;
	struct conf *c;
	struct place *place;
	struct conf_job *jobs;
};

static void poster_main(void *arg)
{
	struct poster *p = arg;

	CHECK(p->c, !jd_is_main_thread(p->c->scheduler));
	for (unsigned i = 0; i < 300; i++)
		CHECK_STATUS(p->c,
			     jd_schedule_foreground(p->c->scheduler, &p->jobs[i].base,
						    p->place->session),
			     JD_OK);
}

/* Each thread posts to a session of its own, in order. */
static void from_other_threads(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct poster *posters = conf_array(c, struct poster, 4);

	for (unsigned i = 0; i < 4; i++) {
		struct place *place = place_new(c);

		posters[i] = (struct poster){
			.c = c, .place = place, .jobs = conf_jobs(c, 300, in_order, place, latch)};
		gate_thread_start(&posters[i].thread, poster_main, &posters[i]);
	}
	WAIT(latch, 1200);
	for (unsigned i = 0; i < 4; i++) {
		gate_thread_join(&posters[i].thread);
		CHECK_RAN_ONCE(c, posters[i].jobs, 300);
	}
	conf_latch_close(latch);
}

static void pong(struct conf_job *job)
{
	struct conf_job *ping = job->arg;

	CHECK(job->c, jd_is_main_thread(job->c->scheduler));
	if (++job->index < 1000)
		CHECK_STATUS(job->c, jd_schedule(job->c->scheduler, &ping->base), JD_OK);
}

static void ping(struct conf_job *job)
{
	struct conf_job *pong_job = job->arg;

	CHECK_STATUS(job->c, jd_schedule_foreground(job->c->scheduler, &pong_job->base, 5), JD_OK);
}

/* Main thread and workers sleep in turns; no wake-up of either is lost. */
static void ping_pong_with_the_background(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 2, NULL, NULL, NULL);

	conf_job_init(&jobs[0], c, ping, &jobs[1], NULL);
	conf_job_init(&jobs[1], c, pong, &jobs[0], latch);
	CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[0].base), JD_OK);
	WAIT(latch, 1000);
	CHECK_EQUAL(c, conf_get(&jobs[0].runs), 1000);
	conf_latch_close(latch);
}

/* --- Tasks ----------------------------------------------------------------------------------- */

struct fg_task {
	struct place *place;
	unsigned order;
	struct conf_latch *latch;
};

static jd_status fg_poll(struct conf_node *node, struct jd_context *context)
{
	struct fg_task *fg = node->arg;

	CHECK(node->c, jd_is_main_thread(node->c->scheduler));
	CHECK(node->c, pthread_equal(pthread_self(), fg->place->main));
	if (conf_get(&node->polls) == 1) {
		/* The first polls come in the order of the spawns. */
		CHECK_EQUAL(node->c, fg->place->next, fg->order);
		fg->place->next++;
		CHECK_EQUAL(node->c, jd_task_get_session(context->task), fg->place->session);
	}
	pthread_mutex_lock(&node->lock);
	bool set = node->set;
	struct jd_waker old = node->waker;

	node->waker = set ? (struct jd_waker){0} : jd_waker_clone(context->waker);
	pthread_mutex_unlock(&node->lock);
	jd_waker_drop(&old);
	conf_latch_hit(fg->latch);
	return set ? JD_OK : JD_PENDING;
}

static void fg_dropped(struct conf_node *node)
{
	CHECK(node->c, jd_is_main_thread(node->c->scheduler));
}

static void set_it(struct conf_job *job)
{
	conf_node_set(job->arg);
}

/* A foreground task stays on the main thread, whoever wakes it, until its future is dropped. */
static void tasks_stay_on_main(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct place *place = place_new(c);
	struct conf_node *nodes = conf_nodes(c, 50);
	struct fg_task *fg = conf_array(c, struct fg_task, 50);
	struct conf_job *jobs = conf_jobs(c, 50, set_it, NULL, NULL);
	struct jd_task *tasks[50] = {NULL};

	for (unsigned i = 0; i < 50; i++) {
		struct conf_future future = conf_node_future(&nodes[i]);

		fg[i] = (struct fg_task){place, i, latch};
		nodes[i].poll = fg_poll;
		nodes[i].on_drop = fg_dropped;
		nodes[i].arg = &fg[i];
		CHECK_STATUS(
			c,
			jd_spawn_foreground(c->scheduler, place->session, &future.base, &tasks[i]),
			JD_OK);
		CHECK_EQUAL(c, jd_task_get_session(tasks[i]), place->session);
	}
	WAIT(latch, 50);
	for (unsigned i = 0; i < 50; i++) {
		jobs[i].arg = &nodes[i];
		if (i % 5 == 0)
			jd_task_cancel(tasks[i]);
		else
			CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[i].base), JD_OK);
	}
	for (unsigned i = 0; i < 50; i++) {
		JOIN(&nodes[i], tasks[i], i % 5 ? JD_OK : JD_ECANCELED);
		CHECK_ENDED(&nodes[i], i % 5 ? 1 : 0);
	}
	conf_latch_close(latch);
}

static void session_ids(struct conf *c)
{
	struct conf_options options = {.workers = 1};
	jd_session_id ids[200];

	c->scheduler = conf_make(c, &options);
	for (unsigned i = 0; c->scheduler && i < 200; i++) {
		ids[i] = jd_session_new(c->scheduler);
		CHECK(c, ids[i] != 0);
		for (unsigned j = 0; j < i; j++)
			CHECK(c, ids[i] != ids[j]);
	}
}

const struct conf_test conf_foreground_tests[] = {
	{"foreground.refused_by_one_that_lacks_it", refused_by_one_that_lacks_it,
	 CONF_FOREGROUND | CONF_WITHOUT},
	{"foreground.refused_when_made_without", refused_when_made_without,
	 CONF_OWN | CONF_ONCE | CONF_FOREGROUND},
	{"foreground.background_is_not_on_main", background_is_not_on_main,
	 CONF_FOREGROUND | CONF_BLOCKING | CONF_TIMERS},
	{"foreground.one_session_is_fifo", one_session_is_fifo, CONF_FOREGROUND},
	{"foreground.many_sessions_are_fifo_each", many_sessions_are_fifo_each, CONF_FOREGROUND},
	{"foreground.posts_from_inside_go_behind", posts_from_inside_go_behind, CONF_FOREGROUND},
	{"foreground.posts_of_a_background_chain_keep_their_order",
	 posts_of_a_background_chain_keep_their_order, CONF_FOREGROUND},
	{"foreground.from_other_threads", from_other_threads,
	 CONF_FOREGROUND | CONF_FOREIGN | CONF_ONCE},
	{"foreground.ping_pong_with_the_background", ping_pong_with_the_background,
	 CONF_FOREGROUND},
	{"foreground.tasks_stay_on_main", tasks_stay_on_main, CONF_FOREGROUND},
	{"foreground.session_ids", session_ids, CONF_OWN | CONF_ONCE},
	{NULL, NULL, 0},
};
