/* test_injector.c - the injector by one thread: order, lists, emptiness, check and dump. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deque/injector.h"

static void never_run(struct jd_runnable *self, struct jd_worker *worker)
{
	(void)self;
	(void)worker;
	fail_msg("an injector does not run anything");
}

static void never_cancel(struct jd_runnable *self)
{
	(void)self;
	fail_msg("an injector does not cancel anything");
}

static const struct jd_runnable_ops ops = {never_run, never_cancel, NULL};

enum {
	RUNNABLES = 16
};

struct fixture {
	struct jd_injector in;
	struct jd_runnable r[RUNNABLES];
};

static int set_up(void **state)
{
	static struct fixture f;

	jd_injector_init(&f.in);
	for (int i = 0; i < RUNNABLES; i++)
		f.r[i] = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
	*state = &f;
	return 0;
}

/* Links r[first..last] in this order. */
static struct jd_runnable *list(struct fixture *f, int first, int last)
{
	for (int i = first; i <= last; i++)
		f->r[i].next = i < last ? &f->r[i + 1] : NULL;
	return &f->r[first];
}

static void assert_takes(struct fixture *f, int first, int last)
{
	struct jd_runnable *r = jd_injector_take(&f->in);

	for (int i = first; i <= last; i++, r = r->next)
		assert_ptr_equal(r, &f->r[i]);
	assert_null(r);
	assert_true(jd_injector_empty(&f->in));
}

static void test_empty(void **state)
{
	struct fixture *f = *state;

	assert_true(jd_injector_empty(&f->in));
	assert_null(jd_injector_take(&f->in));
	assert_false(jd_injector_push_list(&f->in, NULL));
	assert_true(jd_injector_empty(&f->in));
	assert_true(jd_injector_check(&f->in, stderr));
}

static void test_fifo_and_who_was_first(void **state)
{
	struct fixture *f = *state;

	for (int lap = 0; lap < 3; lap++) {
		assert_true(jd_injector_push(&f->in, &f->r[0]));
		assert_false(jd_injector_empty(&f->in));
		for (int i = 1; i < RUNNABLES; i++)
			assert_false(jd_injector_push(&f->in, &f->r[i]));
		assert_true(jd_injector_check(&f->in, stderr));
		assert_takes(f, 0, RUNNABLES - 1);
	}
}

static void test_lists_keep_their_order(void **state)
{
	struct fixture *f = *state;

	assert_true(jd_injector_push_list(&f->in, list(f, 0, 4)));
	assert_false(jd_injector_push(&f->in, &f->r[5]));
	assert_false(jd_injector_push_list(&f->in, list(f, 6, 6)));
	assert_false(jd_injector_push_list(&f->in, list(f, 7, 9)));
	assert_true(jd_injector_check(&f->in, stderr));
	assert_takes(f, 0, 9);
}

static void test_what_was_taken_can_be_pushed_as_it_is(void **state)
{
	struct fixture *f = *state;
	struct jd_runnable *taken;

	jd_injector_push_list(&f->in, list(f, 0, 7));
	taken = jd_injector_take(&f->in);
	assert_true(jd_injector_push_list(&f->in, taken));
	assert_takes(f, 0, 7);
}

static void test_close_refuses_and_returns_the_rest(void **state)
{
	struct fixture *f = *state;

	jd_injector_push_list(&f->in, list(f, 0, 2));
	struct jd_runnable *rest = jd_injector_close(&f->in);

	for (int i = 0; i < 3; i++, rest = rest->next)
		assert_ptr_equal(rest, &f->r[i]);
	assert_null(rest);
	assert_int_equal(jd_injector_push(&f->in, &f->r[3]), JD_INJECTOR_CLOSED);
	assert_int_equal(jd_injector_push_list(&f->in, list(f, 4, 6)), JD_INJECTOR_CLOSED);
	for (int i = 4; i < 6; i++)
		assert_ptr_equal(f->r[i].next, &f->r[i + 1]);
	assert_null(f->r[6].next);
	assert_true(jd_injector_empty(&f->in));
	assert_null(jd_injector_take(&f->in));
	assert_null(jd_injector_close(&f->in));
	assert_true(jd_injector_check(&f->in, stderr));
}

static char *said(bool (*fn)(const struct jd_injector *, FILE *), const struct jd_injector *in)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	assert_false(fn(in, out));
	fclose(out);
	return text;
}

static void test_check_finds_each_damage(void **state)
{
	struct fixture *f = *state;
	char *text;

	/* Every length of the cycle and of the way into it. */
	for (int length = 1; length <= 5; length++) {
		for (int back = 0; back < length; back++) {
			jd_injector_init(&f->in);
			for (int i = 0; i < length; i++)
				jd_injector_push(&f->in, &f->r[i]);
			f->r[0].next = &f->r[back];
			text = said(jd_injector_check, &f->in);
			assert_string_equal(text, "injector: the chain is a cycle\n");
			free(text);
			assert_false(jd_injector_check(&f->in, NULL));
		}
	}
	jd_injector_init(&f->in);
	jd_injector_push(&f->in, &f->r[0]);
	jd_injector_push(&f->in, &f->r[1]);
	f->r[0].ops = &(const struct jd_runnable_ops){.cancel = never_cancel};
	assert_false(jd_injector_check(&f->in, NULL));
	f->r[0].ops = &(const struct jd_runnable_ops){.run = never_run};
	assert_false(jd_injector_check(&f->in, NULL));
	f->r[0].ops = NULL;
	text = said(jd_injector_check, &f->in);
	assert_string_equal(text, "injector: a runnable without operations\n");
	free(text);
}

static bool dump_and_no(const struct jd_injector *in, FILE *out)
{
	jd_injector_dump(in, out);
	return false;
}

static void test_dump(void **state)
{
	struct fixture *f = *state;
	char *text = said(dump_and_no, &f->in);

	assert_string_equal(text, "injector: empty\n");
	free(text);
	jd_injector_push(&f->in, &f->r[0]);
	text = said(dump_and_no, &f->in);
	assert_string_equal(text, "injector: not empty\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty, set_up),
		cmocka_unit_test_setup(test_fifo_and_who_was_first, set_up),
		cmocka_unit_test_setup(test_close_refuses_and_returns_the_rest, set_up),
		cmocka_unit_test_setup(test_lists_keep_their_order, set_up),
		cmocka_unit_test_setup(test_what_was_taken_can_be_pushed_as_it_is, set_up),
		cmocka_unit_test_setup(test_check_finds_each_damage, set_up),
		cmocka_unit_test_setup(test_dump, set_up),
	};

	return cmocka_run_group_tests_name("injector", tests, NULL, NULL);
}
