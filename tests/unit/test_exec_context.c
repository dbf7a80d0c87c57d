/* test_exec_context.c - what each call of an execution context says and does, in both forms. */
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
#include <jackdaw/exec_context.h>
#include <jackdaw/main_loop.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/ws_scheduler.h>

#include "tests/testlib/exec_fixture.h"
#include "tests/testlib/hand_scheduler.h"

/* --- What went wrong is told apart ------------------------------------------------------------ */

static void ignore(void *arg)
{
	(void)arg;
}

static void test_unknown_session(void **state)
{
	struct exec_fixture *f = *state;
	struct jd_exec_counts counts;
	struct jd_exec_join join;
	int key;

	for (jd_exec_session id = 0; id <= 99; id += 99) {
		assert_int_equal(jd_exec_validate_session_cleanup(f->context, id, NULL), JD_ENOENT);
		assert_int_equal(jd_exec_with_session(f->context, id, ignore, NULL), JD_ENOENT);
		assert_int_equal(jd_exec_session_cancel(f->context, id), JD_ENOENT);
		assert_int_equal(jd_exec_session_join(f->context, id, 0), JD_ENOENT);
		assert_int_equal(jd_exec_session_counts(f->context, id, &counts), JD_ENOENT);
		assert_int_equal(jd_exec_session_set(f->context, id, &key, f, NULL), JD_ENOENT);
		assert_int_equal(jd_exec_join_init(&join, f->context, id), JD_ENOENT);
		assert_int_equal(jd_exec_cancel_init(&join, f->context, id), JD_ENOENT);
	}
	assert_int_equal(jd_exec_set_current_session(f->context, 99), JD_ENOENT);
	assert_null(jd_exec_session_get(f->context, &key));
}

static void test_wait_until_outside_of_a_session(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	struct exec_wait wait = exec_wait_make(&event);
	struct jd_task *task = NULL;

	assert_int_equal(jd_exec_wait_until(f->context, &wait.base, &task), JD_EPERM);
	assert_int_equal(jd_exec_wait_until_task(f->context, 1), JD_EPERM);
	/* It is still the caller's, and nothing was left. */
	assert_null(task);
	assert_int_equal(event.drops, 0);
	assert_int_equal(jd_scheduler_task_count(f->scheduler), 0);
}

static void test_validating_twice(void **state)
{
	struct exec_fixture *f = *state;
	jd_exec_session session = exec_session_new(f);

	assert_int_equal(jd_exec_validate_session_cleanup(f->context, session, NULL), JD_OK);
	assert_int_equal(jd_exec_validate_session_cleanup(f->context, session, NULL), JD_EALREADY);
	assert_int_equal(jd_exec_session_cancel(f->context, session), JD_EALREADY);
	assert_int_equal(jd_exec_with_session(f->context, session, ignore, NULL), JD_EALREADY);
	assert_int_equal(jd_exec_set_current_session(f->context, session), JD_EALREADY);
	/* Waiting for what is over is no mistake. */
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	/* A cancelled one is over too. */
	session = exec_session_new(f);
	assert_int_equal(jd_exec_session_cancel(f->context, session), JD_OK);
	assert_int_equal(jd_exec_session_cancel(f->context, session), JD_EALREADY);
	assert_int_equal(jd_exec_validate_session_cleanup(f->context, session, NULL), JD_EALREADY);
}

static void test_bad_arguments(void **state)
{
	struct exec_fixture *f = *state;
	struct jd_exec_cleanup cleanup = {.capacity = 1};
	struct jd_exec_context *context;
	jd_exec_session session = exec_session_new(f);

	assert_int_equal(jd_exec_production_new(NULL, NULL, &context), JD_EINVAL);
	assert_int_equal(jd_exec_production_new(f->scheduler, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_exec_simulated_new(NULL, NULL, &context), JD_EINVAL);
	assert_int_equal(jd_exec_simulated_new(f->scheduler, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_exec_create_session(NULL, &session), JD_EINVAL);
	assert_int_equal(jd_exec_create_session(f->context, NULL), JD_EINVAL);
	assert_int_equal(jd_exec_with_session(f->context, session, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_exec_session_set(f->context, session, NULL, f, NULL), JD_EINVAL);
	assert_int_equal(jd_exec_session_counts(f->context, session, NULL), JD_EINVAL);
	assert_int_equal(jd_exec_validate_session_cleanup(f->context, session, &cleanup),
			 JD_EINVAL);
	assert_int_equal(jd_exec_spawn(f->context, NULL, NULL), JD_EINVAL);
	assert_int_equal(jd_exec_context_destroy(NULL), JD_OK);
	assert_false(jd_exec_is_task_running(f->context, 0));
	assert_int_equal(jd_exec_validate_session_cleanup(f->context, session, NULL), JD_OK);
}

/* --- A cleanup that fails --------------------------------------------------------------------- */

struct spawn_three {
	struct exec_fixture *f;
	struct exec_event event;
	struct jd_task *tasks[3];
	int line;
};

static void spawn_three(void *arg)
{
	struct spawn_three *self = arg;
	struct jd_exec_context *context = self->f->context;
	struct exec_wait wait = exec_wait_make(&self->event);

	for (int i = 0; i < 3; i++) {
		self->line = __LINE__ + 1;
		exec_check(jd_exec_spawn_labeled(context, &wait.base, "left", &self->tasks[i]));
	}
	exec_check(jd_exec_wait_until(context, &wait.base, NULL));
}

static void test_cleanup_names_what_is_left(void **state)
{
	struct exec_fixture *f = *state;
	struct spawn_three three = {.f = f};
	struct jd_runnable_info room[2];
	struct jd_exec_cleanup cleanup = {.tasks = room, .capacity = 2};
	char want[128], text[1024] = {0};
	jd_exec_session session = exec_session_new(f);
	FILE *out = tmpfile();

	exec_inside(f, session, spawn_three, &three);
	assert_int_equal(jd_exec_validate_session_cleanup(f->context, session, &cleanup), JD_EBUSY);
	assert_int_equal(cleanup.count, 3);
	assert_int_equal(cleanup.listed, 2);
	assert_int_equal(cleanup.session, session);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(room[i].id, jd_task_get_id(three.tasks[i]));
		assert_string_equal(room[i].label, "left");
	}
	jd_exec_cleanup_print(&cleanup, out);
	rewind(out);
	assert_true(fread(text, 1, sizeof(text) - 1, out) > 0);
	fclose(out);
	snprintf(want, sizeof(want), "session %llu: 3 tasks left", (unsigned long long)session);
	assert_non_null(strstr(text, want));
	snprintf(want, sizeof(want), "task %llu scheduled label \"left\", spawned at ",
		 (unsigned long long)room[1].id);
	assert_non_null(strstr(text, want));
	snprintf(want, sizeof(want), "test_exec_context.c:%d\n", three.line);
	assert_non_null(strstr(text, want));
	assert_non_null(strstr(text, "and 1 more"));
	/* It is as before: clean once they are gone, but for the one that is registered. */
	for (int i = 0; i < 3; i++)
		jd_task_drop(three.tasks[i]);
	assert_int_equal(jd_test_run_until_parked(f->test), JD_OK);
	assert_int_equal(jd_exec_validate_session_cleanup(f->context, session, &cleanup), JD_OK);
	assert_int_equal(cleanup.count, 0);
	exec_event_set(&three.event);
	assert_int_equal(jd_exec_session_join(f->context, session, JD_NEVER), JD_OK);
	assert_int_equal(three.event.drops, 4);
}

/* --- The session of a poll -------------------------------------------------------------------- */

struct nest {
	struct exec_fixture *f;
	jd_exec_session sessions[2];
	unsigned depth, calls;
};

static void nest(void *arg)
{
	struct nest *self = arg;
	struct jd_exec_context *context = self->f->context;
	jd_exec_session here = self->sessions[self->depth % 2];

	self->calls++;
	exec_expect(self->f, jd_exec_get_current_session(context) == here);
	if (self->depth < 5) {
		self->depth++;
		exec_check(
			jd_exec_with_session(context, self->sessions[self->depth % 2], nest, self));
		self->depth--;
	}
	exec_expect(self->f, jd_exec_get_current_session(context) == here);
	/* Also when it was replaced inside. */
	exec_check(jd_exec_set_current_session(context, self->sessions[1 - self->depth % 2]));
	exec_expect(self->f, jd_exec_get_current_session(context) != here);
}

static void test_sessions_nest(void **state)
{
	struct exec_fixture *f = *state;
	struct nest self = {.f = f, .sessions = {exec_session_new(f), exec_session_new(f)}};

	assert_int_equal(jd_exec_get_current_session(f->context), 0);
	exec_inside(f, self.sessions[0], nest, &self);
	assert_int_equal(self.calls, 6);
	assert_int_equal(jd_exec_get_current_session(f->context), 0);
	exec_end(f, self.sessions[0]);
	exec_end(f, self.sessions[1]);
}

/* Spawns a child in its second poll; each notes where every poll happens. */
struct family {
	struct exec_fixture *f;
	jd_exec_session session;
	unsigned polls, generations;
};

struct member {
	struct jd_future base;
	struct family *family;
	unsigned polls;
};

static jd_status member_poll(struct jd_future *future, struct jd_context *context, void *result);

static void member_spawn(void *arg)
{
	static const struct jd_future_ops ops = {.poll = member_poll,
						 .size = sizeof(struct member)};
	struct member member = {.base = {&ops}, .family = arg};

	exec_check(jd_exec_spawn(member.family->f->context, &member.base, NULL));
}

static jd_status member_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct member *self = jd_container_of(future, struct member, base);
	struct family *family = self->family;

	(void)result;
	exec_expect(family->f, jd_exec_get_current_session(family->f->context) == family->session);
	family->polls++;
	if (++self->polls == 2 && family->generations++ < 3)
		member_spawn(family);
	if (self->polls == 4)
		return JD_OK;
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

static void test_polls_and_children(void **state)
{
	struct exec_fixture *f = *state;
	struct family family = {.f = f, .session = exec_session_new(f)};

	exec_inside(f, family.session, member_spawn, &family);
	assert_int_equal(jd_exec_session_join(f->context, family.session, JD_NEVER), JD_OK);
	assert_int_equal(family.polls, 4 * 4);
	exec_end(f, family.session);
}

static jd_status see_none(void *arg, struct jd_context *context, void **result)
{
	struct nest *self = arg;

	(void)context;
	(void)result;
	self->calls++;
	exec_expect(self->f, jd_exec_get_current_session(self->f->context) == 0);
	/* Nobody would restore it. */
	exec_expect(self->f,
		    jd_exec_set_current_session(self->f->context, self->sessions[0]) == JD_EPERM);
	return JD_OK;
}

static void spawn_plain(struct nest *self)
{
	struct jd_fn_future future;

	exec_check(jd_fn_future_init(&future, see_none, NULL, self));
	exec_check(jd_spawn(self->f->scheduler, &future.base, NULL));
}

/* What others run on the stack of a call that waits is not in its session. */
static void wait_inside(void *arg)
{
	struct nest *self = arg;
	struct jd_sleep nap;

	spawn_plain(self);
	jd_sleep_init(&nap, JD_MS);
	exec_expect(self->f, jd_block(self->f->scheduler, &nap.base, NULL) == JD_OK);
	jd_future_drop(&nap.base);
	exec_expect(self->f, self->calls == 1);
	spawn_plain(self);
	exec_expect(self->f, jd_test_run_until_parked(self->f->test) == JD_OK);
	exec_expect(self->f, self->calls == 2);
	exec_expect(self->f, jd_exec_get_current_session(self->f->context) == self->sessions[0]);
}

static void test_others_on_the_stack(void **state)
{
	struct exec_fixture *f = *state;
	struct nest self = {.f = f, .sessions = {exec_session_new(f)}};

	exec_inside(f, self.sessions[0], wait_inside, &self);
	/* Nor in one that the thread itself has. */
	assert_int_equal(jd_exec_set_current_session(f->context, self.sessions[0]), JD_OK);
	wait_inside(&(struct nest){.f = f, .sessions = {self.sessions[0]}});
	assert_int_equal(jd_exec_set_current_session(f->context, 0), JD_OK);
	exec_end(f, self.sessions[0]);
}

static void set_other(void *arg)
{
	struct exec_fixture *f = arg;

	exec_expect(f, jd_exec_set_current_session(f->second, 1) == JD_EPERM);
}

static void test_set_current_session(void **state)
{
	struct exec_fixture *f = *state;
	struct exec_event event = {0};
	struct exec_wait wait = exec_wait_make(&event);
	struct jd_exec_counts counts;
	jd_exec_session session = exec_session_new(f), second;

	assert_int_equal(jd_exec_create_session(f->second, &second), JD_OK);
	assert_int_equal(jd_exec_set_current_session(f->context, session), JD_OK);
	assert_int_equal(jd_exec_get_current_session(f->context), session);
	assert_int_equal(jd_exec_get_current_session(f->second), 0);
	assert_int_equal(jd_exec_set_current_session(f->second, second), JD_EBUSY);
	assert_int_equal(jd_exec_spawn(f->context, &wait.base, NULL), JD_OK);
	assert_int_equal(jd_exec_session_counts(f->context, session, &counts), JD_OK);
	assert_int_equal(counts.running, 1);
	assert_int_equal(jd_exec_set_current_session(f->context, 0), JD_OK);
	assert_int_equal(jd_exec_get_current_session(f->context), 0);
	assert_int_equal(jd_exec_with_session(f->context, session, set_other, f), JD_OK);
	assert_int_equal(jd_exec_session_cancel(f->context, session), JD_OK);
	assert_int_equal(event.drops, 1);
	assert_int_equal(jd_exec_validate_session_cleanup(f->second, second, NULL), JD_OK);
}

/* --- On other schedulers ---------------------------------------------------------------------- */

struct elsewhere {
	struct jd_scheduler *scheduler;
	struct hand_scheduler *hand; /* NULL: it has a main loop */
	struct jd_exec_context *contexts[2];
	jd_exec_session sessions[2];
	unsigned polls;
	const char *wrong;
};

static jd_status see_nothing_of_the_first(void *arg, struct jd_context *context, void **result)
{
	struct elsewhere *self = arg;

	(void)context;
	self->polls++;
	if (jd_exec_get_current_session(self->contexts[0]) != 0)
		self->wrong = "a session of somebody else's call";
	*result = NULL;
	return JD_OK;
}

static void spawn_in_the_second(void *arg)
{
	struct elsewhere *self = arg;
	struct jd_fn_future future;

	exec_check(jd_fn_future_init(&future, see_nothing_of_the_first, NULL, self));
	exec_check(jd_exec_spawn(self->contexts[1], &future.base, NULL));
}

/* A scheduler that knows nothing of sessions runs others here: by hand, and in a park. */
static void run_by_hand(void *arg)
{
	struct elsewhere *self = arg;
	struct jd_fn_future future;
	struct jd_task *task;

	exec_check(jd_exec_with_session(self->contexts[1], self->sessions[1], spawn_in_the_second,
					self));
	hand_run_all(self->hand);
	exec_check(jd_fn_future_init(&future, see_nothing_of_the_first, NULL, self));
	exec_check(jd_spawn(self->scheduler, &future.base, &task));
	exec_check(jd_task_join(task, NULL));
}

static void test_scheduler_without_barriers(void **state)
{
	struct count_allocator memory;
	struct elsewhere self = {0};

	(void)state;
	count_allocator_init(&memory);
	self.hand = hand_new(&memory);
	self.scheduler = &self.hand->base;
	for (int i = 0; i < 2; i++) {
		exec_check(jd_exec_production_new(self.scheduler, NULL, &self.contexts[i]));
		exec_check(jd_exec_create_session(self.contexts[i], &self.sessions[i]));
	}
	exec_check(jd_exec_with_session(self.contexts[0], self.sessions[0], run_by_hand, &self));
	assert_int_equal(self.polls, 2);
	assert_null(self.wrong);
	for (int i = 0; i < 2; i++)
		assert_int_equal(jd_exec_context_destroy(self.contexts[i]), JD_OK);
	hand_destroy(self.hand);
	assert_int_equal(count_allocator_live(&memory), 0);
}

static void dispatch_inside(void *arg)
{
	struct elsewhere *self = arg;
	struct jd_fn_future future;

	exec_check(jd_fn_future_init(&future, see_nothing_of_the_first, NULL, self));
	exec_check(jd_spawn_foreground(self->scheduler, 1, &future.base, NULL));
	exec_check(jd_main_loop_dispatch(self->scheduler, JD_SEC));
}

static void test_main_loop_inside_a_session(void **state)
{
	const struct jd_ws_options options = {.workers = 2, .main_thread = true};
	struct elsewhere self = {0};

	(void)state;
	exec_check(jd_ws_scheduler_new(&options, &self.scheduler));
	exec_check(jd_exec_production_new(self.scheduler, NULL, &self.contexts[0]));
	exec_check(jd_exec_create_session(self.contexts[0], &self.sessions[0]));
	exec_check(
		jd_exec_with_session(self.contexts[0], self.sessions[0], dispatch_inside, &self));
	assert_int_equal(self.polls, 1);
	assert_null(self.wrong);
	assert_int_equal(jd_exec_context_destroy(self.contexts[0]), JD_OK);
	assert_int_equal(jd_scheduler_destroy(self.scheduler), JD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EXEC_TEST(test_unknown_session),
		EXEC_TEST(test_wait_until_outside_of_a_session),
		EXEC_TEST(test_validating_twice),
		EXEC_TEST(test_bad_arguments),
		EXEC_TEST(test_cleanup_names_what_is_left),
		EXEC_TEST(test_sessions_nest),
		EXEC_TEST(test_polls_and_children),
		EXEC_TEST(test_others_on_the_stack),
		EXEC_TEST(test_set_current_session),
		cmocka_unit_test(test_scheduler_without_barriers),
		cmocka_unit_test(test_main_loop_inside_a_session),
	};

	return exec_fixture_run("exec context", tests, sizeof(tests) / sizeof(*tests));
}
