/* cpu.h - what a topology asks of the operating system; seen by platform/ only. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_PLATFORM_CPU_H
#define JD_PLATFORM_CPU_H

#include "platform/platform.h"

/* The largest CPU number we keep apart, plus one. Kernels stop at 8192. */
#define JD_CPU_LIMIT 16384u

/*
 * Fills os[0..max) with the system's numbers of the CPUs that the calling thread (or, with process,
 * the process's first thread) may use, ascending, and returns how many there are (perhaps more
 * than max); 0 when the system does not tell.
 */
unsigned jd_cpu_allowed(bool process, unsigned *os, unsigned max);

/* Binds the calling thread to os[0..n), n >= 1, or to those that go together with the first. */
jd_status jd_cpu_pin(const unsigned *os, unsigned n);

/* The CPU the caller runs on, or -1. */
int jd_cpu_current(void);

/*
 * The smallest CPU quota of the process's control group and its ancestors, in CPUs rounded up;
 * 0 when there is none. text gets a few words about it.
 */
unsigned jd_cpu_quota(char *text, size_t size);

#endif
