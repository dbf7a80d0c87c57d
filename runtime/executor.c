/* executor.c - spawning through handles, and test calls that any scheduler takes. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/executor.h>

jd_status jd_background_spawn_at(const struct jd_background_executor *executor,
				 struct jd_future *future, jd_label label, const char *site,
				 struct jd_task **task)
{
	const struct jd_task_options options = {
		.kind = JD_TASK_BACKGROUND, .label = label, .site = site};

	if (!executor)
		return JD_EINVAL;
	return jd_task_spawn(executor->scheduler, future, &options, task);
}

jd_status jd_foreground_spawn_at(const struct jd_foreground_executor *executor,
				 struct jd_future *future, jd_label label, const char *site,
				 struct jd_task **task)
{
	if (!executor)
		return JD_EINVAL;
	const struct jd_task_options options = {.kind = JD_TASK_FOREGROUND,
						.label = label,
						.session = executor->session,
						.site = site};

	return jd_task_spawn(executor->scheduler, future, &options, task);
}

jd_status jd_executor_deprioritize(struct jd_scheduler *scheduler, jd_label label)
{
	struct jd_test_scheduler *test = jd_test_scheduler_from(scheduler);

	return test ? jd_test_deprioritize(test, label) : JD_OK;
}

bool jd_executor_tick(struct jd_scheduler *scheduler)
{
	struct jd_test_scheduler *test = jd_test_scheduler_from(scheduler);

	return test && jd_test_tick(test);
}

jd_status jd_executor_run_until_parked(struct jd_scheduler *scheduler)
{
	struct jd_test_scheduler *test = jd_test_scheduler_from(scheduler);

	return test ? jd_test_run_until_parked(test) : JD_OK;
}

jd_status jd_executor_advance_clock(struct jd_scheduler *scheduler, uint64_t delay_ns)
{
	struct jd_test_scheduler *test = jd_test_scheduler_from(scheduler);

	return test ? jd_test_advance_clock(test, delay_ns) : JD_OK;
}
