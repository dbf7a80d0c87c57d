/* ev.c - libev's timers: a 4-ary heap of {deadline, timer}. */
/* SPDX-License-Identifier: Apache-2.0 */
#define EV_COMPAT3 0
#include <ev.h>
#include <stdlib.h>

#include "bench/timers/structure.h"
#include "platform/compiler.h"

static struct ev_loop *loop;
static ev_timer *timers;
static uint64_t begin_ns;
static size_t fired;

static void on_timer(struct ev_loop *l, ev_timer *timer, int events)
{
	(void)events;
	fired += timer->data == l;
}

static bool start(size_t count, uint64_t now_ns)
{
	begin_ns = now_ns;
	timers = calloc(count, sizeof(*timers));
	loop = ev_loop_new(EVFLAG_AUTO);
	for (size_t i = 0; timers && loop && i < count; i++) {
		ev_init(&timers[i], on_timer);
		timers[i].data = loop;
	}
	return timers && loop;
}

static void stop(void)
{
	ev_loop_destroy(loop);
	free(timers);
}

static void arm(size_t i, uint64_t deadline_ns)
{
	ev_timer_set(&timers[i], (double)((deadline_ns - begin_ns) / 1000000) * 1e-3, 0.0);
	ev_timer_start(loop, &timers[i]);
}

static bool insert_all(const uint64_t *deadline_ns, size_t count)
{
	ev_now_update(loop);
	for (size_t i = 0; i < count; i++)
		arm(i, deadline_ns[i]);
	return true;
}

static void cancel_all(const uint32_t *order, size_t count, size_t ahead)
{
	for (size_t i = 0; i < count; i++) {
		if (ahead && i + ahead < count)
			JD_PREFETCH(&timers[order[i + ahead]]);
		ev_timer_stop(loop, &timers[order[i]]);
	}
}

static bool churn(uint64_t deadline_ns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		arm(i % TIMER_CHURN, deadline_ns);
		ev_timer_stop(loop, &timers[i % TIMER_CHURN]);
	}
	return true;
}

static size_t fire(uint64_t now_ns)
{
	(void)now_ns;
	fired = 0;
	ev_run(loop, EVRUN_NOWAIT);
	return fired;
}

const struct timer_structure timer_structure_ev = {
	.name = "ev",
	.real_time = true,
	.start = start,
	.stop = stop,
	.insert_all = insert_all,
	.cancel_all = cancel_all,
	.churn = churn,
	.fire = fire,
};
