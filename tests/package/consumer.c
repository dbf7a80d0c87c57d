/* consumer.c - the smallest program of a user: is the library found, and is it the right one? */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <jackdaw/version.h>

int main(void)
{
	printf("headers %s, library %s\n", JD_VERSION_STRING, jd_version());
	return strcmp(jd_version(), JD_VERSION_STRING) != 0;
}
