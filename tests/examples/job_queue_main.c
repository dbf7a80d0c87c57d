/* job_queue_main.c - the job queue in production, and the same code under thousands of seeds. */
/* SPDX-License-Identifier: Apache-2.0 */

/*
 *   job_queue ws                 on the production scheduler
 *   job_queue test [--bug]       on the TestScheduler, 10,000 seeds; --bug plants a lost update
 *
 * JD_SEED and JD_ITERATIONS in the environment choose other seeds; a failing seed prints the
 * command that repeats it. Exit status: 0 when every request ended exactly once and all adds up.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jackdaw/test_scheduler.h>
#include <jackdaw/ws_scheduler.h>

#include "tests/examples/job_queue.h"

static void print_stats(const struct job_queue_stats *stats)
{
	printf("%" PRIu64 " ok, %" PRIu64 " failed, %" PRIu64 " timed out, %" PRIu64 " attempts\n",
	       stats->ledger[JOB_OK], stats->ledger[JOB_FAILED], stats->ledger[JOB_TIMED_OUT],
	       stats->attempts);
}

/* --- Production ------------------------------------------------------------------------------- */

static int run_in_production(void)
{
	const struct job_queue_config config = {.clients = 64,
						.workers = 32,
						.connections = 24,
						.requests = 5000,
						.capacity = 32,
						.seed = 1};
	struct job_queue_stats stats;
	struct jd_scheduler *scheduler;
	jd_status status = jd_ws_scheduler_new(NULL, &scheduler);

	if (status != JD_OK) {
		fprintf(stderr, "no scheduler: %s\n", jd_status_text(status));
		return 1;
	}
	status = job_queue_run(scheduler, &config, &stats);
	const char *wrong = status == JD_OK ? job_queue_check(&config, &stats)
					    : jd_status_text(status);
	jd_status ended = jd_scheduler_destroy(scheduler);

	if (!wrong && ended != JD_OK)
		wrong = jd_status_text(ended);
	if (wrong)
		fprintf(stderr, "wrong: %s\n", wrong);
	else
		print_stats(&stats);
	return wrong != NULL;
}

/* --- Test ------------------------------------------------------------------------------------- */

/* Small, so that tasks are in each other's way, and another workload for every seed. */
static int one_seed(struct jd_test_scheduler *test, void *arg)
{
	const bool *bug = arg;
	const struct job_queue_config config = {.clients = 4,
						.workers = 3,
						.connections = 2,
						.requests = 24,
						.capacity = 2,
						.seed = jd_test_rng(test),
						.lost_update = *bug};
	struct job_queue_stats stats;
	jd_status status = job_queue_run(jd_test_scheduler_base(test), &config, &stats);
	const char *wrong = status == JD_OK ? job_queue_check(&config, &stats)
					    : jd_status_text(status);

	if (wrong)
		jd_test_fail(test, wrong);
	return wrong != NULL;
}

static int run_under_seeds(const char *program, bool bug)
{
	char command[500];
	const struct jd_test_options options = {
		.seed = 1, .name = "job_queue", .command = command, .spurious_polls_percent = 5};

	snprintf(command, sizeof(command), "%s test%s", program, bug ? " --bug" : "");
	jd_status status = jd_test_many(&options, 10000, one_seed, &bug);

	printf("%s\n", status == JD_OK ? "all seeds are right" : jd_status_text(status));
	return status != JD_OK;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "ws") == 0)
		return run_in_production();
	if (argc == 2 && strcmp(argv[1], "test") == 0)
		return run_under_seeds(argv[0], false);
	if (argc == 3 && strcmp(argv[1], "test") == 0 && strcmp(argv[2], "--bug") == 0)
		return run_under_seeds(argv[0], true);
	fprintf(stderr, "usage: %s ws | test [--bug]\n", argv[0]);
	return 2;
}
