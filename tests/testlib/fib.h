/* fib.h - Fibonacci numbers, forked; for tests that need something to fork. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_TESTLIB_FIB_H
#define JD_TESTS_TESTLIB_FIB_H

#include <jackdaw/fork.h>

struct fib {
	struct jd_fork_frame frame;
	int n;
	long value;
};

static long fib_here(int n);

static void fib_here_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct fib *f = jd_container_of(frame, struct fib, frame);

	(void)fork;
	f->value = fib_here(f->n);
}

/* Inside a region; the thread knows the point. */
static long fib_here(int n)
{
	if (n < 2)
		return n;
	struct fib f = {.n = n - 1};

	jd_fork_here(&f.frame, fib_here_run);
	long other = fib_here(n - 2);

	jd_join_run_here(&f.frame);
	return f.value + other;
}

#endif
