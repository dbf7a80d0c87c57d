/* workers.c - what the environment asks of a program. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/workers.h"

#include <stdlib.h>

size_t bench_workers(unsigned list[BENCH_WORKERS_MAX])
{
	const char *text = getenv("JD_BENCH_WORKERS");
	size_t count = 0;

	if (!text)
		text = "1,2";
	while (*text && count < BENCH_WORKERS_MAX) {
		char *end;
		unsigned long value = strtoul(text, &end, 10);

		if (value > 0 && value <= 1024)
			list[count++] = (unsigned)value;
		text = *end ? end + 1 : end;
	}
	return count;
}

bool bench_is_quick(void)
{
	return getenv("JD_BENCH_QUICK") != NULL;
}

int64_t bench_runs(int64_t usual)
{
	if (bench_is_once())
		return 1;
	return bench_is_quick() ? (usual + 3) / 4 : usual;
}

bool bench_is_once(void)
{
	return getenv("JD_BENCH_ONCE") != NULL;
}
