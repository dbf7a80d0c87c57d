/* timer_driver.c - arming, cancelling and firing the timers of one worker. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/timer_driver.h"

#include <string.h>

#include "platform/platform.h"

void jd_timer_driver_init(struct jd_timer_driver *driver, const struct jd_allocator *allocator,
			  uint64_t now_ns)
{
	atomic_init(&driver->tail, 0);
	atomic_init(&driver->head, 0);
	driver->head_seen = 0;
	atomic_init(&driver->now_seen, now_ns);
	atomic_init(&driver->ring_next, JD_NEVER);
	atomic_init(&driver->inbox_next, JD_NEVER);
	atomic_init(&driver->wheel_next, JD_NEVER);
	atomic_init(&driver->inbox, NULL);
	atomic_init(&driver->unlinks, NULL);
	atomic_init(&driver->token, 0);
	atomic_init(&driver->dead_count, 0);
	driver->homeless = NULL;
	driver->freed[0] = driver->freed[1] = NULL;
	driver->closed = false;
	jd_timer_cells_init(&driver->own, allocator, false);
	jd_timer_cells_init(&driver->foreign, allocator, true);
	jd_wheel_init(&driver->wheel, allocator, now_ns, JD_TIMER_WHEEL_SHIFT);
}

void jd_timer_driver_fini(struct jd_timer_driver *driver)
{
	jd_timer_cells_fini(&driver->own);
	jd_timer_cells_fini(&driver->foreign);
	jd_wheel_fini(&driver->wheel);
}

static bool take_token(struct jd_timer_driver *driver, bool owner)
{
	if (!jd_timer_driver_take(driver))
		return false;
	driver->held_by_owner = owner;
	return true;
}

/* --- Winning --------------------------------------------------------------------------------- */

/* For fire and close: the runnable of the timer, which is the caller's to enter; NULL: lost. */
static struct jd_runnable *claim(struct jd_timer_cell *cell)
{
	void *armed = atomic_load_explicit(&cell->node._cell, memory_order_relaxed);
	struct jd_timer *timer = armed;

	/* Relaxed: the cell came in through the ring or the inbox, and the timer with it. */
	if (!armed ||
	    !atomic_compare_exchange_strong_explicit(&cell->node._cell, &armed, NULL,
						     memory_order_relaxed, memory_order_relaxed))
		return NULL;
	atomic_store_explicit(&timer->_cell, NULL, memory_order_relaxed);
	return cell->node._runnable;
}

/* For the user's side. The timer is the caller's again. */
static bool win_back(struct jd_timer_cell *cell, struct jd_timer *timer)
{
	void *armed = timer;

	/* Relaxed: the cell was found in the timer, and its claim was written before that. */
	if (!atomic_compare_exchange_strong_explicit(&cell->node._cell, &armed, NULL,
						     memory_order_relaxed, memory_order_relaxed))
		return false;
	atomic_store_explicit(&timer->_cell, NULL, memory_order_relaxed);
	return true;
}

/* --- When ------------------------------------------------------------------------------------ */

static unsigned log2_of(uint64_t n)
{
	return 63u - (unsigned)__builtin_clzll(n | 1);
}

/* An eighth of the time to go, at most JD_TIMER_SLACK_BITS, unless the timer says otherwise; a
 * timer that may be late by _slack_ns - 1 is late by less than a power of two up to _slack_ns. */
static uint8_t slack_of(const struct jd_timer *timer, uint64_t delay_ns)
{
	unsigned bits = timer->_slack_ns ? log2_of(timer->_slack_ns) : log2_of(delay_ns / 8);

	if (!timer->_slack_ns && bits > JD_TIMER_SLACK_BITS)
		bits = JD_TIMER_SLACK_BITS;
	return (uint8_t)bits;
}

static inline struct jd_timer_when when_of(struct jd_timer_driver *driver,
					   const struct jd_timer *timer, uint64_t time_ns,
					   bool relative, bool patient)
{
	uint64_t now = atomic_load_explicit(&driver->now_seen, memory_order_relaxed);
	uint64_t delay = relative ? time_ns : time_ns > now ? time_ns - now : 0;
	struct jd_timer_when when = {.time_ns = time_ns, .slack_bits = slack_of(timer, delay)};

	when.relative = relative && patient && when.slack_bits >= JD_TIMER_PATIENT_BITS;
	if (relative && !when.relative) {
		now = jd_clock_now();
		when.time_ns = jd_deadline_after(now, delay);
	}
	when.about_ns = jd_timer_rounded(
		when.relative ? jd_deadline_after(now, delay) : when.time_ns, when.slack_bits);
	return when;
}

struct jd_timer_when jd_timer_when(struct jd_timer_driver *driver, const struct jd_timer *timer,
				   uint64_t time_ns, bool relative, bool patient)
{
	return when_of(driver, timer, time_ns, relative, patient);
}

/* --- The ways in ----------------------------------------------------------------------------- */

static bool settle(struct jd_timer_driver *driver, bool owner);
static uint64_t take_in(struct jd_timer_driver *driver, uint64_t now_ns);
static void leave(struct jd_timer_driver *driver);
static void enter(struct jd_timer_driver *driver, struct jd_timer_cell *cell, uint64_t now_ns);
static void lower_wheel_next(struct jd_timer_driver *driver, uint64_t next);
static void give_back(struct jd_timer_driver *driver);

/* Whether the ring has room, made if need be. */
static bool ring_has_room(struct jd_timer_driver *driver)
{
	uint32_t tail = atomic_load_explicit(&driver->tail, memory_order_relaxed);

	if (JD_LIKELY(tail - driver->head_seen < JD_TIMER_RING))
		return true;
	/* order: (TD15) acquire - the holder has read the slots; pairs with (TD16). */
	driver->head_seen = atomic_load_explicit(&driver->head, memory_order_acquire);
	if (tail - driver->head_seen < JD_TIMER_RING)
		return true;
	if (!settle(driver, true))
		return false;
	driver->head_seen = tail;
	return true;
}

static void ring_push(struct jd_timer_driver *driver, struct jd_timer_cell *cell)
{
	uint32_t tail = atomic_load_explicit(&driver->tail, memory_order_relaxed);

	driver->ring[tail % JD_TIMER_RING] = cell;
	/* order: (TD2) release - the slot, the cell, ring_next; pairs with (TD1), (TD11). */
	atomic_store_explicit(&driver->tail, tail + 1, memory_order_release);
}

/* What stands in the inbox when it is closed: the address of no cell. */
static struct jd_timer *inbox_closed(struct jd_timer_driver *driver)
{
	return (struct jd_timer *)(void *)driver;
}

static bool inbox_push(struct jd_timer_driver *driver, struct jd_timer *cell, uint64_t about)
{
	struct jd_timer *first = atomic_load_explicit(&driver->inbox, memory_order_relaxed);

	do {
		if (first == inbox_closed(driver)) {
			/* order: (TD21) acquire - the cells of the dead; pairs with (TD18). */
			(void)atomic_load_explicit(&driver->inbox, memory_order_acquire);
			return false;
		}
		cell->_next = first;
		/*
		 * order: (TD7) acq_rel - the cell; and our number comes after the holder's reset if
		 * we come after its taking; pairs with (TD8).
		 */
	} while (!atomic_compare_exchange_weak_explicit(
		&driver->inbox, &first, cell, memory_order_acq_rel, memory_order_relaxed));
	uint64_t next = atomic_load_explicit(&driver->inbox_next, memory_order_relaxed);

	while (about < next &&
	       !atomic_compare_exchange_weak_explicit(&driver->inbox_next, &next, about,
						      memory_order_relaxed, memory_order_relaxed))
		;
	return true;
}

static void unlinks_push(struct jd_timer_driver *home, struct jd_timer *cell)
{
	struct jd_timer *first = atomic_load_explicit(&home->unlinks, memory_order_relaxed);

	do {
		atomic_store_explicit(&cell->_owner, first, memory_order_relaxed);
		/* order: (TD17) release - the claim was won, after the arming; pairs with (TD6). */
	} while (!atomic_compare_exchange_weak_explicit(
		&home->unlinks, &first, cell, memory_order_release, memory_order_relaxed));
}

static jd_status arm_foreign(struct jd_timer_driver *driver, struct jd_timer *timer,
			     struct jd_timer_cell *cell, uint64_t about)
{
	if (JD_LIKELY(inbox_push(driver, &cell->node, about)))
		return JD_OK;
	/* A cancel may have won already: it was armed then, and that was that. */
	if (!win_back(cell, timer))
		return JD_OK;
	jd_timer_cells_give(cell->foreign ? &driver->foreign : &driver->own, cell);
	return JD_ECLOSED;
}

/* The owner has put something into the ring that nobody has taken in yet. */
static bool ring_in_use(const struct jd_timer_driver *driver)
{
	return atomic_load_explicit(&driver->tail, memory_order_relaxed) !=
	       atomic_load_explicit(&driver->head, memory_order_relaxed);
}

static void arm_own(struct jd_timer_driver *driver, struct jd_timer_cell *cell, uint64_t about)
{
	if (!ring_in_use(driver) ||
	    about < atomic_load_explicit(&driver->ring_next, memory_order_relaxed))
		atomic_store_explicit(&driver->ring_next, about, memory_order_relaxed);
	ring_push(driver, cell);
}

/* Before a pool takes memory, cells that wait to be unlinked are made free. */
static inline struct jd_timer_cell *take_cell(struct jd_timer_driver *driver, bool owner)
{
	struct jd_timer_cells *cells = owner ? &driver->own : &driver->foreign;

	if (JD_UNLIKELY(jd_timer_cells_dry(cells)) &&
	    atomic_load_explicit(&driver->unlinks, memory_order_relaxed))
		(void)settle(driver, owner);
	return owner ? jd_timer_cells_take_own(cells) : jd_timer_cells_take(cells);
}

/*
 * By a thread that is not the owner: into the wheel at once, while its cell is in the cache. A
 * million of them in the inbox would be as many misses, one after the other. False: somebody has
 * the token.
 */
static bool arm_held(struct jd_timer_driver *driver, struct jd_timer_cell *cell, uint64_t about)
{
	if (!take_token(driver, false))
		return false;
	enter(driver, cell, 0);
	lower_wheel_next(driver, about);
	give_back(driver);
	jd_timer_driver_release(driver);
	return true;
}

static inline jd_status arm(struct jd_timer_driver *driver, bool owner, struct jd_timer *timer,
			    struct jd_runnable *runnable, const struct jd_timer_when *when)
{
	if (atomic_load_explicit(&timer->_cell, memory_order_relaxed))
		return JD_EBUSY;
	struct jd_timer_cell *cell = take_cell(driver, owner);

	if (!cell)
		return JD_ENOMEM;

	cell->node._deadline_ns = when->time_ns;
	cell->node._runnable = runnable;
	atomic_store_explicit(&cell->node._owner, timer->_wakes, memory_order_relaxed);
	cell->slack_bits = when->slack_bits;
	cell->relative = when->relative;
	atomic_store_explicit(&cell->node._cell, timer, memory_order_relaxed);
	/* order: (TD14) release - _cell was reset before, by who fired it; pairs with (TD3). */
	atomic_store_explicit(&timer->_owner, driver, memory_order_release);
	/* order: (TD19) release - cell, claim, _owner; pairs with (TD4), (TD20), (TD22). */
	atomic_store_explicit(&timer->_cell, cell, memory_order_release);
	if (JD_LIKELY(owner) && ring_has_room(driver))
		arm_own(driver, cell, when->about_ns);
	else if (owner || !arm_held(driver, cell, when->about_ns))
		return arm_foreign(driver, timer, cell, when->about_ns);
	return JD_OK;
}

jd_status jd_timer_driver_arm(struct jd_timer_driver *driver, bool owner, struct jd_timer *timer,
			      struct jd_runnable *runnable, const struct jd_timer_when *when)
{
	return arm(driver, owner, timer, runnable, when);
}

jd_status jd_timer_driver_arm_at(struct jd_timer_driver *driver, bool owner, struct jd_timer *timer,
				 struct jd_runnable *runnable, uint64_t time_ns, bool relative,
				 bool patient)
{
	struct jd_timer_when when = when_of(driver, timer, time_ns, relative, patient);

	return arm(driver, owner, timer, runnable, &when);
}

jd_status jd_timer_cancel_by_claim(struct jd_timer *timer)
{
	/* order: (TD20) acquire - the cell, of an arming we know nothing of; pairs with (TD19). */
	struct jd_timer_cell *cell = atomic_load_explicit(&timer->_cell, memory_order_acquire);

	if (!cell || !win_back(cell, timer))
		return JD_EALREADY;
	unlinks_push(atomic_load_explicit(&timer->_owner, memory_order_relaxed), &cell->node);
	return JD_OK;
}

void jd_timer_driver_bury(struct jd_timer_driver *driver, bool owner)
{
	driver->held_by_owner = owner;
	take_in(driver, jd_clock_now());
	leave(driver);
}

jd_status jd_timer_cancel(struct jd_timer_driver *self, struct jd_timer *timer)
{
	struct jd_timer_driver *full = NULL;
	jd_status status = jd_timer_drop(timer, &full);

	if (full)
		jd_timer_driver_bury(full, full == self);
	return status;
}

/* --- What the holder of the token does ------------------------------------------------------- */

static void free_cell(struct jd_timer_driver *driver, struct jd_timer_cell *cell)
{
	unsigned which = cell->foreign;

	cell->met = 0;
	if (!which && driver->held_by_owner) {
		jd_timer_cells_give(&driver->own, cell);
		return;
	}
	if (!driver->freed[which])
		driver->freed_last[which] = &cell->node;
	cell->node._next = driver->freed[which];
	driver->freed[which] = &cell->node;
}

static void give_back(struct jd_timer_driver *driver)
{
	for (unsigned which = 0; which < 2; which++) {
		struct jd_timer *first = driver->freed[which];

		driver->freed[which] = NULL;
		if (first)
			jd_timer_cells_give_list(which ? &driver->foreign : &driver->own, first,
						 driver->freed_last[which]);
	}
}

static bool is_armed(struct jd_timer_cell *cell)
{
	return atomic_load_explicit(&cell->node._cell, memory_order_relaxed) != NULL;
}

/* A cell enters the wheel, unless it was cancelled: then its request to unlink will free it. */
static void insert(struct jd_timer_driver *driver, struct jd_timer_cell *cell)
{
	struct jd_timer *node = &cell->node;

	if (!is_armed(cell))
		return;
	/* The slack is used up already; the wheel keeps timers apart that need it to the ns. */
	if (jd_wheel_insert(&driver->wheel, node, node->_deadline_ns,
			    (UINT64_C(1) << cell->slack_bits) - 1) == JD_OK)
		return;
	node->_next = driver->homeless;
	driver->homeless = node;
}

/* The same for one that comes in. */
static void enter(struct jd_timer_driver *driver, struct jd_timer_cell *cell, uint64_t now_ns)
{
	uint64_t at = cell->node._deadline_ns;

	if (JD_UNLIKELY(cell->met)) {
		free_cell(driver, cell);
		return;
	}
	cell->met = JD_TIMER_ENTERED;
	if (JD_UNLIKELY(driver->closed))
		return;
	if (cell->relative)
		at = jd_deadline_after(now_ns, at);
	cell->node._deadline_ns = jd_timer_rounded(at, cell->slack_bits);
	insert(driver, cell);
}

/* A cancelled one. */
static void unlink_cell(struct jd_timer_driver *driver, struct jd_timer_cell *cell)
{
	if (JD_UNLIKELY(!cell->met)) {
		cell->met = JD_TIMER_DROPPED;
		return;
	}
	if (jd_wheel_holds(&cell->node))
		jd_wheel_remove(&driver->wheel, &cell->node);
	free_cell(driver, cell);
}

static void house_the_homeless(struct jd_timer_driver *driver)
{
	struct jd_timer *node = driver->homeless, *next;

	driver->homeless = NULL;
	for (; node; node = next) {
		next = node->_next;
		insert(driver, jd_timer_cell_of(node));
	}
}

static void lower_wheel_next(struct jd_timer_driver *driver, uint64_t next)
{
	if (next < atomic_load_explicit(&driver->wheel_next, memory_order_relaxed))
		atomic_store_explicit(&driver->wheel_next, next, memory_order_relaxed);
}

/*
 * If it resets the number, it must take by a read-modify-write: a push that it does not see then
 * comes after that, and its number after the reset.
 */
static struct jd_timer *take_inbox(struct jd_timer_driver *driver)
{
	uint64_t next = atomic_load_explicit(&driver->inbox_next, memory_order_relaxed);

	do {
		if (next == JD_NEVER && !atomic_load_explicit(&driver->inbox, memory_order_relaxed))
			return NULL;
		lower_wheel_next(driver, next);
		/* order: (TD5) release - wheel_next; pairs with (TD10). */
	} while (!atomic_compare_exchange_weak_explicit(
		&driver->inbox_next, &next, JD_NEVER, memory_order_release, memory_order_relaxed));
	/* order: (TD8) acq_rel - the cells; our reset is before later pushes; pairs with (TD7). */
	return atomic_exchange_explicit(&driver->inbox, NULL, memory_order_acq_rel);
}

static void empty_ring(struct jd_timer_driver *driver, uint32_t head, uint32_t tail,
		       uint64_t now_ns)
{
	for (uint32_t i = head; i != tail; i++)
		enter(driver, driver->ring[i % JD_TIMER_RING], now_ns);
	/* order: (TD16) release - the slots are read, wheel_next; pairs with (TD15), (TD9). */
	atomic_store_explicit(&driver->head, tail, memory_order_release);
}

/* Cancelled by holders, who did not touch the cell: nobody is to find its timer any more. */
static void mark_dead(struct jd_timer_driver *driver, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct jd_timer *node = &driver->dead[i]->node;

		atomic_store_explicit(&node->_cell, NULL, memory_order_relaxed);
		JD_PREFETCH(node->_entry);
	}
}

static void unlink_dead(struct jd_timer_driver *driver, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		unlink_cell(driver, driver->dead[i]);
	atomic_store_explicit(&driver->dead_count, 0, memory_order_relaxed);
}

/*
 * Puts all that has come into the wheel. Returns a reading of the clock that is later than every
 * delay that has come in: now_ns if the caller is the owner, who alone leaves delays to be read.
 */
static uint64_t take_in(struct jd_timer_driver *driver, uint64_t now_ns)
{
	struct jd_timer *unlinks = NULL, *next, *inbox;
	uint32_t dead = atomic_load_explicit(&driver->dead_count, memory_order_relaxed);

	mark_dead(driver, dead);
	if (atomic_load_explicit(&driver->unlinks, memory_order_relaxed))
		/* order: (TD6) acquire - claims won, and what came before; pairs with (TD17). */
		unlinks = atomic_exchange_explicit(&driver->unlinks, NULL, memory_order_acquire);
	/* order: (TD1) acquire - the slots and the cells; pairs with (TD2). */
	uint32_t tail = atomic_load_explicit(&driver->tail, memory_order_acquire);
	uint32_t head = atomic_load_explicit(&driver->head, memory_order_relaxed);

	if (tail != head)
		lower_wheel_next(driver,
				 atomic_load_explicit(&driver->ring_next, memory_order_relaxed));
	inbox = take_inbox(driver);
	if (!driver->held_by_owner && (inbox || tail != head))
		now_ns = jd_clock_now();
	if (JD_UNLIKELY(driver->homeless != NULL))
		house_the_homeless(driver);
	for (; inbox; inbox = next) {
		next = inbox->_next;
		enter(driver, jd_timer_cell_of(inbox), now_ns);
	}
	if (tail != head)
		empty_ring(driver, head, tail, now_ns);
	unlink_dead(driver, dead);
	for (; unlinks; unlinks = next) {
		next = atomic_load_explicit(&unlinks->_owner, memory_order_relaxed);
		unlink_cell(driver, jd_timer_cell_of(unlinks));
	}
	return now_ns;
}

/* The last thing a holder does: says until when nobody need look. */
static void leave(struct jd_timer_driver *driver)
{
	uint64_t next = jd_wheel_next_deadline(&driver->wheel);

	for (struct jd_timer *t = driver->homeless; JD_UNLIKELY(t != NULL); t = t->_next)
		if (t->_deadline_ns < next)
			next = t->_deadline_ns;
	atomic_store_explicit(&driver->wheel_next, next, memory_order_relaxed);
	give_back(driver);
	jd_timer_driver_release(driver);
}

/* What has come in is seen to, nothing fires. False: somebody else holds the token. */
static bool settle(struct jd_timer_driver *driver, bool owner)
{
	if (!take_token(driver, owner))
		return false;
	take_in(driver, jd_clock_now());
	leave(driver);
	return true;
}

/* --- Firing ---------------------------------------------------------------------------------- */

static struct jd_timer *pop_homeless(struct jd_timer_driver *driver, uint64_t now_ns)
{
	struct jd_timer **link = &driver->homeless;

	while (*link && (*link)->_deadline_ns > now_ns)
		link = &(*link)->_next;
	struct jd_timer *node = *link;

	if (node)
		*link = node->_next;
	return node;
}

/*
 * Due cells, out of the wheel but not claimed: a cancel may still win them. Three such batches are
 * under way, because with a million timers all of it comes from memory: one is popped (the wheel
 * fetched its cells), one has the timers and runnables fetched, one is entered.
 */
struct due {
	struct jd_timer_cell *cells[JD_TIMER_AHEAD];
	unsigned count;
};

static void pop_some(struct jd_timer_driver *driver, uint64_t now_ns, struct due *due, unsigned max)
{
	due->count = 0;
	while (due->count < max) {
		struct jd_timer *node = jd_wheel_pop(&driver->wheel, now_ns);

		if (!node && JD_UNLIKELY(driver->homeless != NULL))
			node = pop_homeless(driver, now_ns);
		if (!node)
			break;
		due->cells[due->count++] = jd_timer_cell_of(node);
	}
}

static void fetch(const struct due *due)
{
	for (unsigned i = 0; i < due->count; i++) {
		const struct jd_timer *node = &due->cells[i]->node;
		const struct jd_timer *timer =
			atomic_load_explicit(&node->_cell, memory_order_relaxed);
		void *wakes = atomic_load_explicit(&node->_owner, memory_order_relaxed);

		/*
		 * Only the addresses: the memory is not ours yet. With what stands behind the
		 * runnable (a sleep's waker), and the header of the task with what follows.
		 */
		JD_PREFETCH((void *)((uintptr_t)timer + offsetof(struct jd_timer, _cell)));
		JD_PREFETCH(node->_runnable);
		JD_PREFETCH((void *)((uintptr_t)node->_runnable + 40));
		if (wakes) {
			JD_PREFETCH(wakes);
			JD_PREFETCH((void *)((uintptr_t)wakes + 64));
			JD_PREFETCH((void *)((uintptr_t)wakes + 128));
		}
	}
}

static void enter_all(struct jd_timer_driver *driver, const struct due *due,
		      struct jd_timer_delivery *delivery)
{
	for (unsigned i = 0; i < due->count; i++) {
		struct jd_runnable *runnable = claim(due->cells[i]);

		/* One that was cancelled is freed by its request to unlink. */
		if (!runnable)
			continue;
		free_cell(driver, due->cells[i]);
		delivery->deliver(delivery, runnable);
	}
}

bool jd_timer_driver_fire(struct jd_timer_driver *driver, bool owner, uint64_t now_ns,
			  struct jd_timer_delivery *delivery)
{
	struct due due[3];
	unsigned left = JD_TIMER_BATCH, turn = 0, under_way;

	if (!take_token(driver, owner))
		return false;
	now_ns = take_in(driver, now_ns);
	due[1].count = due[2].count = 0;
	do {
		struct due *popped = &due[turn % 3], *fetched = &due[(turn + 2) % 3];
		unsigned most = left < JD_TIMER_AHEAD ? left : JD_TIMER_AHEAD;

		pop_some(driver, now_ns, popped, most);
		left = popped->count < most ? 0 : left - most;
		fetch(fetched);
		enter_all(driver, &due[(turn + 1) % 3], delivery);
		under_way = popped->count + fetched->count;
		turn++;
	} while (under_way);
	leave(driver);
	return true;
}

/* --- Shutdown -------------------------------------------------------------------------------- */

/* Of the cells that have come in: an arming that has not will find the inbox closed. */
static struct jd_runnable *close_next(struct jd_timer_driver *driver, unsigned which)
{
	struct jd_timer_cells *cells = which ? &driver->foreign : &driver->own;
	uint32_t count = jd_timer_cells_count(cells);

	while (driver->closing[which] < count) {
		struct jd_timer_cell *cell = jd_timer_cells_at(cells, driver->closing[which]++);
		struct jd_runnable *runnable = cell->met == JD_TIMER_ENTERED ? claim(cell) : NULL;

		if (runnable)
			return runnable;
	}
	return NULL;
}

struct jd_runnable *jd_timer_driver_close(struct jd_timer_driver *driver)
{
	if (!driver->closed) {
		/* Somebody who arms or cancels may still hold it, for a moment. */
		while (!take_token(driver, false))
			jd_thread_yield();
		driver->closed = true;
		driver->closing[0] = driver->closing[1] = 0;
		/* The dead first: who finds the inbox closed may look at the claim of his cell. */
		take_in(driver, jd_clock_now());
		/* order: (TD18) acq_rel - what came in, the dead; pairs with (TD7), (TD21). */
		struct jd_timer *last = atomic_exchange_explicit(
			&driver->inbox, inbox_closed(driver), memory_order_acq_rel);

		for (struct jd_timer *next; last; last = next) {
			next = last->_next;
			enter(driver, jd_timer_cell_of(last), 0);
		}
	}
	struct jd_runnable *runnable = close_next(driver, 0);

	if (!runnable)
		runnable = close_next(driver, 1);
	if (runnable)
		return runnable;
	atomic_store_explicit(&driver->wheel_next, JD_NEVER, memory_order_relaxed);
	atomic_store_explicit(&driver->inbox_next, JD_NEVER, memory_order_relaxed);
	return NULL;
}
