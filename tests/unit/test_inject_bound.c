/* test_inject_bound.c - a bound on work from outside: rejected, run inline, waited for, closed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"
#include "tests/conformance/count_allocator.h"

enum {
	BOUND = 4,
	PRODUCERS = 8,
	EACH = 1000
};

/* One worker, which is kept busy on request, and what ran. */
struct fixture {
	struct count_allocator memory;
	struct jd_scheduler *scheduler;
	_Atomic(uint32_t) busy, go;
	_Atomic(uint64_t) ran;
	_Atomic(uint64_t) last_thread; /* on which the last one ran */
	jd_status nested;              /* of a spawn inside a task */
	jd_status elsewhere;           /* of a spawn inside a task of another scheduler */
};

static void *keep_busy(void *arg)
{
	struct fixture *f = arg;

	atomic_store_explicit(&f->busy, 1, memory_order_relaxed);
	while (!atomic_load_explicit(&f->go, memory_order_relaxed))
		jd_thread_yield();
	return NULL;
}

static void *count_run(void *arg)
{
	struct fixture *f = arg;

	atomic_store_explicit(&f->last_thread, jd_thread_self(), memory_order_relaxed);
	atomic_fetch_add_explicit(&f->ran, 1, memory_order_relaxed);
	return NULL;
}

static void *spawn_one(void *arg)
{
	struct fixture *f = arg;

	f->nested = jd_spawn_fn(f->scheduler, count_run, f, NULL);
	return NULL;
}

static uint64_t ran(struct fixture *f)
{
	return atomic_load_explicit(&f->ran, memory_order_relaxed);
}

static jd_status spawn(struct fixture *f)
{
	return jd_spawn_fn(f->scheduler, count_run, f, NULL);
}

static void make_busy(struct fixture *f)
{
	atomic_store_explicit(&f->busy, 0, memory_order_relaxed);
	atomic_store_explicit(&f->go, 0, memory_order_relaxed);
	assert_int_equal(jd_spawn_fn(f->scheduler, keep_busy, f, NULL), JD_OK);
	while (!atomic_load_explicit(&f->busy, memory_order_relaxed))
		jd_thread_yield();
}

static void release(struct fixture *f)
{
	atomic_store_explicit(&f->go, 1, memory_order_relaxed);
}

static void set_up(struct fixture *f, unsigned bound, enum jd_inject_policy policy)
{
	memset(f, 0, sizeof(*f));
	count_allocator_init(&f->memory);
	const struct jd_ws_options options = {.workers = 1,
					      .inject_max = bound,
					      .inject_policy = policy,
					      .allocator = &f->memory.base};

	assert_int_equal(jd_ws_scheduler_new(&options, &f->scheduler), JD_OK);
}

static void tear_down(struct fixture *f)
{
	assert_int_equal(jd_scheduler_destroy(f->scheduler), JD_OK);
	assert_int_equal(count_allocator_live(&f->memory), 0);
	assert_int_equal(f->memory.misfits, 0);
}

static void test_options(void **state)
{
	struct jd_scheduler *scheduler;
	struct jd_ws_options options = {.inject_max = 1};

	(void)state;
	options.inject_policy = (enum jd_inject_policy)(JD_INJECT_RUN_INLINE + 1);
	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_EINVAL);
}

/* A future whose drops are counted, and that waits for one wake. */
struct parked {
	struct jd_future base;
	struct jd_waker *waker;
	_Atomic(uint32_t) *polls, *drops;
};

static jd_status parked_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct parked *self = jd_container_of(future, struct parked, base);

	(void)result;
	if (atomic_fetch_add_explicit(self->polls, 1, memory_order_relaxed))
		return JD_OK;
	*self->waker = jd_waker_clone(context->waker);
	return JD_PENDING;
}

static void parked_drop(struct jd_future *future)
{
	struct parked *self = jd_container_of(future, struct parked, base);

	atomic_fetch_add_explicit(self->drops, 1, memory_order_relaxed);
}

static const struct jd_future_ops parked_ops = {
	.poll = parked_poll,
	.drop = parked_drop,
	.size = sizeof(struct parked),
};

/* What is refused is still the caller's; a wake never is; and there is room again afterwards. */
static void test_reject(void **state)
{
	struct fixture f;
	struct jd_waker waker = {0};
	_Atomic(uint32_t) polls, drops;

	(void)state;
	atomic_init(&polls, 0);
	atomic_init(&drops, 0);
	set_up(&f, BOUND, JD_INJECT_REJECT);
	struct parked parked = {{&parked_ops}, &waker, &polls, &drops};
	struct jd_task *task;

	assert_int_equal(jd_spawn(f.scheduler, &parked.base, &task), JD_OK);
	while (strcmp(jd_task_get_state(task), "waiting") != 0)
		jd_thread_yield();
	for (int round = 0; round < 40; round++) {
		make_busy(&f);
		for (int i = 0; i < BOUND; i++)
			assert_int_equal(spawn(&f), JD_OK);
		assert_int_equal(spawn(&f), JD_EWOULDBLOCK);
		assert_int_equal(jd_spawn(f.scheduler, &parked.base, NULL), JD_EWOULDBLOCK);
		assert_int_equal(atomic_load_explicit(&drops, memory_order_relaxed), 0);
		assert_int_equal(jd_scheduler_task_count(f.scheduler), BOUND + 2);
		if (round == 39)
			jd_waker_wake(&waker);
		release(&f);
		while (ran(&f) < (uint64_t)(round + 1) * BOUND)
			jd_thread_yield();
	}
	assert_int_equal(jd_task_join(task, NULL), JD_OK);
	assert_int_equal(jd_scheduler_drain(f.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(ran(&f), 40 * BOUND);
	assert_int_equal(atomic_load_explicit(&drops, memory_order_relaxed), 1);
	tear_down(&f);
}

/* Beyond the bound the caller runs it, before the call returns; what that one spawns is queued. */
static void test_run_inline(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, BOUND, JD_INJECT_RUN_INLINE);
	make_busy(&f);
	for (int i = 0; i < BOUND; i++)
		assert_int_equal(spawn(&f), JD_OK);
	assert_int_equal(ran(&f), 0);
	assert_int_equal(spawn(&f), JD_OK);
	assert_int_equal(ran(&f), 1);
	assert_int_equal(f.last_thread, jd_thread_self());
	assert_int_equal(jd_spawn_fn(f.scheduler, spawn_one, &f, NULL), JD_OK);
	assert_int_equal(f.nested, JD_OK);
	assert_int_equal(ran(&f), 1);
	release(&f);
	assert_int_equal(jd_scheduler_drain(f.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(ran(&f), BOUND + 2);
	tear_down(&f);
}

struct producer {
	struct jd_thread thread;
	struct fixture *f;
	_Atomic(uint64_t) spawned;
	uint64_t rejected;
	jd_status status; /* the first that was neither */
};

static void produce(void *arg)
{
	struct producer *self = arg;

	self->rejected = 0;
	self->status = JD_OK;
	for (int i = 0; i < EACH && self->status == JD_OK; i++) {
		self->status = spawn(self->f);
		if (self->status == JD_OK)
			atomic_fetch_add_explicit(&self->spawned, 1, memory_order_relaxed);
		if (self->status == JD_EWOULDBLOCK) {
			self->rejected++;
			self->status = JD_OK;
		}
	}
	jd_scheduler_release(self->f->scheduler);
}

static void start(struct producer *self, struct fixture *f)
{
	self->f = f;
	atomic_init(&self->spawned, 0);
	jd_scheduler_retain(f->scheduler);
	assert_int_equal(jd_thread_start(&self->thread, "producer", 0, produce, self), JD_OK);
}

/* The producer gets as far as the bound, waits, and goes on when there is room. */
static void test_block(void **state)
{
	struct fixture f;
	struct producer producer;

	(void)state;
	set_up(&f, BOUND, JD_INJECT_BLOCK);
	make_busy(&f);
	start(&producer, &f);
	while (atomic_load_explicit(&producer.spawned, memory_order_relaxed) < BOUND)
		jd_thread_yield();
	for (int i = 0; i < 1000; i++) {
		jd_thread_yield();
		assert_int_equal(producer.spawned, BOUND);
	}
	release(&f);
	jd_thread_join(&producer.thread);
	assert_int_equal(producer.status, JD_OK);
	assert_int_equal(jd_scheduler_drain(f.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(ran(&f), EACH);
	tear_down(&f);
}

/* Who waits is told of the end, by close and by destroy. */
static void test_the_end_is_told(void **state)
{
	(void)state;
	for (int destroy = 0; destroy < 2; destroy++) {
		struct fixture f;
		struct producer producer;

		set_up(&f, BOUND, JD_INJECT_BLOCK);
		make_busy(&f);
		start(&producer, &f);
		while (atomic_load_explicit(&producer.spawned, memory_order_relaxed) < BOUND)
			jd_thread_yield();
		if (destroy) {
			release(&f);
		} else {
			assert_int_equal(jd_scheduler_close(f.scheduler), JD_OK);
			jd_thread_join(&producer.thread);
			release(&f);
			assert_int_equal(jd_scheduler_drain(f.scheduler, JD_NEVER), JD_OK);
			assert_int_equal(ran(&f), BOUND);
		}
		assert_int_equal(jd_scheduler_destroy(f.scheduler), JD_OK);
		if (destroy)
			jd_thread_join(&producer.thread);
		/* Before destroy it may have come to the end of its work. */
		assert_true(producer.status == JD_ECLOSED || (destroy && producer.spawned == EACH));
		assert_int_equal(count_allocator_live(&f.memory), 0);
	}
}

static void *spawn_from_elsewhere(void *arg)
{
	struct fixture *f = arg;

	f->elsewhere = spawn(f);
	return NULL;
}

/* Workers never wait: those of another scheduler are refused, its own are not counted. */
static void test_workers_do_not_wait(void **state)
{
	struct fixture f;
	struct jd_scheduler *other;
	struct jd_task *task;
	const struct jd_ws_options options = {.workers = 1};

	(void)state;
	set_up(&f, 1, JD_INJECT_BLOCK);
	assert_int_equal(jd_ws_scheduler_new(&options, &other), JD_OK);
	make_busy(&f);
	assert_int_equal(jd_spawn_fn(f.scheduler, spawn_one, &f, NULL), JD_OK);
	assert_int_equal(jd_spawn_fn(other, spawn_from_elsewhere, &f, &task), JD_OK);
	assert_int_equal(jd_task_join(task, NULL), JD_OK);
	assert_int_equal(f.elsewhere, JD_EWOULDBLOCK);
	release(&f);
	assert_int_equal(jd_scheduler_drain(f.scheduler, JD_NEVER), JD_OK);
	assert_int_equal(f.nested, JD_OK);
	assert_int_equal(ran(&f), 1);
	assert_int_equal(jd_scheduler_destroy(other), JD_OK);
	tear_down(&f);
}

/* Many producers against each policy and small and large bounds: nothing lost, nothing kept. */
static void test_storm(void **state)
{
	static const unsigned bounds[] = {1, 7, 100, 1000};
	static struct producer producers[PRODUCERS];

	(void)state;
	for (unsigned p = JD_INJECT_BLOCK; p <= JD_INJECT_RUN_INLINE; p++) {
		for (unsigned b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
			struct fixture f;
			uint64_t spawned = 0, rejected = 0;

			set_up(&f, bounds[b], (enum jd_inject_policy)p);
			for (int i = 0; i < PRODUCERS; i++)
				start(&producers[i], &f);
			for (int i = 0; i < PRODUCERS; i++) {
				jd_thread_join(&producers[i].thread);
				assert_int_equal(producers[i].status, JD_OK);
				spawned += producers[i].spawned;
				rejected += producers[i].rejected;
			}
			assert_int_equal(jd_scheduler_drain(f.scheduler, JD_NEVER), JD_OK);
			assert_int_equal(spawned + rejected, PRODUCERS * EACH);
			assert_true(p == JD_INJECT_REJECT || rejected == 0);
			assert_int_equal(ran(&f), spawned);
			/* All room is there again, but what lanes keep. */
			make_busy(&f);
			for (unsigned i = 0; p == JD_INJECT_REJECT && i < bounds[b] * 3 / 4; i++)
				assert_int_equal(spawn(&f), JD_OK);
			release(&f);
			tear_down(&f);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),         cmocka_unit_test(test_reject),
		cmocka_unit_test(test_run_inline),      cmocka_unit_test(test_block),
		cmocka_unit_test(test_the_end_is_told), cmocka_unit_test(test_workers_do_not_wait),
		cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
