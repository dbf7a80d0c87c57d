/* timer.c - conformance: timers fire once, never early, or are cancelled, and say which. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

static jd_status arm(struct conf_job *job, uint64_t delay_ns)
{
	struct jd_scheduler *s = job->c->scheduler;

	/* Before the call: whatever time that takes, the timer may not fire before this. */
	job->deadline_ns = jd_deadline_after(jd_now(s), delay_ns);
	return jd_schedule_after(s, &job->timer, &job->base, delay_ns);
}

static void not_early(struct conf_job *job)
{
	CHECK(job->c, jd_now(job->c->scheduler) >= job->deadline_ns);
}

/* --- Firing ---------------------------------------------------------------------------------- */

static void fires_once_and_never_early(struct conf *c)
{
	static const uint64_t delays[] = {0,     1,         999,        JD_US,     700 * JD_US,
					  JD_MS, 5 * JD_MS, 17 * JD_MS, 40 * JD_MS};
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 90, not_early, NULL, latch);

	for (unsigned i = 0; i < 90; i++)
		CHECK_STATUS(c, arm(&jobs[i], delays[i % 9]), JD_OK);
	WAIT(latch, 90);
	CHECK_RAN_ONCE(c, jobs, 90);
	for (unsigned i = 0; i < 90; i++)
		CHECK_STATUS(c, jd_cancel_timer(c->scheduler, &jobs[i].timer), JD_EALREADY);
	conf_latch_close(latch);
}

static void at_an_instant(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 4, not_early, NULL, latch);
	uint64_t now = jd_now(c->scheduler);
	const uint64_t instants[] = {0, now, now + 3 * JD_MS, now + 30 * JD_MS};

	for (unsigned i = 0; i < 4; i++) {
		jobs[i].deadline_ns = instants[i];
		CHECK_STATUS(
			c, jd_schedule_at(c->scheduler, &jobs[i].timer, &jobs[i].base, instants[i]),
			JD_OK);
	}
	WAIT(latch, 4);
	CHECK_RAN_ONCE(c, jobs, 4);
	conf_latch_close(latch);
}

/* Ten thousand, at random instants of 50 ms, every third of them cancelled again. */
static void many_timers(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 10000, not_early, NULL, latch);
	unsigned cancelled = 0;

	for (unsigned i = 0; i < 10000; i++)
		CHECK_STATUS(c, arm(&jobs[i], conf_random(c, i) % (50 * JD_MS)), JD_OK);
	for (unsigned i = 0; i < 10000; i += 3)
		cancelled += jd_cancel_timer(c->scheduler, &jobs[i].timer) == JD_OK;
	WAIT(latch, 10000 - cancelled);
	unsigned ran = 0, twice = 0;

	for (unsigned i = 0; i < 10000; i++) {
		ran += conf_get(&jobs[i].runs);
		twice += conf_get(&jobs[i].runs) > 1 || conf_get(&jobs[i].cancels);
	}
	CHECK_EQUAL(c, ran, 10000 - cancelled);
	CHECK_EQUAL(c, twice, 0);
	CHECK(c, cancelled > 0);
	conf_latch_close(latch);
}

/* A short timer armed while everybody sleeps until a long one. */
static void a_shorter_one_is_not_held_up(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 21, not_early, NULL, latch);

	CHECK_STATUS(c, arm(&jobs[0], 3600 * JD_SEC), JD_OK);
	for (unsigned i = 1; i <= 20; i++) {
		CHECK_STATUS(c, arm(&jobs[i], i % 4 * JD_MS), JD_OK);
		if (!WAIT(latch, i))
			break;
	}
	CHECK_STATUS(c, jd_cancel_timer(c->scheduler, &jobs[0].timer), JD_OK);
	CHECK_EQUAL(c, conf_get(&jobs[0].runs), 0);
	conf_latch_close(latch);
}

static void arm_again(struct conf_job *job)
{
	not_early(job);
	/* Fired, since its runnable was entered: the memory is free for the next. */
	CHECK_STATUS(job->c, jd_cancel_timer(job->c->scheduler, &job->timer), JD_EALREADY);
	if (++job->index < 30)
		CHECK_STATUS(job->c, arm(job, 200 * JD_US), JD_OK);
}

static void armed_again_from_its_own_run(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *job = conf_jobs(c, 1, arm_again, NULL, latch);

	CHECK_STATUS(c, arm(job, JD_US), JD_OK);
	WAIT(latch, 30);
	CHECK_EQUAL(c, conf_get(&job->runs), 30);
	conf_latch_close(latch);
}

static void schedule_arg(struct conf_job *job)
{
	struct conf_job *next = job->arg;

	not_early(job);
	CHECK_STATUS(job->c, jd_schedule(job->c->scheduler, &next->base), JD_OK);
}

static void arm_arg(struct conf_job *job)
{
	CHECK_STATUS(job->c, arm(job->arg, JD_MS), JD_OK);
}

/* A runnable arms a timer whose runnable schedules a runnable. */
static void from_inside_runnables_and_back(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *last = conf_jobs(c, 100, NULL, NULL, latch);
	struct conf_job *timers = conf_jobs(c, 100, schedule_arg, NULL, latch);
	struct conf_job *first = conf_jobs(c, 100, arm_arg, NULL, latch);

	for (unsigned i = 0; i < 100; i++) {
		timers[i].arg = &last[i];
		first[i].arg = &timers[i];
		CHECK_STATUS(c, jd_schedule(c->scheduler, &first[i].base), JD_OK);
	}
	WAIT(latch, 300);
	CHECK_RAN_ONCE(c, first, 100);
	CHECK_RAN_ONCE(c, timers, 100);
	CHECK_RAN_ONCE(c, last, 100);
	conf_latch_close(latch);
}

static void own_timer_fires(struct conf_job *job)
{
	struct conf_job *timer = job->arg;

	CHECK_STATUS(job->c, arm(timer, 2 * JD_MS), JD_OK);
	/* This thread does nothing else until another has run it. */
	WAIT(timer->latch, 1);
}

/* Whoever arms a timer and computes for long holds it up no more than anybody else's. */
static void not_held_up_by_who_armed_it(struct conf *c)
{
	struct conf_latch *fired = conf_latch_new(c), *latch = conf_latch_new(c);
	struct conf_job *timer = conf_jobs(c, 1, not_early, NULL, fired);
	struct conf_job *job = conf_jobs(c, 1, own_timer_fires, timer, latch);

	CHECK_STATUS(c, jd_schedule(c->scheduler, &job->base), JD_OK);
	WAIT(latch, 1);
	CHECK_RAN_ONCE(c, timer, 1);
	conf_latch_close(fired);
	conf_latch_close(latch);
}

/* Slack is about being late, never about being early; what was set stays for later armings. */
static void slack_is_never_early(struct conf *c)
{
	static const uint64_t slacks[] = {0, 1, 1000, JD_MS, 3 * JD_MS, JD_NEVER};
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 50, not_early, NULL, latch);

	for (unsigned i = 0; i < 50; i++) {
		/* The last would be allowed to be seconds late: it is taken back. */
		jd_timer_set_slack(&jobs[i].timer, slacks[i % 6]);
		CHECK_STATUS(c, arm(&jobs[i], (i * 177) % 9000 * JD_US), JD_OK);
	}
	unsigned taken_back = 0;

	for (unsigned i = 5; i < 50; i += 6)
		taken_back += jd_cancel_timer(c->scheduler, &jobs[i].timer) == JD_OK;
	WAIT(latch, 50 - taken_back);
	CHECK_EQUAL(c, conf_latch_count(latch), 50 - taken_back);
	conf_latch_close(latch);
}

/* --- Cancelling ------------------------------------------------------------------------------ */

static void cancelled_or_fired_is_told_apart(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *job = conf_jobs(c, 1, not_early, NULL, latch);

	/* Never armed. */
	CHECK_STATUS(c, jd_cancel_timer(c->scheduler, &job->timer), JD_EALREADY);
	CHECK_STATUS(c, arm(job, 3600 * JD_SEC), JD_OK);
	CHECK_STATUS(c, jd_cancel_timer(c->scheduler, &job->timer), JD_OK);
	CHECK_STATUS(c, jd_cancel_timer(c->scheduler, &job->timer), JD_EALREADY);
	/* Timer and runnable are the caller's again, at once. */
	CHECK_STATUS(c, arm(job, JD_MS), JD_OK);
	WAIT(latch, 1);
	CHECK_STATUS(c, jd_cancel_timer(c->scheduler, &job->timer), JD_EALREADY);
	CHECK_RAN_ONCE(c, job, 1);
	conf_latch_close(latch);
}

static void armed_twice_is_busy(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 2, NULL, NULL, latch);
	struct jd_scheduler *s = c->scheduler;

	CHECK_STATUS(c, jd_schedule_after(s, &jobs[0].timer, &jobs[0].base, 3600 * JD_SEC), JD_OK);
	CHECK_STATUS(c, jd_schedule_after(s, &jobs[0].timer, &jobs[1].base, 0), JD_EBUSY);
	CHECK_STATUS(c, jd_schedule_at(s, &jobs[0].timer, &jobs[1].base, JD_NEVER), JD_EBUSY);
	/* The second runnable is still the caller's, the first still armed. */
	CHECK_STATUS(c, jd_schedule(s, &jobs[1].base), JD_OK);
	WAIT(latch, 1);
	CHECK_RAN_ONCE(c, &jobs[1], 1);
	CHECK_EQUAL(c, conf_get(&jobs[0].runs), 0);
	CHECK_STATUS(c, jd_cancel_timer(s, &jobs[0].timer), JD_OK);
	conf_latch_close(latch);
}

/* Never, and whatever does not fit into the clock, is armed, does not fire and can be cancelled. */
static void never_does_not_fire(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 6, NULL, NULL, latch);
	struct jd_scheduler *s = c->scheduler;

	CHECK_STATUS(c, jd_schedule_after(s, &jobs[0].timer, &jobs[0].base, JD_NEVER), JD_OK);
	CHECK_STATUS(c, jd_schedule_at(s, &jobs[1].timer, &jobs[1].base, JD_NEVER), JD_OK);
	CHECK_STATUS(c, jd_schedule_at(s, &jobs[2].timer, &jobs[2].base, JD_NEVER - 1), JD_OK);
	CHECK_STATUS(c, jd_schedule_after(s, &jobs[3].timer, &jobs[3].base, JD_NEVER - 1), JD_OK);
	CHECK_STATUS(c, jd_schedule_after(s, &jobs[4].timer, &jobs[4].base, UINT64_C(1) << 63),
		     JD_OK);
	CHECK_STATUS(c, jd_schedule_after(s, &jobs[0].timer, &jobs[5].base, 1), JD_EBUSY);
	CHECK_STATUS(c, jd_schedule_after(s, &jobs[5].timer, &jobs[5].base, 10 * JD_MS), JD_OK);
	WAIT(latch, 1);
	CHECK_RAN_ONCE(c, &jobs[5], 1);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQUAL(c, conf_get(&jobs[i].runs), 0);
		CHECK_STATUS(c, jd_cancel_timer(s, &jobs[i].timer), JD_OK);
		CHECK_STATUS(c, jd_cancel_timer(s, &jobs[i].timer), JD_EALREADY);
		CHECK_EQUAL(c, conf_get(&jobs[i].cancels), 0);
	}
	conf_latch_close(latch);
}

struct race {
	struct conf_job timer;
	struct conf_job canceller;
	jd_status cancel;
};

static void cancel_it(struct conf_job *job)
{
	struct race *race = job->arg;

	race->cancel = jd_cancel_timer(job->c->scheduler, &race->timer.timer);
	/* Ours again, and proof of it: nobody else may run it. */
	if (race->cancel == JD_OK)
		CHECK_EQUAL(job->c, conf_get(&race->timer.runs), 0);
}

/* A runnable cancels the timer about when it is due: one of the two wins, and both know who. */
static void cancel_against_fire(struct conf *c)
{
	struct conf_latch *fired = conf_latch_new(c), *asked = conf_latch_new(c);
	struct race *races = conf_array(c, struct race, 500);
	unsigned won = 0;

	for (unsigned i = 0; i < 500; i++) {
		struct race *race = &races[i];

		conf_job_init(&race->timer, c, not_early, NULL, fired);
		conf_job_init(&race->canceller, c, cancel_it, race, asked);
		CHECK_STATUS(c, arm(&race->timer, conf_random(c, i) % (60 * JD_US)), JD_OK);
		CHECK_STATUS(c, jd_schedule(c->scheduler, &race->canceller.base), JD_OK);
		if (i % 8 == 0)
			WAIT(asked, i + 1);
	}
	WAIT(asked, 500);
	for (unsigned i = 0; i < 500; i++)
		won += races[i].cancel == JD_OK;
	WAIT(fired, 500 - won);
	for (unsigned i = 0; i < 500; i++) {
		jd_status cancel = races[i].cancel;

		CHECK(c, cancel == JD_OK || cancel == JD_EALREADY);
		CHECK_EQUAL(c, conf_get(&races[i].timer.runs), cancel == JD_OK ? 0 : 1);
		CHECK_EQUAL(c, conf_get(&races[i].timer.cancels), 0);
	}
	conf_latch_close(fired);
	conf_latch_close(asked);
}

/* --- Inline timers --------------------------------------------------------------------------- */

struct inline_timer {
	struct jd_runnable base;
	struct jd_timer timer;
	struct conf *c;
	struct conf_latch *latch;
	uint64_t deadline_ns;
	struct gate called; /* run or cancel has been entered */
};

static void inline_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct inline_timer *self = jd_container_of(runnable, struct inline_timer, base);
	struct conf_latch *latch = self->latch;

	(void)worker;
	CHECK(self->c, jd_now(self->c->scheduler) >= self->deadline_ns);
	gate_open(&self->called);
	conf_latch_hit(latch);
}

static void inline_cancel(struct jd_runnable *runnable)
{
	struct inline_timer *self = jd_container_of(runnable, struct inline_timer, base);

	gate_open(&self->called);
}

static void inline_timers_init(struct conf *c, struct inline_timer *timers, unsigned n,
			       struct conf_latch *latch)
{
	static const struct jd_runnable_ops ops = {.run = inline_run, .cancel = inline_cancel};

	for (unsigned i = 0; i < n; i++) {
		timers[i].base = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
		timers[i].base.flags = JD_RUNNABLE_INLINE;
		timers[i].c = c;
		timers[i].latch = latch;
		gate_init(&timers[i].called, "inline timer claimed but not entered");
	}
}

/*
 * Once cancel says that it fired, run is entered next, whatever else goes on: the owner of an
 * inline runnable may wait for that without letting anybody run. All are due at once.
 */
static void inline_run_comes_right_after_the_claim(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct inline_timer *t = conf_array(c, struct inline_timer, 200);
	uint64_t deadline = jd_now(c->scheduler) + 2 * JD_MS;
	unsigned fired = 0;

	inline_timers_init(c, t, 200, latch);
	for (unsigned i = 0; i < 200; i++) {
		t[i].deadline_ns = deadline;
		CHECK_STATUS(c, jd_schedule_at(c->scheduler, &t[i].timer, &t[i].base, deadline),
			     JD_OK);
	}
	WAIT(latch, 1);
	for (unsigned i = 200; i-- > 0;) {
		if (jd_cancel_timer(c->scheduler, &t[i].timer) == JD_EALREADY) {
			gate_wait(&t[i].called, 1);
			fired++;
		}
	}
	WAIT(latch, fired);
	CHECK_EQUAL(c, conf_latch_count(latch), fired);
	for (unsigned i = 0; i < 200; i++)
		gate_fini(&t[i].called);
	conf_latch_close(latch);
}

#define RESCUED 20

struct rescue {
	struct inline_timer timers[RESCUED];
	bool over[RESCUED];
	unsigned fired;
	struct conf_latch *done;
};

/*
 * Arms again what it could cancel, and waits on the spot for what has fired: on a scheduler with
 * one worker nobody could run an inline runnable that was queued meanwhile.
 */
static void cancel_and_wait(struct conf_job *job)
{
	struct rescue *rescue = job->arg;
	struct jd_scheduler *s = job->c->scheduler;

	for (unsigned i = 0; i < RESCUED; i++) {
		struct inline_timer *t = &rescue->timers[i];

		if (rescue->over[i])
			continue;
		if (jd_cancel_timer(s, &t->timer) == JD_OK) {
			CHECK_STATUS(job->c, jd_schedule_at(s, &t->timer, &t->base, 0), JD_OK);
		} else {
			gate_wait(&t->called, 1);
			rescue->over[i] = true;
			rescue->fired++;
		}
	}
	job->base.flags = JD_RUNNABLE_YIELDED;
	if (rescue->fired < RESCUED)
		CHECK_STATUS(job->c, jd_schedule(s, &job->base), JD_OK);
	else
		conf_latch_hit(rescue->done);
}

static void inline_run_is_not_queued(struct conf *c)
{
	c->scheduler = conf_make(c, &(struct conf_options){.workers = 1});
	if (!c->scheduler)
		return;
	struct conf_latch *latch = conf_latch_new(c);
	struct rescue *rescue = conf_new(c, struct rescue);
	struct conf_job *job = conf_jobs(c, 1, cancel_and_wait, rescue, NULL);

	rescue->done = conf_latch_new(c);
	inline_timers_init(c, rescue->timers, RESCUED, latch);
	for (unsigned i = 0; i < RESCUED; i++)
		CHECK_STATUS(c,
			     jd_schedule_at(c->scheduler, &rescue->timers[i].timer,
					    &rescue->timers[i].base, 0),
			     JD_OK);
	CHECK_STATUS(c, jd_schedule(c->scheduler, &job->base), JD_OK);
	WAIT(rescue->done, 1);
	CHECK_EQUAL(c, conf_latch_count(latch), RESCUED);
	conf_latch_close(latch);
	conf_latch_close(rescue->done);
}

/* --- Other threads --------------------------------------------------------------------------- */

struct armer {
	struct gate_thread thread;
	struct conf_job *jobs;
	unsigned cancelled;
};

static void armer_main(void *arg)
{
	struct armer *armer = arg;
	struct conf *c = armer->jobs[0].c;

	for (unsigned i = 0; i < 200; i++)
		CHECK_STATUS(c, arm(&armer->jobs[i], conf_random(c, i) % (10 * JD_MS)), JD_OK);
	for (unsigned i = 0; i < 200; i += 2)
		armer->cancelled += jd_cancel_timer(c->scheduler, &armer->jobs[i].timer) == JD_OK;
}

static void from_eight_threads(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *jobs = conf_jobs(c, 8 * 200, not_early, NULL, latch);
	struct armer armers[8];
	unsigned cancelled = 0, ran = 0;

	for (unsigned i = 0; i < 8; i++) {
		armers[i].jobs = &jobs[i * 200];
		armers[i].cancelled = 0;
		gate_thread_start(&armers[i].thread, armer_main, &armers[i]);
	}
	for (unsigned i = 0; i < 8; i++) {
		gate_thread_join(&armers[i].thread);
		cancelled += armers[i].cancelled;
	}
	WAIT(latch, 8 * 200 - cancelled);
	for (unsigned i = 0; i < 8 * 200; i++) {
		ran += conf_get(&jobs[i].runs);
		CHECK(c, conf_get(&jobs[i].runs) <= 1 && !conf_get(&jobs[i].cancels));
	}
	CHECK_EQUAL(c, ran, 8 * 200 - cancelled);
	conf_latch_close(latch);
}

/* --- Bad arguments --------------------------------------------------------------------------- */

static void bad_arguments(struct conf *c)
{
	struct conf_job *job = conf_jobs(c, 1, NULL, NULL, NULL);
	struct jd_runnable no_ops = JD_RUNNABLE_INIT(NULL);
	struct jd_timer *t = &job->timer;

	CHECK_STATUS(c, jd_schedule_after(NULL, t, &job->base, 0), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_after(c->scheduler, NULL, &job->base, 0), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_after(c->scheduler, t, NULL, 0), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_after(c->scheduler, t, &no_ops, 0), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_at(NULL, t, &job->base, 0), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_at(c->scheduler, NULL, &job->base, 0), JD_EINVAL);
	CHECK_STATUS(c, jd_schedule_at(c->scheduler, t, NULL, 0), JD_EINVAL);
	CHECK_STATUS(c, jd_cancel_timer(NULL, t), JD_EINVAL);
	CHECK_STATUS(c, jd_cancel_timer(c->scheduler, NULL), JD_EINVAL);
	CHECK_EQUAL(c, conf_get(&job->runs) + conf_get(&job->cancels), 0);
}

static void refused_by_one_that_lacks_them(struct conf *c)
{
	struct conf_job *job = conf_jobs(c, 1, NULL, NULL, NULL);

	CHECK_STATUS(c, arm(job, 0), JD_ENOTSUP);
	CHECK_STATUS(c, jd_schedule_at(c->scheduler, &job->timer, &job->base, 0), JD_ENOTSUP);
	CHECK_STATUS(c, jd_cancel_timer(c->scheduler, &job->timer), JD_ENOTSUP);
	CHECK_EQUAL(c, conf_get(&job->runs) + conf_get(&job->cancels), 0);
}

const struct conf_test conf_timer_tests[] = {
	{"timer.fires_once_and_never_early", fires_once_and_never_early, CONF_TIMERS},
	{"timer.at_an_instant", at_an_instant, CONF_TIMERS},
	{"timer.many_timers", many_timers, CONF_TIMERS},
	{"timer.a_shorter_one_is_not_held_up", a_shorter_one_is_not_held_up, CONF_TIMERS},
	{"timer.armed_again_from_its_own_run", armed_again_from_its_own_run, CONF_TIMERS},
	{"timer.from_inside_runnables_and_back", from_inside_runnables_and_back, CONF_TIMERS},
	{"timer.not_held_up_by_who_armed_it", not_held_up_by_who_armed_it,
	 CONF_TIMERS | CONF_PARALLEL},
	{"timer.slack_is_never_early", slack_is_never_early, CONF_TIMERS},
	{"timer.cancelled_or_fired_is_told_apart", cancelled_or_fired_is_told_apart, CONF_TIMERS},
	{"timer.armed_twice_is_busy", armed_twice_is_busy, CONF_TIMERS},
	{"timer.never_does_not_fire", never_does_not_fire, CONF_TIMERS},
	{"timer.cancel_against_fire", cancel_against_fire, CONF_TIMERS},
	{"timer.inline_run_comes_right_after_the_claim", inline_run_comes_right_after_the_claim,
	 CONF_TIMERS},
	{"timer.inline_run_is_not_queued", inline_run_is_not_queued, CONF_OWN | CONF_TIMERS},
	{"timer.from_eight_threads", from_eight_threads, CONF_TIMERS | CONF_FOREIGN | CONF_ONCE},
	{"timer.bad_arguments", bad_arguments, CONF_TIMERS},
	{"timer.refused_by_one_that_lacks_them", refused_by_one_that_lacks_them,
	 CONF_TIMERS | CONF_WITHOUT},
	{NULL, NULL, 0},
};
