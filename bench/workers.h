/* workers.h - what the environment asks of a program: rows for how many workers, and haste. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_WORKERS_H
#define JD_BENCH_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	BENCH_WORKERS_MAX = 16
};

/*
 * Fills list with what the environment variable JD_BENCH_WORKERS says ("1,2,8"), or with 1 and 2,
 * and returns how many there are. What is no number, and what is too much, is left out.
 */
size_t bench_workers(unsigned list[BENCH_WORKERS_MAX]);

/* JD_BENCH_QUICK is set: rows that take a fixed time should take less than half a second. */
bool bench_is_quick(void);

/* How often a row that is usually run so often in one measurement should be: a quarter in haste. */
int64_t bench_runs(int64_t usual);

/* JD_BENCH_ONCE is set: every row is run once, to see whether its answer is right. */
bool bench_is_once(void);

#ifdef __cplusplus
}
#endif

#endif
