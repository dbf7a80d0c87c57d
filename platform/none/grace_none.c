/* grace_none.c - no grace periods: retired memory is kept until nobody can read it any more. */
/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Used where liburcu is absent, and under ThreadSanitizer, which cannot see the ordering that
 * liburcu's barriers give and would report every free as a race.
 */
#include "platform/platform.h"

bool jd_grace_available(void)
{
	return false;
}

void jd_grace_attach(void)
{
}

void jd_grace_detach(void)
{
}

void jd_grace_enter(void)
{
}

void jd_grace_leave(void)
{
}

void jd_grace_wait(void)
{
	JD_MISUSE("there are no grace periods to wait for");
}
