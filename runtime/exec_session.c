/* exec_session.c - the sessions of an execution context. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/exec_session.h"

#include "runtime/memory.h"

/* --- The context's memory --------------------------------------------------------------------- */

void jd_exec_retain(struct jd_exec_context *context)
{
	atomic_fetch_add_explicit(&context->_core->refs, 1, memory_order_relaxed);
}

void jd_exec_release(struct jd_exec_context *context)
{
	/* order: (EX1) acq_rel - all uses come before the free; pairs with (EX1). */
	if (atomic_fetch_sub_explicit(&context->_core->refs, 1, memory_order_acq_rel) == 1)
		context->ops->free(context);
}

jd_status jd_exec_core_new(const struct jd_allocator *allocator, struct jd_exec_core **out)
{
	struct jd_exec_core *core = jd_memory_new(allocator, struct jd_exec_core);

	if (!core)
		return JD_ENOMEM;
	core->allocator = allocator;
	atomic_init(&core->refs, 1);
	for (size_t i = 0; i < JD_EXEC_SHARDS; i++) {
		struct jd_exec_shard *shard = &core->shards[i];

		shard->buckets = jd_memory_zalloc(allocator, JD_EXEC_BUCKETS,
						  sizeof(*shard->buckets),
						  alignof(struct jd_exec_record *));
		if (!shard->buckets) {
			jd_exec_core_free(core);
			return JD_ENOMEM;
		}
		shard->mask = JD_EXEC_BUCKETS - 1;
	}
	*out = core;
	return JD_OK;
}

void jd_exec_core_free(struct jd_exec_core *core)
{
	for (size_t i = 0; i < JD_EXEC_SHARDS; i++) {
		struct jd_exec_shard *shard = &core->shards[i];

		jd_memory_free(core->allocator, shard->buckets,
			       (shard->mask + 1) * sizeof(*shard->buckets),
			       alignof(struct jd_exec_record *));
	}
	jd_memory_delete(core->allocator, core, struct jd_exec_core);
}

/* --- The table -------------------------------------------------------------------------------- */

static struct jd_exec_shard *shard_of(struct jd_exec_core *core, jd_exec_session session)
{
	return &core->shards[session % JD_EXEC_SHARDS];
}

static struct jd_exec_record **bucket_of(struct jd_exec_shard *shard, jd_exec_session session)
{
	return &shard->buckets[session / JD_EXEC_SHARDS & shard->mask];
}

/* Doubles the buckets; without memory the chains grow instead, which is only slower. L. */
static void grow(struct jd_exec_core *core, struct jd_exec_shard *shard)
{
	size_t old_count = shard->mask + 1;
	struct jd_exec_record **old = shard->buckets;
	struct jd_exec_record **buckets = jd_memory_zalloc(
		core->allocator, old_count * 2, sizeof(*buckets), alignof(struct jd_exec_record *));

	if (!buckets)
		return;
	shard->buckets = buckets;
	shard->mask = old_count * 2 - 1;
	for (size_t i = 0; i < old_count; i++) {
		struct jd_exec_record *record = old[i], *next;

		for (; record; record = next) {
			struct jd_exec_record **at = bucket_of(shard, record->session);

			next = record->next;
			record->next = *at;
			*at = record;
		}
	}
	jd_memory_free(core->allocator, old, old_count * sizeof(*old),
		       alignof(struct jd_exec_record *));
}

static jd_status table_insert(struct jd_exec_core *core, struct jd_exec_record *record)
{
	struct jd_exec_shard *shard = shard_of(core, record->session);

	jd_lock_acquire(&shard->lock);
	bool closed = atomic_load_explicit(&core->closed, memory_order_relaxed);

	if (!closed) {
		if (shard->count > shard->mask)
			grow(core, shard);
		struct jd_exec_record **at = bucket_of(shard, record->session);

		shard->count++;
		record->next = *at;
		*at = record;
	}
	jd_lock_release(&shard->lock);
	return closed ? JD_ECLOSED : JD_OK;
}

/* The session is over: the table lets go of it. */
static void table_remove(struct jd_exec_record *record)
{
	struct jd_exec_shard *shard = shard_of(record->context->_core, record->session);

	jd_lock_acquire(&shard->lock);
	struct jd_exec_record **at = bucket_of(shard, record->session);

	while (*at != record)
		at = &(*at)->next;
	*at = record->next;
	shard->count--;
	jd_lock_release(&shard->lock);
	jd_exec_record_release(record);
}

jd_status jd_exec_record_find(struct jd_exec_context *context, jd_exec_session session,
			      struct jd_exec_record **out)
{
	struct jd_exec_core *core = context->_core;
	struct jd_exec_shard *shard = shard_of(core, session);

	jd_lock_acquire(&shard->lock);
	struct jd_exec_record *record = *bucket_of(shard, session);

	while (record && record->session != session)
		record = record->next;
	if (record)
		jd_exec_record_retain(record);
	jd_lock_release(&shard->lock);
	*out = record;
	if (record)
		return JD_OK;
	uint64_t last = atomic_load_explicit(&core->last, memory_order_relaxed);

	return session && session <= last ? JD_EALREADY : JD_ENOENT;
}

struct jd_exec_record *jd_exec_record_any(struct jd_exec_core *core)
{
	struct jd_exec_record *record = NULL;

	for (size_t i = 0; !record && i < JD_EXEC_SHARDS; i++) {
		struct jd_exec_shard *shard = &core->shards[i];

		jd_lock_acquire(&shard->lock);
		for (size_t b = 0; !record && b <= shard->mask; b++)
			record = shard->buckets[b];
		if (record)
			jd_exec_record_retain(record);
		jd_lock_release(&shard->lock);
	}
	return record;
}

void jd_exec_record_each(struct jd_exec_core *core,
			 void (*fn)(void *arg, struct jd_exec_record *record), void *arg)
{
	for (size_t i = 0; i < JD_EXEC_SHARDS; i++) {
		struct jd_exec_shard *shard = &core->shards[i];

		jd_lock_acquire(&shard->lock);
		for (size_t b = 0; b <= shard->mask; b++) {
			struct jd_exec_record *record = shard->buckets[b];

			for (; record; record = record->next)
				fn(arg, record);
		}
		jd_lock_release(&shard->lock);
	}
}

/* --- One record ------------------------------------------------------------------------------- */

jd_status jd_exec_record_new(struct jd_exec_context *context, jd_exec_session *session)
{
	struct jd_exec_core *core = context->_core;
	struct jd_exec_record *record = jd_memory_new(core->allocator, struct jd_exec_record);

	if (!record)
		return JD_ENOMEM;
	jd_exec_retain(context);
	record->context = context;
	record->tail = &record->head;
	record->session = atomic_fetch_add_explicit(&core->last, 1, memory_order_relaxed) + 1;
	atomic_init(&record->refs, 1);
	*session = record->session;

	jd_status status = table_insert(core, record);

	if (status != JD_OK)
		jd_exec_record_release(record);
	return status;
}

struct jd_exec_record *jd_exec_record_retain(struct jd_exec_record *record)
{
	atomic_fetch_add_explicit(&record->refs, 1, memory_order_relaxed);
	return record;
}

void jd_exec_record_release(struct jd_exec_record *record)
{
	/* order: (EX2) acq_rel - all uses come before the free; pairs with (EX2). */
	if (atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel) != 1)
		return;
	struct jd_exec_context *context = record->context;
	const struct jd_allocator *allocator = context->_core->allocator;
	struct jd_exec_value *value = atomic_load_explicit(&record->values, memory_order_relaxed),
			     *next;

	for (; value; value = next) {
		next = value->next;
		if (value->drop)
			value->drop(value->value);
		jd_memory_delete(allocator, value, struct jd_exec_value);
	}
	jd_memory_delete(allocator, record, struct jd_exec_record);
	jd_exec_release(context);
}

/* Whether the table should let go of it: true once. L. */
static bool is_over(struct jd_exec_record *record)
{
	if (record->over || record->head || record->phase == JD_EXEC_OPEN)
		return false;
	record->over = true;
	return true;
}

/* --- Its tasks -------------------------------------------------------------------------------- */

/* Tasks that are not finished, in the count they belong to. L. */
static uint64_t *live_count(struct jd_exec_record *record, const struct jd_exec_task *task)
{
	return task->registered ? &record->counts.registered : &record->counts.running;
}

static bool admits(const struct jd_exec_record *record, bool inherited)
{
	return record->phase == JD_EXEC_OPEN || (record->phase == JD_EXEC_VALIDATED && inherited);
}

jd_status jd_exec_record_enter(struct jd_exec_record *record, struct jd_exec_task *task,
			       const struct jd_exec_task *spawner, bool registered)
{
	jd_lock_acquire(&record->lock);
	bool inherited = spawner && spawner->record == record && spawner->registered;
	bool admitted = admits(record, inherited);

	if (admitted) {
		task->registered = registered || inherited;
		task->pprev = record->tail;
		*record->tail = task;
		record->tail = &task->next;
		record->counts.spawned++;
		++*live_count(record, task);
	}
	jd_lock_release(&record->lock);
	return admitted ? JD_OK : JD_ECLOSED;
}

static void unlink_task(struct jd_exec_record *record, struct jd_exec_task *task)
{
	*task->pprev = task->next;
	if (task->next)
		task->next->pprev = task->pprev;
	else
		record->tail = task->pprev;
}

/* One joiner less to be told; false when there is none. */
static bool wake_joiner(struct jd_exec_record *record)
{
	jd_lock_acquire(&record->lock);
	struct jd_exec_join *joiner = record->head ? NULL : record->joiners;
	struct jd_waker waker = {0};

	if (joiner) {
		waker = joiner->_waker;
		joiner->_waker = (struct jd_waker){0};
		record->joiners = joiner->_next;
		if (joiner->_next)
			joiner->_next->_pprev = &record->joiners;
		joiner->_pprev = NULL;
	}
	jd_lock_release(&record->lock);
	jd_waker_wake(&waker);
	return joiner;
}

/* Takes over a reference. */
static void wake_joiners(struct jd_exec_record *record)
{
	while (wake_joiner(record))
		;
	jd_exec_record_release(record);
}

void jd_exec_record_leave(struct jd_exec_record *record, struct jd_exec_task *task,
			  enum jd_exec_leave how)
{
	jd_lock_acquire(&record->lock);
	unlink_task(record, task);
	--*live_count(record, task);
	if (how == JD_EXEC_FINISHED)
		record->counts.finished++;
	else if (how == JD_EXEC_DROPPED)
		record->counts.cancelled++;
	else
		record->counts.spawned--;
	bool wake = !record->head && record->joiners, over = is_over(record);

	if (wake)
		jd_exec_record_retain(record);
	jd_lock_release(&record->lock);
	/* From here on it may be freed, unless one of these keeps it. */
	if (wake)
		wake_joiners(record);
	if (over)
		table_remove(record);
}

/* --- Ending a session ------------------------------------------------------------------------- */

static void describe(const struct jd_exec_task *task, struct jd_runnable_info *info)
{
	*info = (struct jd_runnable_info){
		.id = jd_task_get_id(task->task),
		.label = jd_task_get_label(task->task),
		.session = jd_task_get_session(task->task),
		.site = jd_task_get_site(task->task),
		.state = jd_task_get_state(task->task),
	};
}

static uint64_t list_dangling(const struct jd_exec_record *record,
			      const struct jd_exec_task *caller, struct jd_exec_cleanup *cleanup)
{
	uint64_t count = 0;

	for (const struct jd_exec_task *task = record->head; task; task = task->next) {
		if (task->registered || task == caller)
			continue;
		if (cleanup && cleanup->listed < cleanup->capacity)
			describe(task, &cleanup->tasks[cleanup->listed++]);
		count++;
	}
	return count;
}

jd_status jd_exec_record_validate(struct jd_exec_record *record, const struct jd_exec_task *caller,
				  struct jd_exec_cleanup *cleanup)
{
	jd_status status = JD_EALREADY;
	bool over = false;

	jd_lock_acquire(&record->lock);
	if (record->phase == JD_EXEC_OPEN) {
		uint64_t count = list_dangling(record, caller, cleanup);

		if (cleanup)
			cleanup->count = count;
		status = count ? JD_EBUSY : JD_OK;
		if (!count)
			record->phase = JD_EXEC_VALIDATED;
		over = is_over(record);
	}
	jd_lock_release(&record->lock);
	if (over)
		table_remove(record);
	return status;
}

jd_status jd_exec_record_register(struct jd_exec_record *record, jd_task_id id)
{
	jd_status status = JD_ENOENT;

	jd_lock_acquire(&record->lock);
	struct jd_exec_task *task = record->head;

	while (task && jd_task_get_id(task->task) != id)
		task = task->next;
	if (task && task->registered) {
		status = JD_EALREADY;
	} else if (task) {
		--*live_count(record, task);
		task->registered = true;
		++*live_count(record, task);
		status = JD_OK;
	}
	jd_lock_release(&record->lock);
	return status;
}

void jd_exec_record_cancel(struct jd_exec_record *record, enum jd_exec_phase *was)
{
	jd_lock_acquire(&record->lock);
	*was = record->phase;
	record->phase = JD_EXEC_CANCELLED;
	/* None of them can leave before we let go of the lock, so none of them can be freed. */
	for (struct jd_exec_task *task = record->head; task; task = task->next)
		jd_task_cancel(task->task);
	bool over = is_over(record);

	jd_lock_release(&record->lock);
	if (over)
		table_remove(record);
}

enum jd_exec_phase jd_exec_record_phase(struct jd_exec_record *record)
{
	jd_lock_acquire(&record->lock);
	enum jd_exec_phase phase = record->phase;

	jd_lock_release(&record->lock);
	return phase;
}

struct jd_exec_counts jd_exec_record_counts(struct jd_exec_record *record)
{
	jd_lock_acquire(&record->lock);
	struct jd_exec_counts counts = record->counts;

	jd_lock_release(&record->lock);
	return counts;
}

/* --- Waiting for it to be empty --------------------------------------------------------------- */

jd_status jd_exec_record_join(struct jd_exec_record *record, struct jd_exec_join *joiner,
			      const struct jd_waker *waker)
{
	struct jd_waker fresh = jd_waker_clone(waker), old = {0};

	jd_lock_acquire(&record->lock);
	bool busy = record->head;

	if (busy) {
		old = joiner->_waker;
		joiner->_waker = fresh;
		fresh = (struct jd_waker){0};
		if (!joiner->_pprev) {
			joiner->_next = record->joiners;
			if (joiner->_next)
				joiner->_next->_pprev = &joiner->_next;
			joiner->_pprev = &record->joiners;
			record->joiners = joiner;
		}
	}
	jd_lock_release(&record->lock);
	jd_waker_drop(&old);
	jd_waker_drop(&fresh);
	return busy ? JD_PENDING : JD_OK;
}

void jd_exec_record_unjoin(struct jd_exec_record *record, struct jd_exec_join *joiner)
{
	jd_lock_acquire(&record->lock);
	struct jd_waker old = joiner->_waker;

	joiner->_waker = (struct jd_waker){0};
	if (joiner->_pprev) {
		*joiner->_pprev = joiner->_next;
		if (joiner->_next)
			joiner->_next->_pprev = joiner->_pprev;
		joiner->_pprev = NULL;
	}
	jd_lock_release(&record->lock);
	jd_waker_drop(&old);
}

/* --- Values ----------------------------------------------------------------------------------- */

static const struct jd_exec_value *find_value(const struct jd_exec_record *record, const void *key)
{
	/* order: (EX3) acquire - the value behind the pointer; pairs with (EX4). */
	const struct jd_exec_value *value =
		atomic_load_explicit(&record->values, memory_order_acquire);

	while (value && value->key != key)
		value = value->next;
	return value;
}

jd_status jd_exec_record_set(struct jd_exec_record *record, const void *key, void *value,
			     void (*drop)(void *value))
{
	const struct jd_allocator *allocator = record->context->_core->allocator;
	struct jd_exec_value *fresh = jd_memory_new(allocator, struct jd_exec_value);

	if (!fresh)
		return JD_ENOMEM;
	jd_lock_acquire(&record->lock);
	bool set = find_value(record, key), open = record->phase == JD_EXEC_OPEN;

	if (open && !set) {
		*fresh = (struct jd_exec_value){
			.next = atomic_load_explicit(&record->values, memory_order_relaxed),
			.key = key,
			.value = value,
			.drop = drop,
		};
		/* order: (EX4) release - what it points to; pairs with (EX3). */
		atomic_store_explicit(&record->values, fresh, memory_order_release);
		fresh = NULL;
	}
	jd_lock_release(&record->lock);
	jd_memory_delete(allocator, fresh, struct jd_exec_value);
	return !open ? JD_EALREADY : set ? JD_EBUSY : JD_OK;
}

void *jd_exec_record_get(struct jd_exec_record *record, const void *key)
{
	const struct jd_exec_value *value = find_value(record, key);

	return value ? value->value : NULL;
}
