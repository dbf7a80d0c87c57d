/* model_order.c - the partial order of seq_cst accesses, as RC11 defines it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/model/model_internal.h"

/*
 * RC11 (Lahav, Vafeiadis, Kang, Hur, Dreyer: "Repairing sequential consistency in C/C++11", PLDI
 * 2017) wants this relation on the seq_cst accesses to have no cycle:
 *   program order; happens-before at one location; from one store of a location to a later one,
 *   and from a load to the stores that are newer than what it read; happens-before from an event
 *   behind the first access, at another location, to one in front of the second, at another
 *   location. (So an acquire of the very release does not count: that admits Power.)
 * Runs append to the order of each location, so a store never closes a cycle. A load may: it comes
 * before the stores that are newer than its own. It is checked when it chooses.
 */
enum {
	THREADS = MODEL_ALL_THREADS,
	NODES = 256, /* seq_cst accesses of one execution */
};

struct node {
	uint64_t before[NODES / 64]; /* all that precede it */
	uint32_t clock;
	uint32_t leave; /* its thread's first event behind it at another location; 0: none yet */
	uint16_t location, store; /* what it read or wrote */
	uint8_t thread;
	bool writes;
};

/*
 * The end of what a thread has done: what it knew after its last event (at `location`), and after
 * the last one that was elsewhere.
 */
struct trail {
	uint32_t last[THREADS], elsewhere[THREADS];
	unsigned location;
};

static struct node nodes[NODES];
static struct trail trails[THREADS];
static unsigned n_nodes;

void model_order_begin(void)
{
	n_nodes = 0;
	memset(trails, 0, sizeof(trails));
}

void model_order_event(unsigned t, unsigned location, uint32_t clock)
{
	for (unsigned i = 0; i < n_nodes; i++)
		if (nodes[i].thread == t && !nodes[i].leave && nodes[i].location != location)
			nodes[i].leave = clock;
}

void model_order_event_end(unsigned t, unsigned location, const uint32_t *clocks)
{
	struct trail *trail = &trails[t];

	if (location != trail->location)
		memcpy(trail->elsewhere, trail->last, sizeof(trail->last));
	trail->location = location;
	memcpy(trail->last, clocks, sizeof(trail->last));
}

static bool in(const uint64_t *set, unsigned i)
{
	return set[i / 64] >> i % 64 & 1;
}

static void add(uint64_t *set, unsigned i)
{
	set[i / 64] |= (uint64_t)1 << i % 64;
}

static void unite(uint64_t *into, const uint64_t *from)
{
	for (unsigned i = 0; i < NODES / 64; i++)
		into[i] |= from[i];
}

/* Adds what precedes an access of thread t that knows `clocks` after it. */
static void predecessors(uint64_t *before, unsigned t, unsigned location, const uint32_t *clocks)
{
	const struct trail *trail = &trails[t];
	const uint32_t *entry = trail->location == location ? trail->elsewhere : trail->last;

	for (unsigned i = 0; i < n_nodes; i++) {
		const struct node *n = &nodes[i];

		if (n->thread != t && !(n->leave && entry[n->thread] >= n->leave) &&
		    !(n->location == location && clocks[n->thread] >= n->clock))
			continue;
		unite(before, n->before);
		add(before, i);
	}
}

bool model_order_may_read(unsigned t, unsigned location, unsigned store, const uint32_t *clocks)
{
	uint64_t before[NODES / 64] = {0};

	predecessors(before, t, location, clocks);
	for (unsigned i = 0; i < n_nodes; i++) {
		const struct node *n = &nodes[i];

		if (n->writes && n->location == location && n->store > store && in(before, i))
			return false;
	}
	return true;
}

/* Makes node `self` precede node i and all that i precedes. */
static void precede(unsigned self, unsigned i)
{
	for (unsigned k = 0; k < n_nodes; k++) {
		if (k != i && !in(nodes[k].before, i))
			continue;
		unite(nodes[k].before, nodes[self].before);
		add(nodes[k].before, self);
	}
}

void model_order_add(unsigned t, unsigned location, unsigned store, const uint32_t *clocks,
		     bool writes)
{
	const unsigned self = n_nodes;
	struct node *n = &nodes[self];

	if (self == NODES)
		model_fail("the explorer has room for %d seq_cst accesses only", NODES);
	memset(n->before, 0, sizeof(n->before));
	predecessors(n->before, t, location, clocks);
	n->clock = clocks[t];
	n->leave = 0;
	n->location = (uint16_t)location;
	n->store = (uint16_t)store;
	n->thread = (uint8_t)t;
	n->writes = writes;
	for (unsigned i = 0; writes && i < self; i++) {
		if (nodes[i].location != location)
			continue;
		/* After the stores before it, and the loads of those. */
		unite(n->before, nodes[i].before);
		add(n->before, i);
	}
	n_nodes++;
	for (unsigned i = 0; !writes && i < self; i++)
		if (nodes[i].location == location && nodes[i].writes && nodes[i].store > store)
			precede(self, i);
}
