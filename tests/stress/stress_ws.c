/* stress_ws.c - the production scheduler in a storm: everything ends exactly once. */
/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Actors are tasks that do random things to each other: wake, cancel, detach, await, spawn, sleep,
 * block. Foreign threads and the main thread do the same from outside, runnables and timers fly
 * about, and at a random moment the scheduler is destroyed under all of it. Nothing here knows
 * what will happen; the accounts at the end must balance: every future that was taken was dropped
 * once, every runnable ran or was cancelled once, all memory came back.
 *
 * JD_TEST_SEED=n repeats the choices of a run, JD_STRESS_MS=n changes its length (1,500 ms).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include <jackdaw/task.h>
#include <jackdaw/timer.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"
#include "tests/conformance/count_allocator.h"
#include "tests/conformance/gate.h"

#define SLOTS 128u
#define FOREIGN 3u
#define ROUNDS 10u
#define TURNS 30u  /* polls after which an actor ends */
#define LIVE 1000u /* so many actors at once, about */

static struct world *world;

/* --- What is counted -------------------------------------------------------------------------- */

/* One future that was offered to a spawn; lives until the end of the round. */
struct actor {
	struct actor *next; /* L: of the world's list */
	_Atomic(unsigned) drops;
	_Atomic(unsigned) busy;  /* in poll or drop: at most one */
	_Atomic(unsigned) ended; /* a poll ended it with JD_OK */
	_Atomic(unsigned) results;
	bool taken; /* by the scheduler */
};

/* One runnable that was offered to a schedule call, with a timer or without. */
struct job {
	struct jd_runnable base;
	struct jd_timer timer;
	struct job *next; /* L: of the world's list */
	_Atomic(unsigned) ends;
	bool taken;
};

struct slot {
	pthread_mutex_t lock;
	struct jd_task *task;  /* L: a handle anybody may use or take */
	struct jd_waker waker; /* L: of whoever waits in this slot */
	struct job *timer;     /* L: a timer that was armed once */
};

struct world {
	struct count_allocator memory;
	struct jd_scheduler *scheduler;
	struct slot slots[SLOTS];
	pthread_mutex_t lock;
	struct actor *actors; /* L */
	struct job *jobs;     /* L */
	_Atomic(unsigned) errors;
	_Atomic(unsigned) stop;
	_Atomic(unsigned) live_refused; /* schedule calls that came too late */
};

static void add(_Atomic(unsigned) *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static unsigned get(_Atomic(unsigned) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void expect_at(bool good, const char *what, int line)
{
	if (!good && get(&world->errors) < 20)
		fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, line, what);
	if (!good)
		add(&world->errors);
}
#define EXPECT(cond) expect_at((cond), #cond, __LINE__)

static uint64_t draw(uint64_t *random, uint64_t n)
{
	*random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (*random >> 33) % n;
}

static void *must_calloc(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		abort();
	return memory;
}

/* --- Jobs ------------------------------------------------------------------------------------- */

static void job_end(struct jd_runnable *runnable)
{
	struct job *job = jd_container_of(runnable, struct job, base);

	EXPECT(atomic_fetch_add_explicit(&job->ends, 1, memory_order_relaxed) == 0);
}

static void job_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	(void)worker;
	job_end(runnable);
}

static struct job *job_new(void)
{
	static const struct jd_runnable_ops ops = {.run = job_run, .cancel = job_end};
	struct job *job = must_calloc(sizeof(*job));

	job->base = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
	pthread_mutex_lock(&world->lock);
	job->next = world->jobs;
	world->jobs = job;
	pthread_mutex_unlock(&world->lock);
	return job;
}

static void note_taken(bool *taken, jd_status status)
{
	*taken = status == JD_OK;
	EXPECT(status == JD_OK || status == JD_ECLOSED);
	if (status != JD_OK)
		add(&world->live_refused);
}

static void do_job(uint64_t *random)
{
	struct jd_scheduler *s = world->scheduler;
	struct slot *slot = &world->slots[draw(random, SLOTS)];
	struct job *job = job_new();
	bool taken = false;

	switch (draw(random, 5)) {
	case 0:
		note_taken(&taken, jd_schedule(s, &job->base));
		break;
	case 1:
		note_taken(&taken, jd_schedule_foreground(s, &job->base, 1 + draw(random, 5)));
		break;
	case 2:
		note_taken(&taken, jd_schedule_blocking(s, &job->base));
		break;
	default:
		if (draw(random, 2))
			job->base.flags = JD_RUNNABLE_INLINE;
		note_taken(&taken, jd_schedule_after(s, &job->timer, &job->base,
						     draw(random, 300) * JD_US));
		pthread_mutex_lock(&slot->lock);
		if (taken)
			slot->timer = job;
		pthread_mutex_unlock(&slot->lock);
		break;
	}
	/* Read at the end of the round only, when all threads are gone. */
	job->taken = taken;
}

/*
 * Cancels a timer, fired or not: a cancel that wins is one way to end, too. Under the lock, since
 * only one may cancel a timer at a time; the next one learns that it is too late.
 */
static void do_cancel_timer(struct slot *slot)
{
	pthread_mutex_lock(&slot->lock);
	struct job *job = slot->timer;

	if (job && jd_cancel_timer(world->scheduler, &job->timer) == JD_OK)
		job_end(&job->base);
	pthread_mutex_unlock(&slot->lock);
}

/* --- Actors ----------------------------------------------------------------------------------- */

struct actor_future {
	struct jd_future base;
	struct actor *actor;
	uint64_t random;
	unsigned turns; /* not atomic: polls are ordered by the scheduler, or TSan tells */
	struct slot *home;
	struct jd_task *awaited; /* owned */
	struct jd_sleep nap;
	bool napping;
};

struct actor_result {
	struct actor *actor;
};

static void do_random(uint64_t *random);

static void actor_drop_result(void *result)
{
	struct actor_result *r = result;

	add(&r->actor->results);
}

static void await(struct actor_future *self, struct jd_context *context)
{
	struct actor_result result = {NULL};
	jd_status status = jd_task_poll(self->awaited, context, &result);

	EXPECT((status == JD_OK) == (result.actor != NULL));
	if (status == JD_OK)
		actor_drop_result(&result);
	if (status == JD_PENDING && draw(&self->random, 8))
		return;
	if (draw(&self->random, 2))
		jd_task_drop(self->awaited);
	else
		jd_task_detach(self->awaited);
	self->awaited = NULL;
}

static void take_a_task(struct actor_future *self)
{
	struct slot *slot = &world->slots[draw(&self->random, SLOTS)];

	pthread_mutex_lock(&slot->lock);
	self->awaited = slot->task;
	slot->task = NULL;
	pthread_mutex_unlock(&slot->lock);
}

static void nap(struct actor_future *self, struct jd_context *context)
{
	if (!self->napping)
		jd_sleep_init(&self->nap, draw(&self->random, 200) * JD_US);
	self->napping = true;
	if (jd_future_poll(&self->nap.base, context, NULL) == JD_PENDING && draw(&self->random, 4))
		return;
	jd_future_drop(&self->nap.base);
	self->napping = false;
}

static void wait_in_slot(struct actor_future *self, struct jd_context *context)
{
	struct jd_waker waker = jd_waker_clone(context->waker), old;

	pthread_mutex_lock(&self->home->lock);
	old = self->home->waker;
	self->home->waker = waker;
	pthread_mutex_unlock(&self->home->lock);
	/* Whoever waited here waits no more: it may be that nobody can wake it then. */
	jd_waker_drop(&old);
}

static void block_a_little(struct actor_future *self, struct jd_context *context)
{
	struct jd_sleep pause;
	jd_status status;

	jd_sleep_init(&pause, draw(&self->random, 50) * JD_US);
	status = jd_block_with_timeout(context->scheduler, &pause.base, 30 * JD_US, NULL);
	EXPECT(status == JD_OK || status == JD_ETIMEDOUT || status == JD_ECLOSED ||
	       status == JD_ECANCELED);
	jd_future_drop(&pause.base);
}

static jd_status actor_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct actor_future *self = jd_container_of(future, struct actor_future, base);
	uint64_t what = draw(&self->random, 100);
	jd_status status = JD_PENDING;

	EXPECT(atomic_fetch_add_explicit(&self->actor->busy, 1, memory_order_relaxed) == 0);
	EXPECT(get(&self->actor->drops) == 0);
	do_random(&self->random);
	if (!self->awaited && what < 20)
		take_a_task(self);
	if (self->awaited)
		await(self, context);
	if (self->napping || what % 4 == 0)
		nap(self, context);
	if (what == 50)
		block_a_little(self, context);
	if (++self->turns >= TURNS || what == 99) {
		status = what % 3 ? JD_OK : JD_EFAILED;
		if (status == JD_OK) {
			*(struct actor_result *)result = (struct actor_result){self->actor};
			add(&self->actor->ended);
		}
	} else if (what % 2) {
		jd_waker_wake_ref(context->waker);
	} else {
		wait_in_slot(self, context);
	}
	atomic_fetch_sub_explicit(&self->actor->busy, 1, memory_order_relaxed);
	return status;
}

static void actor_drop(struct jd_future *future)
{
	struct actor_future *self = jd_container_of(future, struct actor_future, base);

	EXPECT(get(&self->actor->busy) == 0);
	EXPECT(atomic_fetch_add_explicit(&self->actor->drops, 1, memory_order_relaxed) == 0);
	if (self->napping)
		jd_future_drop(&self->nap.base);
	jd_task_drop(self->awaited);
}

static const struct jd_future_ops actor_ops = {
	.poll = actor_poll,
	.drop = actor_drop,
	.drop_result = actor_drop_result,
	.size = sizeof(struct actor_future),
	.result_size = sizeof(struct actor_result),
};

static struct actor *actor_new(void)
{
	struct actor *actor = must_calloc(sizeof(*actor));

	pthread_mutex_lock(&world->lock);
	actor->next = world->actors;
	world->actors = actor;
	pthread_mutex_unlock(&world->lock);
	return actor;
}

static void do_spawn(uint64_t *random)
{
	if (jd_scheduler_task_count(world->scheduler) >= LIVE)
		return;
	struct slot *slot = &world->slots[draw(random, SLOTS)];
	const struct jd_task_options options = {
		.kind = (enum jd_task_kind)(draw(random, 8) < 6 ? 0 : 1 + draw(random, 2)),
		.session = 1 + draw(random, 5),
	};
	struct actor_future future = {
		.base = {&actor_ops}, .actor = actor_new(), .random = *random, .home = slot};
	struct actor *actor = future.actor;
	struct jd_task *task = NULL, *old;
	jd_status status = jd_task_spawn(world->scheduler, &future.base, &options,
					 draw(random, 4) ? &task : NULL);

	note_taken(&actor->taken, status);
	pthread_mutex_lock(&slot->lock);
	old = slot->task;
	slot->task = task;
	pthread_mutex_unlock(&slot->lock);
	if (draw(random, 2))
		jd_task_drop(old);
	else
		jd_task_detach(old);
}

/* --- The storm -------------------------------------------------------------------------------- */

static void do_wake(struct slot *slot, bool keep)
{
	pthread_mutex_lock(&slot->lock);
	struct jd_waker waker = keep ? jd_waker_clone(&slot->waker) : slot->waker;

	if (!keep)
		slot->waker = (struct jd_waker){0};
	pthread_mutex_unlock(&slot->lock);
	jd_waker_wake(&waker);
}

static void do_cancel(struct slot *slot)
{
	pthread_mutex_lock(&slot->lock);
	if (slot->task)
		jd_task_cancel(slot->task);
	pthread_mutex_unlock(&slot->lock);
}

static void do_take(struct slot *slot, bool drop)
{
	pthread_mutex_lock(&slot->lock);
	struct jd_task *task = slot->task;

	slot->task = NULL;
	pthread_mutex_unlock(&slot->lock);
	if (drop)
		jd_task_drop(task);
	else
		jd_task_detach(task);
}

static void do_random(uint64_t *random)
{
	struct slot *slot = &world->slots[draw(random, SLOTS)];

	switch (draw(random, 12)) {
	case 0:
		do_cancel(slot);
		break;
	case 1:
		do_take(slot, draw(random, 2));
		break;
	case 2:
	case 3:
		do_job(random);
		break;
	case 4:
		do_cancel_timer(slot);
		break;
	case 5:
		do_spawn(random);
		break;
	default:
		do_wake(slot, draw(random, 2));
		break;
	}
}

struct foreigner {
	struct gate_thread thread;
	uint64_t random;
};

static void foreign_main(void *arg)
{
	struct foreigner *f = arg;
	struct jd_parker *parker;

	if (jd_parker_new(world->scheduler, &parker) != JD_OK)
		abort();
	while (!get(&world->stop)) {
		for (unsigned i = 0; i < 20; i++)
			do_random(&f->random);
		jd_parker_park(parker, jd_clock_now() + draw(&f->random, 100) * JD_US);
	}
	jd_parker_release(parker);
}

/* The main thread lives in waits, in which its foreground work runs. */
static void main_until(uint64_t end, uint64_t *random)
{
	struct jd_parker *parker;

	assert_int_equal(jd_parker_new(world->scheduler, &parker), JD_OK);
	while (jd_clock_now() < end) {
		do_random(random);
		do_spawn(random);
		jd_parker_park(parker, jd_clock_now() + 50 * JD_US);
	}
	jd_parker_release(parker);
}

static void slots_clear(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &world->slots[i];

		jd_task_drop(slot->task);
		jd_waker_drop(&slot->waker);
		pthread_mutex_destroy(&slot->lock);
	}
}

/* The accounts; returns how many actors there were. */
static unsigned settle(void)
{
	unsigned actors = 0, wrong_actors = 0, wrong_jobs = 0;

	while (world->actors) {
		struct actor *a = world->actors;

		wrong_actors += get(&a->drops) != (a->taken ? 1 : 0) ||
				get(&a->results) != get(&a->ended);
		actors += a->taken;
		world->actors = a->next;
		free(a);
	}
	while (world->jobs) {
		struct job *job = world->jobs;

		wrong_jobs += get(&job->ends) != (job->taken ? 1 : 0);
		world->jobs = job->next;
		free(job);
	}
	assert_int_equal(wrong_actors, 0);
	assert_int_equal(wrong_jobs, 0);
	assert_int_equal(get(&world->errors), 0);
	assert_int_equal(count_allocator_live(&world->memory), 0);
	assert_int_equal(world->memory.misfits, 0);
	return actors;
}

static unsigned one_round(uint64_t *random, uint64_t length_ns)
{
	struct jd_ws_options options = {
		.workers = 1 + (unsigned)draw(random, 4), .main_thread = true, .blocking_max = 4};
	struct foreigner foreigners[FOREIGN];

	world = must_calloc(sizeof(*world));
	count_allocator_init(&world->memory);
	options.allocator = &world->memory.base;
	pthread_mutex_init(&world->lock, NULL);
	for (unsigned i = 0; i < SLOTS; i++)
		pthread_mutex_init(&world->slots[i].lock, NULL);
	assert_int_equal(jd_ws_scheduler_new(&options, &world->scheduler), JD_OK);
	jd_scheduler_retain(world->scheduler);
	for (unsigned i = 0; i < FOREIGN; i++) {
		foreigners[i].random = *random + i;
		gate_thread_start(&foreigners[i].thread, foreign_main, &foreigners[i]);
	}
	main_until(jd_clock_now() + length_ns, random);
	if (draw(random, 2))
		assert_int_equal(jd_scheduler_close(world->scheduler), JD_OK);
	if (draw(random, 2))
		main_until(jd_clock_now() + 5 * JD_MS, random);
	assert_int_equal(jd_scheduler_destroy(world->scheduler), JD_OK);
	add(&world->stop);
	for (unsigned i = 0; i < FOREIGN; i++)
		gate_thread_join(&foreigners[i].thread);
	slots_clear();
	jd_scheduler_release(world->scheduler);
	unsigned actors = settle();

	pthread_mutex_destroy(&world->lock);
	free(world);
	return actors;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void storms_balance(void **state)
{
	uint64_t seed = number_of("JD_TEST_SEED", jd_random_seed()), random = seed;
	uint64_t length = number_of("JD_STRESS_MS", 1500) * JD_MS / ROUNDS;
	unsigned actors = 0;

	(void)state;
	print_message("repeat with JD_TEST_SEED=%llu\n", (unsigned long long)seed);
	for (unsigned round = 0; round < ROUNDS; round++)
		actors += one_round(&random, length);
	print_message("%u actors\n", actors);
	assert_true(actors > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(storms_balance)};

	return cmocka_run_group_tests_name("stress_ws", tests, NULL, NULL);
}
