/* hello.c - the smallest program: one task on the production scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

static void *hello(void *name)
{
	printf("hello, %s\n", (const char *)name);
	return NULL;
}

int main(void)
{
	char name[] = "world";
	struct jd_scheduler *scheduler;
	struct jd_task *task;
	jd_status status = jd_ws_scheduler_new(NULL, &scheduler);

	if (status == JD_OK)
		status = jd_spawn_fn(scheduler, hello, name, &task);
	if (status == JD_OK)
		status = jd_task_join(task, NULL);
	if (status == JD_OK)
		status = jd_scheduler_destroy(scheduler);
	return status == JD_OK ? 0 : 1;
}
