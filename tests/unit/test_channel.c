/* test_channel.c - channels: order, back-pressure, closing, and no item lost or doubled. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/co.h>
#include <jackdaw/sync.h>

#include "tests/testlib/crank.h"
#include "tests/testlib/death.h"

static int setup(void **state)
{
	*state = crank_new();
	return 0;
}

static int teardown(void **state)
{
	crank_free(*state);
	return 0;
}

static int destroyed;

static void destroy(void *item)
{
	destroyed += *(int *)item;
}

static jd_status init(struct crank *crank, struct jd_channel *channel, size_t capacity)
{
	return jd_channel_init(channel, capacity, sizeof(int), destroy, &crank->allocator);
}

/* --- Without waiting ------------------------------------------------------------------------- */

static void test_bad_input(void **state)
{
	struct crank *crank = *state;
	struct jd_channel channel;
	unsigned memory = crank->allocated;

	assert_int_equal(jd_channel_init(NULL, 1, 1, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_channel_init(&channel, 0, 1, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_channel_init(&channel, 1, 0, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_channel_init(&channel, 1, SIZE_MAX, NULL, &crank->allocator),
			 JD_ENOMEM);
	for (unsigned n = 0; n < 4; n++) {
		crank->fail_after = n;
		assert_int_equal(init(crank, &channel, 1000), JD_ENOMEM);
		assert_int_equal(crank->allocated, memory);
	}
	crank->fail_after = UINT_MAX;
	/* The default allocator. */
	assert_int_equal(jd_channel_init(&channel, 1, 1, NULL, NULL), JD_OK);
	assert_int_equal(jd_channel_fini(&channel), JD_OK);
}

static void test_trying(void **state)
{
	struct crank *crank = *state;
	struct jd_channel channel;
	int item;

	assert_int_equal(init(crank, &channel, 2), JD_OK);
	assert_int_equal(jd_channel_try_receive(&channel, &item), JD_EWOULDBLOCK);
	assert_int_equal(jd_channel_try_send(&channel, &(int){1}), JD_OK);
	assert_int_equal(jd_channel_try_send(&channel, &(int){2}), JD_OK);
	assert_int_equal(jd_channel_try_send(&channel, &(int){3}), JD_EWOULDBLOCK);
	assert_int_equal(jd_channel_count(&channel), 2);
	assert_int_equal(jd_channel_try_receive(&channel, &item), JD_OK);
	assert_int_equal(item, 1);
	assert_false(jd_channel_is_closed(&channel));
	jd_channel_close(&channel);
	jd_channel_close(&channel);
	assert_true(jd_channel_is_closed(&channel));
	assert_int_equal(jd_channel_try_send(&channel, &(int){4}), JD_ECLOSED);
	assert_int_equal(jd_channel_try_receive(&channel, &item), JD_OK);
	assert_int_equal(item, 2);
	assert_int_equal(jd_channel_try_receive(&channel, &item), JD_ECLOSED);
	assert_int_equal(jd_channel_fini(&channel), JD_OK);
}

/* In waves, so that the chunks are at every position when they are given back. */
static void test_order_and_memory_of_a_bounded_one(void **state)
{
	struct crank *crank = *state;
	struct jd_channel channel;
	int sent = 0, received = 0, item;

	assert_int_equal(init(crank, &channel, 700), JD_OK);
	crank->fail_after = 0; /* never again */
	for (int wave = 0; wave < 40; wave++) {
		while (jd_channel_try_send(&channel, &sent) == JD_OK)
			sent++;
		assert_int_equal(sent - received, 700);
		for (int i = 0; i < 17 * wave; i++) {
			assert_int_equal(jd_channel_try_receive(&channel, &item), JD_OK);
			assert_int_equal(item, received++);
		}
	}
	destroyed = 0;
	int expected = 0;

	for (int i = received; i < sent; i++)
		expected += i;
	assert_int_equal(jd_channel_fini(&channel), JD_OK);
	assert_int_equal(destroyed, expected);
	crank->fail_after = UINT_MAX;
}

static void test_an_unbounded_one_grows_shrinks_and_can_fail(void **state)
{
	enum {
		N = 20000
	};
	struct crank *crank = *state;
	struct jd_channel channel;
	unsigned memory = crank->allocated, grown;
	int item;

	assert_int_equal(init(crank, &channel, JD_CHANNEL_UNBOUNDED), JD_OK);
	for (int i = 0; i < N; i++)
		assert_int_equal(jd_channel_try_send(&channel, &i), JD_OK);
	grown = crank->allocated - memory;
	assert_true(grown > 10);
	crank->fail_after = 0;
	int sent = N;

	while (jd_channel_try_send(&channel, &sent) == JD_OK)
		sent++;
	assert_int_equal(jd_channel_try_send(&channel, &sent), JD_ENOMEM);
	crank->fail_after = UINT_MAX;
	for (int i = 0; i < sent; i++) {
		assert_int_equal(jd_channel_try_receive(&channel, &item), JD_OK);
		assert_int_equal(item, i);
	}
	assert_true(crank->allocated - memory <= 3);
	assert_int_equal(jd_channel_fini(&channel), JD_OK);
	assert_int_equal(crank->allocated, memory);
}

static void test_items_larger_than_a_chunk(void **state)
{
	static struct {
		char bytes[5000];
	} big, out;
	struct crank *crank = *state;
	struct jd_channel channel;

	assert_int_equal(jd_channel_init(&channel, 3, sizeof(big), NULL, &crank->allocator), JD_OK);
	for (int i = 0; i < 10; i++) {
		big.bytes[0] = big.bytes[4999] = (char)i;
		assert_int_equal(jd_channel_try_send(&channel, &big), JD_OK);
		if (i < 2)
			continue;
		assert_int_equal(jd_channel_try_receive(&channel, &out), JD_OK);
		assert_int_equal(out.bytes[0], i - 2);
		assert_int_equal(out.bytes[4999], i - 2);
	}
	assert_int_equal(jd_channel_fini(&channel), JD_OK); /* items of plain data are forgotten */
}

static void test_the_last_sender_closes(void **state)
{
	struct crank *crank = *state;
	struct jd_channel channel;

	assert_int_equal(init(crank, &channel, 1), JD_OK);
	jd_channel_add_sender(&channel);
	jd_channel_drop_sender(&channel);
	assert_false(jd_channel_is_closed(&channel));
	jd_channel_drop_sender(&channel);
	assert_true(jd_channel_is_closed(&channel));
	assert_int_equal(jd_channel_fini(&channel), JD_OK);
}

static void too_many_drops(void *arg)
{
	struct jd_channel channel;

	(void)arg;
	if (jd_channel_init(&channel, 1, 1, NULL, NULL) != JD_OK)
		return;
	jd_channel_drop_sender(&channel);
	jd_channel_drop_sender(&channel);
}

static void test_more_leavers_than_senders_is_misuse(void **state)
{
	(void)state;
	assert_true(death_aborts(too_many_drops, NULL, "more senders left"));
}

/* --- Receiving ------------------------------------------------------------------------------- */

static void test_receive_waits_for_an_item(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_channel channel;
	struct jd_channel_receive receive;
	int item = 0;

	assert_int_equal(init(crank, &channel, 4), JD_OK);
	jd_channel_receive_init(&receive, &channel, &item);
	assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL), JD_PENDING);
	assert_int_equal(jd_channel_fini(&channel), JD_EBUSY);
	assert_int_equal(jd_channel_try_send(&channel, &(int){1}), JD_OK);
	assert_int_equal(jd_channel_try_send(&channel, &(int){2}), JD_OK);
	assert_int_equal(tally.wakes, 1); /* one for both: it has not looked yet */
	assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL), JD_OK);
	assert_int_equal(item, 1);
	jd_future_drop(&receive.base);
	jd_channel_receive_init(&receive, &channel, &item);
	jd_channel_close(&channel);
	assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL), JD_OK);
	assert_int_equal(item, 2);
	jd_channel_receive_init(&receive, &channel, &item);
	assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL), JD_ECLOSED);
	assert_int_equal(jd_channel_fini(&channel), JD_OK);
	jd_future_drop(&receive.base); /* after its end */
	assert_int_equal(tally.refs, 0);
}

static void test_closing_wakes_the_receiver(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_channel channel;
	struct jd_channel_receive receive;
	int item = 0;

	assert_int_equal(init(crank, &channel, JD_CHANNEL_UNBOUNDED), JD_OK);
	jd_channel_receive_init(&receive, &channel, &item);
	assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL), JD_PENDING);
	jd_channel_drop_sender(&channel);
	assert_int_equal(tally.wakes, 1);
	assert_int_equal(crank_poll(crank, &receive.base, &tally, NULL), JD_ECLOSED);
	jd_future_drop(&receive.base);
	assert_int_equal(jd_channel_fini(&channel), JD_OK);
}

static void test_a_dropped_receive_takes_nothing(void **state)
{
	struct crank *crank = *state;
	struct tally tally[2] = {{0}};
	struct jd_channel channel;
	struct jd_channel_receive first, second;
	int item = 0;

	assert_int_equal(init(crank, &channel, 4), JD_OK);
	jd_channel_receive_init(&first, &channel, &item);
	jd_channel_receive_init(&second, &channel, &item);
	assert_int_equal(crank_poll(crank, &first.base, &tally[0], NULL), JD_PENDING);
	assert_int_equal(crank_poll(crank, &second.base, &tally[1], NULL), JD_EBUSY);
	jd_future_drop(&second.base);
	assert_int_equal(jd_channel_try_send(&channel, &(int){5}), JD_OK);
	assert_int_equal(tally[0].wakes, 1);
	jd_future_drop(&first.base); /* woken, never polled */
	jd_channel_receive_init(&second, &channel, &item);
	assert_int_equal(crank_poll(crank, &second.base, &tally[1], NULL), JD_OK);
	assert_int_equal(item, 5);
	jd_future_drop(&second.base);

	jd_channel_receive_init(&first, &channel, &item);
	assert_int_equal(crank_poll(crank, &first.base, &tally[0], NULL), JD_PENDING);
	jd_future_drop(&first.base);
	assert_int_equal(tally[0].refs + tally[1].refs, 0);
	assert_int_equal(jd_channel_fini(&channel), JD_OK);
}

/* --- Sending --------------------------------------------------------------------------------- */

/* Three senders wait at a full channel of one. */
struct queue {
	struct jd_channel channel;
	struct jd_channel_send send[3];
	struct tally tally[3];
	int items[3];
};

static void queue_init(struct crank *crank, struct queue *queue)
{
	*queue = (struct queue){.items = {10, 20, 30}};
	assert_int_equal(init(crank, &queue->channel, 1), JD_OK);
	assert_int_equal(jd_channel_try_send(&queue->channel, &(int){1}), JD_OK);
	for (int i = 0; i < 3; i++) {
		jd_channel_send_init(&queue->send[i], &queue->channel, &queue->items[i]);
		assert_int_equal(crank_poll(crank, &queue->send[i].base, &queue->tally[i], NULL),
				 JD_PENDING);
	}
}

static void test_senders_wait_in_order(void **state)
{
	struct crank *crank = *state;
	struct queue q;
	int item;

	queue_init(crank, &q);
	assert_int_equal(jd_channel_fini(&q.channel), JD_EBUSY);
	assert_int_equal(jd_channel_try_receive(&q.channel, &item), JD_OK);
	assert_int_equal(item, 1);
	assert_int_equal(q.tally[0].wakes, 1);
	assert_int_equal(q.tally[1].wakes, 0);
	/* The slot is promised: nobody takes it, and nothing is there until it is used. */
	assert_int_equal(jd_channel_try_send(&q.channel, &(int){9}), JD_EWOULDBLOCK);
	assert_int_equal(crank_poll(crank, &q.send[1].base, &q.tally[1], NULL), JD_PENDING);
	assert_int_equal(jd_channel_try_receive(&q.channel, &item), JD_EWOULDBLOCK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(crank_poll(crank, &q.send[i].base, &q.tally[i], NULL), JD_OK);
		jd_future_drop(&q.send[i].base);
		assert_int_equal(jd_channel_try_receive(&q.channel, &item), JD_OK);
		assert_int_equal(item, q.items[i]);
		assert_int_equal(q.tally[i].refs, 0);
	}
	assert_int_equal(jd_channel_fini(&q.channel), JD_OK);
}

static void test_dropped_sends_leave_the_line_and_pass_the_slot_on(void **state)
{
	struct crank *crank = *state;
	struct queue q;
	int item;

	queue_init(crank, &q);
	jd_future_drop(&q.send[1].base); /* waits */
	assert_int_equal(jd_channel_try_receive(&q.channel, &item), JD_OK);
	assert_int_equal(q.tally[0].wakes, 1);
	jd_future_drop(&q.send[0].base); /* was promised the slot */
	assert_int_equal(q.tally[2].wakes, 1);
	assert_int_equal(q.tally[1].wakes, 0);
	assert_int_equal(crank_poll(crank, &q.send[2].base, &q.tally[2], NULL), JD_OK);
	assert_int_equal(jd_channel_try_receive(&q.channel, &item), JD_OK);
	assert_int_equal(item, 30); /* the others' items were never moved */
	assert_int_equal(jd_channel_try_receive(&q.channel, &item), JD_EWOULDBLOCK);
	assert_int_equal(jd_channel_fini(&q.channel), JD_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(q.tally[i].refs, 0);
}

static void test_a_slot_nobody_wants_any_more_is_free(void **state)
{
	struct crank *crank = *state;
	struct queue q;
	int item;

	queue_init(crank, &q);
	jd_future_drop(&q.send[1].base);
	jd_future_drop(&q.send[2].base);
	assert_int_equal(jd_channel_try_receive(&q.channel, &item), JD_OK);
	assert_int_equal(jd_channel_fini(&q.channel), JD_EBUSY); /* woken, neither sent nor gone */
	jd_future_drop(&q.send[0].base);
	assert_int_equal(jd_channel_try_send(&q.channel, &(int){9}), JD_OK);
	assert_int_equal(jd_channel_fini(&q.channel), JD_OK);
}

static void test_closing_ends_waiting_sends_with_their_items(void **state)
{
	struct crank *crank = *state;
	struct queue q;
	int item;

	queue_init(crank, &q);
	assert_int_equal(jd_channel_try_receive(&q.channel, &item), JD_OK);
	jd_channel_close(&q.channel); /* send[0] was promised a slot, the others wait */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(q.tally[i].wakes, 1);
		assert_int_equal(crank_poll(crank, &q.send[i].base, &q.tally[i], NULL), JD_ECLOSED);
		jd_future_drop(&q.send[i].base);
		assert_int_equal(q.tally[i].refs, 0);
	}
	assert_int_equal(jd_channel_try_receive(&q.channel, &item), JD_ECLOSED);
	jd_channel_send_init(&q.send[0], &q.channel, &q.items[0]);
	assert_int_equal(crank_poll(crank, &q.send[0].base, &q.tally[0], NULL), JD_ECLOSED);
	assert_int_equal(jd_channel_fini(&q.channel), JD_OK);
}

static void test_an_unbounded_send_ends_at_once(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct jd_channel channel;
	struct jd_channel_send send;
	int sum = 0, item = 3;

	assert_int_equal(init(crank, &channel, JD_CHANNEL_UNBOUNDED), JD_OK);
	crank->fail_after = 0;
	for (jd_status status = JD_OK; status == JD_OK; sum += item) {
		jd_channel_send_init(&send, &channel, &item);
		status = crank_poll(crank, &send.base, &tally, NULL);
		if (status != JD_OK)
			assert_int_equal(status, JD_ENOMEM);
		jd_future_drop(&send.base);
	}
	crank->fail_after = UINT_MAX;
	destroyed = 0;
	assert_int_equal(jd_channel_fini(&channel), JD_OK);
	assert_int_equal(destroyed, sum - item);
}

/* --- Tasks on both ends ---------------------------------------------------------------------- */

enum {
	SENDERS = 5,
	EACH = 100
};

struct sender {
	struct jd_co co;
	struct jd_channel *channel;
	struct jd_channel_send send;
	int id, i, item;
};

static JD_CO_FN jd_status sender_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct sender *self = jd_container_of(future, struct sender, co.base);
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	for (self->i = 0; self->i < EACH; self->i++) {
		self->item = self->id * EACH + self->i;
		jd_channel_send_init(&self->send, self->channel, &self->item);
		JD_CO_AWAIT(status, &self->send.base, NULL);
		if (status != JD_OK)
			JD_CO_RETURN(status);
	}
	jd_channel_drop_sender(self->channel);
	JD_CO_END(JD_OK);
}

struct receiver {
	struct jd_co co;
	struct jd_channel *channel;
	struct jd_channel_receive receive;
	int next[SENDERS];
	int item, count;
};

static JD_CO_FN jd_status receiver_poll(struct jd_future *future, struct jd_context *context,
					void *result)
{
	struct receiver *self = jd_container_of(future, struct receiver, co.base);
	jd_status status;

	JD_CO_BEGIN(&self->co, context);
	for (;;) {
		jd_channel_receive_init(&self->receive, self->channel, &self->item);
		JD_CO_AWAIT(status, &self->receive.base, NULL);
		if (status != JD_OK)
			break;
		if (self->next[self->item / EACH]++ != self->item % EACH)
			JD_CO_RETURN(JD_EFAILED); /* out of order, lost or doubled */
		self->count++;
	}
	*(int *)result = self->count;
	JD_CO_END(status == JD_ECLOSED ? JD_OK : status);
}

static void test_many_senders_one_receiver(void **state)
{
	static const struct jd_future_ops sender_ops = {
		.poll = sender_poll, .drop = jd_co_drop, .size = sizeof(struct sender)};
	static const struct jd_future_ops receiver_ops = {.poll = receiver_poll,
							  .drop = jd_co_drop,
							  .size = sizeof(struct receiver),
							  .result_size = sizeof(int)};
	struct crank *crank = *state;
	const size_t capacities[] = {1, 3, SENDERS * EACH, JD_CHANNEL_UNBOUNDED};

	for (size_t c = 0; c < sizeof(capacities) / sizeof(capacities[0]); c++) {
		struct jd_channel channel;
		struct receiver receiver = {.channel = &channel};
		int count = 0;

		assert_int_equal(init(crank, &channel, capacities[c]), JD_OK);
		for (int i = 0; i < SENDERS; i++) {
			struct sender sender = {.channel = &channel, .id = i};

			if (i > 0)
				jd_channel_add_sender(&channel);
			jd_co_init(&sender.co, &sender_ops);
			assert_int_equal(jd_spawn(&crank->base, &sender.co.base, NULL), JD_OK);
		}
		jd_co_init(&receiver.co, &receiver_ops);
		assert_int_equal(jd_block(&crank->base, &receiver.co.base, &count), JD_OK);
		assert_int_equal(count, SENDERS * EACH);
		jd_future_drop(&receiver.co.base);
		crank_run(crank);
		assert_int_equal(jd_channel_fini(&channel), JD_OK);
	}
}

int main(void)
{
#define WITH_CRANK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_CRANK(test_bad_input),
		WITH_CRANK(test_trying),
		WITH_CRANK(test_order_and_memory_of_a_bounded_one),
		WITH_CRANK(test_an_unbounded_one_grows_shrinks_and_can_fail),
		WITH_CRANK(test_items_larger_than_a_chunk),
		WITH_CRANK(test_the_last_sender_closes),
		cmocka_unit_test(test_more_leavers_than_senders_is_misuse),
		WITH_CRANK(test_receive_waits_for_an_item),
		WITH_CRANK(test_closing_wakes_the_receiver),
		WITH_CRANK(test_a_dropped_receive_takes_nothing),
		WITH_CRANK(test_senders_wait_in_order),
		WITH_CRANK(test_dropped_sends_leave_the_line_and_pass_the_slot_on),
		WITH_CRANK(test_a_slot_nobody_wants_any_more_is_free),
		WITH_CRANK(test_closing_ends_waiting_sends_with_their_items),
		WITH_CRANK(test_an_unbounded_send_ends_at_once),
		WITH_CRANK(test_many_senders_one_receiver),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
