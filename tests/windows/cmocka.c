/* cmocka.c - what our tests use of cmocka, where it is not packaged (MinGW). */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/windows/cmocka.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum outcome {
	FAILED = 1,
	SKIPPED,
};

static jmp_buf back;

_Noreturn void jd_cmocka_end(const char *file, int line, const char *format, ...)
{
	va_list args;

	if (!format)
		longjmp(back, SKIPPED);
	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	longjmp(back, FAILED);
}

void print_message(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

void print_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}

void jd_cmocka_true(int good, const char *what, const char *file, int line)
{
	if (!good)
		jd_cmocka_end(file, line, "not true: %s", what);
}

void jd_cmocka_int(uintmax_t a, uintmax_t b, int equal, const char *file, int line)
{
	if ((a == b) != equal)
		jd_cmocka_end(file, line, "%#" PRIxMAX " %s %#" PRIxMAX, a, equal ? "!=" : "==", b);
}

void jd_cmocka_string(const char *a, const char *b, const char *file, int line)
{
	if (strcmp(a, b) != 0)
		jd_cmocka_end(file, line, "\"%s\" != \"%s\"", a, b);
}

void jd_cmocka_memory(const void *a, const void *b, size_t n, const char *file, int line)
{
	if (memcmp(a, b, n) != 0)
		jd_cmocka_end(file, line, "memory differs");
}

void jd_cmocka_range(uintmax_t v, uintmax_t min, uintmax_t max, const char *file, int line)
{
	if (v < min || v > max)
		jd_cmocka_end(file, line, "%" PRIuMAX " not in %" PRIuMAX "..%" PRIuMAX, v, min,
			      max);
}

/* As a test that fails leaves no frame of its own, what must survive that is not a local here. */
static int run_one(const struct CMUnitTest *test, void *state)
{
	int outcome = setjmp(back);

	if (outcome)
		return outcome;
	if (test->setup && test->setup(&state) != 0)
		return FAILED;
	test->test(&state);
	return test->teardown && test->teardown(&state) != 0 ? FAILED : 0;
}

int jd_cmocka_run(const char *group, const struct CMUnitTest *tests, size_t n,
		  int (*setup)(void **state), int (*teardown)(void **state))
{
	static const char *const names[] = {"      OK", " FAILED ", " SKIPPED"};
	unsigned count[3] = {0, 0, 0};
	void *state = NULL;

	if (setup && setup(&state) != 0)
		return 1;
	for (size_t i = 0; i < n; i++) {
		printf("[ RUN      ] %s\n", tests[i].name);
		fflush(stdout);
		int outcome = run_one(&tests[i], state);

		count[outcome]++;
		printf("[ %s ] %s\n", names[outcome], tests[i].name);
		fflush(stdout);
	}
	if (teardown && teardown(&state) != 0)
		count[FAILED]++;
	printf("%s: %u skipped; %u passed, %u failed\n", group, count[SKIPPED], count[0],
	       count[FAILED]);
	return (int)count[FAILED];
}
