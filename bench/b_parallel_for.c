/* b_parallel_for.c - a loop of 10 million trivial iterations, in pieces of a thousand. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"
#include "platform/compiler.h"

enum {
	LOOP_COUNT = 10 * 1000 * 1000,
	LOOP_GRAIN = 1000,
	LOOP_CHUNKS = LOOP_COUNT / LOOP_GRAIN,
	LOOP_SALT = 0x5bd1e995,
};

struct loop_data {
	uint32_t sums[LOOP_CHUNKS]; /* each by who runs the piece */
	uint32_t right;             /* of all, modulo 2^32 */
};

/*
 * An iteration is an exclusive or and an addition; compilers make vectors of them. A function that
 * begins a cache line: by where a build happens to put the loop it may take half as long again.
 */
static JD_NOINLINE __attribute__((aligned(64))) uint32_t piece_sum(uint32_t begin, uint32_t end)
{
	uint32_t sum = 0;

	for (uint32_t i = begin; i < end; i++)
		sum += i ^ LOOP_SALT;
	return sum;
}

static void loop_piece(void *arg, uint64_t begin, uint64_t end)
{
	struct loop_data *data = arg;

	data->sums[begin / LOOP_GRAIN] += piece_sum((uint32_t)begin, (uint32_t)end);
}

static void loop_reset(void *arg)
{
	struct loop_data *data = arg;

	memset(data->sums, 0, sizeof(data->sums));
	if (!data->right)
		data->right = piece_sum(0, LOOP_COUNT);
}

static jd_status loop_serial(void *arg)
{
	for (uint64_t i = 0; i < LOOP_COUNT; i += LOOP_GRAIN)
		loop_piece(arg, i, i + LOOP_GRAIN);
	return JD_OK;
}

static void loop_body(struct jd_fork_point fork, void *arg)
{
	jd_parallel_for(fork, 0, LOOP_COUNT, LOOP_GRAIN, loop_piece, arg);
}

static jd_status loop_parallel(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, loop_body, arg);
}

static const char *loop_check(void *arg)
{
	const struct loop_data *data = arg;
	uint32_t sum = 0;

	for (int i = 0; i < LOOP_CHUNKS; i++)
		sum += data->sums[i];
	return sum == data->right ? NULL : "wrong sum";
}

void b_parallel_for(void)
{
	static struct loop_data data;
	static const struct bench_workload workload = {.name = "parallel_for",
						       .ops = LOOP_CHUNKS,
						       .runs = 50,
						       .forks = true,
						       .data = &data,
						       .reset = loop_reset,
						       .serial = loop_serial,
						       .parallel = loop_parallel,
						       .check = loop_check};

	bench_workload_add(&workload);
}
