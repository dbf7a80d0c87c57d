/* b_channel.c - channels: four tasks send to a fifth; two send one item to and fro. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/co.h>
#include <jackdaw/sync.h>

#include "bench/files.h"
#include "bench/run.h"
#include "bench/sizes.h"

/*
 * "channel_mpsc": an operation is an item. "pingpong_channel": an operation is a hop, as in
 * b_pingpong.c; each player has a channel of one place that it receives from.
 */
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

/* --- pingpong_channel ------------------------------------------------------------------------- */

struct rally {
	struct jd_channel channels[2]; /* player i receives from [i] */
	uint64_t last;                 /* item; of the player whose turn is the last */
};

struct player {
	struct jd_co co;
	struct jd_channel_send send;
	struct jd_channel_receive receive;
	struct rally *rally;
	int index;
	uint64_t item;
};

static void leave(struct player *self)
{
	jd_channel_close(&self->rally->channels[0]);
	jd_channel_close(&self->rally->channels[1]);
}

static JD_CO_FN jd_status player_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct player *self = jd_container_of(future, struct player, co.base);
	struct rally *rally = self->rally;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (;;) {
		jd_channel_receive_init(&self->receive, &rally->channels[self->index], &self->item);
		JD_CO_AWAIT(status, &self->receive.base, NULL);
		if (status != JD_OK)
			break;
		if (++self->item == PINGPONG_HOPS) {
			rally->last = self->item;
			break;
		}
		jd_channel_send_init(&self->send, &rally->channels[!self->index], &self->item);
		JD_CO_AWAIT(status, &self->send.base, NULL);
		if (status != JD_OK)
			break;
	}
	leave(self);
	JD_CO_END(status == JD_ECLOSED ? JD_OK : status);
}

static jd_status rally_play(struct rally *rally, struct jd_scheduler *scheduler)
{
	static const struct jd_future_ops ops = {
		.poll = player_poll, .drop = jd_co_drop, .size = sizeof(struct player)};
	struct player first = {.rally = rally, .index = 0}, second = {.rally = rally, .index = 1};
	const uint64_t serve = 0;

	jd_co_init(&first.co, &ops);
	jd_co_init(&second.co, &ops);
	jd_status status = jd_channel_try_send(&rally->channels[0], &serve);

	if (status == JD_OK)
		status = jd_spawn(scheduler, &first.co.base, NULL);
	if (status == JD_OK)
		status = jd_spawn(scheduler, &second.co.base, NULL);
	if (status != JD_OK)
		leave(&first);
	/* The task may still be on its way out of the channels when the last item has come. */
	jd_status drained = jd_scheduler_drain(scheduler, JD_NEVER);

	return status == JD_OK ? drained : status;
}

static jd_status rally_run(void *arg, struct jd_scheduler *scheduler)
{
	struct rally *rally = arg;
	jd_status status = JD_OK;
	int ready = 0;

	rally->last = 0;
	for (; ready < 2 && status == JD_OK; ready += status == JD_OK)
		status = jd_channel_init(&rally->channels[ready], 1, sizeof(uint64_t), NULL, NULL);
	if (status == JD_OK)
		status = rally_play(rally, scheduler);
	while (ready > 0)
		if (jd_channel_fini(&rally->channels[--ready]) != JD_OK && status == JD_OK)
			status = JD_EBUSY;
	return status;
}

static const char *rally_check(void *arg)
{
	return ((struct rally *)arg)->last == PINGPONG_HOPS ? NULL : "wrong number of hops";
}

void b_channel(void)
{
	static struct rally rally;
	static const struct bench_workload pingpong = {.name = "pingpong_channel",
						       .ops = PINGPONG_HOPS,
						       .runs = 4,
						       .simulate = true,
						       .data = &rally,
						       .parallel = rally_run,
						       .check = rally_check};
	static struct channel_data data;
	static const struct bench_workload workload = {.name = "channel_mpsc",
						       .ops = MPSC_ITEMS,
						       .runs = 2,
						       .simulate = true,
						       .data = &data,
						       .parallel = channel_run,
						       .check = channel_check};

	bench_workload_add(&workload);
	bench_workload_add(&pingpong);
}
