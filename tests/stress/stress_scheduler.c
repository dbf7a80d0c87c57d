/* stress_scheduler.c - BACKEND [SEED]: a scheduler with threads, pressed: exactly once, always. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jackdaw/scheduler.h>

#include "platform/platform.h"
#include "tests/conformance/backend.h"
#include "tests/conformance/count_allocator.h"

enum {
	SKIP = 77,
	FOREIGN = 8,
	SCHEDULES = 1000000 / FOREIGN,
	ROUNDS = 40,
	HANDERS = 4,
	JOBS = 5000, /* of a thread in a round */
	ARMERS = 4,
	TIMERS = 32, /* of a thread */
	TURNS = 20000,
};

static const struct conf_backend *backend;
static uint64_t seed;
static struct count_allocator memory;

static uint64_t next_random(uint64_t *state)
{
	/* splitmix64 (Steele, Lea, Flood 2014). */
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* --- Jobs: runnables that count their ends ---------------------------------------------------- */

struct job {
	struct jd_runnable base;
	struct jd_timer timer;
	_Atomic(uint32_t) runs, cancels; /* A */
	uint32_t accepted;               /* O: by the scheduler, or armed */
	uint32_t taken_back;             /* O: cancel_timer said JD_OK */
	_Atomic(uint32_t) *left;         /* A: counted down by an end; may be NULL */
};

static void job_end(struct job *job, _Atomic(uint32_t) *ends)
{
	_Atomic(uint32_t) *left = job->left;

	/* order: (XS1) release - the end is seen by who arms the job again; pairs with (XS2). */
	atomic_fetch_add_explicit(ends, 1, memory_order_release);
	if (left && atomic_fetch_sub_explicit(left, 1, memory_order_relaxed) == 1)
		jd_futex_wake_all(left);
}

static void job_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	struct job *job = jd_container_of(runnable, struct job, base);

	(void)worker;
	job_end(job, &job->runs);
}

static void job_cancel(struct jd_runnable *runnable)
{
	struct job *job = jd_container_of(runnable, struct job, base);

	job_end(job, &job->cancels);
}

static uint32_t job_ends(struct job *job)
{
	/* order: (XS2) acquire - what the end did; pairs with (XS1). */
	return atomic_load_explicit(&job->runs, memory_order_acquire) +
	       atomic_load_explicit(&job->cancels, memory_order_relaxed);
}

static struct job *jobs_new(size_t n, _Atomic(uint32_t) *left)
{
	static const struct jd_runnable_ops ops = {.run = job_run, .cancel = job_cancel};
	struct job *jobs = calloc(n, sizeof(*jobs));

	assert_non_null(jobs);
	for (size_t i = 0; i < n; i++) {
		jobs[i].base = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
		jobs[i].left = left;
	}
	return jobs;
}

/* Each ended as often as it was accepted and not taken back. */
static void jobs_check(struct job *jobs, size_t n, bool may_cancel)
{
	for (size_t i = 0; i < n; i++) {
		if (job_ends(&jobs[i]) != jobs[i].accepted - jobs[i].taken_back ||
		    (!may_cancel && jobs[i].cancels))
			fail_msg("job %zu: accepted %u, taken back %u, ran %u, cancelled %u; "
				 "seed %llu",
				 i, jobs[i].accepted, jobs[i].taken_back, jobs[i].runs,
				 jobs[i].cancels, (unsigned long long)seed);
	}
}

/* --- Threads ---------------------------------------------------------------------------------- */

struct hand {
	struct jd_thread thread;
	struct jd_scheduler *scheduler;
	struct job *jobs;
	uint64_t random;
	bool main_thread; /* the scheduler has one */
	_Atomic(uint32_t) *started;
	uint32_t failures; /* O until joined */
};

static void hands_start(struct hand *hands, int n, void (*fn)(void *arg))
{
	for (int i = 0; i < n; i++)
		if (jd_thread_start(&hands[i].thread, "hand", 0, fn, &hands[i]) != JD_OK)
			abort();
}

static void hands_join(struct hand *hands, int n)
{
	uint32_t failures = 0;

	for (int i = 0; i < n; i++) {
		jd_thread_join(&hands[i].thread);
		failures += hands[i].failures;
	}
	assert_int_equal(failures, 0);
}

static struct jd_scheduler *make(bool main_thread)
{
	const struct conf_options options = {
		.workers = 2,
		.main_thread = main_thread,
		.foreign = true,
		.allocator = &memory.base,
	};
	struct jd_scheduler *scheduler;

	count_allocator_init(&memory);
	assert_int_equal(backend->make(&options, &scheduler), JD_OK);
	return scheduler;
}

static void destroy(struct jd_scheduler *scheduler)
{
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	assert_int_equal(count_allocator_live(&memory), 0);
}

/* --- A million schedules from foreign threads ------------------------------------------------- */

static void schedule_all(void *arg)
{
	struct hand *hand = arg;

	for (int i = 0; i < SCHEDULES; i++) {
		hand->jobs[i].accepted = 1;
		hand->failures += jd_schedule(hand->scheduler, &hand->jobs[i].base) != JD_OK;
	}
}

static void test_a_million(void **state)
{
	struct jd_scheduler *scheduler = make(false);
	_Atomic(uint32_t) left = FOREIGN * SCHEDULES;
	struct hand hands[FOREIGN];

	(void)state;
	for (int i = 0; i < FOREIGN; i++)
		hands[i] =
			(struct hand){.scheduler = scheduler, .jobs = jobs_new(SCHEDULES, &left)};
	uint64_t begin = jd_clock_now(), end = begin + 120 * JD_SEC;

	hands_start(hands, FOREIGN, schedule_all);
	hands_join(hands, FOREIGN);
	for (uint32_t now; (now = left) != 0;)
		assert_int_not_equal(jd_futex_wait(&left, now, end), JD_ETIMEDOUT);
	print_message("%s: %.0f ns a schedule and run\n", backend->name,
		      (double)(jd_clock_now() - begin) / (FOREIGN * SCHEDULES));
	destroy(scheduler);
	for (int i = 0; i < FOREIGN; i++) {
		jobs_check(hands[i].jobs, SCHEDULES, false);
		free(hands[i].jobs);
	}
}

/* --- Close and destroy with work in flight ---------------------------------------------------- */

static jd_status hand_in(struct hand *hand, struct job *job)
{
	uint64_t random = next_random(&hand->random);

	job->base.flags = random & 64 ? JD_RUNNABLE_RESUME : 0;
	switch (random % 8) {
	case 0:
		return jd_schedule_blocking(hand->scheduler, &job->base);
	case 1:
		return jd_schedule_after(hand->scheduler, &job->timer, &job->base,
					 random >> 8 & 0xfffff);
	case 2:
		if (hand->main_thread)
			return jd_schedule_foreground(hand->scheduler, &job->base, 1 + random % 3);
		break;
	default:
		break;
	}
	return jd_schedule(hand->scheduler, &job->base);
}

static void hand_in_all(void *arg)
{
	struct hand *hand = arg;

	for (int i = 0; i < JOBS; i++) {
		jd_status status = hand_in(hand, &hand->jobs[i]);

		hand->jobs[i].accepted = status == JD_OK;
		hand->failures += status != JD_OK && status != JD_ECLOSED;
		atomic_fetch_add_explicit(hand->started, 1, memory_order_relaxed);
	}
}

/* Destroyed after about `until` calls, half of the times closed before. */
static void churn(bool main_thread, uint32_t until)
{
	struct jd_scheduler *scheduler = make(main_thread);
	_Atomic(uint32_t) started = 0;
	struct hand hands[HANDERS];

	for (int i = 0; i < HANDERS; i++) {
		hands[i] = (struct hand){.scheduler = jd_scheduler_retain(scheduler),
					 .jobs = jobs_new(JOBS, NULL),
					 .random = seed + (uint64_t)i + until,
					 .main_thread = main_thread,
					 .started = &started};
	}
	hands_start(hands, HANDERS, hand_in_all);
	while (started < until / 2)
		jd_thread_yield();
	if (until % 2)
		assert_int_equal(jd_scheduler_close(scheduler), JD_OK);
	while (started < until)
		jd_thread_yield();
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	hands_join(hands, HANDERS);
	for (int i = 0; i < HANDERS; i++) {
		jobs_check(hands[i].jobs, JOBS, true);
		free(hands[i].jobs);
		jd_scheduler_release(scheduler);
	}
	assert_int_equal(count_allocator_live(&memory), 0);
}

static void test_destroy_with_work_in_flight(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		churn(i % 2, (uint32_t)(next_random(&random) % (HANDERS * JOBS)));
}

/* --- Cancel against fire ---------------------------------------------------------------------- */

static void arm_and_cancel(void *arg)
{
	struct hand *hand = arg;

	for (int turn = 0; turn < TURNS; turn++) {
		uint64_t random = next_random(&hand->random);
		struct job *job = &hand->jobs[random % TIMERS];
		uint32_t ends = job->accepted - job->taken_back;

		if (job_ends(job) == ends) {
			job->base.flags = random & 64 ? JD_RUNNABLE_INLINE : 0;
			job->accepted++;
			hand->failures += jd_schedule_after(hand->scheduler, &job->timer,
							    &job->base,
							    random >> 8 & 0x1ffff) != JD_OK;
			continue;
		}
		jd_status status = jd_cancel_timer(hand->scheduler, &job->timer);

		if (status == JD_OK)
			job->taken_back++;
		else if (status != JD_EALREADY)
			hand->failures++;
		else /* it has fired: the end must come, whoever has the runnable now */
			while (job_ends(job) != ends)
				jd_thread_yield();
	}
}

static void test_cancel_against_fire(void **state)
{
	struct jd_scheduler *scheduler = make(false);
	struct hand hands[ARMERS];

	(void)state;
	for (int i = 0; i < ARMERS; i++) {
		hands[i] = (struct hand){.scheduler = scheduler,
					 .jobs = jobs_new(TIMERS, NULL),
					 .random = seed + (uint64_t)i};
	}
	hands_start(hands, ARMERS, arm_and_cancel);
	hands_join(hands, ARMERS);
	destroy(scheduler); /* with some of them armed */
	for (int i = 0; i < ARMERS; i++) {
		jobs_check(hands[i].jobs, TIMERS, true);
		free(hands[i].jobs);
	}
}

#define CONF_BACKEND(name) &conf_backend_##name,
static const struct conf_backend *const backends[] = {
#include "tests/conformance/backends.inc"
};
#undef CONF_BACKEND

static bool choose(const char *name)
{
	const unsigned needs = CONF_BLOCKING | CONF_TIMERS | CONF_THREADS | CONF_PARALLEL;

	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (!strcmp(backends[i]->name, name))
			backend = backends[i];
	return backend && (backend->has & needs) == needs;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_million),
		cmocka_unit_test(test_destroy_with_work_in_flight),
		cmocka_unit_test(test_cancel_against_fire),
	};

	if (argc < 2 || argc > 3 || !choose(argv[1])) {
		fprintf(stderr, "usage: stress_scheduler BACKEND [SEED]\n");
		return 2;
	}
	if (backend->absent && backend->absent()) {
		printf("skipped: %s\n", backend->absent());
		return SKIP;
	}
	seed = argc == 3 ? strtoull(argv[2], NULL, 0) : jd_random_seed();
	printf("to repeat: stress_scheduler %s %llu\n", backend->name, (unsigned long long)seed);
	return cmocka_run_group_tests_name(backend->name, tests, NULL, NULL);
}
