/* wheel_check.h - says whether a timer wheel is sound, and prints one. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TIMERS_WHEEL_CHECK_H
#define JD_TIMERS_WHEEL_CHECK_H

#include <stdio.h>

#include "timers/wheel.h"

/*
 * Looks at everything the slow way. True when all that wheel.h promises holds; if not, the reasons
 * go to why, a line each (NULL: nowhere).
 */
bool jd_wheel_check(const struct jd_wheel *wheel, FILE *why);

/* What is in it: a line for the whole, then one for each occupied slot. */
void jd_wheel_dump(const struct jd_wheel *wheel, FILE *out);

#endif
