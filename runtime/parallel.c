/* parallel.c - loops and reductions over fork and join. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/fork.h>

#include "platform/compiler.h"
#include "runtime/tuning.h"

/* A range cut into pieces of the same size, the last one perhaps smaller. */
struct cut {
	uint64_t begin;
	uint64_t end;
	uint64_t grain;
};

/* Grain 0: enough pieces for any number of workers to balance, few enough to cost nothing. */
static struct cut cut_range(uint64_t begin, uint64_t end, uint64_t grain)
{
	if (!grain)
		grain = (end - begin) / JD_PARALLEL_PIECES;
	return (struct cut){begin, end, grain ? grain : 1};
}

/* How many pieces; the range is not empty. */
static uint64_t cut_pieces(const struct cut *cut)
{
	return (cut->end - cut->begin - 1) / cut->grain + 1;
}

/* Where a piece begins, and where it ends if that is not to be beyond the end of all. */
static uint64_t piece_begin(const struct cut *cut, uint64_t piece)
{
	return cut->begin + piece * cut->grain;
}

static uint64_t piece_end(const struct cut *cut, uint64_t begin)
{
	return cut->end - begin > cut->grain ? begin + cut->grain : cut->end;
}

/* --- Loops ------------------------------------------------------------------------------------ */

struct loop {
	struct cut cut;
	jd_range_fn *body;
	void *arg;
};

struct for_frame {
	struct jd_fork_frame frame;
	const struct loop *loop;
	uint64_t first;
	uint64_t pieces;
};

static void for_pieces(struct jd_fork_point fork, const struct loop *loop, uint64_t first,
		       uint64_t pieces);

static void for_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct for_frame *f = jd_container_of(frame, struct for_frame, frame);

	for_pieces(fork, f->loop, f->first, f->pieces);
}

static void for_piece(struct jd_fork_point fork, const struct loop *loop, uint64_t piece)
{
	uint64_t begin = piece_begin(&loop->cut, piece);

	/* The body may fork, too: it is given no point, the thread has to know it. */
	JD_FORK_THREAD_->_top = fork._top;
	loop->body(loop->arg, begin, piece_end(&loop->cut, begin));
}

static void for_pieces(struct jd_fork_point fork, const struct loop *loop, uint64_t first,
		       uint64_t pieces)
{
	if (pieces == 1) {
		for_piece(fork, loop, first);
		return;
	}
	/* The far half is offered: oldest when somebody comes to take, and largest. */
	uint64_t near_half = pieces / 2;
	struct for_frame far_half;

	far_half.loop = loop;
	far_half.first = first + near_half;
	far_half.pieces = pieces - near_half;
	struct jd_fork_point inner = jd_fork(fork, &far_half.frame, for_run);

	for_pieces(inner, loop, first, near_half);
	if (jd_join(fork, &far_half.frame))
		for_pieces(fork, loop, first + near_half, pieces - near_half);
}

void jd_parallel_for(struct jd_fork_point fork, uint64_t begin, uint64_t end, uint64_t grain,
		     jd_range_fn *body, void *arg)
{
	if (end <= begin)
		return;
	const struct loop loop = {cut_range(begin, end, grain), body, arg};
	uint64_t top = JD_FORK_THREAD_->_top;

	for_pieces(fork, &loop, 0, cut_pieces(&loop.cut));
	JD_FORK_THREAD_->_top = top;
}

/* --- Reductions ------------------------------------------------------------------------------- */

struct reduction {
	struct cut cut;
	const struct jd_reduce_ops *ops;
	void *arg;
};

struct reduce_frame {
	struct jd_fork_frame frame;
	const struct reduction *reduction;
	uint64_t first;
	uint64_t pieces;
	alignas(max_align_t) unsigned char accumulator[JD_REDUCE_MAX];
};

static void reduce(struct jd_fork_point fork, const struct reduction *r, uint64_t first,
		   uint64_t pieces, void *accumulator);

static void reduce_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct reduce_frame *f = jd_container_of(frame, struct reduce_frame, frame);

	reduce(fork, f->reduction, f->first, f->pieces, f->accumulator);
}

static void reduce(struct jd_fork_point fork, const struct reduction *r, uint64_t first,
		   uint64_t pieces, void *accumulator)
{
	if (pieces == 1) {
		uint64_t begin = piece_begin(&r->cut, first);

		JD_FORK_THREAD_->_top = fork._top;
		r->ops->init(r->arg, accumulator);
		r->ops->body(r->arg, begin, piece_end(&r->cut, begin), accumulator);
		return;
	}
	struct reduce_frame right;

	right.reduction = r;
	right.first = first + pieces / 2;
	right.pieces = pieces - pieces / 2;
	struct jd_fork_point inner = jd_fork(fork, &right.frame, reduce_run);

	reduce(inner, r, first, pieces / 2, accumulator);
	jd_join_run(fork, &right.frame);
	JD_FORK_THREAD_->_top = fork._top;
	r->ops->combine(r->arg, accumulator, right.accumulator);
}

jd_status jd_parallel_reduce(struct jd_fork_point fork, uint64_t begin, uint64_t end,
			     uint64_t grain, const struct jd_reduce_ops *ops, void *arg,
			     void *result)
{
	if (!ops || !result || !ops->init || !ops->body || !ops->combine || ops->size == 0 ||
	    ops->size > JD_REDUCE_MAX)
		return JD_EINVAL;
	if (end <= begin) {
		ops->init(arg, result);
		return JD_OK;
	}
	const struct reduction r = {cut_range(begin, end, grain), ops, arg};
	uint64_t top = JD_FORK_THREAD_->_top;

	reduce(fork, &r, 0, cut_pieces(&r.cut), result);
	JD_FORK_THREAD_->_top = top;
	return JD_OK;
}
