/* combine.c - join-all, select, and the smallest futures. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/combine.h>
#include <jackdaw/scheduler.h>

#include "runtime/wake_set.h"

static bool children_valid(struct jd_future *const *children, size_t count, void *const *results)
{
	if (count && !children)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!children[i] || !children[i]->ops)
			return false;
		if (children[i]->ops->result_size && (!results || !results[i]))
			return false;
	}
	return true;
}

static void *result_of(void *const *results, size_t i)
{
	return results ? results[i] : NULL;
}

/* --- Join-all -------------------------------------------------------------------------------- */

static void join_child(struct jd_join_all *self, size_t i, struct jd_context *context)
{
	if (self->_statuses[i] != JD_PENDING)
		return;
	self->_statuses[i] =
		jd_future_poll(self->_children[i], context, result_of(self->_results, i));
	if (self->_statuses[i] == JD_PENDING)
		return;
	self->_left--;
	if (self->_owned)
		jd_future_drop(self->_children[i]);
}

/* With a waker of its own, when there is a set; else with the one of who polls us. */
static void join_child_in_set(struct jd_join_all *self, size_t i, struct jd_context *context)
{
	struct jd_waker waker = jd_wake_set_waker(self->_set, i);
	struct jd_context inner = *context;

	inner.waker = &waker;
	join_child(self, i, &inner);
}

static void join_all_start(struct jd_join_all *self, struct jd_context *context)
{
	if (self->_count > JD_JOIN_ALL_SCAN)
		self->_set = jd_wake_set_new(context->scheduler->allocator, self->_count);
	if (self->_set)
		jd_wake_set_listen(self->_set, context->waker);
	for (size_t i = 0; i < self->_count; i++) {
		if (self->_set)
			join_child_in_set(self, i, context);
		else
			join_child(self, i, context);
	}
}

static void join_all_advance(struct jd_join_all *self, struct jd_context *context)
{
	if (!self->_set) {
		for (size_t i = 0; i < self->_count; i++)
			join_child(self, i, context);
		return;
	}
	jd_wake_set_listen(self->_set, context->waker);

	struct jd_wake_entry *entry = jd_wake_set_take(self->_set), *next;

	for (; entry; entry = next) {
		/* From begin on a wake may push the entry again, and link it elsewhere. */
		next = entry->next;
		join_child_in_set(self, jd_wake_set_begin(entry), context);
	}
}

static jd_status join_all_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_join_all *self = jd_container_of(future, struct jd_join_all, base);

	(void)result;
	if (self->_started)
		join_all_advance(self, context);
	else
		join_all_start(self, context);
	self->_started = true;
	if (self->_left)
		return JD_PENDING;
	for (size_t i = 0; i < self->_count; i++) {
		if (self->_statuses[i] != JD_OK)
			return self->_statuses[i];
	}
	return JD_OK;
}

static void join_all_drop(struct jd_future *future)
{
	struct jd_join_all *self = jd_container_of(future, struct jd_join_all, base);

	for (size_t i = 0; self->_owned && i < self->_count; i++) {
		if (self->_statuses[i] == JD_PENDING)
			jd_future_drop(self->_children[i]);
	}
	jd_wake_set_release(self->_set);
}

jd_status jd_join_all_init(struct jd_join_all *self, struct jd_future *const *children,
			   size_t count, jd_status *statuses, void *const *results,
			   enum jd_ownership ownership)
{
	static const struct jd_future_ops ops = {
		.poll = join_all_poll,
		.drop = join_all_drop,
		.size = sizeof(struct jd_join_all),
	};

	if (!self || (count && !statuses) || !children_valid(children, count, results))
		return JD_EINVAL;
	*self = (struct jd_join_all){
		.base = {&ops},
		._children = children,
		._statuses = statuses,
		._results = results,
		._count = count,
		._left = count,
		._owned = ownership == JD_OWN,
	};
	for (size_t i = 0; i < count; i++)
		statuses[i] = JD_PENDING;
	return JD_OK;
}

/* --- Select ---------------------------------------------------------------------------------- */

static void select_release(struct jd_select *self)
{
	for (size_t i = 0; self->_owned && i < self->_count; i++)
		jd_future_drop(self->_children[i]);
	self->_owned = false;
}

static jd_status select_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_select *self = jd_container_of(future, struct jd_select, base);
	struct jd_selected *selected = result;
	size_t i = self->_first;

	for (size_t n = 0; n < self->_count; n++) {
		jd_status status =
			jd_future_poll(self->_children[i], context, result_of(self->_results, i));

		if (status != JD_PENDING) {
			*selected = (struct jd_selected){.index = i, .status = status};
			select_release(self);
			return JD_OK;
		}
		i = i + 1 < self->_count ? i + 1 : 0;
	}
	self->_first = i + 1 < self->_count ? i + 1 : 0;
	return JD_PENDING;
}

static void select_drop(struct jd_future *future)
{
	select_release(jd_container_of(future, struct jd_select, base));
}

jd_status jd_select_init(struct jd_select *self, struct jd_future *const *children, size_t count,
			 void *const *results, enum jd_ownership ownership)
{
	static const struct jd_future_ops ops = {
		.poll = select_poll,
		.drop = select_drop,
		.size = sizeof(struct jd_select),
		.result_size = sizeof(struct jd_selected),
	};

	if (!self || !count || !children_valid(children, count, results))
		return JD_EINVAL;
	*self = (struct jd_select){
		.base = {&ops},
		._children = children,
		._results = results,
		._count = count,
		._owned = ownership == JD_OWN,
	};
	return JD_OK;
}

/* --- The smallest futures -------------------------------------------------------------------- */

static jd_status ready_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_ready *self = jd_container_of(future, struct jd_ready, base);

	(void)context;
	if (self->_status == JD_OK)
		*(void **)result = self->_value;
	return self->_status;
}

void jd_ready_init(struct jd_ready *self, jd_status status, void *value)
{
	static const struct jd_future_ops ops = {
		.poll = ready_poll,
		.size = sizeof(struct jd_ready),
		.result_size = sizeof(void *),
	};

	*self = (struct jd_ready){.base = {&ops}, ._value = value, ._status = status};
}

static jd_status yield_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_yield *self = jd_container_of(future, struct jd_yield, base);

	(void)result;
	if (self->_yielded)
		return JD_OK;
	self->_yielded = true;
	jd_waker_wake_ref(context->waker);
	return JD_PENDING;
}

void jd_yield_init(struct jd_yield *self)
{
	static const struct jd_future_ops ops = {.poll = yield_poll,
						 .size = sizeof(struct jd_yield)};

	*self = (struct jd_yield){.base = {&ops}};
}

static jd_status never_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	(void)future;
	(void)context;
	(void)result;
	return JD_PENDING;
}

void jd_never_init(struct jd_never *self)
{
	static const struct jd_future_ops ops = {.poll = never_poll,
						 .size = sizeof(struct jd_never)};

	*self = (struct jd_never){.base = {&ops}};
}

static jd_status fn_future_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_fn_future *self = jd_container_of(future, struct jd_fn_future, base);

	return self->_poll(self->_arg, context, result);
}

static void fn_future_drop(struct jd_future *future)
{
	struct jd_fn_future *self = jd_container_of(future, struct jd_fn_future, base);

	if (self->_drop)
		self->_drop(self->_arg);
}

jd_status jd_fn_future_init(struct jd_fn_future *self,
			    jd_status (*poll)(void *arg, struct jd_context *context, void **result),
			    void (*drop)(void *arg), void *arg)
{
	static const struct jd_future_ops ops = {
		.poll = fn_future_poll,
		.drop = fn_future_drop,
		.size = sizeof(struct jd_fn_future),
		.result_size = sizeof(void *),
	};

	if (!self || !poll)
		return JD_EINVAL;
	*self = (struct jd_fn_future){.base = {&ops}, ._poll = poll, ._drop = drop, ._arg = arg};
	return JD_OK;
}
