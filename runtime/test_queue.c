/* test_queue.c - what is queued in the test scheduler: bags and sessions, all O(1). */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/test_scheduler.h"

#include "runtime/memory.h"
#include "runtime/runnable.h"
#include "runtime/tuning.h"

/* --- Bags -------------------------------------------------------------------------------- */

static bool bag_grow(const struct jd_allocator *allocator, struct jd_test_bag *bag)
{
	size_t capacity = bag->capacity ? bag->capacity * 2 : JD_TEST_QUEUE_SLOTS;
	struct jd_runnable **items = jd_memory_zalloc(allocator, capacity, sizeof(*items),
						      alignof(struct jd_runnable *));

	if (!items)
		return false;
	if (bag->count)
		memcpy(items, bag->items, bag->count * sizeof(*items));
	jd_memory_free(allocator, bag->items, bag->capacity * sizeof(*items),
		       alignof(struct jd_runnable *));
	bag->items = items;
	bag->capacity = capacity;
	return true;
}

/* The first of the latecomers moves into a free slot. */
static void bag_admit(struct jd_test_bag *bag)
{
	struct jd_runnable *first = bag->late;

	JD_ASSERT(bag->count < bag->capacity);
	bag->late = first->next;
	if (!bag->late)
		bag->late_tail = &bag->late;
	first->next = NULL;
	bag->items[bag->count++] = first;
}

jd_status jd_test_queue_reserve(struct jd_test_scheduler *ts, struct jd_test_bag *bag)
{
	return bag->capacity || bag_grow(ts->base.allocator, bag) ? JD_OK : JD_ENOMEM;
}

jd_status jd_test_queue_push(struct jd_test_scheduler *ts, struct jd_test_bag *bag,
			     struct jd_runnable *runnable)
{
	/* With no room at all nothing would ever let a latecomer in. */
	JD_ASSERT(bag->capacity > 0);
	jd_runnable_mark(runnable);
	runnable->next = NULL;
	if (bag->count == bag->capacity && !bag_grow(ts->base.allocator, bag)) {
		if (!(runnable->flags & JD_RUNNABLE_RESUME)) {
			jd_runnable_unmark(runnable);
			return JD_ENOMEM;
		}
		if (!bag->late)
			bag->late_tail = &bag->late;
		*bag->late_tail = runnable;
		bag->late_tail = &runnable->next;
		return JD_OK;
	}
	while (bag->late && bag->count < bag->capacity - 1)
		bag_admit(bag);
	bag->items[bag->count++] = runnable;
	return JD_OK;
}

struct jd_runnable *jd_test_queue_take(struct jd_test_bag *bag, size_t i)
{
	JD_ASSERT(i < bag->count);
	struct jd_runnable *runnable = bag->items[i];

	bag->items[i] = bag->items[--bag->count];
	if (bag->late)
		bag_admit(bag);
	jd_runnable_unmark(runnable);
	return runnable;
}

/* --- Sessions by id ---------------------------------------------------------------------- */

static size_t session_home(const struct jd_test_sessions *sessions, jd_session_id id)
{
	uint64_t x = id * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(x ^ (x >> 32)) & (sessions->map_capacity - 1);
}

static struct jd_test_session **session_slot(const struct jd_test_sessions *sessions,
					     jd_session_id id)
{
	size_t i = session_home(sessions, id);

	while (sessions->map[i] && sessions->map[i]->id != id)
		i = (i + 1) & (sessions->map_capacity - 1);
	return &sessions->map[i];
}

static void sessions_free_arrays(const struct jd_allocator *allocator,
				 struct jd_test_sessions *sessions)
{
	jd_memory_free(allocator, sessions->map, sessions->map_capacity * sizeof(*sessions->map),
		       alignof(struct jd_test_session *));
	jd_memory_free(allocator, sessions->active,
		       sessions->map_capacity / 2 * sizeof(*sessions->active),
		       alignof(struct jd_test_session *));
}

/* Doubles both arrays: the list of active sessions has room for all. */
static bool sessions_grow(const struct jd_allocator *allocator, struct jd_test_sessions *sessions)
{
	struct jd_test_sessions bigger = *sessions;

	bigger.map_capacity = sessions->map_capacity ? sessions->map_capacity * 2
						     : JD_TEST_SESSION_SLOTS;
	bigger.map = jd_memory_zalloc(allocator, bigger.map_capacity, sizeof(*bigger.map),
				      alignof(struct jd_test_session *));
	bigger.active = jd_memory_zalloc(allocator, bigger.map_capacity / 2, sizeof(*bigger.active),
					 alignof(struct jd_test_session *));
	if (!bigger.map || !bigger.active) {
		sessions_free_arrays(allocator, &bigger);
		return false;
	}
	for (size_t i = 0; i < sessions->map_capacity; i++) {
		if (sessions->map[i])
			*session_slot(&bigger, sessions->map[i]->id) = sessions->map[i];
	}
	for (size_t i = 0; i < sessions->active_count; i++)
		bigger.active[i] = sessions->active[i];
	sessions_free_arrays(allocator, sessions);
	*sessions = bigger;
	return true;
}

/* Finds or makes. A session stays, so that what was admitted once never needs memory again. */
static struct jd_test_session *session_get(struct jd_test_scheduler *ts, jd_session_id id)
{
	struct jd_test_sessions *sessions = &ts->sessions;
	struct jd_test_session *session = sessions->map_capacity ? *session_slot(sessions, id)
								 : NULL;

	if (session)
		return session;
	if (sessions->count == sessions->map_capacity / 2 &&
	    !sessions_grow(ts->base.allocator, sessions))
		return NULL;
	session = jd_memory_new(ts->base.allocator, struct jd_test_session);
	if (!session)
		return NULL;
	session->id = id;
	session->tail = &session->head;
	session->slot = JD_TEST_NO_SLOT;
	*session_slot(sessions, id) = session;
	sessions->count++;
	return session;
}

/* --- Which sessions can run -------------------------------------------------------------- */

/* A session is in active exactly while it has something to run and nothing in it waits. */
static void session_update(struct jd_test_sessions *sessions, struct jd_test_session *session)
{
	bool runs = session->head && !session->blocked;

	if (runs == (session->slot != JD_TEST_NO_SLOT))
		return;
	if (runs) {
		session->slot = sessions->active_count;
		sessions->active[sessions->active_count++] = session;
		return;
	}
	struct jd_test_session *last = sessions->active[--sessions->active_count];

	sessions->active[session->slot] = last;
	last->slot = session->slot;
	session->slot = JD_TEST_NO_SLOT;
}

static struct jd_runnable *session_pop(struct jd_test_sessions *sessions,
				       struct jd_test_session *session)
{
	struct jd_runnable *runnable = session->head;

	session->head = runnable->next;
	if (!session->head)
		session->tail = &session->head;
	runnable->next = NULL;
	session_update(sessions, session);
	return runnable;
}

jd_status jd_test_queue_push_session(struct jd_test_scheduler *ts, struct jd_runnable *runnable,
				     jd_session_id id)
{
	struct jd_test_session *session = session_get(ts, id);

	if (!session)
		return JD_ENOMEM;
	jd_runnable_mark(runnable);
	runnable->session = id;
	runnable->next = NULL;
	*session->tail = runnable;
	session->tail = &runnable->next;
	session_update(&ts->sessions, session);
	return JD_OK;
}

struct jd_runnable *jd_test_queue_take_session(struct jd_test_scheduler *ts, size_t i,
					       struct jd_test_session **session)
{
	JD_ASSERT(i < ts->sessions.active_count);
	*session = ts->sessions.active[i];
	JD_ASSERT((*session)->head && !(*session)->blocked);
	struct jd_runnable *runnable = session_pop(&ts->sessions, *session);

	jd_runnable_unmark(runnable);
	return runnable;
}

void jd_test_queue_block(struct jd_test_scheduler *ts, struct jd_test_session *session)
{
	session->blocked++;
	session_update(&ts->sessions, session);
}

void jd_test_queue_unblock(struct jd_test_scheduler *ts, struct jd_test_session *session)
{
	JD_ASSERT(session->blocked > 0);
	session->blocked--;
	session_update(&ts->sessions, session);
}

/* --- The end ----------------------------------------------------------------------------- */

struct jd_runnable *jd_test_queue_take_any(struct jd_test_scheduler *ts)
{
	struct jd_test_session *session;

	if (ts->background.count)
		return jd_test_queue_take(&ts->background, ts->background.count - 1);
	if (ts->deprioritized.count)
		return jd_test_queue_take(&ts->deprioritized, ts->deprioritized.count - 1);
	if (ts->sessions.active_count)
		return jd_test_queue_take_session(ts, ts->sessions.active_count - 1, &session);
	return NULL;
}

void jd_test_queue_fini(struct jd_test_scheduler *ts)
{
	const struct jd_allocator *allocator = ts->base.allocator;
	struct jd_test_bag *bags[] = {&ts->background, &ts->deprioritized};

	for (size_t i = 0; i < 2; i++) {
		JD_ASSERT(bags[i]->count == 0 && !bags[i]->late);
		jd_memory_free(allocator, bags[i]->items,
			       bags[i]->capacity * sizeof(*bags[i]->items),
			       alignof(struct jd_runnable *));
	}
	for (size_t i = 0; i < ts->sessions.map_capacity; i++) {
		struct jd_test_session *session = ts->sessions.map[i];

		if (session)
			jd_memory_delete(allocator, session, struct jd_test_session);
	}
	sessions_free_arrays(allocator, &ts->sessions);
}
