/* test_drain.c - who waits for the last task is told of its end, whatever its worker does next. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

#include "runtime/registry.h"
#include "runtime/worker.h"

/*
 * A lost notice does not show in what drain returns: at its deadline it looks once more. So others
 * wait for its return, by far not so long. Both times only pass when something is broken.
 */
enum {
	DRAIN_S = 30,
	PATIENCE_S = 5,
	PATIENCE_ROUNDS = 100000, /* at least: a stopped process has lost time, but no rounds */
};

/* One worker runs `first`; that spawns a task, which ends when the test's thread is in drain. */
struct scene {
	struct jd_scheduler *scheduler;
	struct jd_runnable first, next;
	bool until_stop;           /* the task ends when the worker is to end */
	_Atomic(uint32_t) spawned; /* A: the task is there */
	_Atomic(uint32_t) drained; /* A: the test's thread is out of drain again */
	_Atomic(uint32_t) met;     /* A: and who waited for that saw it */
	_Atomic(uint32_t) missed;  /* A: or did not */
	_Atomic(uint32_t) ended;   /* A: destroy returned */
	jd_status destroyed;
	struct jd_thread destroyer;
};

static bool is_set(const _Atomic(uint32_t) *flag)
{
	/* order: (TDR1) acquire - what was done before; pairs with (TDR2). */
	return atomic_load_explicit(flag, memory_order_acquire);
}

static void set(_Atomic(uint32_t) *flag)
{
	/* order: (TDR2) release - what was done before; pairs with (TDR1). */
	atomic_store_explicit(flag, 1, memory_order_release);
}

struct patience {
	uint64_t end_ns;
	unsigned rounds;
};

static struct patience patience(void)
{
	return (struct patience){jd_clock_now() + PATIENCE_S * JD_SEC, 0};
}

static bool still(struct patience *patience)
{
	jd_thread_yield();
	return ++patience->rounds < PATIENCE_ROUNDS || jd_clock_now() < patience->end_ns;
}

static jd_status drain(struct jd_scheduler *scheduler)
{
	return jd_scheduler_drain(scheduler, jd_clock_now() + DRAIN_S * JD_SEC);
}

static bool somebody_drains(const struct scene *scene)
{
	return atomic_load_explicit(&scene->scheduler->registry->waiters, memory_order_relaxed);
}

static void *last_task(void *arg)
{
	struct scene *scene = arg;
	const struct jd_workers *workers = jd_pool_self->worker->all;
	struct patience left = patience();

	while ((!somebody_drains(scene) || (scene->until_stop && !jd_workers_stopping(workers))) &&
	       still(&left))
		;
	return NULL;
}

static void first_run(struct jd_runnable *self, struct jd_worker *worker)
{
	struct scene *scene = jd_container_of(self, struct scene, first);

	(void)worker;
	/* The newest is run first: the task. Spawned here, its end is counted by this worker. */
	if (scene->next.ops && jd_schedule(scene->scheduler, &scene->next) != JD_OK)
		return;
	if (jd_spawn_fn(scene->scheduler, last_task, scene, NULL) == JD_OK)
		set(&scene->spawned);
}

static void wait_for_drain(struct scene *scene)
{
	struct patience left = patience();

	while (!is_set(&scene->drained) && still(&left))
		;
	set(is_set(&scene->drained) ? &scene->met : &scene->missed);
}

static void next_run(struct jd_runnable *self, struct jd_worker *worker)
{
	(void)worker;
	wait_for_drain(jd_container_of(self, struct scene, next));
}

static void nothing(struct jd_runnable *self)
{
	(void)self;
}

static void scene_begin(struct scene *scene)
{
	static const struct jd_runnable_ops first_ops = {.run = first_run, .cancel = nothing};
	const struct jd_ws_options options = {.workers = 1};
	struct patience left = patience();

	assert_int_equal(jd_ws_scheduler_new(&options, &scene->scheduler), JD_OK);
	scene->first = (struct jd_runnable)JD_RUNNABLE_INIT(&first_ops);
	assert_int_equal(jd_schedule(scene->scheduler, &scene->first), JD_OK);
	while (!is_set(&scene->spawned) && still(&left))
		;
	assert_true(is_set(&scene->spawned));
}

/* Behind the last task the worker runs something that is no task and takes long. */
static void test_before_another_runnable(void **state)
{
	static const struct jd_runnable_ops next_ops = {.run = next_run, .cancel = nothing};
	struct scene scene = {.next = JD_RUNNABLE_INIT(&next_ops)};

	(void)state;
	scene_begin(&scene);
	jd_status status = drain(scene.scheduler);
	struct patience left = patience();

	set(&scene.drained);
	/* It may be that the worker has not begun it yet: destroy would cancel it. */
	while (!is_set(&scene.met) && !is_set(&scene.missed) && still(&left))
		;
	assert_int_equal(jd_scheduler_destroy(scene.scheduler), JD_OK);
	assert_int_equal(status, JD_OK);
	assert_true(is_set(&scene.met));
}

static void destroy(void *arg)
{
	struct scene *scene = arg;

	scene->destroyed = jd_scheduler_destroy(scene->scheduler);
	set(&scene->ended);
}

static void destroy_under_drain(void *arg)
{
	struct patience left = patience();

	while (!somebody_drains(arg) && still(&left))
		;
	destroy(arg);
	wait_for_drain(arg);
}

/* Behind the last task the worker ends, because the scheduler is destroyed. */
static void test_before_the_end_of_the_worker(void **state)
{
	struct scene scene = {.until_stop = true};

	(void)state;
	scene_begin(&scene);
	jd_scheduler_retain(scene.scheduler);
	assert_int_equal(
		jd_thread_start(&scene.destroyer, "destroyer", 0, destroy_under_drain, &scene),
		JD_OK);
	jd_status status = drain(scene.scheduler);

	set(&scene.drained);
	jd_thread_join(&scene.destroyer);
	assert_int_equal(status, JD_OK);
	assert_true(is_set(&scene.met));
	assert_int_equal(scene.destroyed, JD_OK);
	jd_scheduler_release(scene.scheduler);
}

static jd_status never_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	(void)future;
	(void)context;
	(void)result;
	return JD_PENDING;
}

static void *no_work(void *arg)
{
	return arg;
}

/* A task that was made and never scheduled holds drain and destroy up, until it is cancelled. */
static void test_a_runnable_that_is_kept(void **state)
{
	static const struct jd_future_ops ops = {.poll = never_poll,
						 .size = sizeof(struct jd_future)};
	static const struct jd_task_options plain = {0};
	const struct jd_ws_options options = {.workers = 1};
	struct scene scene = {0};
	struct jd_future future = {&ops};
	struct jd_runnable *runnable;
	struct jd_task *task;
	struct patience left = patience();

	(void)state;
	assert_int_equal(jd_ws_scheduler_new(&options, &scene.scheduler), JD_OK);
	assert_int_equal(jd_task_new(scene.scheduler, &future, &plain, &runnable, &task), JD_OK);
	assert_int_equal(jd_scheduler_drain(scene.scheduler, jd_clock_now() + JD_MS), JD_ETIMEDOUT);
	jd_scheduler_retain(scene.scheduler);
	assert_int_equal(jd_thread_start(&scene.destroyer, "destroyer", 0, destroy, &scene), JD_OK);
	while (jd_spawn_fn(scene.scheduler, no_work, NULL, NULL) == JD_OK && still(&left))
		;
	/* Shutdown has begun, and gives the runnable back to its owner. */
	assert_int_equal(jd_schedule(scene.scheduler, runnable), JD_ECLOSED);
	assert_false(is_set(&scene.ended));
	jd_runnable_cancel(runnable);
	jd_thread_join(&scene.destroyer);
	assert_int_equal(scene.destroyed, JD_OK);
	assert_int_equal(jd_task_join(task, NULL), JD_ECANCELED);
	jd_scheduler_release(scene.scheduler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_another_runnable),
		cmocka_unit_test(test_before_the_end_of_the_worker),
		cmocka_unit_test(test_a_runnable_that_is_kept),
	};

	return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
