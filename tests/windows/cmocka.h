/* cmocka.h - what our tests use of cmocka, where it is not packaged (MinGW). */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMOCKA_H
#define CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * Same names, same meaning, written anew: the tests themselves need no change. As with cmocka the
 * asserts are for the thread that runs the test. The last line printed is "N passed, N failed".
 */
struct CMUnitTest {
	const char *name;
	void (*test)(void **state);
	int (*setup)(void **state);
	int (*teardown)(void **state);
};

/* clang-format off */
#define cmocka_unit_test(f) {#f, f, NULL, NULL}
#define cmocka_unit_test_setup(f, setup) {#f, f, setup, NULL}
#define cmocka_unit_test_teardown(f, teardown) {#f, f, NULL, teardown}
#define cmocka_unit_test_setup_teardown(f, setup, teardown) {#f, f, setup, teardown}
/* clang-format on */
#define cmocka_run_group_tests(tests, setup, teardown) \
	cmocka_run_group_tests_name(#tests, tests, setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
	jd_cmocka_run(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

/* Returns how many failed. */
int jd_cmocka_run(const char *group, const struct CMUnitTest *tests, size_t n,
		  int (*setup)(void **state), int (*teardown)(void **state));

/* What the macro stands for in cmocka, for callers whose table is an argument. */
#define _cmocka_run_group_tests(name, tests, n, setup, teardown) \
	jd_cmocka_run(name, tests, n, setup, teardown)

/* Ends the test: failed with a message, or skipped when format is NULL. */
_Noreturn void jd_cmocka_end(const char *file, int line, const char *format, ...)
	__attribute__((format(gnu_printf, 3, 4)));

void print_message(const char *format, ...) __attribute__((format(gnu_printf, 1, 2)));
void print_error(const char *format, ...) __attribute__((format(gnu_printf, 1, 2)));

void jd_cmocka_true(int good, const char *what, const char *file, int line);
/* Fails unless (a == b) == equal. */
void jd_cmocka_int(uintmax_t a, uintmax_t b, int equal, const char *file, int line);
void jd_cmocka_string(const char *a, const char *b, const char *file, int line);
void jd_cmocka_memory(const void *a, const void *b, size_t n, const char *file, int line);
void jd_cmocka_range(uintmax_t v, uintmax_t min, uintmax_t max, const char *file, int line);

#define fail_msg(...) jd_cmocka_end(__FILE__, __LINE__, __VA_ARGS__)
#define fail() jd_cmocka_end(__FILE__, __LINE__, "failed")
#define skip() jd_cmocka_end(__FILE__, __LINE__, NULL)
#define assert_true(c) jd_cmocka_true(!!(c), #c, __FILE__, __LINE__)
#define assert_false(c) jd_cmocka_true(!(c), "!(" #c ")", __FILE__, __LINE__)
#define assert_null(p) jd_cmocka_true((p) == NULL, #p " == NULL", __FILE__, __LINE__)
#define assert_non_null(p) jd_cmocka_true((p) != NULL, #p " != NULL", __FILE__, __LINE__)
#define assert_int_equal(a, b) jd_cmocka_int((uintmax_t)(a), (uintmax_t)(b), 1, __FILE__, __LINE__)
#define assert_int_not_equal(a, b) \
	jd_cmocka_int((uintmax_t)(a), (uintmax_t)(b), 0, __FILE__, __LINE__)
#define assert_ptr_equal(a, b) jd_cmocka_int((uintptr_t)(a), (uintptr_t)(b), 1, __FILE__, __LINE__)
#define assert_ptr_not_equal(a, b) \
	jd_cmocka_int((uintptr_t)(a), (uintptr_t)(b), 0, __FILE__, __LINE__)
#define assert_string_equal(a, b) jd_cmocka_string(a, b, __FILE__, __LINE__)
#define assert_memory_equal(a, b, n) jd_cmocka_memory(a, b, n, __FILE__, __LINE__)
#define assert_in_range(v, min, max) \
	jd_cmocka_range((uintmax_t)(v), (uintmax_t)(min), (uintmax_t)(max), __FILE__, __LINE__)

#endif
