/* pool_queue.c - the queue of a pool scheduler and its stand-ins. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pool_queue.h"

#include "runtime/runnable.h"

void jd_pool_queue_init(struct jd_pool_queue *queue)
{
	*queue = (struct jd_pool_queue){.head = NULL};
	jd_injector_init(&queue->inbox);
}

/* Some idle stand-in looks again. */
static void wake_idle(struct jd_pool_queue *queue)
{
	/* order: (PQ1) seq_cst - second half of the handshake with who goes idle, after the push or
	 * the change under the lock; pairs with (PQ2). */
	if (JD_LIKELY(!atomic_load_explicit(&queue->idle, memory_order_seq_cst)))
		return;
	/* order: (PQ3) release - what was pushed or changed; pairs with (PQ4). */
	atomic_fetch_add_explicit(&queue->news, 1, memory_order_release);
	jd_futex_wake_one(&queue->news);
}

void jd_pool_queue_push(struct jd_pool_queue *queue, struct jd_runnable *runnable)
{
	jd_runnable_mark(runnable);
	jd_injector_push(&queue->inbox, runnable);
	wake_idle(queue);
}

/* L. */
static struct jd_runnable *pop(struct jd_pool_queue *queue)
{
	struct jd_runnable *runnable;

	if (queue->stopped)
		return NULL;
	runnable = queue->head ? queue->head : jd_injector_take(&queue->inbox);
	if (runnable)
		queue->head = runnable->next;
	return runnable;
}

struct jd_runnable *jd_pool_queue_take(struct jd_pool_queue *queue)
{
	jd_lock_acquire(&queue->lock);
	struct jd_runnable *runnable = pop(queue);
	bool more = queue->head && queue->stand_ins;

	jd_lock_release(&queue->lock);
	if (JD_UNLIKELY(more))
		wake_idle(queue);
	if (runnable)
		jd_runnable_unmark(runnable);
	return runnable;
}

/* --- Stand-ins ------------------------------------------------------------------------------ */

bool jd_pool_queue_sleeps(struct jd_pool_queue *queue, bool stand_in)
{
	jd_lock_acquire(&queue->lock);
	if (stand_in)
		queue->stand_ins--;
	else
		queue->asleep++;
	bool missing = queue->stand_ins < queue->asleep;

	queue->stand_ins += missing;
	jd_lock_release(&queue->lock);
	return missing;
}

void jd_pool_queue_woke(struct jd_pool_queue *queue, bool stand_in, bool failed)
{
	jd_lock_acquire(&queue->lock);
	queue->stand_ins -= failed;
	if (stand_in)
		queue->stand_ins++;
	else
		queue->asleep--;
	bool surplus = queue->stand_ins > queue->asleep;

	jd_lock_release(&queue->lock);
	if (surplus)
		wake_idle(queue);
}

/* L. The calling stand-in is one too many: it is not counted any more. */
static bool leaves(struct jd_pool_queue *queue)
{
	bool surplus = queue->stopped || queue->stand_ins > queue->asleep;

	queue->stand_ins -= surplus;
	return surplus;
}

/* A runnable, if there is one; goes: the stand-in is to end instead. */
static struct jd_runnable *take_or_leave(struct jd_pool_queue *queue, bool *goes)
{
	struct jd_runnable *runnable = NULL;

	jd_lock_acquire(&queue->lock);
	*goes = leaves(queue);
	if (!*goes)
		runnable = pop(queue);
	bool more = queue->head && queue->stand_ins > 1;

	jd_lock_release(&queue->lock);
	if (more)
		wake_idle(queue);
	return runnable;
}

/* Whether a stand-in that has counted itself in idle should look again and not sleep. */
static bool has_news(struct jd_pool_queue *queue)
{
	if (!jd_injector_empty(&queue->inbox))
		return true;
	jd_lock_acquire(&queue->lock);
	bool news = queue->head || queue->stopped || queue->stand_ins > queue->asleep;

	jd_lock_release(&queue->lock);
	return news;
}

struct jd_runnable *jd_pool_queue_wait(struct jd_pool_queue *queue)
{
	for (;;) {
		/* order: (PQ4) acquire - what was pushed or changed before; pairs with (PQ3). */
		uint32_t seen = atomic_load_explicit(&queue->news, memory_order_acquire);
		bool goes;
		struct jd_runnable *runnable = take_or_leave(queue, &goes);

		if (runnable)
			jd_runnable_unmark(runnable);
		if (runnable || goes)
			return runnable;
		/* order: (PQ2) seq_cst - first half of the handshake: announced, then looked;
		 * pairs with (PQ1). */
		atomic_fetch_add_explicit(&queue->idle, 1, memory_order_seq_cst);
		if (!has_news(queue))
			jd_futex_wait(&queue->news, seen, JD_NEVER);
		atomic_fetch_sub_explicit(&queue->idle, 1, memory_order_relaxed);
	}
}

/* --- The end -------------------------------------------------------------------------------- */

void jd_pool_queue_stop(struct jd_pool_queue *queue)
{
	jd_lock_acquire(&queue->lock);
	queue->stopped = true;
	jd_lock_release(&queue->lock);
	/* order: (PQ5) release - the end; pairs with (PQ4). */
	atomic_fetch_add_explicit(&queue->news, 1, memory_order_release);
	jd_futex_wake_all(&queue->news);
}

struct jd_runnable *jd_pool_queue_close(struct jd_pool_queue *queue)
{
	jd_lock_acquire(&queue->lock);
	struct jd_runnable *all = queue->head, **end = &all;

	while (*end)
		end = &(*end)->next;
	*end = jd_injector_close(&queue->inbox);
	queue->head = NULL;
	jd_lock_release(&queue->lock);
	return jd_runnable_unmark_list(all);
}
