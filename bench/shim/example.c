/* example.c - a whole benchmark program on the shim; docs/BENCHMARKS.md shows it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/shim/jd_bench.h"

static void gcd(struct jd_bench_state *state, void *user)
{
	int64_t n, sum = 0;

	(void)user;
	while ((n = jd_bench_next(state)) > 0)
		for (int64_t i = 0; i < n; i++)
			for (int64_t a = 832040, b = 514229 - i % 2, rest; b; a = b, b = rest)
				sum += rest = a % b;
	if (sum == 0)
		jd_bench_fail(state, "every remainder was 0");
	jd_bench_ns_per_op(state, 1);
}

int main(int argc, char **argv)
{
	jd_bench_arg(jd_bench_add("gcd/euclid", gcd, NULL), 1);
	return jd_bench_main(argc, argv);
}
