/* posix_usage.c - processor time and switches, from getrusage; RUSAGE_THREAD is Linux and BSD. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/os/usage.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static void usage_of(int who, struct bench_usage *usage)
{
	struct rusage r = {0};

	/* It fails for a wrong `who` only. */
	(void)getrusage(who, &r);
	usage->cpu_s = seconds(r.ru_utime) + seconds(r.ru_stime);
	usage->switches = (uint64_t)r.ru_nvcsw + (uint64_t)r.ru_nivcsw;
}

void bench_usage_all(struct bench_usage *usage)
{
	usage_of(RUSAGE_SELF, usage);
}

void bench_usage_others(struct bench_usage *usage)
{
	struct bench_usage own;

	usage_of(RUSAGE_THREAD, &own);
	usage_of(RUSAGE_SELF, usage);
	usage->cpu_s -= own.cpu_s;
	usage->switches -= own.switches;
}

uint64_t bench_resident_bytes(void)
{
	unsigned long total, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file)
		return 0;
	if (fscanf(file, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
