/* main_loop.c - foreground work on the main thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/main_loop.h"

#include "runtime/exec_frame.h"
#include "runtime/runnable.h"

#include "runtime/parker.h"

enum {
	MAIN_AWAKE,
	MAIN_SLEEPING, /* on the word */
	MAIN_POLLED,   /* somewhere in the host's loop: set the event */
	MAIN_NOTIFIED,
};

/* One waiting call on the main thread, in its stack frame. M: main thread. */
struct jd_main_frame {
	struct jd_main_frame *outer;  /* M */
	jd_session_id session;        /* M: blocked while the call waits; 0 none */
	struct jd_runnable_list held; /* M: of that session */
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

jd_status jd_main_loop_post(struct jd_main_loop *loop, struct jd_runnable *runnable,
			    jd_session_id session)
{
	runnable->session = session;
	jd_runnable_mark(runnable);
	if (jd_injector_push(&loop->inbox, runnable) == JD_INJECTOR_CLOSED) {
		jd_runnable_unmark(runnable);
		return JD_ECLOSED;
	}
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

bool jd_main_loop_busy(const struct jd_main_loop *loop)
{
	return jd_main_loop_here(loop) && (loop->current || loop->frames);
}

/* --- Running: the main thread ----------------------------------------------------------------- */

static struct jd_main_frame *blocked_by(struct jd_main_loop *loop, jd_session_id session)
{
	struct jd_main_frame *frame = loop->frames;

	while (frame && frame->session != session)
		frame = frame->outer;
	return frame;
}

/* Runs one runnable of a session that is not blocked; false when there is none. */
static bool run_one(struct jd_main_loop *loop)
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
		struct jd_exec_frame barrier;

		loop->current = r->session;
		jd_runnable_unmark(r);
		jd_exec_frame_push_barrier(&barrier);
		jd_runnable_run(r, NULL);
		jd_exec_frame_pop(&barrier);
		loop->current = outer;
		return true;
	}
	return false;
}

/* --- Waiting: the main thread ----------------------------------------------------------------- */

static void prepare(struct jd_main_loop *loop)
{
	/* order: (M4) acquire - what came with a NOTIFIED that this wipes out; pairs with (M1). */
	atomic_exchange_explicit(&loop->word, MAIN_AWAKE, memory_order_acquire);
}

/*
 * Sleeps until a post, a kick, or the deadline, unless there was one since prepare. Between the two
 * the caller looks at whatever else could end its wait.
 */
static void sleep_until(struct jd_main_loop *loop, uint64_t deadline_ns)
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

/* Takes the waiting back from the host. */
static void disarm(struct jd_main_loop *loop)
{
	if (!loop->polled)
		return;
	prepare(loop);
	jd_pollable_clear(&loop->event);
}

/* The main thread goes back to its host. */
static void arm(struct jd_main_loop *loop)
{
	uint32_t awake = MAIN_AWAKE;

	if (!loop->polled)
		return;
	prepare(loop);
	/* order: (M5) acq_rel - the event is there for who finds POLLED; pairs with (M1). */
	if (loop->ready.head || !jd_injector_empty(&loop->inbox) ||
	    !atomic_compare_exchange_strong_explicit(&loop->word, &awake, MAIN_POLLED,
						     memory_order_acq_rel, memory_order_relaxed))
		jd_pollable_set(&loop->event);
}

static void enter(struct jd_main_loop *loop, struct jd_main_frame *frame)
{
	frame->outer = loop->frames;
	frame->session = loop->current;
	list_init(&frame->held);
	loop->frames = frame;
	loop->current = 0;
}

/* On every way out of a wait. */
static void leave(struct jd_main_loop *loop, struct jd_main_frame *frame)
{
	JD_ASSERT(loop->frames == frame);
	loop->frames = frame->outer;
	loop->current = frame->session;
	list_prepend(&loop->ready, &frame->held);
	if (!loop->frames && !loop->current)
		arm(loop);
}

jd_status jd_main_loop_park(struct jd_main_loop *loop, struct jd_parker *parker,
			    uint64_t deadline_ns)
{
	struct jd_main_frame frame;
	jd_status status;

	enter(loop, &frame);
	for (;;) {
		prepare(loop);
		status = JD_OK;
		if (jd_parker_try(parker))
			break;
		status = JD_ETIMEDOUT;
		if (deadline_ns != JD_NEVER && jd_clock_now() >= deadline_ns)
			break;
		if (run_one(loop))
			continue;
		status = JD_OK;
		if (!jd_parker_enter(parker))
			break;
		sleep_until(loop, deadline_ns);
		if (jd_parker_leave(parker))
			break;
	}
	leave(loop, &frame);
	return status;
}

/* --- For programs ----------------------------------------------------------------------------- */

/* The loop, if foreground work may be run by this thread at this moment. */
static jd_status loop_of(struct jd_scheduler *scheduler, struct jd_main_loop **loop)
{
	if (!scheduler)
		return JD_EINVAL;
	*loop = scheduler->main_loop;
	if (!*loop)
		return JD_ENOTSUP;
	if (!jd_main_loop_here(*loop))
		return JD_EPERM;
	return jd_main_loop_busy(*loop) ? JD_EDEADLK : JD_OK;
}

jd_status jd_main_loop_run(struct jd_scheduler *scheduler)
{
	struct jd_main_loop *loop;
	jd_status status = loop_of(scheduler, &loop);

	if (status != JD_OK)
		return status;
	for (;;) {
		prepare(loop);
		/* order: (M6) acquire - what led to the quit; pairs with (M7). */
		if (atomic_exchange_explicit(&loop->quit, 0, memory_order_acquire))
			break;
		if (!run_one(loop))
			sleep_until(loop, JD_NEVER);
	}
	arm(loop);
	return JD_OK;
}

jd_status jd_main_loop_dispatch(struct jd_scheduler *scheduler, uint64_t budget_ns)
{
	struct jd_main_loop *loop;
	jd_status status = loop_of(scheduler, &loop);

	if (status != JD_OK)
		return status;
	uint64_t deadline = jd_deadline_after(jd_clock_now(), budget_ns);

	disarm(loop);
	while (run_one(loop) && jd_clock_now() < deadline)
		;
	arm(loop);
	return JD_OK;
}

/* What the host waits on from now on. fd: it expects a descriptor. */
static jd_status serve_host(struct jd_scheduler *scheduler, bool fd, intptr_t *native)
{
	struct jd_main_loop *loop;
	jd_status status = loop_of(scheduler, &loop);

	if (status == JD_OK && fd != jd_pollable_is_fd())
		status = JD_ENOTSUP;
	if (status == JD_OK && !loop->polled)
		status = jd_pollable_init(&loop->event);
	if (status != JD_OK)
		return status;
	loop->polled = true;
	*native = jd_pollable_native(&loop->event);
	arm(loop);
	return JD_OK;
}

jd_status jd_main_loop_fd(struct jd_scheduler *scheduler, int *fd)
{
	intptr_t native;
	jd_status status = fd ? serve_host(scheduler, true, &native) : JD_EINVAL;

	if (status == JD_OK)
		*fd = (int)native;
	return status;
}

jd_status jd_main_loop_handle(struct jd_scheduler *scheduler, void **handle)
{
	intptr_t native;
	jd_status status = handle ? serve_host(scheduler, false, &native) : JD_EINVAL;

	if (status == JD_OK)
		*handle = (void *)native;
	return status;
}

jd_status jd_main_loop_quit(struct jd_scheduler *scheduler)
{
	if (!scheduler)
		return JD_EINVAL;
	if (!scheduler->main_loop)
		return JD_ENOTSUP;
	/* order: (M7) release - what led to the quit; pairs with (M6). */
	atomic_store_explicit(&scheduler->main_loop->quit, 1, memory_order_release);
	jd_main_loop_kick(scheduler->main_loop);
	return JD_OK;
}

/* --- The end ---------------------------------------------------------------------------------- */

struct jd_runnable *jd_main_loop_close(struct jd_main_loop *loop)
{
	for (struct jd_runnable *r = jd_injector_close(&loop->inbox), *next; r; r = next) {
		next = r->next;
		list_append(&loop->ready, r);
	}
	struct jd_runnable *all = loop->ready.head;

	list_init(&loop->ready);
	return jd_runnable_unmark_list(all);
}

void jd_main_loop_fini(struct jd_main_loop *loop)
{
	if (loop->polled)
		jd_pollable_fini(&loop->event);
	loop->polled = false;
}
