/* fuzz.h - what every fuzz target defines. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_FUZZ_FUZZ_H
#define JD_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does what these bytes decide. False after saying on stderr what went wrong. */
bool fuzz_one(const uint8_t *data, size_t size);

#endif
