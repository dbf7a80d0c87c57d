/* uts_tree.h - the Unbalanced Tree Search trees: the published splittable SHA-1 generator. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_BENCH_UTS_TREE_H
#define JD_BENCH_UTS_TREE_H

/*
 * Source: Olivier, Huan, Liu, Prins, Dinan, Sadayappan, Tseng, "UTS: An Unbalanced Tree Search
 * Benchmark", LCPC 2006, and the parameters of the sample trees that were published with it.
 *
 * A node is a 20-byte state. The root's is SHA-1 of 16 zero bytes and the seed; that of child i is
 * SHA-1 of the parent's state and i (both numbers 32 bits, big endian). The random value of a node
 * is the last 4 bytes of its state without the sign bit, over 2^31.
 */
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum uts_shape {
	UTS_GEOMETRIC_FIXED, /* geometric with mean b0 above depth_max, no children below */
	UTS_BINOMIAL, /* b0 children at the root; elsewhere m with probability q, else none */
};

struct uts_tree {
	const char *name;
	enum uts_shape shape;
	double b0;
	uint32_t seed;
	int32_t depth_max; /* geometric */
	double q;          /* binomial */
	int m;             /* binomial */
	/* The published answer. */
	uint64_t nodes;
	uint64_t leaves;
	int32_t depth;
};

struct uts_node {
	uint8_t state[20];
	int32_t depth;
};

/* What a part of a tree comes to. */
struct uts_count {
	uint64_t nodes;
	uint64_t leaves;
	int32_t depth;
};

enum {
	UTS_CHILDREN_MAX = 100
}; /* of a node that is not the root of a binomial tree */

extern const struct uts_tree uts_t1;
extern const struct uts_tree uts_t3;

void uts_root(const struct uts_tree *tree, struct uts_node *root);
void uts_child(const struct uts_node *parent, int index, struct uts_node *child);
int uts_children(const struct uts_tree *tree, const struct uts_node *node);

static inline void uts_count_node(struct uts_count *count, const struct uts_node *node,
				  int children)
{
	count->nodes++;
	count->leaves += children == 0;
	if (node->depth > count->depth)
		count->depth = node->depth;
}

static inline void uts_add(struct uts_count *sum, const struct uts_count *part)
{
	sum->nodes += part->nodes;
	sum->leaves += part->leaves;
	if (part->depth > sum->depth)
		sum->depth = part->depth;
}

/* NULL: it is the published answer. Else what is wrong. */
const char *uts_wrong(const struct uts_tree *tree, const struct uts_count *count);

#ifdef __cplusplus
}
#endif

#endif
