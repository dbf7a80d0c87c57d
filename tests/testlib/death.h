/* death.h - tests of what must end the process with a message. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_DEATH_H
#define JD_TESTS_TESTLIB_DEATH_H

#include <stdbool.h>

/*
 * Runs fn(arg) in a child process. True when the child was ended by SIGABRT and said `message`
 * somewhere on stderr; otherwise prints what came instead.
 */
bool death_aborts(void (*fn)(void *arg), void *arg, const char *message);

#endif
