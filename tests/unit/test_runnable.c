/* test_runnable.c - checked builds catch what happens to a runnable while it is queued. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/scheduler.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/compiler.h"
#include "tests/testlib/death.h"

static void do_nothing(struct jd_runnable *self, struct jd_worker *worker)
{
	(void)self;
	(void)worker;
}

static void cancel_nothing(struct jd_runnable *self)
{
	(void)self;
}

static const struct jd_runnable_ops ops = {.run = do_nothing, .cancel = cancel_nothing};

static struct jd_scheduler *new_test(void)
{
	struct jd_test_scheduler *ts;

	return jd_test_scheduler_new(NULL, &ts) == JD_OK ? jd_test_scheduler_base(ts) : NULL;
}

/* Its main thread does not run while we look away, so foreground work stays queued. */
static struct jd_scheduler *new_ws(void)
{
	const struct jd_ws_options options = {.main_thread = true};
	struct jd_scheduler *scheduler;

	return jd_ws_scheduler_new(&options, &scheduler) == JD_OK ? scheduler : NULL;
}

struct kind {
	struct jd_scheduler *(*make)(void);
	jd_session_id session; /* 0: background */
};

static jd_status put(const struct kind *kind, struct jd_scheduler *scheduler,
		     struct jd_runnable *runnable)
{
	return kind->session ? jd_schedule_foreground(scheduler, runnable, kind->session)
			     : jd_schedule(scheduler, runnable);
}

static void schedule_twice(void *arg)
{
	const struct kind *kind = arg;
	struct jd_scheduler *scheduler = kind->make();
	struct jd_runnable runnable = JD_RUNNABLE_INIT(&ops);

	if (put(kind, scheduler, &runnable) == JD_OK && put(kind, scheduler, &runnable) == JD_OK)
		jd_scheduler_destroy(scheduler);
}

/* What freeing and using the memory for something else does. */
static void overwrite(void *arg)
{
	const struct kind *kind = arg;
	struct jd_scheduler *scheduler = kind->make();
	struct jd_runnable runnable = JD_RUNNABLE_INIT(&ops);

	if (put(kind, scheduler, &runnable) != JD_OK)
		return;
	memset(&runnable, 0, sizeof(runnable));
	jd_scheduler_destroy(scheduler);
}

static struct kind kinds[] = {{new_test, 0}, {new_test, 7}, {new_ws, 7}};

static void test_twice(void **state)
{
	(void)state;
	if (!JD_CHECKED)
		skip();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		assert_true(death_aborts(schedule_twice, &kinds[i],
					 "BUG IN CLIENT: a runnable was scheduled while"));
}

static void test_overwritten(void **state)
{
	(void)state;
	if (!JD_CHECKED)
		skip();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		assert_true(death_aborts(overwrite, &kinds[i],
					 "BUG IN CLIENT: a runnable was freed or overwritten"));
}

static void test_again_after_the_run(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct jd_scheduler *scheduler = kinds[i].make();
		struct jd_runnable runnable = JD_RUNNABLE_INIT(&ops);

		assert_non_null(scheduler);
		assert_int_equal(put(&kinds[i], scheduler, &runnable), JD_OK);
		assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
		scheduler = kinds[i].make();
		assert_int_equal(put(&kinds[i], scheduler, &runnable), JD_OK);
		assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_overwritten),
		cmocka_unit_test(test_again_after_the_run),
	};

	return cmocka_run_group_tests_name("runnable", tests, NULL, NULL);
}
