/* timer.c - sleeping, and deadlines for other futures. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/timer.h>

#include "platform/platform.h"
#include "runtime/tuning.h"

/*
 * The state of a sleep: a phase, and two bits. Two parties meet in it: the owner, who polls and
 * drops (one thread at a time), and the timer, whose run or cancel is called once by whatever
 * thread the scheduler likes. The waker slot is written by the owner only.
 *
 *   IDLE --arm--> WAITING <--> STORING        owner: the first poll; a poll with another waker
 *   WAITING -> TAKING -> ENDED                timer: copies the waker, then lets go of the memory
 *   STORING -> ENDED                          timer: the poll in progress will see it by itself
 *
 * TAKING counts as ended for a poll, which touches nothing then. A drop waits for ENDED unless it
 * could cancel the timer: the memory may be freed as soon as it returns. DROPPING tells the timer
 * that the owner may sleep on the word; the timer's last access to the memory is the exchange
 * that sets ENDED (the address it wakes after that need not exist any more).
 */
enum {
	IDLE,
	WAITING,
	STORING,
	TAKING,
	ENDED,
	PHASE = 7,
	CANCELLED = 8,
	DROPPING = 16,
};

static uint32_t phase(uint32_t state)
{
	return state & PHASE;
}

static jd_status outcome(uint32_t state)
{
	return state & CANCELLED ? JD_ECANCELED : JD_OK;
}

/* --- The timer's side ------------------------------------------------------------------------ */

static void sleep_end(struct jd_runnable *runnable, uint32_t how)
{
	struct jd_sleep *self = jd_container_of(runnable, struct jd_sleep, _runnable);
	uint32_t s = atomic_load_explicit(&self->_state, memory_order_relaxed), t;

	do {
		JD_ASSERT(phase(s) == WAITING || phase(s) == STORING);
		t = (s & DROPPING) | how | (phase(s) == STORING ? ENDED : TAKING);
		/*
		 * order: (SL1) acq_rel - acquires the waker slot; releases what came before the
		 * firing to the poll that sees it; pairs with (SL3), (SL4), (SL5).
		 */
	} while (!atomic_compare_exchange_weak_explicit(&self->_state, &s, t, memory_order_acq_rel,
							memory_order_relaxed));
	if (phase(t) == ENDED)
		return;
	struct jd_waker waker = self->_waker;

	/* order: (SL2) acq_rel - we read the slot before it is freed; pairs with (SL6), (SL7). */
	s = atomic_exchange_explicit(&self->_state, ENDED | how, memory_order_acq_rel);
	if (s & DROPPING)
		jd_futex_wake_one(&self->_state);
	jd_waker_wake(&waker);
}

static void sleep_run(struct jd_runnable *runnable, struct jd_worker *worker)
{
	(void)worker;
	sleep_end(runnable, 0);
}

static void sleep_cancel(struct jd_runnable *runnable)
{
	sleep_end(runnable, CANCELLED);
}

/* --- The owner's side ------------------------------------------------------------------------ */

static jd_status sleep_arm(struct jd_sleep *self, struct jd_context *context)
{
	static const struct jd_runnable_ops ops = {.run = sleep_run, .cancel = sleep_cancel};

	if (self->_is_deadline ? jd_now(context->scheduler) >= self->_time_ns : !self->_time_ns)
		return JD_OK;
	self->_scheduler = context->scheduler;
	self->_runnable = (struct jd_runnable)JD_RUNNABLE_INIT(&ops);
	self->_runnable.flags = JD_RUNNABLE_INLINE | JD_RUNNABLE_RESUME;
	self->_waker = jd_waker_clone(context->waker);
	self->_timer._wakes = self->_waker.data;
	/* Nobody else knows this memory yet: schedule_at publishes it. */
	atomic_store_explicit(&self->_state, WAITING, memory_order_relaxed);

	jd_status status = (self->_is_deadline ? jd_schedule_at : jd_schedule_after)(
		self->_scheduler, &self->_timer, &self->_runnable, self->_time_ns);

	if (status == JD_OK)
		return JD_PENDING;
	atomic_store_explicit(&self->_state, IDLE, memory_order_relaxed);
	jd_waker_drop(&self->_waker);
	return status;
}

/* Another waker than last time. The timer may fire meanwhile: then it leaves both to us. */
static jd_status sleep_store(struct jd_sleep *self, const struct jd_waker *waker)
{
	uint32_t s = WAITING;

	/* order: (SL3) acquire - of the firing, when that came first; pairs with (SL1). */
	if (!atomic_compare_exchange_strong_explicit(&self->_state, &s, STORING,
						     memory_order_acquire, memory_order_acquire))
		return outcome(s);
	struct jd_waker old = self->_waker;

	self->_waker = jd_waker_clone(waker);
	s = STORING;
	/* order: (SL4) acq_rel - the slot is written; or acquires the firing; pairs with (SL1). */
	bool stored = atomic_compare_exchange_strong_explicit(
		&self->_state, &s, WAITING, memory_order_acq_rel, memory_order_acquire);

	if (!stored)
		jd_waker_drop(&self->_waker);
	jd_waker_drop(&old);
	return stored ? JD_PENDING : outcome(s);
}

static jd_status sleep_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_sleep *self = jd_container_of(future, struct jd_sleep, base);
	/* order: (SL5) acquire - what came before the firing; pairs with (SL1). */
	uint32_t s = atomic_load_explicit(&self->_state, memory_order_acquire);

	(void)result;
	if (phase(s) == IDLE)
		return sleep_arm(self, context);
	if (phase(s) != WAITING)
		return outcome(s);
	if (jd_waker_same(&self->_waker, context->waker))
		return JD_PENDING;
	return sleep_store(self, context->waker);
}

/* The timer's run or cancel has been entered or is about to be: see cancel_timer. */
static void wait_until_ended(struct jd_sleep *self)
{
	for (int i = 0;; i++) {
		/* order: (SL6) acquire - the timer has let go of the memory; pairs with (SL2). */
		uint32_t s = atomic_load_explicit(&self->_state, memory_order_acquire);

		if (phase(s) == ENDED)
			return;
		if (i < JD_SLEEP_SPINS) {
			jd_cpu_relax();
		} else if (s & DROPPING) {
			jd_futex_wait(&self->_state, s, JD_NEVER);
		} else {
			atomic_fetch_or_explicit(&self->_state, DROPPING, memory_order_relaxed);
		}
	}
}

static void sleep_drop(struct jd_future *future)
{
	struct jd_sleep *self = jd_container_of(future, struct jd_sleep, base);
	/* order: (SL7) acquire - as (SL6); pairs with (SL2). */
	uint32_t s = atomic_load_explicit(&self->_state, memory_order_acquire);

	if (phase(s) == IDLE || phase(s) == ENDED)
		return;
	if (phase(s) == WAITING && jd_cancel_timer(self->_scheduler, &self->_timer) == JD_OK)
		jd_waker_drop(&self->_waker);
	else
		wait_until_ended(self);
}

static void sleep_init(struct jd_sleep *self, uint64_t time_ns, bool is_deadline)
{
	static const struct jd_future_ops ops = {
		.poll = sleep_poll,
		.drop = sleep_drop,
		.size = sizeof(struct jd_sleep),
	};

	*self = (struct jd_sleep){.base = {&ops}, ._time_ns = time_ns, ._is_deadline = is_deadline};
}

void jd_sleep_init(struct jd_sleep *self, uint64_t delay_ns)
{
	sleep_init(self, delay_ns, false);
}

void jd_sleep_init_until(struct jd_sleep *self, uint64_t deadline_ns)
{
	sleep_init(self, deadline_ns, true);
}

void jd_sleep_init_from_now(struct jd_sleep *self, struct jd_scheduler *scheduler,
			    uint64_t delay_ns)
{
	if (delay_ns == 0)
		sleep_init(self, 0, false);
	else
		sleep_init(self, jd_deadline_after(jd_now(scheduler), delay_ns), true);
}

/* --- Deadlines ------------------------------------------------------------------------------- */

static void timeout_release(struct jd_timeout *self)
{
	if (self->_owned)
		jd_future_drop(self->_inner);
	self->_inner = NULL;
}

static jd_status timeout_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_timeout *self = jd_container_of(future, struct jd_timeout, base);
	bool first = !self->_started;
	jd_status inner = JD_PENDING, time;

	(void)result;
	/* The first poll looks before it arms a timer that may not be needed. Later ones look at
	 * the clock first, so that the inner future's last poll comes after the deadline. */
	if (first) {
		self->_started = true;
		inner = jd_future_poll(self->_inner, context, self->_result);
	}
	if (inner == JD_PENDING) {
		time = jd_future_poll(&self->_sleep.base, context, NULL);
		if (!first || time != JD_PENDING)
			inner = jd_future_poll(self->_inner, context, self->_result);
		if (inner == JD_PENDING)
			inner = time == JD_OK ? JD_ETIMEDOUT : time;
	}
	if (inner != JD_PENDING)
		timeout_release(self);
	return inner;
}

static void timeout_drop(struct jd_future *future)
{
	struct jd_timeout *self = jd_container_of(future, struct jd_timeout, base);

	timeout_release(self);
	jd_future_drop(&self->_sleep.base);
}

static jd_status timeout_init(struct jd_timeout *self, struct jd_future *inner, void *result,
			      enum jd_ownership ownership)
{
	static const struct jd_future_ops ops = {
		.poll = timeout_poll,
		.drop = timeout_drop,
		.size = sizeof(struct jd_timeout),
	};

	if (!self || !inner || !inner->ops || (!result && inner->ops->result_size))
		return JD_EINVAL;
	*self = (struct jd_timeout){
		.base = {&ops}, ._inner = inner, ._result = result, ._owned = ownership == JD_OWN};
	return JD_OK;
}

jd_status jd_timeout_init(struct jd_timeout *self, struct jd_future *inner, void *result,
			  uint64_t delay_ns, enum jd_ownership ownership)
{
	jd_status status = timeout_init(self, inner, result, ownership);

	if (status == JD_OK)
		jd_sleep_init(&self->_sleep, delay_ns);
	return status;
}

jd_status jd_timeout_init_until(struct jd_timeout *self, struct jd_future *inner, void *result,
				uint64_t deadline_ns, enum jd_ownership ownership)
{
	jd_status status = timeout_init(self, inner, result, ownership);

	if (status == JD_OK)
		jd_sleep_init_until(&self->_sleep, deadline_ns);
	return status;
}
