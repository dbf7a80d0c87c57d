/* pipeline.c - three coroutines in a row, with bounded channels in between. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include <jackdaw/co.h>
#include <jackdaw/sync.h>
#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

/*
 * numbers -> squares -> sum. A channel holds 16 items: a stage that is too fast waits for the next
 * one. The end of the input travels down the line as the closing of the channels.
 */
enum {
	COUNT = 100 * 1000,
	CAPACITY = 16
};

struct stage {
	struct jd_co co;
	struct jd_channel *in;
	struct jd_channel *out;
	uint64_t number;
	uint64_t sum;
	struct jd_channel_send send;
	struct jd_channel_receive receive;
};

static JD_CO_FN jd_status numbers_poll(struct jd_future *future, struct jd_context *context,
				       void *result)
{
	struct stage *self = jd_container_of(future, struct stage, co.base);
	jd_status status = JD_OK;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (self->number = 1; self->number <= COUNT; self->number++) {
		jd_channel_send_init(&self->send, self->out, &self->number);
		JD_CO_AWAIT(status, &self->send.base, NULL);
		if (status != JD_OK)
			break;
	}
	jd_channel_close(self->out);
	JD_CO_END(status);
}

static JD_CO_FN jd_status squares_poll(struct jd_future *future, struct jd_context *context,
				       void *result)
{
	struct stage *self = jd_container_of(future, struct stage, co.base);
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (;;) {
		jd_channel_receive_init(&self->receive, self->in, &self->number);
		JD_CO_AWAIT(status, &self->receive.base, NULL);
		if (status != JD_OK)
			break;
		self->number *= self->number;
		jd_channel_send_init(&self->send, self->out, &self->number);
		JD_CO_AWAIT(status, &self->send.base, NULL);
		if (status != JD_OK)
			break;
	}
	jd_channel_close(self->out);
	JD_CO_END(status == JD_ECLOSED ? JD_OK : status);
}

static JD_CO_FN jd_status sum_poll(struct jd_future *future, struct jd_context *context,
				   void *result)
{
	struct stage *self = jd_container_of(future, struct stage, co.base);
	jd_status status;

	JD_CO_BEGIN(&self->co, context);
	for (;;) {
		jd_channel_receive_init(&self->receive, self->in, &self->number);
		JD_CO_AWAIT(status, &self->receive.base, NULL);
		if (status == JD_ECLOSED)
			break;
		self->sum += self->number;
	}
	*(uint64_t *)result = self->sum;
	JD_CO_END(JD_OK);
}

static const struct jd_future_ops numbers_ops = {
	.poll = numbers_poll, .drop = jd_co_drop, .size = sizeof(struct stage)};
static const struct jd_future_ops squares_ops = {
	.poll = squares_poll, .drop = jd_co_drop, .size = sizeof(struct stage)};
static const struct jd_future_ops sum_ops = {.poll = sum_poll,
					     .drop = jd_co_drop,
					     .size = sizeof(struct stage),
					     .result_size = sizeof(uint64_t)};

static jd_status run(struct jd_scheduler *scheduler, struct jd_channel channels[2], uint64_t *sum)
{
	struct stage numbers = {.out = &channels[0]};
	struct stage squares = {.in = &channels[0], .out = &channels[1]};
	struct stage last = {.in = &channels[1]};
	struct jd_task *tasks[2] = {NULL, NULL};

	jd_co_init(&numbers.co, &numbers_ops);
	jd_co_init(&squares.co, &squares_ops);
	jd_co_init(&last.co, &sum_ops);
	jd_status status = jd_spawn(scheduler, &numbers.co.base, &tasks[0]);

	if (status == JD_OK)
		status = jd_spawn(scheduler, &squares.co.base, &tasks[1]);
	else
		jd_channel_close(&channels[0]);
	if (status != JD_OK)
		jd_channel_close(&channels[1]);
	/* The last stage runs here. */
	jd_status last_status = jd_block(scheduler, &last.co.base, sum);

	jd_future_drop(&last.co.base);
	for (int i = 0; i < 2; i++) {
		jd_status joined = tasks[i] ? jd_task_join(tasks[i], NULL) : JD_OK;

		status = status == JD_OK ? joined : status;
	}
	return status == JD_OK ? last_status : status;
}

int main(void)
{
	const uint64_t expected = (uint64_t)COUNT * (COUNT + 1) * (2 * COUNT + 1) / 6;
	struct jd_scheduler *scheduler;
	struct jd_channel channels[2];
	uint64_t sum = 0;

	if (jd_ws_scheduler_new(NULL, &scheduler) != JD_OK)
		return 1;
	jd_status status = jd_channel_init(&channels[0], CAPACITY, sizeof(uint64_t), NULL, NULL);

	if (status == JD_OK)
		status = jd_channel_init(&channels[1], CAPACITY, sizeof(uint64_t), NULL, NULL);
	if (status == JD_OK)
		status = run(scheduler, channels, &sum);
	printf("%s, sum %" PRIu64 "\n", jd_status_text(status), sum);
	if (status == JD_OK &&
	    (jd_channel_fini(&channels[0]) != JD_OK || jd_channel_fini(&channels[1]) != JD_OK))
		status = JD_EBUSY;
	return status == JD_OK && sum == expected && jd_scheduler_destroy(scheduler) == JD_OK ? 0
											      : 1;
}
