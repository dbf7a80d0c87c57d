/* atomic.h - the one door to C11 atomics; a model checker may replace what is behind it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_PLATFORM_ATOMIC_H
#define JD_PLATFORM_ATOMIC_H

/*
 * Lock-free code includes this header instead of <stdatomic.h> and uses only the _explicit forms
 * with literal orders. Building with -DJD_ATOMIC_HEADER='"path"' replaces the operations with
 * those of a checker that explores schedules (tests/model); such a header must provide the same
 * names over _Atomic objects.
 *
 * There is no fence here on purpose: ThreadSanitizer cannot see one and compilers differ in what
 * they emit for it. Store-load ordering is had by a seq_cst read-modify-write or by seq_cst
 * operations on both sides.
 */
#ifdef JD_ATOMIC_HEADER
#include JD_ATOMIC_HEADER
#else
#include <stdatomic.h>
#endif

#endif
