/* worker_search.h - a worker has nothing of its own: it searches, dozes, sleeps. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_WORKER_SEARCH_H
#define JD_RUNTIME_WORKER_SEARCH_H

#include "runtime/worker.h"

/* Before it turns to anything but a task of its scheduler: see registry.h. */
static inline void jd_worker_tell_ended(struct jd_worker *w)
{
	if (w->lane.tally->unchecked)
		jd_registry_check(w->lane.scheduler->registry, w->lane.tally);
}

/* Searches and sleeps until there is something; NULL when the loop is to end. */
struct jd_runnable *jd_worker_search(struct jd_worker *w);

#endif
