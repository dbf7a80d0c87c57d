/* timers.c - the timer rows of native contenders, with the sizes and the order of ours. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/peers/timers.h"

#include <stdlib.h>
#include <time.h>

#include "bench/shim/jd_bench.h"

enum {
	AHEAD_MS = 500,
	SPAN_MS = 1000,
	TIMEOUT_MS = 30 * 1000,
};

static const struct peer_timers *timers; /* a program has one contender */
static uint32_t *order, *delays;
static double insert_s, cancel_s;

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint64_t next_random(uint64_t *state)
{
	/* Marsaglia's xorshift64*. */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545F4914F6CDD1D);
}

static bool choose(void)
{
	uint64_t seed = 1;

	order = calloc(PEER_TIMERS, sizeof(*order));
	delays = calloc(PEER_TIMERS, sizeof(*delays));
	if (!order || !delays)
		return false;
	for (uint32_t i = 0; i < PEER_TIMERS; i++) {
		order[i] = i;
		delays[i] = AHEAD_MS + (uint32_t)(next_random(&seed) % SPAN_MS);
	}
	for (uint32_t i = PEER_TIMERS - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(next_random(&seed) % (i + 1)), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	return true;
}

static void one_round(void *pool)
{
	double start, armed;

	timers->look(pool);
	start = seconds();
	for (uint32_t i = 0; i < PEER_TIMERS; i++)
		timers->arm(pool, i, delays[i]);
	armed = seconds();
	for (uint32_t i = 0; i < PEER_TIMERS; i++)
		timers->cancel(pool, order[i]);
	insert_s = armed - start;
	cancel_s = seconds() - armed;
}

static const char *insert_run(void *pool)
{
	bool ready = choose() && timers->begin(pool);

	if (ready) {
		one_round(pool); /* touches fresh memory, once */
		one_round(pool);
		timers->end(pool);
	}
	free(order);
	free(delays);
	return ready ? NULL : "out of memory";
}

static void insert_report(struct jd_bench_state *state)
{
	jd_bench_add_time(state, insert_s);
}

static void cancel_report(struct jd_bench_state *state)
{
	jd_bench_add_time(state, cancel_s);
}

static const char *churn_run(void *pool)
{
	if (!timers->begin(pool))
		return "out of memory";
	timers->look(pool);
	for (uint32_t i = 0; i < PEER_TIMERS; i++) {
		timers->arm(pool, i % 64, TIMEOUT_MS);
		timers->cancel(pool, i % 64);
	}
	timers->end(pool);
	return NULL;
}

void peer_add_timers(const struct peer *peer, const struct peer_timers *of)
{
	static const struct peer_row insert = {"timer_insert", PEER_TIMERS,   1,
					       insert_run,     insert_report, NULL};
	static const struct peer_row cancel = {"timer_cancel", PEER_TIMERS,   1,
					       insert_run,     cancel_report, NULL};
	static const struct peer_row churn = {"timer_churn", PEER_TIMERS, 5, churn_run, NULL, NULL};

	timers = of;
	peer_add(peer, &insert);
	peer_add(peer, &cancel);
	peer_add(peer, &churn);
}
