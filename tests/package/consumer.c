/* consumer.c - a user's program: the library that was found runs a task on both schedulers. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jackdaw/task.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/version.h>
#include <jackdaw/ws_scheduler.h>

static void check(jd_status status, const char *what)
{
	if (status == JD_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, jd_status_text(status));
	exit(1);
}

static void *add_one(void *arg)
{
	int *number = arg;

	*number += 1;
	return number;
}

/* The same code under production and under test. */
static void use(struct jd_scheduler *scheduler)
{
	struct jd_task *task;
	void *result = NULL;
	int number = 41;

	check(jd_spawn_fn(scheduler, add_one, &number, &task), "spawn");
	check(jd_task_join(task, &result), "join");
	if (result != &number || number != 42) {
		fprintf(stderr, "the task gave another answer\n");
		exit(1);
	}
}

int main(void)
{
	struct jd_scheduler *production;
	struct jd_test_scheduler *test;

	if (strcmp(jd_version(), JD_VERSION_STRING) != 0) {
		fprintf(stderr, "headers %s, library %s\n", JD_VERSION_STRING, jd_version());
		return 1;
	}
	check(jd_ws_scheduler_new(NULL, &production), "production");
	use(production);
	jd_scheduler_destroy(production);

	check(jd_test_scheduler_new(NULL, &test), "test");
	use(jd_test_scheduler_base(test));
	check(jd_test_end(test), "end of the test");
	puts("end of program"); /* scripts/wine looks for it */
	return 0;
}
