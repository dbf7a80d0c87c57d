/* test_version.c - the version's three forms agree. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <jackdaw/version.h>

static void test_version_forms_agree(void **state)
{
	char text[32];

	(void)state;
	snprintf(text, sizeof(text), "%d.%d.%d", jd_version_number() / 10000,
		 jd_version_number() / 100 % 100, jd_version_number() % 100);
	assert_string_equal(jd_version(), text);
	assert_string_equal(jd_version(), JD_VERSION_STRING);
	assert_int_equal(jd_version_number(), JD_VERSION_NUMBER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_forms_agree),
	};

	return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}
