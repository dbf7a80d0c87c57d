/* schedule.c - conformance: schedule runs a runnable once, later, with what came before visible. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

/* --- Once ------------------------------------------------------------------------------------ */

static void exactly_once(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 1000, NULL, NULL, latch);

	for (unsigned i = 0; i < 1000; i++)
		CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[i].base), JD_OK);
	WAIT(latch, 1000);
	CHECK_RAN_ONCE(c, jobs, 1000);
	conf_latch_close(latch);
}

static void schedule_next(struct conf_job *job)
{
	if (job->arg)
		CHECK_STATUS(job->c, jd_schedule(job->c->scheduler, job->arg), JD_OK);
}

static void from_inside_a_runnable(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 1000, schedule_next, NULL, latch);

	for (unsigned i = 0; i + 1 < 1000; i++)
		jobs[i].arg = &jobs[i + 1].base;
	CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[0].base), JD_OK);
	WAIT(latch, 1000);
	CHECK_RAN_ONCE(c, jobs, 1000);
	conf_latch_close(latch);
}

static void schedule_children(struct conf_job *job)
{
	struct conf_job *first = job - job->index;

	for (unsigned child = 2 * job->index + 1; child <= 2 * job->index + 2; child++) {
		if (child < 4095)
			CHECK_STATUS(job->c, jd_schedule(job->c->scheduler, &first[child].base),
				     JD_OK);
	}
}

static void a_tree_of_runnables(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 4095, schedule_children, NULL, latch);

	CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[0].base), JD_OK);
	WAIT(latch, 4095);
	CHECK_RAN_ONCE(c, jobs, 4095);
	conf_latch_close(latch);
}

static void schedule_itself(struct conf_job *job)
{
	/* Entered: the runnable is the caller's again, so it may be given away at once. */
	if (++job->index < 100)
		CHECK_STATUS(job->c, jd_schedule(job->c->scheduler, &job->base), JD_OK);
}

static void a_runnable_again_from_its_own_run(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *job = conf_jobs(c, 1, schedule_itself, NULL, latch);

	CHECK_STATUS(c, jd_schedule(c->scheduler, &job->base), JD_OK);
	WAIT(latch, 100);
	CHECK_EQUAL(c, conf_get(&job->runs), 100);
	CHECK_EQUAL(c, conf_get(&job->cancels), 0);
	conf_latch_close(latch);
}

/* The flags say how, not whether: each runs once. */
static void every_flag(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 64, NULL, NULL, latch);

	for (unsigned i = 0; i < 64; i++) {
		jobs[i].base.flags = i % 8;
		CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[i].base), JD_OK);
	}
	WAIT(latch, 64);
	CHECK_RAN_ONCE(c, jobs, 64);
	conf_latch_close(latch);
}

static void many(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 50000, NULL, NULL, latch);

	for (unsigned i = 0; i < 50000; i++)
		CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[i].base), JD_OK);
	WAIT(latch, 50000);
	CHECK_RAN_ONCE(c, jobs, 50000);
	conf_latch_close(latch);
}

/* --- Labels ---------------------------------------------------------------------------------- */

static void with_labels(struct conf *c)
{
	static const char *const labels[] = {NULL, "", "red", "blue", "red"};
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 500, NULL, NULL, latch);

	for (unsigned i = 0; i < 500; i++)
		CHECK_STATUS(c, jd_schedule_labeled(c->scheduler, &jobs[i].base, labels[i % 5]),
			     JD_OK);
	WAIT(latch, 500);
	CHECK_RAN_ONCE(c, jobs, 500);
	conf_latch_close(latch);
}

/* --- Visibility ------------------------------------------------------------------------------ */

static void read_plain(struct conf_job *job)
{
	unsigned *plain = job->arg;

	CHECK_EQUAL(job->c, plain[job->index], job->index + 7);
	plain[job->index] = 0;
}

/* Plain memory: a scheduler that does not order it is caught by the value or by TSan. */
static void what_came_before_is_visible(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	unsigned *plain = conf_array(c, unsigned, 2000);
	struct conf_job *jobs = conf_jobs(c, 2000, read_plain, plain, latch);

	for (unsigned i = 0; i < 2000; i++) {
		plain[i] = i + 7;
		CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[i].base), JD_OK);
	}
	WAIT(latch, 2000);
	CHECK_RAN_ONCE(c, jobs, 2000);
	conf_latch_close(latch);
}

static void pass_on(struct conf_job *job)
{
	unsigned *plain = job->arg;

	/* All of the chain write the same plain word, one after the other. */
	CHECK_EQUAL(job->c, *plain, job->index);
	++*plain;
	if (job->index + 1 < 2000)
		CHECK_STATUS(job->c, jd_schedule(job->c->scheduler, &job[1].base), JD_OK);
}

static void a_chain_on_plain_memory(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	unsigned *plain = conf_new(c, unsigned);
	struct conf_job *jobs = conf_jobs(c, 2000, pass_on, plain, NULL);

	jobs[1999].latch = latch;
	CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[0].base), JD_OK);
	WAIT(latch, 1);
	CHECK_EQUAL(c, *plain, 2000);
	conf_latch_close(latch);
}

/* --- Not before it returns ------------------------------------------------------------------- */

static _Thread_local unsigned inside; /* schedule calls this thread is in */

static void not_inside(struct conf_job *job)
{
	CHECK_EQUAL(job->c, inside, 0);
}

static void schedule_all_ways(struct conf *c, struct conf_job *jobs)
{
	struct jd_scheduler *s = c->scheduler;
	unsigned has = c->backend->has;

	inside++;
	CHECK_STATUS(c, jd_schedule(s, &jobs[0].base), JD_OK);
	CHECK_STATUS(c, jd_schedule_labeled(s, &jobs[1].base, "x"), JD_OK);
	CHECK_STATUS(c, jd_schedule_foreground(s, &jobs[2].base, 1),
		     has & CONF_FOREGROUND ? JD_OK : JD_ENOTSUP);
	CHECK_STATUS(c, jd_schedule_blocking(s, &jobs[3].base),
		     has & CONF_BLOCKING ? JD_OK : JD_ENOTSUP);
	CHECK_STATUS(c, jd_schedule_after(s, &jobs[4].timer, &jobs[4].base, 0),
		     has & CONF_TIMERS ? JD_OK : JD_ENOTSUP);
	inside--;
}

/* How many of the five the backend took. */
static unsigned ways(const struct conf *c)
{
	unsigned has = c->backend->has;

	return 2 + !!(has & CONF_FOREGROUND) + !!(has & CONF_BLOCKING) + !!(has & CONF_TIMERS);
}

static void schedule_all_inside(struct conf_job *job)
{
	schedule_all_ways(job->c, job->arg);
}

static void never_runs_before_it_returns(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 500, not_inside, NULL, latch);
	struct conf_job *outer = conf_jobs(c, 50, schedule_all_inside, NULL, NULL);

	for (unsigned i = 0; i < 50; i++)
		schedule_all_ways(c, &jobs[5 * i]);
	for (unsigned i = 0; i < 50; i++) {
		outer[i].arg = &jobs[250 + 5 * i];
		CHECK_STATUS(c, jd_schedule(c->scheduler, &outer[i].base), JD_OK);
	}
	WAIT(latch, 100 * ways(c));
	conf_latch_close(latch);
}

static jd_status not_inside_poll(struct conf_node *node, struct jd_context *context)
{
	CHECK_EQUAL(node->c, inside, 0);
	if (conf_get(&node->polls) > 1)
		return JD_OK;
	pthread_mutex_lock(&node->lock);
	node->waker = jd_waker_clone(context->waker);
	pthread_mutex_unlock(&node->lock);
	conf_latch_hit(node->arg);
	return JD_PENDING;
}

/* Neither does a wake, a spawn, a cancel or a drop of the last waker. */
static void never_polls_inside_a_wake(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 40);
	struct jd_task *tasks[40];

	for (unsigned i = 0; i < 40; i++) {
		nodes[i].poll = not_inside_poll;
		nodes[i].arg = latch;
		inside++;
		conf_node_spawn(&nodes[i], &tasks[i]);
		inside--;
	}
	WAIT(latch, 40);
	for (unsigned i = 0; i < 40; i++) {
		inside++;
		if (i % 2)
			conf_node_set(&nodes[i]);
		else
			jd_task_cancel(tasks[i]);
		inside--;
	}
	for (unsigned i = 0; i < 40; i++) {
		JOIN(&nodes[i], tasks[i], i % 2 ? JD_OK : JD_ECANCELED);
		CHECK_ENDED(&nodes[i], i % 2);
	}
	conf_latch_close(latch);
}

/* --- From wakers ----------------------------------------------------------------------------- */

static void wake_schedules(struct conf_waker *waker)
{
	CHECK_STATUS(waker->c, jd_schedule(waker->c->scheduler, waker->arg), JD_OK);
}

/* The awaiter's waker is somebody's code that runs where the task ends: it may schedule. */
static void from_inside_a_waker(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *job = conf_jobs(c, 1, NULL, NULL, latch);
	struct conf_waker *counter = conf_new(c, struct conf_waker);
	struct conf_node *node = conf_node_new(c);
	struct jd_waker waker;
	struct jd_task *task;

	*counter = (struct conf_waker){.c = c, .on_wake = wake_schedules, .arg = &job->base};
	waker = conf_waker_get(counter);
	struct jd_context context = {.scheduler = c->scheduler, .waker = &waker};

	if (!conf_node_spawn(node, &task))
		return;
	CHECK_STATUS(c, jd_task_poll(task, &context, NULL), JD_PENDING);
	conf_node_set(node);
	WAIT(latch, 1);
	CHECK_RAN_ONCE(c, job, 1);
	CHECK_EQUAL(c, conf_get(&counter->wakes), 1);
	JOIN(node, task, JD_OK);
	jd_waker_drop(&waker);
	CHECK_EQUAL(c, conf_get(&counter->refs), 0);
	conf_latch_close(latch);
}

/* --- From other threads ---------------------------------------------------------------------- */

#define FOREIGN 8
#define EACH 500

struct foreign {
	struct gate_thread thread;
	struct conf *c;
	struct conf_job *jobs;
	unsigned *plain;
	struct gate *start;
};

static void foreign_main(void *arg)
{
	struct foreign *f = arg;

	gate_wait(f->start, 1);
	for (unsigned i = 0; i < EACH; i++) {
		f->plain[f->jobs[i].index] = f->jobs[i].index + 7;
		CHECK_STATUS(f->c, jd_schedule(f->c->scheduler, &f->jobs[i].base), JD_OK);
	}
}

static void from_eight_threads(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	unsigned *plain = conf_array(c, unsigned, FOREIGN *EACH);
	struct conf_job *jobs = conf_jobs(c, FOREIGN * EACH, read_plain, plain, latch);
	struct foreign *f = conf_array(c, struct foreign, FOREIGN);
	struct gate start;

	gate_init(&start, "from_eight_threads");
	for (unsigned i = 0; i < FOREIGN; i++) {
		f[i] = (struct foreign){
			.c = c, .jobs = &jobs[i * EACH], .plain = plain, .start = &start};
		gate_thread_start(&f[i].thread, foreign_main, &f[i]);
	}
	gate_open(&start);
	WAIT(latch, FOREIGN * EACH);
	for (unsigned i = 0; i < FOREIGN; i++)
		gate_thread_join(&f[i].thread);
	CHECK_RAN_ONCE(c, jobs, FOREIGN * EACH);
	gate_fini(&start);
	conf_latch_close(latch);
}

/* Nothing but a foreign thread's call wakes the scheduler, again and again: no wake-up is lost. */
static void a_sleeping_scheduler_wakes(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 1000, NULL, NULL, latch);

	for (unsigned i = 0; i < 1000; i++) {
		CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[i].base), JD_OK);
		if (!WAIT(latch, i + 1))
			break;
	}
	CHECK_RAN_ONCE(c, jobs, 1000);
	conf_latch_close(latch);
}

#define ASLEEP_ROUNDS 30000
#define ASLEEP_LIMIT_NS (20 * JD_SEC)

static void note_run(struct conf_job *job)
{
	_Atomic(unsigned) *ran = job->arg;

	/* order: (TC1) release - the last use of the job, which is used again; pairs with (TC2). */
	atomic_store_explicit(ran, 1, memory_order_release);
}

static bool spin_until(struct conf *c, _Atomic(unsigned) *flag)
{
	uint64_t until = jd_now(c->scheduler) + ASLEEP_LIMIT_NS;

	/* order: (TC2) acquire - the runnable is the caller's again; pairs with (TC1). */
	for (unsigned n = 1; !atomic_load_explicit(flag, memory_order_acquire); n++) {
		if (n % 1024 == 0 && jd_now(c->scheduler) > until)
			return false;
	}
	return true;
}

/*
 * The caller does not sleep, but posts again a few nanoseconds to microseconds after the last
 * runnable ran: while the scheduler looks for more, gives up, and falls asleep.
 */
static void posted_while_it_falls_asleep(struct conf *c)
{
	_Atomic(unsigned) *ran = conf_new(c, _Atomic(unsigned));
	struct conf_job *job = conf_jobs(c, 1, note_run, ran, NULL);
	_Atomic(unsigned) *never = conf_new(c, _Atomic(unsigned));

	for (unsigned i = 0; i < ASLEEP_ROUNDS; i++) {
		uint64_t pause = conf_random(c, i) % 6000;

		atomic_store_explicit(ran, 0, memory_order_relaxed);
		CHECK_STATUS(c, jd_schedule(c->scheduler, &job->base), JD_OK);
		if (!CHECK(c, spin_until(c, ran)))
			return;
		while (pause--)
			(void)atomic_load_explicit(never, memory_order_relaxed);
	}
	CHECK_EQUAL(c, conf_get(&job->runs), ASLEEP_ROUNDS);
}

/* --- Fairness -------------------------------------------------------------------------------- */

struct peer {
	_Atomic(unsigned) done;
	_Atomic(unsigned) turns;
	uint32_t flags;
};

static void run_until_done(struct conf_job *job)
{
	struct peer *peer = job->arg;

	conf_add(&peer->turns);
	if (conf_get(&peer->done))
		return;
	job->base.flags = peer->flags;
	jd_status status = jd_schedule(job->c->scheduler, &job->base);

	/* With several threads the end of the test may come in between. */
	CHECK(job->c, status == JD_OK || status == JD_ECLOSED);
}

static void say_done(struct conf_job *job)
{
	struct peer *peer = job->arg;

	conf_add(&peer->done);
}

/* One worker; a runnable that always schedules itself must let a peer and a newcomer run. */
static void restless(struct conf *c, uint32_t flags)
{
	struct jd_scheduler *s = conf_make(c, &(struct conf_options){.workers = 1});
	struct peer *peer = conf_new(c, struct peer);

	c->scheduler = s;
	if (!s)
		return;
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *job = conf_jobs(c, 2, NULL, peer, NULL);

	peer->flags = flags;
	job[0].fn = run_until_done;
	job[1].fn = say_done;
	job[1].latch = latch;
	CHECK_STATUS(c, jd_schedule(s, &job[0].base), JD_OK);
	CHECK_STATUS(c, jd_schedule(s, &job[1].base), JD_OK);
	WAIT(latch, 1);
	conf_latch_close(latch);
}

static void a_restless_runnable_starves_nobody(struct conf *c)
{
	restless(c, 0);
}

static void a_yielding_runnable_starves_nobody(struct conf *c)
{
	restless(c, JD_RUNNABLE_YIELDED);
}

/* --- Bad arguments --------------------------------------------------------------------------- */

static void bad_arguments(struct conf *c)
{
	static const struct jd_runnable_ops no_run, *null_ops;
	struct jd_scheduler *s = c->scheduler;
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *job = conf_jobs(c, 1, NULL, NULL, latch);
	struct jd_runnable *r = &job->base;
	struct jd_runnable no_ops = JD_RUNNABLE_INIT(null_ops), half = JD_RUNNABLE_INIT(&no_run);

	CHECK_STATUS(c, jd_schedule(NULL, r), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule(s, NULL), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule(s, &no_ops), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule(s, &half), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_labeled(NULL, r, "x"), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_labeled(s, NULL, "x"), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_foreground(NULL, r, 1), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_foreground(s, NULL, 1), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_foreground(s, r, 0), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_blocking(NULL, r), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_blocking(s, NULL), JD_EINVAL);
	/* None of them took it. */
	CHECK_STATUS(c, jd_schedule(s, r), JD_OK);
	WAIT(latch, 1);
	CHECK_RAN_ONCE(c, job, 1);
	conf_latch_close(latch);
}

const struct conf_test conf_schedule_tests[] = {
	{"schedule.exactly_once", exactly_once, 0},
	{"schedule.from_inside_a_runnable", from_inside_a_runnable, 0},
	{"schedule.a_tree_of_runnables", a_tree_of_runnables, 0},
	{"schedule.a_runnable_again_from_its_own_run", a_runnable_again_from_its_own_run, 0},
	{"schedule.every_flag", every_flag, 0},
	{"schedule.many", many, CONF_ONCE},
	{"schedule.with_labels", with_labels, 0},
	{"schedule.what_came_before_is_visible", what_came_before_is_visible, 0},
	{"schedule.a_chain_on_plain_memory", a_chain_on_plain_memory, 0},
	{"schedule.never_runs_before_it_returns", never_runs_before_it_returns, 0},
	{"schedule.never_polls_inside_a_wake", never_polls_inside_a_wake, 0},
	{"schedule.from_inside_a_waker", from_inside_a_waker, 0},
	{"schedule.from_eight_threads", from_eight_threads, CONF_FOREIGN | CONF_ONCE},
	{"schedule.a_sleeping_scheduler_wakes", a_sleeping_scheduler_wakes, 0},
	{"schedule.posted_while_it_falls_asleep", posted_while_it_falls_asleep,
	 CONF_PARALLEL | CONF_ONCE},
	{"schedule.a_restless_runnable_starves_nobody", a_restless_runnable_starves_nobody,
	 CONF_OWN},
	{"schedule.a_yielding_runnable_starves_nobody", a_yielding_runnable_starves_nobody,
	 CONF_OWN},
	{"schedule.bad_arguments", bad_arguments, 0},
	{NULL, NULL, 0},
};
