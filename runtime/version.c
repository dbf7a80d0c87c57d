/* version.c - the version that was compiled into this library. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/version.h>

const char *jd_version(void)
{
	return JD_VERSION_STRING;
}

int jd_version_number(void)
{
	return JD_VERSION_NUMBER;
}
