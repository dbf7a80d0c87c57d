/* sync_scenario.c - tasks that use the synchronisation objects at random, and what must hold. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/sync_scenario.h"

#include "platform/compiler.h"

/* --- The world ------------------------------------------------------------------------------- */

void sync_world_fail(struct sync_world *world, const char *what)
{
	const char *none = NULL;

	atomic_compare_exchange_strong_explicit(&world->error, &none, what, memory_order_relaxed,
						memory_order_relaxed);
}

const char *sync_scenario_run(const struct sync_scenario *scenario, struct sync_world *world)
{
	JD_ASSERT(world->actors >= 4 && world->actors <= SYNC_ACTORS_MAX && world->count <= 2);
	atomic_store_explicit(&world->error, NULL, memory_order_relaxed);
	scenario->run(world);
	return atomic_load_explicit(&world->error, memory_order_relaxed);
}

/* Marsaglia, "Xorshift RNGs", 2003. */
uint64_t sync_random(uint64_t *rng, uint64_t n)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng % n;
}

static uint64_t rng_of(const struct sync_world *world, unsigned i)
{
	uint64_t rng = (world->seed + 1) * 0x9E3779B97F4A7C15u + (i + 1) * 0xD1B54A32D192ED03u;

	for (int k = 0; k < 4; k++)
		sync_random(&rng, 1);
	return rng ? rng : 1;
}

struct jd_task *sync_spawn(struct sync_world *world, unsigned i, struct jd_future *future)
{
	struct jd_task *task;

	if (jd_spawn(world->schedulers[i % world->count], future, &task) != JD_OK)
		jd_panic("TEST", "cannot spawn", __FILE__, __LINE__);
	return task;
}

jd_status sync_join(struct sync_world *world, struct jd_task *task, void *result)
{
	jd_status status = jd_task_join(task, result);

	SYNC_CHECK(world, status != JD_EDEADLK);
	return status;
}

void sync_actor_init(struct sync_actor *self, struct sync_world *world, unsigned i,
		     const struct jd_future_ops *ops)
{
	*self = (struct sync_actor){.world = world, .rng = rng_of(world, i), .index = i};
	jd_co_init(&self->co, ops);
}

static jd_status hasty_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct sync_hasty *self = jd_container_of(future, struct sync_hasty, base);
	jd_status status = jd_future_poll(&self->sleep.base, context, NULL);

	if (status != JD_PENDING)
		return status == JD_OK ? JD_ETIMEDOUT : status;
	return jd_future_poll(self->inner, context, result);
}

static void hasty_drop(struct jd_future *future)
{
	struct sync_hasty *self = jd_container_of(future, struct sync_hasty, base);

	jd_future_drop(&self->sleep.base);
	jd_future_drop(self->inner);
}

static struct jd_future *hasty(struct sync_hasty *self, struct jd_future *inner, uint64_t delay)
{
	static const struct jd_future_ops ops = {
		.poll = hasty_poll, .drop = hasty_drop, .size = sizeof(struct sync_hasty)};

	*self = (struct sync_hasty){.base = {&ops}, .inner = inner};
	jd_sleep_init(&self->sleep, delay);
	return &self->base;
}

struct jd_future *sync_limited(struct sync_actor *self, struct jd_future *wait)
{
	uint64_t kind = sync_random(&self->rng, 8);
	uint64_t delay = sync_random(&self->rng, 8) * SYNC_TICK;

	if (kind < 3)
		return hasty(&self->hasty, wait, delay);
	if (kind == 3)
		delay = 0;
	else if (kind > 4)
		delay = JD_NEVER;
	if (jd_timeout_init(&self->limit, wait, NULL, delay, JD_OWN) != JD_OK)
		jd_panic("TEST", "no timeout", __FILE__, __LINE__);
	return &self->limit.base;
}

struct jd_future *sync_pause(struct sync_actor *self)
{
	uint64_t kind = sync_random(&self->rng, 8);

	jd_sleep_init(&self->nap, kind < 4 ? 0 : sync_random(&self->rng, 4) * SYNC_TICK);
	return &self->nap.base;
}

const struct sync_scenario sync_scenarios[] = {
	{"mutex", sync_scenario_mutex},
	{"semaphore", sync_scenario_semaphore},
	{"notify", sync_scenario_notify},
	{"wait group", sync_scenario_wait_group},
	{"channel", sync_scenario_channel},
	{"oneshot", sync_scenario_oneshot},
	{"timers", sync_scenario_timers},
	{"combinators", sync_scenario_combinators},
	{NULL, NULL},
};
