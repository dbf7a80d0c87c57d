/* peak.c - reads the peak of the resident memory from where Linux shows it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/peak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/shim/jd_bench.h"

void bench_report_peak(struct jd_bench_state *state)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];

	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "VmHWM:", 6) == 0)
			jd_bench_counter(state, "peak_rss_kb", strtod(line + 6, NULL),
					 JD_BENCH_PLAIN);
	fclose(file);
}
