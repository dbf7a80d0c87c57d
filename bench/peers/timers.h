/* timers.h - the timer rows of native contenders: arm a million, cancel them, set and cancel. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_PEERS_TIMERS_H
#define JD_BENCH_PEERS_TIMERS_H

#include "bench/peers/peer.h"

/* Timers are named by a number below PEER_TIMERS; all calls come from the loop's thread. */
enum {
	PEER_TIMERS = 1000 * 1000,
};

struct peer_timers {
	bool (*begin)(void *pool); /* memory for all of them; false: there is none */
	void (*end)(void *pool);
	void (*look)(void *pool); /* at the clock: once before each million */
	void (*arm)(void *pool, uint32_t i, uint32_t delay_ms);
	void (*cancel)(void *pool, uint32_t i);
};

/* timer_insert, timer_cancel, timer_churn: see b_timer.c. */
void peer_add_timers(const struct peer *peer, const struct peer_timers *timers);

#endif
