/* sync_locks.c - random programs on mutex, semaphore, notify and wait group. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <jackdaw/sync.h>

#include "platform/compiler.h"
#include "tests/testlib/sync_scenario.h"

static void join_all(struct sync_world *world, struct jd_task **tasks, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		SYNC_CHECK(world, sync_join(world, tasks[i], NULL) == JD_OK);
}

/* --- Mutex: an update with an await in its middle -------------------------------------------- */

struct ledger {
	struct jd_mutex mutex;
	unsigned sum;            /* L: plain, so that a race detector watches it */
	_Atomic(unsigned) taken; /* A: how often somebody had the lock */
};

struct clerk {
	struct sync_actor base;
	struct ledger *ledger;
	struct jd_mutex_lock lock;
	struct jd_task *errand;
	unsigned seen;
};

static void *unlock_elsewhere(void *mutex)
{
	jd_mutex_unlock(mutex);
	return NULL;
}

static JD_CO_FN jd_status clerk_poll(struct jd_future *future, struct jd_context *context,
				     void *result)
{
	struct clerk *self = jd_container_of(future, struct clerk, base.co.base);
	struct ledger *ledger = self->ledger;
	struct sync_world *world = self->base.world;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->base.co, context);
	for (self->base.round = 0; self->base.round < world->rounds; self->base.round++) {
		jd_mutex_lock_init(&self->lock, &ledger->mutex);
		JD_CO_AWAIT(status, sync_limited(&self->base, &self->lock.base), NULL);
		if (status == JD_ETIMEDOUT)
			continue;
		SYNC_CHECK(world, status == JD_OK);
		atomic_fetch_add_explicit(&ledger->taken, 1, memory_order_relaxed);
		self->seen = ledger->sum;
		JD_CO_AWAIT(status, sync_pause(&self->base), NULL);
		ledger->sum = self->seen + 1;
		if (sync_random(&self->base.rng, 8)) {
			jd_mutex_unlock(&ledger->mutex);
			continue;
		}
		status = jd_spawn_fn(context->scheduler, unlock_elsewhere, &ledger->mutex,
				     &self->errand);
		SYNC_CHECK(world, status == JD_OK);
		JD_CO_AWAIT_TASK(status, self->errand, NULL);
	}
	JD_CO_END(JD_OK);
}

void sync_scenario_mutex(struct sync_world *world)
{
	static const struct jd_future_ops ops = {
		.poll = clerk_poll, .drop = jd_co_drop, .size = sizeof(struct clerk)};
	struct ledger ledger = {.sum = 0};
	struct jd_task *tasks[SYNC_ACTORS_MAX];

	jd_mutex_init(&ledger.mutex);
	for (unsigned i = 0; i < world->actors; i++) {
		struct clerk clerk = {.ledger = &ledger};

		sync_actor_init(&clerk.base, world, i, &ops);
		tasks[i] = sync_spawn(world, i, &clerk.base.co.base);
	}
	join_all(world, tasks, world->actors);
	SYNC_CHECK(world, ledger.sum == atomic_load_explicit(&ledger.taken, memory_order_relaxed));
	SYNC_CHECK(world, jd_mutex_fini(&ledger.mutex) == JD_OK);
}

/* --- Semaphore: never more out than there are ------------------------------------------------ */

enum {
	PERMITS = 5
};

struct pool {
	struct jd_semaphore semaphore;
	_Atomic(unsigned) out; /* A: permits that somebody has */
};

struct bather {
	struct sync_actor base;
	struct pool *pool;
	struct jd_semaphore_acquire acquire;
	unsigned n;
};

static JD_CO_FN jd_status bather_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct bather *self = jd_container_of(future, struct bather, base.co.base);
	struct pool *pool = self->pool;
	struct sync_world *world = self->base.world;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->base.co, context);
	for (self->base.round = 0; self->base.round < world->rounds; self->base.round++) {
		self->n = (unsigned)sync_random(&self->base.rng, PERMITS + 1);
		jd_semaphore_acquire_init(&self->acquire, &pool->semaphore, self->n);
		JD_CO_AWAIT(status, sync_limited(&self->base, &self->acquire.base), NULL);
		if (status == JD_ETIMEDOUT)
			continue;
		SYNC_CHECK(world, status == JD_OK);
		unsigned before =
			atomic_fetch_add_explicit(&pool->out, self->n, memory_order_relaxed);

		SYNC_CHECK(world, before + self->n <= PERMITS);
		JD_CO_AWAIT(status, sync_pause(&self->base), NULL);
		atomic_fetch_sub_explicit(&pool->out, self->n, memory_order_relaxed);
		SYNC_CHECK(world, jd_semaphore_release(&pool->semaphore, self->n) == JD_OK);
	}
	JD_CO_END(JD_OK);
}

void sync_scenario_semaphore(struct sync_world *world)
{
	static const struct jd_future_ops ops = {
		.poll = bather_poll, .drop = jd_co_drop, .size = sizeof(struct bather)};
	struct pool pool = {.out = 0};
	struct jd_task *tasks[SYNC_ACTORS_MAX];

	SYNC_CHECK(world, jd_semaphore_init(&pool.semaphore, PERMITS) == JD_OK);
	for (unsigned i = 0; i < world->actors; i++) {
		struct bather bather = {.pool = &pool};

		sync_actor_init(&bather.base, world, i, &ops);
		tasks[i] = sync_spawn(world, i, &bather.base.co.base);
	}
	join_all(world, tasks, world->actors);
	SYNC_CHECK(world, jd_semaphore_available(&pool.semaphore) == PERMITS);
	SYNC_CHECK(world, jd_semaphore_fini(&pool.semaphore) == JD_OK);
}

/* --- Notify: a stock that is filled and emptied ---------------------------------------------- */

struct store {
	struct jd_notify changed;
	_Atomic(unsigned) stock; /* A */
	struct jd_wait_group unsold;
	_Atomic(bool) closing; /* A */
};

struct buyer {
	struct sync_actor base;
	struct store *store;
	struct jd_notify_wait wait;
};

static bool buy(struct store *store)
{
	unsigned stock = atomic_load_explicit(&store->stock, memory_order_relaxed);

	while (stock) {
		if (atomic_compare_exchange_weak_explicit(&store->stock, &stock, stock - 1,
							  memory_order_relaxed,
							  memory_order_relaxed)) {
			jd_wait_group_done(&store->unsold);
			return true;
		}
	}
	return false;
}

static JD_CO_FN jd_status buyer_poll(struct jd_future *future, struct jd_context *context,
				     void *result)
{
	struct buyer *self = jd_container_of(future, struct buyer, base.co.base);
	struct store *store = self->store;
	struct sync_world *world = self->base.world;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->base.co, context);
	for (;;) {
		jd_notify_wait_init(&self->wait, &store->changed);
		if (buy(store)) {
			JD_CO_AWAIT(status, sync_pause(&self->base), NULL);
			continue;
		}
		if (atomic_load_explicit(&store->closing, memory_order_relaxed))
			break;
		if (self->base.index % 2)
			JD_CO_AWAIT(status, &self->wait.base, NULL);
		else
			JD_CO_AWAIT(status, sync_limited(&self->base, &self->wait.base), NULL);
		SYNC_CHECK(world, status == JD_OK || status == JD_ETIMEDOUT);
		if (status == JD_ETIMEDOUT)
			break;
	}
	JD_CO_END(JD_OK);
}

static JD_CO_FN jd_status supplier_poll(struct jd_future *future, struct jd_context *context,
					void *result)
{
	struct buyer *self = jd_container_of(future, struct buyer, base.co.base);
	struct store *store = self->store;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->base.co, context);
	for (self->base.round = 0; self->base.round < self->base.world->rounds;
	     self->base.round++) {
		atomic_fetch_add_explicit(&store->stock, 1, memory_order_relaxed);
		jd_notify_one(&store->changed);
		JD_CO_AWAIT(status, sync_pause(&self->base), NULL);
	}
	JD_CO_END(JD_OK);
}

/*
 * As many suppliers as buyers. Even buyers go home when they lose patience, odd ones wait without
 * limit and never look again by themselves: a notification that is lost, perhaps with one who went
 * home just when he was told, leaves something unsold.
 */
void sync_scenario_notify(struct sync_world *world)
{
	static const struct jd_future_ops buyer_ops = {
		.poll = buyer_poll, .drop = jd_co_drop, .size = sizeof(struct buyer)};
	static const struct jd_future_ops supplier_ops = {
		.poll = supplier_poll, .drop = jd_co_drop, .size = sizeof(struct buyer)};
	struct store store = {.stock = 0};
	struct jd_wait_group_wait all_sold;
	struct jd_task *tasks[SYNC_ACTORS_MAX];
	unsigned half = world->actors / 2;

	JD_ASSERT(half >= 2);
	jd_notify_init(&store.changed);
	jd_wait_group_init(&store.unsold);
	SYNC_CHECK(world, jd_wait_group_add(&store.unsold, half * world->rounds) == JD_OK);
	for (unsigned i = 0; i < 2 * half; i++) {
		struct buyer buyer = {.store = &store};

		sync_actor_init(&buyer.base, world, i, i < half ? &buyer_ops : &supplier_ops);
		tasks[i] = sync_spawn(world, i, &buyer.base.co.base);
	}
	join_all(world, tasks + half, half);
	jd_wait_group_wait_init(&all_sold, &store.unsold);
	SYNC_CHECK(world, jd_block(world->schedulers[0], &all_sold.base, NULL) == JD_OK);
	jd_future_drop(&all_sold.base);
	atomic_store_explicit(&store.closing, true, memory_order_relaxed);
	jd_notify_all(&store.changed);
	join_all(world, tasks, half);
	SYNC_CHECK(world, atomic_load_explicit(&store.stock, memory_order_relaxed) == 0);
	SYNC_CHECK(world, jd_wait_group_fini(&store.unsold) == JD_OK);
	SYNC_CHECK(world, jd_notify_fini(&store.changed) == JD_OK);
}

/* --- Wait group: what the workers wrote is there, and the group may be freed at once --------- */

enum {
	CREW = 6
};

struct site {
	struct jd_wait_group group;
	unsigned built[CREW]; /* plain: ordered by the group */
};

struct mason {
	struct sync_actor base;
	struct site *site;
	unsigned place;
};

static JD_CO_FN jd_status mason_poll(struct jd_future *future, struct jd_context *context,
				     void *result)
{
	struct mason *self = jd_container_of(future, struct mason, base.co.base);
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->base.co, context);
	JD_CO_AWAIT(status, sync_pause(&self->base), NULL);
	self->site->built[self->place] = self->place + 1;
	jd_wait_group_done(&self->site->group);
	JD_CO_END(status);
}

static const struct jd_future_ops mason_ops = {
	.poll = mason_poll, .drop = jd_co_drop, .size = sizeof(struct mason)};

struct foreman {
	struct sync_actor base;
	struct site *site;
	struct jd_wait_group_wait wait;
};

/* Starts the crew of a new site. */
static struct site *site_new(struct sync_actor *actor)
{
	struct sync_world *world = actor->world;
	struct site *site = calloc(1, sizeof(*site));

	if (!site)
		jd_panic("TEST", "no memory", __FILE__, __LINE__);
	jd_wait_group_init(&site->group);
	SYNC_CHECK(world, jd_wait_group_add(&site->group, CREW) == JD_OK);
	for (unsigned i = 0; i < CREW; i++) {
		struct mason mason = {.site = site, .place = i};
		unsigned seed = (unsigned)sync_random(&actor->rng, 1u << 30);

		sync_actor_init(&mason.base, world, seed, &mason_ops);
		jd_task_detach(sync_spawn(world, i, &mason.base.co.base));
	}
	return site;
}

static JD_CO_FN jd_status foreman_poll(struct jd_future *future, struct jd_context *context,
				       void *result)
{
	struct foreman *self = jd_container_of(future, struct foreman, base.co.base);
	struct sync_world *world = self->base.world;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->base.co, context);
	for (self->base.round = 0; self->base.round < world->rounds; self->base.round++) {
		self->site = site_new(&self->base);
		do {
			jd_wait_group_wait_init(&self->wait, &self->site->group);
			JD_CO_AWAIT(status, sync_limited(&self->base, &self->wait.base), NULL);
		} while (status == JD_ETIMEDOUT);
		SYNC_CHECK(world, status == JD_OK);
		for (unsigned i = 0; i < CREW; i++)
			SYNC_CHECK(world, self->site->built[i] == i + 1);
		SYNC_CHECK(world, jd_wait_group_fini(&self->site->group) == JD_OK);
		free(self->site);
	}
	JD_CO_END(JD_OK);
}

void sync_scenario_wait_group(struct sync_world *world)
{
	static const struct jd_future_ops ops = {
		.poll = foreman_poll, .drop = jd_co_drop, .size = sizeof(struct foreman)};
	struct jd_task *tasks[SYNC_ACTORS_MAX];

	for (unsigned i = 0; i < world->actors; i++) {
		struct foreman foreman = {.site = NULL};

		sync_actor_init(&foreman.base, world, i, &ops);
		tasks[i] = sync_spawn(world, i, &foreman.base.co.base);
	}
	join_all(world, tasks, world->actors);
}
