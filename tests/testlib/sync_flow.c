/* sync_flow.c - random programs on channel, oneshot, timers and combinators. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <jackdaw/combine.h>
#include <jackdaw/sync.h>

#include "platform/compiler.h"
#include "tests/testlib/sync_scenario.h"

/* --- Channel: every sender's items, once, in its order --------------------------------------- */

struct sender {
	struct sync_actor base;
	struct jd_channel *channel;
	struct jd_channel_send send;
	unsigned item; /* sender * rounds + number */
};

struct receiver {
	struct sync_actor base;
	struct jd_channel *channel;
	struct jd_channel_receive receive;
	unsigned next[SYNC_ACTORS_MAX];
	unsigned item, count, stop_after;
};

/* Yields how many of its items were taken. */
static JD_CO_FN jd_status sender_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct sender *self = jd_container_of(future, struct sender, base.co.base);
	struct sync_world *world = self->base.world;
	jd_status status;

	JD_CO_BEGIN(&self->base.co, context);
	while (self->base.round < world->rounds) {
		self->item = self->base.index * world->rounds + self->base.round;
		if (sync_random(&self->base.rng, 4) == 0) {
			status = jd_channel_try_send(self->channel, &self->item);
		} else {
			jd_channel_send_init(&self->send, self->channel, &self->item);
			JD_CO_AWAIT(status, sync_limited(&self->base, &self->send.base), NULL);
		}
		/* One who loses patience may leave. Another waits behind him for that slot. */
		if (status == JD_ECLOSED ||
		    (status == JD_ETIMEDOUT && sync_random(&self->base.rng, 4) == 0))
			break;
		if (status == JD_OK)
			self->base.round++;
		else
			SYNC_CHECK(world, status == JD_ETIMEDOUT || status == JD_EWOULDBLOCK);
		JD_CO_AWAIT(status, sync_pause(&self->base), NULL);
	}
	jd_channel_drop_sender(self->channel);
	*(unsigned *)result = self->base.round;
	JD_CO_END(JD_OK);
}

/* Yields how many items it got. Closes the channel itself after so many. */
static JD_CO_FN jd_status receiver_poll(struct jd_future *future, struct jd_context *context,
					void *result)
{
	struct receiver *self = jd_container_of(future, struct receiver, base.co.base);
	struct sync_world *world = self->base.world;
	jd_status status;

	JD_CO_BEGIN(&self->base.co, context);
	for (;;) {
		if (self->count == self->stop_after)
			jd_channel_close(self->channel);
		jd_channel_receive_init(&self->receive, self->channel, &self->item);
		JD_CO_AWAIT(status, sync_limited(&self->base, &self->receive.base), NULL);
		if (status == JD_ECLOSED)
			break;
		if (status == JD_ETIMEDOUT)
			continue;
		SYNC_CHECK(world, status == JD_OK);
		SYNC_CHECK(world,
			   self->next[self->item / world->rounds]++ == self->item % world->rounds);
		self->count++;
		JD_CO_AWAIT(status, sync_pause(&self->base),
			    NULL); /* so that senders have to wait */
	}
	*(unsigned *)result = self->count;
	JD_CO_END(JD_OK);
}

static void channel_run(struct sync_world *world, size_t capacity, unsigned stop_after)
{
	static const struct jd_future_ops sender_ops = {.poll = sender_poll,
							.drop = jd_co_drop,
							.size = sizeof(struct sender),
							.result_size = sizeof(unsigned)};
	static const struct jd_future_ops receiver_ops = {.poll = receiver_poll,
							  .drop = jd_co_drop,
							  .size = sizeof(struct receiver),
							  .result_size = sizeof(unsigned)};
	struct jd_channel channel;
	struct jd_task *tasks[SYNC_ACTORS_MAX];
	struct receiver receiver = {.channel = &channel, .stop_after = stop_after};
	unsigned sent = 0, received = 0, n;

	SYNC_CHECK(world,
		   jd_channel_init(&channel, capacity, sizeof(unsigned), NULL, NULL) == JD_OK);
	for (unsigned i = 0; i + 1 < world->actors; i++) {
		struct sender sender = {.channel = &channel};

		if (i > 0)
			jd_channel_add_sender(&channel);
		sync_actor_init(&sender.base, world, i, &sender_ops);
		tasks[i] = sync_spawn(world, i, &sender.base.co.base);
	}
	sync_actor_init(&receiver.base, world, world->actors, &receiver_ops);
	struct jd_task *last = sync_spawn(world, world->actors, &receiver.base.co.base);

	for (unsigned i = 0; i + 1 < world->actors; i++) {
		SYNC_CHECK(world, sync_join(world, tasks[i], &n) == JD_OK);
		sent += n;
	}
	SYNC_CHECK(world, sync_join(world, last, &received) == JD_OK);
	SYNC_CHECK(world, sent == received);
	SYNC_CHECK(world, jd_channel_fini(&channel) == JD_OK);
}

void sync_scenario_channel(struct sync_world *world)
{
	uint64_t rng = world->seed * 2 + 1;
	unsigned all = (world->actors - 1) * world->rounds;

	channel_run(world, 1 + sync_random(&rng, 4), UINT32_MAX);
	channel_run(world, JD_CHANNEL_UNBOUNDED, UINT32_MAX);
	channel_run(world, 1 + sync_random(&rng, 4), (unsigned)sync_random(&rng, all));
}

/* --- Oneshot: a reply that either side may not wait for -------------------------------------- */

/* Shared by a client and a server, freed by the last of them. */
struct request {
	struct jd_oneshot reply;
	struct sync_world *world;
	_Atomic(unsigned) refs; /* A */
	_Atomic(int) values;    /* A: replies that exist: sent, and neither taken nor destroyed */
	unsigned slot[2];
};

static void request_unref(struct request *request)
{
	/* order: (TQ1) acq_rel - all uses come before the free; pairs with (TQ1). */
	if (atomic_fetch_sub_explicit(&request->refs, 1, memory_order_acq_rel) != 1)
		return;
	SYNC_CHECK(request->world, jd_oneshot_fini(&request->reply) == JD_OK);
	SYNC_CHECK(request->world,
		   atomic_load_explicit(&request->values, memory_order_relaxed) == 0);
	free(request);
}

/* The value's second half says whose it is. */
static void reply_drop(void *value)
{
	unsigned *slot = value;
	struct request *request =
		(struct request *)(void *)((char *)slot - offsetof(struct request, slot));

	atomic_fetch_sub_explicit(&request->values, 1, memory_order_relaxed);
}

struct server {
	struct sync_actor base;
	struct request *request;
	struct jd_oneshot_closed closed;
	struct jd_future *choices[2];
	struct jd_select first;
	struct jd_selected selected;
};

static JD_CO_FN jd_status server_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct server *self = jd_container_of(future, struct server, base.co.base);
	struct request *request = self->request;
	struct sync_world *world = self->base.world;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->base.co, context);
	/* Works until it is done, or until nobody wants it any more. */
	jd_oneshot_closed_init(&self->closed, &request->reply);
	self->choices[0] = sync_pause(&self->base);
	self->choices[1] = &self->closed.base;
	status = jd_select_init(&self->first, self->choices, 2, NULL, JD_OWN);
	SYNC_CHECK(world, status == JD_OK);
	JD_CO_AWAIT(status, &self->first.base, &self->selected);
	SYNC_CHECK(world, status == JD_OK && self->selected.status == JD_OK);
	if (self->selected.index == 1) {
		SYNC_CHECK(world, jd_oneshot_is_closed(&request->reply));
		status = jd_oneshot_send(&request->reply, (unsigned[2]){1, 2});
		SYNC_CHECK(world, status == JD_ECLOSED);
	} else if (sync_random(&self->base.rng, 4) == 0) {
		jd_oneshot_close_sender(&request->reply);
	} else {
		atomic_fetch_add_explicit(&request->values, 1, memory_order_relaxed);
		status = jd_oneshot_send(&request->reply, (unsigned[2]){1, 2});
		if (status != JD_OK)
			atomic_fetch_sub_explicit(&request->values, 1, memory_order_relaxed);
		SYNC_CHECK(world, status == JD_OK || status == JD_ECLOSED);
	}
	JD_CO_END(JD_OK);
}

static void server_drop(struct jd_future *future)
{
	struct server *self = jd_container_of(future, struct server, base.co.base);

	jd_co_fini(&self->base.co);
	request_unref(self->request);
}

struct client {
	struct sync_actor base;
	struct request *request;
	struct jd_oneshot_receive receive;
	unsigned value[2];
};

static struct request *request_new(struct sync_actor *actor)
{
	static const struct jd_future_ops ops = {
		.poll = server_poll, .drop = server_drop, .size = sizeof(struct server)};
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		jd_panic("TEST", "no memory", __FILE__, __LINE__);
	struct server server = {.request = request};
	unsigned seed = (unsigned)sync_random(&actor->rng, 1u << 30);

	request->world = actor->world;
	atomic_store_explicit(&request->refs, 2, memory_order_relaxed);
	jd_oneshot_init(&request->reply, request->slot, sizeof(request->slot), reply_drop);
	sync_actor_init(&server.base, actor->world, seed, &ops);
	jd_task_detach(sync_spawn(actor->world, seed, &server.base.co.base));
	return request;
}

static JD_CO_FN jd_status client_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct client *self = jd_container_of(future, struct client, base.co.base);
	struct sync_world *world = self->base.world;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->base.co, context);
	for (self->base.round = 0; self->base.round < world->rounds; self->base.round++) {
		self->request = request_new(&self->base);
		jd_oneshot_receive_init(&self->receive, &self->request->reply, self->value);
		JD_CO_AWAIT(status, sync_limited(&self->base, &self->receive.base), NULL);
		if (status == JD_OK) {
			SYNC_CHECK(world, self->value[0] == 1 && self->value[1] == 2);
			atomic_fetch_sub_explicit(&self->request->values, 1, memory_order_relaxed);
		}
		SYNC_CHECK(world,
			   status == JD_OK || status == JD_ECLOSED || status == JD_ETIMEDOUT);
		request_unref(self->request);
	}
	JD_CO_END(JD_OK);
}

static void spawn_and_join(struct sync_world *world, struct jd_future *future,
			   struct sync_actor *actor, const struct jd_future_ops *ops)
{
	struct jd_task *tasks[SYNC_ACTORS_MAX];

	for (unsigned i = 0; i < world->actors; i++) {
		sync_actor_init(actor, world, i, ops);
		tasks[i] = sync_spawn(world, i, future);
	}
	for (unsigned i = 0; i < world->actors; i++)
		SYNC_CHECK(world, sync_join(world, tasks[i], NULL) == JD_OK);
}

void sync_scenario_oneshot(struct sync_world *world)
{
	static const struct jd_future_ops ops = {
		.poll = client_poll, .drop = jd_co_drop, .size = sizeof(struct client)};
	struct client client = {.request = NULL};

	spawn_and_join(world, &client.base.co.base, &client.base, &ops);
	/* Servers whose clients left may still be at work. */
	for (unsigned i = 0; i < world->count; i++)
		SYNC_CHECK(world, jd_scheduler_drain(world->schedulers[i], JD_NEVER) == JD_OK);
}

/* --- Timers: never early, and dropped at any moment ------------------------------------------ */

struct sleeper {
	struct sync_actor base;
	struct jd_sleep sleep;
	uint64_t deadline;
};

static JD_CO_FN jd_status sleeper_poll(struct jd_future *future, struct jd_context *context,
				       void *result)
{
	struct sleeper *self = jd_container_of(future, struct sleeper, base.co.base);
	struct sync_world *world = self->base.world;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->base.co, context);
	for (self->base.round = 0; self->base.round < world->rounds; self->base.round++) {
		uint64_t delay = sync_random(&self->base.rng, 8) * SYNC_TICK;

		self->deadline = jd_now(context->scheduler) + delay;
		jd_sleep_init_from_now(&self->sleep, context->scheduler, delay);
		/* The two often meet: the deadline drops the sleep while it fires. */
		JD_CO_AWAIT(status, sync_limited(&self->base, &self->sleep.base), NULL);
		if (status == JD_OK)
			SYNC_CHECK(world, jd_now(context->scheduler) >= self->deadline);
		else
			SYNC_CHECK(world, status == JD_ETIMEDOUT);
	}
	JD_CO_END(JD_OK);
}

void sync_scenario_timers(struct sync_world *world)
{
	static const struct jd_future_ops ops = {
		.poll = sleeper_poll, .drop = jd_co_drop, .size = sizeof(struct sleeper)};
	struct sleeper sleeper = {.deadline = 0};

	spawn_and_join(world, &sleeper.base.co.base, &sleeper.base, &ops);
}

/* --- Combinators: tasks of both schedulers as children --------------------------------------- */

enum {
	CHILDREN = JD_JOIN_ALL_SCAN + 16
};

struct family {
	struct sync_actor base;
	struct jd_task_future children[CHILDREN];
	struct jd_future *futures[CHILDREN];
	jd_status statuses[CHILDREN];
	void *values[CHILDREN];
	void *results[CHILDREN];
	struct jd_join_all all;
	struct jd_select first;
	struct jd_selected selected;
	unsigned born;
};

static void *identity(void *arg)
{
	return arg;
}

/* Each child yields its own number. */
static void bear(struct family *self, unsigned count)
{
	struct sync_world *world = self->base.world;

	for (unsigned i = 0; i < count; i++) {
		struct jd_task *task;
		jd_status status = jd_spawn_fn(world->schedulers[i % world->count], identity,
					       (void *)(uintptr_t)i, &task);

		SYNC_CHECK(world, status == JD_OK);
		jd_task_future_init(&self->children[i], task);
		self->futures[i] = &self->children[i].base;
		self->results[i] = &self->values[i];
		self->values[i] = NULL;
	}
}

static JD_CO_FN jd_status family_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct family *self = jd_container_of(future, struct family, base.co.base);
	struct sync_world *world = self->base.world;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->base.co, context);
	for (self->base.round = 0; self->base.round < world->rounds; self->base.round++) {
		self->born = self->base.round % 2 ? CHILDREN : 5;
		bear(self, self->born);
		status = jd_join_all_init(&self->all, self->futures, self->born, self->statuses,
					  self->results, JD_OWN);
		SYNC_CHECK(world, status == JD_OK);
		JD_CO_AWAIT(status, sync_limited(&self->base, &self->all.base), NULL);
		SYNC_CHECK(world, status == JD_OK || status == JD_ETIMEDOUT);
		for (unsigned i = 0; i < self->born; i++)
			SYNC_CHECK(world, self->statuses[i] == JD_PENDING ||
						  (uintptr_t)self->values[i] == i);

		bear(self, 3);
		status = jd_select_init(&self->first, self->futures, 3, self->results, JD_OWN);
		SYNC_CHECK(world, status == JD_OK);
		JD_CO_AWAIT(status, &self->first.base, &self->selected);
		SYNC_CHECK(world, status == JD_OK && self->selected.status == JD_OK);
		status = self->values[self->selected.index] ==
					 (void *)(uintptr_t)self->selected.index
				 ? JD_OK
				 : JD_EFAILED;
		SYNC_CHECK(world, status == JD_OK);
	}
	JD_CO_END(JD_OK);
}

void sync_scenario_combinators(struct sync_world *world)
{
	static const struct jd_future_ops ops = {
		.poll = family_poll, .drop = jd_co_drop, .size = sizeof(struct family)};
	static struct family family; /* large */

	spawn_and_join(world, &family.base.co.base, &family.base, &ops);
}
