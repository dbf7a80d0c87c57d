/* b_metg.c - how small the pieces of a parallel loop may be: efficiency over their size. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/metg.h"
#include "bench/run.h"
#include "platform/platform.h"

static void loop_pieces(void *metg, uint64_t begin, uint64_t end)
{
	metg_run(metg, begin, end);
}

static void loop_body(struct jd_fork_point fork, void *arg)
{
	struct metg *metg = arg;

	jd_parallel_for(fork, 0, metg->pieces, 1, loop_pieces, metg);
}

static bool loop(struct metg *metg, void *scheduler)
{
	return bench_fork_run(scheduler, loop_body, metg) == JD_OK;
}

static jd_status run(void *metg, struct jd_scheduler *scheduler)
{
	return metg_sweep(metg, jd_num_cpus(scheduler), jd_clock_now, loop, scheduler) ? JD_OK
										       : JD_EFAILED;
}

static const char *check(void *arg)
{
	return ((struct metg *)arg)->wrong ? "not every piece ran exactly once" : NULL;
}

static void report(void *metg, struct jd_bench_state *state)
{
	metg_report(metg, state);
}

void b_metg(void)
{
	static struct metg metg;
	static const struct bench_workload workload = {.name = "metg",
						       .ops = 1,
						       .runs = 1,
						       .forks = true,
						       .data = &metg,
						       .parallel = run,
						       .check = check,
						       .report = report};

	bench_workload_add(&workload);
}
