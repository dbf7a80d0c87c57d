/* gap.h - a while in which the measuring thread does nothing, and the scheduler need not either. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_GAP_H
#define JD_BENCH_GAP_H

#include <jackdaw/task.h>

/* Blocks for so long: waits for something that does not come. */
jd_status bench_gap(struct jd_scheduler *scheduler, uint64_t ns);

#endif
