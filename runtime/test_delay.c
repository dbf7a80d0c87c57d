/* test_delay.c - a future that yields a random number of times. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/test_scheduler.h"

#include <jackdaw/task.h>

static jd_status delay_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_random_delay *self = jd_container_of(future, struct jd_random_delay, base);
	struct jd_test_scheduler *ts = jd_test_scheduler_from(context->scheduler);

	(void)result;
	if (self->left == JD_NEVER)
		self->left = ts ? jd_test_choice_ask(ts, JD_CHOICE_DELAY, JD_RANDOM_DELAY_MAX + 1)
				: 0;
	if (!self->left)
		return JD_OK;
	self->left--;
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

void jd_test_simulate_random_delay(struct jd_random_delay *self)
{
	static const struct jd_future_ops ops = {
		.poll = delay_poll,
		.size = sizeof(struct jd_random_delay),
	};

	*self = (struct jd_random_delay){.base = {&ops}, .left = JD_NEVER};
}

jd_status jd_test_spawn_random_delay_at(struct jd_scheduler *scheduler, const char *site,
					struct jd_task **task)
{
	struct jd_random_delay delay;

	jd_test_simulate_random_delay(&delay);
	return jd_spawn_at(scheduler, &delay.base, NULL, site, task);
}
