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

/* The public word: tail, split, and above them how often frames were published. */
enum {
	INDEX_BITS = 17,
};

#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)
#define ONE_SPLIT (UINT64_C(1) << INDEX_BITS)
#define ONE_TIME (UINT64_C(1) << 2 * INDEX_BITS)

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

static void set_limit(struct jd_fork_stack *stack, jd_fork_slot *limit)
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
	/* order: (F10) acquire - the victim's frames that ended before; pairs with (F2). */
	uint64_t public = atomic_load_explicit(&victim->_public, memory_order_acquire);

	do {
		if (tail_of(public) >= split_of(public)) {
			/* Ask for some; not twice, to leave the owner's line alone. */
			if (atomic_load_explicit(&victim->_claimed, memory_order_relaxed) &&
			    atomic_load_explicit(&victim->_limit, memory_order_relaxed))
				set_limit(victim, NULL);
			return NULL;
		}
		if (below && !is_with(below, victim))
			return NULL;
	}
	/* order: (F1) acquire - the slots and frames that were published; pairs with (F2), (F3). */
	while (!atomic_compare_exchange_weak_explicit(&victim->_public, &public, public + 1,
						      memory_order_acquire, memory_order_acquire));
	struct jd_fork_frame *frame =
		atomic_load_explicit(&victim->_base[tail_of(public)], memory_order_relaxed);

	/* order: (F4) release - we have read the slot, it may be used again; pairs with (F5). */
	atomic_store_explicit(&frame->_state, (uintptr_t)thief, memory_order_release);
	return frame;
}

static void run_stolen(struct jd_fork_frame *frame, struct jd_fork_stack *victim,
		       struct jd_fork_point thief)
{
	frame->_run(frame, thief);
	/* order: (F6) acq_rel - what the frame did; from here on it is gone; pairs with (F5). */
	if (atomic_exchange_explicit(&frame->_state, FRAME_DONE, memory_order_acq_rel) &
	    FRAME_SLEEPER) {
		atomic_store_explicit(&victim->_word, 1, memory_order_relaxed);
		jd_futex_wake_one(&victim->_word);
	}
}

bool jd_fork_host_steal(struct jd_fork_host *self, struct jd_fork_point thief, unsigned start,
			struct jd_fork_stolen *stolen)
{
	unsigned used = atomic_load_explicit(&self->used, memory_order_relaxed);
	/* A serial stack goes away with its region: the owner must not look there for frames. */
	struct jd_fork_stack *name = thief._stack->_host ? thief._stack
							 : &self->stacks[self->count];

	for (unsigned i = 0; i < used; i++) {
		struct jd_fork_stack *victim = &self->stacks[(start + i) % used];

		if (victim == thief._stack)
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
		uint64_t public =
			atomic_load_explicit(&self->stacks[i]._public, memory_order_relaxed);

		if (tail_of(public) < split_of(public))
			return true;
	}
	return false;
}

/* --- The owner -------------------------------------------------------------------------------- */

/* One higher, unless that is past the end: then deeper frames share a slot nobody steals from. */
static jd_fork_slot *next_of(const struct jd_fork_stack *stack, jd_fork_slot *top)
{
	return top == stack->_end ? top : top + 1;
}

/*
 * On the test scheduler: perhaps a thief takes the oldest frame that nobody has begun, and runs it
 * at once. tail counts those it took.
 */
static void choose_thief(struct jd_fork_point fork)
{
	struct jd_fork_stack *stack = fork._stack;
	uint64_t public = atomic_load_explicit(&stack->_public, memory_order_relaxed);
	uint32_t tail = tail_of(public);

	if (fork._top == stack->_end || tail >= (uint32_t)(fork._top - stack->_base) ||
	    !stack->_host->choose(stack->_host, 2))
		return;
	struct jd_fork_frame *frame =
		atomic_load_explicit(&stack->_base[tail], memory_order_relaxed);

	atomic_store_explicit(&stack->_public, with_range(0, tail + 1, 0), memory_order_relaxed);
	frame->_run(frame, fork);
	atomic_store_explicit(&frame->_state, FRAME_DONE, memory_order_relaxed);
}

jd_fork_slot *jd_fork_slow(struct jd_fork_stack *stack, jd_fork_slot *top)
{
	jd_fork_slot *next = next_of(stack, top);
	uint32_t n = (uint32_t)(next - stack->_split);

	if (!stack->_host)
		return next;
	if (stack->_host->choose) {
		choose_thief((struct jd_fork_point){stack, next});
		return next;
	}
	set_limit(stack, stack->_end);
	if (next <= stack->_split)
		return next; /* at the end, all of it public already */
	uint64_t half = (n + 1) / 2, give = half < JD_FORK_GIVE ? half : JD_FORK_GIVE,
		 change = give * ONE_SPLIT + ONE_TIME;
	uint64_t public = atomic_load_explicit(&stack->_public, memory_order_relaxed);

	/* The state is not needed before; so a fork that stays private does not store it. */
	for (jd_fork_slot *slot = stack->_split; slot < stack->_split + give; slot++) {
		struct jd_fork_frame *frame = atomic_load_explicit(slot, memory_order_relaxed);

		atomic_store_explicit(&frame->_state, FRAME_FORKED, memory_order_relaxed);
	}
	/* order: (F2) release - the slots and frames up to the new split; pairs with (F1). */
	while (!atomic_compare_exchange_weak_explicit(&stack->_public, &public, public + change,
						      memory_order_release, memory_order_relaxed))
		;
	stack->_split += give;
	stack->_host->published(stack->_host);
	return next;
}

/* Sleeps until the thief, whom the state names, is done; not for long. */
static void sleep_in_join(struct jd_fork_stack *stack, struct jd_fork_frame *frame, uintptr_t state)
{
	atomic_store_explicit(&stack->_word, 0, memory_order_relaxed);
	/* order: (F7) acq_rel - the word is ready to be set; pairs with (F6). */
	if (atomic_compare_exchange_strong_explicit(&frame->_state, &state, state | FRAME_SLEEPER,
						    memory_order_acq_rel, memory_order_relaxed))
		jd_futex_wait(&stack->_word, 0, jd_clock_now() + JD_JOIN_SLEEP_NS);
}

/* Helps the thief with what it forked, until it is done with ours; sleeps if that takes long. */
static void wait_for_thief(struct jd_fork_stack *stack, jd_fork_slot *top,
			   struct jd_fork_frame *frame)
{
	const struct jd_fork_point inner = {stack, next_of(stack, top)};

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
			/* Perhaps the thief waits for something that our worker has to run. */
			if ((idle - JD_JOIN_SPINS) % JD_JOIN_SLEEPS == JD_JOIN_SLEEPS - 1)
				stack->_host->blocks(stack->_host);
			sleep_in_join(stack, frame, s);
		}
	}
}

bool jd_join_slow(struct jd_fork_stack *stack, jd_fork_slot *top)
{
	uint32_t at = (uint32_t)(top - stack->_base);
	uint64_t public = atomic_load_explicit(&stack->_public, memory_order_relaxed);

	if (stack->_host->choose) {
		if (tail_of(public) <= at)
			return true;
		atomic_store_explicit(&stack->_public, with_range(0, at, 0), memory_order_relaxed);
		return false;
	}
	while (tail_of(public) <= at) {
		uint32_t tail = tail_of(public), split = tail + (at - tail) / 2;

		/* order: (F3) acq_rel - hands on what (F2) released; pairs with (F1). */
		if (!atomic_compare_exchange_weak_explicit(
			    &stack->_public, &public, with_range(public, tail, split),
			    memory_order_acq_rel, memory_order_relaxed))
			continue;
		stack->_split = stack->_base + split;
		return true;
	}
	wait_for_thief(stack, top, atomic_load_explicit(top, memory_order_relaxed));
	/* All from here up is joined and all below stolen: nobody can have a claim on the word. */
	public = atomic_load_explicit(&stack->_public, memory_order_relaxed);
	atomic_store_explicit(&stack->_public, with_range(public, at, at), memory_order_relaxed);
	stack->_split = top;
	set_limit(stack, NULL);
	return false;
}

/* --- Regions ---------------------------------------------------------------------------------- */

/* Claims a stack that nobody uses; NULL when all are in use. */
static struct jd_fork_stack *claim_stack(struct jd_fork_host *host)
{
	unsigned start = (unsigned)(jd_thread_self() % host->count);

	for (unsigned i = 0; i < host->count; i++) {
		unsigned at = (start + i) % host->count;
		struct jd_fork_stack *stack = &host->stacks[at];
		uint32_t no = 0;

		if (atomic_load_explicit(&stack->_claimed, memory_order_relaxed))
			continue;
		/* order: (F8) acquire - what its last user left; pairs with (F9). */
		if (!atomic_compare_exchange_strong_explicit(
			    &stack->_claimed, &no, 1, memory_order_acquire, memory_order_relaxed))
			continue;
		uint32_t used = atomic_load_explicit(&host->used, memory_order_relaxed);

		while (used <= at && !atomic_compare_exchange_weak_explicit(
					     &host->used, &used, at + 1, memory_order_relaxed,
					     memory_order_relaxed))
			;
		return stack;
	}
	return NULL;
}

static void unclaim_stack(struct jd_fork_stack *stack)
{
	/* order: (F9) release - what we left in it; pairs with (F8). */
	atomic_store_explicit(&stack->_claimed, 0, memory_order_release);
}

struct jd_fork_point jd_fork_enter(struct jd_scheduler *scheduler, struct jd_fork_region *region)
{
	return jd_fork_host_enter(scheduler ? scheduler->fork_host : NULL, region);
}

struct jd_fork_point jd_fork_host_enter(struct jd_fork_host *host, struct jd_fork_region *region)
{
	struct jd_fork_stack *stack = host ? claim_stack(host) : NULL;

	if (stack && !stack->_base) {
		stack->_base = jd_memory_alloc(host->allocator,
					       ((size_t)host->slots + 1) * sizeof(jd_fork_slot),
					       alignof(jd_fork_slot));
		stack->_end = stack->_base ? stack->_base + host->slots : NULL;
		stack->_host = host;
		if (!stack->_base) {
			unclaim_stack(stack);
			stack = NULL;
		}
	}
	if (!stack) {
		/* All frames in one slot, the end: every fork is deep, no join is public. */
		stack = &region->_serial;
		stack->_base = stack->_end = &region->_slot;
		stack->_host = NULL;
	}
	/* A choice is made at each fork and each join; so all of them go the slow way. */
	bool choose = stack->_host && stack->_host->choose;

	stack->_split = choose ? stack->_end + 1 : stack->_base;
	set_limit(stack, stack->_host ? NULL : stack->_end);
	region->_stack = stack;
	return (struct jd_fork_point){stack, stack->_base};
}

void jd_fork_leave(struct jd_fork_region *region)
{
	struct jd_fork_stack *stack = region->_stack;

	if (!stack->_host)
		return;
	/* What is public is seen; a private frame that was forgotten is not. */
	bool open =
		stack->_host->choose
			? tail_of(atomic_load_explicit(&stack->_public, memory_order_relaxed)) != 0
			: stack->_split != stack->_base;

	if (open)
		JD_MISUSE("a region is left while a forked frame is not joined");
	unclaim_stack(stack);
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
	/* One more, the name of thieves without a stack of their own: always empty. */
	self->stacks = jd_memory_zalloc(allocator, (size_t)count + 1, sizeof(*self->stacks),
					alignof(struct jd_fork_stack));
	return self->stacks ? JD_OK : JD_ENOMEM;
}

void jd_fork_host_fini(struct jd_fork_host *self)
{
	if (!self->stacks)
		return;
	for (unsigned i = 0; i < self->count; i++)
		jd_memory_free(self->allocator, self->stacks[i]._base,
			       ((size_t)self->slots + 1) * sizeof(jd_fork_slot),
			       alignof(jd_fork_slot));
	jd_memory_free(self->allocator, self->stacks,
		       ((size_t)self->count + 1) * sizeof(*self->stacks),
		       alignof(struct jd_fork_stack));
	self->stacks = NULL;
}
