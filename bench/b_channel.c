/* b_channel.c - four tasks send through one bounded channel to a fifth. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/co.h>
#include <jackdaw/sync.h>

#include "bench/files.h"
#include "bench/run.h"
#include "bench/sizes.h"

struct channel_data {
	struct jd_channel channel;
	uint64_t sum; /* of the receiver; read when it has ended */
};

struct sender {
	struct jd_co co;
	struct jd_channel_send send;
	struct channel_data *data;
	uint64_t next;
};

struct receiver {
	struct jd_co co;
	struct jd_channel_receive receive;
	struct channel_data *data;
	uint64_t item;
};

static JD_CO_FN jd_status sender_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct sender *self = jd_container_of(future, struct sender, co.base);
	jd_status status = JD_OK;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (self->next = 0; self->next < MPSC_ITEMS / MPSC_SENDERS; self->next++) {
		jd_channel_send_init(&self->send, &self->data->channel, &self->next);
		JD_CO_AWAIT(status, &self->send.base, NULL);
		if (status != JD_OK)
			break;
	}
	jd_channel_drop_sender(&self->data->channel);
	JD_CO_END(status);
}

static JD_CO_FN jd_status receiver_poll(struct jd_future *future, struct jd_context *context,
					void *result)
{
	struct receiver *self = jd_container_of(future, struct receiver, co.base);
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (;;) {
		jd_channel_receive_init(&self->receive, &self->data->channel, &self->item);
		JD_CO_AWAIT(status, &self->receive.base, NULL);
		if (status != JD_OK)
			break;
		self->data->sum += self->item;
	}
	JD_CO_END(status == JD_ECLOSED ? JD_OK : status);
}

static jd_status channel_spawn_senders(struct channel_data *data, struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {
		.poll = sender_poll, .drop = jd_co_drop, .size = sizeof(struct sender)};
	jd_status status = JD_OK;

	for (int i = 1; i < MPSC_SENDERS; i++)
		jd_channel_add_sender(&data->channel);
	for (int i = 0; i < MPSC_SENDERS; i++) {
		struct sender sender = {.data = data};

		jd_co_init(&sender.co, &ops);
		if (status == JD_OK)
			status = jd_spawn(scheduler, &sender.co.base, NULL);
		if (status != JD_OK)
			jd_channel_drop_sender(&data->channel);
	}
	return status;
}

static jd_status channel_run(void *arg, struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {
		.poll = receiver_poll, .drop = jd_co_drop, .size = sizeof(struct receiver)};
	struct channel_data *data = arg;
	struct receiver receiver = {.data = data};
	jd_status status =
		jd_channel_init(&data->channel, MPSC_CAPACITY, sizeof(uint64_t), NULL, NULL);

	if (status != JD_OK)
		return status;
	data->sum = 0;
	status = channel_spawn_senders(data, scheduler);
	jd_co_init(&receiver.co, &ops);
	jd_status received = bench_task_run(scheduler, &receiver.co.base);

	/* A sender may still be on its way out of the channel. */
	if (jd_scheduler_drain(scheduler, JD_NEVER) == JD_OK)
		received = jd_channel_fini(&data->channel) == JD_OK ? received : JD_EBUSY;
	return status == JD_OK ? received : status;
}

static const char *channel_check(void *arg)
{
	const uint64_t each = MPSC_ITEMS / MPSC_SENDERS;

	return ((struct channel_data *)arg)->sum == MPSC_SENDERS * (each * (each - 1) / 2)
		       ? NULL
		       : "wrong sum";
}

void b_channel(void)
{
	static struct channel_data data;
	static const struct bench_workload workload = {.name = "channel_mpsc",
						       .ops = MPSC_ITEMS,
						       .runs = 2,
						       .simulate = true,
						       .data = &data,
						       .parallel = channel_run,
						       .check = channel_check};

	bench_workload_add(&workload);
}
