/* b_uts.c - Unbalanced Tree Search: how well very uneven work is shared out. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"
#include "bench/uts_tree.h"

/*
 * Three ways to run a tree. "uts_t1": a task takes a handful of nodes, searches depth first until
 * its budget is used up, and hands what is left on its stack to new tasks; a task is worth some
 * tens of microseconds. "uts_t1_node": one task a node, which spawns its children, awaits them and
 * passes the sum to its parent: all overhead, the most that a tree can ask of a scheduler.
 * "uts_t1_fork": fork and join.
 */
enum {
	UTS_CHUNK = 16,   /* nodes a task starts with, at most */
	UTS_BUDGET = 512, /* nodes a task expands */
	UTS_STACK = 1024, /* nodes a task holds */
};

struct uts_data {
	const struct uts_tree *tree;
	struct bench_run run;
	_Atomic(uint64_t) nodes;  /* A */
	_Atomic(uint64_t) leaves; /* A */
	_Atomic(int32_t) depth;   /* A */
};

static void max_depth(_Atomic(int32_t) *max, int32_t depth)
{
	int32_t old = atomic_load_explicit(max, memory_order_relaxed);

	while (old < depth && !atomic_compare_exchange_weak_explicit(
				      max, &old, depth, memory_order_relaxed, memory_order_relaxed))
		;
}

/* The join that follows makes these visible to who reads the answer. */
static void add_count(struct uts_data *data, const struct uts_count *count)
{
	atomic_fetch_add_explicit(&data->nodes, count->nodes, memory_order_relaxed);
	atomic_fetch_add_explicit(&data->leaves, count->leaves, memory_order_relaxed);
	max_depth(&data->depth, count->depth);
}

/* --- A task for some nodes -------------------------------------------------------------------- */

struct chunk_task {
	struct jd_future base;
	struct uts_data *data;
	int used;
	struct uts_node nodes[UTS_CHUNK];
};

struct stack {
	int used;
	struct uts_node nodes[UTS_STACK];
};

static jd_status chunk_poll(struct jd_future *future, struct jd_context *context, void *result);

/* Gives the nodes from first on to a new task; they are lost when there is no memory for it, and
 * the run has failed. */
static void spawn_chunk(struct uts_data *data, struct jd_scheduler *scheduler,
			const struct uts_node *first, int count)
{
	static const struct jd_future_ops ops = {.poll = chunk_poll,
						 .size = sizeof(struct chunk_task)};
	struct chunk_task task;

	task.base.ops = &ops;
	task.data = data;
	task.used = count;
	memcpy(task.nodes, first, (size_t)count * sizeof(*first));
	bench_run_spawn(&data->run, scheduler, &task.base);
}

/* The oldest nodes have the largest subtrees in store: these go. The youngest task is spawned last,
 * and with a last-in-first-out queue it is what this worker goes on with. */
static void give_away(struct uts_data *data, struct jd_scheduler *scheduler, struct stack *stack,
		      int keep)
{
	int first = 0;

	while (stack->used - first > keep) {
		int count = stack->used - first - keep;

		count = count < UTS_CHUNK ? count : UTS_CHUNK;
		spawn_chunk(data, scheduler, stack->nodes + first, count);
		first += count;
	}
	memmove(stack->nodes, stack->nodes + first,
		(size_t)(stack->used - first) * sizeof(stack->nodes[0]));
	stack->used -= first;
}

static void expand(struct uts_data *data, struct jd_scheduler *scheduler, struct stack *stack,
		   struct uts_count *count)
{
	struct uts_node node = stack->nodes[--stack->used];
	int children = uts_children(data->tree, &node);

	uts_count_node(count, &node, children);
	for (int i = 0; i < children; i++) {
		if (stack->used == UTS_STACK)
			give_away(data, scheduler, stack, UTS_STACK / 2);
		uts_child(&node, i, &stack->nodes[stack->used++]);
	}
}

static jd_status chunk_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct chunk_task *task = jd_container_of(future, struct chunk_task, base);
	struct uts_data *data = task->data;
	struct uts_count count = {0, 0, 0};
	struct stack stack;

	(void)result;
	stack.used = task->used;
	memcpy(stack.nodes, task->nodes, (size_t)task->used * sizeof(task->nodes[0]));
	for (int i = 0; i < UTS_BUDGET && stack.used > 0; i++)
		expand(data, context->scheduler, &stack, &count);
	give_away(data, context->scheduler, &stack, 0);
	add_count(data, &count);
	bench_join_finish(&data->run.join);
	return JD_OK;
}

static void chunk_start(struct bench_run *run, struct jd_scheduler *scheduler, void *arg)
{
	struct uts_node root;

	(void)run;
	uts_root(((struct uts_data *)arg)->tree, &root);
	spawn_chunk(arg, scheduler, &root, 1);
}

/* --- A task for one node ---------------------------------------------------------------------- */

struct node_task {
	struct jd_future base;
	struct uts_data *data;
	struct node_task *parent; /* NULL: the root */
	struct uts_node node;
	/* From here on: once the node turned out to have children. */
	bool expanded;
	struct bench_join join;
	_Atomic(uint64_t) nodes;  /* A: of the children's subtrees */
	_Atomic(uint64_t) leaves; /* A */
	_Atomic(int32_t) depth;   /* A */
};

static jd_status node_poll(struct jd_future *future, struct jd_context *context, void *result);

static const struct jd_future_ops node_ops = {.poll = node_poll, .size = sizeof(struct node_task)};

/* Hands a subtree's sum to the parent, or to the run, and gives the part up. */
static jd_status node_finish(struct node_task *task, const struct uts_count *count)
{
	struct node_task *parent = task->parent;

	if (!parent) {
		add_count(task->data, count);
		bench_join_finish(&task->data->run.join);
		return JD_OK;
	}
	atomic_fetch_add_explicit(&parent->nodes, count->nodes, memory_order_relaxed);
	atomic_fetch_add_explicit(&parent->leaves, count->leaves, memory_order_relaxed);
	max_depth(&parent->depth, count->depth);
	bench_join_finish(&parent->join);
	return JD_OK;
}

static void node_expand(struct node_task *task, struct jd_context *context, int children)
{
	task->expanded = true;
	atomic_init(&task->nodes, 0);
	atomic_init(&task->leaves, 0);
	atomic_init(&task->depth, 0);
	bench_join_init(&task->join, context->waker);
	bench_join_add(&task->join, (uint64_t)children);
	for (int i = 0; i < children; i++) {
		struct node_task child = {.base = {&node_ops}, .data = task->data, .parent = task};

		uts_child(&task->node, i, &child.node);
		jd_status status = jd_spawn(context->scheduler, &child.base, NULL);

		if (status != JD_OK) {
			bench_run_error(&task->data->run, status);
			bench_join_finish(&task->join);
		}
	}
	bench_join_leave(&task->join);
}

static jd_status node_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct node_task *task = jd_container_of(future, struct node_task, base);
	struct uts_count count = {0, 0, 0};

	(void)result;
	if (!task->expanded) {
		int children = uts_children(task->data->tree, &task->node);

		if (children == 0) {
			uts_count_node(&count, &task->node, 0);
			return node_finish(task, &count);
		}
		node_expand(task, context, children);
	}
	if (!bench_join_done(&task->join))
		return JD_PENDING;
	count.nodes = 1 + atomic_load_explicit(&task->nodes, memory_order_relaxed);
	count.leaves = atomic_load_explicit(&task->leaves, memory_order_relaxed);
	count.depth = atomic_load_explicit(&task->depth, memory_order_relaxed);
	return node_finish(task, &count);
}

static void node_start(struct bench_run *run, struct jd_scheduler *scheduler, void *arg)
{
	struct node_task root = {.base = {&node_ops}, .data = arg};

	uts_root(root.data->tree, &root.node);
	bench_run_spawn(run, scheduler, &root.base);
}

/* --- Fork and join ---------------------------------------------------------------------------- */

/* "uts_t1_fork": a frame for each child but the last. */
struct fork_child {
	struct jd_fork_frame frame;
	const struct uts_tree *tree;
	struct uts_node node;
	struct uts_count count;
};

static void fork_search(struct jd_fork_point fork, const struct uts_tree *tree,
			const struct uts_node *node, struct uts_count *count);

static void fork_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct fork_child *c = jd_container_of(frame, struct fork_child, frame);

	c->count = (struct uts_count){0, 0, 0};
	fork_search(fork, c->tree, &c->node, &c->count);
}

/* The children from first on; recursion makes a frame for each, however many there are. */
static void fork_children(struct jd_fork_point fork, const struct uts_tree *tree,
			  const struct uts_node *node, int first, int children,
			  struct uts_count *count)
{
	struct fork_child child;

	uts_child(node, first, &child.node);
	if (first == children - 1) {
		fork_search(fork, tree, &child.node, count);
		return;
	}
	child.tree = tree;
	struct jd_fork_point inner = jd_fork(fork, &child.frame, fork_run);

	fork_children(inner, tree, node, first + 1, children, count);
	if (jd_join(fork, &child.frame)) {
		fork_search(fork, tree, &child.node, count);
		return;
	}
	uts_add(count, &child.count);
}

static void fork_search(struct jd_fork_point fork, const struct uts_tree *tree,
			const struct uts_node *node, struct uts_count *count)
{
	int children = uts_children(tree, node);

	uts_count_node(count, node, children);
	if (children)
		fork_children(fork, tree, node, 0, children, count);
}

static void fork_body(struct jd_fork_point fork, void *arg)
{
	struct uts_data *data = arg;
	struct uts_count count = {0, 0, 0};
	struct uts_node root;

	uts_root(data->tree, &root);
	fork_search(fork, data->tree, &root, &count);
	add_count(data, &count);
}

static jd_status uts_fork(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, fork_body, arg);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void uts_reset(void *arg)
{
	struct uts_data *data = arg;

	atomic_store_explicit(&data->nodes, 0, memory_order_relaxed);
	atomic_store_explicit(&data->leaves, 0, memory_order_relaxed);
	atomic_store_explicit(&data->depth, 0, memory_order_relaxed);
}

static jd_status uts_chunks(void *arg, struct jd_scheduler *scheduler)
{
	struct uts_data *data = arg;

	return bench_run_block(&data->run, scheduler, chunk_start, data);
}

static jd_status uts_nodes(void *arg, struct jd_scheduler *scheduler)
{
	struct uts_data *data = arg;

	return bench_run_block(&data->run, scheduler, node_start, data);
}

static void serial_search(const struct uts_tree *tree, const struct uts_node *node,
			  struct uts_count *count)
{
	int children = uts_children(tree, node);
	struct uts_node child;

	uts_count_node(count, node, children);
	for (int i = 0; i < children; i++) {
		uts_child(node, i, &child);
		serial_search(tree, &child, count);
	}
}

static jd_status uts_serial(void *arg)
{
	struct uts_data *data = arg;
	struct uts_count count = {0, 0, 0};
	struct uts_node root;

	uts_root(data->tree, &root);
	serial_search(data->tree, &root, &count);
	add_count(data, &count);
	return JD_OK;
}

static const char *uts_check(void *arg)
{
	const struct uts_data *data = arg;
	const struct uts_count count = {atomic_load_explicit(&data->nodes, memory_order_relaxed),
					atomic_load_explicit(&data->leaves, memory_order_relaxed),
					atomic_load_explicit(&data->depth, memory_order_relaxed)};

	return uts_wrong(data->tree, &count);
}

void b_uts(void)
{
	static struct uts_data t1 = {.tree = &uts_t1};
	static struct uts_data t3 = {.tree = &uts_t3};
	static struct bench_workload workloads[] = {
		{.name = "uts_t1", .data = &t1, .serial = uts_serial, .parallel = uts_chunks},
		{.name = "uts_t1_node", .data = &t1, .parallel = uts_nodes},
		{.name = "uts_t1_fork", .data = &t1, .forks = true, .parallel = uts_fork},
		{.name = "uts_t3", .data = &t3, .serial = uts_serial, .parallel = uts_chunks},
		{.name = "uts_t3_node", .data = &t3, .parallel = uts_nodes},
		{.name = "uts_t3_fork", .data = &t3, .forks = true, .parallel = uts_fork},
	};

	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		struct uts_data *data = workloads[i].data;

		workloads[i].ops = (double)data->tree->nodes;
		workloads[i].runs = 1;
		workloads[i].reset = uts_reset;
		workloads[i].check = uts_check;
		bench_workload_add(&workloads[i]);
	}
}
