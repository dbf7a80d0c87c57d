/* version.h - the version of the headers, and of the library that runs. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_VERSION_H
#define JACKDAW_VERSION_H

#include <jackdaw/base.h>

/* Semantic versioning. The build reads these three lines: they are stated nowhere else. */
#define JD_VERSION_MAJOR 0
#define JD_VERSION_MINOR 1
#define JD_VERSION_PATCH 0

/* One number that grows with the version: 1.2.3 is 10203. */
#define JD_VERSION_NUMBER (JD_VERSION_MAJOR * 10000 + JD_VERSION_MINOR * 100 + JD_VERSION_PATCH)

#define JD_VERSION_STRINGIFY_(x) #x
#define JD_VERSION_STRINGIFY(x) JD_VERSION_STRINGIFY_(x)

/* "1.2.3" */
#define JD_VERSION_STRING                      \
	JD_VERSION_STRINGIFY(JD_VERSION_MAJOR) \
	"." JD_VERSION_STRINGIFY(JD_VERSION_MINOR) "." JD_VERSION_STRINGIFY(JD_VERSION_PATCH)

JD_BEGIN_DECLS

/*
 * The version of the library that is linked now, as JD_VERSION_STRING and JD_VERSION_NUMBER were
 * when it was built. They differ from the macros when a program runs with another shared library
 * than it was compiled with. Any thread, never blocks, cannot fail; the string is static.
 */
JD_API const char *jd_version(void);
JD_API int jd_version_number(void);

JD_END_DECLS

#endif
