/* task_case.c - what every test of the task needs: a hand scheduler, a probe, five counters. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/task_case.h"

#include <stdlib.h>
#include <string.h>

int task_case_setup(void **state)
{
	struct task_case *tc = calloc(1, sizeof(*tc));

	if (!tc)
		return -1;
	count_allocator_init(&tc->memory);
	count_allocator_watch(&tc->memory, jd_task_size(sizeof(struct probe_future),
							sizeof(struct probe_result)));
	tc->hand = hand_new(&tc->memory);
	tc->scheduler = &tc->hand->base;
	tc->waker = probe_waker_get(&tc->awaiter);
	tc->context = (struct jd_context){.scheduler = tc->scheduler, .waker = &tc->waker};
	*state = tc;
	return 0;
}

static bool count_held(void *arg, const struct jd_runnable_info *info)
{
	*(unsigned *)arg += !strcmp(info->state, "scheduled") || !strcmp(info->state, "running");
	return true;
}

/*
 * Destroy waits for runnables that are in somebody's hands. A test that failed half way may have
 * left one in a variable: then leak the scheduler instead of hanging.
 */
static jd_status destroy(struct task_case *tc)
{
	struct jd_runnable *runnable;
	unsigned held = 0;

	while ((runnable = hand_pop(tc->hand)))
		jd_runnable_cancel(runnable);
	jd_scheduler_each_task(tc->scheduler, count_held, &held);
	return held ? JD_EBUSY : jd_scheduler_destroy(tc->scheduler);
}

int task_case_teardown(void **state)
{
	struct task_case *tc = *state;
	jd_status status = tc->hand ? destroy(tc) : JD_OK;
	const char *wrong = NULL;

	jd_waker_drop(&tc->waker);
	if (status != JD_OK)
		wrong = "destroy failed";
	else if (count_allocator_live(&tc->memory))
		wrong = "memory was leaked";
	else if (tc->memory.misfits)
		wrong = "memory was freed with another size";
	else if (probe_get(&tc->awaiter.refs))
		wrong = "a waker was leaked, or dropped twice";
	else if (probe_get(&tc->probe.overlaps))
		wrong = "a future was used by two at once, or after its drop";
	if (wrong)
		print_error("teardown: %s\n", wrong);
	free(tc);
	return wrong ? -1 : 0;
}

static const struct jd_task_options background = {.kind = JD_TASK_BACKGROUND, .site = "here:1"};

void task_case_new(struct task_case *tc)
{
	struct probe_future future;

	probe_future_init(&future, &tc->probe);
	assert_int_equal(
		jd_task_new(tc->scheduler, &future.base, &background, &tc->runnable, &tc->task),
		JD_OK);
}

void task_case_spawn(struct task_case *tc)
{
	struct probe_future future;

	probe_future_init(&future, &tc->probe);
	assert_int_equal(jd_task_spawn(tc->scheduler, &future.base, &background, &tc->task), JD_OK);
}

jd_status task_case_await(struct task_case *tc)
{
	struct probe_result result = {0};
	jd_status status = jd_task_poll(tc->task, &tc->context, &result);

	if (status == JD_OK && !probe_result_drop(&result))
		status = JD_ENONDET;
	tc->awaited = status;
	return status;
}
