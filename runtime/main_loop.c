/* main_loop.c - foreground work on the main thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/main_loop.h"

enum {
	MAIN_AWAKE,
	MAIN_SLEEPING, /* on the word */
	MAIN_POLLED,   /* somewhere in the host's loop: set the event */
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
	loop->polled = false;
}

void jd_main_loop_fini(struct jd_main_loop *loop)
{
	if (loop->polled)
		jd_pollable_fini(&loop->event);
	loop->polled = false;
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
	 * (M3), (M4), (M5). */
	uint32_t old = atomic_exchange_explicit(&loop->word, MAIN_NOTIFIED, memory_order_acq_rel);

	if (old == MAIN_SLEEPING)
		jd_futex_wake_one(&loop->word);
	else if (old == MAIN_POLLED)
		jd_pollable_set(&loop->event);
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

jd_status jd_main_loop_poll_with(struct jd_main_loop *loop, int *fd)
{
	if (!loop->polled) {
		jd_status status = jd_pollable_init(&loop->event);

		if (status != JD_OK)
			return status;
		loop->polled = true;
	}
	*fd = jd_pollable_fd(&loop->event);
	return JD_OK;
}

void jd_main_loop_disarm(struct jd_main_loop *loop)
{
	if (!loop->polled)
		return;
	jd_main_loop_prepare(loop);
	jd_pollable_clear(&loop->event);
}

void jd_main_loop_arm(struct jd_main_loop *loop)
{
	uint32_t awake = MAIN_AWAKE;

	if (!loop->polled)
		return;
	jd_main_loop_prepare(loop);
	/* order: (M5) acq_rel - the event is there for who finds POLLED; pairs with (M1). */
	if (loop->ready.head || !jd_injector_empty(&loop->inbox) ||
	    !atomic_compare_exchange_strong_explicit(&loop->word, &awake, MAIN_POLLED,
						     memory_order_acq_rel, memory_order_relaxed))
		jd_pollable_set(&loop->event);
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
