/* test_model_timer.c - timers under every schedule: armed, cancelled and fired by three threads. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "platform/platform.h"
#include "runtime/lock.h"
#include "runtime/timer_driver.h"
#include "tests/model/model.h"
#include "tests/model/model_test.h"

/*
 * runtime/timer_driver.c, its cells and the wheel as they are, with a ring of two slots and chunks
 * of two cells. A timer is memory of its own: who takes it back frees it at once, so whatever the
 * driver does with it afterwards is found.
 */
enum {
	TIMERS = 4,
	BEGIN = 100, /* of the clock */
	LATER = 200,
};

struct item {
	struct jd_timer timer;
	struct jd_runnable runnable;
	uint32_t data; /* plain: written by who arms, read by who fires */
};

static struct {
	struct jd_timer_driver driver, other;
	struct item *items[TIMERS];
	_Atomic(uint32_t) armed[TIMERS], fired[TIMERS];
	unsigned fires[TIMERS]; /* plain counts, of the explorer's one thread */
	bool taken_back[TIMERS];
	unsigned refused;
	uint64_t clock;
	_Atomic(uint32_t) idle, word; /* as in idle.h: one RMW each, and where to sleep */
	unsigned again;               /* how often timer 0 is armed again when it fires */
	bool elsewhere;               /* on the other driver */
} s;

/* --- What timer_driver.c wants of the rest ------------------------------------------------- */

uint64_t jd_clock_now(void)
{
	return s.clock;
}

void jd_thread_yield(void)
{
	model_yield();
}

void jd_lock_slow(struct jd_lock *lock)
{
	uint32_t free_word;

	do {
		model_yield();
		free_word = 0;
		/* order: (MT1) acquire - what the last holder wrote; pairs with (L2). */
	} while (!atomic_compare_exchange_strong_explicit(
		&lock->_word, &free_word, 1, memory_order_acquire, memory_order_relaxed));
}

void jd_futex_wake_one(_Atomic(uint32_t) *word)
{
	model_wake(word, 1);
}

/* --- What the threads do ------------------------------------------------------------------- */

static unsigned number_of(const struct jd_runnable *runnable)
{
	for (unsigned i = 0; i < TIMERS; i++)
		if (s.items[i] && &s.items[i]->runnable == runnable)
			return i;
	model_fail("a runnable that nobody armed");
}

static jd_status arm_on(struct jd_timer_driver *driver, unsigned i, bool owner, uint64_t deadline)
{
	struct item *item = s.items[i];
	const struct jd_timer_when when = {.time_ns = deadline, .about_ns = deadline};

	model_write(&item->data);
	jd_status status = jd_timer_driver_arm(driver, owner, &item->timer, &item->runnable, &when);

	/* order: (MT2) release - the arming, to who cancels; pairs with (MT3). */
	atomic_store_explicit(&s.armed[i], 1, memory_order_release);
	return status;
}

static jd_status arm(unsigned i, bool owner, uint64_t deadline)
{
	return arm_on(&s.driver, i, owner, deadline);
}

static void arm_due(unsigned i, bool owner)
{
	jd_status status = arm(i, owner, 1);

	s.refused += status == JD_ECLOSED;
	MODEL_CHECK(status == JD_OK || status == JD_ECLOSED);
}

static void deliver(struct jd_timer_delivery *self, struct jd_runnable *runnable)
{
	unsigned i = number_of(runnable);

	(void)self;
	model_read(&s.items[i]->data);
	model_write(s.elsewhere && !s.again ? &s.other.wheel : &s.driver.wheel); /* of the holder */
	MODEL_CHECK(!s.taken_back[i]);
	s.fires[i]++;
	if (i == 0 && s.again) {
		s.again--;
		MODEL_CHECK(arm_on(s.elsewhere ? &s.other : &s.driver, 0, false, 1) == JD_OK);
		return;
	}
	/* order: (MT4) release - the last use of the timer; pairs with (MT5). */
	MODEL_CHECK(atomic_exchange_explicit(&s.fired[i], 1, memory_order_release) == 0);
}

static bool fire(bool owner)
{
	struct jd_timer_delivery delivery = {deliver};

	return jd_timer_driver_fire(&s.driver, owner, s.clock, &delivery);
}

static bool is_armed(unsigned i)
{
	/* order: (MT3) acquire - the arming; pairs with (MT2). */
	return atomic_load_explicit(&s.armed[i], memory_order_acquire);
}

static bool has_fired(unsigned i)
{
	/* order: (MT5) acquire - it is not used any more; pairs with (MT4). */
	return atomic_load_explicit(&s.fired[i], memory_order_acquire);
}

static void free_item(unsigned i)
{
	const struct jd_allocator *a = model_allocator();

	model_write(&s.items[i]->data);
	a->free(a->ctx, s.items[i], sizeof(struct item), alignof(struct item));
	s.items[i] = NULL;
}

/* A timer that was armed: frees it when it is ours. */
static void cancel(unsigned i, bool owner)
{
	jd_status status = jd_timer_cancel(owner ? &s.driver : NULL, &s.items[i]->timer);

	if (status == JD_OK) {
		MODEL_CHECK(!s.fires[i] || i == 0);
		s.taken_back[i] = true;
		free_item(i);
	} else {
		MODEL_CHECK(status == JD_EALREADY); /* claimed, and perhaps fired already */
	}
}

/* --- Set up and check ---------------------------------------------------------------------- */

static void set_up(void)
{
	static const struct jd_runnable_ops ops = {NULL, NULL, NULL};
	const struct jd_allocator *a = model_allocator();

	memset(&s, 0, sizeof(s));
	s.clock = BEGIN;
	model_defined(&s, sizeof(s));
	jd_timer_driver_init(&s.driver, a, 1);
	jd_timer_driver_init(&s.other, a, 1);
	for (unsigned i = 0; i < TIMERS; i++) {
		s.items[i] = a->alloc(a->ctx, sizeof(struct item), alignof(struct item));
		memset(s.items[i], 0, sizeof(struct item));
		model_defined(s.items[i], sizeof(struct item));
		s.items[i]->runnable = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
	}
}

static void fini(void)
{
	jd_timer_driver_fini(&s.driver);
	jd_timer_driver_fini(&s.other);
}

/* What is left fires now; then every timer that was armed has fired or was taken back, once. */
static void finish(void)
{
	struct jd_timer_delivery delivery = {deliver};

	for (int i = 0; i < 3; i++)
		(void)fire(false);
	(void)jd_timer_driver_fire(&s.other, false, s.clock, &delivery);
	MODEL_CHECK(jd_timer_driver_next(&s.driver) == JD_NEVER);
	MODEL_CHECK(jd_wheel_count(&s.driver.wheel) == 0 && !s.driver.homeless);
	for (unsigned i = 0; i < TIMERS; i++) {
		bool armed = atomic_load_explicit(&s.armed[i], memory_order_relaxed);

		MODEL_CHECK(s.fires[i] + s.taken_back[i] == armed || i == 0);
		if (s.items[i])
			free_item(i);
	}
	MODEL_CHECK(s.fires[0] + s.taken_back[0] >= 1);
	fini();
}

static void finish_again(void)
{
	finish();
	MODEL_CHECK(s.fires[0] + s.taken_back[0] + s.again == 2 ||
		    (s.taken_back[0] && s.fires[0] <= 1));
}

/* --- Programs ------------------------------------------------------------------------------ */

static void owner_arms_and_fires(void)
{
	arm_due(0, true);
	(void)fire(true);
}

static void taker(void)
{
	(void)fire(false);
}

static void canceller(void)
{
	if (is_armed(0))
		cancel(0, false);
}

/* Perhaps while it is being armed. */
static void cancels_early(void)
{
	cancel(0, false);
}

static void owner_arms_many(void)
{
	arm_due(0, true);
	arm_due(1, true);
	cancel(1, true);
	arm_due(2, true);
}

static void foreign_arms_and_cancels(void)
{
	arm_due(0, false);
	cancel(0, false);
}

static void foreign_arms_two(void)
{
	arm_due(1, false);
	arm_due(2, false);
}

static void foreign_arms_first(void)
{
	arm_due(0, false);
}

static void foreign_arms_both(void)
{
	arm_due(0, false);
	arm_due(1, false);
}

static void owner_cancels(void)
{
	if (is_armed(0))
		cancel(0, true);
	(void)fire(true);
}

static void fires_again(void)
{
	s.again = 1;
	arm_due(0, true);
	(void)fire(true);
	(void)fire(true);
}

static void fires_elsewhere(void)
{
	s.elsewhere = true;
	s.again = 1;
	arm_due(0, true);
	(void)fire(true);
}

/*
 * The owner fires and goes to sleep as a worker does; another thread arms a timer that is not due
 * yet; a third fires in between and never looks again.
 */
static void sleeper(void)
{
	while (!has_fired(0)) {
		(void)fire(true);
		atomic_store_explicit(&s.word, 1, memory_order_relaxed);
		/* order: (MT6) acq_rel - as (I2); pairs with (MT7). */
		atomic_fetch_add_explicit(&s.idle, 1, memory_order_acq_rel);
		uint64_t next = jd_timer_driver_next(&s.driver);

		if (next == JD_NEVER && !has_fired(0))
			model_wait(&s.word, 1);
		else if (next > s.clock)
			s.clock = next;
		else if (atomic_load_explicit(&s.driver.token, memory_order_relaxed))
			model_yield();
	}
}

static void announce(void)
{
	uint32_t asleep = 1;

	/* order: (MT7) acq_rel - as (I8); pairs with (MT6). */
	atomic_fetch_add_explicit(&s.idle, 1, memory_order_acq_rel);
	if (atomic_compare_exchange_strong_explicit(&s.word, &asleep, 0, memory_order_relaxed,
						    memory_order_relaxed))
		model_wake(&s.word, 1);
}

/* It has other things to do; but whoever waits for the end of the program is told. */
static void passer_by(void)
{
	(void)fire(false);
	if (s.fires[0])
		announce();
}

static void armer(void)
{
	MODEL_CHECK(arm(0, false, LATER) == JD_OK);
	announce();
}

/* Another timer that is never due hides nothing. */
static void armer_of_others(void)
{
	MODEL_CHECK(arm(1, false, JD_NEVER - 1) == JD_OK);
	cancel(1, false);
	passer_by();
}

static void closer(void)
{
	struct jd_runnable *runnable;

	while ((runnable = jd_timer_driver_close(&s.driver)) != NULL)
		deliver(NULL, runnable);
}

static void finish_early(void)
{
	struct jd_runnable *runnable = jd_timer_driver_close(&s.driver);

	MODEL_CHECK(!runnable);
	MODEL_CHECK(s.fires[0] + s.taken_back[0] + s.refused == 1);
	for (unsigned i = 0; i < TIMERS; i++)
		if (s.items[i])
			free_item(i);
	fini();
}

static void finish_closed(void)
{
	struct jd_runnable *runnable = jd_timer_driver_close(&s.driver);

	MODEL_CHECK(!runnable);
	for (unsigned i = 0; i < 3; i++)
		MODEL_CHECK(s.fires[i] + s.taken_back[i] <= 1);
	MODEL_CHECK(s.fires[0] + s.fires[1] + s.fires[2] + s.taken_back[0] + s.taken_back[1] +
			    s.taken_back[2] + s.refused ==
		    3);
	for (unsigned i = 0; i < TIMERS; i++)
		if (s.items[i])
			free_item(i);
	fini();
}

static const struct model_program three_way = {
	"three ways", set_up, {owner_arms_and_fires, taker, canceller}, finish};
static const struct model_program ring = {
	"ring", set_up, {owner_arms_many, taker, canceller}, finish};
static const struct model_program inbox = {
	"inbox", set_up, {taker, foreign_arms_and_cancels, foreign_arms_two}, finish};
static const struct model_program two_takers = {
	"two takers", set_up, {taker, foreign_arms_both, taker}, finish};
static const struct model_program owner_wins = {
	"owner cancels", set_up, {owner_cancels, foreign_arms_first, taker}, finish};
static const struct model_program again = {
	"again", set_up, {fires_again, canceller, taker}, finish_again};
static const struct model_program early = {
	"early", set_up, {taker, foreign_arms_first, cancels_early}, finish};
static const struct model_program early_own = {
	"early, own", set_up, {owner_arms_and_fires, taker, cancels_early}, finish};
static const struct model_program early_closed = {
	"early, closed", set_up, {closer, foreign_arms_first, cancels_early}, finish_early};
static const struct model_program elsewhere = {
	"elsewhere", set_up, {fires_elsewhere, canceller, taker}, finish_again};
static const struct model_program asleep = {"asleep", set_up, {sleeper, armer, passer_by}, finish};
static const struct model_program hidden = {
	"hidden", set_up, {sleeper, armer, armer_of_others}, finish};
static const struct model_program shutdown = {
	"shutdown", set_up, {closer, foreign_arms_and_cancels, foreign_arms_two}, finish_closed};

static void clean(const struct model_program *p, unsigned preemptions, unsigned stale)
{
	const struct model_options options = {.preemptions = preemptions, .stale = stale};

	model_expect_clean(p, &options);
}

static void test_one_winner(void **state)
{
	(void)state;
	clean(&three_way, 2, 1);
	clean(&ring, 2, 0);
	clean(&owner_wins, 2, 1);
	clean(&two_takers, 2, 1);
	clean(&inbox, 2, 0);
	clean(&again, 2, 0);
	clean(&elsewhere, 2, 1);
}

static void test_a_cancel_may_be_early(void **state)
{
	(void)state;
	clean(&early, 2, 1);
	clean(&early_own, 2, 1);
	clean(&early_closed, 2, 1);
}

static void test_nobody_oversleeps(void **state)
{
	(void)state;
	clean(&asleep, 2, 1);
	clean(&hidden, 1, 1);
}

static void test_shutdown_settles_all(void **state)
{
	(void)state;
	clean(&shutdown, 2, 1);
}

static const struct {
	const struct model_program *program;
	struct model_mutation bug;
} bugs[] = {
	{&three_way,
	 {"fire claims in two steps", "claim", "cas", "&cell->node._cell", MODEL_SPLIT, 0}},
	{&three_way,
	 {"cancel in two steps", "win_back", "cas", "&cell->node._cell", MODEL_SPLIT, 0}},
	{&early_closed,
	 {"the dead keep their claim", "mark_dead", "store", "&node->_cell", MODEL_SKIP, 0}},
	{&elsewhere, {"owner relaxed", "arm", "store", "&timer->_owner", MODEL_ORDER, RLX}},
	{&early, {"cell read relaxed", "jd_timer_drop", "load", "&timer->_cell", MODEL_ORDER, RLX}},
	{&early, {"cell named relaxed", "arm", "store", "&timer->_cell", MODEL_ORDER, RLX}},
	{&two_takers,
	 {"token in two steps", "jd_timer_driver_take", "cas", "&driver->token", MODEL_SPLIT, 0}},
	{&two_takers,
	 {"token relaxed", "jd_timer_driver_take", "cas", "&driver->token", MODEL_ORDER, RLX}},
	{&two_takers,
	 {"token let go relaxed", "jd_timer_driver_release", "store", "&driver->token", MODEL_ORDER,
	  RLX}},
	{&three_way, {"tail relaxed", "ring_push", "store", "&driver->tail", MODEL_ORDER, RLX}},
	{&three_way, {"tail read relaxed", "take_in", "load", "&driver->tail", MODEL_ORDER, RLX}},
	{&again, {"timer not reset", "claim", "store", "&timer->_cell", MODEL_SKIP, 0}},
	{&inbox, {"inbox relaxed", "inbox_push", "cas", "&driver->inbox", MODEL_ORDER, RLX}},
	{&inbox, {"inbox in two steps", "inbox_push", "cas", "&driver->inbox", MODEL_SPLIT, 0}},
	{&inbox,
	 {"inbox taken in two steps", "take_inbox", "exchange", "&driver->inbox", MODEL_SPLIT, 0}},
	{&inbox, {"unlinks relaxed", "unlinks_push", "cas", "&home->unlinks", MODEL_ORDER, RLX}},
	{&inbox,
	 {"cells popped in two steps", "take_foreign", "cas", "&cells->stack", MODEL_SPLIT, 0}},
	{&asleep,
	 {"nothing lowered", "lower_wheel_next", "store", "&driver->wheel_next", MODEL_SKIP, 0}},
	{&asleep,
	 {"nothing said of the wheel", "leave", "store", "&driver->wheel_next", MODEL_SKIP, 0}},
	{&asleep,
	 {"inbox_next read relaxed", "jd_timer_driver_next", "load", "&driver->inbox_next",
	  MODEL_ORDER, RLX}},
	{&asleep, {"reset relaxed", "take_inbox", "cas", "&driver->inbox_next", MODEL_ORDER, RLX}},
	{&shutdown,
	 {"not closed", "jd_timer_driver_close", "exchange", "&driver->inbox", MODEL_SKIP, 0}},
};

static void test_seeded_bugs_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++)
		model_expect_bug(bugs[i].program, &bugs[i].bug);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_winner),
		cmocka_unit_test(test_a_cancel_may_be_early),
		cmocka_unit_test(test_nobody_oversleeps),
		cmocka_unit_test(test_shutdown_settles_all),
		cmocka_unit_test(test_seeded_bugs_are_found),
	};

	return cmocka_run_group_tests_name("model timer", tests, NULL, NULL);
}
