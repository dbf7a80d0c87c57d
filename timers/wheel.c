/* wheel.c - insert, remove, advance; the rules are in wheel.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "platform/compiler.h"
#include "timers/wheel.h"

enum {
	DIGIT_BITS = 6
};

/* A list by _next alone, with its end at hand. */
struct chain {
	struct jd_timer *head;
	struct jd_timer *tail;
};

static void chain_append(struct chain *to, struct chain more)
{
	if (!more.head)
		return;
	if (to->head)
		to->tail->_next = more.head;
	else
		to->head = more.head;
	to->tail = more.tail;
}

static void chain_push(struct chain *to, struct jd_timer *timer)
{
	timer->_next = NULL;
	chain_append(to, (struct chain){timer, timer});
}

/* --- Sorting: merges the runs that are there, stable --------------------------------------- */

static struct chain merge(struct chain a, struct chain b)
{
	struct chain out = {NULL, NULL};
	struct jd_timer **link = &out.head;

	/* Runs are as long as can be, so b never just continues a; but it may go before it, and
	 * then the timers between are not touched. */
	if (b.tail->_deadline_ns < a.head->_deadline_ns) {
		chain_append(&b, a);
		return b;
	}
	while (a.head && b.head) {
		struct chain *from = b.head->_deadline_ns < a.head->_deadline_ns ? &b : &a;

		*link = from->head;
		link = &from->head->_next;
		from->head = from->head->_next;
	}
	*link = a.head ? a.head : b.head;
	out.tail = a.head ? a.tail : b.tail;
	return out;
}

/* Cuts the longest run in order from the front of *rest. */
static struct chain take_run(struct jd_timer **rest)
{
	struct chain run = {*rest, *rest};

	while (run.tail->_next && run.tail->_deadline_ns <= run.tail->_next->_deadline_ns)
		run.tail = run.tail->_next;
	*rest = run.tail->_next;
	run.tail->_next = NULL;
	return run;
}

/* pending[i] is empty or made of 2^i runs, all of them before those in the bins below it. */
static struct chain sort(struct jd_timer *head)
{
	struct chain pending[64] = {{NULL, NULL}};
	struct chain all = {NULL, NULL};
	unsigned used = 0;

	while (head) {
		struct chain run = take_run(&head);
		unsigned i = 0;

		for (; i < used && pending[i].head; i++) {
			run = merge(pending[i], run);
			pending[i].head = NULL;
		}
		pending[i] = run;
		if (i == used)
			used++;
	}
	for (unsigned i = 0; i < used; i++)
		if (pending[i].head)
			all = all.head ? merge(pending[i], all) : pending[i];
	return all;
}

/* --- Places and slots ------------------------------------------------------------------------ */

static uint32_t place_id(unsigned level, unsigned digit)
{
	return 1 + level * JD_WHEEL_SLOTS + digit;
}

static unsigned digit_of(const struct jd_wheel *wheel, uint64_t ns, unsigned level)
{
	return (unsigned)(ns >> wheel->shift >> (DIGIT_BITS * level)) % JD_WHEEL_SLOTS;
}

/* The highest digit in which two instants differ; 0 if none does. */
static unsigned level_of(const struct jd_wheel *wheel, uint64_t a, uint64_t b)
{
	uint64_t difference = (a ^ b) >> wheel->shift;

	return difference ? (63u - (unsigned)__builtin_clzll(difference)) / DIGIT_BITS : 0;
}

uint32_t jd_wheel_place(const struct jd_wheel *wheel, uint64_t deadline_ns)
{
	uint64_t at = deadline_ns > wheel->now_ns ? deadline_ns : wheel->now_ns;
	unsigned level;

	if (deadline_ns == JD_NEVER)
		return JD_WHEEL_NEVER;
	level = level_of(wheel, at, wheel->now_ns);
	return place_id(level, digit_of(wheel, at, level));
}

static void list_append(struct jd_wheel_slot *slot, struct jd_timer *timer)
{
	timer->_next = NULL;
	timer->_prev = slot->tail;
	if (slot->tail)
		slot->tail->_next = timer;
	else
		slot->head = timer;
	slot->tail = timer;
}

static void list_unlink(struct jd_wheel_slot *slot, struct jd_timer *timer)
{
	if (timer->_prev)
		timer->_prev->_next = timer->_next;
	else
		slot->head = timer->_next;
	if (timer->_next)
		timer->_next->_prev = timer->_prev;
	else
		slot->tail = timer->_prev;
}

static void mark_empty(struct jd_wheel *wheel, unsigned level, unsigned digit)
{
	uint64_t keep = ~(UINT64_C(1) << digit);

	wheel->occupied[level] &= keep;
	wheel->unsorted[level] &= keep;
	wheel->stale[level] &= keep;
	if (!wheel->occupied[level])
		wheel->occupied_levels &= ~(1u << level);
}

/* The timer joins the slot that its place says; bits and minimum follow. */
static void slot_append(struct jd_wheel *wheel, struct jd_timer *timer)
{
	unsigned level = (timer->_slot - 1) / JD_WHEEL_SLOTS;
	unsigned digit = (timer->_slot - 1) % JD_WHEEL_SLOTS;
	struct jd_wheel_slot *slot = &wheel->slot[level][digit];
	uint64_t bit = UINT64_C(1) << digit, ns = timer->_deadline_ns;

	if (!slot->head) {
		wheel->occupied_levels |= 1u << level;
		wheel->occupied[level] |= bit;
		slot->min_ns = ns;
	} else {
		if (ns < slot->tail->_deadline_ns)
			wheel->unsorted[level] |= bit;
		/* Not above a lower bound of all others: it is the minimum, whatever they are. */
		if (ns <= slot->min_ns) {
			slot->min_ns = ns;
			wheel->stale[level] &= ~bit;
		}
	}
	list_append(slot, timer);
}

static void slot_unlink(struct jd_wheel *wheel, struct jd_timer *timer)
{
	unsigned level = (timer->_slot - 1) / JD_WHEEL_SLOTS;
	unsigned digit = (timer->_slot - 1) % JD_WHEEL_SLOTS;
	struct jd_wheel_slot *slot = &wheel->slot[level][digit];
	uint64_t bit = UINT64_C(1) << digit;

	list_unlink(slot, timer);
	if (!slot->head)
		mark_empty(wheel, level, digit);
	else if (!(wheel->unsorted[level] & bit))
		slot->min_ns = slot->head->_deadline_ns;
	else if (timer->_deadline_ns == slot->min_ns)
		wheel->stale[level] |= bit;
}

/* Puts a slot in order and makes its minimum exact. */
static void slot_sort(struct jd_wheel *wheel, unsigned level, unsigned digit)
{
	struct jd_wheel_slot *slot = &wheel->slot[level][digit];
	uint64_t bit = UINT64_C(1) << digit;
	struct jd_timer *prev = NULL;
	struct chain sorted;

	if (!(wheel->unsorted[level] & bit))
		return;
	sorted = sort(slot->head);
	slot->head = sorted.head;
	slot->tail = sorted.tail;
	slot->min_ns = sorted.head->_deadline_ns;
	for (struct jd_timer *t = sorted.head; t; t = t->_next) {
		t->_prev = prev;
		prev = t;
	}
	wheel->unsorted[level] &= ~bit;
	wheel->stale[level] &= ~bit;
}

/* --- Expiring --------------------------------------------------------------------------------- */

/* The whole slot is due: it leaves the wheel in order. */
static void take_slot(struct jd_wheel *wheel, unsigned level, unsigned digit, struct chain *due)
{
	struct jd_wheel_slot *slot = &wheel->slot[level][digit];

	if (wheel->unsorted[level] & UINT64_C(1) << digit)
		chain_append(due, sort(slot->head));
	else
		chain_append(due, (struct chain){slot->head, slot->tail});
	slot->head = slot->tail = NULL;
	mark_empty(wheel, level, digit);
}

static void take_slots(struct jd_wheel *wheel, unsigned level, uint64_t slots, struct chain *due)
{
	for (slots &= wheel->occupied[level]; slots; slots &= slots - 1)
		take_slot(wheel, level, (unsigned)__builtin_ctzll(slots), due);
}

/* The slot of now in level 0: what is due leaves, the rest stays, in order. */
static void split_current(struct jd_wheel *wheel, struct chain *due)
{
	unsigned digit = digit_of(wheel, wheel->now_ns, 0);
	struct jd_wheel_slot *slot = &wheel->slot[0][digit];
	struct jd_timer *last;

	if (!slot->head || slot->min_ns > wheel->now_ns)
		return;
	slot_sort(wheel, 0, digit);
	if (slot->tail->_deadline_ns <= wheel->now_ns) {
		take_slot(wheel, 0, digit, due);
		return;
	}
	if (slot->min_ns > wheel->now_ns)
		return;
	last = slot->head;
	while (last->_next->_deadline_ns <= wheel->now_ns)
		last = last->_next;
	chain_append(due, (struct chain){slot->head, last});
	slot->head = last->_next;
	slot->head->_prev = NULL;
	slot->min_ns = slot->head->_deadline_ns;
	last->_next = NULL;
}

/* The slot of now in a higher level: what is due leaves, the rest moves down. */
static void cascade(struct jd_wheel *wheel, unsigned level, struct chain *due)
{
	unsigned digit = digit_of(wheel, wheel->now_ns, level);
	struct jd_wheel_slot *slot = &wheel->slot[level][digit];
	struct jd_timer *next, *t = slot->head;
	struct chain ready = {NULL, NULL};

	if (!t)
		return;
	slot->head = slot->tail = NULL;
	mark_empty(wheel, level, digit);
	/* In order of insertion, so that equal deadlines stay in it wherever they land. */
	for (; t; t = next) {
		next = t->_next;
		if (t->_deadline_ns <= wheel->now_ns) {
			chain_push(&ready, t);
		} else {
			t->_slot = jd_wheel_place(wheel, t->_deadline_ns);
			slot_append(wheel, t);
		}
	}
	if (ready.head)
		chain_append(due, sort(ready.head));
}

/* Moves to now_ns and appends what is due, in order; the due list is the callers' business. */
static void expire(struct jd_wheel *wheel, uint64_t now_ns, struct chain *due)
{
	uint64_t old_ns = wheel->now_ns;
	unsigned level, top;

	if (now_ns < old_ns)
		now_ns = old_ns;
	wheel->now_ns = now_ns;
	top = level_of(wheel, old_ns, now_ns);
	for (level = 0; level < top; level++)
		take_slots(wheel, level, UINT64_MAX, due);
	take_slots(wheel, top, (UINT64_C(1) << digit_of(wheel, now_ns, top)) - 1, due);
	if (top > 0)
		cascade(wheel, top, due);
	else
		split_current(wheel, due);
}

/* --- The interface ---------------------------------------------------------------------------- */

void jd_wheel_init(struct jd_wheel *wheel, const struct jd_allocator *allocator, uint64_t now_ns,
		   unsigned shift)
{
	JD_ASSERT(shift <= JD_WHEEL_SHIFT_MAX);
	memset(wheel, 0, sizeof(*wheel));
	wheel->allocator = allocator;
	wheel->now_ns = now_ns;
	wheel->shift = shift;
}

void jd_wheel_fini(struct jd_wheel *wheel)
{
	memset(wheel, 0, sizeof(*wheel));
}

jd_status jd_wheel_insert(struct jd_wheel *wheel, struct jd_timer *timer, uint64_t deadline_ns,
			  uint64_t slack_ns)
{
	(void)slack_ns; /* every timer is exact */
	JD_ASSERT(timer->_slot == 0);
	timer->_deadline_ns = deadline_ns;
	timer->_slot = jd_wheel_place(wheel, deadline_ns);
	if (timer->_slot == JD_WHEEL_NEVER)
		list_append(&wheel->never, timer);
	else
		slot_append(wheel, timer);
	wheel->count++;
	return JD_OK;
}

void jd_wheel_remove(struct jd_wheel *wheel, struct jd_timer *timer)
{
	JD_ASSERT(timer->_slot != 0 && timer->_slot <= JD_WHEEL_NEVER && wheel->count > 0);
	if (timer->_slot == JD_WHEEL_DUE)
		list_unlink(&wheel->due, timer);
	else if (timer->_slot == JD_WHEEL_NEVER)
		list_unlink(&wheel->never, timer);
	else
		slot_unlink(wheel, timer);
	timer->_slot = 0;
	wheel->count--;
}

uint64_t jd_wheel_next_deadline(struct jd_wheel *wheel)
{
	uint64_t next_ns = wheel->due.head ? wheel->due.head->_deadline_ns : JD_NEVER;
	unsigned level, digit;

	if (!wheel->occupied_levels)
		return next_ns;
	level = (unsigned)__builtin_ctz(wheel->occupied_levels);
	digit = (unsigned)__builtin_ctzll(wheel->occupied[level]);
	if (wheel->stale[level] & UINT64_C(1) << digit)
		slot_sort(wheel, level, digit);
	if (wheel->slot[level][digit].min_ns < next_ns)
		next_ns = wheel->slot[level][digit].min_ns;
	return next_ns;
}

/* The last step of whoever takes timers out. */
static size_t release_all(struct jd_wheel *wheel, struct jd_timer *head)
{
	size_t n = 0;

	for (struct jd_timer *t = head; t; t = t->_next) {
		t->_slot = 0;
		n++;
	}
	JD_ASSERT(n <= wheel->count);
	wheel->count -= n;
	return n;
}

static struct chain take_list(struct jd_wheel_slot *slot)
{
	struct chain all = {slot->head, slot->tail};

	slot->head = slot->tail = NULL;
	return all;
}

size_t jd_wheel_advance(struct jd_wheel *wheel, uint64_t now_ns, struct jd_timer **expired)
{
	struct chain due = take_list(&wheel->due);

	expire(wheel, now_ns, &due);
	*expired = due.head;
	return release_all(wheel, due.head);
}

struct jd_timer *jd_wheel_pop(struct jd_wheel *wheel, uint64_t now_ns)
{
	struct jd_timer *first;

	if (!wheel->due.head) {
		struct chain due = {NULL, NULL};

		expire(wheel, now_ns, &due);
		for (struct jd_timer *next, *t = due.head; t; t = next) {
			next = t->_next;
			t->_slot = JD_WHEEL_DUE;
			list_append(&wheel->due, t);
		}
	}
	first = wheel->due.head;
	if (first)
		jd_wheel_remove(wheel, first);
	return first;
}

struct jd_timer *jd_wheel_pop_any(struct jd_wheel *wheel)
{
	struct jd_timer *timer = jd_wheel_pop(wheel, UINT64_MAX);

	if (!timer && wheel->never.head) {
		timer = wheel->never.head;
		jd_wheel_remove(wheel, timer);
	}
	return timer;
}

size_t jd_wheel_drain(struct jd_wheel *wheel, struct jd_timer **all)
{
	struct chain out = take_list(&wheel->due);

	for (unsigned level = 0; level < JD_WHEEL_LEVELS; level++) {
		for (uint64_t slots = wheel->occupied[level]; slots; slots &= slots - 1) {
			unsigned digit = (unsigned)__builtin_ctzll(slots);

			chain_append(&out, take_list(&wheel->slot[level][digit]));
			mark_empty(wheel, level, digit);
		}
	}
	chain_append(&out, take_list(&wheel->never));
	*all = out.head;
	return release_all(wheel, out.head);
}

static void each_of(const struct jd_wheel_slot *slot,
		    void (*fn)(void *arg, const struct jd_timer *timer), void *arg)
{
	for (const struct jd_timer *t = slot->head; t; t = t->_next)
		fn(arg, t);
}

void jd_wheel_each(const struct jd_wheel *wheel,
		   void (*fn)(void *arg, const struct jd_timer *timer), void *arg)
{
	each_of(&wheel->due, fn, arg);
	for (unsigned level = 0; level < JD_WHEEL_LEVELS; level++)
		for (uint64_t slots = wheel->occupied[level]; slots; slots &= slots - 1)
			each_of(&wheel->slot[level][__builtin_ctzll(slots)], fn, arg);
	each_of(&wheel->never, fn, arg);
}
