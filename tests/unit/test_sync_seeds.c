/* test_sync_seeds.c - random programs on the synchronisation objects, under many seeds. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <jackdaw/test_scheduler.h>

#include "tests/testlib/sync_scenario.h"

#define SEEDS 1000

static int one_seed(struct jd_test_scheduler *scheduler, void *arg)
{
	const struct sync_scenario *scenario = arg;
	struct sync_world world = {
		.schedulers = {jd_test_scheduler_base(scheduler)},
		.count = 1,
		.seed = jd_test_rng(scheduler),
		.actors = 6,
		.rounds = 6,
	};
	const char *error = sync_scenario_run(scenario, &world);

	if (error)
		jd_test_fail(scheduler, error);
	return error != NULL;
}

/* Every poll may be a spurious one, every timer late, every pair of runnables in either order. */
static void test_scenarios(void **state)
{
	(void)state;
	for (const struct sync_scenario *s = sync_scenarios; s->name; s++) {
		const struct jd_test_options options = {
			.name = s->name, .spurious_polls_percent = 20, .max_steps = 200000};

		print_message("  %s\n", s->name);
		assert_int_equal(jd_test_many(&options, SEEDS, one_seed, (void *)(uintptr_t)s),
				 JD_OK);
	}
}

/* The same seed is the same run: nothing in the objects depends on anything else. */
static void test_runs_repeat(void **state)
{
	(void)state;
	for (const struct sync_scenario *s = sync_scenarios; s->name; s++) {
		const struct jd_test_options options = {.name = s->name, .check_determinism = true};

		assert_int_equal(jd_test_many(&options, 10, one_seed, (void *)(uintptr_t)s), JD_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenarios),
		cmocka_unit_test(test_runs_repeat),
	};

	return cmocka_run_group_tests_name("sync seeds", tests, NULL, NULL);
}
