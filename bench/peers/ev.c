/* ev.c - libev's timers as a native contender; it has a loop on one thread and no pool. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <ev.h>
#include <stdlib.h>

#include "bench/peers/timers.h"

static ev_timer *watchers;

static void *start(unsigned workers)
{
	(void)workers;
	return ev_loop_new(EVFLAG_AUTO);
}

static void stop(void *pool)
{
	ev_loop_destroy(pool);
}

static void fired(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events;
}

static bool begin(void *pool)
{
	(void)pool;
	watchers = calloc(PEER_TIMERS, sizeof(*watchers));
	return watchers != NULL;
}

static void end(void *pool)
{
	(void)pool;
	free(watchers);
}

static void look(void *pool)
{
	ev_now_update(pool);
}

static void arm(void *pool, uint32_t i, uint32_t delay_ms)
{
	ev_timer *w = &watchers[i];

	w->active = w->pending = w->priority = 0;
	w->cb = fired;
	w->at = delay_ms * 1e-3;
	w->repeat = 0;
	ev_timer_start(pool, w);
}

static void cancel(void *pool, uint32_t i)
{
	ev_timer_stop(pool, &watchers[i]);
}

int main(int argc, char **argv)
{
	static const struct peer ev = {"ev", start, stop};
	static const struct peer_timers timers = {begin, end, look, arm, cancel};

	peer_add_timers(&ev, &timers);
	return peer_main(argc, argv);
}
