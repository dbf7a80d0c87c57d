/* model_no_lane.c - what tasks want of lanes and slabs, where no thread has any. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/foreign.h"
#include "runtime/worker_wake.h"
#include "tests/model/model.h"

static void no_lane(void)
{
	model_fail("only what has a lane keeps entries");
}

_Thread_local struct jd_foreign_self jd_foreign_self;

struct jd_foreign_lane *jd_foreign_enter(struct jd_foreign *self)
{
	(void)self;
	no_lane();
	return NULL;
}

void jd_lock_slow(struct jd_lock *lock)
{
	(void)lock;
	no_lane();
}

void jd_futex_wake_one(_Atomic(uint32_t) *word)
{
	(void)word;
	no_lane();
}

uint32_t jd_registry_thread(void)
{
	no_lane();
	return 0;
}

struct jd_slab_block *jd_slabs_take(struct jd_slabs *slabs, unsigned units, unsigned *count)
{
	(void)slabs;
	(void)units;
	(void)count;
	no_lane();
	return NULL;
}

void jd_slabs_give(struct jd_slabs *slabs, unsigned units, struct jd_slab_block *magazine)
{
	(void)slabs;
	(void)units;
	(void)magazine;
	no_lane();
}

void jd_slabs_give_home(struct jd_slabs *slabs, struct jd_slab_block *list)
{
	(void)slabs;
	(void)list;
	no_lane();
}

void jd_registry_end_elsewhere(struct jd_registry *registry, struct jd_task_word *entry)
{
	(void)registry;
	(void)entry;
	no_lane();
}

void jd_registry_check(struct jd_registry *registry, struct jd_registry_tally *tally)
{
	(void)registry;
	(void)tally;
	no_lane();
}

jd_status jd_worker_push_newest(struct jd_worker *w, struct jd_runnable *runnable)
{
	(void)w;
	(void)runnable;
	no_lane();
	return JD_OK;
}

void jd_worker_wake_claimed(struct jd_workers *all)
{
	(void)all;
	no_lane();
}

bool jd_worker_run_now(struct jd_worker *w, struct jd_runnable *runnable)
{
	(void)w;
	(void)runnable;
	no_lane();
	return false;
}
