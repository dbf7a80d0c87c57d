/* task.c - conformance: tasks end once, with what they said; cancel, detach, identity. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"

/* --- Ending ---------------------------------------------------------------------------------- */

static void join_yields_status_and_result(struct conf *c)
{
	static const jd_status ends[] = {JD_OK, JD_EFAILED, JD_ECANCELED, JD_EDEADLK, JD_ENOMEM};
	struct conf_node *nodes = conf_nodes(c, 100);
	struct jd_task *tasks[100] = {NULL};

	for (unsigned i = 0; i < 100; i++) {
		nodes[i].end = ends[i % 5];
		conf_node_set(&nodes[i]);
		conf_node_spawn(&nodes[i], &tasks[i]);
	}
	for (unsigned i = 0; i < 100; i++) {
		JOIN(&nodes[i], tasks[i], ends[i % 5]);
		CHECK_ENDED(&nodes[i], i % 5 == 0);
	}
}

static void *add_one(void *arg)
{
	return (char *)arg + 1;
}

static void functions(struct conf *c)
{
	char base[100];
	struct jd_task *tasks[100] = {NULL};

	for (unsigned i = 0; i < 100; i++)
		CHECK_STATUS(c, jd_spawn_fn(c->scheduler, add_one, &base[i], &tasks[i]), JD_OK);
	for (unsigned i = 0; i < 100; i++) {
		void *result = NULL;

		CHECK_STATUS(c, jd_task_join(tasks[i], &result), JD_OK);
		CHECK(c, result == &base[i] + 1);
	}
}

static void detached_tasks_go_on(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 200);
	struct jd_task *task;

	for (unsigned i = 0; i < 200; i++) {
		nodes[i].dropped = latch;
		if (i % 4)
			conf_node_set(&nodes[i]);
		if (i % 2) {
			conf_node_spawn(&nodes[i], NULL);
		} else if (conf_node_spawn(&nodes[i], &task)) {
			jd_task_detach(task);
		}
		/* Now a waker is all there is; or, if it was not polled yet, a runnable. */
		if (i % 4 == 0)
			conf_node_set(&nodes[i]);
	}
	WAIT(latch, 200);
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), 0);
	conf_latch_close(latch);
}

/* --- Waking ---------------------------------------------------------------------------------- */

static void a_wake_polls_again(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 100);
	struct jd_task *tasks[100] = {NULL};

	for (unsigned i = 0; i < 100; i++) {
		nodes[i].polled = latch;
		conf_node_spawn(&nodes[i], &tasks[i]);
	}
	WAIT(latch, 100);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_EQUAL(c, conf_get(&nodes[i].polls), 1);
		conf_node_set(&nodes[i]);
	}
	for (unsigned i = 0; i < 100; i++) {
		JOIN(&nodes[i], tasks[i], JD_OK);
		CHECK_EQUAL(c, conf_get(&nodes[i].polls), 2);
		CHECK_ENDED(&nodes[i], 1);
	}
	conf_latch_close(latch);
}

static jd_status wake_some(struct conf_node *node, struct jd_context *context)
{
	/* More than one wake during a poll is one more poll. */
	if (conf_get(&node->polls) == 20)
		return JD_OK;
	jd_waker_wake_ref(context->waker);
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

static void a_wake_during_the_poll_polls_again(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 50);
	struct jd_task *tasks[50] = {NULL};

	for (unsigned i = 0; i < 50; i++) {
		nodes[i].poll = wake_some;
		conf_node_spawn(&nodes[i], &tasks[i]);
	}
	for (unsigned i = 0; i < 50; i++) {
		JOIN(&nodes[i], tasks[i], JD_OK);
		CHECK_EQUAL(c, conf_get(&nodes[i].polls), 20);
		CHECK_ENDED(&nodes[i], 1);
	}
}

static void wakes_after_the_end_do_nothing(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *node = conf_node_new(c);
	struct jd_task *task;

	node->polled = latch;
	if (!conf_node_spawn(node, &task))
		return;
	WAIT(latch, 1);
	struct jd_waker waker = conf_node_waker(node), clone = jd_waker_clone(&waker);

	conf_node_set(node);
	JOIN(node, task, JD_OK);
	jd_waker_wake_ref(&waker);
	jd_waker_wake(&clone);
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	jd_waker_wake(&waker);
	CHECK_EQUAL(c, conf_get(&node->polls), 2);
	CHECK_ENDED(node, 1);
	conf_latch_close(latch);
}

static jd_status rotate(struct conf_node *node, struct jd_context *context)
{
	struct conf_node *next = node->arg;

	pthread_mutex_lock(&node->lock);
	struct jd_waker old = node->waker;

	node->waker = jd_waker_clone(context->waker);
	pthread_mutex_unlock(&node->lock);
	jd_waker_drop(&old);
	if (next) {
		struct jd_waker waker = conf_node_waker(next);

		jd_waker_wake(&waker);
	}
	if (conf_get(&node->polls) >= 50)
		return JD_OK;
	/* A second reason to come back, or the ring could stop when one of them ends. */
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

/* Each wakes its neighbour out of its own poll. */
static void tasks_wake_each_other(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 20);
	struct jd_task *tasks[20] = {NULL};

	for (unsigned i = 0; i < 20; i++) {
		nodes[i].poll = rotate;
		nodes[i].arg = &nodes[(i + 1) % 20];
	}
	for (unsigned i = 0; i < 20; i++)
		conf_node_spawn(&nodes[i], &tasks[i]);
	for (unsigned i = 0; i < 20; i++) {
		JOIN(&nodes[i], tasks[i], JD_OK);
		CHECK_ENDED(&nodes[i], 1);
	}
}

struct waker_thread {
	struct gate_thread thread;
	struct conf_node *nodes;
	unsigned first;
};

static void waker_main(void *arg)
{
	struct waker_thread *w = arg;

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = w->first; i < 100; i += 4) {
			struct jd_waker waker = conf_node_waker(&w->nodes[i]);

			jd_waker_wake(&waker);
		}
	}
	for (unsigned i = w->first; i < 100; i += 4)
		conf_node_set(&w->nodes[i]);
}

static void woken_by_other_threads(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 100);
	struct waker_thread *threads = conf_array(c, struct waker_thread, 4);
	struct jd_task *tasks[100] = {NULL};

	for (unsigned i = 0; i < 100; i++)
		conf_node_spawn(&nodes[i], &tasks[i]);
	for (unsigned i = 0; i < 4; i++) {
		threads[i].nodes = nodes;
		threads[i].first = i;
		gate_thread_start(&threads[i].thread, waker_main, &threads[i]);
	}
	for (unsigned i = 0; i < 100; i++) {
		JOIN(&nodes[i], tasks[i], JD_OK);
		CHECK_ENDED(&nodes[i], 1);
	}
	for (unsigned i = 0; i < 4; i++)
		gate_thread_join(&threads[i].thread);
}

/* --- Cancelling ------------------------------------------------------------------------------ */

static void cancelled_while_waiting(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 500);
	struct jd_task *tasks[500] = {NULL};

	for (unsigned i = 0; i < 500; i++) {
		nodes[i].polled = latch;
		conf_node_spawn(&nodes[i], &tasks[i]);
	}
	WAIT(latch, 500);
	for (unsigned i = 0; i < 500; i++) {
		CHECK_STATUS(c, jd_task_cancel(tasks[i]), JD_OK);
		CHECK_STATUS(c, jd_task_cancel(tasks[i]), JD_EALREADY);
		CHECK(c, jd_task_is_finished(tasks[i]));
	}
	for (unsigned i = 0; i < 500; i++) {
		JOIN(&nodes[i], tasks[i], JD_ECANCELED);
		CHECK_EQUAL(c, conf_get(&nodes[i].polls), 1);
		CHECK_ENDED(&nodes[i], 0);
	}
	conf_latch_close(latch);
}

/* At once after the spawn: some were polled, some not; each says what happened to it. */
static void cancelled_at_once(struct conf *c)
{
	struct conf_node *nodes = conf_nodes(c, 500);
	struct jd_task *tasks[500] = {NULL};
	jd_status cancels[500];

	for (unsigned i = 0; i < 500; i++) {
		conf_node_set(&nodes[i]);
		conf_node_spawn(&nodes[i], &tasks[i]);
		cancels[i] = jd_task_cancel(tasks[i]);
	}
	for (unsigned i = 0; i < 500; i++) {
		bool cancelled = cancels[i] == JD_OK;

		CHECK(c, cancelled || cancels[i] == JD_EALREADY);
		JOIN(&nodes[i], tasks[i], cancelled ? JD_ECANCELED : JD_OK);
		/* A poll that finished it after the cancel: then the result was destroyed. */
		CHECK_ENDED(&nodes[i], conf_get(&nodes[i].polls));
	}
}

static void dropped_handles(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 500);
	struct jd_task *task;

	for (unsigned i = 0; i < 500; i++) {
		nodes[i].dropped = latch;
		if (i % 3 == 0)
			conf_node_set(&nodes[i]);
		if (conf_node_spawn(&nodes[i], &task))
			jd_task_drop(task);
	}
	WAIT(latch, 500);
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	for (unsigned i = 0; i < 500; i++)
		CHECK_ENDED(&nodes[i], i % 3 == 0 && conf_get(&nodes[i].polls));
	conf_latch_close(latch);
}

/* Nobody can wake it, nobody owns it: its scheduler drops it. */
static void the_last_waker_goes(struct conf *c)
{
	struct conf_latch *polled = conf_latch_new(c), *dropped = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 100);

	for (unsigned i = 0; i < 100; i++) {
		nodes[i].polled = polled;
		nodes[i].dropped = dropped;
		conf_node_spawn(&nodes[i], NULL);
	}
	WAIT(polled, 100);
	for (unsigned i = 0; i < 100; i++) {
		pthread_mutex_lock(&nodes[i].lock);
		struct jd_waker waker = nodes[i].waker;

		nodes[i].waker = (struct jd_waker){0};
		pthread_mutex_unlock(&nodes[i].lock);
		jd_waker_drop(&waker);
	}
	WAIT(dropped, 100);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_EQUAL(c, conf_get(&nodes[i].polls), 1);
		CHECK_ENDED(&nodes[i], 0);
	}
	conf_latch_close(polled);
	conf_latch_close(dropped);
}

/* --- Awaiting each other --------------------------------------------------------------------- */

struct chain {
	struct jd_task *awaited;
	struct conf_node *of;
};

static jd_status await_arg(struct conf_node *node, struct jd_context *context)
{
	struct chain *chain = node->arg;
	struct conf_value value = {0};
	jd_status status = jd_task_poll(chain->awaited, context, &value);

	if (status == JD_OK) {
		CHECK(node->c, value.node == chain->of);
		conf_add(&chain->of->result_drops);
		CHECK_STATUS(node->c, jd_task_poll(chain->awaited, context, &value), JD_ECONSUMED);
	}
	return status;
}

static void drop_awaited(struct conf_node *node)
{
	struct chain *chain = node->arg;

	jd_task_drop(chain->awaited);
}

/* A hundred tasks, each awaits the one before it; the first is an event. */
static void run_chain(struct conf *c, bool cancel)
{
	struct conf_node *nodes = conf_nodes(c, 100);
	struct chain *chain = conf_array(c, struct chain, 100);
	struct jd_task *task = NULL;

	for (unsigned i = 0; i < 100; i++) {
		if (i > 0) {
			chain[i] = (struct chain){task, &nodes[i - 1]};
			nodes[i].poll = await_arg;
			nodes[i].on_drop = drop_awaited;
			nodes[i].arg = &chain[i];
		}
		if (!conf_node_spawn(&nodes[i], &task))
			return;
	}
	if (cancel)
		CHECK_STATUS(c, jd_task_cancel(chain[1].awaited), JD_OK);
	else
		conf_node_set(&nodes[0]);
	JOIN(&nodes[99], task, cancel ? JD_ECANCELED : JD_OK);
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	for (unsigned i = 0; i < 100; i++)
		CHECK_ENDED(&nodes[i], !cancel);
}

static void tasks_await_tasks(struct conf *c)
{
	run_chain(c, false);
}

static void a_cancel_is_an_outcome_for_awaiters(struct conf *c)
{
	run_chain(c, true);
}

static void join_twice_is_consumed(struct conf *c)
{
	struct conf_waker *counter = conf_new(c, struct conf_waker);
	struct conf_node *node = conf_node_new(c);
	struct conf_value value = {0};
	struct jd_task *task;

	counter->c = c;
	struct jd_waker waker = conf_waker_get(counter);
	struct jd_context context = {.scheduler = c->scheduler, .waker = &waker};

	conf_node_set(node);
	if (!conf_node_spawn(node, &task))
		return;
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	/* Its future is gone; the result is there a moment later. */
	while (!jd_task_is_finished(task))
		conf_let_run(c);
	CHECK_STATUS(c, jd_task_poll(task, &context, &value), JD_OK);
	CHECK(c, value.node == node);
	CHECK_STATUS(c, jd_task_poll(task, &context, &value), JD_ECONSUMED);
	CHECK_STATUS(c, jd_task_cancel(task), JD_EALREADY);
	CHECK_STATUS(c, jd_task_join(task, &value), JD_ECONSUMED);
	CHECK_ENDED(node, 0);
	jd_waker_drop(&waker);
	CHECK_EQUAL(c, conf_get(&counter->refs), 0);
}

/* --- Identity -------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
	jd_task_id x = *(const jd_task_id *)a, y = *(const jd_task_id *)b;

	return x < y ? -1 : x > y;
}

static void ids_are_unique(struct conf *c)
{
	jd_task_id *ids = conf_array(c, jd_task_id, 5000);
	struct conf_node *nodes = conf_nodes(c, 5000);
	struct jd_task *task;

	for (unsigned i = 0; i < 5000; i++) {
		conf_node_set(&nodes[i]);
		if (!conf_node_spawn(&nodes[i], &task))
			return;
		ids[i] = jd_task_get_id(task);
		jd_task_detach(task);
		/* Also when those before are long gone. */
		if (i % 500 == 0)
			CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	}
	CHECK_STATUS(c, jd_scheduler_drain(c->scheduler, JD_NEVER), JD_OK);
	qsort(ids, 5000, sizeof(ids[0]), compare_ids);
	CHECK(c, ids[0] != 0);
	for (unsigned i = 1; i < 5000; i++)
		CHECK(c, ids[i] != ids[i - 1]);
}

static void is_running_until_its_future_is_gone(struct conf *c)
{
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 2);
	struct jd_task *tasks[2] = {NULL};
	jd_task_id ids[2] = {0};

	for (unsigned i = 0; i < 2; i++) {
		nodes[i].polled = latch;
		conf_node_spawn(&nodes[i], &tasks[i]);
		ids[i] = jd_task_get_id(tasks[i]);
		CHECK(c, jd_is_task_running(c->scheduler, ids[i]));
	}
	WAIT(latch, 2);
	CHECK(c, jd_is_task_running(c->scheduler, ids[0]));
	CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), 2);
	conf_node_set(&nodes[0]);
	JOIN(&nodes[0], tasks[0], JD_OK);
	CHECK(c, !jd_is_task_running(c->scheduler, ids[0]));
	CHECK(c, jd_is_task_running(c->scheduler, ids[1]));
	jd_task_cancel(tasks[1]);
	JOIN(&nodes[1], tasks[1], JD_ECANCELED);
	CHECK(c, !jd_is_task_running(c->scheduler, ids[1]));
	CHECK(c, !jd_is_task_running(c->scheduler, 0));
	CHECK(c, !jd_is_task_running(c->scheduler, UINT64_MAX));
	CHECK_EQUAL(c, jd_scheduler_task_count(c->scheduler), 0);
	conf_latch_close(latch);
}

struct seen {
	struct conf *c;
	jd_task_id id;
	unsigned count;
	unsigned match;
	unsigned limit;
};

static bool see(void *arg, const struct jd_runnable_info *info)
{
	struct seen *seen = arg;

	seen->count++;
	if (info->id == seen->id) {
		seen->match++;
		CHECK(seen->c, !strcmp(info->label, "painter"));
		CHECK(seen->c, !strcmp(info->site, "somewhere.c:77"));
		CHECK(seen->c, !strcmp(info->state, "waiting"));
		CHECK_EQUAL(seen->c, info->session, 0);
	}
	return seen->count < seen->limit;
}

static void check_dump(struct conf *c, jd_task_id id)
{
	char text[8192] = "", number[32];

	conf_dump(c, c->scheduler, text, sizeof(text));
	snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
	CHECK(c, strstr(text, c->scheduler->ops->name));
	CHECK(c, strstr(text, number));
	CHECK(c, strstr(text, "painter"));
	CHECK(c, strstr(text, "somewhere.c:77"));
	CHECK(c, strstr(text, "waiting"));
}

static void facts_lists_and_dumps(struct conf *c)
{
	const struct jd_task_options options = {.label = "painter", .site = "somewhere.c:77"};
	struct conf_latch *latch = conf_latch_new(c);
	struct conf_node *nodes = conf_nodes(c, 3);
	struct jd_task *tasks[3] = {NULL};
	struct seen seen = {.c = c, .limit = 100};

	for (unsigned i = 0; i < 3; i++) {
		nodes[i].polled = latch;
		if (i == 1)
			conf_node_spawn_on(&nodes[i], c->scheduler, &options, &tasks[i]);
		else
			conf_node_spawn(&nodes[i], &tasks[i]);
	}
	WAIT(latch, 3);
	/* The poll has returned when the task is waiting. */
	for (unsigned i = 0; i < 3; i++) {
		while (strcmp(jd_task_get_state(tasks[i]), "waiting"))
			conf_let_run(c);
	}
	seen.id = jd_task_get_id(tasks[1]);
	CHECK(c, !strcmp(jd_task_get_label(tasks[1]), "painter"));
	CHECK(c, !strcmp(jd_task_get_site(tasks[1]), "somewhere.c:77"));
	CHECK(c, strstr(jd_task_get_site(tasks[0]), "support.c:"));
	CHECK(c, !jd_task_get_label(tasks[0]));
	CHECK_EQUAL(c, jd_task_get_session(tasks[1]), 0);
	CHECK(c, jd_task_get_scheduler(tasks[1]) == c->scheduler);
	jd_scheduler_each_task(c->scheduler, see, &seen);
	CHECK_EQUAL(c, seen.count, 3);
	CHECK_EQUAL(c, seen.match, 1);
	seen.count = 0;
	seen.limit = 1;
	jd_scheduler_each_task(c->scheduler, see, &seen);
	CHECK_EQUAL(c, seen.count, 1);
	check_dump(c, seen.id);
	for (unsigned i = 0; i < 3; i++)
		jd_task_drop(tasks[i]);
	conf_latch_close(latch);
}

const struct conf_test conf_task_tests[] = {
	{"task.join_yields_status_and_result", join_yields_status_and_result, 0},
	{"task.functions", functions, 0},
	{"task.detached_tasks_go_on", detached_tasks_go_on, 0},
	{"task.a_wake_polls_again", a_wake_polls_again, 0},
	{"task.a_wake_during_the_poll_polls_again", a_wake_during_the_poll_polls_again, 0},
	{"task.wakes_after_the_end_do_nothing", wakes_after_the_end_do_nothing, 0},
	{"task.tasks_wake_each_other", tasks_wake_each_other, 0},
	{"task.woken_by_other_threads", woken_by_other_threads, CONF_FOREIGN | CONF_ONCE},
	{"task.cancelled_while_waiting", cancelled_while_waiting, 0},
	{"task.cancelled_at_once", cancelled_at_once, 0},
	{"task.dropped_handles", dropped_handles, 0},
	{"task.the_last_waker_goes", the_last_waker_goes, 0},
	{"task.tasks_await_tasks", tasks_await_tasks, 0},
	{"task.a_cancel_is_an_outcome_for_awaiters", a_cancel_is_an_outcome_for_awaiters, 0},
	{"task.join_twice_is_consumed", join_twice_is_consumed, 0},
	{"task.ids_are_unique", ids_are_unique, 0},
	{"task.is_running_until_its_future_is_gone", is_running_until_its_future_is_gone, 0},
	{"task.facts_lists_and_dumps", facts_lists_and_dumps, 0},
	{NULL, NULL, 0},
};
