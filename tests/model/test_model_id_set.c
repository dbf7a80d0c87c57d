/* test_model_id_set.c - the set of ids under every schedule: found, gone, grown. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "platform/atomic.h"
#include "runtime/id_set.h"
#include "tests/model/model.h"
#include "tests/model/model_test.h"

/* Compiled with one line of one slot at first, so that the second id makes the set grow. */

static struct jd_id_set *set;
static jd_id_slot *slots[4];
static _Atomic(uint32_t) flag;
static unsigned before;

static void setup(void)
{
	atomic_init(&flag, 0);
	before = 0;
	memset(slots, 0, sizeof(slots));
	MODEL_CHECK(jd_id_set_new(model_allocator(), 0, &set) == JD_OK);
}

static void add(unsigned id)
{
	MODEL_CHECK(jd_id_set_add(set, id, &slots[id]) == JD_OK);
	MODEL_CHECK(jd_id_set_contains(set, id));
}

/* What is there is found, what is not is not, and nobody's slot is another's. */
static void finish(void)
{
	for (unsigned id = 1; id < 4; id++) {
		MODEL_CHECK(jd_id_set_contains(set, id) == (slots[id] != NULL));
		for (unsigned other = 1; slots[id] && other < id; other++)
			MODEL_CHECK(slots[id] != slots[other]);
	}
	for (unsigned id = 1; id < 4; id++) {
		if (!slots[id])
			continue;
		jd_id_set_remove(slots[id], id);
		MODEL_CHECK(!jd_id_set_contains(set, id));
	}
	jd_id_set_free(set);
}

static void add_1(void)
{
	add(1);
}

static void add_2(void)
{
	add(2);
}

static void add_3(void)
{
	add(3);
}

/* Says so, which makes it happen before the look. */
static void add_and_tell(void)
{
	add(1);
	/* order: (ID5) release - the add; pairs with (ID6). */
	atomic_store_explicit(&flag, 1, memory_order_release);
}

static void look(void)
{
	/* order: (ID6) acquire - of the add; pairs with (ID5). */
	if (atomic_load_explicit(&flag, memory_order_acquire))
		MODEL_CHECK(jd_id_set_contains(set, 1));
}

static void setup_with_1(void)
{
	setup();
	add(1);
}

static void write_and_remove(void)
{
	model_write(&before);
	before = 1;
	jd_id_set_remove(slots[1], 1);
	slots[1] = NULL;
}

/* Who does not find it sees what came before. */
static void read_when_gone(void)
{
	if (jd_id_set_contains(set, 1))
		return;
	model_read(&before);
	MODEL_CHECK(before == 1);
}

static const struct model_program adders = {"add", setup, {add_1, add_2, add_3}, finish};
static const struct model_program told = {"found", setup, {add_and_tell, look, add_2}, finish};
static const struct model_program gone = {
	"gone", setup_with_1, {write_and_remove, read_when_gone, add_3}, finish};

static void test_found_and_gone(void **state)
{
	const struct model_options options = {.preemptions = 3, .stale = 2};

	(void)state;
	model_expect_clean(&adders, &options);
	model_expect_clean(&told, &options);
	model_expect_clean(&gone, &options);
}

static void test_seeded_bugs_are_found(void **state)
{
	static const struct {
		const struct model_program *program;
		struct model_mutation mutation;
	} bugs[] = {
		{&adders, {"add in two steps", "table_add", "cas", "&line[i]", MODEL_SPLIT, 0}},
		{&adders, {"grow in two steps", "grow", "cas", "&set->newest", MODEL_SPLIT, 0}},
		{&told, {"grow relaxed", "grow", "cas", "&set->newest", MODEL_ORDER, RLX}},
		{&told, {"newest relaxed", "newest", "load", "&set->newest", MODEL_ORDER, RLX}},
		{&gone, {"remove relaxed", "jd_id_set_remove", "store", "slot", MODEL_ORDER, RLX}},
		{&gone,
		 {"look relaxed", "jd_id_set_contains", "load", "&line[i]", MODEL_ORDER, RLX}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bugs) / sizeof(*bugs); i++)
		model_expect_bug(bugs[i].program, &bugs[i].mutation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_and_gone),
		cmocka_unit_test(test_seeded_bugs_are_found),
	};

	return cmocka_run_group_tests_name("model id set", tests, NULL, NULL);
}
