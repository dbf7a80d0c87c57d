/* test_model_fork.c - fork, join and steal under every schedule: each frame once, only below. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/fork_host.h"
#include "tests/model/model.h"
#include "tests/model/model_fork.h"
#include "tests/model/model_test.h"

/*
 * runtime/fork.c and the inline functions of <jackdaw/fork.h>, as they are, with few slots, at most
 * two frames published at once, and a count of publications that wraps after four (or that does not
 * exist: JD_FORK_COUNT_BITS 0, a program of its own, which must fail).
 *
 * A program is a tree of nodes for each owner. Whoever runs a node checks that it is the first to
 * do so, that it sees what was written before the fork, and that the node is below the one that its
 * thread is at: so waiting threads help only with what they wait for. Each adds up its children,
 * whose results it must see after the join. Waits have no timeout: a wake-up that is lost leaves
 * all waiting, which is a failure by itself.
 */
enum {
	OWNERS = 2,
	NODES = 8,
	CHILDREN = 4,
};

struct node {
	struct jd_fork_frame frame;
	const struct node *parent;
	struct node *children[CHILDREN];
	bool one_by_one; /* a child is joined before the next is forked */
	bool waits;      /* does not join its child before that was begun by another */
	bool pauses;     /* nor this one before its parent is about to join it */
	_Atomic(uint32_t) begun, wanted;
	/* Plain: written by who forks, who runs, who runs. */
	uint32_t in, ran, sum;
};

static struct {
	struct jd_fork_host host;
	struct jd_fork_region regions[MODEL_THREADS];
	struct jd_fork_point points[MODEL_THREADS];
	unsigned threads;
	struct node nodes[NODES], roots[OWNERS];
	unsigned owners, n;
	const struct node *at[MODEL_THREADS + 1]; /* which node a thread is at; its own */
	_Atomic(uint32_t) ended;                  /* owners */
	_Atomic(uint32_t) news;                   /* publications and ends */
} s;

static struct jd_fork_stack *serial; /* of threads in no region */

/* --- What fork.c wants of the platform ----------------------------------------------------- */

uint64_t jd_clock_now(void)
{
	return 1;
}

uint64_t jd_thread_self(void)
{
	return model_self();
}

jd_status jd_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns)
{
	(void)deadline_ns;
	model_wait(word, expected);
	return JD_OK;
}

void jd_futex_wake_one(_Atomic(uint32_t) *word)
{
	model_wake(word, 1);
}

/* --- Nodes --------------------------------------------------------------------------------- */

static void run_node(struct node *node, struct jd_fork_point fork);

static void node_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	run_node(jd_container_of(frame, struct node, frame), fork);
}

static struct jd_fork_point fork_node(struct node *node, struct jd_fork_point fork)
{
	model_write(&node->in);
	node->in = 1;
	return jd_fork(fork, &node->frame, node_run);
}

static void join_node(struct node *node, struct jd_fork_point fork)
{
	if (jd_join(fork, &node->frame))
		run_node(node, fork);
	model_read(&node->sum);
}

static bool is_below(const struct node *node, const struct node *above)
{
	while (node && node != above)
		node = node->parent;
	return node == above;
}

/* Switches that cost no preemption, so that long ways are found. */
static void wait_before_joins(struct node *node)
{
	while (node->waits && !atomic_load_explicit(&node->children[0]->begun, RLX))
		model_yield();
	if (node->waits)
		atomic_store_explicit(&node->children[0]->wanted, 1, RLX);
	while (node->pauses && !atomic_load_explicit(&node->wanted, RLX))
		model_yield();
}

static void run_node(struct node *node, struct jd_fork_point fork)
{
	const struct node *above = s.at[model_self()];
	uint32_t sum = 1;
	int n = 0;

	if (above && !is_below(node, above))
		model_fail("a thread runs what is not below its frame");
	s.at[model_self()] = node;
	model_read(&node->in);
	MODEL_CHECK(node->in == 1);
	model_write(&node->ran);
	MODEL_CHECK(node->ran++ == 0);
	if (node->pauses)
		atomic_store_explicit(&node->begun, 1, RLX);
	for (; n < CHILDREN && node->children[n]; n++) {
		struct jd_fork_point inner = fork_node(node->children[n], fork);

		if (node->one_by_one)
			join_node(node->children[n], fork);
		else
			fork = inner;
	}
	wait_before_joins(node);
	for (int i = n; i-- > 0;) {
		if (!node->one_by_one) {
			fork = jd_fork_outer(fork);
			join_node(node->children[i], fork);
		}
		sum += node->children[i]->sum;
	}
	model_write(&node->sum);
	node->sum = sum;
	s.at[model_self()] = above;
}

static struct node *child(struct node *parent)
{
	struct node *node = &s.nodes[s.n++];
	int i = 0;

	while (parent->children[i])
		i++;
	node->parent = parent;
	atomic_init(&node->frame._state, 1); /* done: the frame was used before */
	return parent->children[i] = node;
}

/* --- Threads ------------------------------------------------------------------------------- */

static void own(unsigned i)
{
	jd_fork_thread = s.points[i];
	model_write(&s.roots[i].in);
	s.roots[i].in = 1;
	run_node(&s.roots[i], s.points[i]);
	atomic_fetch_add_explicit(&s.ended, 1, RLX);
	atomic_fetch_add_explicit(&s.news, 1, RLX);
}

static void owner_0(void)
{
	own(0);
}

static void owner_1(void)
{
	own(1);
}

static void published(struct jd_fork_host *host)
{
	(void)host;
	atomic_fetch_add_explicit(&s.news, 1, RLX);
}

static void steal_until_the_end(struct jd_fork_point point)
{
	struct jd_fork_stolen stolen;

	for (;;) {
		const uint32_t news = atomic_load_explicit(&s.news, RLX);

		if (jd_fork_host_steal(&s.host, point, 0, &stolen))
			jd_fork_host_run(&stolen, point);
		else if (atomic_load_explicit(&s.ended, RLX) == s.owners)
			return;
		else if (atomic_load_explicit(&s.news, RLX) == news)
			model_yield();
	}
}

static void thief(void)
{
	jd_fork_thread = s.points[model_self() - 1];
	steal_until_the_end(jd_fork_thread);
}

/* The first threads have a stack each; there may be more stacks. */
static void set_up(unsigned owners, unsigned threads, unsigned stacks, unsigned slots)
{
	memset(&s, 0, sizeof(s));
	jd_fork_thread = (struct jd_fork_point){serial, 0};
	model_defined(serial, sizeof(*serial));
	model_local(&jd_fork_thread, sizeof(jd_fork_thread));
	s.owners = owners;
	s.threads = threads;
	MODEL_CHECK(jd_fork_host_init(&s.host, model_allocator(), stacks, slots, published) ==
		    JD_OK);
	/* The product relies on zeroed memory for these. */
	model_defined(&s, sizeof(s));
	model_defined(s.host.stacks, stacks * sizeof(*s.host.stacks));
	for (unsigned i = 0; i < threads; i++)
		s.points[i] = jd_fork_host_enter(&s.host, &s.regions[i]);
}

static void finish(void)
{
	for (unsigned i = 0; i < s.n; i++)
		MODEL_CHECK(s.nodes[i].ran == 1);
	for (unsigned i = s.threads; i-- > 0;)
		jd_fork_leave(&s.regions[i]);
	MODEL_CHECK(!jd_fork_host_has_work(&s.host));
	jd_fork_host_fini(&s.host);
}

/* --- Programs ------------------------------------------------------------------------------ */

static void one(void)
{
	set_up(1, 2, 2, 2);
	child(&s.roots[0]);
}

static void three(void)
{
	set_up(1, 2, 2, 4);
	for (int i = 0; i < 3; i++)
		child(&s.roots[0]);
}

/* Two slots: the third is the owner's in any case. */
static void too_deep(void)
{
	set_up(1, 2, 2, 2);
	for (int i = 0; i < 3; i++)
		child(&s.roots[0]);
}

/* The same slot again and again: more publications than can be counted. */
static void in_turn(void)
{
	set_up(1, 2, 2, 2);
	s.roots[0].one_by_one = true;
	for (int i = 0; i < CHILDREN; i++)
		child(&s.roots[0]);
}

static void two_thieves(void)
{
	set_up(1, 3, 3, 4);
	child(&s.roots[0]);
	child(&s.roots[0]);
}

/* The owner of the stolen frame helps with its children. */
static void help(void)
{
	struct node *a;

	set_up(1, 2, 2, 4);
	a = child(&s.roots[0]);
	child(a);
	child(a);
}

/* While one owner waits, its thief may have gone on to the other one. */
static void elsewhere(void)
{
	set_up(2, 3, 3, 2);
	for (unsigned i = 0; i < OWNERS; i++) {
		struct node *node = child(&s.roots[i]);

		child(node);
		node->pauses = true;
		s.roots[i].waits = true;
	}
}

/* Stacks are made, claimed, left and used again at the same time. */
static void enter_and_leave(void)
{
	for (int i = 0; i < 2; i++) {
		struct jd_fork_region region;
		struct jd_fork_point fork = jd_fork_host_enter(&s.host, &region);
		struct node *node = &s.nodes[2 * (model_self() - 1) + (unsigned)i];

		fork_node(node, fork);
		join_node(node, fork);
		jd_fork_leave(&region);
	}
	atomic_fetch_add_explicit(&s.ended, 1, RLX);
	atomic_fetch_add_explicit(&s.news, 1, RLX);
}

/* One stack for two threads: who comes second runs serially. */
static void regions(void)
{
	set_up(2, 0, model_choose(2) + 1, 1);
	s.n = 4;
}

/* A thief without a stack of its own. */
static void bare_thief(void)
{
	struct jd_fork_region region;

	steal_until_the_end(jd_fork_host_enter(NULL, &region));
	jd_fork_leave(&region);
}

static const struct model_program programs[] = {
	{"one", one, {owner_0, thief}, finish},
	{"three", three, {owner_0, thief}, finish},
	{"too deep", too_deep, {owner_0, thief}, finish},
	{"in turn", in_turn, {owner_0, thief}, finish},
	{"help", help, {owner_0, thief}, finish},
	{"two thieves", two_thieves, {owner_0, thief, thief}, finish},
	{"elsewhere", elsewhere, {owner_0, owner_1, thief}, finish},
	{"regions", regions, {enter_and_leave, enter_and_leave, bare_thief}, finish},
};

static const struct model_program *program(const char *name)
{
	const struct model_program *p = programs;

	while (strcmp(p->name, name))
		p++;
	return p;
}

#if JD_FORK_COUNT_BITS > 0
static void clean(const char *name, unsigned preemptions, unsigned stale, unsigned spurious)
{
	const struct model_options options = {
		.preemptions = preemptions, .stale = stale, .spurious = spurious, .random = 20000};

	model_expect_clean(program(name), &options);
}

static void test_each_frame_once(void **state)
{
	(void)state;
	clean("one", 3, 1, 0);
	clean("three", 2, 1, 0);
	clean("too deep", 2, 1, 0);
	clean("in turn", 2, 0, 0);
	clean("two thieves", 2, 0, 0);
}

static void test_help_comes_from_above_only(void **state)
{
	(void)state;
	clean("help", 2, 1, 1);
	clean("elsewhere", 1, 0, 0); /* 2: nine million, two minutes */
}

static void test_regions_come_and_go(void **state)
{
	(void)state;
	clean("regions", 2, 0, 0);
}

static const struct {
	const char *program;
	struct model_mutation bug;
} bugs[] = {
	{"one", {"publish relaxed", "publish", "cas", "&stack->_public", MODEL_ORDER, RLX}},
	{"one", {"publish before the state", "publish", "store", "&frame->_state", MODEL_SKIP, 0}},
	{"three", {"publish in two steps", "publish", "cas", "&stack->_public", MODEL_SPLIT, 0}},
	{"two thieves", {"claim in two steps", "claim", "cas", "&victim->_public", MODEL_SPLIT, 0}},
	{"elsewhere", {"look relaxed", "claim", "load", "&victim->_public", MODEL_ORDER, RLX}},
	{"one",
	 {"take back in two steps", "jd_join_slow", "cas", "&stack->_public", MODEL_SPLIT, 0}},
	{"one", {"done relaxed", "run_stolen", "exchange", "&frame->_state", MODEL_ORDER, RLX}},
	{"one", {"done in two steps", "run_stolen", "exchange", "&frame->_state", MODEL_SPLIT, 0}},
	{"one", {"nobody is woken", "run_stolen", "store", "&victim->_word", MODEL_SKIP, 0}},
	{"one", {"join relaxed", "wait_for_thief", "load", "&frame->_state", MODEL_ORDER, RLX}},
	{"one", {"sleep in two steps", "sleep_in_join", "cas", "&frame->_state", MODEL_SPLIT, 0}},
	{"in turn",
	 {"stolen stays counted", "jd_join_slow", "store", "&stack->_public", MODEL_SKIP, 0}},
	{"regions",
	 {"stack shown early", "add_stack", "cas", "&host->stacks[used]", MODEL_ORDER, RLX}},
	{"regions", {"stack seen early", "stack_at", "load", "&host->stacks[i]", MODEL_ORDER, RLX}},
	{"regions", {"claimed twice", "try_claim", "cas", "&stack->_claimed", MODEL_SPLIT, 0}},
};

static void test_seeded_bugs_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++)
		model_expect_bug(program(bugs[i].program), &bugs[i].bug);
}
#else
static void test_without_the_count_help_goes_elsewhere(void **state)
{
	(void)state;
	model_expect_bug(program("elsewhere"), NULL);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#if JD_FORK_COUNT_BITS > 0
		cmocka_unit_test(test_each_frame_once),
		cmocka_unit_test(test_help_comes_from_above_only),
		cmocka_unit_test(test_regions_come_and_go),
		cmocka_unit_test(test_seeded_bugs_are_found),
#else
		cmocka_unit_test(test_without_the_count_help_goes_elsewhere),
#endif
	};

	serial = jd_fork_thread._stack;
	return cmocka_run_group_tests_name("model fork", tests, NULL, NULL);
}
