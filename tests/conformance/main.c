/* main.c - runs the conformance suite against one backend. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"
#include "tests/conformance/watchdog.h"

/* A test that takes longer hangs. */
#define TEST_LIMIT_S 150u

#define CONF_BACKEND(name) &conf_backend_##name,
static const struct conf_backend *const backends[] = {
#include "tests/conformance/backends.inc"
};
#undef CONF_BACKEND

static const struct conf_test *const groups[] = {
	conf_schedule_tests, conf_foreground_tests, conf_session_tests, conf_blocking_tests,
	conf_timer_tests,    conf_park_tests,       conf_task_tests,    conf_spawn_tests,
	conf_life_tests,     conf_shutdown_tests,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- Memory of a test ------------------------------------------------------------------------ */

struct conf_arena {
	struct conf_arena *next;
	_Alignas(max_align_t) unsigned char bytes[];
};

static pthread_mutex_t arena_lock = PTHREAD_MUTEX_INITIALIZER;

void *conf_alloc(struct conf *c, size_t size)
{
	struct conf_arena *block = calloc(1, sizeof(*block) + size);

	if (!block)
		abort();
	pthread_mutex_lock(&arena_lock);
	block->next = c->arena;
	c->arena = block;
	pthread_mutex_unlock(&arena_lock);
	return block->bytes;
}

static void arena_free(struct conf *c)
{
	while (c->arena) {
		struct conf_arena *next = c->arena->next;

		free(c->arena);
		c->arena = next;
	}
}

/* --- One test -------------------------------------------------------------------------------- */

static char now_running[160];

static bool make_scheduler(struct conf *c, const struct conf_test *test)
{
	const struct conf_options options = {
		.workers = 2,
		.main_thread = c->backend->has & CONF_FOREGROUND,
		.foreign = test->needs & CONF_FOREIGN,
	};

	if (test->needs & CONF_OWN)
		return true;
	c->scheduler = conf_make(c, &options);
	return c->scheduler;
}

static void end_scheduler(struct conf *c)
{
	if (!c->scheduler)
		return;
	if (c->backend->verdict)
		CHECK_STATUS(c, c->backend->verdict(c->scheduler), JD_OK);
	CHECK_STATUS(c, jd_scheduler_destroy(c->scheduler), JD_OK);
	c->scheduler = NULL;
}

static bool run_seed(const struct conf_backend *backend, const struct conf_test *test,
		     uint64_t seed)
{
	struct conf c = {.backend = backend, .seed = seed};

	count_allocator_init(&c.memory);
	snprintf(now_running, sizeof(now_running), "%s %s --seed %llu", backend->name, test->name,
		 (unsigned long long)seed);
	watchdog_set(now_running, TEST_LIMIT_S);
	if (make_scheduler(&c, test))
		test->fn(&c);
	end_scheduler(&c);
	watchdog_clear();
	CHECK_EQUAL(&c, count_allocator_live(&c.memory), 0);
	CHECK_EQUAL(&c, c.memory.misfits, 0);
	arena_free(&c);
	if (conf_get(&c.failures))
		fprintf(stderr, "to repeat: conformance %s\n", now_running);
	return conf_get(&c.failures) == 0;
}

/*
 * NULL: the test is for this backend. Else why it is not: a fact about what such a scheduler is,
 * and not one about the machine, so no test is skipped for it that could be run.
 */
static const char *not_for(const struct conf_backend *backend, const struct conf_test *test)
{
	static const struct {
		unsigned flag;
		const char *text;
	} texts[] = {
		{CONF_FOREGROUND, "it has no main thread"},
		{CONF_BLOCKING, "it has no threads for blocking work"},
		{CONF_TIMERS, "it has no timers"},
		{CONF_THREADS, "no other thread may call it"},
		{CONF_PARALLEL, "it has no threads of its own"},
		{CONF_DEADLOCK, "it cannot know that nobody will end a wait"},
		{CONF_CLOCK, "its clock stands still while something can run"},
	};
	unsigned needs = test->needs | (test->needs & CONF_FOREIGN ? CONF_THREADS : 0);

	for (size_t i = 0; i < COUNT(texts); i++) {
		if (!(needs & texts[i].flag))
			continue;
		if (needs & CONF_WITHOUT) {
			if (backend->has & texts[i].flag)
				return "it has what this test wants to be absent";
		} else if (!(backend->has & texts[i].flag)) {
			return texts[i].text;
		}
	}
	return NULL;
}

/* --- All of them ----------------------------------------------------------------------------- */

struct choice {
	const struct conf_backend *backend;
	const char *filter; /* part of a name, or NULL */
	uint64_t seed;
	uint64_t seeds;
	bool list;
};

struct tally {
	unsigned passed;
	unsigned failed;
	unsigned not_for;
};

static void run_test(const struct choice *choice, const struct conf_test *test, struct tally *tally)
{
	const char *why_not = not_for(choice->backend, test);
	uint64_t seeds = test->needs & CONF_ONCE ? 1 : choice->seeds;
	bool good = true;

	if (choice->filter && !strstr(test->name, choice->filter))
		return;
	if (choice->list) {
		printf("%s%s%s\n", test->name, why_not ? "\tnot for it: " : "",
		       why_not ? why_not : "");
		return;
	}
	if (why_not) {
		printf("[ not for  ] %s: %s\n", test->name, why_not);
		tally->not_for++;
		return;
	}
	printf("[ RUN      ] %s\n", test->name);
	fflush(stdout);
	for (uint64_t i = 0; i < seeds && good; i++)
		good = run_seed(choice->backend, test, choice->seed + i);
	printf("[ %s ] %s\n", good ? "      OK" : " FAILED ", test->name);
	fflush(stdout);
	tally->passed += good;
	tally->failed += !good;
}

static int run_all(const struct choice *choice)
{
	struct tally tally = {0, 0, 0};

	for (size_t g = 0; g < COUNT(groups); g++) {
		for (const struct conf_test *test = groups[g]; test->name; test++)
			run_test(choice, test, &tally);
	}
	if (choice->list)
		return EXIT_SUCCESS;
	printf("%s: %u tests, 0 skipped, %u not for it (reasons above); %u passed, %u failed\n",
	       choice->backend->name, tally.passed + tally.failed, tally.not_for, tally.passed,
	       tally.failed);
	return tally.failed || !tally.passed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int usage(void)
{
	fprintf(stderr, "usage: conformance BACKEND [TEST | --filter TEXT] [--seed N] [--seeds N] "
			"[--list]\nBACKEND is one of:");
	for (size_t i = 0; i < COUNT(backends); i++)
		fprintf(stderr, " %s", backends[i]->name);
	fprintf(stderr, "\n");
	return 2;
}

static bool parse(int argc, char **argv, struct choice *choice)
{
	bool seed = false, seeds = false;

	for (size_t i = 0; argc > 1 && i < COUNT(backends); i++) {
		if (!strcmp(argv[1], backends[i]->name))
			choice->backend = backends[i];
	}
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--list")) {
			choice->list = true;
		} else if (!strcmp(argv[i], "--filter") && i + 1 < argc) {
			choice->filter = argv[++i];
		} else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
			choice->seed = strtoull(argv[++i], NULL, 0);
			seed = true;
		} else if (!strcmp(argv[i], "--seeds") && i + 1 < argc) {
			choice->seeds = strtoull(argv[++i], NULL, 0);
			seeds = true;
		} else if (argv[i][0] != '-') {
			choice->filter = argv[i];
		} else {
			return false;
		}
	}
	if (choice->backend && !seeds)
		choice->seeds = seed || !choice->backend->seeds ? 1 : choice->backend->seeds;
	return choice->backend && choice->seeds;
}

int main(int argc, char **argv)
{
	struct choice choice = {0};

	if (!parse(argc, argv, &choice))
		return usage();
	const char *absent = choice.backend->absent ? choice.backend->absent() : NULL;

	if (absent) {
		printf("%s: skipped: %s\n", choice.backend->name, absent);
		return 77;
	}
	watchdog_start();
	int rc = run_all(&choice);

	watchdog_stop();
	return rc;
}
