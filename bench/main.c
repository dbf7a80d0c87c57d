/* main.c - the benchmark program: every row there is, chosen on the command line. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/version.h>

#include "bench/files.h"
#include "bench/shim/jd_bench.h"

int main(int argc, char **argv)
{
#define BENCH_ADD(name) b_##name();
	BENCH_FILES(BENCH_ADD)
#undef BENCH_ADD
	jd_bench_context("jackdaw_version", jd_version());
	jd_bench_context("compiler", __VERSION__);
	jd_bench_context("note", "library_build_type is that of Google Benchmark, not of Jackdaw");
	return jd_bench_main(argc, argv);
}
