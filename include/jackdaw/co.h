/* co.h - stackless coroutines: a future written as a straight-line function. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_CO_H
#define JACKDAW_CO_H

/*
 * A coroutine is a poll function that remembers where it left off. Its state is a struct of the
 * user that starts with a struct jd_co; it is a future like any other. This one tries an operation
 * up to three times, with a pause in between, and yields the number of tries:
 *
 *   struct retry {
 *           struct jd_co co;
 *           struct jd_sleep pause;
 *           struct operation operation;
 *           int tries;
 *   };
 *
 *   static JD_CO_FN jd_status retry_poll(struct jd_future *future, struct jd_context *context,
 *                                        void *result)
 *   {
 *           struct retry *self = jd_container_of(future, struct retry, co.base);
 *           jd_status status;
 *
 *           JD_CO_BEGIN(&self->co, context);
 *           for (self->tries = 1; self->tries <= 3; self->tries++) {
 *                   operation_init(&self->operation);
 *                   JD_CO_AWAIT(status, &self->operation.base, NULL);
 *                   if (status == JD_OK) {
 *                           *(int *)result = self->tries;
 *                           JD_CO_RETURN(JD_OK);
 *                   }
 *                   jd_sleep_init(&self->pause, 10 * JD_MS);
 *                   JD_CO_AWAIT(status, &self->pause.base, NULL);
 *                   if (status != JD_OK)
 *                           JD_CO_RETURN(status);
 *           }
 *           JD_CO_END(JD_EFAILED);
 *   }
 *
 *   static const struct jd_future_ops retry_ops = {
 *           .poll = retry_poll,
 *           .drop = jd_co_drop,
 *           .size = sizeof(struct retry),
 *           .result_size = sizeof(int),
 *   };
 *
 *   struct retry retry = {0};
 *   int tries;
 *
 *   jd_co_init(&retry.co, &retry_ops);
 *   jd_status status = jd_block(scheduler, &retry.co.base, &tries);
 *   jd_future_drop(&retry.co.base);
 *
 * Rules
 *  - Local variables do not survive an await or a yield: what must, goes into the struct. (Set them
 *    again after it, or before each use.)
 *  - The macros may stand anywhere in the function, also inside loops and inside a switch of the
 *    user's; at most one of them on a source line. Not inside a statement expression, and not in
 *    the scope of a variable-length array.
 *  - The function is declared with JD_CO_FN, so that the compiler makes one copy of it only:
 *    where it left off is the place of a label in its code.
 *  - One child is awaited at a time; to wait for several, await a combinator. A child is dropped
 *    when it has ended. A coroutine that is dropped half-way drops the child it awaits; whatever
 *    else the state holds (memory, futures that were not being awaited) is the user's: give the
 *    ops a drop function that calls jd_co_fini and then releases it.
 *
 * Requirement: labels as values, that is gcc or clang. They are used in a form that is quiet under
 * -Wpedantic. No switch is involved, so break, continue and case mean what they always do.
 */
#include <jackdaw/base.h>
#include <jackdaw/future.h>
#include <jackdaw/task.h>

JD_BEGIN_DECLS

struct jd_co {
	struct jd_future base;
	uintptr_t _resume;           /* where to go on, counted from the beginning in code bytes */
	struct jd_future *_child;    /* being awaited; NULL: none */
	struct jd_task_future _task; /* the child when a task is awaited */
};

/* Before the first poll. ops->poll is the coroutine's function. */
static inline void jd_co_init(struct jd_co *self, const struct jd_future_ops *ops)
{
	self->base.ops = ops;
	self->_resume = 0;
	self->_child = NULL;
}

/* Drops the child that is being awaited, if there is one. */
static inline void jd_co_fini(struct jd_co *self)
{
	struct jd_future *child = self->_child;

	self->_child = NULL;
	jd_future_drop(child);
}

/* The drop function of a coroutine that holds nothing but its child. */
static inline void jd_co_drop(struct jd_future *future)
{
	jd_co_fini(jd_container_of(future, struct jd_co, base));
}

#if defined(__clang__)
#define JD_CO_FN __attribute__((noinline))
#else
#define JD_CO_FN __attribute__((noinline, noclone))
#endif

/* The formatter takes the address of a label for a logical and. */
/* clang-format off */

/* Goes on where the last poll left off. co_: struct jd_co *; context_: that of the poll. */
#define JD_CO_BEGIN(co_, context_)                                                          \
	struct jd_co *const jd_co_self_ = (co_);                                            \
	struct jd_context *const jd_co_context_ = (context_);                               \
	(void)jd_co_context_;                                                               \
	if (jd_co_self_->_resume)                                                           \
		__extension__({                                                             \
			goto *(void *)((uintptr_t)&&jd_co_begin_ + jd_co_self_->_resume);   \
		});                                                                         \
	jd_co_begin_:

/*
 * Awaits a future (struct jd_future *): status_ (an lvalue) is set to how it ended, and it is
 * dropped. result_ is where its result goes, or NULL; this expression is evaluated at every poll,
 * future_ once.
 */
#define JD_CO_AWAIT(status_, future_, result_)                                              \
	do {                                                                                \
		jd_co_self_->_child = (future_);                                            \
		JD_CO_RESUME_AT_(JD_CO_LABEL_);                                             \
	JD_CO_LABEL_:                                                                       \
		(status_) = jd_future_poll(jd_co_self_->_child, jd_co_context_, (result_)); \
		if ((status_) == JD_PENDING)                                                \
			return JD_PENDING;                                                  \
		jd_co_fini(jd_co_self_);                                                    \
	} while (0)

/*
 * Awaits a task (struct jd_task *) and gives up the handle. A coroutine that is dropped meanwhile
 * cancels the task.
 */
#define JD_CO_AWAIT_TASK(status_, task_, result_)                                           \
	do {                                                                                \
		jd_task_future_init(&jd_co_self_->_task, (task_));                          \
		JD_CO_AWAIT(status_, &jd_co_self_->_task.base, result_);                    \
	} while (0)

/* Gives way: wakes itself, and goes on when polled again. */
#define JD_CO_YIELD()                                                                       \
	do {                                                                                \
		jd_waker_wake_ref(jd_co_context_->waker);                                   \
		JD_CO_RESUME_AT_(JD_CO_LABEL_);                                             \
		return JD_PENDING;                                                          \
	JD_CO_LABEL_:;                                                                      \
	} while (0)

/* Ends the coroutine. For JD_OK the result has been written. */
#define JD_CO_RETURN(status_)                                                               \
	do {                                                                                \
		JD_CO_RESUME_AT_(jd_co_ended_);                                             \
		return (status_);                                                           \
	} while (0)

/* The last statement of the function: ends like JD_CO_RETURN. A poll after the end is refused. */
#define JD_CO_END(status_)                                                                  \
	JD_CO_RETURN(status_);                                                              \
	jd_co_ended_:                                                                       \
	return JD_EALREADY

/* Private: the label of this line, and remembering a label as its distance from the first. */
#define JD_CO_LABEL_ JD_CO_PASTE_(jd_co_label_, __LINE__)
#define JD_CO_PASTE_(a, b) JD_CO_PASTE2_(a, b)
#define JD_CO_PASTE2_(a, b) a##b
#define JD_CO_RESUME_AT_(label_)                                                            \
	(jd_co_self_->_resume =                                                             \
		 __extension__((uintptr_t)&&label_ - (uintptr_t)&&jd_co_begin_))

/* clang-format on */

JD_END_DECLS

#endif
