/* timekeeper.c - arming, firing and sleeping across the drivers of all workers. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/timekeeper.h"

#include <string.h>

#include "platform/platform.h"
#include "runtime/memory.h"

/* --- Life ------------------------------------------------------------------------------------ */

jd_status jd_timekeeper_init(struct jd_timekeeper *tk, const struct jd_allocator *allocator,
			     uint32_t count)
{
	uint64_t now = jd_clock_now();

	atomic_init(&tk->keeper, 0);
	tk->allocator = allocator;
	tk->count = count;
	tk->drivers = jd_memory_alloc(allocator, count * sizeof(*tk->drivers),
				      alignof(struct jd_timer_driver));
	if (!tk->drivers)
		return JD_ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		jd_timer_driver_init(&tk->drivers[i], allocator, now);
	return JD_OK;
}

void jd_timekeeper_fini(struct jd_timekeeper *tk)
{
	if (!tk->drivers)
		return;
	for (uint32_t i = 0; i < tk->count; i++)
		jd_timer_driver_fini(&tk->drivers[i]);
	jd_memory_free(tk->allocator, tk->drivers, tk->count * sizeof(*tk->drivers),
		       alignof(struct jd_timer_driver));
	tk->drivers = NULL;
}

struct jd_runnable *jd_timekeeper_close(struct jd_timekeeper *tk)
{
	for (uint32_t i = 0; i < tk->count; i++) {
		struct jd_runnable *runnable = jd_timer_driver_close(&tk->drivers[i]);

		if (runnable)
			return runnable;
	}
	return NULL;
}

/* --- Arming and cancelling ------------------------------------------------------------------- */

jd_status jd_timekeeper_arm(struct jd_timekeeper *tk, uint32_t self, struct jd_timer *timer,
			    struct jd_runnable *runnable, uint64_t time_ns, bool relative,
			    enum jd_timer_announce *announce)
{
	bool owner = self != JD_TIMEKEEPER_OUTSIDE;
	bool patient = owner && (runnable->flags & JD_RUNNABLE_INLINE);
	struct jd_timer_driver *driver =
		&tk->drivers[owner ? self : (uint32_t)(jd_thread_self() % tk->count)];
	jd_status status =
		jd_timer_driver_arm_at(driver, owner, timer, runnable, time_ns, relative, patient);

	*announce = status != JD_OK ? JD_TIMER_QUIET : patient ? JD_TIMER_SOON : JD_TIMER_NOW;
	return status;
}

void jd_timekeeper_bury(struct jd_timekeeper *tk, uint32_t self, struct jd_timer_driver *full)
{
	jd_timer_driver_bury(full, self != JD_TIMEKEEPER_OUTSIDE && full == &tk->drivers[self]);
}

/* --- Firing ---------------------------------------------------------------------------------- */

uint64_t jd_timekeeper_next(const struct jd_timekeeper *tk)
{
	uint64_t next = JD_NEVER;

	for (uint32_t i = 0; i < tk->count; i++) {
		uint64_t at = jd_timer_driver_next(&tk->drivers[i]);

		if (at < next)
			next = at;
	}
	return next;
}

void jd_timekeeper_fire(struct jd_timekeeper *tk, uint32_t self, bool idle,
			struct jd_timer_delivery *delivery)
{
	struct jd_timer_driver *mine = &tk->drivers[self];
	bool pending = jd_timer_driver_pending(mine);

	if (!pending && jd_timekeeper_next(tk) == JD_NEVER)
		return;
	uint64_t now = jd_clock_now();
	uint64_t overdue = idle ? now : now - JD_TIMER_TAKEOVER_NS;

	atomic_store_explicit(&mine->now_seen, now, memory_order_relaxed);
	if (pending || jd_timer_driver_next(mine) <= now)
		jd_timer_driver_fire(mine, true, now, delivery);
	for (uint32_t i = 0; i < tk->count; i++) {
		if (i != self && jd_timer_driver_next(&tk->drivers[i]) <= overdue)
			jd_timer_driver_fire(&tk->drivers[i], false, now, delivery);
	}
}

/* --- The post: index + 1 and deadline in one word -------------------------------------------- */

#define JD_KEEPER_UNIT_NS 2048u /* as many as an index may have values, so that both fit */

static uint64_t keeper_word(uint32_t index, uint64_t deadline_ns)
{
	return deadline_ns / JD_KEEPER_UNIT_NS * JD_KEEPER_UNIT_NS + index + 1;
}

static uint64_t keeper_deadline(uint64_t word)
{
	return word / JD_KEEPER_UNIT_NS;
}

uint32_t jd_timekeeper_post(const struct jd_timekeeper *tk)
{
	return (uint32_t)(atomic_load_explicit(&tk->keeper, memory_order_relaxed) %
			  JD_KEEPER_UNIT_NS);
}

bool jd_timekeeper_in_time(const struct jd_timekeeper *tk)
{
	uint64_t keeper = atomic_load_explicit(&tk->keeper, memory_order_relaxed);

	return keeper && keeper_deadline(keeper) <= jd_timekeeper_next(tk) / JD_KEEPER_UNIT_NS;
}

uint64_t jd_timekeeper_take_post(struct jd_timekeeper *tk, uint32_t self, uint64_t next)
{
	uint64_t seen, keeper = atomic_load_explicit(&tk->keeper, memory_order_relaxed);

	if (next == JD_NEVER)
		return JD_NEVER;
	do {
		if (keeper && keeper_deadline(keeper) <= next / JD_KEEPER_UNIT_NS)
			return JD_NEVER;
	} while (!atomic_compare_exchange_weak_explicit(
		&tk->keeper, &keeper, keeper_word(self, next), memory_order_relaxed,
		memory_order_relaxed));
	/* What was due when we looked is in the hands of another thread: it needs a moment. */
	seen = atomic_load_explicit(&tk->drivers[self].now_seen, memory_order_relaxed);
	return next > seen ? next : seen + JD_TIMER_RETRY_NS;
}

void jd_timekeeper_leave_post(struct jd_timekeeper *tk, uint32_t self, uint64_t until)
{
	uint64_t mine = atomic_load_explicit(&tk->keeper, memory_order_relaxed);

	/* Nobody else writes this index. */
	while (until != JD_NEVER && mine % JD_KEEPER_UNIT_NS == self + 1 &&
	       !atomic_compare_exchange_weak_explicit(&tk->keeper, &mine, 0, memory_order_relaxed,
						      memory_order_relaxed))
		;
}
