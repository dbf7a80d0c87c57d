/* closing.c - says the last word of a program that came to its end; linked into all tests. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

/* Wine has ways to make a crash look like success; none of them runs what atexit registered. */
static void say_end(void)
{
	printf("end of program\n");
	fflush(stdout);
}

__attribute__((constructor)) static void register_end(void)
{
	if (atexit(say_end) != 0)
		abort();
}
