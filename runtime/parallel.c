/* parallel.c - loops and reductions over fork and join. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/fork.h>

#include "platform/compiler.h"
#include "runtime/tuning.h"

/* Enough pieces for any number of workers to balance, few enough to cost nothing. */
static uint64_t grain_of(uint64_t begin, uint64_t end, uint64_t grain)
{
	if (grain)
		return grain;
	grain = end > begin ? (end - begin) / JD_PARALLEL_PIECES : 0;
	return grain ? grain : 1;
}

struct for_frame {
	struct jd_fork_frame frame;
	uint64_t begin;
	uint64_t end;
	uint64_t grain;
	jd_range_fn *body;
	void *arg;
};

static void for_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct for_frame *f = jd_container_of(frame, struct for_frame, frame);

	jd_parallel_for(fork, f->begin, f->end, f->grain, f->body, f->arg);
}

void jd_parallel_for(struct jd_fork_point fork, uint64_t begin, uint64_t end, uint64_t grain,
		     jd_range_fn *body, void *arg)
{
	grain = grain_of(begin, end, grain);
	if (end <= begin)
		return;
	if (end - begin <= grain) {
		body(arg, begin, end);
		return;
	}
	/* The far half is offered: oldest when somebody comes to take, and largest. */
	uint64_t pieces = (end - begin - 1) / grain + 1, middle = begin + pieces / 2 * grain;
	struct for_frame far_half = {
		.begin = middle, .end = end, .grain = grain, .body = body, .arg = arg};
	struct jd_fork_point inner = jd_fork(fork, &far_half.frame, for_run);

	jd_parallel_for(inner, begin, middle, grain, body, arg);
	jd_join_run(fork, &far_half.frame);
}

struct reduction {
	const struct jd_reduce_ops *ops;
	void *arg;
	uint64_t grain;
};

struct reduce_frame {
	struct jd_fork_frame frame;
	const struct reduction *reduction;
	uint64_t begin;
	uint64_t end;
	alignas(max_align_t) unsigned char accumulator[JD_REDUCE_MAX];
};

static void reduce(struct jd_fork_point fork, const struct reduction *r, uint64_t begin,
		   uint64_t end, void *accumulator);

static void reduce_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct reduce_frame *f = jd_container_of(frame, struct reduce_frame, frame);

	reduce(fork, f->reduction, f->begin, f->end, f->accumulator);
}

static void reduce(struct jd_fork_point fork, const struct reduction *r, uint64_t begin,
		   uint64_t end, void *accumulator)
{
	if (end - begin <= r->grain) {
		r->ops->init(r->arg, accumulator);
		r->ops->body(r->arg, begin, end, accumulator);
		return;
	}
	uint64_t pieces = (end - begin - 1) / r->grain + 1;
	struct reduce_frame right;

	right.reduction = r;
	right.begin = begin + pieces / 2 * r->grain;
	right.end = end;
	struct jd_fork_point inner = jd_fork(fork, &right.frame, reduce_run);

	reduce(inner, r, begin, right.begin, accumulator);
	jd_join_run(fork, &right.frame);
	r->ops->combine(r->arg, accumulator, right.accumulator);
}

jd_status jd_parallel_reduce(struct jd_fork_point fork, uint64_t begin, uint64_t end,
			     uint64_t grain, const struct jd_reduce_ops *ops, void *arg,
			     void *result)
{
	if (!ops || !result || !ops->init || !ops->body || !ops->combine || ops->size == 0 ||
	    ops->size > JD_REDUCE_MAX)
		return JD_EINVAL;
	const struct reduction r = {ops, arg, grain_of(begin, end, grain)};

	if (end <= begin)
		ops->init(arg, result);
	else
		reduce(fork, &r, begin, end, result);
	return JD_OK;
}
