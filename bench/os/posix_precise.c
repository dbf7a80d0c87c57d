/* posix_precise.c - the timer slack of a thread; Linux has one. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/os/precise.h"

#include <sys/prctl.h>

void bench_precise_sleeps(void)
{
	/* Where that is refused, latencies are some microseconds longer for every contender. */
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
}
