/* clock.c - the monotonic clock: the performance counter. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/windows/windows.h"

#include "platform/platform.h"

/*
 * The one clock with less than a millisecond's grain that timed waits agree with. Unlike the
 * others it goes on during suspend.
 */
uint64_t jd_clock_now(void)
{
	/* Fixed at boot; everybody writes the same number, so relaxed will do. */
	static _Atomic(uint64_t) frequency;
	uint64_t hz = atomic_load_explicit(&frequency, memory_order_relaxed);
	LARGE_INTEGER value;

	if (JD_UNLIKELY(hz == 0)) {
		QueryPerformanceFrequency(&value);
		hz = (uint64_t)value.QuadPart;
		JD_ASSERT(hz > 0 && hz < UINT64_MAX / JD_SEC);
		atomic_store_explicit(&frequency, hz, memory_order_relaxed);
	}
	QueryPerformanceCounter(&value);

	/* Whole seconds apart from the rest: count * 10^9 would overflow after hours. */
	uint64_t count = (uint64_t)value.QuadPart;

	return count / hz * JD_SEC + count % hz * JD_SEC / hz;
}
