/* model_test.h - the two expectations of a model test: it is right; the seeded bug is found. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_MODEL_MODEL_TEST_H
#define JD_TESTS_MODEL_MODEL_TEST_H

/* After <cmocka.h>. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "tests/model/model.h"

static inline double model_test_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/*
 * No execution within the bounds fails; without a limit on executions, all of them were seen.
 * JD_MODEL_MORE=n widens both bounds by n; one more takes about ten times as long.
 */
static inline void model_expect_clean(const struct model_program *program,
				      const struct model_options *options)
{
	const char *more = getenv("JD_MODEL_MORE");
	const double start = model_test_seconds();
	struct model_options wider = *options;
	struct model_result result;

	wider.preemptions += more ? (unsigned)strtoul(more, NULL, 10) : 0;
	wider.stale += more ? (unsigned)strtoul(more, NULL, 10) : 0;
	model_explore(program, &wider, &result);
	print_message("  %-12s %9" PRIu64 " executions%s %6.2f s\n", program->name,
		      result.executions, result.complete ? ", all," : "      ",
		      model_test_seconds() - start);
	if (result.failed)
		fail_msg("%s: %s", program->name, result.what);
	if (!options->executions)
		assert_true(result.complete);
}

/* The mutation (or the program itself, if NULL) fails: narrow bounds first, then wider ones. */
static inline void model_expect_bug(const struct model_program *program,
				    const struct model_mutation *mutation)
{
	static const unsigned bounds[][2] = {{0, 0}, {1, 0}, {1, 1}, {2, 1}, {3, 2}};
	struct model_options options = {.executions = 300000, .mutation = mutation, .quiet = true};
	struct model_result result = {0};
	uint64_t executions = 0, hits = 0;

	for (unsigned i = 0; i < 5 && !result.failed; i++) {
		options.preemptions = bounds[i][0];
		options.stale = bounds[i][1];
		options.random = i > 0 ? 20000 : 0;
		options.seed = i;
		model_explore(program, &options, &result);
		executions += result.executions;
		hits += result.hits;
	}
	print_message("  %-28s %s: %s after %" PRIu64 "\n",
		      mutation ? mutation->name : program->name,
		      result.failed ? "found" : "NOT FOUND", result.what, executions);
	if (mutation && !hits)
		fail_msg("no access matches the mutation \"%s\"", mutation->name);
	assert_true(result.failed);
}

#endif
