/* combine.h - futures made of futures: all of them, the first of them; and the smallest ones. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_COMBINE_H
#define JACKDAW_COMBINE_H

#include <jackdaw/base.h>
#include <jackdaw/future.h>

JD_BEGIN_DECLS

/*
 * Arrays given to a combinator stay the caller's: they must live, unchanged by the caller, until
 * it is dropped. results[i] is where the result of child i goes; NULL when that is empty or, for a
 * struct jd_task_future, not wanted. results may be NULL when all are. The init functions return
 * JD_EINVAL, and own nothing then, for a NULL where none is allowed: a child, or the place of a
 * result that is not empty.
 */

/*
 * Ends when all children have ended. Result: none of its own. Status: JD_OK when every child ended
 * with JD_OK, else the status of the lowest child that did not. statuses[i] tells each one; it is
 * JD_PENDING while child i has not ended. No children: JD_OK at the first poll.
 *
 * Up to JD_JOIN_ALL_SCAN children are all polled whenever anything wakes. With more, each is given
 * a waker of its own, so that a poll costs O(children woken); that takes one allocation at the
 * first poll, and without memory it falls back to polling all.
 *
 *   struct jd_future *children[] = {&a.base, &b.base};
 *   jd_status statuses[2];
 *   void *results[] = {&a_result, NULL};
 *   struct jd_join_all both;
 *
 *   jd_status status = jd_join_all_init(&both, children, 2, statuses, results, JD_BORROW);
 */
#define JD_JOIN_ALL_SCAN 64

struct jd_wake_set;

struct jd_join_all {
	struct jd_future base;
	struct jd_future *const *_children;
	jd_status *_statuses;
	void *const *_results;
	size_t _count;
	size_t _left;
	struct jd_wake_set *_set;
	bool _owned;
	bool _started;
};

JD_API JD_MUST_CHECK jd_status jd_join_all_init(struct jd_join_all *self,
						struct jd_future *const *children, size_t count,
						jd_status *statuses, void *const *results,
						enum jd_ownership ownership);

/*
 * Ends when the first child has ended, however it ended. Status: JD_OK; result: which one, and its
 * status. The child to be polled first moves on by one with every poll, so that one that is always
 * ready does not hide the others.
 *
 * JD_OWN drops all children then. JD_BORROW leaves them: the losers are pending and may be given
 * to another select; the winner must not be polled again. Init also returns JD_EINVAL for no
 * children, since that would never end.
 */
struct jd_selected {
	size_t index;
	jd_status status;
};

struct jd_select {
	struct jd_future base;
	struct jd_future *const *_children;
	void *const *_results;
	size_t _count;
	size_t _first;
	bool _owned;
};

JD_API JD_MUST_CHECK jd_status jd_select_init(struct jd_select *self,
					      struct jd_future *const *children, size_t count,
					      void *const *results, enum jd_ownership ownership);

/* Ends at its first poll with the status given; result: a void *, written for JD_OK. */
struct jd_ready {
	struct jd_future base;
	void *_value;
	jd_status _status;
};

/* status must not be JD_PENDING. */
JD_API void jd_ready_init(struct jd_ready *self, jd_status status, void *value);

/* Pending once, having woken its task: gives way to whatever else is queued. JD_OK, no result. */
struct jd_yield {
	struct jd_future base;
	bool _yielded;
};

JD_API void jd_yield_init(struct jd_yield *self);

/* Never ends and never wakes; for the branch of a select or timeout that must not win. */
struct jd_never {
	struct jd_future base;
};

JD_API void jd_never_init(struct jd_never *self);

/*
 * A future from two functions. poll is a future's poll (see struct jd_future_ops) with a
 * void * as result; drop ends what arg holds and may be NULL.
 */
struct jd_fn_future {
	struct jd_future base;
	jd_status (*_poll)(void *arg, struct jd_context *context, void **result);
	void (*_drop)(void *arg);
	void *_arg;
};

/* JD_EINVAL: poll is NULL. */
JD_API JD_MUST_CHECK jd_status jd_fn_future_init(struct jd_fn_future *self,
						 jd_status (*poll)(void *arg,
								   struct jd_context *context,
								   void **result),
						 void (*drop)(void *arg), void *arg);

JD_END_DECLS

#endif
