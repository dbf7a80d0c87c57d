/* main_loop.c - foreground work on the main thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/main_loop.h"

enum {
	MAIN_AWAKE,
	MAIN_SLEEPING,
	MAIN_NOTIFIED,
};

static void list_init(struct jd_runnable_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static void list_append(struct jd_runnable_list *list, struct jd_runnable *runnable)
{
	runnable->next = NULL;
	*list->tail = runnable;
	list->tail = &runnable->next;
}

static struct jd_runnable *list_pop(struct jd_runnable_list *list)
{
	struct jd_runnable *runnable = list->head;

	if (runnable) {
		list->head = runnable->next;
		if (!list->head)
			list->tail = &list->head;
	}
	return runnable;
}

/* Moves all of `from` in front of `list`. */
static void list_prepend(struct jd_runnable_list *list, struct jd_runnable_list *from)
{
	if (!from->head)
		return;
	*from->tail = list->head;
	if (!list->head)
		list->tail = from->tail;
	list->head = from->head;
	list_init(from);
}

void jd_main_loop_init(struct jd_main_loop *loop, uint64_t thread)
{
	jd_injector_init(&loop->inbox);
	atomic_init(&loop->word, MAIN_AWAKE);
	atomic_init(&loop->quit, 0);
	loop->thread = thread;
	loop->current = 0;
	loop->frames = NULL;
	list_init(&loop->ready);
}

jd_status jd_main_loop_post(struct jd_main_loop *loop, struct jd_runnable *runnable,
			    jd_session_id session)
{
	runnable->session = session;
	if (jd_injector_push(&loop->inbox, runnable) == JD_INJECTOR_CLOSED)
		return JD_ECLOSED;
	jd_main_loop_kick(loop);
	return JD_OK;
}

void jd_main_loop_kick(struct jd_main_loop *loop)
{
	/* order: (M1) acq_rel - what was posted, to the one who finds NOTIFIED; pairs with (M2),
	 * (M3), (M4). */
	if (atomic_exchange_explicit(&loop->word, MAIN_NOTIFIED, memory_order_acq_rel) ==
	    MAIN_SLEEPING)
		jd_futex_wake_one(&loop->word);
}

bool jd_main_loop_here(const struct jd_main_loop *loop)
{
	return loop->thread && jd_thread_self() == loop->thread;
}

void jd_main_loop_enter(struct jd_main_loop *loop, struct jd_main_frame *frame)
{
	frame->outer = loop->frames;
	frame->session = loop->current;
	list_init(&frame->held);
	loop->frames = frame;
	loop->current = 0;
}

void jd_main_loop_leave(struct jd_main_loop *loop, struct jd_main_frame *frame)
{
	JD_ASSERT(loop->frames == frame);
	loop->frames = frame->outer;
	loop->current = frame->session;
	list_prepend(&loop->ready, &frame->held);
}

static struct jd_main_frame *blocked_by(struct jd_main_loop *loop, jd_session_id session)
{
	struct jd_main_frame *frame = loop->frames;

	while (frame && frame->session != session)
		frame = frame->outer;
	return frame;
}

bool jd_main_loop_run_one(struct jd_main_loop *loop)
{
	for (struct jd_runnable *r = jd_injector_take(&loop->inbox), *next; r; r = next) {
		next = r->next;
		list_append(&loop->ready, r);
	}
	for (struct jd_runnable *r = list_pop(&loop->ready); r; r = list_pop(&loop->ready)) {
		struct jd_main_frame *frame = blocked_by(loop, r->session);

		if (frame) {
			list_append(&frame->held, r);
			continue;
		}
		jd_session_id outer = loop->current;

		loop->current = r->session;
		jd_runnable_run(r, NULL);
		loop->current = outer;
		return true;
	}
	return false;
}

void jd_main_loop_prepare(struct jd_main_loop *loop)
{
	/* order: (M4) acquire - what came with a NOTIFIED that this wipes out; pairs with (M1). */
	atomic_exchange_explicit(&loop->word, MAIN_AWAKE, memory_order_acquire);
}

void jd_main_loop_sleep(struct jd_main_loop *loop, uint64_t deadline_ns)
{
	uint32_t awake = MAIN_AWAKE;

	/* order: (M2) acq_rel - sees what was posted before a NOTIFIED; pairs with (M1). */
	if (!atomic_compare_exchange_strong_explicit(&loop->word, &awake, MAIN_SLEEPING,
						     memory_order_acq_rel, memory_order_acquire))
		return;
	/* order: (M3) acquire - as (M2); pairs with (M1). */
	while (atomic_load_explicit(&loop->word, memory_order_acquire) == MAIN_SLEEPING) {
		if (jd_futex_wait(&loop->word, MAIN_SLEEPING, deadline_ns) == JD_ETIMEDOUT)
			break;
	}
}

struct jd_runnable *jd_main_loop_close(struct jd_main_loop *loop)
{
	for (struct jd_runnable *r = jd_injector_close(&loop->inbox), *next; r; r = next) {
		next = r->next;
		list_append(&loop->ready, r);
	}
	struct jd_runnable *all = loop->ready.head;

	list_init(&loop->ready);
	return all;
}
