/* wheel_fixture.h - the one wheel of a test program, and how its tests begin, insert and end. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_WHEEL_FIXTURE_H
#define JD_TESTS_TESTLIB_WHEEL_FIXTURE_H

/* After cmocka.h and what that needs. */
#include "timers/wheel.h"
#include "timers/wheel_check.h"

/* One wheel for all tests; each begins with an empty one. */
static struct jd_wheel wheel;

static inline void begin(uint64_t now_ns, unsigned shift)
{
	jd_wheel_fini(&wheel);
	jd_wheel_init(&wheel, jd_allocator_default(), now_ns, shift);
}

static inline void insert_slack(struct jd_timer *timer, uint64_t deadline_ns, uint64_t slack_ns)
{
	assert_int_equal(jd_wheel_insert(&wheel, timer, deadline_ns, slack_ns), JD_OK);
}

static inline void insert(struct jd_timer *timer, uint64_t deadline_ns)
{
	insert_slack(timer, deadline_ns, 0);
}

#define assert_sound() assert_true(jd_wheel_check(&wheel, stderr))

static inline int end_all(void **state)
{
	(void)state;
	jd_wheel_fini(&wheel);
	return 0;
}

#endif
