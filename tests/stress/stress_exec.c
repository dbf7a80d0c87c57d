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

/* A task that is in no session cannot leave one behind for the next on its thread. */
static void *be_in_none(void *arg)
{
	struct exec_world *world = arg;
	jd_exec_session session;

	if (jd_exec_get_current_session(world->context) != 0)
		atomic_fetch_add_explicit(&world->found, 1, memory_order_relaxed);
	if (jd_exec_create_session(world->context, &session) != JD_OK ||
	    jd_exec_set_current_session(world->context, session) != JD_EPERM)
		atomic_fetch_add_explicit(&world->found, 1, memory_order_relaxed);
	return NULL;
}

static void test_no_session(void **state)
{
	const struct conf_options options = {.workers = 2};
	struct exec_world world = {.seed = seed};

	(void)state;
	assert_int_equal(backend->make(&options, &world.scheduler), JD_OK);
	assert_int_equal(jd_exec_production_new(world.scheduler, NULL, &world.context), JD_OK);
	for (int i = 0; i < 200; i++) {
		if (i % 2)
			assert_int_equal(jd_spawn_fn(world.scheduler, be_in_none, &world, NULL),
					 JD_OK);
		else
			assert_int_equal(
				jd_spawn_blocking(world.scheduler, be_in_none, &world, NULL),
				JD_OK);
	}
	assert_int_equal(jd_scheduler_drain(world.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(world.found, 0);
	assert_int_equal(jd_exec_context_destroy(world.context), JD_OK);
	assert_int_equal(jd_scheduler_destroy(world.scheduler), JD_OK);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_production),
		cmocka_unit_test(test_tracking),
		cmocka_unit_test(test_simulated),
		cmocka_unit_test(test_no_session),
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
