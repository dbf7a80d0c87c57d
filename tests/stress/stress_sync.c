/* stress_sync.c - random programs on the synchronisation objects, on real threads. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"
#include "tests/testlib/sync_scenario.h"

/* Real time for each scenario and setting; STRESS_MS in the environment replaces it. */
#define DEFAULT_MS 250

static uint64_t budget_ns(void)
{
	const char *text = getenv("STRESS_MS");
	unsigned long ms = text ? strtoul(text, NULL, 10) : 0;

	return (ms ? ms : DEFAULT_MS) * JD_MS;
}

static struct jd_scheduler *scheduler_new(unsigned workers)
{
	const struct jd_ws_options options = {.workers = workers};
	struct jd_scheduler *scheduler;

	if (jd_ws_scheduler_new(&options, &scheduler) != JD_OK)
		jd_panic("TEST", "cannot make a scheduler", __FILE__, __LINE__);
	return scheduler;
}

/* Round after round, each with its own seed, until the time is over. */
static void run(const struct sync_scenario *scenario, unsigned schedulers, unsigned workers)
{
	struct sync_world world = {.count = schedulers, .actors = 12, .rounds = 25};
	uint64_t end = jd_clock_now() + budget_ns(), rounds = 0;
	const char *error = NULL;

	for (unsigned i = 0; i < schedulers; i++)
		world.schedulers[i] = scheduler_new(workers);
	while (!error && (!rounds || jd_clock_now() < end)) {
		world.seed = rounds++;
		error = sync_scenario_run(scenario, &world);
	}
	print_message("  %-12s %u schedulers, %u workers each: %llu rounds\n", scenario->name,
		      schedulers, workers, (unsigned long long)rounds);
	if (error)
		fail_msg("%s, in round %llu", error, (unsigned long long)world.seed);
	for (unsigned i = 0; i < schedulers; i++)
		assert_int_equal(jd_scheduler_destroy(world.schedulers[i]), JD_OK);
}

static void test_one_scheduler(void **state)
{
	(void)state;
	for (const struct sync_scenario *s = sync_scenarios; s->name; s++)
		run(s, 1, 3);
}

static void test_across_two_schedulers(void **state)
{
	(void)state;
	for (const struct sync_scenario *s = sync_scenarios; s->name; s++)
		run(s, 2, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_scheduler),
		cmocka_unit_test(test_across_two_schedulers),
	};

	return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
