/* fuzz_libfuzzer.c - lets libFuzzer run a target. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!fuzz_one(data, size))
		abort();
	return 0;
}
