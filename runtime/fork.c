/* fork.c - the slow ways of fork and join: publishing, stealing, waiting. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fork_host.h"

#include "runtime/memory.h"
#include "runtime/tuning.h"

enum {
	FRAME_FORKED = 0,
	FRAME_DONE = 1,
	FRAME_SLEEPER = 2, /* added to the address of the thief's stack */
};

/* The public word: tail, split, and above them how often frames were published, which wraps. */
enum {
	INDEX_BITS = 17,
};

#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)
#define ONE_SPLIT (UINT64_C(1) << INDEX_BITS)
#define ONE_TIME (UINT64_C(1) << 2 * INDEX_BITS)
#define WORD_MASK (UINT64_MAX >> (64 - 2 * INDEX_BITS - JD_FORK_COUNT_BITS))

_Static_assert(JD_FORK_SLOTS <= INDEX_MASK, "all indices of a stack fit the public word");

static uint32_t tail_of(uint64_t public)
{
	return (uint32_t)(public & INDEX_MASK);
}

static uint32_t split_of(uint64_t public)
{
	return (uint32_t)(public >> INDEX_BITS & INDEX_MASK);
}

/* The word with another tail and split. */
static uint64_t with_range(uint64_t public, uint32_t tail, uint32_t split)
{
	return (public & ~(ONE_TIME - 1)) | split * ONE_SPLIT | tail;
}

/* Of threads that are in no region: nothing in it changes, every fork takes the slow way. */
static struct jd_fork_stack serial;

__thread struct jd_fork_point jd_fork_thread = {&serial, 0};

struct jd_fork_point *jd_fork_thread_point(void)
{
	return &jd_fork_thread;
}

static jd_fork_slot *slot_of(struct jd_fork_stack *stack, uint64_t index)
{
	jd_fork_slot *slots = stack->_slot;

	return slots + index;
}

static void set_limit(struct jd_fork_stack *stack, uint64_t limit)
{
	atomic_store_explicit(&stack->_limit, limit, memory_order_relaxed);
}

/* --- Stealing --------------------------------------------------------------------------------- */

/* Whether the frame is still being run on that stack. */
static bool is_with(const struct jd_fork_frame *frame, const struct jd_fork_stack *thief)
{
	uintptr_t s = atomic_load_explicit(&frame->_state, memory_order_relaxed);

	return (s & ~(uintptr_t)FRAME_SLEEPER) == (uintptr_t)thief;
}

/*
 * Claims the oldest public frame of the victim. With `below`: only while the victim still runs that
 * frame, so that what is claimed was forked by it. If the word shows something published later, the
 * frame is seen to be done; and if that comes after the look, the word has changed.
 */
static struct jd_fork_frame *claim(struct jd_fork_stack *victim, struct jd_fork_stack *thief,
				   const struct jd_fork_frame *below)
{
	/* order: (F10) acquire - as (F1); and what the victim ended before; pairs with (F2). */
	uint64_t public = atomic_load_explicit(&victim->_public, memory_order_acquire);

	do {
		if (tail_of(public) >= split_of(public)) {
			/* Ask for some; not twice, to leave the owner's line alone. */
			if (atomic_load_explicit(&victim->_claimed, memory_order_relaxed) &&
			    atomic_load_explicit(&victim->_limit, memory_order_relaxed))
				set_limit(victim, 0);
			return NULL;
		}
		/* Only a hint, but it comes while the CAS does. */
		JD_PREFETCH(atomic_load_explicit(slot_of(victim, tail_of(public)),
						 memory_order_relaxed));
		if (below && !is_with(below, victim))
			return NULL;
	}
	/* order: (F1) acquire - the slots and frames that were published; pairs with (F2). */
	while (!atomic_compare_exchange_weak_explicit(&victim->_public, &public, public + 1,
						      memory_order_acquire, memory_order_acquire));
	struct jd_fork_frame *frame =
		atomic_load_explicit(slot_of(victim, tail_of(public)), memory_order_relaxed);

	/* order: (F4) release - we have read the slot, it may be used again; pairs with (F5). */
	atomic_store_explicit(&frame->_state, (uintptr_t)thief, memory_order_release);
	return frame;
}

static void run_stolen(struct jd_fork_frame *frame, struct jd_fork_stack *victim,
		       struct jd_fork_point thief)
{
	struct jd_fork_point outer = jd_fork_thread;

	jd_fork_thread = thief;
	frame->_run(frame, thief);
	jd_fork_thread = outer;
	/* order: (F6) acq_rel - what the frame did; from here on it is gone; pairs with (F5). */
	if (atomic_exchange_explicit(&frame->_state, FRAME_DONE, memory_order_acq_rel) &
	    FRAME_SLEEPER) {
		atomic_store_explicit(&victim->_word, 1, memory_order_relaxed);
		jd_futex_wake_one(&victim->_word);
	}
}

/* NULL: it is being made. */
static struct jd_fork_stack *stack_at(const struct jd_fork_host *host, unsigned i)
{
	/* order: (F12) acquire - the stack as it was made; pairs with (F11). */
	return atomic_load_explicit(&host->stacks[i], memory_order_acquire);
}

bool jd_fork_host_steal(struct jd_fork_host *self, struct jd_fork_point thief, unsigned start,
			struct jd_fork_stolen *stolen)
{
	unsigned used = atomic_load_explicit(&self->used, memory_order_relaxed);
	/* The owner may look there for frames. */
	struct jd_fork_stack *name = thief._stack->_host ? thief._stack : &self->nobody;

	for (unsigned i = 0; i < used; i++) {
		struct jd_fork_stack *victim = stack_at(self, (start + i) % used);

		if (!victim || victim == thief._stack)
			continue;
		stolen->frame = claim(victim, name, NULL);
		stolen->victim = victim;
		if (stolen->frame)
			return true;
	}
	return false;
}

void jd_fork_host_run(const struct jd_fork_stolen *stolen, struct jd_fork_point thief)
{
	run_stolen(stolen->frame, stolen->victim, thief);
}

bool jd_fork_host_has_work(const struct jd_fork_host *self)
{
	unsigned used = atomic_load_explicit(&self->used, memory_order_relaxed);

	for (unsigned i = 0; i < used; i++) {
		struct jd_fork_stack *stack = stack_at(self, i);
		uint64_t public =
			stack ? atomic_load_explicit(&stack->_public, memory_order_relaxed) : 0;

		if (tail_of(public) < split_of(public))
			return true;
	}
	return false;
}

/* --- The owner -------------------------------------------------------------------------------- */

/*
 * On the test scheduler: perhaps a thief takes the oldest frame that nobody has begun, and runs it
 * at once. tail counts those it took.
 */
static void choose_thief(struct jd_fork_point fork)
{
	struct jd_fork_stack *stack = fork._stack;
	uint64_t public = atomic_load_explicit(&stack->_public, memory_order_relaxed);
	uint32_t tail = tail_of(public);

	if (fork._top > stack->_slots || tail >= fork._top ||
	    !stack->_host->choose(stack->_host, 2))
		return;
	struct jd_fork_frame *frame =
		atomic_load_explicit(slot_of(stack, tail), memory_order_relaxed);
	struct jd_fork_point outer = jd_fork_thread;

	atomic_store_explicit(&stack->_public, with_range(0, tail + 1, 0), memory_order_relaxed);
	jd_fork_thread = fork;
	frame->_run(frame, fork);
	jd_fork_thread = outer;
	atomic_store_explicit(&frame->_state, FRAME_DONE, memory_order_relaxed);
}

/* Makes half of the private frames, those below top, public. */
static void publish(struct jd_fork_stack *stack, uint64_t top)
{
	uint64_t half = (top - stack->_split + 1) / 2,
		 give = half < JD_FORK_GIVE ? half : JD_FORK_GIVE,
		 change = give * ONE_SPLIT + ONE_TIME;
	uint64_t public = atomic_load_explicit(&stack->_public, memory_order_relaxed);

	/* The state is not needed before; so a fork that stays private does not store it. */
	for (uint64_t i = stack->_split; i < stack->_split + give; i++) {
		struct jd_fork_frame *frame =
			atomic_load_explicit(slot_of(stack, i), memory_order_relaxed);

		atomic_store_explicit(&frame->_state, FRAME_FORKED, memory_order_relaxed);
	}
	/* order: (F2) release - the slots and frames up to the new split; pairs with (F1). */
	while (!atomic_compare_exchange_weak_explicit(&stack->_public, &public,
						      (public + change) & WORD_MASK,
						      memory_order_release, memory_order_relaxed))
		;
	stack->_split += give;
	stack->_host->published(stack->_host);
}

void jd_fork_slow(struct jd_fork_stack *stack, uint64_t top, struct jd_fork_frame *frame)
{
	if (!stack->_host)
		return;
	if (top < stack->_slots)
		atomic_store_explicit(slot_of(stack, top), frame, memory_order_relaxed);
	if (stack->_host->choose) {
		choose_thief((struct jd_fork_point){stack, top + 1});
		return;
	}
	set_limit(stack, stack->_slots);
	top = top < stack->_slots ? top + 1 : stack->_slots;
	if (top > stack->_split)
		publish(stack, top);
}

/* Sleeps until the thief, whom the state names, is done; not for long. */
static void sleep_in_join(struct jd_fork_stack *stack, struct jd_fork_frame *frame, uintptr_t state,
			  uint64_t ns)
{
	atomic_store_explicit(&stack->_word, 0, memory_order_relaxed);
	/* order: (F7) acq_rel - the word is ready to be set; pairs with (F6). */
	if (atomic_compare_exchange_strong_explicit(&frame->_state, &state, state | FRAME_SLEEPER,
						    memory_order_acq_rel, memory_order_relaxed))
		jd_futex_wait(&stack->_word, 0, jd_clock_now() + ns);
}

/* Helps the thief with what it forked, until it is done with ours; sleeps if that takes long. */
static void wait_for_thief(struct jd_fork_stack *stack, uint64_t top, struct jd_fork_frame *frame)
{
	const struct jd_fork_point inner = {stack, top + 1};

	for (int idle = 0;; idle++) {
		/* order: (F5) acquire - what the frame did, once done; pairs with (F4), (F6). */
		uintptr_t s = atomic_load_explicit(&frame->_state, memory_order_acquire);

		if (s == FRAME_DONE)
			return;
		struct jd_fork_stack *thief =
			(struct jd_fork_stack *)(s & ~(uintptr_t)FRAME_SLEEPER);
		struct jd_fork_frame *sub = thief ? claim(thief, stack, frame) : NULL;

		if (sub) {
			run_stolen(sub, thief, inner);
			idle = 0;
		} else if (!thief || idle < JD_JOIN_SPINS) {
			jd_cpu_relax();
		} else {
			int sleeps = idle - JD_JOIN_SPINS, longer = sleeps / JD_JOIN_SLEEPS;

			/* Perhaps the thief waits for something that our worker has to run. */
			if (sleeps % JD_JOIN_SLEEPS == JD_JOIN_SLEEPS - 1)
				stack->_host->blocks(stack->_host);
			if (longer > JD_JOIN_DOUBLINGS)
				longer = JD_JOIN_DOUBLINGS;
			sleep_in_join(stack, frame, s, JD_JOIN_SLEEP_NS << longer);
		}
	}
}

bool jd_join_slow(struct jd_fork_stack *stack, uint64_t top)
{
	uint32_t at = (uint32_t)top;
	uint64_t public = atomic_load_explicit(&stack->_public, memory_order_relaxed);

	if (stack->_host->choose) {
		if (tail_of(public) <= top)
			return true;
		atomic_store_explicit(&stack->_public, with_range(0, at, 0), memory_order_relaxed);
		return false;
	}
	while (tail_of(public) <= at) {
		uint32_t tail = tail_of(public), split = tail + (at - tail) / 2;

		/* A read-modify-write: who claims what is left still sees what (F2) released. */
		if (!atomic_compare_exchange_weak_explicit(
			    &stack->_public, &public, with_range(public, tail, split),
			    memory_order_relaxed, memory_order_relaxed))
			continue;
		stack->_split = split;
		return true;
	}
	wait_for_thief(stack, top, atomic_load_explicit(slot_of(stack, top), memory_order_relaxed));
	/* All from here up is joined and all below stolen: nobody can have a claim on the word. */
	public = atomic_load_explicit(&stack->_public, memory_order_relaxed);
	atomic_store_explicit(&stack->_public, with_range(public, at, at), memory_order_relaxed);
	stack->_split = top;
	set_limit(stack, 0);
	return false;
}

/* --- Regions ---------------------------------------------------------------------------------- */

/* Claims the stack if nobody uses it. */
static bool try_claim(struct jd_fork_stack *stack)
{
	uint32_t no = 0;

	/* order: (F8) acquire - what its last user left; pairs with (F9). */
	return !atomic_load_explicit(&stack->_claimed, memory_order_relaxed) &&
	       atomic_compare_exchange_strong_explicit(&stack->_claimed, &no, 1,
						       memory_order_acquire, memory_order_relaxed);
}

static void unclaim(struct jd_fork_stack *stack)
{
	/* order: (F9) release - what we left in it; pairs with (F8). */
	atomic_store_explicit(&stack->_claimed, 0, memory_order_release);
}

static size_t stack_size(const struct jd_fork_host *host)
{
	return sizeof(struct jd_fork_stack) + host->slots * sizeof(jd_fork_slot);
}

/* Makes another one, claimed; NULL when there are as many as may be, or no memory. */
static struct jd_fork_stack *add_stack(struct jd_fork_host *host)
{
	unsigned used = atomic_load_explicit(&host->used, memory_order_relaxed);

	if (used >= host->count)
		return NULL;
	struct jd_fork_stack *stack =
		jd_memory_alloc(host->allocator, stack_size(host), alignof(struct jd_fork_stack));

	if (!stack)
		return NULL;
	/* Not all of it: slots take no memory until they are used. */
	stack->_slots = host->slots;
	stack->_host = host;
	atomic_init(&stack->_limit, 0);
	atomic_init(&stack->_public, 0);
	atomic_init(&stack->_word, 0);
	atomic_init(&stack->_claimed, 1);
	for (; used < host->count; used++) {
		struct jd_fork_stack *none = NULL;

		/* order: (F11) release - the stack as it was made; pairs with (F12). */
		if (!atomic_compare_exchange_strong_explicit(&host->stacks[used], &none, stack,
							     memory_order_release,
							     memory_order_relaxed))
			continue;
		/* Others may have added theirs before us, or behind us. */
		uint32_t old = used;

		while (old <= used && !atomic_compare_exchange_weak_explicit(
					      &host->used, &old, used + 1, memory_order_relaxed,
					      memory_order_relaxed))
			;
		return stack;
	}
	jd_memory_free(host->allocator, stack, stack_size(host), alignof(struct jd_fork_stack));
	return NULL;
}

static struct jd_fork_stack *claim_stack(struct jd_fork_host *host)
{
	unsigned used = atomic_load_explicit(&host->used, memory_order_relaxed);
	unsigned start = used ? (unsigned)(jd_thread_self() % used) : 0;

	for (unsigned i = 0; i < used; i++) {
		unsigned at = start + i < used ? start + i : start + i - used;
		struct jd_fork_stack *stack = stack_at(host, at);

		if (stack && try_claim(stack))
			return stack;
	}
	return add_stack(host);
}

struct jd_fork_point jd_fork_enter(struct jd_scheduler *scheduler, struct jd_fork_region *region)
{
	return jd_fork_host_enter(scheduler ? scheduler->fork_host : NULL, region);
}

struct jd_fork_point jd_fork_host_enter(struct jd_fork_host *host, struct jd_fork_region *region)
{
	struct jd_fork_stack *stack = host ? claim_stack(host) : NULL;

	if (stack) {
		/* A choice is made at each fork and each join; so all take the slow way. */
		stack->_split = host->choose ? UINT64_MAX : 0;
		set_limit(stack, 0);
	} else {
		stack = &serial;
	}
	region->_stack = stack;
	region->_outer = jd_fork_thread;
	jd_fork_thread = (struct jd_fork_point){stack, 0};
	return jd_fork_thread;
}

void jd_fork_leave(struct jd_fork_region *region)
{
	struct jd_fork_stack *stack = region->_stack;

	if (jd_fork_thread._stack != stack)
		JD_MISUSE("a region is left by another thread, or before one inside it");
	/* What is public is seen; a private frame that was forgotten is not. */
	bool open = jd_fork_thread._top != 0;

	jd_fork_thread = region->_outer;
	if (stack->_host) {
		open |= stack->_host->choose ? tail_of(atomic_load_explicit(
						       &stack->_public, memory_order_relaxed)) != 0
					     : stack->_split != 0;
		unclaim(stack);
	}
	if (open)
		JD_MISUSE("a region is left while a forked frame is not joined");
}

/* --- The host --------------------------------------------------------------------------------- */

static void nobody(struct jd_fork_host *self)
{
	(void)self;
}

jd_status jd_fork_host_init(struct jd_fork_host *self, const struct jd_allocator *allocator,
			    unsigned count, unsigned slots,
			    void (*published)(struct jd_fork_host *self))
{
	*self = (struct jd_fork_host){
		.allocator = allocator,
		.count = count,
		.slots = slots,
		.published = published ? published : nobody,
		.blocks = nobody,
	};
	JD_ASSERT(slots <= INDEX_MASK);
	self->stacks = jd_memory_zalloc(allocator, count, sizeof(*self->stacks),
					alignof(struct jd_fork_stack *));
	return self->stacks ? JD_OK : JD_ENOMEM;
}

void jd_fork_host_fini(struct jd_fork_host *self)
{
	if (!self->stacks)
		return;
	for (unsigned i = 0; i < self->count; i++)
		jd_memory_free(self->allocator, stack_at(self, i), stack_size(self),
			       alignof(struct jd_fork_stack));
	jd_memory_free(self->allocator, self->stacks, self->count * sizeof(*self->stacks),
		       alignof(struct jd_fork_stack *));
	self->stacks = NULL;
}
