/* fuzz_seeds.c - [FIRST LAST [FILE...]]: runs a fuzz target without libFuzzer, by seeds. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

enum {
	SIZE_MAX_BYTES = 4096
};

static uint64_t next(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Short and long inputs; some with many zero bytes, which stand for the first choice. */
static bool run_seed(uint64_t seed)
{
	uint8_t data[SIZE_MAX_BYTES];
	uint64_t state = seed;
	size_t size = (size_t)(next(&state) >> (52 + next(&state) % 10));
	unsigned zeros = (unsigned)next(&state) % 4;

	for (size_t i = 0; i < size; i++)
		data[i] = next(&state) % 4 < zeros ? 0 : (uint8_t)(next(&state) >> 56);
	return fuzz_one(data, size);
}

/* A file such as libFuzzer leaves behind. */
static bool run_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file) {
		perror(path);
		return false;
	}
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	return fuzz_one(data, size);
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 2 ? strtoull(argv[1], NULL, 0) : 1;
	uint64_t last = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000;

	for (uint64_t seed = first; seed <= last; seed++) {
		if (!run_seed(seed)) {
			fprintf(stderr,
				"seed %" PRIu64 " fails; repeat: %s %" PRIu64 " %" PRIu64 "\n",
				seed, argv[0], seed, seed);
			return 1;
		}
	}
	for (int i = 3; i < argc; i++) {
		if (!run_file(argv[i])) {
			fprintf(stderr, "%s fails\n", argv[i]);
			return 1;
		}
	}
	printf("seeds %" PRIu64 "..%" PRIu64 ": ok\n", first, last);
	return 0;
}
