/* c_ws.c - the production scheduler as a contender. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/ws_scheduler.h>

#include "bench/run.h"

static struct jd_scheduler *ws_make(unsigned workers, const char **why)
{
	const struct jd_ws_options options = {.workers = workers};
	struct jd_scheduler *scheduler = NULL;
	jd_status status = jd_ws_scheduler_new(&options, &scheduler);

	if (status != JD_OK)
		*why = jd_status_text(status);
	return status == JD_OK ? scheduler : NULL;
}

const struct bench_contender c_ws = {"ws", ws_make};
