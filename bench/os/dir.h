/* dir.h - listing a directory: the one thing the benchmarks ask of the system beside platform/. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_OS_DIR_H
#define JD_BENCH_OS_DIR_H

/*
 * Only a benchmark walks a tree of files, so this is no part of platform/platform.h, which is what
 * the runtime asks of a port. bench/CMakeLists.txt chooses the file that implements it.
 */
#include <jackdaw/base.h>

struct bench_dir_entry {
	const char *name;
	bool is_dir;    /* else a regular file */
	uint64_t bytes; /* of a file */
};

/*
 * Calls fn for each directory and each regular file in path, in any order, without . and .. and
 * without following links; everything else is left out. Ends early, with its status, when fn does
 * not return JD_OK. JD_ENOENT: the directory cannot be read; fn was not called then. Blocks.
 */
jd_status bench_dir_each(const char *path,
			 jd_status (*fn)(void *arg, const struct bench_dir_entry *entry),
			 void *arg);

#endif
