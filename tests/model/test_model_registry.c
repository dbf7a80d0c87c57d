/* test_model_registry.c - who waits for the last task is told, under every schedule. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/registry.h"
#include "runtime/tuning.h"
#include "tests/model/model.h"
#include "tests/model/model_test.h"

/*
 * runtime/registry.c as it is. A task runs on worker 0, begins a child and ends; the child ends on
 * worker 1; a third thread waits until nobody is left. Each worker checks when it has no other
 * task.
 */
static struct {
	struct jd_registry *registry;
	struct jd_task_word parent, child;
	_Atomic(uint32_t) handed; /* the child, to worker 1 */
	uint32_t data[2];         /* plain: what the tasks did */
} s;

/* --- What registry.c wants of the rest of the runtime ---------------------------------------- */

jd_status jd_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns)
{
	MODEL_CHECK(deadline_ns == JD_NEVER);
	model_wait(word, expected);
	return JD_OK;
}

void jd_futex_wake_one(_Atomic(uint32_t) *word)
{
	model_wake(word, 1);
}

void jd_futex_wake_all(_Atomic(uint32_t) *word)
{
	model_wake(word, UINT32_MAX);
}

/* --- The threads ----------------------------------------------------------------------------- */

static void set_up(void)
{
	memset(&s, 0, sizeof(s));
	MODEL_CHECK(jd_registry_new(model_allocator(), &s.registry) == JD_OK);
	/* The product relies on zeroed memory for its atomics. */
	model_defined(s.registry, sizeof(*s.registry));
	MODEL_CHECK(jd_registry_keep(s.registry, 2, sizeof(struct jd_slab_block)) == JD_OK);
	model_defined(s.registry->slabs, sizeof(*s.registry->slabs));
	model_defined(s.registry->tallies, 2 * sizeof(*s.registry->tallies));
	model_defined(&s, sizeof(s));
	/* As if they were in a slab, where nobody looks here. */
	atomic_init(&s.parent.bits, 2);
	atomic_init(&s.child.bits, 2 + (1 << JD_SLAB_SLOT_SHIFT));
	jd_registry_begin(&s.registry->tallies[0], &s.parent);
}

static void work(unsigned i)
{
	model_write(&s.data[i]);
	s.data[i] = i + 1;
}

static void worker_0(void)
{
	struct jd_registry_tally *tally = &s.registry->tallies[0];

	jd_registry_begin(tally, &s.child);
	atomic_store_explicit(&s.handed, 1, REL);
	work(0);
	jd_registry_end(tally, &s.parent);
	jd_registry_check(s.registry, tally);
}

static void worker_1(void)
{
	struct jd_registry_tally *tally = &s.registry->tallies[1];

	while (!atomic_load_explicit(&s.handed, ACQ))
		model_yield();
	work(1);
	jd_registry_end(tally, &s.child);
	jd_registry_check(s.registry, tally);
}

static void elsewhere(void)
{
	while (!atomic_load_explicit(&s.handed, ACQ))
		model_yield();
	work(1);
	jd_registry_end_elsewhere(s.registry, &s.child);
}

static void waiter(void)
{
	MODEL_CHECK(!jd_registry_take_orphans(s.registry, true));
	for (unsigned i = 0; i < 2; i++) {
		model_read(&s.data[i]);
		MODEL_CHECK(s.data[i] == i + 1);
	}
}

static void finish(void)
{
	MODEL_CHECK(jd_registry_is_empty(s.registry));
	MODEL_CHECK(jd_registry_count(s.registry) == 0);
	jd_registry_free(s.registry);
}

static const struct model_program on_workers = {
	"workers", set_up, {worker_0, worker_1, waiter}, finish};
static const struct model_program off_workers = {
	"elsewhere", set_up, {worker_0, elsewhere, waiter}, finish};

static void test_the_waiter_is_told(void **state)
{
	const struct model_options options = {.preemptions = 2, .stale = 2};

	(void)state;
	model_expect_clean(&on_workers, &options);
	model_expect_clean(&off_workers, &options);
}

static const struct model_mutation bugs[] = {
	{"end relaxed", "jd_registry_end", "store", "&tally->ended", MODEL_ORDER, RLX},
	{"sum relaxed", "ended", "load", "&tally->ended", MODEL_ORDER, RLX},
	{"check relaxed", "jd_registry_check", "add", "&tally->ended", MODEL_ORDER, RLX},
	{"check looks relaxed", "tell_if_empty", "load", "&registry->waiters", MODEL_ORDER, RLX},
	{"waits unannounced", "jd_registry_take_orphans", "store", "&registry->waiters", MODEL_SKIP,
	 0},
	{"announced relaxed", "jd_registry_take_orphans", "store", "&registry->waiters",
	 MODEL_ORDER, RLX},
};

static void test_seeded_bugs_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++)
		model_expect_bug(&on_workers, &bugs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_waiter_is_told),
		cmocka_unit_test(test_seeded_bugs_are_found),
	};

	return cmocka_run_group_tests_name("model registry", tests, NULL, NULL);
}
