/* futex.c - waiting on an address: WaitOnAddress. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/windows/windows.h"

#include <timeapi.h>

#include "platform/platform.h"

_Static_assert(sizeof(_Atomic(uint32_t)) == sizeof(uint32_t), "the system compares 32 plain bits");

/* The system's timer ticks every 15.6 ms unless somebody asks for more. */
#define TICK_NS (16 * JD_MS)

static void *plain(_Atomic(uint32_t) *word)
{
	return (void *)(uintptr_t)word;
}

/* Sleeps once, at most ms; false: until the time was over. */
static bool wait_ms(_Atomic(uint32_t) *word, uint32_t expected, DWORD ms)
{
	if (WaitOnAddress(plain(word), &expected, sizeof(expected), ms))
		return true;
	JD_ASSERT(GetLastError() == ERROR_TIMEOUT);
	return false;
}

/*
 * Waits are in milliseconds, rounded up, as a deadline never comes early. They end at a tick; a
 * finer one costs power for as long as it is asked for, so that is the last part of a wait only.
 */
static bool wait_ns(_Atomic(uint32_t) *word, uint32_t expected, uint64_t ns)
{
	const uint64_t longest = (uint64_t)(INFINITE - 1) * JD_MS;
	bool woken;

	if (ns > longest)
		ns = longest;
	if (ns > 4 * TICK_NS)
		return wait_ms(word, expected, (DWORD)((ns - 2 * TICK_NS) / JD_MS));
	timeBeginPeriod(1);
	woken = wait_ms(word, expected, (DWORD)((ns + JD_MS - 1) / JD_MS));
	timeEndPeriod(1);
	return woken;
}

jd_status jd_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns)
{
	if (deadline_ns == JD_NEVER) {
		wait_ms(word, expected, INFINITE);
		return JD_OK;
	}
	for (;;) {
		uint64_t now = jd_clock_now();

		if (now >= deadline_ns) {
			/* A value that differs comes before a deadline that has passed. */
			return wait_ms(word, expected, 0) ? JD_OK : JD_ETIMEDOUT;
		}
		if (wait_ns(word, expected, deadline_ns - now))
			return JD_OK;
	}
}

/* The address is a key and its memory is not touched: a sleeper may have freed it by now. */
void jd_futex_wake_one(_Atomic(uint32_t) *word)
{
	WakeByAddressSingle(plain(word));
}

void jd_futex_wake_all(_Atomic(uint32_t) *word)
{
	WakeByAddressAll(plain(word));
}
