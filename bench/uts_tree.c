/* uts_tree.c - the nodes of the Unbalanced Tree Search trees. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/uts_tree.h"

#include <math.h>
#include <string.h>

#include <nettle/sha1.h>

const struct uts_tree uts_t1 = {
	.name = "t1",
	.shape = UTS_GEOMETRIC_FIXED,
	.b0 = 4,
	.seed = 19,
	.depth_max = 10,
	.nodes = 4130071,
	.leaves = 3305118,
	.depth = 10,
};

const struct uts_tree uts_t3 = {
	.name = "t3",
	.shape = UTS_BINOMIAL,
	.b0 = 2000,
	.seed = 42,
	.q = 0.124875,
	.m = 8,
	.nodes = 4112897,
	.leaves = 3599034,
	.depth = 1572,
};

static void put_u32(uint8_t bytes[4], uint32_t value)
{
	bytes[0] = (uint8_t)(value >> 24);
	bytes[1] = (uint8_t)(value >> 16);
	bytes[2] = (uint8_t)(value >> 8);
	bytes[3] = (uint8_t)value;
}

void uts_root(const struct uts_tree *tree, struct uts_node *root)
{
	uint8_t bytes[20] = {0};
	struct sha1_ctx ctx;

	put_u32(bytes + 16, tree->seed);
	sha1_init(&ctx);
	sha1_update(&ctx, sizeof(bytes), bytes);
	sha1_digest(&ctx, sizeof(root->state), root->state);
	root->depth = 0;
}

void uts_child(const struct uts_node *parent, int index, struct uts_node *child)
{
	uint8_t bytes[24];
	struct sha1_ctx ctx;

	memcpy(bytes, parent->state, 20);
	put_u32(bytes + 20, (uint32_t)index);
	child->depth = parent->depth + 1;
	sha1_init(&ctx);
	sha1_update(&ctx, sizeof(bytes), bytes);
	sha1_digest(&ctx, sizeof(child->state), child->state);
}

/* Uniform in [0, 1). */
static double random_value(const struct uts_node *node)
{
	const uint8_t *b = node->state + 16;
	uint32_t bits = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];

	return (bits & 0x7fffffff) / 2147483648.0;
}

static int geometric(const struct uts_tree *tree, const struct uts_node *node)
{
	if (node->depth >= tree->depth_max)
		return 0;
	double p = 1 / (1 + tree->b0); /* then the mean is b0 */
	int children = (int)floor(log(1 - random_value(node)) / log(1 - p));

	return children < UTS_CHILDREN_MAX ? children : UTS_CHILDREN_MAX;
}

int uts_children(const struct uts_tree *tree, const struct uts_node *node)
{
	if (tree->shape == UTS_GEOMETRIC_FIXED)
		return geometric(tree, node);
	if (node->depth == 0)
		return (int)tree->b0;
	return random_value(node) < tree->q ? tree->m : 0;
}

const char *uts_wrong(const struct uts_tree *tree, const struct uts_count *count)
{
	if (count->nodes != tree->nodes)
		return "wrong number of nodes";
	if (count->leaves != tree->leaves)
		return "wrong number of leaves";
	return count->depth == tree->depth ? NULL : "wrong depth";
}
