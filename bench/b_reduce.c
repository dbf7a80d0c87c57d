/* b_reduce.c - the sum of ten million numbers by a parallel reduction. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"

enum {
	REDUCE_COUNT = 10 * 1000 * 1000,
	REDUCE_GRAIN = 1000,
	REDUCE_SALT = 0x5bd1e995,
};

struct reduce_data {
	uint64_t sum;
	uint64_t right;
	jd_status status;
};

static void sum_init(void *arg, void *sum)
{
	(void)arg;
	*(uint64_t *)sum = 0;
}

static void sum_piece(void *arg, uint64_t begin, uint64_t end, void *sum)
{
	uint64_t part = 0;

	(void)arg;
	for (uint64_t i = begin; i < end; i++)
		part += i ^ REDUCE_SALT;
	*(uint64_t *)sum += part;
}

static void sum_combine(void *arg, void *left, const void *right)
{
	(void)arg;
	*(uint64_t *)left += *(const uint64_t *)right;
}

static jd_status reduce_serial(void *arg)
{
	struct reduce_data *data = arg;

	sum_init(arg, &data->sum);
	for (uint64_t i = 0; i < REDUCE_COUNT; i += REDUCE_GRAIN)
		sum_piece(arg, i, i + REDUCE_GRAIN, &data->sum);
	return JD_OK;
}

static void reduce_body(struct jd_fork_point fork, void *arg)
{
	static const struct jd_reduce_ops ops = {.size = sizeof(uint64_t),
						 .init = sum_init,
						 .body = sum_piece,
						 .combine = sum_combine};
	struct reduce_data *data = arg;

	data->status =
		jd_parallel_reduce(fork, 0, REDUCE_COUNT, REDUCE_GRAIN, &ops, data, &data->sum);
}

static jd_status reduce_parallel(void *arg, struct jd_scheduler *scheduler)
{
	struct reduce_data *data = arg;
	jd_status status = bench_fork_run(scheduler, reduce_body, data);

	return status == JD_OK ? data->status : status;
}

static void reduce_reset(void *arg)
{
	struct reduce_data *data = arg;

	data->sum = 0;
	if (data->right)
		return;
	for (uint64_t i = 0; i < REDUCE_COUNT; i++)
		data->right += i ^ REDUCE_SALT;
}

static const char *reduce_check(void *arg)
{
	const struct reduce_data *data = arg;

	return data->sum == data->right ? NULL : "wrong sum";
}

void b_reduce(void)
{
	static struct reduce_data data;
	static const struct bench_workload workload = {.name = "reduce",
						       .ops = REDUCE_COUNT / REDUCE_GRAIN,
						       .runs = 20,
						       .forks = true,
						       .data = &data,
						       .reset = reduce_reset,
						       .serial = reduce_serial,
						       .parallel = reduce_parallel,
						       .check = reduce_check};

	bench_workload_add(&workload);
}
