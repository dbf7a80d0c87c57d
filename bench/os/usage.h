/* usage.h - what this program has cost so far: processor time, switches, memory. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_OS_USAGE_H
#define JD_BENCH_OS_USAGE_H

/* As dir.h: only benchmarks ask for it, so it is no part of platform/platform.h. */
#include <stdint.h>

struct bench_usage {
	double cpu_s;      /* processor time, user and system */
	uint64_t switches; /* times a thread gave its processor up, or had it taken away */
};

/* All threads of the program, also those that have ended. */
void bench_usage_all(struct bench_usage *usage);

/* The same without what the calling thread has cost. */
void bench_usage_others(struct bench_usage *usage);

/* Memory of the program that is in use now, bytes; 0: the system does not say. */
uint64_t bench_resident_bytes(void);

#endif
