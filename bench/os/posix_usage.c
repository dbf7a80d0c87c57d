/* posix_usage.c - processor time and switches, from getrusage; RUSAGE_THREAD is Linux and BSD. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/os/usage.h"

#include <sys/resource.h>

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
