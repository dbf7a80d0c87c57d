/* model_fork.h - before runtime/fork.c and its test: inline code asks the explorer, too. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_MODEL_MODEL_FORK_H
#define JD_TESTS_MODEL_MODEL_FORK_H

/* First, so that the inline functions of <jackdaw/fork.h> are compiled with these atomics. */
#include "tests/model/model_atomic.h"

#include "platform/platform.h"
#include "tests/model/model.h"

/* Who spins waits for somebody. */
#define jd_cpu_relax() model_yield()

#endif
