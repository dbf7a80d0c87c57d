/* test_ws_options.c - how many workers, where, and what their threads are called. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

static void destroy(struct jd_scheduler *scheduler)
{
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* Whether the dump has that text. */
static bool dump_says(struct jd_scheduler *scheduler, const char *text)
{
	FILE *file = tmpfile();
	char line[512];
	bool found = false;

	assert_non_null(file);
	jd_dump(scheduler, file);
	rewind(file);
	while (fgets(line, sizeof(line), file))
		found = found || strstr(line, text);
	fclose(file);
	return found;
}

static jd_status make(const char *env, unsigned workers, struct jd_scheduler **scheduler)
{
	const struct jd_ws_options options = {.workers = workers};

	if (env)
		setenv("JD_WORKERS", env, 1);
	jd_status status = jd_ws_scheduler_new(&options, scheduler);

	unsetenv("JD_WORKERS");
	return status;
}

static void test_the_environment_says_how_many(void **state)
{
	struct jd_scheduler *scheduler;

	(void)state;
	assert_int_equal(make("3", 0, &scheduler), JD_OK);
	assert_int_equal(jd_num_cpus(scheduler), 3);
	assert_true(dump_says(scheduler, "3 workers by JD_WORKERS"));
	destroy(scheduler);
	assert_int_equal(make("1024", 1, &scheduler), JD_OK);
	assert_int_equal(jd_num_cpus(scheduler), 1);
	assert_true(dump_says(scheduler, "1 workers by option"));
	destroy(scheduler);
	assert_int_equal(make("", 0, &scheduler), JD_OK);
	assert_true(jd_num_cpus(scheduler) >= 2);
	assert_true(dump_says(scheduler, "workers by default"));
	destroy(scheduler);
}

static void test_a_bad_value_is_an_error(void **state)
{
	static const char *const bad[] = {"0",   "-1",  "+2",   " 2",  "2 ",
					  "two", "2.0", "1025", "0x2", "99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct jd_scheduler *scheduler = NULL;

		assert_int_equal(make(bad[i], 0, &scheduler), JD_EINVAL);
		assert_null(scheduler);
	}
}

static void *nothing(void *arg)
{
	return arg;
}

static void test_every_placement_works(void **state)
{
	static const char *const names[] = {"placement none", "placement compact",
					    "placement scatter", "placement numa"};

	(void)state;
	for (int policy = JD_PLACEMENT_NONE; policy <= JD_PLACEMENT_NUMA; policy++) {
		for (int pin = 0; pin < 2; pin++) {
			const struct jd_ws_options options = {
				.workers = 3,
				.placement = (enum jd_placement_policy)policy,
				.pin = pin,
			};
			struct jd_scheduler *scheduler;

			assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
			for (int i = 0; i < 100; i++) {
				struct jd_task *task;

				assert_int_equal(jd_spawn_fn(scheduler, nothing, NULL, &task),
						 JD_OK);
				assert_int_equal(jd_task_join(task, NULL), JD_OK);
			}
			if (pin && policy == JD_PLACEMENT_NONE)
				assert_true(dump_says(scheduler, "placement compact, by CPU"));
			else
				assert_true(dump_says(scheduler, names[policy]));
			destroy(scheduler);
		}
	}
	const struct jd_ws_options wrong = {.placement = (enum jd_placement_policy)4};
	struct jd_scheduler *scheduler;

	assert_int_equal(jd_ws_scheduler_new(&wrong, &scheduler), JD_EINVAL);
}

static void *own_name(void *arg)
{
	return pthread_getname_np(pthread_self(), arg, 16) ? NULL : arg;
}

static void test_threads_have_names(void **state)
{
	static const struct {
		const char *option, *begins;
	} cases[] = {
		{NULL, "jackdaw-"},
		{"web", "web-"},
		{"much too long for it", "much too -"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct jd_ws_options options = {.workers = 2, .name = cases[i].option};
		struct jd_scheduler *scheduler;
		struct jd_task *task;
		char name[16] = "";
		void *result;

		assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
		assert_int_equal(jd_spawn_fn(scheduler, own_name, name, &task), JD_OK);
		assert_int_equal(jd_task_join(task, &result), JD_OK);
		assert_ptr_equal(result, name);
		assert_memory_equal(name, cases[i].begins, strlen(cases[i].begins));
		assert_in_range(name[strlen(cases[i].begins)], '0', '9');
		destroy(scheduler);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_environment_says_how_many),
		cmocka_unit_test(test_a_bad_value_is_an_error),
		cmocka_unit_test(test_every_placement_works),
		cmocka_unit_test(test_threads_have_names),
	};

	return cmocka_run_group_tests_name("ws options", tests, NULL, NULL);
}
