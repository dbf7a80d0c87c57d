/* test_model_task.c - the task under every schedule: wakers, a worker, the owner of the handle. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deque/injector.h"
#include "runtime/task.h"
#include "tests/model/model.h"
#include "tests/model/model_test.h"

/*
 * runtime/task*.c as they are, on a scheduler that is one injector and one worker. The future is
 * ready when `events` events have happened; each waker thread makes one happen and then wakes.
 */
enum {
	WAKERS = 2
};

struct waiting {
	struct jd_future base;
	uint32_t polled; /* plain: nobody but the poller may touch it */
};

/* No thread here drives a worker with a lane. */
_Thread_local struct jd_pool_thread *jd_pool_self;

static struct {
	struct jd_injector queue;
	struct jd_scheduler scheduler;
	struct jd_registry registry; /* of which only is looked at that nothing is kept */
	int scheduler_refs;

	struct jd_task *task;
	struct jd_waker wakers[WAKERS]; /* cloned by the first poll */
	unsigned n_wakers, events;
	_Atomic(uint32_t) happened[WAKERS];
	_Atomic(uint32_t) ended; /* the future is gone */
	unsigned dropped, results, destroyed, registered;

	_Atomic(uint32_t) awoken; /* the awaiter's waker was called */
	int awaiter_refs;
	jd_status outcome;
} s;

/* --- What task.c wants of the rest of the runtime ------------------------------------------ */

static jd_status schedule(struct jd_scheduler *self, struct jd_runnable *runnable)
{
	(void)self;
	jd_injector_push(&s.queue, runnable);
	return JD_OK;
}

static const struct jd_scheduler_ops scheduler_ops = {.name = "model", .schedule = schedule};

jd_status jd_schedule(struct jd_scheduler *scheduler, struct jd_runnable *runnable)
{
	return scheduler->ops->schedule(scheduler, runnable);
}

jd_status jd_schedule_labeled(struct jd_scheduler *scheduler, struct jd_runnable *runnable,
			      jd_label label)
{
	(void)label;
	return jd_schedule(scheduler, runnable);
}

jd_status jd_schedule_foreground(struct jd_scheduler *scheduler, struct jd_runnable *runnable,
				 jd_session_id session)
{
	(void)session;
	return jd_schedule(scheduler, runnable);
}

jd_status jd_schedule_blocking(struct jd_scheduler *scheduler, struct jd_runnable *runnable)
{
	return jd_schedule(scheduler, runnable);
}

struct jd_scheduler *jd_scheduler_retain(struct jd_scheduler *scheduler)
{
	s.scheduler_refs++;
	return scheduler;
}

void jd_scheduler_release(struct jd_scheduler *scheduler)
{
	(void)scheduler;
	s.scheduler_refs--;
	MODEL_CHECK(s.scheduler_refs >= 0);
}

void jd_registry_insert(struct jd_registry *registry, struct jd_registry_entry *entry)
{
	(void)registry;
	(void)entry;
	s.registered++;
}

void jd_registry_remove(struct jd_registry *registry, struct jd_registry_entry *entry)
{
	(void)registry;
	(void)entry;
	MODEL_CHECK(s.registered == 1);
	s.registered--;
}

void jd_registry_orphan(struct jd_registry *registry, struct jd_runnable *runnable)
{
	(void)registry;
	(void)runnable;
	model_fail("this scheduler refuses nothing");
}

/* For the end of a scheduler, which is not looked at here. */
void jd_registry_each(struct jd_registry *registry,
		      bool (*fn)(void *arg, struct jd_task_word *word), void *arg)
{
	(void)registry;
	(void)fn;
	(void)arg;
}

bool jd_registry_is_empty(const struct jd_registry *registry)
{
	(void)registry;
	return true;
}

struct jd_runnable *jd_registry_take_orphans(struct jd_registry *registry, bool wait)
{
	(void)registry;
	(void)wait;
	return NULL;
}

/* --- The future ---------------------------------------------------------------------------- */

static jd_status waiting_poll(struct jd_future *base, struct jd_context *context, void *result)
{
	struct waiting *self = jd_container_of(base, struct waiting, base);
	unsigned happened = 0;

	MODEL_CHECK(s.dropped == 0);
	model_write(&self->polled);
	if (self->polled++ == 0)
		for (unsigned i = 0; i < s.n_wakers; i++)
			s.wakers[i] = jd_waker_clone(context->waker);
	for (unsigned i = 0; i < s.n_wakers; i++)
		happened += atomic_load_explicit(&s.happened[i], RLX);
	if (happened < s.events)
		return JD_PENDING;
	model_write(result);
	*(uint32_t *)result = 42;
	s.results++;
	return JD_OK;
}

static void waiting_drop(struct jd_future *base)
{
	struct waiting *self = jd_container_of(base, struct waiting, base);

	model_write(&self->polled);
	MODEL_CHECK(s.dropped++ == 0);
	atomic_store_explicit(&s.ended, 1, RLX);
}

static void waiting_drop_result(void *result)
{
	model_write(result);
	MODEL_CHECK(s.destroyed++ == 0);
}

static const struct jd_future_ops waiting_ops = {
	.poll = waiting_poll,
	.drop = waiting_drop,
	.drop_result = waiting_drop_result,
	.size = sizeof(struct waiting),
	.result_size = sizeof(uint32_t),
};

/* --- Setup: a task that was polled once, and whose wakers are about ------------------------ */

static void run_all(struct jd_runnable *r)
{
	while (r) {
		struct jd_runnable *next = r->next;

		jd_runnable_run(r, NULL);
		r = next;
	}
}

static void clear(unsigned n_wakers, unsigned events)
{
	memset(&s, 0, sizeof(s));
	jd_injector_init(&s.queue);
	s.scheduler.ops = &scheduler_ops;
	s.scheduler.allocator = model_allocator();
	s.scheduler.registry = &s.registry;
	s.scheduler_refs = 1;
	s.n_wakers = n_wakers;
	s.events = events;
	s.outcome = JD_PENDING;
	for (unsigned i = 0; i < WAKERS; i++)
		atomic_init(&s.happened[i], 0);
	atomic_init(&s.ended, 0);
	atomic_init(&s.awoken, 0);
}

static void set_up(unsigned n_wakers, unsigned events)
{
	struct waiting waiting = {{&waiting_ops}, 0};
	const struct jd_task_options options = {.kind = JD_TASK_BACKGROUND};

	clear(n_wakers, events);
	MODEL_CHECK(jd_task_spawn(&s.scheduler, &waiting.base, &options, &s.task) == JD_OK);
	run_all(jd_injector_take(&s.queue));
}

static void one_waker(void)
{
	set_up(1, 1);
}

static void two_wakers(void)
{
	set_up(2, 2);
}

static void two_wakers_detached(void)
{
	set_up(2, 2);
	jd_task_detach(s.task);
}

static void one_waker_detached(void)
{
	set_up(1, 1);
	jd_task_detach(s.task);
}

/* --- The threads --------------------------------------------------------------------------- */

static void worker(void)
{
	while (!atomic_load_explicit(&s.ended, RLX)) {
		struct jd_runnable *r = jd_injector_take(&s.queue);

		if (r)
			run_all(r);
		else
			model_yield();
	}
}

static void wake_0(void)
{
	atomic_store_explicit(&s.happened[0], 1, RLX);
	jd_waker_wake(&s.wakers[0]);
}

static void wake_1(void)
{
	atomic_store_explicit(&s.happened[1], 1, RLX);
	jd_waker_wake_ref(&s.wakers[1]);
	jd_waker_drop(&s.wakers[1]);
}

static void drop_0(void)
{
	jd_waker_drop(&s.wakers[0]);
}

static void detach(void)
{
	jd_task_detach(s.task);
}

static void drop(void)
{
	jd_task_drop(s.task);
}

static void awaiter_clone(void *data)
{
	(void)data;
	s.awaiter_refs++;
}

static void awaiter_drop(void *data)
{
	(void)data;
	s.awaiter_refs--;
	MODEL_CHECK(s.awaiter_refs >= 0);
}

static void awaiter_wake_ref(void *data)
{
	(void)data;
	atomic_store_explicit(&s.awoken, 1, REL);
}

static void awaiter_wake(void *data)
{
	awaiter_wake_ref(data);
	awaiter_drop(data);
}

static const struct jd_waker_ops awaiter_ops = {
	awaiter_clone,
	awaiter_wake,
	awaiter_wake_ref,
	awaiter_drop,
};

/* Polls when woken, and only then. */
static void await(void)
{
	const struct jd_waker waker = {&awaiter_ops, NULL};
	struct jd_context context = {.scheduler = &s.scheduler, .waker = &waker};
	uint32_t result = 0;

	while ((s.outcome = jd_task_poll(s.task, &context, &result)) == JD_PENDING) {
		while (!atomic_exchange_explicit(&s.awoken, 0, AR))
			model_yield();
	}
	if (s.outcome == JD_OK)
		MODEL_CHECK(result == 42);
	else
		MODEL_CHECK(s.outcome == JD_ECANCELED && s.dropped == 1);
	MODEL_CHECK(jd_task_poll(s.task, &context, NULL) ==
		    (s.outcome == JD_OK ? JD_ECONSUMED : JD_ECANCELED));
	jd_task_detach(s.task);
}

static void cancel_and_await(void)
{
	const jd_status status = jd_task_cancel(s.task);

	MODEL_CHECK(status == JD_OK || status == JD_EALREADY);
	await();
	MODEL_CHECK(status == JD_OK ? s.outcome == JD_ECANCELED : s.outcome == JD_OK);
}

/* --- A task that is in a list of others, as that of a session ------------------------------ */

static struct {
	_Atomic(uint32_t) lock;
	bool listed; /* under lock */
} list;

static void list_lock(void)
{
	/* order: (MK1) acquire - what the last holder did; pairs with (MK2). */
	while (atomic_exchange_explicit(&list.lock, 1, memory_order_acquire))
		model_yield();
}

static void list_unlock(void)
{
	/* order: (MK2) release - what this holder did; pairs with (MK1). */
	atomic_exchange_explicit(&list.lock, 0, memory_order_release);
}

static jd_status member_poll(struct jd_future *base, struct jd_context *context, void *result)
{
	struct jd_task_wrapper *self = jd_container_of(base, struct jd_task_wrapper, base);

	return jd_future_poll(jd_task_wrapped(self, sizeof(*self)), context, result);
}

static void member_drop(struct jd_future *base)
{
	struct jd_task_wrapper *self = jd_container_of(base, struct jd_task_wrapper, base);

	jd_future_drop(jd_task_wrapped(self, sizeof(*self)));
	list_lock();
	model_write(&list.listed);
	list.listed = false;
	list_unlock();
}

/* Detached and queued: only its runnable and the list can reach it. */
static void listed(void)
{
	const struct jd_task_wrapper wrapper = {.ops = {.poll = member_poll, .drop = member_drop}};
	const struct jd_task_options options = {.kind = JD_TASK_BACKGROUND};
	struct waiting waiting = {{&waiting_ops}, 0};

	clear(1, 1);
	atomic_init(&list.lock, 0);
	list.listed = true;
	MODEL_CHECK(jd_task_new_around(&s.scheduler, &wrapper, sizeof(wrapper), &waiting.base,
				       &options, false, &s.task) == JD_OK);
	MODEL_CHECK(jd_task_schedule(s.task) == JD_OK);
}

static void listed_and_waiting(void)
{
	listed();
	run_all(jd_injector_take(&s.queue));
}

/* As if a wrapped task were like any other. */
static void listed_alone(void)
{
	listed();
	jd_task_state_clear(&s.task->state, JD_TASK_SHARED);
}

/* No reference, no handle: only while it is in the list. */
static void cancel_listed(void)
{
	list_lock();
	model_read(&list.listed);
	if (list.listed)
		jd_task_cancel(s.task);
	list_unlock();
}

/* --- What must hold in the end ------------------------------------------------------------- */

static void finish(void)
{
	run_all(jd_injector_take(&s.queue));
	MODEL_CHECK(s.dropped == 1);
	MODEL_CHECK(s.results <= 1);
	MODEL_CHECK(s.destroyed + (s.outcome == JD_OK) == s.results);
	MODEL_CHECK(s.registered == 0);
	MODEL_CHECK(s.scheduler_refs == 1);
	MODEL_CHECK(s.awaiter_refs == 0);
}

static void finish_with_result(void)
{
	finish();
	MODEL_CHECK(s.results == 1);
}

static const struct model_program wakes = {
	"wakes",
	two_wakers_detached,
	{worker, wake_0, wake_1},
	finish_with_result,
};
static const struct model_program awaited = {
	"awaited",
	one_waker,
	{worker, wake_0, await},
	finish_with_result,
};
static const struct model_program cancelled = {
	"cancelled",
	one_waker,
	{worker, wake_0, cancel_and_await},
	finish,
};
static const struct model_program dropped = {
	"dropped",
	one_waker,
	{worker, wake_0, drop},
	finish,
};
static const struct model_program detached = {
	"detached",
	one_waker,
	{worker, wake_0, detach},
	finish_with_result,
};
static const struct model_program orphaned = {
	"orphaned",
	one_waker,
	{worker, drop_0, detach},
	finish,
};
static const struct model_program crowded = {
	"crowded",
	two_wakers,
	{worker, wake_0, wake_1, cancel_and_await},
	finish,
};

/* What it waited for never happens: only the cancellation ends it. */
static void finish_listed(void)
{
	jd_waker_drop(&s.wakers[0]);
	finish();
}

static const struct model_program member = {
	"member",
	listed,
	{worker, cancel_listed},
	finish_listed,
};
static const struct model_program waiting_member = {
	"woken member",
	listed_and_waiting,
	{worker, wake_0, cancel_listed},
	finish,
};
static const struct model_program lone_member = {
	"taken for alone",
	listed_alone,
	{worker, cancel_listed},
	finish_listed,
};

static void test_a_wake_is_never_lost(void **state)
{
	(void)state;
	model_expect_clean(&wakes, &(struct model_options){.preemptions = 2, .stale = 2});
	model_expect_clean(&detached, &(struct model_options){.preemptions = 3, .stale = 2});
}

static void test_the_awaiter_learns_of_the_end(void **state)
{
	(void)state;
	model_expect_clean(&awaited, &(struct model_options){.preemptions = 2, .stale = 1});
}

static void test_cancelling(void **state)
{
	(void)state;
	model_expect_clean(&dropped, &(struct model_options){.preemptions = 3, .stale = 1});
	model_expect_clean(&cancelled, &(struct model_options){.preemptions = 2, .stale = 1});
	model_expect_clean(&orphaned, &(struct model_options){.preemptions = 5, .stale = 3});
}

static void test_cancelling_a_member(void **state)
{
	(void)state;
	model_expect_clean(&member, &(struct model_options){.preemptions = 5, .stale = 3});
	model_expect_clean(&waiting_member, &(struct model_options){.preemptions = 3, .stale = 1});
	model_expect_bug(&lone_member, NULL);
}

static void test_four_at_once(void **state)
{
	(void)state;
	model_expect_clean(&crowded, &(struct model_options){.preemptions = 1, .stale = 1});
	model_expect_clean(&crowded,
			   &(struct model_options){.executions = 1, .random = 100000, .seed = 1});
}

/* --- Seeded bugs --------------------------------------------------------------------------- */

static const struct model_mutation bugs[] = {
	{"transitions relaxed", "jd_task_state_cas", "cas", "state", MODEL_ORDER, RLX},
	{"transitions only acquire", "jd_task_state_cas", "cas", "state", MODEL_ORDER, ACQ},
	{"transitions only release", "jd_task_state_cas", "cas", "state", MODEL_ORDER, REL},
	{"transitions in two steps", "jd_task_state_cas", "cas", "state", MODEL_SPLIT, 0},
	{"clear in two steps", "jd_task_state_clear", "and", "state", MODEL_SPLIT, 0},
	{"notified in two steps", "jd_task_state_notified", "sub", "state", MODEL_SPLIT, 0},
	{"notified relaxed", "jd_task_state_notified", "sub", "state", MODEL_ORDER, RLX},
};

/* The bug Tokio shipped until 2025: what is scheduled already needs no read-modify-write. */
static void wake_early(void)
{
	struct jd_waker waker = s.wakers[0];
	struct jd_task *task = waker.data;

	atomic_store_explicit(&s.happened[0], 1, RLX);
	if (jd_task_state_load(&task->state) & JD_TASK_SCHEDULED)
		jd_waker_drop(&waker);
	else
		jd_waker_wake(&waker);
}

/* A wake that comes during a poll is forgotten. */
static void wake_not_while_running(void)
{
	struct jd_waker waker = s.wakers[0];
	struct jd_task *task = waker.data;

	atomic_store_explicit(&s.happened[0], 1, RLX);
	if (jd_task_state_load(&task->state) & JD_TASK_RUNNING)
		jd_waker_drop(&waker);
	else
		jd_waker_wake(&waker);
}

/* The waker was cloned, but its reference was given up before the wake. */
static void wake_unreferenced(void)
{
	struct jd_waker waker = s.wakers[0];

	atomic_store_explicit(&s.happened[0], 1, RLX);
	jd_waker_drop(&s.wakers[0]);
	jd_waker_wake_ref(&waker);
}

static const struct model_program early = {
	"wake early",
	two_wakers_detached,
	{worker, wake_early, wake_1},
	finish_with_result,
};
static const struct model_program not_running = {
	"forgotten",
	two_wakers_detached,
	{worker, wake_not_while_running, wake_1},
	finish_with_result,
};
static const struct model_program unreferenced = {
	"unreferenced",
	one_waker_detached,
	{worker, wake_unreferenced},
	finish,
};

static void test_seeded_bugs_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++)
		model_expect_bug(i >= 4 ? &awaited : &wakes, &bugs[i]);
	model_expect_bug(&early, NULL);
	model_expect_bug(&not_running, NULL);
	model_expect_bug(&unreferenced, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_wake_is_never_lost),
		cmocka_unit_test(test_the_awaiter_learns_of_the_end),
		cmocka_unit_test(test_cancelling),
		cmocka_unit_test(test_cancelling_a_member),
		cmocka_unit_test(test_four_at_once),
		cmocka_unit_test(test_seeded_bugs_are_found),
	};

	return cmocka_run_group_tests_name("model task", tests, NULL, NULL);
}
