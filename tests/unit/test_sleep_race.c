/* test_sleep_race.c - dropping a sleep, and polling it anew, while another thread fires it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <jackdaw/timer.h>

#include "platform/platform.h"

/*
 * A scheduler with one timer and a thread that fires it. The timer's state decides who wins:
 * ARMED -> IDLE by cancel_timer, or ARMED -> FIRED by the thread, which then runs the runnable.
 */
enum {
	IDLE,
	ARMED,
	FIRED,
	QUIT
};

struct racer {
	struct jd_scheduler base;
	struct jd_thread thread;
	_Atomic(uint32_t) state;
	struct jd_runnable *runnable; /* ordered by state */
	struct jd_sleep *wait_for;    /* fire only once its owner waits in drop; NULL: at once */
	bool cancel;                  /* cancel instead of running */
};

static uint32_t racer_get(struct racer *self)
{
	/* order: (TSR1) acquire - the runnable, or its end; pairs with (TSR2), (TSR3). */
	return atomic_load_explicit(&self->state, memory_order_acquire);
}

static void racer_set(struct racer *self, uint32_t state)
{
	/* order: (TSR2) release - what goes with the state; pairs with (TSR1), (TSR3). */
	atomic_store_explicit(&self->state, state, memory_order_release);
}

static bool racer_move(struct racer *self, uint32_t from, uint32_t to)
{
	/* order: (TSR3) acq_rel - as (TSR1) and (TSR2); pairs with (TSR1), (TSR2). */
	return atomic_compare_exchange_strong_explicit(&self->state, &from, to,
						       memory_order_acq_rel, memory_order_acquire);
}

static jd_status racer_schedule_at(struct jd_scheduler *base, struct jd_timer *timer,
				   struct jd_runnable *runnable, uint64_t deadline_ns)
{
	struct racer *self = jd_container_of(base, struct racer, base);

	(void)timer;
	(void)deadline_ns;
	self->runnable = runnable;
	racer_set(self, ARMED);
	return JD_OK;
}

static jd_status racer_cancel_timer(struct jd_scheduler *base, struct jd_timer *timer)
{
	struct racer *self = jd_container_of(base, struct racer, base);

	(void)timer;
	if (self->wait_for)
		return JD_EALREADY; /* as if it was claimed, and its run not entered yet */
	return racer_move(self, ARMED, IDLE) ? JD_OK : JD_EALREADY;
}

/* Whether somebody sleeps on the word of that sleep: the bit that timer.c sets before it does. */
static bool is_waited_for(struct jd_sleep *sleep)
{
	return atomic_load_explicit(&sleep->_state, memory_order_relaxed) & 16;
}

static void racer_thread(void *arg)
{
	struct racer *self = arg;

	for (;;) {
		uint32_t state = racer_get(self);

		if (state == QUIT)
			return;
		if (state != ARMED || (self->wait_for && !is_waited_for(self->wait_for))) {
			jd_thread_yield();
			continue;
		}
		if (!racer_move(self, ARMED, FIRED))
			continue;
		if (self->cancel)
			jd_runnable_cancel(self->runnable);
		else
			jd_runnable_run(self->runnable, NULL);
		racer_set(self, IDLE);
	}
}

static jd_status nothing(struct jd_scheduler *base, struct jd_runnable *runnable)
{
	(void)base;
	(void)runnable;
	return JD_ENOTSUP;
}

static jd_status no_park(struct jd_scheduler *base, struct jd_parker *parker, uint64_t deadline_ns)
{
	(void)base;
	(void)parker;
	(void)deadline_ns;
	return JD_ENOTSUP;
}

static uint64_t at_zero(struct jd_scheduler *base)
{
	(void)base;
	return 0;
}

static jd_status no_close(struct jd_scheduler *base)
{
	(void)base;
	return JD_OK;
}

static void racer_free(struct jd_scheduler *base)
{
	jd_scheduler_fini(base);
	free(jd_container_of(base, struct racer, base));
}

static const struct jd_scheduler_ops racer_ops = {
	.name = "racer",
	.schedule = nothing,
	.schedule_at = racer_schedule_at,
	.cancel_timer = racer_cancel_timer,
	.park = no_park,
	.now = at_zero,
	.close = no_close,
	.shutdown = no_close,
	.free = racer_free,
};

static int setup(void **state)
{
	struct racer *self = calloc(1, sizeof(*self));

	if (!self || jd_scheduler_init(&self->base, &racer_ops, NULL) != JD_OK)
		return -1;
	*state = self;
	return jd_thread_start(&self->thread, "racer", 0, racer_thread, self) == JD_OK ? 0 : -1;
}

static int teardown(void **state)
{
	struct racer *self = *state;

	racer_set(self, QUIT);
	jd_thread_join(&self->thread);
	return jd_scheduler_destroy(&self->base) == JD_OK ? 0 : -1;
}

/* --- A waker that may be used from both threads ---------------------------------------------- */

struct bell {
	_Atomic(unsigned) rung;
	_Atomic(int) refs;
};

static void bell_clone(void *data)
{
	atomic_fetch_add_explicit(&((struct bell *)data)->refs, 1, memory_order_relaxed);
}

static void bell_ring(void *data)
{
	atomic_fetch_add_explicit(&((struct bell *)data)->rung, 1, memory_order_relaxed);
}

static void bell_drop(void *data)
{
	atomic_fetch_sub_explicit(&((struct bell *)data)->refs, 1, memory_order_relaxed);
}

static void bell_wake(void *data)
{
	bell_ring(data);
	bell_drop(data);
}

static const struct jd_waker_ops bell_ops = {
	.clone = bell_clone, .wake = bell_wake, .wake_ref = bell_ring, .drop = bell_drop};

static jd_status poll(struct racer *racer, struct jd_sleep *sleep, struct bell *bell)
{
	struct jd_waker waker = {&bell_ops, bell};
	struct jd_context context = {.scheduler = &racer->base, .waker = &waker};

	return jd_future_poll(&sleep->base, &context, NULL);
}

/* The memory of the sleep is freed right after the drop: a checker sees who touches it later. */
static struct jd_sleep *sleep_new(void)
{
	struct jd_sleep *sleep = malloc(sizeof(*sleep));

	if (!sleep)
		abort();
	jd_sleep_init(sleep, 1);
	return sleep;
}

static void await_idle(struct racer *racer)
{
	while (racer_get(racer) != IDLE)
		jd_thread_yield();
}

/* --- Tests ----------------------------------------------------------------------------------- */

enum {
	ROUNDS = 60000,
	ENOUGH = 100 /* however long they take */
};

/*
 * The two threads yield to each other, and so, on a processor that others want too, to these: a
 * time slice each time. There the rounds end after a while.
 */
static bool goes_on(unsigned round, uint64_t start_ns)
{
	return round < ENOUGH || (round < ROUNDS && jd_clock_now() - start_ns < 5 * JD_SEC);
}

static void test_drop_against_fire(void **state)
{
	struct racer *racer = *state;
	struct bell bell = {0};
	uint64_t start = jd_clock_now();

	for (unsigned i = 0; goes_on(i, start); i++) {
		struct jd_sleep *sleep = sleep_new();

		if (poll(racer, sleep, &bell) == JD_PENDING) {
			for (unsigned spin = 0; spin < i % 64; spin++)
				jd_cpu_relax();
		}
		jd_future_drop(&sleep->base);
		free(sleep);
		await_idle(racer);
	}
	assert_int_equal(atomic_load_explicit(&bell.refs, memory_order_relaxed), 0);
}

/* Every poll brings another waker; the one of the last pending poll is rung, exactly once. */
static void test_new_wakers_against_fire(void **state)
{
	struct racer *racer = *state;
	uint64_t start = jd_clock_now();

	for (unsigned i = 0; goes_on(i, start); i++) {
		struct jd_sleep *sleep = sleep_new();
		struct bell bells[2] = {0};
		unsigned polls = i % 50 + 1, turn = 0;
		jd_status status;

		do
			status = poll(racer, sleep, &bells[turn % 2]);
		while (status == JD_PENDING && ++turn < polls);
		/* Without that ring a task whose last poll was pending would never be polled. */
		while (status == JD_PENDING &&
		       !atomic_load_explicit(&bells[(turn - 1) % 2].rung, memory_order_relaxed))
			jd_thread_yield();
		jd_future_drop(&sleep->base);
		free(sleep);
		await_idle(racer);
		for (int b = 0; b < 2; b++)
			assert_int_equal(atomic_load_explicit(&bells[b].refs, memory_order_relaxed),
					 0);
		assert_true(atomic_load_explicit(&bells[0].rung, memory_order_relaxed) +
				    atomic_load_explicit(&bells[1].rung, memory_order_relaxed) <=
			    1);
	}
}

/* The drop has to sleep until the timer's thread, which is late, has let go. */
static void test_drop_waits_for_a_late_run(void **state)
{
	struct racer *racer = *state;

	for (unsigned i = 0; i < 200; i++) {
		struct jd_sleep *sleep = sleep_new();
		struct bell bell = {0};

		racer->cancel = i % 2;
		racer->wait_for = sleep;
		assert_int_equal(poll(racer, sleep, &bell), JD_PENDING);
		jd_future_drop(&sleep->base);
		assert_true(sleep->_state & 4); /* ended */
		free(sleep);
		await_idle(racer);
		assert_int_equal(bell.rung, 1);
		assert_int_equal(bell.refs, 0);
	}
	racer->wait_for = NULL;
}

int main(void)
{
#define WITH_RACER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_RACER(test_drop_against_fire),
		WITH_RACER(test_new_wakers_against_fire),
		WITH_RACER(test_drop_waits_for_a_late_run),
	};

	return cmocka_run_group_tests_name("sleep race", tests, NULL, NULL);
}
