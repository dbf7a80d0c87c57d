/* futex.c - waiting on an address. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/platform.h"

_Static_assert(sizeof(_Atomic(uint32_t)) == sizeof(uint32_t), "the kernel compares 32 plain bits");
_Static_assert(sizeof(time_t) >= 8, "a deadline needs 64 bits; use SYS_futex_time64 here");

/*
 * WAIT_BITSET and not WAIT: its deadline is absolute and on CLOCK_MONOTONIC, so a wait that is
 * interrupted and repeated does not grow. A return that is not a timeout is always JD_OK, which
 * means "look again": woken, EAGAIN (the value differed), EINTR (a signal) need no distinction.
 */
jd_status jd_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline_ns / JD_SEC),
		.tv_nsec = (long)(deadline_ns % JD_SEC),
	};
	long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
			  deadline_ns == JD_NEVER ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);

	if (rc == 0 || errno == EAGAIN || errno == EINTR)
		return JD_OK;
	JD_ASSERT(errno == ETIMEDOUT);
	/* The kernel's timer and the clock we read may differ by a rounding: never early. */
	return jd_clock_now() >= deadline_ns ? JD_ETIMEDOUT : JD_OK;
}

/*
 * A private wake uses the address only as a key and never touches the memory: a sleeper that saw
 * the new value may have freed it by now. What it returns says nothing we could act on.
 */
static void wake(_Atomic(uint32_t) *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
}

void jd_futex_wake_one(_Atomic(uint32_t) *word)
{
	wake(word, 1);
}

void jd_futex_wake_all(_Atomic(uint32_t) *word)
{
	wake(word, INT_MAX);
}
