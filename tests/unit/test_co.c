/* test_co.c - coroutines go on where they left off, and leave nothing when they are dropped. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <jackdaw/co.h>
#include <jackdaw/combine.h>
#include <jackdaw/timer.h>

#include "tests/testlib/crank.h"

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

/* --- The example of the header --------------------------------------------------------------- */

struct operation {
	struct jd_future base;
};

static int operation_failures;

static jd_status operation_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	(void)future;
	(void)context;
	(void)result;
	return operation_failures-- > 0 ? JD_EFAILED : JD_OK;
}

static void operation_init(struct operation *self)
{
	static const struct jd_future_ops ops = {.poll = operation_poll,
						 .size = sizeof(struct operation)};

	self->base.ops = &ops;
}

struct retry {
	struct jd_co co;
	struct jd_sleep pause;
	struct operation operation;
	int tries;
};

static JD_CO_FN jd_status retry_poll(struct jd_future *future, struct jd_context *context,
				     void *result)
{
	struct retry *self = jd_container_of(future, struct retry, co.base);
	jd_status status;

	JD_CO_BEGIN(&self->co, context);
	for (self->tries = 1; self->tries <= 3; self->tries++) {
		operation_init(&self->operation);
		JD_CO_AWAIT(status, &self->operation.base, NULL);
		if (status == JD_OK) {
			*(int *)result = self->tries;
			JD_CO_RETURN(JD_OK);
		}
		jd_sleep_init(&self->pause, 10 * JD_MS);
		JD_CO_AWAIT(status, &self->pause.base, NULL);
		if (status != JD_OK)
			JD_CO_RETURN(status);
	}
	JD_CO_END(JD_EFAILED);
}

static const struct jd_future_ops retry_ops = {
	.poll = retry_poll,
	.drop = jd_co_drop,
	.size = sizeof(struct retry),
	.result_size = sizeof(int),
};

static jd_status run_retry(struct jd_scheduler *scheduler, int failures, int *tries)
{
	struct retry retry = {0};

	operation_failures = failures;
	jd_co_init(&retry.co, &retry_ops);
	jd_status status = jd_block(scheduler, &retry.co.base, tries);
	jd_future_drop(&retry.co.base);
	return status;
}

static void test_header_example(void **state)
{
	struct crank *crank = *state;
	int tries = 0;

	assert_int_equal(run_retry(&crank->base, 0, &tries), JD_OK);
	assert_int_equal(tries, 1);
	assert_int_equal(crank->now, 0);
	assert_int_equal(run_retry(&crank->base, 2, &tries), JD_OK);
	assert_int_equal(tries, 3);
	assert_int_equal(crank->now, 20 * JD_MS);
	assert_int_equal(run_retry(&crank->base, 3, &tries), JD_EFAILED);
	assert_int_equal(crank->now, 50 * JD_MS);
}

static void test_a_coroutine_is_a_task(void **state)
{
	struct crank *crank = *state;
	struct retry retry = {0};
	struct jd_task *task;
	int tries = 0;

	operation_failures = 1;
	jd_co_init(&retry.co, &retry_ops);
	assert_int_equal(jd_spawn(&crank->base, &retry.co.base, &task), JD_OK);
	retry = (struct retry){0}; /* it was moved into the task */
	crank_run(crank);
	assert_int_equal(crank->armed, 1);
	assert_int_equal(jd_task_join(task, &tries), JD_OK);
	assert_int_equal(tries, 2);

	operation_failures = 1;
	jd_co_init(&retry.co, &retry_ops);
	assert_int_equal(jd_spawn(&crank->base, &retry.co.base, &task), JD_OK);
	crank_run(crank);
	assert_int_equal(crank->armed, 1);
	jd_task_drop(task);
	crank_run(crank);
	assert_int_equal(crank->armed, 0); /* it dropped the sleep that it awaited */
}

/* --- Control flow ---------------------------------------------------------------------------- */

/* Awaits and yields inside loops, a switch with fall through, and blocks with variables. */
struct walk {
	struct jd_co co;
	struct valve valve;
	int step, i, value;
	char log[64];
	int logged;
};

static void note(struct walk *self, char c)
{
	if (self->logged < (int)sizeof(self->log) - 1)
		self->log[self->logged++] = c;
}

static JD_CO_FN jd_status walk_poll(struct jd_future *future, struct jd_context *context,
				    void *result)
{
	struct walk *self = jd_container_of(future, struct walk, co.base);
	jd_status status;

	JD_CO_BEGIN(&self->co, context);
	for (self->step = 0; self->step < 4; self->step++) {
		switch (self->step) {
		case 0:
			note(self, 'a');
			JD_CO_YIELD();
			note(self, 'b');
			/* fall through */
		case 1: {
			char block[16] = "c";

			note(self, block[0]);
			valve_init(&self->valve, 40 + self->step);
			JD_CO_AWAIT(status, &self->valve.base, &self->value);
			/* Only assigned anew: locals are gone after an await. */
			block[1] = status == JD_OK ? 'd' : 'x';
			note(self, block[1]);
			break;
		}
		case 2:
			for (self->i = 0; self->i < 2; self->i++) {
				if (self->i == 0) {
					JD_CO_YIELD();
					continue;
				}
				note(self, 'e');
				JD_CO_YIELD();
			}
			break;
		default:
			goto out;
		}
	}
	note(self, '!');
out:
	note(self, '.');
	*(int *)result = self->value;
	JD_CO_END(JD_OK);
}

static const struct jd_future_ops walk_ops = {
	.poll = walk_poll,
	.drop = jd_co_drop,
	.size = sizeof(struct walk),
	.result_size = sizeof(int),
};

static void test_control_flow_is_the_users(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct walk walk = {0};
	int value = 0;

	jd_co_init(&walk.co, &walk_ops);
	assert_int_equal(crank_poll(crank, &walk.co.base, &tally, &value), JD_PENDING);
	assert_string_equal(walk.log, "a");
	assert_int_equal(tally.wakes, 1);
	assert_int_equal(crank_poll(crank, &walk.co.base, &tally, &value), JD_PENDING);
	assert_string_equal(walk.log, "abc");
	assert_int_equal(crank_poll(crank, &walk.co.base, &tally, &value), JD_PENDING);
	assert_int_equal(walk.valve.polls, 2); /* a spurious poll polls the child again */
	valve_open(&walk.valve, JD_OK);
	assert_int_equal(crank_poll(crank, &walk.co.base, &tally, &value), JD_PENDING);
	assert_string_equal(walk.log, "abcdc");
	assert_int_equal(walk.value, 40);
	valve_open(&walk.valve, JD_EFAILED);
	assert_int_equal(crank_poll(crank, &walk.co.base, &tally, &value), JD_PENDING);
	assert_string_equal(walk.log, "abcdcx");
	assert_int_equal(crank_poll(crank, &walk.co.base, &tally, &value), JD_PENDING);
	assert_string_equal(walk.log, "abcdcxe");
	assert_int_equal(crank_poll(crank, &walk.co.base, &tally, &value), JD_OK);
	assert_string_equal(walk.log, "abcdcxe.");
	assert_int_equal(value, 40);
	/* Beyond the contract, yet not undefined. */
	assert_int_equal(crank_poll(crank, &walk.co.base, &tally, &value), JD_EALREADY);
	jd_future_drop(&walk.co.base);
	assert_int_equal(tally.refs, 0);
}

static JD_CO_FN jd_status nothing_poll(struct jd_future *future, struct jd_context *context,
				       void *result)
{
	struct jd_co *self = jd_container_of(future, struct jd_co, base);

	(void)result;
	JD_CO_BEGIN(self, context);
	JD_CO_END(JD_EFAILED);
}

static void test_one_without_awaits(void **state)
{
	static const struct jd_future_ops ops = {.poll = nothing_poll,
						 .size = sizeof(struct jd_co)};
	struct crank *crank = *state;
	struct jd_co co;

	jd_co_init(&co, &ops);
	assert_int_equal(jd_block(&crank->base, &co.base, NULL), JD_EFAILED);
	jd_future_drop(&co.base);
}

/* --- Dropping -------------------------------------------------------------------------------- */

/* Holds memory over an await, and a future that it does not await. */
struct holder {
	struct jd_co co;
	struct valve awaited, other;
	char *memory;
	int *frees;
};

static JD_CO_FN jd_status holder_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct holder *self = jd_container_of(future, struct holder, co.base);
	jd_status status;
	int value;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	self->memory = malloc(100);
	if (!self->memory)
		JD_CO_RETURN(JD_ENOMEM);
	valve_init(&self->other, 1);
	valve_init(&self->awaited, 2);
	JD_CO_AWAIT(status, &self->awaited.base, &value);
	JD_CO_END(status);
}

static void holder_drop(struct jd_future *future)
{
	struct holder *self = jd_container_of(future, struct holder, co.base);

	jd_co_fini(&self->co);
	if (self->memory)
		jd_future_drop(&self->other.base);
	free(self->memory);
	++*self->frees;
}

static const struct jd_future_ops holder_ops = {
	.poll = holder_poll,
	.drop = holder_drop,
	.size = sizeof(struct holder),
};

static void test_dropping_one_half_way(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	int frees = 0;
	struct holder holder = {.frees = &frees};

	jd_co_init(&holder.co, &holder_ops);
	jd_future_drop(&holder.co.base); /* not begun */
	assert_int_equal(frees, 1);

	jd_co_init(&holder.co, &holder_ops);
	assert_int_equal(crank_poll(crank, &holder.co.base, &tally, NULL), JD_PENDING);
	jd_future_drop(&holder.co.base); /* half-way */
	assert_int_equal(holder.awaited.drops, 1);
	assert_int_equal(holder.other.drops, 1);
	assert_int_equal(frees, 2);

	jd_co_init(&holder.co, &holder_ops);
	assert_int_equal(crank_poll(crank, &holder.co.base, &tally, NULL), JD_PENDING);
	valve_open(&holder.awaited, JD_OK);
	assert_int_equal(crank_poll(crank, &holder.co.base, &tally, NULL), JD_OK);
	assert_int_equal(holder.awaited.drops, 1);
	jd_future_drop(&holder.co.base); /* at its end */
	assert_int_equal(holder.awaited.drops, 1);
	assert_int_equal(frees, 3);
	assert_int_equal(tally.refs, 0);
}

/* --- Tasks and coroutines as children -------------------------------------------------------- */

struct parent {
	struct jd_co co;
	struct jd_task *task;
	struct retry child;
	int first, second;
};

static JD_CO_FN jd_status parent_poll(struct jd_future *future, struct jd_context *context,
				      void *result)
{
	struct parent *self = jd_container_of(future, struct parent, co.base);
	struct retry child = {0};
	jd_status status;

	JD_CO_BEGIN(&self->co, context);
	jd_co_init(&child.co, &retry_ops);
	status = jd_spawn(context->scheduler, &child.co.base, &self->task);
	if (status != JD_OK)
		JD_CO_RETURN(status);
	JD_CO_AWAIT_TASK(status, self->task, &self->first);
	if (status != JD_OK)
		JD_CO_RETURN(status);
	jd_co_init(&self->child.co, &retry_ops);
	JD_CO_AWAIT(status, &self->child.co.base, &self->second);
	if (status != JD_OK)
		JD_CO_RETURN(status);
	*(int *)result = 10 * self->first + self->second;
	JD_CO_END(JD_OK);
}

static const struct jd_future_ops parent_ops = {
	.poll = parent_poll,
	.drop = jd_co_drop,
	.size = sizeof(struct parent),
	.result_size = sizeof(int),
};

static void test_awaiting_a_task_and_a_coroutine(void **state)
{
	struct crank *crank = *state;
	struct parent parent = {0};
	int value = 0;

	operation_failures = 2;
	jd_co_init(&parent.co, &parent_ops);
	assert_int_equal(jd_block(&crank->base, &parent.co.base, &value), JD_OK);
	assert_int_equal(value, 31); /* three tries in the task, then one */
	jd_future_drop(&parent.co.base);
	assert_int_equal(jd_scheduler_task_count(&crank->base), 0);
}

static void test_dropping_one_that_awaits_a_task(void **state)
{
	struct crank *crank = *state;
	struct tally tally = {0};
	struct parent parent = {0};
	int value;

	operation_failures = 2;
	jd_co_init(&parent.co, &parent_ops);
	assert_int_equal(crank_poll(crank, &parent.co.base, &tally, &value), JD_PENDING);
	crank_run(crank);
	assert_int_equal(crank->armed, 1);
	jd_future_drop(&parent.co.base);
	crank_run(crank);
	assert_int_equal(crank->armed, 0);
	assert_int_equal(jd_scheduler_task_count(&crank->base), 0);
	assert_int_equal(tally.refs, 0);
}

int main(void)
{
#define WITH_CRANK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_CRANK(test_header_example),
		WITH_CRANK(test_a_coroutine_is_a_task),
		WITH_CRANK(test_control_flow_is_the_users),
		WITH_CRANK(test_one_without_awaits),
		WITH_CRANK(test_dropping_one_half_way),
		WITH_CRANK(test_awaiting_a_task_and_a_coroutine),
		WITH_CRANK(test_dropping_one_that_awaits_a_task),
	};

	return cmocka_run_group_tests_name("co", tests, NULL, NULL);
}
