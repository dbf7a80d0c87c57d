/* test_model_gate.c - the bound on work from outside under every schedule: no wait is for ever. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "platform/platform.h"
#include "runtime/gate.h"
#include "tests/model/model.h"
#include "tests/model/model_test.h"

/*
 * Producers come in some times each, a worker takes what came and gives the room back. A wake-up
 * that is lost leaves all of them waiting, which is a failure by itself.
 */
static struct {
	struct jd_gate gate;
	_Atomic(uint32_t) inside; /* came in and was not taken */
	unsigned each, total;     /* that a producer brings, that the worker takes */
	uint32_t told;            /* plain: written before the gate is closed */
	bool closes;
} s;

jd_status jd_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns)
{
	(void)deadline_ns;
	model_wait(word, expected);
	return JD_OK;
}

void jd_futex_wake_all(_Atomic(uint32_t) *word)
{
	model_wake(word, MODEL_THREADS);
}

static void setup(uint64_t capacity, unsigned each, unsigned producers)
{
	memset(&s, 0, sizeof(s));
	jd_gate_init(&s.gate, capacity, 1);
	atomic_init(&s.inside, 0);
	s.each = each;
	s.total = each * producers;
}

static void setup_one(void)
{
	setup(1, 2, 1);
}

static void setup_two(void)
{
	setup(1, 1, 2);
}

static void setup_wide(void)
{
	setup(2, 2, 2);
}

static void setup_closing(void)
{
	setup(1, 2, 1);
	s.closes = true;
}

static void produce(void)
{
	for (unsigned i = 0; i < s.each; i++) {
		if (!jd_gate_take(&s.gate, 1) && jd_gate_wait(&s.gate) != JD_OK) {
			MODEL_CHECK(s.closes);
			model_read(&s.told);
			return;
		}
		uint32_t before = atomic_fetch_add_explicit(&s.inside, 1, RLX);

		MODEL_CHECK(before < s.gate.capacity);
	}
}

static void work(void)
{
	for (unsigned taken = 0; taken < s.total;) {
		uint32_t n = atomic_exchange_explicit(&s.inside, 0, RLX);

		if (!n) {
			model_yield();
			continue;
		}
		taken += n;
		if (jd_gate_give(&s.gate, n))
			jd_gate_wake(&s.gate);
	}
}

static void close_it(void)
{
	model_write(&s.told);
	jd_gate_close(&s.gate);
}

static void finish(void)
{
	MODEL_CHECK(s.closes || jd_gate_take(&s.gate, 100) == s.gate.capacity);
}

static const struct model_program one = {"gate1", setup_one, {produce, work}, finish};
static const struct model_program two = {"gate2", setup_two, {produce, produce, work}, finish};
static const struct model_program wide = {
	"gate, wide", setup_wide, {produce, produce, work}, finish};
static const struct model_program closing = {
	"gate, closed",
	setup_closing,
	{produce, close_it},
	finish,
};

static void clean(const struct model_program *program, unsigned preemptions, unsigned stale)
{
	const struct model_options options = {.preemptions = preemptions, .stale = stale};

	model_expect_clean(program, &options);
}

static void test_nobody_waits_for_ever(void **state)
{
	(void)state;
	clean(&one, 4, 2);
	clean(&two, 3, 1);
	clean(&wide, 2, 1);
	clean(&closing, 4, 2);
}

static const struct model_mutation bugs[] = {
	{"room looked at relaxed", "jd_gate_take", "load", "&gate->room", MODEL_ORDER, RLX},
	{"room given relaxed", "jd_gate_give", "add", "&gate->room", MODEL_ORDER, RLX},
	{"waiter looked for relaxed", "jd_gate_give", "load", "&gate->waiting", MODEL_ORDER, RLX},
	{"waiting announced late", "jd_gate_wait", "store", "&gate->waiting", MODEL_ORDER, REL},
	{"waiting not announced", "jd_gate_wait", "store", "&gate->waiting", MODEL_SKIP, 0},
	{"word not changed", "jd_gate_wake", "add", "&gate->word", MODEL_SKIP, 0},
};

static const struct model_mutation room_bug = {
	"room taken in two steps", "jd_gate_take", "cas", "&gate->room", MODEL_SPLIT, 0,
};

static const struct model_mutation close_bugs[] = {
	{"closed relaxed", "jd_gate_close", "or", "&gate->word", MODEL_ORDER, RLX},
	{"close seen relaxed", "jd_gate_wait", "load", "&gate->word", MODEL_ORDER, RLX},
};

static void test_seeded_bugs_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++)
		model_expect_bug(&one, &bugs[i]);
	model_expect_bug(&two, &room_bug);
	for (size_t i = 0; i < sizeof(close_bugs) / sizeof(close_bugs[0]); i++)
		model_expect_bug(&closing, &close_bugs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_waits_for_ever),
		cmocka_unit_test(test_seeded_bugs_are_found),
	};

	return cmocka_run_group_tests_name("model gate", tests, NULL, NULL);
}
