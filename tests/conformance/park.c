/* park.c - conformance: parkers and blocking calls. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

static struct jd_parker *parker_new(struct conf *c)
{
	struct jd_parker *parker = NULL;

	CHECK_STATUS(c, jd_parker_new(c->scheduler, &parker), JD_OK);
	return parker;
}

static uint64_t soon(struct conf *c)
{
	return jd_deadline_after(jd_now(c->scheduler), JD_MS);
}

/* --- The token ------------------------------------------------------------------------------- */

static void an_unpark_that_comes_first_is_kept(struct conf *c)
{
	struct jd_parker *parker = parker_new(c);

	jd_parker_unpark(parker);
	CHECK_STATUS(c, jd_parker_park(parker, JD_NEVER), JD_OK);
	jd_parker_unpark(parker);
	/* The token counts even when the deadline has passed. */
	CHECK_STATUS(c, jd_parker_park(parker, 0), JD_OK);
	CHECK_STATUS(c, jd_parker_park(parker, soon(c)), JD_ETIMEDOUT);
	jd_parker_release(parker);
}

static void one_is_kept_at_most(struct conf *c)
{
	struct jd_parker *parker = parker_new(c);

	for (int i = 0; i < 5; i++)
		jd_parker_unpark(parker);
	CHECK_STATUS(c, jd_parker_park(parker, JD_NEVER), JD_OK);
	CHECK_STATUS(c, jd_parker_park(parker, soon(c)), JD_ETIMEDOUT);
	jd_parker_release(parker);
}

static void try_takes_a_token(struct conf *c)
{
	struct jd_parker *parker = parker_new(c);

	CHECK(c, !jd_parker_try(parker));
	jd_parker_unpark(parker);
	CHECK(c, jd_parker_try(parker));
	CHECK(c, !jd_parker_try(parker));
	jd_parker_release(parker);
}

static void times_out_at_the_deadline_not_before(struct conf *c)
{
	static const uint64_t delays[] = {0, 1, JD_US, 100 * JD_US, JD_MS, 7 * JD_MS};
	struct jd_parker *parker = parker_new(c);

	for (unsigned i = 0; i < 6; i++) {
		uint64_t deadline = jd_now(c->scheduler) + delays[i];

		CHECK_STATUS(c, jd_parker_park(parker, deadline), JD_ETIMEDOUT);
		CHECK(c, jd_now(c->scheduler) >= deadline);
	}
	CHECK_STATUS(c, jd_parker_park(parker, 0), JD_ETIMEDOUT);
	jd_parker_release(parker);
}

/* --- Its waker ------------------------------------------------------------------------------- */

static void a_waker_unparks(struct conf *c)
{
	struct jd_parker *parker = parker_new(c);
	struct jd_waker waker = jd_parker_waker(parker);
	struct jd_waker clone = jd_waker_clone(&waker);

	CHECK(c, jd_waker_same(&waker, &clone));
	jd_waker_wake_ref(&waker);
	CHECK_STATUS(c, jd_parker_park(parker, JD_NEVER), JD_OK);
	jd_waker_wake(&waker);
	CHECK_STATUS(c, jd_parker_park(parker, JD_NEVER), JD_OK);
	jd_waker_drop(&clone);
	CHECK_STATUS(c, jd_parker_park(parker, soon(c)), JD_ETIMEDOUT);
	jd_parker_release(parker);
}

/* It owns a reference of its own: it may outlive parker and scheduler. */
static void a_waker_outlives_all(struct conf *c)
{
	struct jd_parker *parker = parker_new(c);
	struct jd_waker waker = jd_parker_waker(parker), clone = jd_waker_clone(&waker);

	jd_parker_release(parker);
	jd_waker_wake_ref(&waker);
	CHECK_STATUS(c, jd_scheduler_destroy(c->scheduler), JD_OK);
	c->scheduler = NULL;
	jd_waker_wake_ref(&clone);
	jd_waker_wake(&waker);
	CHECK(c, count_allocator_live(&c->memory) > 0);
	jd_waker_drop(&clone);
}

/* --- Two of them ----------------------------------------------------------------------------- */

struct nested {
	struct jd_parker *outer;
	struct jd_parker *inner;
};

static void park_inside(struct conf_job *job)
{
	struct nested *nested = job->arg;

	/* The outer wait's token comes while the inner one waits: it must stay the outer's. */
	jd_parker_unpark(nested->outer);
	CHECK_STATUS(job->c, jd_parker_park(nested->inner, soon(job->c)), JD_ETIMEDOUT);
	jd_parker_unpark(nested->inner);
	CHECK_STATUS(job->c, jd_parker_park(nested->inner, JD_NEVER), JD_OK);
}

/* A park inside a park takes nothing from the outer one and loses nothing. */
static void nested_parks_keep_their_tokens(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct nested *nested = conf_new(c, struct nested);
	struct conf_job *jobs = conf_jobs(c, 10, park_inside, nested, latch);

	for (unsigned i = 0; i < 10; i++) {
		nested->outer = parker_new(c);
		nested->inner = parker_new(c);
		CHECK_STATUS(c,
			     c->backend->has & CONF_FOREGROUND
				     ? jd_schedule_foreground(c->scheduler, &jobs[i].base, 1)
				     : jd_schedule(c->scheduler, &jobs[i].base),
			     JD_OK);
		CHECK_STATUS(c, jd_parker_park(nested->outer, JD_NEVER), JD_OK);
		if (!WAIT(latch, i + 1))
			break;
		CHECK(c, !jd_parker_try(nested->outer));
		jd_parker_release(nested->outer);
		jd_parker_release(nested->inner);
	}
	conf_latch_close(latch);
}

static void unpark_arg(struct conf_job *job)
{
	jd_parker_unpark(job->arg);
}

static void unparked_from_a_runnable(struct conf *c)
{
	struct conf_job *jobs = conf_jobs(c, 500, unpark_arg, NULL, NULL);
	struct jd_parker *parker = parker_new(c);

	for (unsigned i = 0; i < 500; i++) {
		jobs[i].arg = parker;
		CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[i].base), JD_OK);
		CHECK_STATUS(c, jd_parker_park(parker, JD_NEVER), JD_OK);
	}
	CHECK_RAN_ONCE(c, jobs, 500);
	CHECK(c, !jd_parker_try(parker));
	/* The last runnable may not have left unpark yet: the latch is what waits for it. */
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_job *last = conf_jobs(c, 1, NULL, NULL, latch);

	CHECK_STATUS(c, jd_schedule(c->scheduler, &last->base), JD_OK);
	WAIT(latch, 1);
	conf_latch_close(latch);
	jd_parker_release(parker);
}

/* --- Threads --------------------------------------------------------------------------------- */

struct ring {
	struct gate_thread thread;
	struct conf *c;
	struct jd_parker *mine;
	struct jd_parker *next;
	unsigned *plain; /* not atomic: an unpark carries what came before it */
	unsigned index;
};

#define RING 8
#define ROUNDS 200

static void ring_main(void *arg)
{
	struct ring *r = arg;

	for (unsigned round = 0; round < ROUNDS; round++) {
		CHECK_STATUS(r->c, jd_parker_park(r->mine, JD_NEVER), JD_OK);
		CHECK_EQUAL(r->c, *r->plain, round * RING + r->index);
		++*r->plain;
		jd_parker_unpark(r->next);
	}
}

/* Eight threads, each with its own parker, hand one plain number round. */
static void a_ring_of_threads(struct conf *c)
{
	struct ring *ring = conf_array(c, struct ring, RING);
	unsigned *plain = conf_new(c, unsigned);

	for (unsigned i = 0; i < RING; i++)
		ring[i] = (struct ring){.c = c, .mine = parker_new(c), .plain = plain, .index = i};
	for (unsigned i = 0; i < RING; i++) {
		ring[i].next = ring[(i + 1) % RING].mine;
		gate_thread_start(&ring[i].thread, ring_main, &ring[i]);
	}
	jd_parker_unpark(ring[0].mine);
	for (unsigned i = 0; i < RING; i++)
		gate_thread_join(&ring[i].thread);
	CHECK_EQUAL(c, *plain, RING * ROUNDS);
	for (unsigned i = 0; i < RING; i++)
		jd_parker_release(ring[i].mine);
}

/* --- Block ----------------------------------------------------------------------------------- */

static void block_yields_status_and_result(struct conf *c)
{
	static const jd_status ends[] = {JD_OK, JD_EFAILED, JD_ECANCELED, JD_ETIMEDOUT, JD_ECLOSED};
	struct conf_node *nodes = conf_nodes(c, 5);

	for (unsigned i = 0; i < 5; i++) {
		struct conf_future future = conf_node_future(&nodes[i]);
		struct conf_value value = {0};

		nodes[i].end = ends[i];
		conf_node_set(&nodes[i]);
		CHECK_STATUS(c, jd_block(c->scheduler, &future.base, &value), ends[i]);
		CHECK(c, value.node == (ends[i] == JD_OK ? &nodes[i] : NULL));
		CHECK_EQUAL(c, conf_get(&nodes[i].polls), 1);
		CHECK_EQUAL(c, conf_get(&nodes[i].drops), 0);
		jd_future_drop(&future.base);
		CHECK_ENDED(&nodes[i], 0);
	}
}

static void set_arg(struct conf_job *job)
{
	conf_node_set(job->arg);
}

static jd_status on_this_thread(struct conf_node *node, struct jd_context *context)
{
	CHECK(node->c, pthread_equal(pthread_self(), *(pthread_t *)node->arg));
	CHECK(node->c, context->scheduler == node->c->scheduler);
	CHECK(node->c, !context->task);
	if (conf_get(&node->polls) == 3)
		return JD_OK;
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

/* The future is polled where the caller is, not in a task, once for every wake. */
static void block_polls_on_the_callers_thread(struct conf *c)
{
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct conf_value value;
	pthread_t self = pthread_self();

	node->poll = on_this_thread;
	node->arg = &self;
	CHECK_STATUS(c, jd_block(c->scheduler, &future.base, &value), JD_OK);
	CHECK_EQUAL(c, conf_get(&node->polls), 3);
	jd_future_drop(&future.base);
}

static void block_waits_for_a_runnable(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 300);
	struct conf_job *jobs = conf_jobs(c, 300, set_arg, NULL, NULL);

	for (unsigned i = 0; i < 300; i++) {
		struct conf_future future = conf_node_future(&nodes[i]);
		struct conf_value value = {0};

		jobs[i].arg = &nodes[i];
		CHECK_STATUS(c, jd_schedule(c->scheduler, &jobs[i].base), JD_OK);
		CHECK_STATUS(c, jd_block(c->scheduler, &future.base, &value), JD_OK);
		CHECK(c, value.node == &nodes[i] && conf_get(&nodes[i].polls) <= 2);
		jd_future_drop(&future.base);
		CHECK_ENDED(&nodes[i], 0);
	}
}

static void a_timeout_of_zero_polls_once(struct conf *c)
{
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct conf_value value = {0};

	CHECK_STATUS(c, jd_block_with_timeout(c->scheduler, &future.base, 0, &value), JD_ETIMEDOUT);
	CHECK_EQUAL(c, conf_get(&node->polls), 1);
	conf_node_set(node);
	CHECK_STATUS(c, jd_block_with_timeout(c->scheduler, &future.base, 0, &value), JD_OK);
	CHECK_EQUAL(c, conf_get(&node->polls), 2);
	CHECK(c, value.node == node);
	jd_future_drop(&future.base);
	CHECK_ENDED(node, 0);
}

static void a_timed_out_future_goes_on(struct conf *c)
{
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct conf_value value = {0};

	for (unsigned i = 0; i < 5; i++) {
		uint64_t until = jd_deadline_after(jd_now(c->scheduler), i * JD_MS);

		CHECK_STATUS(c,
			     jd_block_with_timeout(c->scheduler, &future.base, i * JD_MS, &value),
			     JD_ETIMEDOUT);
		CHECK(c, jd_now(c->scheduler) >= until);
		CHECK_EQUAL(c, conf_get(&node->drops), 0);
	}
	conf_node_set(node);
	CHECK_STATUS(c, jd_block_with_timeout(c->scheduler, &future.base, JD_NEVER, &value), JD_OK);
	CHECK(c, value.node == node);
	jd_future_drop(&future.base);
	CHECK_ENDED(node, 0);
}

static jd_status ready_at_arg(struct conf_node *node, struct jd_context *context)
{
	uint64_t *instant = node->arg;

	return jd_now(context->scheduler) >= *instant ? JD_OK : JD_PENDING;
}

/* Nothing wakes it, but at the deadline it is polled once more: ready is better than late. */
static void the_last_poll_is_at_the_deadline(struct conf *c)
{
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct conf_value value = {0};
	uint64_t *instant = conf_new(c, uint64_t);

	*instant = jd_now(c->scheduler) + JD_MS;
	node->poll = ready_at_arg;
	node->arg = instant;
	CHECK_STATUS(c, jd_block_with_timeout(c->scheduler, &future.base, 2 * JD_MS, &value),
		     JD_OK);
	CHECK(c, conf_get(&node->polls) <= 2);
	jd_future_drop(&future.base);
}

static jd_status wakes_itself(struct conf_node *node, struct jd_context *context)
{
	(void)node;
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

/* Where time stands still while something can run, this would be a livelock: not there. */
static void a_restless_future_times_out(struct conf *c)
{
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct conf_value value;

	node->poll = wakes_itself;
	CHECK_STATUS(c, jd_block_with_timeout(c->scheduler, &future.base, JD_MS, &value),
		     JD_ETIMEDOUT);
	CHECK(c, conf_get(&node->polls) > 1);
	jd_future_drop(&future.base);
}

static void without_an_end_it_is_a_deadlock(struct conf *c)
{
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct conf_value value = {0};
	struct jd_parker *parker = parker_new(c);

	CHECK_STATUS(c, jd_block(c->scheduler, &future.base, &value), JD_EDEADLK);
	CHECK_STATUS(c, jd_parker_park(parker, JD_NEVER), JD_EDEADLK);
	CHECK_EQUAL(c, conf_get(&node->drops), 0);
	/* Still the caller's, still good. */
	conf_node_set(node);
	CHECK_STATUS(c, jd_block(c->scheduler, &future.base, &value), JD_OK);
	jd_parker_unpark(parker);
	CHECK_STATUS(c, jd_parker_park(parker, JD_NEVER), JD_OK);
	jd_future_drop(&future.base);
	jd_parker_release(parker);
	CHECK_ENDED(node, 0);
}

static void without_memory(struct conf *c)
{
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct jd_parker *parker = NULL;
	struct conf_value value;

	count_allocator_fail(&c->memory, 1, UINT64_MAX);
	CHECK_STATUS(c, jd_parker_new(c->scheduler, &parker), JD_ENOMEM);
	CHECK_STATUS(c, jd_block(c->scheduler, &future.base, &value), JD_ENOMEM);
	CHECK_STATUS(c, jd_block_with_timeout(c->scheduler, &future.base, JD_MS, &value),
		     JD_ENOMEM);
	count_allocator_fail(&c->memory, 0, 0);
	CHECK(c, !parker);
	CHECK_EQUAL(c, conf_get(&node->drops), 0);
	conf_node_set(node);
	CHECK_STATUS(c, jd_block(c->scheduler, &future.base, &value), JD_OK);
	jd_future_drop(&future.base);
}

/* --- Blocking threads ------------------------------------------------------------------------ */

#define BLOCKERS 16

struct blocker {
	struct gate_thread thread;
	struct conf *c;
	struct conf_node *nodes;
};

static void blocker_main(void *arg)
{
	struct blocker *b = arg;

	for (unsigned i = 0; i < 100; i++) {
		struct conf_node *node = &b->nodes[i];
		struct conf_job *job = conf_jobs(b->c, 1, set_arg, node, NULL);
		struct jd_task *task;

		if (!conf_node_spawn(node, &task))
			return;
		CHECK_STATUS(b->c, jd_schedule(b->c->scheduler, &job->base), JD_OK);
		JOIN(node, task, JD_OK);
		CHECK_ENDED(node, 1);
	}
}

static void sixteen_threads_block(struct conf *c)
{
	struct blocker *blockers = conf_array(c, struct blocker, BLOCKERS);

	for (unsigned i = 0; i < BLOCKERS; i++) {
		blockers[i].c = c;
		blockers[i].nodes = conf_nodes(c, 100);
		gate_thread_start(&blockers[i].thread, blocker_main, &blockers[i]);
	}
	for (unsigned i = 0; i < BLOCKERS; i++)
		gate_thread_join(&blockers[i].thread);
}

/* --- Bad arguments --------------------------------------------------------------------------- */

static void bad_arguments(struct conf *c)
{
	struct conf_node *node = conf_node_new(c);
	struct conf_future future = conf_node_future(node);
	struct jd_future no_ops = {NULL};
	struct jd_parker *parker;
	struct conf_value value;

	CHECK_STATUS(c, jd_parker_new(NULL, &parker), JD_EINVAL);
	CHECK_STATUS(c, jd_parker_new(c->scheduler, NULL), JD_EINVAL);
	CHECK_STATUS(c, jd_parker_park(NULL, 0), JD_EINVAL);
	CHECK_STATUS(c, jd_block(NULL, &future.base, &value), JD_EINVAL);
	CHECK_STATUS(c, jd_block(c->scheduler, NULL, &value), JD_EINVAL);
	CHECK_STATUS(c, jd_block(c->scheduler, &no_ops, &value), JD_EINVAL);
	CHECK_STATUS(c, jd_block_with_timeout(NULL, &future.base, 1, &value), JD_EINVAL);
	CHECK_STATUS(c, jd_block_with_timeout(c->scheduler, NULL, 1, &value), JD_EINVAL);
	CHECK_STATUS(c, jd_block_with_timeout(c->scheduler, &no_ops, 0, &value), JD_EINVAL);
	CHECK_EQUAL(c, conf_get(&node->polls) + conf_get(&node->drops), 0);
}

const struct conf_test conf_park_tests[] = {
	{"park.an_unpark_that_comes_first_is_kept", an_unpark_that_comes_first_is_kept, 0},
	{"park.one_is_kept_at_most", one_is_kept_at_most, 0},
	{"park.try_takes_a_token", try_takes_a_token, 0},
	{"park.times_out_at_the_deadline_not_before", times_out_at_the_deadline_not_before, 0},
	{"park.a_waker_unparks", a_waker_unparks, 0},
	{"park.a_waker_outlives_all", a_waker_outlives_all, 0},
	{"park.nested_parks_keep_their_tokens", nested_parks_keep_their_tokens, 0},
	{"park.unparked_from_a_runnable", unparked_from_a_runnable, 0},
	{"park.a_ring_of_threads", a_ring_of_threads, CONF_FOREIGN | CONF_PARALLEL | CONF_ONCE},
	{"block.yields_status_and_result", block_yields_status_and_result, 0},
	{"block.polls_on_the_callers_thread", block_polls_on_the_callers_thread, 0},
	{"block.waits_for_a_runnable", block_waits_for_a_runnable, 0},
	{"block.a_timeout_of_zero_polls_once", a_timeout_of_zero_polls_once, 0},
	{"block.a_timed_out_future_goes_on", a_timed_out_future_goes_on, 0},
	{"block.the_last_poll_is_at_the_deadline", the_last_poll_is_at_the_deadline, 0},
	{"block.a_restless_future_times_out", a_restless_future_times_out, CONF_CLOCK},
	{"block.without_an_end_it_is_a_deadlock", without_an_end_it_is_a_deadlock, CONF_DEADLOCK},
	{"block.without_memory", without_memory, 0},
	{"block.sixteen_threads_block", sixteen_threads_block,
	 CONF_FOREIGN | CONF_PARALLEL | CONF_ONCE},
	{"block.bad_arguments", bad_arguments, 0},
	{NULL, NULL, 0},
};
