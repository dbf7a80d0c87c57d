/* count_malloc.h - how often the program's own code has asked the C library for memory. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_COUNT_MALLOC_H
#define JD_TESTS_TESTLIB_COUNT_MALLOC_H

#include <stdint.h>

/*
 * Calls so far, of any thread. The linker puts the counting in (--wrap), so only code that is
 * linked statically is counted; what shared libraries take for themselves is not.
 */
uint64_t count_malloc_calls(void);

#endif
