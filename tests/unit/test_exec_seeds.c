/* test_exec_seeds.c - sessions ended in every way, in both forms, under many seeds. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <jackdaw/test_scheduler.h>

#include "tests/testlib/exec_scenario.h"

#define SEEDS 10000

enum form {
	SIMULATED,
	PRODUCTION,
	TRACKING,
};

static uint64_t sessions, planted, cancelled;

static jd_status make(struct jd_scheduler *scheduler, enum form form,
		      struct jd_exec_context **context)
{
	const struct jd_exec_production_options options = {.track_tasks = form == TRACKING};

	return form == SIMULATED ? jd_exec_simulated_new(scheduler, NULL, context)
				 : jd_exec_production_new(scheduler, &options, context);
}

static int one_seed(struct jd_test_scheduler *test, void *arg)
{
	struct jd_scheduler *scheduler = jd_test_scheduler_base(test);
	struct exec_world world = {
		.scheduler = scheduler,
		.seed = jd_test_rng(test),
		.drivers = 2,
		.sessions = 4,
		.tasks = 5,
		.tracked = *(enum form *)arg == TRACKING,
	};

	if (make(scheduler, *(enum form *)arg, &world.context) != JD_OK ||
	    make(scheduler, SIMULATED, &world.other) != JD_OK)
		return 1;
	const char *error = exec_scenario_run(&world);

	if (error)
		jd_test_fail(test, error);
	/* In the simulated form this also says that every session was ended. */
	jd_test_expect(test, jd_exec_context_destroy(world.context) == JD_OK);
	jd_test_expect(test, jd_exec_context_destroy(world.other) == JD_OK);
	jd_test_expect(test, world.values == 0);
	sessions += world.sessions;
	planted += world.planted;
	cancelled += world.cancelled;
	return error != NULL;
}

static void run(enum form form, const char *name, uint64_t seeds, bool twice)
{
	const struct jd_test_options options = {.name = name,
						.spurious_polls_percent = 10,
						.check_determinism = twice,
						.max_steps = 200000};

	sessions = planted = cancelled = 0;
	assert_int_equal(jd_test_many(&options, seeds, one_seed, &form), JD_OK);
	print_message("  %s: %llu sessions, %llu planted and found, %llu cancelled\n", name,
		      (unsigned long long)sessions, (unsigned long long)planted,
		      (unsigned long long)cancelled);
}

static void test_simulated(void **state)
{
	(void)state;
	run(SIMULATED, "simulated", SEEDS, false);
}

static void test_production(void **state)
{
	(void)state;
	run(PRODUCTION, "production", SEEDS, false);
}

static void test_tracking(void **state)
{
	(void)state;
	run(TRACKING, "tracking", SEEDS, false);
}

/* The same seed is the same run. */
static void test_runs_repeat(void **state)
{
	(void)state;
	run(SIMULATED, "simulated", 100, true);
	run(TRACKING, "tracking", 100, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simulated),
		cmocka_unit_test(test_production),
		cmocka_unit_test(test_tracking),
		cmocka_unit_test(test_runs_repeat),
	};

	return cmocka_run_group_tests_name("exec seeds", tests, NULL, NULL);
}
