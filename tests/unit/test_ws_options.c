/* test_ws_options.c - how many workers, where, and what their threads are called. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include <cmocka.h>

#include <jackdaw/sync.h>
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

enum {
	NAMED = 3,
	ROUNDS = 10000,
};

/* How many threads of this process are called that. */
static unsigned threads_called(const char *name)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned n = 0;

	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char path[300], line[32] = "";

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		FILE *file = fopen(path, "r");

		if (!file)
			continue; /* "..", or a thread that has ended */
		if (fgets(line, sizeof(line), file))
			line[strcspn(line, "\n")] = '\0';
		fclose(file);
		n += strcmp(line, name) == 0;
	}
	closedir(dir);
	return n;
}

/* Until each worker's name is there once, and `blocked` threads are called as one that is not. */
static void expect_names(struct jd_scheduler *scheduler, unsigned blocked)
{
	unsigned workers = 0, others = 0;

	for (int round = 0; round < ROUNDS; round++) {
		char name[16];
		struct jd_task *task;

		workers = others = 0;
		for (unsigned i = 0; i < NAMED; i++) {
			snprintf(name, sizeof(name), "web-%u", i);
			workers += threads_called(name) == 1;
		}
		for (unsigned i = 0; i < 2 * NAMED; i++) {
			snprintf(name, sizeof(name), "web-b%u", i);
			others += threads_called(name);
		}
		if (workers == NAMED && others == blocked)
			return;
		assert_int_equal(jd_spawn_fn(scheduler, nothing, NULL, &task), JD_OK);
		assert_int_equal(jd_task_join(task, NULL), JD_OK);
	}
	fail_msg("%u of %u workers have a thread of their name, %u of %u blocked ones", workers,
		 NAMED, others, blocked);
}

static void *wait_for_all(void *arg)
{
	struct jd_wait_group *gate = ((struct jd_wait_group **)arg)[0];
	struct jd_scheduler *scheduler = ((struct jd_scheduler **)arg)[1];
	struct jd_wait_group_wait wait;

	jd_wait_group_wait_init(&wait, gate);
	jd_status status = jd_block(scheduler, &wait.base, NULL);

	jd_future_drop(&wait.base);
	return status == JD_OK ? arg : NULL;
}

/* Whichever thread drives a worker has its name; who waits in a task meanwhile has another. */
static void test_names_follow_the_workers(void **state)
{
	const struct jd_ws_options options = {.workers = NAMED, .name = "web"};
	struct jd_scheduler *scheduler;
	struct jd_wait_group gate;
	struct jd_task *tasks[NAMED];

	(void)state;
	if (access("/proc/self/task", R_OK))
		skip(); /* this system does not show the names of others */
	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	expect_names(scheduler, 0);
	jd_wait_group_init(&gate);
	assert_int_equal(jd_wait_group_add(&gate, 1), JD_OK);
	void *arg[] = {&gate, scheduler};

	for (unsigned i = 0; i < NAMED; i++)
		assert_int_equal(jd_spawn_fn(scheduler, wait_for_all, arg, &tasks[i]), JD_OK);
	expect_names(scheduler, NAMED);
	jd_wait_group_done(&gate);
	for (unsigned i = 0; i < NAMED; i++) {
		void *result;

		assert_int_equal(jd_task_join(tasks[i], &result), JD_OK);
		assert_ptr_equal(result, arg);
	}
	expect_names(scheduler, NAMED);
	destroy(scheduler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_environment_says_how_many),
		cmocka_unit_test(test_a_bad_value_is_an_error),
		cmocka_unit_test(test_every_placement_works),
		cmocka_unit_test(test_threads_have_names),
		cmocka_unit_test(test_names_follow_the_workers),
	};

	return cmocka_run_group_tests_name("ws options", tests, NULL, NULL);
}
