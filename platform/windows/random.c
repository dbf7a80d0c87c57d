/* random.c - a seed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/windows/windows.h"

#include <bcrypt.h>

#include "platform/platform.h"

/* The finaliser of SplitMix64: every input bit reaches every output bit. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t jd_random_seed(void)
{
	uint64_t seed;

	if (BCryptGenRandom(NULL, (unsigned char *)&seed, sizeof(seed),
			    BCRYPT_USE_SYSTEM_PREFERRED_RNG) >= 0)
		return seed;
	/* Time, process and thread are different enough for a seed. */
	seed = mix(jd_clock_now());
	seed = mix(seed ^ GetCurrentProcessId());
	return mix(seed ^ jd_thread_self());
}
