/* exec_fixture.c - tests of one session at a time, on the test scheduler, in every form. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "platform/platform.h"
#include "tests/testlib/exec_fixture.h"

static enum exec_form form;
static struct exec_fixture fixture;

static jd_status make(struct exec_fixture *f, struct jd_exec_context **context)
{
	const struct jd_exec_production_options options = {.track_tasks = f->form == EXEC_TRACKING};

	return f->form == EXEC_SIMULATED ? jd_exec_simulated_new(f->scheduler, NULL, context)
					 : jd_exec_production_new(f->scheduler, &options, context);
}

int exec_fixture_setup(void **state)
{
	struct exec_fixture *f = &fixture;

	*f = (struct exec_fixture){.form = form};
	count_allocator_init(&f->memory);
	const struct jd_test_options options = {.name = "exec", .allocator = &f->memory.base};

	exec_check(jd_test_scheduler_new(&options, &f->test));
	f->scheduler = jd_test_scheduler_base(f->test);
	exec_check(make(f, &f->context));
	exec_check(make(f, &f->second));
	*state = f;
	return 0;
}

/* A test that ends one of these itself sets it to NULL. */
int exec_fixture_teardown(void **state)
{
	struct exec_fixture *f = *state;

	if (f->failed)
		fail_msg("%s", f->failed);
	assert_int_equal(jd_exec_context_destroy(f->second), JD_OK);
	assert_int_equal(jd_exec_context_destroy(f->context), JD_OK);
	assert_int_equal(jd_test_end(f->test), JD_OK);
	assert_int_equal(count_allocator_live(&f->memory), 0);
	assert_int_equal(f->memory.misfits, 0);
	return 0;
}

int exec_fixture_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	static const char *const forms[] = {"simulated", "production", "tracking"};
	int failed = 0;

	for (form = EXEC_SIMULATED; form < EXEC_FORMS; form++) {
		char group[64];

		snprintf(group, sizeof(group), "%s, %s", name, forms[form]);
		failed += _cmocka_run_group_tests(group, tests, count, NULL, NULL);
	}
	return failed;
}

void exec_note(struct exec_fixture *f, const char *what)
{
	if (!f->failed)
		f->failed = what;
}

void exec_check_at(jd_status status, const char *site)
{
	if (status == JD_OK)
		return;
	fprintf(stderr, "%s: %s\n", site, jd_status_text(status));
	jd_panic("TEST", "a call failed that the test needs", __FILE__, __LINE__);
}

jd_exec_session exec_session_new(struct exec_fixture *f)
{
	jd_exec_session session;

	exec_check(jd_exec_create_session(f->context, &session));
	return session;
}

void exec_inside(struct exec_fixture *f, jd_exec_session session, void (*fn)(void *arg), void *arg)
{
	exec_check(jd_exec_with_session(f->context, session, fn, arg));
}

void exec_end(struct exec_fixture *f, jd_exec_session session)
{
	assert_int_equal(jd_exec_validate_session_cleanup(f->context, session, NULL), JD_OK);
}

/* --- Events ----------------------------------------------------------------------------------- */

static jd_status wait_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct exec_wait *self = jd_container_of(future, struct exec_wait, base);
	struct exec_event *event = self->event;

	self->scheduler = context->scheduler;
	if (event->polls++ == 0)
		event->first_poll_ns = jd_now(context->scheduler);
	if (event->set) {
		*(struct exec_event **)result = event;
		return JD_OK;
	}
	JD_ASSERT(event->count < sizeof(event->wakers) / sizeof(*event->wakers));
	event->wakers[event->count++] = jd_waker_clone(context->waker);
	return JD_PENDING;
}

static void wait_drop(struct jd_future *future)
{
	struct exec_wait *self = jd_container_of(future, struct exec_wait, base);

	self->event->drops++;
	if (self->scheduler)
		self->event->drop_ns = jd_now(self->scheduler);
}

static void wait_drop_result(void *result)
{
	(*(struct exec_event **)result)->result_drops++;
}

struct exec_wait exec_wait_make(struct exec_event *event)
{
	static const struct jd_future_ops ops = {
		.poll = wait_poll,
		.drop = wait_drop,
		.drop_result = wait_drop_result,
		.size = sizeof(struct exec_wait),
		.result_size = sizeof(struct exec_event *),
	};

	return (struct exec_wait){.base = {&ops}, .event = event};
}

void exec_event_set(struct exec_event *event)
{
	event->set = true;
	while (event->count > 0)
		jd_waker_wake(&event->wakers[--event->count]);
}
