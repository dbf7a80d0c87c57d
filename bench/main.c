/* main.c - the benchmark program: every row there is, chosen on the command line. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/version.h>

#include "bench/files.h"
#include "bench/shim/jd_bench.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif

static const char *sanitizer(void)
{
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
	return "ThreadSanitizer";
#elif defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
	return "AddressSanitizer";
#else
	return "none";
#endif
}

int main(int argc, char **argv)
{
#define BENCH_ADD(name) b_##name();
	BENCH_FILES(BENCH_ADD)
#undef BENCH_ADD
	jd_bench_context("jackdaw_version", jd_version());
	jd_bench_context("compiler", __VERSION__);
#ifdef __OPTIMIZE__
	jd_bench_context("build_type", "release");
#else
	jd_bench_context("build_type", "debug");
#endif
	jd_bench_context("sanitizer", sanitizer());
	jd_bench_context("note", "library_build_type is that of Google Benchmark, not of Jackdaw");
	return jd_bench_main(argc, argv);
}
