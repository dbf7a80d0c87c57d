/* test_model_depot.c - each magazine has one owner, who sees its blocks, under every schedule. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/depot.h"
#include "tests/model/model.h"
#include "tests/model/model_test.h"

/*
 * runtime/depot.h as it is, with two slots. Two of the three magazines are in it at the start, the
 * third belongs to the first thread. Each thread takes what it can and gives back what it has; two
 * at once in one magazine is a race, which the explorer sees.
 */
enum {
	ROOM = JD_DEPOT_SLOTS,
	MAGAZINES = ROOM + 1,
};

static struct {
	struct jd_depot depot;
	uint32_t used[MAGAZINES]; /* plain: by its owner */
	unsigned kept[3];         /* by each thread, for good */
} s;

static void set_up(void)
{
	memset(&s, 0, sizeof(s));
	model_defined(&s, sizeof(s));
	for (unsigned i = 0; i < ROOM; i++)
		MODEL_CHECK(jd_depot_put(&s.depot, ROOM, &s.used[i]));
}

static void use(uint32_t *magazine)
{
	model_write(magazine);
	++*magazine;
}

/* One more than there is room for, if nobody takes one. */
static void give(void)
{
	use(&s.used[ROOM]);
	if (!jd_depot_put(&s.depot, ROOM, &s.used[ROOM])) {
		use(&s.used[ROOM]);
		s.kept[0]++;
	}
}

static void take_and_give(void)
{
	uint32_t *magazine = jd_depot_take(&s.depot, ROOM);

	if (!magazine)
		return;
	use(magazine);
	if (!jd_depot_put(&s.depot, ROOM, magazine)) {
		use(magazine);
		s.kept[1]++;
	}
}

static void take(void)
{
	uint32_t *magazine = jd_depot_take(&s.depot, ROOM);

	if (!magazine)
		return;
	use(magazine);
	s.kept[2]++;
}

/* None was lost, and none is there twice. */
static void finish(void)
{
	unsigned left = s.kept[0] + s.kept[1] + s.kept[2];

	for (uint32_t *magazine; (magazine = jd_depot_take(&s.depot, ROOM)) != NULL; left++) {
		MODEL_CHECK(*magazine < 100);
		*magazine += 100;
	}
	MODEL_CHECK(left == MAGAZINES);
}

static const struct model_program exchange = {
	"exchange", set_up, {give, take_and_give, take}, finish};

static void test_each_has_one_owner(void **state)
{
	const struct model_options options = {.preemptions = 6, .stale = 3};

	(void)state;
	model_expect_clean(&exchange, &options);
}

static const struct model_mutation bugs[] = {
	{"put relaxed", "jd_depot_put", "cas", "&depot->slots[i]", MODEL_ORDER, RLX},
	{"put in two steps", "jd_depot_put", "cas", "&depot->slots[i]", MODEL_SPLIT, 0},
	{"take relaxed", "jd_depot_take", "exchange", "&depot->slots[i]", MODEL_ORDER, RLX},
	{"take in two steps", "jd_depot_take", "exchange", "&depot->slots[i]", MODEL_SPLIT, 0},
	{"taken and left", "jd_depot_take", "exchange", "&depot->slots[i]", MODEL_SKIP, 0},
};

static void test_seeded_bugs_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++)
		model_expect_bug(&exchange, &bugs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_one_owner),
		cmocka_unit_test(test_seeded_bugs_are_found),
	};

	return cmocka_run_group_tests_name("model depot", tests, NULL, NULL);
}
