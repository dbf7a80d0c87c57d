/* test_exec_tasks.c - tasks of sessions: permission, cancel, join, values, latency, memory. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/combine.h>

#include "tests/testlib/exec_fixture.h"

#define LATENCY (10 * JD_MS)

/* What a call inside a session is to spawn. */
struct spawn {
	struct exec_fixture *f;
	struct exec_event *event;
	bool registered;
	struct jd_task *task;
	jd_status status;
};

static void spawn_one(void *arg)
{
	struct spawn *self = arg;
	struct exec_wait wait = exec_wait_make(self->event);

	self->status = self->registered
			       ? jd_exec_wait_until(self->f->context, &wait.base, &self->task)
			       : jd_exec_spawn(self->f->context, &wait.base, &self->task);
}

static struct jd_task *spawn_in(struct exec_fixture *f, jd_exec_session session,
				struct exec_event *event, bool registered)
{
	struct spawn spawn = {.f = f, .event = event, .registered = registered};

	exec_inside(f, session, spawn_one, &spawn);
	assert_int_equal(spawn.status, JD_OK);
	return spawn.task;
}

static struct jd_exec_counts counts_of(struct exec_fixture *f, jd_exec_session session)
{
	struct jd_exec_counts counts;

	exec_check(jd_exec_session_counts(f->context, session, &counts));
	return counts;
}

/* A task made of a function, which is called with arg in its poll. */
struct call {
	struct exec_fixture *f;
	void (*fn)(struct call *self);
	jd_exec_session session;
	struct exec_event *event;
	jd_status status;
	bool done;
};

static jd_status call_poll(void *arg, struct jd_context *context, void **result)
{
	struct call *self = arg;

	(void)context;
	self->fn(self);
	self->done = true;
	*result = self;
	return JD_OK;
}

static void call_spawn(void *arg)
{
	struct call *self = arg;
	struct jd_fn_future future;

	exec_check(jd_fn_future_init(&future, call_poll, NULL, self));
	exec_check(jd_exec_spawn(self->f->context, &future.base, NULL));
}

static void call_wait_until(void *arg)
{
	struct call *self = arg;
	struct jd_fn_future future;

	exec_check(jd_fn_future_init(&future, call_poll, NULL, self));
	exec_check(jd_exec_wait_until(self->f->context, &future.base, NULL));
}

/* --- Permission to outlive -------------------------------------------------------------------- */

static void validate_own(struct call *self)
{
	self->status = jd_exec_validate_session_cleanup(self->f->context, self->session, NULL);
}

/* A handler may validate the session it runs in. */
static void test_caller_does_not_count(void **state)
{
	struct exec_fixture *f = *state;
	struct call call = {.f = f, .fn = validate_own, .session = exec_session_new(f)};

	exec_inside(f, call.session, call_spawn, &call);
	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	assert_true(call.done);
	assert_int_equal(call.status, JD_OK);
}

static void spawn_child(struct call *self)
{
	struct exec_wait wait = exec_wait_make(self->event);

	self->status = jd_exec_spawn(self->f->context, &wait.base, NULL);
}

/* What a registered task spawns may outlive too, before and after the session was validated. */
static void test_permission_is_inherited(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	struct call before = {.f = f, .fn = spawn_child, .event = &event}, after = before;
	jd_exec_session session = exec_session_new(f);

	exec_inside(f, session, call_wait_until, &before);
	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	assert_true(before.done);
	assert_int_equal(counts_of(f, session).registered, f->form == EXEC_SIMULATED ? 2 : 1);
	exec_inside(f, session, call_wait_until, &after);
	exec_end(f, session);
	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	assert_true(after.done);
	assert_int_equal(after.status, JD_OK);
	exec_event_set(&event);
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	assert_int_equal(event.drops, 2);
}

/* Others find it closed: also one who says wait_until too late. */
static void test_too_late(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	struct exec_wait wait = exec_wait_make(&event);
	jd_exec_session session = exec_session_new(f);
	struct jd_task *task = spawn_in(f, session, &event, true);

	assert_int_equal(jd_exec_set_current_session(f->context, session), JD_OK);
	exec_end(f, session);
	assert_int_equal(jd_exec_spawn(f->context, &wait.base, NULL), JD_ECLOSED);
	assert_int_equal(jd_exec_wait_until(f->context, &wait.base, NULL), JD_ECLOSED);
	assert_int_equal(event.drops, 0);
	assert_int_equal(jd_exec_set_current_session(f->context, 0), JD_OK);
	jd_task_drop(task);
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
}

struct late {
	struct exec_fixture *f;
	jd_task_id id;
	jd_status status;
};

static void register_late(void *arg)
{
	struct late *late = arg;

	late->status = jd_exec_wait_until_task(late->f->context, late->id);
}

static void test_registering_a_task_that_runs(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	jd_exec_session session = exec_session_new(f), other = exec_session_new(f);
	struct jd_task *task = spawn_in(f, session, &event, false);
	struct late late = {.f = f, .id = jd_task_get_id(task)};

	assert_int_equal(counts_of(f, session).running, 1);
	assert_int_equal(jd_exec_validate_session_cleanup(f->context, session, NULL), JD_EBUSY);
	exec_inside(f, other, register_late, &late);
	assert_int_equal(late.status, JD_ENOENT);
	exec_inside(f, session, register_late, &late);
	assert_int_equal(late.status, JD_OK);
	exec_inside(f, session, register_late, &late);
	assert_int_equal(late.status, JD_EALREADY);
	assert_int_equal(counts_of(f, session).running, 0);
	assert_int_equal(counts_of(f, session).registered, 1);
	exec_end(f, session);
	exec_end(f, other);
	jd_task_drop(task);
	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
}

/* --- Cancelling and waiting ------------------------------------------------------------------- */

static void test_cancel_waits_for_the_drops(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	jd_exec_session session = exec_session_new(f), other = exec_session_new(f);
	struct jd_task *queued = spawn_in(f, session, &event, false);
	struct jd_task *registered = spawn_in(f, session, &event, true);
	struct jd_task *foreign = spawn_in(f, other, &event, false);

	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	jd_task_detach(spawn_in(f, session, &event, false));
	assert_int_equal(jd_exec_session_cancel(f->context, session), JD_OK);
	assert_int_equal(event.drops, 3);
	assert_int_equal(jd_task_join(queued, NULL), JD_ECANCELED);
	assert_int_equal(jd_task_join(registered, NULL), JD_ECANCELED);
	assert_false(jd_task_is_finished(foreign));
	exec_event_set(&event);
	assert_int_equal(jd_task_join(foreign, NULL), JD_OK);
	exec_end(f, other);
}

static void exec_end_quietly(struct exec_fixture *f, jd_exec_session session)
{
	exec_check(jd_exec_validate_session_cleanup(f->context, session, NULL));
}

static void cancel_own(struct call *self)
{
	struct jd_exec_join join;

	self->status = jd_exec_session_cancel(self->f->context, self->session);
	exec_expect(self->f,
		    jd_exec_session_join(self->f->context, self->session, JD_NEVER) == JD_EDEADLK);
	exec_expect(self->f, jd_exec_context_destroy(self->f->context) == JD_EDEADLK);
	/* Nothing came of that. */
	exec_end_quietly(self->f, exec_session_new(self->f));
	exec_check(jd_exec_join_init(&join, self->f->context, self->session));
	exec_expect(self->f, jd_block(self->f->scheduler, &join.base, NULL) == JD_EDEADLK);
	jd_future_drop(&join.base);
}

static void test_nobody_waits_for_himself(void **state)
{
	struct exec_fixture *f = *state;
	struct call call = {.f = f, .fn = cancel_own, .session = exec_session_new(f)};

	exec_inside(f, call.session, call_spawn, &call);
	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	assert_true(call.done);
	assert_int_equal(call.status, JD_EDEADLK);
	exec_end(f, call.session);
}

static void spawn_nap(void *arg)
{
	struct exec_fixture *f = arg;
	struct jd_sleep nap;

	jd_exec_delay(f->context, &nap, JD_SEC);
	exec_check(jd_exec_spawn(f->context, &nap.base, NULL));
}

static void test_join_until_a_deadline(void **state)
{
	struct exec_fixture *f = *state;
	jd_exec_session session = exec_session_new(f);

	exec_inside(f, session, spawn_nap, f);
	assert_int_equal(jd_exec_session_join(f->context, session, 30 * JD_MS), JD_ETIMEDOUT);
	assert_int_equal(jd_now(f->scheduler), 30 * JD_MS);
	assert_int_equal(jd_exec_session_join(f->context, session, 2 * JD_SEC), JD_OK);
	assert_int_equal(jd_now(f->scheduler), JD_SEC);
	/* Open all the time. */
	exec_inside(f, session, spawn_nap, f);
	assert_int_equal(jd_exec_session_join(f->context, session, 0), JD_ETIMEDOUT);
	assert_int_equal(jd_exec_session_cancel(f->context, session), JD_OK);
	assert_int_equal(jd_now(f->scheduler), JD_SEC);
}

static void test_counts(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	jd_exec_session session = exec_session_new(f);
	struct jd_task *a = spawn_in(f, session, &event, false);
	struct jd_task *b = spawn_in(f, session, &event, false);
	struct jd_task *c = spawn_in(f, session, &event, true);

	jd_task_drop(a);
	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	struct jd_exec_counts counts = counts_of(f, session);

	assert_int_equal(counts.spawned, 3);
	assert_int_equal(counts.running, 1);
	assert_int_equal(counts.registered, 1);
	assert_int_equal(counts.finished, 0);
	assert_int_equal(counts.cancelled, 1);
	exec_event_set(&event);
	assert_int_equal(jd_task_join(b, NULL), JD_OK);
	assert_int_equal(jd_task_join(c, NULL), JD_OK);
	counts = counts_of(f, session);
	assert_int_equal(counts.running + counts.registered, 0);
	assert_int_equal(counts.finished, 2);
	exec_end(f, session);
	assert_int_equal(jd_exec_session_counts(f->context, session, &counts), JD_EALREADY);
}

/* --- Values ----------------------------------------------------------------------------------- */

static const char key, other_key;
static unsigned dropped;

static void drop_value(void *value)
{
	dropped += *(unsigned *)value;
}

static void look_up(struct call *self)
{
	unsigned *value = jd_exec_session_get(self->f->context, &key);

	exec_expect(self->f, value && *value == 7);
	exec_expect(self->f, !jd_exec_session_get(self->f->context, &other_key));
	exec_expect(self->f, !jd_exec_session_get(self->f->second, &key));
}

static void test_values(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	unsigned value = 7;
	jd_exec_session session = exec_session_new(f);
	struct call call = {.f = f, .fn = look_up};

	dropped = 0;
	assert_int_equal(jd_exec_session_set(f->context, session, &key, &value, drop_value), JD_OK);
	assert_int_equal(jd_exec_session_set(f->context, session, &key, &value, drop_value),
			 JD_EBUSY);
	exec_inside(f, session, call_wait_until, &call);
	struct jd_task *task = spawn_in(f, session, &event, true);

	exec_end(f, session);
	assert_int_equal(jd_exec_session_set(f->context, session, &other_key, f, NULL),
			 JD_EALREADY);
	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	assert_true(call.done);
	/* Kept for the last task. */
	assert_int_equal(dropped, 0);
	jd_task_drop(task);
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	assert_int_equal(dropped, 7);
	while (event.count > 0)
		jd_waker_drop(&event.wakers[--event.count]);
}

/* --- Time ------------------------------------------------------------------------------------- */

static void test_latency_of_wait_until(void **state)
{
	struct exec_fixture *f = *state;
	uint64_t want = f->form == EXEC_SIMULATED ? LATENCY : 0;
	struct exec_event event = {.set = true}, *result = NULL;
	jd_exec_session session = exec_session_new(f);
	struct jd_task *task = spawn_in(f, session, &event, true);

	/* The future itself is not held up, and goes as soon as it has ended. */
	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	assert_int_equal(event.polls, 1);
	assert_int_equal(event.drops, 1);
	assert_int_equal(counts_of(f, session).registered, want ? 1 : 0);
	assert_int_equal(jd_task_join(task, &result), JD_OK);
	assert_ptr_equal(result, &event);
	assert_int_equal(jd_now(f->scheduler), want);
	assert_int_equal(event.drop_ns, 0);
	assert_int_equal(event.result_drops, 0);
	/* Cancelled meanwhile: the result that nobody got is destroyed. */
	task = spawn_in(f, session, &event, true);
	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	jd_task_drop(task);
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	assert_int_equal(event.drops, 2);
	assert_int_equal(event.result_drops, 1);
	assert_int_equal(jd_now(f->scheduler), want);
	exec_end(f, session);
}

static void test_pass_through_and_delay(void **state)
{
	struct exec_fixture *f = *state;
	uint64_t want = f->form == EXEC_SIMULATED ? LATENCY : 0;
	struct jd_sleep sleep;

	jd_exec_pass_through(f->context, &sleep);
	assert_int_equal(jd_block(f->scheduler, &sleep.base, NULL), JD_OK);
	jd_future_drop(&sleep.base);
	assert_int_equal(jd_now(f->scheduler), want);
	jd_exec_delay(f->context, &sleep, JD_SEC);
	assert_int_equal(jd_block(f->scheduler, &sleep.base, NULL), JD_OK);
	jd_future_drop(&sleep.base);
	assert_int_equal(jd_now(f->scheduler), want + JD_SEC);
}

/* --- Tasks of every kind ---------------------------------------------------------------------- */

static void note_session(struct call *self)
{
	self->session = jd_exec_get_current_session(self->f->context);
}

struct kinds {
	struct exec_fixture *f;
	struct call calls[3];
};

static void spawn_kinds(void *arg)
{
	struct kinds *self = arg;

	for (int kind = JD_TASK_BACKGROUND; kind <= JD_TASK_BLOCKING; kind++) {
		const struct jd_task_options options = {.kind = (enum jd_task_kind)kind,
							.label = "kind",
							.session = 5,
							.site = "here:1"};
		struct jd_fn_future future;
		struct jd_task *task;

		exec_check(jd_fn_future_init(&future, call_poll, NULL, &self->calls[kind]));
		exec_check(jd_exec_spawn_with(self->f->context, &future.base, &options, &task));
		exec_expect(self->f, !strcmp(jd_task_get_site(task), "here:1"));
		exec_expect(self->f, !strcmp(jd_task_get_label(task), "kind"));
		jd_task_detach(task);
	}
}

static void test_every_kind_of_task(void **state)
{
	struct exec_fixture *f = *state;
	struct kinds kinds = {.f = f};
	jd_exec_session session = exec_session_new(f);

	for (int i = 0; i < 3; i++)
		kinds.calls[i] = (struct call){.f = f, .fn = note_session};
	exec_inside(f, session, spawn_kinds, &kinds);
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(kinds.calls[i].session, session);
	exec_end(f, session);
}

static void test_which_tasks_run(void **state)
{
	enum {
		MANY = 3000
	};
	struct exec_fixture *f = *state;
	jd_exec_session session = exec_session_new(f);
	struct jd_task **tasks = calloc(MANY, sizeof(struct jd_task *));
	struct exec_event event = {0};

	assert_non_null(tasks);
	for (int i = 0; i < MANY; i++) {
		/* In a session or in none. */
		struct exec_wait wait = exec_wait_make(&event);

		if (i % 2)
			tasks[i] = spawn_in(f, session, &event, false);
		else
			exec_check(jd_exec_spawn(f->context, &wait.base, &tasks[i]));
	}
	for (int i = 0; i < MANY; i += 3)
		jd_task_cancel(tasks[i]);
	event.set = true;
	for (int i = 0; i < MANY; i++)
		assert_true(jd_exec_is_task_running(f->context, jd_task_get_id(tasks[i])));
	assert_false(jd_exec_is_task_running(f->context, MANY + 1));
	for (int i = 0; i < MANY; i += 2) {
		jd_task_id id = jd_task_get_id(tasks[i]);

		assert_int_equal(jd_task_join(tasks[i], NULL), i % 3 ? JD_OK : JD_ECANCELED);
		assert_false(jd_exec_is_task_running(f->context, id));
	}
	for (int i = 1; i < MANY; i += 2)
		jd_task_detach(tasks[i]);
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	exec_end(f, session);
	free(tasks);
}

/* --- Memory and the end ----------------------------------------------------------------------- */

static void test_one_allocation_a_task(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {.set = true};
	jd_exec_session session = exec_session_new(f);

	jd_task_detach(spawn_in(f, session, &event, true));
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	uint64_t before = f->memory.allocs;

	jd_task_detach(spawn_in(f, session, &event, false));
	assert_int_equal(f->memory.allocs, before + 1);
	jd_task_detach(spawn_in(f, session, &event, true));
	assert_int_equal(f->memory.allocs, before + 2);
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	exec_end(f, session);
}

/* Everything that takes memory, from nothing to a task that runs and is awaited. */
static jd_status whole_life(struct exec_fixture *f, struct exec_event *event)
{
	struct spawn spawn = {.f = f, .event = event, .status = JD_OK};
	jd_exec_session session;
	jd_status status = jd_exec_create_session(f->context, &session);

	if (status != JD_OK)
		return status;
	status = jd_exec_session_set(f->context, session, &key, f, NULL);
	for (int i = 0; i < 2 && status == JD_OK; i++) {
		spawn.registered = i == 1;
		exec_inside(f, session, spawn_one, &spawn);
		status = spawn.status;
		if (status == JD_OK)
			jd_task_detach(spawn.task);
	}
	count_allocator_fail(&f->memory, 0, 0);
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	exec_end(f, session);
	return status;
}

static void test_without_memory(void **state)
{
	struct exec_fixture *f = *state;
	unsigned refused = 0;
	jd_status status;

	do {
		struct exec_event event = {.set = true};

		count_allocator_fail(&f->memory, refused + 1, refused + 1);
		status = whole_life(f, &event);
		assert_true(status == JD_OK || status == JD_ENOMEM);
		count_allocator_fail(&f->memory, 0, 0);
		/* A future whose spawn failed is still the caller's. */
		assert_int_equal(event.drops, event.polls);
		refused++;
	} while (status != JD_OK);
	assert_true(refused > 4);
	for (refused = 0, status = JD_ENOMEM; status != JD_OK; refused++) {
		const struct jd_exec_production_options options = {.track_tasks = true,
								   .tasks_expected = 10000};
		struct jd_exec_context *context;

		count_allocator_fail(&f->memory, refused + 1, refused + 1);
		status = f->form == EXEC_SIMULATED
				 ? jd_exec_simulated_new(f->scheduler, NULL, &context)
				 : jd_exec_production_new(f->scheduler, &options, &context);
		count_allocator_fail(&f->memory, 0, 0);
		if (status == JD_OK)
			assert_int_equal(jd_exec_context_destroy(context), JD_OK);
		else
			assert_int_equal(status, JD_ENOMEM);
	}
	assert_true(refused > 17);
}

/* A scheduler that takes nothing leaves no trace in the session. */
static void test_closed_scheduler(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	struct spawn spawn = {.f = f, .event = &event};
	jd_exec_session session = exec_session_new(f);

	assert_int_equal(jd_scheduler_close(f->scheduler), JD_OK);
	exec_inside(f, session, spawn_one, &spawn);
	assert_int_equal(spawn.status, JD_ECLOSED);
	assert_int_equal(event.drops, 0);
	assert_int_equal(counts_of(f, session).spawned, 0);
	exec_end(f, session);
}

/* Neither a handle nor a waker, nor the order of the ends, makes a difference. */
static void test_end_in_another_order(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	jd_exec_session session = exec_session_new(f);
	struct jd_task *task = spawn_in(f, session, &event, true);

	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	assert_int_equal(jd_scheduler_destroy(f->scheduler), JD_OK);
	assert_int_equal(event.drops, 1);
	exec_end(f, session);
	assert_int_equal(jd_exec_context_destroy(f->context), JD_OK);
	assert_int_equal(jd_exec_context_destroy(f->second), JD_OK);
	jd_task_detach(task);
	exec_event_set(&event);
	f->context = f->second = NULL;
	f->test = NULL;
}

static void test_destroy_is_strict_about_sessions(void **state)
{
	struct exec_fixture *f = *state;
	struct jd_exec_context *context;
	struct exec_event event = {0};
	char text[256] = {0};
	FILE *report = tmpfile();
	const struct jd_exec_simulated_options options = {.report = report};
	jd_exec_session session;

	if (f->form == EXEC_SIMULATED) {
		assert_int_equal(jd_exec_simulated_new(f->scheduler, &options, &context), JD_OK);
		assert_int_equal(jd_exec_create_session(context, &session), JD_OK);
		assert_int_equal(jd_exec_context_destroy(context), JD_EBUSY);
		rewind(report);
		assert_true(fread(text, 1, sizeof(text) - 1, report) > 0);
		assert_non_null(strstr(text, "session 1 was never validated: 0 tasks running"));
	} else {
		struct jd_task *task = spawn_in(f, exec_session_new(f), &event, false);

		assert_int_equal(jd_exec_context_destroy(f->context), JD_OK);
		assert_int_equal(event.drops, 1);
		assert_int_equal(jd_task_join(task, NULL), JD_ECANCELED);
		f->context = NULL;
	}
	fclose(report);
}

static void test_dump(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	char text[512] = {0};
	jd_exec_session session = exec_session_new(f);
	struct jd_task *task = spawn_in(f, session, &event, true);
	FILE *out = tmpfile();

	jd_exec_context_dump(f->context, out);
	rewind(out);
	assert_true(fread(text, 1, sizeof(text) - 1, out) > 0);
	fclose(out);
	assert_non_null(strstr(text, "session 1 open: 0 running, 1 registered"));
	assert_non_null(strstr(text, "task 1 scheduled label=- registered, spawned at "));
	jd_task_drop(task);
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	exec_end(f, session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EXEC_TEST(test_caller_does_not_count),
		EXEC_TEST(test_permission_is_inherited),
		EXEC_TEST(test_too_late),
		EXEC_TEST(test_registering_a_task_that_runs),
		EXEC_TEST(test_cancel_waits_for_the_drops),
		EXEC_TEST(test_nobody_waits_for_himself),
		EXEC_TEST(test_join_until_a_deadline),
		EXEC_TEST(test_counts),
		EXEC_TEST(test_values),
		EXEC_TEST(test_latency_of_wait_until),
		EXEC_TEST(test_pass_through_and_delay),
		EXEC_TEST(test_every_kind_of_task),
		EXEC_TEST(test_which_tasks_run),
		EXEC_TEST(test_one_allocation_a_task),
		EXEC_TEST(test_without_memory),
		EXEC_TEST(test_closed_scheduler),
		EXEC_TEST(test_end_in_another_order),
		EXEC_TEST(test_destroy_is_strict_about_sessions),
		EXEC_TEST(test_dump),
	};

	return exec_fixture_run("exec tasks", tests, sizeof(tests) / sizeof(*tests));
}
