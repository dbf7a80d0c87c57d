/* stress_exec.c - BACKEND [SEED]: sessions of an execution context on real threads. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/backend.h"
#include "tests/conformance/count_allocator.h"
#include "tests/testlib/exec_scenario.h"

enum {
	SKIP = 77,
	SESSIONS = 10000,
	TASKS = 20,
	DRIVERS = 6,
};

static const struct conf_backend *backend;
static uint64_t seed = 1;

static const struct conf_backend *backend_find(const char *name)
{
#define CONF_BACKEND(name) &conf_backend_##name,
	static const struct conf_backend *const backends[] = {
#include "tests/conformance/backends.inc"
	};
#undef CONF_BACKEND

	for (size_t i = 0; i < sizeof(backends) / sizeof(*backends); i++) {
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	}
	return NULL;
}

/* Which session, which context, how it ends: the seed says; who meets whom, the threads. */
static void run(unsigned sessions, bool tracked, bool simulated)
{
	const struct jd_exec_production_options options = {.track_tasks = tracked};
	struct count_allocator memory;
	struct exec_world world = {
		.seed = seed,
		.drivers = DRIVERS,
		.sessions = sessions,
		.tasks = TASKS,
		.tracked = tracked,
	};

	count_allocator_init(&memory);
	const struct conf_options scheduler = {.workers = 3, .allocator = &memory.base};

	assert_int_equal(backend->make(&scheduler, &world.scheduler), JD_OK);
	if (simulated)
		assert_int_equal(jd_exec_simulated_new(world.scheduler, NULL, &world.context),
				 JD_OK);
	else
		assert_int_equal(jd_exec_production_new(world.scheduler, &options, &world.context),
				 JD_OK);
	assert_int_equal(jd_exec_production_new(world.scheduler, NULL, &world.other), JD_OK);
	const char *error = exec_scenario_run(&world);

	if (error)
		fail_msg("%s (to repeat: stress_exec %s %llu)", error, backend->name,
			 (unsigned long long)seed);
	assert_int_equal(jd_exec_context_destroy(world.context), JD_OK);
	assert_int_equal(jd_scheduler_destroy(world.scheduler), JD_OK);
	/* In either order. */
	assert_int_equal(jd_exec_context_destroy(world.other), JD_OK);
	assert_int_equal(world.values, 0);
	assert_int_equal(count_allocator_live(&memory), 0);
	assert_int_equal(memory.misfits, 0);
	print_message("  %u sessions, %llu tasks, %llu planted and found, %llu cancelled\n",
		      sessions, (unsigned long long)world.spawned,
		      (unsigned long long)world.planted, (unsigned long long)world.cancelled);
}

static void test_production(void **state)
{
	(void)state;
	run(SESSIONS, false, false);
}

static void test_tracking(void **state)
{
	(void)state;
	run(SESSIONS, true, false);
}

/* The delays are real here, so there are fewer. */
static void test_simulated(void **state)
{
	(void)state;
	run(100, false, true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_production),
		cmocka_unit_test(test_tracking),
		cmocka_unit_test(test_simulated),
	};

	backend = argc > 1 ? backend_find(argv[1]) : NULL;
	if (!backend) {
		fprintf(stderr, "usage: stress_exec BACKEND [SEED]\n");
		return 2;
	}
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	if (backend->absent && backend->absent()) {
		print_message("skipped: %s\n", backend->absent());
		return SKIP;
	}
	return cmocka_run_group_tests_name(backend->name, tests, NULL, NULL);
}
