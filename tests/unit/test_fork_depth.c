/* test_fork_depth.c - how deep the stacks get of those who help while they wait in a join. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jackdaw/fork.h>
#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

#include "platform/platform.h"

/*
 * Trees between a list and a bush, many times more workers than CPUs, and nodes that give way at
 * random: so joins find their frames stolen all the time, and what they help with is stolen from
 * them in turn. What is on a thread's stack must always be a path in the tree (the proof is in
 * fork_host.h): at a node of depth d there are at most d calls of nodes, whoever runs it.
 */
enum {
	WORKERS = 8,
	NODES = 4000,
	TREES = 200,     /* at most */
	HELPS = 200,     /* enough of them */
	CALL_MAX = 8192, /* bytes of stack for a node and a join that helps, with a sanitizer */
	YIELDS_ONE_IN = 4,
};

struct tree {
	struct jd_scheduler *scheduler;
	uint64_t seed;
	_Atomic(uint64_t) nodes;  /* A: were run */
	_Atomic(uint64_t) helps;  /* A: of these, by somebody on top of a frame of his own */
	_Atomic(uint64_t) steals; /* A: of these, by another thread than forked them */
	_Atomic(uint64_t) deep;   /* A: there were more calls than levels of the tree */
	_Atomic(uint64_t) wide;   /* A: they took more stack than so many calls can */
};

struct node {
	struct jd_fork_frame frame;
	struct tree *tree;
	uint64_t seed, size;
	unsigned depth;
	uint64_t forker;
};

/* Of this thread: calls of nodes that have not returned, and where the first of them was. */
static _Thread_local unsigned calls;
static _Thread_local uintptr_t base;

static uint64_t mix(uint64_t x)
{
	/* Steele, Lea and Flood's SplitMix64. */
	x += 0x9E3779B97F4A7C15u;
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
	return x ^ (x >> 31);
}

static void add(_Atomic(uint64_t) *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint64_t get(const _Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void check_stack(struct tree *tree, unsigned depth)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	if (calls == 0)
		base = here;
	calls++;
	if (calls > depth)
		add(&tree->deep);
	if ((here < base ? base - here : here - base) > (uintptr_t)calls * CALL_MAX)
		add(&tree->wide);
}

/* How many of the nodes below go to the frame: one, all but one, or anything between. */
static uint64_t split(uint64_t random, uint64_t size)
{
	uint64_t below = size - 1;

	switch (random % 4) {
	case 0:
		return 1;
	case 1:
		return below - 1;
	default:
		return 1 + (random >> 8) % (below - 1);
	}
}

static void visit(struct jd_fork_point fork, struct tree *tree, uint64_t seed, uint64_t size,
		  unsigned depth);

static void node_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct node *node = jd_container_of(frame, struct node, frame);

	if (node->forker != jd_thread_self()) {
		add(&node->tree->steals);
		if (calls)
			add(&node->tree->helps);
	}
	visit(fork, node->tree, node->seed, node->size, node->depth);
}

static void visit(struct jd_fork_point fork, struct tree *tree, uint64_t seed, uint64_t size,
		  unsigned depth)
{
	uint64_t random = mix(seed);

	check_stack(tree, depth);
	add(&tree->nodes);
	if (random % YIELDS_ONE_IN == 0)
		jd_thread_yield();
	if (size > 2) {
		uint64_t left = split(mix(random), size);
		struct node node = {
			.tree = tree,
			.seed = mix(random + 1),
			.size = left,
			.depth = depth + 1,
			.forker = jd_thread_self(),
		};
		struct jd_fork_point inner = jd_fork(fork, &node.frame, node_run);

		visit(inner, tree, mix(random + 2), size - 1 - left, depth + 1);
		jd_join_run(fork, &node.frame);
	} else if (size == 2) {
		visit(fork, tree, mix(random + 1), 1, depth + 1);
	}
	calls--;
}

static void *grow(void *arg)
{
	struct tree *tree = arg;
	struct jd_fork_region region;

	visit(jd_fork_enter(tree->scheduler, &region), tree, tree->seed, NODES, 1);
	jd_fork_leave(&region);
	return tree;
}

static void check(struct tree *tree, uint64_t *helps)
{
	if (get(&tree->nodes) != NODES || get(&tree->deep) || get(&tree->wide))
		fail_msg("tree %llu: %llu of %d nodes, %llu calls too deep, %llu too wide",
			 (unsigned long long)tree->seed, (unsigned long long)get(&tree->nodes),
			 NODES, (unsigned long long)get(&tree->deep),
			 (unsigned long long)get(&tree->wide));
	*helps += get(&tree->helps);
}

static struct jd_scheduler *make(void)
{
	const struct jd_ws_options options = {.workers = WORKERS};
	struct jd_scheduler *scheduler;

	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	return scheduler;
}

static void test_from_outside(void **state)
{
	struct jd_scheduler *scheduler = make();
	uint64_t helps = 0;

	(void)state;
	for (uint64_t seed = 0; seed < TREES && helps < HELPS; seed++) {
		struct tree tree = {.scheduler = scheduler, .seed = seed};

		assert_ptr_equal(grow(&tree), &tree);
		check(&tree, &helps);
	}
	assert_true(helps > 0);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

/* Several at once, each in a task: a worker in a join is handed on, and forks elsewhere. */
static void test_inside_tasks(void **state)
{
	struct jd_scheduler *scheduler = make();
	uint64_t helps = 0;

	(void)state;
	for (uint64_t seed = 0; seed < TREES && helps < HELPS; seed += 3) {
		struct tree trees[3] = {{.scheduler = NULL}};
		struct jd_task *tasks[3];

		for (unsigned i = 0; i < 3; i++) {
			trees[i].scheduler = scheduler;
			trees[i].seed = seed + i;
			assert_int_equal(jd_spawn_fn(scheduler, grow, &trees[i], &tasks[i]), JD_OK);
		}
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(jd_task_join(tasks[i], NULL), JD_OK);
		for (unsigned i = 0; i < 3; i++)
			check(&trees[i], &helps);
	}
	assert_true(helps > 0);
	assert_int_equal(jd_scheduler_destroy(scheduler), JD_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_outside),
		cmocka_unit_test(test_inside_tasks),
	};

	return cmocka_run_group_tests_name("fork depth", tests, NULL, NULL);
}
