/* stress_fork.c - random trees of forks on real threads: each node once, whoever runs it where. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <jackdaw/fork.h>
#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/atomic.h"
#include "platform/platform.h"

/*
 * A tree is determined by its seed: how many children a node has and what it does besides. Some
 * nodes block on a task, some open a region inside, some run a parallel loop, some spin; nodes use
 * either form of fork, the two in regions of their own. What a tree adds up to is compared with a
 * serial run of the same seed. Workers and foreign threads run trees all at once.
 *
 * Each thread remembers the node it is at. What it is given to run while it waits has to be below:
 * so its stack of calls is never longer than a way from the root, and it waits for nothing that
 * waits for it.
 */
enum {
	FOREIGN = 3,
	TASKS = 4,
	WORKERS_MAX = 4,
	WIDTH = 5,
	DEPTH = 7,
	LOOP = 50,
};

/* How the nodes of a tree are run. */
struct tree {
	struct jd_scheduler *scheduler; /* NULL: serially, nothing blocks */
	bool here;                      /* points through the thread */
};

struct node {
	struct jd_fork_frame frame;
	const struct node *parent;
	const struct tree *tree;
	uint64_t seed;
	unsigned depth;
	uint64_t sum;
};

static _Thread_local const struct node *at;
static _Atomic(uint32_t) strangers; /* run on top of what they are not below */

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void node_run(struct jd_fork_frame *frame, struct jd_fork_point fork);

static void node_init(struct node *node, const struct node *parent, const struct tree *tree,
		      uint64_t seed, unsigned depth)
{
	node->parent = parent;
	node->tree = tree;
	node->seed = seed;
	node->depth = depth;
	node->sum = 0;
}

/* --- What a node does besides --------------------------------------------------------------- */

static void *identity(void *arg)
{
	return arg;
}

/* Waits for a task: a worker is handed on meanwhile. */
static uint64_t block(const struct tree *tree, uint64_t seed)
{
	void *arg = (void *)(uintptr_t)(seed % 1000 + 1), *result = NULL;
	struct jd_task *task;

	if (!tree->scheduler)
		return seed % 1000 + 1;
	if (jd_spawn_fn(tree->scheduler, identity, arg, &task) != JD_OK ||
	    jd_task_join(task, &result) != JD_OK)
		return 0;
	return (uint64_t)(uintptr_t)result;
}

/* A region inside, of the other form. */
static uint64_t enter(const struct node *node, uint64_t seed)
{
	const struct tree tree = {node->tree->scheduler, !node->tree->here};
	struct jd_fork_region region;
	struct node root;

	node_init(&root, node, &tree, seed, node->depth ? node->depth - 1 : 0);
	node_run(&root.frame, jd_fork_enter(tree.scheduler, &region));
	jd_fork_leave(&region);
	return root.sum;
}

static void add_piece(void *arg, uint64_t begin, uint64_t end)
{
	atomic_fetch_add_explicit((_Atomic(uint64_t) *)arg, end - begin, memory_order_relaxed);
}

static uint64_t loop(struct jd_fork_point fork, uint64_t seed)
{
	_Atomic(uint64_t) sum = 0;

	jd_parallel_for(fork, seed, seed + LOOP, 1 + seed % 9, add_piece, &sum);
	return atomic_load_explicit(&sum, memory_order_relaxed);
}

static uint64_t do_something(const struct node *node, struct jd_fork_point fork)
{
	uint64_t rest = node->seed / 64;

	switch (node->seed % 64) {
	case 0:
		return block(node->tree, rest);
	case 1:
		return enter(node, rest);
	case 2:
		return loop(fork, rest % 1000);
	case 3:
		jd_thread_yield();
		return 3;
	default:
		for (uint64_t i = rest % 50; i > 0; i--)
			jd_cpu_relax();
		return 1;
	}
}

/* --- Nodes ---------------------------------------------------------------------------------- */

static uint64_t children_here(const struct node *node, unsigned n)
{
	struct node children[WIDTH];
	uint64_t sum;

	for (unsigned i = 0; i < n; i++) {
		node_init(&children[i], node, node->tree, mix(node->seed + i + 1), node->depth - 1);
		jd_fork_here(&children[i].frame, node_run);
	}
	sum = do_something(node, jd_fork_self());
	while (n-- > 0) {
		jd_join_run_here(&children[n].frame);
		sum += children[n].sum;
	}
	return sum;
}

static uint64_t children_passed(const struct node *node, struct jd_fork_point fork, unsigned n)
{
	struct node children[WIDTH];
	uint64_t sum;

	for (unsigned i = 0; i < n; i++) {
		node_init(&children[i], node, node->tree, mix(node->seed + i + 1), node->depth - 1);
		fork = jd_fork(fork, &children[i].frame, node_run);
	}
	sum = do_something(node, fork);
	while (n-- > 0) {
		fork = jd_fork_outer(fork);
		jd_join_run(fork, &children[n].frame);
		sum += children[n].sum;
	}
	return sum;
}

static void node_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct node *node = jd_container_of(frame, struct node, frame);
	const struct node *outer = at, *above = node;
	unsigned n = node->depth ? (unsigned)(node->seed >> 40) % (WIDTH + 1) : 0;

	while (above && above != outer)
		above = above->parent;
	if (above != outer)
		atomic_fetch_add_explicit(&strangers, 1, memory_order_relaxed);
	at = node;
	node->sum = node->tree->here ? children_here(node, n) : children_passed(node, fork, n);
	at = outer;
}

static uint64_t run_tree(struct jd_scheduler *scheduler, uint64_t seed)
{
	const struct tree tree = {scheduler, seed % 2};
	struct jd_fork_region region;
	struct node root;

	node_init(&root, NULL, &tree, mix(seed), DEPTH);
	node_run(&root.frame, jd_fork_enter(scheduler, &region));
	jd_fork_leave(&region);
	return root.sum;
}

/* --- Storms --------------------------------------------------------------------------------- */

struct player {
	struct jd_thread thread;
	struct jd_task *task;
	struct jd_scheduler *scheduler;
	uint64_t seed;
	uint64_t end_ns;
	unsigned trees, wrong;
};

static void play(void *arg)
{
	struct player *p = arg;

	do {
		uint64_t seed = mix(p->seed + p->trees);

		p->wrong += run_tree(p->scheduler, seed) != run_tree(NULL, seed);
		p->trees++;
	} while (jd_clock_now() < p->end_ns);
}

static void *play_task(void *arg)
{
	play(arg);
	return NULL;
}

static unsigned one_round(unsigned workers, uint64_t seed, uint64_t length_ns)
{
	const struct jd_ws_options options = {.workers = workers};
	struct player players[FOREIGN + TASKS];
	struct jd_scheduler *scheduler;
	unsigned trees = 0;

	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	for (unsigned i = 0; i < FOREIGN + TASKS; i++) {
		struct player *p = &players[i];

		*p = (struct player){.scheduler = scheduler,
				     .seed = mix(seed + i),
				     .end_ns = jd_clock_now() + length_ns};
		if (i < FOREIGN)
			assert_int_equal(jd_thread_start(&p->thread, "player", 0, play, p), JD_OK);
		else
			assert_int_equal(jd_spawn_fn(scheduler, play_task, p, &p->task), JD_OK);
	}
	for (unsigned i = 0; i < FOREIGN + TASKS; i++) {
		void *result;

		if (i < FOREIGN)
			jd_thread_join(&players[i].thread);
		else
			assert_int_equal(jd_task_join(players[i].task, &result), JD_OK);
		assert_int_equal(players[i].wrong, 0);
		trees += players[i].trees;
	}
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
	return trees;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void test_random_trees(void **state)
{
	uint64_t seed = number_of("JD_TEST_SEED", jd_random_seed());
	uint64_t length = number_of("JD_STRESS_MS", 1500) * JD_MS / WORKERS_MAX;
	unsigned trees = 0;

	(void)state;
	print_message("repeat with JD_TEST_SEED=%llu\n", (unsigned long long)seed);
	for (unsigned workers = 1; workers <= WORKERS_MAX; workers++)
		trees += one_round(workers, mix(seed + workers), length);
	print_message("%u trees\n", trees);
	assert_int_equal(atomic_load_explicit(&strangers, memory_order_relaxed), 0);
	assert_true(trees >= WORKERS_MAX * (FOREIGN + TASKS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_trees),
	};

	return cmocka_run_group_tests_name("stress_fork", tests, NULL, NULL);
}
