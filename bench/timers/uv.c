/* uv.c - libuv's timers: a binary heap of nodes with pointers. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <uv.h>

#include "bench/timers/structure.h"
#include "platform/compiler.h"

static uv_loop_t loop;
static uv_timer_t *timers;
static uint64_t begin_ns;
static size_t fired;

static bool start(size_t count, uint64_t now_ns)
{
	begin_ns = now_ns;
	timers = calloc(count, sizeof(*timers));
	if (!timers || uv_loop_init(&loop) != 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		uv_timer_init(&loop, &timers[i]);
		timers[i].data = &loop;
	}
	return true;
}

static void stop(void)
{
	/* The timers are not closed one by one: nothing of them is outside this memory. */
	free(timers);
}

static void on_timer(uv_timer_t *timer)
{
	fired += timer->data == &loop;
}

static bool insert_all(const uint64_t *deadline_ns, size_t count)
{
	uv_update_time(&loop);
	for (size_t i = 0; i < count; i++)
		if (uv_timer_start(&timers[i], on_timer, (deadline_ns[i] - begin_ns) / 1000000,
				   0) != 0)
			return false;
	return true;
}

static void cancel_all(const uint32_t *order, size_t count, size_t ahead)
{
	for (size_t i = 0; i < count; i++) {
		if (ahead && i + ahead < count)
			JD_PREFETCH(&timers[order[i + ahead]]);
		uv_timer_stop(&timers[order[i]]);
	}
}

static bool churn(uint64_t deadline_ns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (uv_timer_start(&timers[i % TIMER_CHURN], on_timer,
				   (deadline_ns - begin_ns) / 1000000, 0) != 0)
			return false;
		uv_timer_stop(&timers[i % TIMER_CHURN]);
	}
	return true;
}

static size_t fire(uint64_t now_ns)
{
	(void)now_ns;
	fired = 0;
	uv_run(&loop, UV_RUN_NOWAIT);
	return fired;
}

const struct timer_structure timer_structure_uv = {
	.name = "uv",
	.real_time = true,
	.start = start,
	.stop = stop,
	.insert_all = insert_all,
	.cancel_all = cancel_all,
	.churn = churn,
	.fire = fire,
};
