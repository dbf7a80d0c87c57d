/* panic.c - the last words of a process that may not go on. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "platform/compiler.h"

void jd_panic(const char *kind, const char *what, const char *file, int line)
{
	fprintf(stderr, "jackdaw: %s: %s (%s:%d)\n", kind, what, file, line);
	fflush(stderr);
	abort();
}
