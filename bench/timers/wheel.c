/* wheel.c - Jackdaw's timer wheel with its default slack. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "bench/timers/structure.h"
#include "platform/compiler.h"
#include "timers/wheel.h"

/* The tick of the runtime. */
enum {
	SHIFT = 19,
	SLACK_NS = 1 << SHIFT,
};

static struct jd_wheel wheel;
static struct jd_timer *timers;

static bool start(size_t count, uint64_t now_ns)
{
	timers = calloc(count, sizeof(*timers));
	if (!timers)
		return false;
	/* Whatever else: a scheduler reads it, so it is in no page of zeros. */
	for (size_t i = 0; i < count; i++)
		timers[i]._owner = &wheel;
	jd_wheel_init(&wheel, jd_allocator_default(), now_ns, SHIFT);
	return true;
}

static void stop(void)
{
	jd_wheel_fini(&wheel);
	free(timers);
}

static bool insert(size_t i, uint64_t deadline_ns)
{
	return jd_wheel_insert(&wheel, &timers[i], deadline_ns, SLACK_NS) == JD_OK;
}

static bool insert_all(const uint64_t *deadline_ns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!insert(i, deadline_ns[i]))
			return false;
	return true;
}

static void cancel_all(const uint32_t *order, size_t count, size_t ahead)
{
	for (size_t i = 0; i < count; i++) {
		if (ahead && i + ahead < count)
			JD_PREFETCH(&timers[order[i + ahead]]);
		jd_wheel_remove(&wheel, &timers[order[i]]);
	}
}

static bool churn(uint64_t deadline_ns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!insert(i % TIMER_CHURN, deadline_ns))
			return false;
		jd_wheel_remove(&wheel, &timers[i % TIMER_CHURN]);
	}
	return true;
}

static size_t fire(uint64_t now_ns)
{
	size_t n = 0;

	for (struct jd_timer *t; (t = jd_wheel_pop(&wheel, now_ns)) != NULL;)
		n += t->_owner == &wheel;
	return n;
}

static size_t pop(uint64_t now_ns)
{
	struct jd_timer *t = jd_wheel_pop(&wheel, now_ns);

	return t ? (size_t)(t - timers) : SIZE_MAX;
}

const struct timer_structure timer_structure_wheel = {
	.name = "wheel",
	.start = start,
	.stop = stop,
	.insert_all = insert_all,
	.cancel_all = cancel_all,
	.churn = churn,
	.fire = fire,
	.insert = insert,
	.pop = pop,
};
