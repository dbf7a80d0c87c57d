/* session.c - conformance: a blocked foreground session is not re-entered, others go on. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/conformance/conformance.h"

/*
 * The stories below write a letter whenever something of theirs happens, all on the main thread,
 * and compare what was written. Upper case begins, lower case ends.
 */
struct story {
	struct conf *c;
	jd_session_id s, t, u;
	char text[64];
	struct conf_node *event;  /* s waits for it */
	struct conf_node *event2; /* t waits for it */
	struct conf_latch *done;
};

static struct story *story_new(struct conf *c)
{
	struct story *story = conf_new(c, struct story);

	story->c = c;
	story->s = jd_session_new(c->scheduler);
	story->t = jd_session_new(c->scheduler);
	story->u = jd_session_new(c->scheduler);
	story->event = conf_node_new(c);
	story->event2 = conf_node_new(c);
	story->done = conf_latch_new(c);
	return story;
}

static void say(struct story *story, char letter)
{
	size_t length = strlen(story->text);

	CHECK(story->c, jd_is_main_thread(story->c->scheduler));
	if (length + 1 < sizeof(story->text))
		story->text[length] = letter;
}

static void check_text(struct story *story, const char *want, const char *site)
{
	if (strcmp(story->text, want)) {
		fprintf(stderr, "%s: the story was \"%s\", not \"%s\"\n", site, story->text, want);
		conf_add(&story->c->failures);
	}
}
#define CHECK_STORY(story, want) check_text((story), (want), JD_SITE)

static void post(struct story *story, jd_session_id session, void (*fn)(struct conf_job *job))
{
	struct conf_job *job = conf_jobs(story->c, 1, fn, story, story->done);

	CHECK_STATUS(story->c, jd_schedule_foreground(story->c->scheduler, &job->base, session),
		     JD_OK);
}

static void block_on(struct conf *c, struct conf_node *node, jd_status want)
{
	struct conf_future future = conf_node_future(node);
	struct conf_value value = {0};

	CHECK_STATUS(c, jd_block(c->scheduler, &future.base, &value), want);
	CHECK(c, jd_is_main_thread(c->scheduler));
	jd_future_drop(&future.base);
	CHECK_ENDED(node, 0);
}

/* --- One blocked session --------------------------------------------------------------------- */

static void s_blocks(struct conf_job *job)
{
	struct story *story = job->arg;

	say(story, 'S');
	block_on(job->c, story->event, JD_OK);
	say(story, 's');
}

static void s_later(struct conf_job *job)
{
	say(job->arg, '1');
}

static void s_last(struct conf_job *job)
{
	say(job->arg, '2');
}

static void t_ends_it(struct conf_job *job)
{
	struct story *story = job->arg;

	say(story, 't');
	conf_node_set(story->event);
}

/* S waits with more of S behind it; a runnable of T, posted last, ends the wait. */
static void a_blocked_session_waits_others_run(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_blocks);
	post(story, story->s, s_later);
	post(story, story->s, s_last);
	post(story, story->t, t_ends_it);
	WAIT(story->done, 4);
	/* T is free to come before S began. */
	if (story->text[0] == 't')
		CHECK_STORY(story, "tSs12");
	else
		CHECK_STORY(story, "Sts12");
	conf_latch_close(story->done);
}

static void s_posts_then_blocks(struct conf_job *job)
{
	struct story *story = job->arg;

	say(story, 'S');
	post(story, story->s, s_later);
	post(story, story->t, t_ends_it);
	post(story, story->s, s_last);
	block_on(job->c, story->event, JD_OK);
	say(story, 's');
}

/* The same with posts made by the session itself before it waits: the order is forced. */
static void what_is_held_back_keeps_its_order(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_posts_then_blocks);
	WAIT(story->done, 4);
	CHECK_STORY(story, "Sts12");
	conf_latch_close(story->done);
}

/* --- A stack of blocked sessions ------------------------------------------------------------- */

static void u_ends_t(struct conf_job *job)
{
	struct story *story = job->arg;

	say(story, 'u');
	conf_node_set(story->event2);
}

static void t_blocks(struct conf_job *job)
{
	struct story *story = job->arg;

	say(story, 'T');
	post(story, story->s, s_later);
	post(story, story->t, t_ends_it);
	post(story, story->u, u_ends_t);
	block_on(job->c, story->event2, JD_OK);
	say(story, 'x');
}

static void s_blocks_on_t(struct conf_job *job)
{
	struct story *story = job->arg;

	say(story, 'S');
	post(story, story->t, t_blocks);
	block_on(job->c, story->event, JD_OK);
	say(story, 's');
}

/* S waits, T runs inside and waits, only U may run; then T goes on and ends the wait of S. */
static void blocked_sessions_form_a_stack(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_blocks_on_t);
	WAIT(story->done, 5);
	CHECK_STORY(story, "STuxts1");
	conf_latch_close(story->done);
}

/* --- Every way out pops ---------------------------------------------------------------------- */

static void s_fails(struct conf_job *job)
{
	struct story *story = job->arg;

	say(story, 'S');
	post(story, story->s, s_later);
	story->event->end = JD_EFAILED;
	post(story, story->t, t_ends_it);
	block_on(job->c, story->event, JD_EFAILED);
	say(story, 's');
}

static void popped_after_an_error(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_fails);
	WAIT(story->done, 3);
	CHECK_STORY(story, "Sts1");
	conf_latch_close(story->done);
}

static void s_times_out(struct conf_job *job)
{
	struct story *story = job->arg;
	struct conf_future future = conf_node_future(story->event);
	struct conf_value value;

	say(story, 'S');
	post(story, story->s, s_later);
	CHECK_STATUS(job->c, jd_block_with_timeout(job->c->scheduler, &future.base, JD_MS, &value),
		     JD_ETIMEDOUT);
	CHECK_STATUS(job->c, jd_block_with_timeout(job->c->scheduler, &future.base, 0, &value),
		     JD_ETIMEDOUT);
	jd_future_drop(&future.base);
	say(story, 's');
}

static void popped_after_a_timeout(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_times_out);
	WAIT(story->done, 2);
	CHECK_STORY(story, "Ss1");
	conf_latch_close(story->done);
}

static void s_waits_twice(struct conf_job *job)
{
	struct story *story = job->arg;
	struct conf_future future = conf_node_future(story->event);
	struct conf_value value;

	say(story, 'S');
	post(story, story->s, s_later);
	CHECK_STATUS(job->c, jd_block_with_timeout(job->c->scheduler, &future.base, JD_MS, &value),
		     JD_ETIMEDOUT);
	post(story, story->t, t_ends_it);
	CHECK_STATUS(job->c, jd_block(job->c->scheduler, &future.base, &value), JD_OK);
	jd_future_drop(&future.base);
	say(story, 's');
}

/* The session is still the runnable's after a wait, so the next one blocks it as well. */
static void blocked_again_by_a_second_wait(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_waits_twice);
	WAIT(story->done, 3);
	CHECK_STORY(story, "Sts1");
	conf_latch_close(story->done);
}

static void s_is_ready(struct conf_job *job)
{
	struct story *story = job->arg;

	say(story, 'S');
	post(story, story->s, s_later);
	conf_node_set(story->event);
	block_on(job->c, story->event, JD_OK);
	say(story, 's');
}

/* Ready at once: it does not even wait, so nothing of S comes in between. */
static void popped_when_it_never_waited(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_is_ready);
	WAIT(story->done, 2);
	CHECK_STORY(story, "Ss1");
	conf_latch_close(story->done);
}

static void s_deadlocks(struct conf_job *job)
{
	struct story *story = job->arg;
	struct conf_future future = conf_node_future(story->event);
	struct conf_value value;

	say(story, 'S');
	post(story, story->s, s_later);
	CHECK_STATUS(job->c, jd_block(job->c->scheduler, &future.base, &value), JD_EDEADLK);
	jd_future_drop(&future.base);
	say(story, 's');
}

/* What could end the wait is in the session itself: a deadlock, and a way out like others. */
static void popped_after_a_deadlock(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_deadlocks);
	WAIT(story->done, 2);
	CHECK_STORY(story, "Ss1");
	conf_latch_close(story->done);
}

static void s_parks(struct conf_job *job)
{
	struct story *story = job->arg;
	struct jd_parker *parker;

	say(story, 'S');
	post(story, story->s, s_later);
	CHECK_STATUS(job->c, jd_parker_new(job->c->scheduler, &parker), JD_OK);
	CHECK_STATUS(job->c, jd_parker_park(parker, jd_now(job->c->scheduler) + JD_MS),
		     JD_ETIMEDOUT);
	jd_parker_unpark(parker);
	CHECK_STATUS(job->c, jd_parker_park(parker, JD_NEVER), JD_OK);
	jd_parker_release(parker);
	say(story, 's');
}

/* A bare park blocks its session as jd_block does. */
static void a_park_blocks_its_session(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_parks);
	WAIT(story->done, 2);
	CHECK_STORY(story, "Ss1");
	conf_latch_close(story->done);
}

/* --- Others ---------------------------------------------------------------------------------- */

/* A wait on the main thread outside of all sessions holds none of them up. */
static void a_wait_outside_blocks_no_session(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_later);
	post(story, story->s, t_ends_it);
	block_on(c, story->event, JD_OK);
	WAIT(story->done, 2);
	CHECK_STORY(story, "1t");
	conf_latch_close(story->done);
}

static void set_event(struct conf_job *job)
{
	struct story *story = job->arg;

	CHECK(job->c, !jd_is_main_thread(job->c->scheduler));
	conf_node_set(story->event);
}

static void s_waits_for_background(struct conf_job *job)
{
	struct story *story = job->arg;
	struct conf_job *setter = conf_jobs(job->c, 1, set_event, story, NULL);

	say(story, 'S');
	post(story, story->s, s_later);
	CHECK_STATUS(job->c, jd_schedule(job->c->scheduler, &setter->base), JD_OK);
	block_on(job->c, story->event, JD_OK);
	say(story, 's');
}

static void background_goes_on_meanwhile(struct conf *c)
{
	struct story *story = story_new(c);

	post(story, story->s, s_waits_for_background);
	WAIT(story->done, 2);
	CHECK_STORY(story, "Ss1");
	conf_latch_close(story->done);
}

static jd_status poll_that_blocks(struct conf_node *node, struct jd_context *context)
{
	struct story *story = node->arg;

	(void)context;
	say(story, 'S');
	post(story, story->s, s_later);
	post(story, story->t, t_ends_it);
	block_on(node->c, story->event, JD_OK);
	say(story, 's');
	return JD_OK;
}

/* A foreground task that blocks in its poll blocks its session. */
static void a_task_blocks_its_session(struct conf *c)
{
	struct story *story = story_new(c);
	struct conf_node *node = conf_node_new(c);
	const struct jd_task_options options = {.kind = JD_TASK_FOREGROUND, .session = story->s};
	struct jd_task *task;

	node->poll = poll_that_blocks;
	node->arg = story;
	if (conf_node_spawn_on(node, c->scheduler, &options, &task))
		JOIN(node, task, JD_OK);
	WAIT(story->done, 2);
	CHECK_STORY(story, "Sts1");
	CHECK_ENDED(node, 1);
	conf_latch_close(story->done);
}

const struct conf_test conf_session_tests[] = {
	{"session.a_blocked_session_waits_others_run", a_blocked_session_waits_others_run,
	 CONF_FOREGROUND},
	{"session.what_is_held_back_keeps_its_order", what_is_held_back_keeps_its_order,
	 CONF_FOREGROUND},
	{"session.blocked_sessions_form_a_stack", blocked_sessions_form_a_stack, CONF_FOREGROUND},
	{"session.popped_after_an_error", popped_after_an_error, CONF_FOREGROUND},
	{"session.popped_after_a_timeout", popped_after_a_timeout, CONF_FOREGROUND},
	{"session.blocked_again_by_a_second_wait", blocked_again_by_a_second_wait, CONF_FOREGROUND},
	{"session.popped_when_it_never_waited", popped_when_it_never_waited, CONF_FOREGROUND},
	{"session.popped_after_a_deadlock", popped_after_a_deadlock,
	 CONF_FOREGROUND | CONF_DEADLOCK},
	{"session.a_park_blocks_its_session", a_park_blocks_its_session, CONF_FOREGROUND},
	{"session.a_wait_outside_blocks_no_session", a_wait_outside_blocks_no_session,
	 CONF_FOREGROUND},
	{"session.background_goes_on_meanwhile", background_goes_on_meanwhile, CONF_FOREGROUND},
	{"session.a_task_blocks_its_session", a_task_blocks_its_session, CONF_FOREGROUND},
	{NULL, NULL, 0},
};
