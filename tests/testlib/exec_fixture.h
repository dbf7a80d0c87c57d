/* exec_fixture.h - tests of one session at a time, on the test scheduler, in every form. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_EXEC_FIXTURE_H
#define JD_TESTS_TESTLIB_EXEC_FIXTURE_H

/* After <cmocka.h>. */
#include <jackdaw/exec_context.h>
#include <jackdaw/test_scheduler.h>

#include "tests/conformance/count_allocator.h"

enum exec_form {
	EXEC_SIMULATED,
	EXEC_PRODUCTION,
	EXEC_TRACKING,
	EXEC_FORMS,
};

/* Fresh for each test; its teardown finds tasks, sessions and memory that are left. */
struct exec_fixture {
	enum exec_form form;
	struct count_allocator memory;
	struct jd_test_scheduler *test;
	struct jd_scheduler *scheduler;
	struct jd_exec_context *context;
	struct jd_exec_context *second;
	const char *failed; /* the first expectation that was not met inside a call or poll */
};

int exec_fixture_setup(void **state);
int exec_fixture_teardown(void **state);

/* A cmocka test with the fixture as its state; the form is that of the current pass. */
#define EXEC_TEST(fn_) \
	cmocka_unit_test_setup_teardown(fn_, exec_fixture_setup, exec_fixture_teardown)

/* Runs the tests once in each form; for main. */
int exec_fixture_run(const char *name, const struct CMUnitTest *tests, size_t count);

jd_exec_session exec_session_new(struct exec_fixture *f);
/* Calls fn(arg) in the session. */
void exec_inside(struct exec_fixture *f, jd_exec_session session, void (*fn)(void *arg), void *arg);
/* Validates it. */
void exec_end(struct exec_fixture *f, jd_exec_session session);

/* A cmocka assertion must not leave a session's call or a poll: there, one of these. */
void exec_note(struct exec_fixture *f, const char *what);
#define exec_expect(f_, cond_) ((cond_) ? (void)0 : exec_note((f_), JD_SITE ": " #cond_))
/* Aborts: nothing can go on. */
void exec_check_at(jd_status status, const char *site);
#define exec_check(call_) exec_check_at((call_), JD_SITE)

/* Something that tasks wait for, and what became of them. */
struct exec_event {
	struct jd_waker wakers[8];
	size_t count;
	bool set;
	unsigned polls, drops, result_drops;
	uint64_t first_poll_ns, drop_ns; /* of the last one */
};

void exec_event_set(struct exec_event *event);

/* A future that waits for the event; its result is the event. */
struct exec_wait {
	struct jd_future base;
	struct exec_event *event;
	struct jd_scheduler *scheduler;
};

struct exec_wait exec_wait_make(struct exec_event *event);

#endif
