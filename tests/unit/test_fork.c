/* test_fork.c - fork and join: answers, stealing, blocking inside, every kind of scheduler. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/fork.h>
#include <jackdaw/task.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"
#include "runtime/fork_host.h"
#include "tests/testlib/death.h"
#include "tests/testlib/fib.h"

/* --- Workloads -------------------------------------------------------------------------------- */

static long fib(struct jd_fork_point fork, int n);

static void fib_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct fib *f = jd_container_of(frame, struct fib, frame);

	f->value = fib(fork, f->n);
}

static long fib(struct jd_fork_point fork, int n)
{
	if (n < 2)
		return n;
	struct fib f = {.n = n - 1};
	struct jd_fork_point inner = jd_fork(fork, &f.frame, fib_run);
	long other = fib(inner, n - 2);

	if (jd_join(fork, &f.frame))
		return fib(fork, n - 1) + other;
	return f.value + other;
}

static long fib_region(struct jd_scheduler *scheduler, int n)
{
	struct jd_fork_region region;
	long value = fib(jd_fork_enter(scheduler, &region), n);

	jd_fork_leave(&region);
	return value;
}

static long fib_here_region(struct jd_scheduler *scheduler, int n)
{
	struct jd_fork_region region;

	jd_fork_enter(scheduler, &region);
	long value = fib_here(n);

	jd_fork_leave(&region);
	return value;
}

/* Ten frames at once at each level; each leaf is counted exactly once. */
struct skynet {
	struct jd_fork_frame frame;
	uint64_t first;
	uint64_t size;
	uint64_t sum;
};

static uint64_t skynet(struct jd_fork_point fork, uint64_t first, uint64_t size);

static void skynet_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct skynet *s = jd_container_of(frame, struct skynet, frame);

	s->sum = skynet(fork, s->first, s->size);
}

static uint64_t skynet(struct jd_fork_point fork, uint64_t first, uint64_t size)
{
	struct skynet children[10];
	uint64_t sum = 0;

	if (size == 1)
		return first;
	for (int i = 0; i < 10; i++) {
		children[i].first = first + (uint64_t)i * (size / 10);
		children[i].size = size / 10;
		fork = jd_fork(fork, &children[i].frame, skynet_run);
	}
	for (int i = 9; i >= 0; i--) {
		fork = jd_fork_outer(fork);
		jd_join_run(fork, &children[i].frame);
		sum += children[i].sum;
	}
	return sum;
}

static uint64_t skynet_region(struct jd_scheduler *scheduler, uint64_t size)
{
	struct jd_fork_region region;
	uint64_t sum = skynet(jd_fork_enter(scheduler, &region), 0, size);

	jd_fork_leave(&region);
	return sum;
}

static struct jd_scheduler *new_ws(unsigned workers)
{
	const struct jd_ws_options options = {.workers = workers};
	struct jd_scheduler *scheduler;

	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	return scheduler;
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void test_answers_with_any_number_of_workers(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		struct jd_scheduler *s = new_ws(workers);

		for (int round = 0; round < 5; round++) {
			assert_int_equal(fib_region(s, 22), 17711);
			assert_int_equal(fib_here_region(s, 22), 17711);
			assert_int_equal(skynet_region(s, 10000), 49995000);
		}
		assert_int_equal(jd_scheduler_destroy(s), JD_OK);
	}
}

static void *fib_task(void *arg)
{
	return (void *)(intptr_t)fib_region(arg, 18);
}

static void test_inside_tasks_and_from_outside_at_once(void **state)
{
	struct jd_scheduler *s = new_ws(3);
	struct jd_task *tasks[20];

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(jd_spawn_fn(s, fib_task, s, &tasks[i]), JD_OK);
	assert_int_equal(fib_region(s, 20), 6765);
	for (int i = 0; i < 20; i++) {
		void *value;

		assert_int_equal(jd_task_join(tasks[i], &value), JD_OK);
		assert_int_equal((intptr_t)value, 2584);
	}
	assert_int_equal(jd_scheduler_destroy(s), JD_OK);
}

/* A region inside a frame: a stack of its own. */
struct nested {
	struct jd_fork_frame frame;
	struct jd_scheduler *scheduler;
	long value;
};

static void nested_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct nested *n = jd_container_of(frame, struct nested, frame);

	n->value = fib_region(n->scheduler, 15) + fib(fork, 10);
}

static void test_regions_nest(void **state)
{
	struct jd_scheduler *s = new_ws(2);
	struct nested n[8];
	struct jd_fork_point at[9];
	struct jd_fork_region region;

	(void)state;
	at[0] = jd_fork_enter(s, &region);
	for (int i = 0; i < 8; i++) {
		n[i].scheduler = s;
		at[i + 1] = jd_fork(at[i], &n[i].frame, nested_run);
	}
	assert_int_equal(fib_region(s, 12), 144);
	for (int i = 7; i >= 0; i--) {
		jd_join_run(at[i], &n[i].frame);
		assert_int_equal(n[i].value, 610 + 55);
	}
	jd_fork_leave(&region);
	assert_int_equal(jd_scheduler_destroy(s), JD_OK);
}

/* --- Stealing --------------------------------------------------------------------------------- */

struct rendezvous {
	struct jd_fork_frame frame;
	_Atomic(uint32_t) *arrived;
	bool alone;
};

/* Returns only when both frames are being run: so somebody must have taken one. */
static void rendezvous_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct rendezvous *r = jd_container_of(frame, struct rendezvous, frame);
	uint64_t end = jd_clock_now() + 20 * JD_SEC;

	(void)fork;
	atomic_fetch_add_explicit(r->arrived, 1, memory_order_relaxed);
	while (atomic_load_explicit(r->arrived, memory_order_relaxed) < 2) {
		if (jd_clock_now() > end) {
			r->alone = true;
			return;
		}
		jd_thread_yield();
	}
}

static void test_an_idle_worker_takes_a_frame(void **state)
{
	struct jd_scheduler *s = new_ws(1);

	(void)state;
	for (int round = 0; round < 200; round++) {
		_Atomic(uint32_t) arrived = 0;
		struct rendezvous offered = {.arrived = &arrived}, own = {.arrived = &arrived};
		struct jd_fork_region region;
		struct jd_fork_point fork = jd_fork_enter(s, &region);
		struct jd_fork_point inner = jd_fork(fork, &offered.frame, rendezvous_run);

		rendezvous_run(&own.frame, inner);
		assert_false(jd_join(fork, &offered.frame));
		jd_fork_leave(&region);
		assert_false(own.alone || offered.alone);
	}
	assert_int_equal(jd_scheduler_destroy(s), JD_OK);
}

/* Frames whose work waits for tasks: workers change threads in the middle of stolen frames. */
struct blocking_frame {
	struct jd_fork_frame frame;
	struct jd_scheduler *scheduler;
	int depth;
	long value;
};

static void *identity(void *arg)
{
	return arg;
}

static long blocking_tree(struct jd_scheduler *s, struct jd_fork_point fork, int depth);

static void blocking_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct blocking_frame *f = jd_container_of(frame, struct blocking_frame, frame);

	f->value = blocking_tree(f->scheduler, fork, f->depth);
}

static long blocking_tree(struct jd_scheduler *s, struct jd_fork_point fork, int depth)
{
	struct jd_task *task;
	void *one = NULL;

	if (depth == 0) {
		if (jd_spawn_fn(s, identity, (void *)1, &task) != JD_OK ||
		    jd_task_join(task, &one) != JD_OK)
			return -1000000;
		return (long)(intptr_t)one;
	}
	struct blocking_frame left = {.scheduler = s, .depth = depth - 1};
	struct jd_fork_point inner = jd_fork(fork, &left.frame, blocking_run);
	long right = blocking_tree(s, inner, depth - 1);

	jd_join_run(fork, &left.frame);
	return left.value + right;
}

static void *blocking_task(void *arg)
{
	struct jd_fork_region region;
	long value = blocking_tree(arg, jd_fork_enter(arg, &region), 6);

	jd_fork_leave(&region);
	return (void *)(intptr_t)value;
}

static void test_frames_may_block(void **state)
{
	struct jd_scheduler *s = new_ws(2);
	struct jd_task *tasks[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(jd_spawn_fn(s, blocking_task, s, &tasks[i]), JD_OK);
	for (int i = 0; i < 4; i++) {
		void *value;

		assert_int_equal(jd_task_join(tasks[i], &value), JD_OK);
		assert_int_equal((intptr_t)value, 64);
	}
	assert_int_equal(jd_scheduler_destroy(s), JD_OK);
}

/*
 * The caller joins a, which a worker took, and so helps it with b; b waits for a task, and the only
 * worker for b.
 */
struct crossing {
	struct jd_fork_frame frame;
	struct jd_scheduler *scheduler;
	_Atomic(bool) *begun;
	long value;
};

static void cross_b(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct crossing *b = jd_container_of(frame, struct crossing, frame);

	atomic_store_explicit(b->begun, true, memory_order_relaxed);
	b->value = blocking_tree(b->scheduler, fork, 0);
}

static void cross_a(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct crossing *a = jd_container_of(frame, struct crossing, frame);
	_Atomic(bool) begun = false;
	struct crossing b = {.scheduler = a->scheduler, .begun = &begun};
	struct jd_fork_point inner;

	atomic_store_explicit(a->begun, true, memory_order_relaxed);
	inner = jd_fork(fork, &b.frame, cross_b);
	(void)inner;
	while (!atomic_load_explicit(&begun, memory_order_relaxed))
		jd_thread_yield();
	jd_join_run(fork, &b.frame);
	a->value = b.value;
}

static void test_a_frame_waits_for_a_task_of_the_worker_that_joins_it(void **state)
{
	struct jd_scheduler *s = new_ws(1);

	(void)state;
	for (int round = 0; round < 10; round++) {
		_Atomic(bool) begun = false;
		struct crossing a = {.scheduler = s, .begun = &begun};
		struct jd_fork_region region;
		struct jd_fork_point fork = jd_fork_enter(s, &region);

		jd_fork(fork, &a.frame, cross_a);
		while (!atomic_load_explicit(&begun, memory_order_relaxed))
			jd_thread_yield();
		jd_join_run(fork, &a.frame);
		jd_fork_leave(&region);
		assert_int_equal(a.value, 1);
	}
	assert_int_equal(jd_scheduler_destroy(s), JD_OK);
}

/* --- Depth ------------------------------------------------------------------------------------ */

struct deep {
	struct jd_fork_frame frame;
	uint64_t depth;
	uint64_t count;
};

static uint64_t descend(struct jd_fork_point fork, uint64_t depth);

static void deep_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct deep *d = jd_container_of(frame, struct deep, frame);

	d->count = descend(fork, d->depth);
}

static uint64_t descend(struct jd_fork_point fork, uint64_t depth)
{
	if (depth == 0)
		return 1;
	struct deep side = {.depth = 0};
	struct jd_fork_point inner = jd_fork(fork, &side.frame, deep_run);
	uint64_t below = descend(inner, depth - 1);

	jd_join_run(fork, &side.frame);
	return below + side.count;
}

/* A thief of a host with very few slots. */
struct thief {
	struct jd_thread thread;
	struct jd_fork_host *host;
	_Atomic(bool) stop;
	unsigned stolen;
};

static void steal_all(void *arg)
{
	struct thief *thief = arg;
	struct jd_fork_region region;
	struct jd_fork_point fork = jd_fork_host_enter(thief->host, &region);

	while (!atomic_load_explicit(&thief->stop, memory_order_relaxed)) {
		struct jd_fork_stolen stolen;

		if (jd_fork_host_steal(thief->host, fork, 0, &stolen)) {
			jd_fork_host_run(&stolen, fork);
			thief->stolen++;
		}
	}
	jd_fork_leave(&region);
}

static void test_deeper_than_the_slots(void **state)
{
	struct jd_fork_host host;
	struct thief thief = {.host = &host};
	struct jd_fork_region region;

	(void)state;
	for (unsigned slots = 1; slots <= 8; slots++) {
		assert_int_equal(jd_fork_host_init(&host, jd_allocator_default(), 2, slots, NULL),
				 JD_OK);
		atomic_store_explicit(&thief.stop, false, memory_order_relaxed);
		assert_int_equal(jd_thread_start(&thief.thread, "thief", 0, steal_all, &thief),
				 JD_OK);
		for (int round = 0; round < 300; round++) {
			struct jd_fork_point fork = jd_fork_host_enter(&host, &region);

			assert_int_equal(descend(fork, 20), 21);
			assert_int_equal(fib(fork, 10), 55);
			jd_fork_leave(&region);
		}
		atomic_store_explicit(&thief.stop, true, memory_order_relaxed);
		jd_thread_join(&thief.thread);
		jd_fork_host_fini(&host);
	}
}

/* The thief found no stack free; what its region happens to contain is nobody's business. */
struct lone_frame {
	struct jd_fork_frame frame;
	_Atomic(bool) *begun;
	_Atomic(bool) *joining;
};

static void lone_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct lone_frame *f = jd_container_of(frame, struct lone_frame, frame);
	uint64_t end;

	(void)fork;
	atomic_store_explicit(f->begun, true, memory_order_relaxed);
	while (!atomic_load_explicit(f->joining, memory_order_relaxed))
		jd_thread_yield();
	/* Long enough for the owner to look around in its join. */
	for (end = jd_clock_now() + 2 * JD_MS; jd_clock_now() < end;)
		jd_thread_yield();
}

static void steal_one(void *arg)
{
	struct jd_fork_host *host = arg;
	struct jd_fork_region region;
	struct jd_fork_stolen stolen;

	memset((void *)&region, 0x4b, sizeof(region));
	struct jd_fork_point fork = jd_fork_host_enter(host, &region);

	while (!jd_fork_host_steal(host, fork, 0, &stolen))
		jd_thread_yield();
	jd_fork_host_run(&stolen, fork);
	jd_fork_leave(&region);
}

static void test_a_thief_without_a_stack(void **state)
{
	_Atomic(bool) begun = false, joining = false;
	struct lone_frame f = {.begun = &begun, .joining = &joining};
	struct jd_fork_host host;
	struct jd_fork_region region;
	struct jd_thread thread;

	(void)state;
	assert_int_equal(jd_fork_host_init(&host, jd_allocator_default(), 1, 8, NULL), JD_OK);
	struct jd_fork_point fork = jd_fork_host_enter(&host, &region);

	jd_fork(fork, &f.frame, lone_run);
	assert_int_equal(jd_thread_start(&thread, "thief", 0, steal_one, &host), JD_OK);
	while (!atomic_load_explicit(&begun, memory_order_relaxed))
		jd_thread_yield();
	atomic_store_explicit(&joining, true, memory_order_relaxed);
	assert_false(jd_join(fork, &f.frame));
	jd_fork_leave(&region);
	jd_thread_join(&thread);
	jd_fork_host_fini(&host);
}

/* Memory for the host and for one stack, not for more. */
struct scarce {
	struct jd_allocator base;
	unsigned left;
};

static void *scarce_alloc(void *ctx, size_t size, size_t align)
{
	const struct jd_allocator *real = jd_allocator_default();
	struct scarce *scarce = ctx;

	if (scarce->left == 0)
		return NULL;
	scarce->left--;
	return real->alloc(real->ctx, size, align);
}

static void scarce_free(void *ctx, void *ptr, size_t size, size_t align)
{
	const struct jd_allocator *real = jd_allocator_default();

	(void)ctx;
	real->free(real->ctx, ptr, size, align);
}

static void test_without_memory_a_region_is_serial(void **state)
{
	struct scarce scarce = {.base = {.alloc = scarce_alloc, .free = scarce_free}, .left = 0};
	struct jd_fork_region outer, inner;
	struct jd_fork_host host;

	(void)state;
	scarce.base.ctx = &scarce;
	assert_int_equal(jd_fork_host_init(&host, &scarce.base, 4, 8, NULL), JD_ENOMEM);
	scarce.left = 2;
	assert_int_equal(jd_fork_host_init(&host, &scarce.base, 4, 8, NULL), JD_OK);
	assert_int_equal(fib(jd_fork_host_enter(&host, &outer), 12), 144);
	assert_non_null(jd_fork_self()._stack->_host);
	assert_int_equal(fib(jd_fork_host_enter(&host, &inner), 12), 144);
	assert_null(jd_fork_self()._stack->_host);
	jd_fork_leave(&inner);
	assert_int_equal(fib(jd_fork_self(), 12), 144);
	jd_fork_leave(&outer);
	jd_fork_host_fini(&host);
}

/* --- Other schedulers ------------------------------------------------------------------------- */

static void test_serial_without_a_scheduler(void **state)
{
	(void)state;
	assert_int_equal(fib_region(NULL, 15), 610);
	assert_int_equal(skynet_region(NULL, 1000), 499500);
	assert_int_equal(fib_here_region(NULL, 15), 610);
	assert_int_equal(fib_here(15), 610); /* in no region at all */
}

/* Who ran before whom: a frame that a "thief" took ran before its join. */
struct early {
	struct jd_fork_frame frame;
	bool joined;
	bool ran_early;
};

static void early_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct early *e = jd_container_of(frame, struct early, frame);

	(void)fork;
	e->ran_early = !e->joined;
}

static int fork_on_test(struct jd_test_scheduler *ts, void *arg)
{
	struct jd_scheduler *s = jd_test_scheduler_base(ts);
	unsigned *early_runs = arg;
	struct early frames[4] = {0};
	struct jd_fork_point at[5];
	struct jd_fork_region region;

	at[0] = jd_fork_enter(s, &region);
	for (int i = 0; i < 4; i++)
		at[i + 1] = jd_fork(at[i], &frames[i].frame, early_run);
	for (int i = 3; i >= 0; i--) {
		frames[i].joined = true;
		jd_join_run(at[i], &frames[i].frame);
		*early_runs += frames[i].ran_early;
	}
	jd_fork_leave(&region);
	return fib_region(s, 10) != 55 || skynet_region(s, 100) != 4950 ||
	       fib_here_region(s, 10) != 55;
}

static void test_the_seed_decides_on_the_test_scheduler(void **state)
{
	const struct jd_test_options options = {.check_determinism = true};
	unsigned early_runs = 0;

	(void)state;
	assert_int_equal(jd_test_many(&options, 100, fork_on_test, &early_runs), JD_OK);
	/* Four frames, twice for each seed: some were taken and some were not. */
	assert_in_range(early_runs, 100, 700);
}

/* --- Misuse ----------------------------------------------------------------------------------- */

static void leave_too_early(void *arg)
{
	struct jd_scheduler *s = new_ws(1);
	_Atomic(uint32_t) arrived = 2;
	struct rendezvous r = {.arrived = &arrived};
	struct jd_fork_region region;

	(void)arg;
	jd_fork(jd_fork_enter(s, &region), &r.frame, rendezvous_run);
	jd_fork_leave(&region);
}

static void leave_in_the_wrong_order(void *arg)
{
	struct jd_scheduler *s = new_ws(1);
	struct jd_fork_region outer, inner;

	(void)arg;
	jd_fork_enter(s, &outer);
	jd_fork_enter(s, &inner);
	jd_fork_leave(&outer);
}

static void leave_with_a_private_frame(void *arg)
{
	struct fib f = {.n = 1};
	struct jd_fork_region region;

	(void)arg;
	jd_fork_enter(NULL, &region);
	jd_fork_here(&f.frame, fib_here_run);
	jd_fork_leave(&region);
}

static void test_leaving_with_a_frame_open_is_caught(void **state)
{
	(void)state;
	assert_true(death_aborts(leave_too_early, NULL, "BUG IN CLIENT: a region is left"));
	assert_true(death_aborts(leave_with_a_private_frame, NULL, "a forked frame is not joined"));
	assert_true(death_aborts(leave_in_the_wrong_order, NULL, "before one inside it"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_with_any_number_of_workers),
		cmocka_unit_test(test_inside_tasks_and_from_outside_at_once),
		cmocka_unit_test(test_regions_nest),
		cmocka_unit_test(test_an_idle_worker_takes_a_frame),
		cmocka_unit_test(test_frames_may_block),
		cmocka_unit_test(test_a_frame_waits_for_a_task_of_the_worker_that_joins_it),
		cmocka_unit_test(test_deeper_than_the_slots),
		cmocka_unit_test(test_a_thief_without_a_stack),
		cmocka_unit_test(test_without_memory_a_region_is_serial),
		cmocka_unit_test(test_serial_without_a_scheduler),
		cmocka_unit_test(test_the_seed_decides_on_the_test_scheduler),
		cmocka_unit_test(test_leaving_with_a_frame_open_is_caught),
	};

	return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
