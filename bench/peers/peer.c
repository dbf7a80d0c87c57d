/* peer.c - makes the rows of a native contender and measures them. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/peers/peer.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/peak.h"
#include "bench/shim/jd_bench.h"
#include "bench/workers.h"

struct pair {
	const struct peer *peer;
	const struct peer_row *row;
	struct pair *next;
};

/* They live as long as the program. */
static struct pair *pairs;

/* False: the row has failed. */
static bool run_once(const struct pair *pair, void *pool, struct jd_bench_state *state)
{
	const char *wrong = pair->row->run(pool);

	if (!wrong && pair->row->check) {
		jd_bench_pause(state);
		wrong = pair->row->check();
		jd_bench_resume(state);
	}

	if (wrong)
		jd_bench_fail(state, wrong);
	return !wrong;
}

static void run(struct jd_bench_state *state, void *user)
{
	const struct pair *pair = user;
	void *pool = pair->peer->start((unsigned)jd_bench_get_arg(state, 0));
	bool right = pool && (pair->row->runs == 1 || run_once(pair, pool, state));
	int64_t n;

	if (!pool)
		jd_bench_fail(state, "it could not be started");
	while (right && (n = jd_bench_next(state)) > 0)
		for (int64_t i = 0; i < n && right; i++)
			right = run_once(pair, pool, state);
	if (right) {
		jd_bench_ns_per_op(state, pair->row->ops);
		bench_report_peak(state);
	}
	if (right && pair->row->report)
		pair->row->report(state);
	if (pool)
		pair->peer->stop(pool);
}

void peer_add(const struct peer *peer, const struct peer_row *row)
{
	struct pair *pair = malloc(sizeof(*pair));
	unsigned workers[BENCH_WORKERS_MAX];
	size_t count = bench_workers(workers);
	char name[80];

	if (!pair)
		abort();
	*pair = (struct pair){peer, row, pairs};
	pairs = pair;
	snprintf(name, sizeof(name), "%s/%s", row->workload, peer->name);
	struct jd_bench *bench = jd_bench_add(name, run, pair);

	jd_bench_iterations(bench, bench_runs(row->runs));
	if (row->report)
		jd_bench_set_clock(bench, JD_BENCH_MANUAL);
	for (size_t i = 0; i < count; i++)
		jd_bench_arg(bench, workers[i]);
}

const char *peer_loop_check(const uint32_t sums[LOOP_CHUNKS])
{
	static uint32_t right;
	uint32_t sum = 0;

	if (!right)
		right = peer_loop_piece(0, LOOP_COUNT);
	for (int i = 0; i < LOOP_CHUNKS; i++)
		sum += sums[i];
	return sum == right ? NULL : "wrong sum";
}

const char *peer_sum_check(uint64_t sum)
{
	static uint64_t right;

	if (!right)
		right = peer_sum_piece(0, LOOP_COUNT);
	return sum == right ? NULL : "wrong sum";
}

int peer_main(int argc, char **argv)
{
	return jd_bench_main(argc, argv);
}
