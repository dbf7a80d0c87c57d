/* b_skynet.c - a tree of a million leaves, ten frames forked at once at each node. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"
#include "platform/compiler.h"

enum {
	SKYNET_WIDTH = 10,
	SKYNET_LEAVES = 1000 * 1000,
	SKYNET_TASKS = 1111110, /* all nodes but the root */
};

struct skynet {
	struct jd_fork_frame frame;
	uint64_t first;
	uint64_t size;
	uint64_t sum;
};

static inline uint64_t skynet(struct jd_fork_point fork, uint64_t first, uint64_t size);

static void skynet_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct skynet *s = jd_container_of(frame, struct skynet, frame);

	s->sum = skynet(fork, s->first, s->size);
}

static JD_NOINLINE uint64_t skynet_node(struct jd_fork_point fork, uint64_t first, uint64_t part)
{
	struct skynet children[SKYNET_WIDTH];
	uint64_t sum = 0;

	for (int i = 0; i < SKYNET_WIDTH; i++) {
		children[i].first = first + (uint64_t)i * part;
		children[i].size = part;
		fork = jd_fork(fork, &children[i].frame, skynet_run);
	}
	for (int i = SKYNET_WIDTH - 1; i >= 0; i--) {
		struct skynet *child = &children[i];

		fork = jd_fork_outer(fork);
		if (jd_join(fork, &child->frame))
			sum += skynet(fork, first + (uint64_t)i * part, part);
		else
			sum += child->sum;
	}
	return sum;
}

static inline uint64_t skynet(struct jd_fork_point fork, uint64_t first, uint64_t size)
{
	return size == 1 ? first : skynet_node(fork, first, size / SKYNET_WIDTH);
}

static uint64_t skynet_plain(uint64_t first, uint64_t size)
{
	uint64_t sum = 0, part = size / SKYNET_WIDTH;

	if (size == 1)
		return first;
	for (uint64_t i = 0; i < SKYNET_WIDTH; i++)
		sum += skynet_plain(first + i * part, part);
	return sum;
}

/* --- Rows ------------------------------------------------------------------------------------- */

struct skynet_data {
	/* Not a constant in the code, or the compiler might do all of it. */
	_Atomic(uint64_t) size; /* A */
	uint64_t sum;
};

static void skynet_reset(void *arg)
{
	((struct skynet_data *)arg)->sum = 0;
}

static jd_status skynet_serial(void *arg)
{
	struct skynet_data *data = arg;

	data->sum = skynet_plain(0, atomic_load_explicit(&data->size, memory_order_relaxed));
	return JD_OK;
}

static void skynet_body(struct jd_fork_point fork, void *arg)
{
	struct skynet_data *data = arg;

	data->sum = skynet(fork, 0, atomic_load_explicit(&data->size, memory_order_relaxed));
}

static jd_status skynet_parallel(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, skynet_body, arg);
}

static const char *skynet_check(void *arg)
{
	const struct skynet_data *data = arg;
	const uint64_t n = SKYNET_LEAVES;

	return data->sum == n * (n - 1) / 2 ? NULL : "wrong sum";
}

void b_skynet(void)
{
	static struct skynet_data data = {.size = SKYNET_LEAVES};
	static const struct bench_workload workload = {.name = "skynet",
						       .ops = SKYNET_TASKS,
						       .runs = 20,
						       .forks = true,
						       .data = &data,
						       .reset = skynet_reset,
						       .serial = skynet_serial,
						       .parallel = skynet_parallel,
						       .check = skynet_check};

	bench_workload_add(&workload);
}
