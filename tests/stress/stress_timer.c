/* stress_timer.c - [TIMERS]: timers armed, cancelled and fired from everywhere: once, none lost. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/timer.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"

/*
 * Two workers, each with a task, and two foreign threads arm timers that are due about when they
 * are cancelled. Timers change hands while they are armed, so that most are cancelled by another
 * thread than the one that armed them. As soon as a cancel has won, or the end was seen, the
 * timer's memory is overwritten: whoever still uses it is found out, by ThreadSanitizer at the
 * latest. JD_SEED=n repeats the choices of a run.
 */
enum {
	WORKERS = 2,
	ARMERS = 4,  /* tasks, then foreign threads */
	SLOTS = 64,  /* of an armer */
	BOXES = 16,  /* where slots change hands */
	TURNS = 100, /* of a task between two looks of its worker at its timers */
	STORMS = 20,
	STORM_TIMERS = 2000, /* of a thread */
	TIMERS = 400 * 1000, /* of all armers, unless the command line says otherwise */
};

static uint64_t timers = TIMERS, seed = 1;

/* Access: H the armer that has it, A any thread. */
struct slot {
	struct jd_timer timer;       /* H while not armed */
	struct jd_runnable runnable; /* H while not armed */
	_Atomic(uint32_t) ends;      /* A: runs and cancels by the scheduler */
	uint32_t expected;           /* H: how many there were when it was armed */
	bool armed;                  /* H */
};

struct armer {
	struct jd_scheduler *scheduler;
	struct slot *_Atomic *boxes;
	struct slot slots[SLOTS];
	struct slot *mine[SLOTS];
	struct jd_thread thread;
	bool may_wait; /* it is no task */
	uint64_t random;
	uint64_t armed, taken_back, ended, wrong;
	uint64_t refused;
};

static uint64_t next_random(uint64_t *state)
{
	/* splitmix64 (Steele, Lea, Flood 2014). */
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void slot_end(struct slot *slot)
{
	/* order: (ST1) release - the last use of the timer; pairs with (ST2). */
	atomic_fetch_add_explicit(&slot->ends, 1, memory_order_release);
}

static void slot_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	(void)worker;
	slot_end(jd_container_of(runnable, struct slot, runnable));
}

static void slot_cancel(struct jd_runnable *runnable)
{
	slot_end(jd_container_of(runnable, struct slot, runnable));
}

static uint32_t slot_ends(struct slot *slot)
{
	/* order: (ST2) acquire - the timer is ours again; pairs with (ST1). */
	return atomic_load_explicit(&slot->ends, memory_order_acquire);
}

/* Whoever still has an eye on them sees nonsense. */
static void overwrite(struct slot *slot)
{
	memset(&slot->runnable, 0x5a, sizeof(slot->runnable));
	memset(&slot->timer, 0, sizeof(slot->timer));
	slot->armed = false;
}

static void arm(struct armer *self, struct slot *slot)
{
	static const struct jd_runnable_ops ops = {.run = slot_run, .cancel = slot_cancel};
	uint64_t choice = next_random(&self->random), delay = choice % (16 * JD_US);

	slot->runnable = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
	slot->runnable.flags = choice & 1u << 20 ? JD_RUNNABLE_INLINE : 0;
	slot->expected = slot_ends(slot);
	if (choice & 1u << 21)
		jd_timer_set_slack(&slot->timer, choice >> 40 & 0x3fff);
	jd_status status =
		choice & 1u << 22
			? jd_schedule_after(self->scheduler, &slot->timer, &slot->runnable, delay)
			: jd_schedule_at(self->scheduler, &slot->timer, &slot->runnable,
					 jd_now(self->scheduler) + delay);

	slot->armed = status == JD_OK;
	self->armed += slot->armed;
	self->refused += status == JD_ECLOSED;
	self->wrong += status != JD_OK && status != JD_ECLOSED;
	if (!slot->armed)
		overwrite(slot);
}

/* Waits for an end that must come: it has been claimed, or is due soon. */
static void await_end(struct armer *self, struct slot *slot)
{
	uint64_t limit = jd_clock_now() + 60 * JD_SEC;

	while (slot_ends(slot) == slot->expected && jd_clock_now() < limit)
		jd_thread_yield();
	self->wrong += slot_ends(slot) != slot->expected + 1;
	self->ended++;
	overwrite(slot);
}

static void cancel(struct armer *self, struct slot *slot)
{
	jd_status status = jd_cancel_timer(self->scheduler, &slot->timer);

	if (status == JD_OK) {
		self->wrong += slot_ends(slot) != slot->expected;
		self->taken_back++;
		overwrite(slot);
	} else {
		/* It may be queued behind the task that asks: then a later turn sees the end. */
		self->wrong += status != JD_EALREADY;
		if (self->may_wait)
			await_end(self, slot);
	}
}

static struct slot *change(struct armer *self, struct slot *slot)
{
	struct slot *_Atomic *box = &self->boxes[next_random(&self->random) % BOXES];
	/* order: (ST3) acq_rel - the slot changes hands; pairs with (ST3). */
	struct slot *other = atomic_exchange_explicit(box, slot, memory_order_acq_rel);

	return other ? other : NULL;
}

static void armer_turn(struct armer *self, struct slot **mine)
{
	uint64_t choice = next_random(&self->random);

	if (!*mine) {
		*mine = change(self, NULL);
		return;
	}
	if (!(*mine)->armed)
		arm(self, *mine);
	else if (slot_ends(*mine) != (*mine)->expected)
		await_end(self, *mine);
	else if (!(choice & 15))
		cancel(self, *mine);
	if (!(choice & 48))
		*mine = change(self, *mine);
}

static void armer_begin(struct armer *self, struct jd_scheduler *scheduler,
			struct slot *_Atomic *boxes, uint64_t number)
{
	memset(self, 0, sizeof(*self));
	self->scheduler = scheduler;
	self->boxes = boxes;
	self->random = seed * 1000 + number;
	for (unsigned i = 0; i < SLOTS; i++)
		self->mine[i] = &self->slots[i];
}

static bool armer_goes_on(const struct armer *self)
{
	return self->armed < timers / ARMERS && !self->wrong;
}

static void armer_main(void *arg)
{
	struct armer *self = arg;

	self->may_wait = true;
	while (armer_goes_on(self))
		armer_turn(self, &self->mine[next_random(&self->random) % SLOTS]);
}

/* The same in a task, which lets its worker look at its timers now and then. */
struct armer_task {
	struct jd_future base;
	struct armer *armer;
};

static jd_status armer_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct armer *self = jd_container_of(future, struct armer_task, base)->armer;

	(void)result;
	for (unsigned i = 0; i < TURNS && armer_goes_on(self); i++)
		armer_turn(self, &self->mine[next_random(&self->random) % SLOTS]);
	if (!armer_goes_on(self))
		return JD_OK;
	struct jd_waker waker = jd_waker_clone(context->waker);

	jd_waker_wake(&waker);
	return JD_PENDING;
}

static struct jd_task *armer_spawn(struct armer *armer)
{
	static const struct jd_future_ops ops = {.poll = armer_poll,
						 .size = sizeof(struct armer_task)};
	struct armer_task task = {.base = {&ops}, .armer = armer};
	struct jd_task *handle;

	assert_int_equal(jd_spawn(armer->scheduler, &task.base, &handle), JD_OK);
	return handle;
}

/* What is left in hands and boxes ends; then all that was armed has ended, once. */
static void settle(struct armer *armers, struct slot *_Atomic *boxes)
{
	uint64_t armed = 0, ended = 0, wrong = 0;

	for (unsigned a = 0; a < ARMERS; a++) {
		armers[a].may_wait = true;
		for (unsigned i = 0; i < SLOTS; i++)
			if (armers[a].mine[i] && armers[a].mine[i]->armed)
				cancel(&armers[a], armers[a].mine[i]);
	}
	for (unsigned i = 0; i < BOXES; i++) {
		struct slot *slot = atomic_load_explicit(&boxes[i], memory_order_relaxed);

		if (slot && slot->armed)
			cancel(&armers[0], slot);
	}
	for (unsigned a = 0; a < ARMERS; a++) {
		armed += armers[a].armed;
		ended += armers[a].ended + armers[a].taken_back;
		wrong += armers[a].wrong;
		for (unsigned i = 0; i < SLOTS; i++)
			wrong += armers[a].slots[i].armed;
	}
	assert_int_equal(wrong, 0);
	assert_int_equal(armed, ended);
}

static struct jd_scheduler *two_workers(void)
{
	const struct jd_ws_options options = {.workers = WORKERS};
	struct jd_scheduler *scheduler;

	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	return scheduler;
}

static void test_cancel_against_fire(void **state)
{
	static struct armer armers[ARMERS];
	static struct slot *_Atomic boxes[BOXES];
	struct jd_scheduler *scheduler = two_workers();
	struct jd_task *tasks[WORKERS];
	uint64_t fired = 0;

	(void)state;
	for (unsigned a = 0; a < ARMERS; a++)
		armer_begin(&armers[a], scheduler, boxes, a);
	for (unsigned a = 0; a < WORKERS; a++)
		tasks[a] = armer_spawn(&armers[a]);
	for (unsigned a = WORKERS; a < ARMERS; a++)
		assert_int_equal(
			jd_thread_start(&armers[a].thread, "armer", 0, armer_main, &armers[a]),
			JD_OK);
	for (unsigned a = WORKERS; a < ARMERS; a++)
		jd_thread_join(&armers[a].thread);
	for (unsigned a = 0; a < WORKERS; a++)
		assert_int_equal(jd_task_join(tasks[a], NULL), JD_OK);
	settle(armers, boxes);
	for (unsigned a = 0; a < ARMERS; a++)
		fired += armers[a].ended;
	print_message("  %llu timers fired, the others were cancelled\n",
		      (unsigned long long)fired);
	assert_true(fired > 0);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* --- Shutdown --------------------------------------------------------------------------------- */

struct storm {
	struct jd_scheduler *scheduler;
	struct slot *slots;
	struct jd_thread thread;
	uint64_t random;
	uint32_t armed;
};

/* Arms until it is refused. */
static void storm_main(void *arg)
{
	static const struct jd_runnable_ops ops = {.run = slot_run, .cancel = slot_cancel};
	struct storm *self = arg;
	jd_status status = JD_OK;

	for (uint32_t i = 0; i < STORM_TIMERS && status == JD_OK; i++) {
		struct slot *slot = &self->slots[i];
		uint64_t choice = next_random(&self->random);

		slot->runnable = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
		slot->runnable.flags = choice & 1 ? JD_RUNNABLE_INLINE : 0;
		status = jd_schedule_after(self->scheduler, &slot->timer, &slot->runnable,
					   (choice >> 8) % (4 * JD_MS));
		slot->armed = status == JD_OK;
		self->armed += slot->armed;
		/* One in four is taken back, even if the scheduler has been shut down by now. */
		if (slot->armed && (choice & 6) == 6 &&
		    jd_cancel_timer(self->scheduler, &slot->timer) == JD_OK)
			slot->armed = false;
	}
}

static void storm_begin(struct storm *storm, struct jd_scheduler *scheduler, uint64_t number)
{
	storm->scheduler = scheduler;
	storm->random = seed + number;
	storm->armed = 0;
	storm->slots = calloc(STORM_TIMERS, sizeof(*storm->slots));
	assert_non_null(storm->slots);
	assert_int_equal(jd_thread_start(&storm->thread, "storm", 0, storm_main, storm), JD_OK);
}

/* Everything that was accepted has ended once: run, cancelled, or taken back. */
static void storm_end(struct storm *storm)
{
	for (unsigned i = 0; i < STORM_TIMERS; i++)
		assert_int_equal(slot_ends(&storm->slots[i]), storm->slots[i].armed);
	free(storm->slots);
}

static void test_storm_at_shutdown(void **state)
{
	(void)state;
	for (unsigned round = 0; round < STORMS; round++) {
		struct jd_scheduler *scheduler = two_workers();
		struct storm storms[2];
		uint64_t until = jd_clock_now() + round * 100 * JD_US;

		jd_scheduler_retain(scheduler);
		for (unsigned i = 0; i < 2; i++)
			storm_begin(&storms[i], scheduler, round * 2 + i);
		while (jd_clock_now() < until)
			jd_thread_yield();
		assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
		for (unsigned i = 0; i < 2; i++)
			jd_thread_join(&storms[i].thread);
		for (unsigned i = 0; i < 2; i++)
			storm_end(&storms[i]);
		jd_scheduler_release(scheduler);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cancel_against_fire),
		cmocka_unit_test(test_storm_at_shutdown),
	};
	const char *text = getenv("JD_SEED");

	if (argc > 1)
		timers = strtoull(argv[1], NULL, 10);
	seed = text ? strtoull(text, NULL, 10) : jd_clock_now();
	print_message("to repeat: JD_SEED=%llu stress_timer %llu\n", (unsigned long long)seed,
		      (unsigned long long)timers);
	return cmocka_run_group_tests_name("stress timer", tests, NULL, NULL);
}
