/* peak.h - the most memory that the process has had. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_PEAK_H
#define JD_BENCH_PEAK_H

#ifdef __cplusplus
extern "C" {
#endif

struct jd_bench_state;

/*
 * Sets the counter peak_rss_kb, where the system tells it. (getrusage would say at least what the
 * process was that started this one.)
 */
void bench_report_peak(struct jd_bench_state *state);

#ifdef __cplusplus
}
#endif

#endif
