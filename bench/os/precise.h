/* precise.h - sleeping until an instant, as exactly as the system can. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_OS_PRECISE_H
#define JD_BENCH_OS_PRECISE_H

/*
 * From now on sleeps of the calling thread end as soon after their deadline as they can; Linux
 * adds up to 50 us to save wake-ups, which is more than many latencies that are measured here.
 */
void bench_precise_sleeps(void);

#endif
