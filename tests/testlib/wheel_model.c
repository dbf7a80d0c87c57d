/* wheel_model.c - the timer wheel against a sorted array. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tests/testlib/wheel_model.h"
#include "timers/wheel.h"
#include "timers/wheel_check.h"

enum {
	NODES = 600,        /* timers that can be armed at once */
	LIFE_STEPS = 20000, /* then a new wheel at another time */
};

struct node {
	struct jd_timer timer;
	uint64_t deadline_ns;
	uint64_t order; /* of insertion */
	bool armed;
};

/* A sorted array of armed timers: by deadline, equal ones by insertion. */
struct array {
	struct node *item[NODES];
	unsigned count;
};

struct run {
	struct jd_wheel wheel;
	struct wheel_choices *choices;
	FILE *why;
	uint64_t now_ns;
	uint64_t step;
	uint64_t orders;
	struct array live; /* in the wheel, JD_NEVER included */
	struct array due;  /* expired, not yet popped: these come first, whatever comes after */
	struct node *idle[NODES];
	unsigned idle_count;
	struct node node[NODES];
};

static uint64_t draw(struct run *run, unsigned bits)
{
	return run->choices->draw(run->choices, bits);
}

/* --- The model ------------------------------------------------------------------------------- */

static bool before(const struct node *a, const struct node *b)
{
	return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns
						: a->order < b->order;
}

/* The first position whose timer is not before node. */
static unsigned array_find(const struct array *a, const struct node *node)
{
	unsigned low = 0, high = a->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (before(a->item[middle], node))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void array_insert(struct array *a, struct node *node)
{
	unsigned at = array_find(a, node);

	memmove(&a->item[at + 1], &a->item[at], (a->count - at) * sizeof(a->item[0]));
	a->item[at] = node;
	a->count++;
}

static void array_cut(struct array *a, unsigned at, unsigned n)
{
	a->count -= n;
	memmove(&a->item[at], &a->item[at + n], (a->count - at) * sizeof(a->item[0]));
}

static bool array_remove(struct array *a, const struct node *node)
{
	unsigned at = array_find(a, node);

	if (at == a->count || a->item[at] != node)
		return false;
	array_cut(a, at, 1);
	return true;
}

static unsigned due_at(const struct array *a, uint64_t now_ns)
{
	unsigned n = 0;

	while (n < a->count && a->item[n]->deadline_ns <= now_ns &&
	       a->item[n]->deadline_ns != JD_NEVER)
		n++;
	return n;
}

static uint64_t model_next(const struct run *run)
{
	uint64_t next = JD_NEVER;

	if (run->live.count)
		next = run->live.item[0]->deadline_ns;
	if (run->due.count && run->due.item[0]->deadline_ns < next)
		next = run->due.item[0]->deadline_ns;
	return next;
}

static void node_release(struct run *run, struct node *node)
{
	node->armed = false;
	run->idle[run->idle_count++] = node;
}

/* --- Choosing times --------------------------------------------------------------------------- */

static uint64_t add(uint64_t a, uint64_t b)
{
	return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

/* Any distance, small ones as likely as large ones. */
static uint64_t draw_distance(struct run *run)
{
	unsigned bits = (unsigned)draw(run, 6);

	return bits ? draw(run, bits) : 0;
}

/* Within one of where some level's slot, or the level itself, begins. */
static uint64_t draw_boundary(struct run *run)
{
	unsigned width = run->wheel.shift + 6 * (unsigned)(draw(run, 4) % 12);
	uint64_t mask = width < 64 ? (UINT64_C(1) << width) - 1 : UINT64_MAX;
	uint64_t first = add(run->now_ns | mask, 1); /* the next begin after now */
	uint64_t more = draw(run, 1) && width < 64 ? draw(run, 6) << width : 0;

	return add(add(first, more), draw(run, 1)) - draw(run, 1);
}

static uint64_t draw_deadline(struct run *run)
{
	uint64_t back;

	switch (draw(run, 4)) {
	case 0:
		return add(run->now_ns, draw(run, 1));
	case 1:
		return add(run->now_ns, draw(run, 8));
	case 2:
	case 3:
		return draw_boundary(run);
	case 4:
	case 5:
		if (run->live.count)
			return run->live.item[draw(run, 16) % run->live.count]->deadline_ns;
		return add(run->now_ns, draw(run, 20));
	case 6:
		back = draw_distance(run);
		return back > run->now_ns ? 0 : run->now_ns - back;
	case 7:
		return JD_NEVER - draw(run, 2);
	case 8:
	case 9:
		/* one timeout for all */
		return add(run->now_ns, UINT64_C(1) << 30);
	default:
		return add(run->now_ns, draw_distance(run));
	}
}

static uint64_t draw_target(struct run *run)
{
	uint64_t next = model_next(run), back;

	switch (draw(run, 3)) {
	case 0:
		return run->now_ns;
	case 1:
		back = draw_distance(run);
		return back > run->now_ns ? 0 : run->now_ns - back;
	case 2:
		return draw_boundary(run);
	case 3:
	case 4:
		return next == JD_NEVER ? run->now_ns : add(next, draw(run, 1));
	case 5:
		return next == JD_NEVER || next == 0 ? run->now_ns : next - 1;
	case 6:
		return add(run->now_ns, draw(run, 12));
	default:
		return add(run->now_ns, draw_distance(run));
	}
}

/* --- Steps: each false at a difference ------------------------------------------------------- */

static bool differ(struct run *run, const char *what, uint64_t wheel_says, uint64_t model_says)
{
	fprintf(run->why,
		"step %" PRIu64 ", shift %u, now %" PRIu64 ": %s: the wheel says %" PRIu64
		", the model %" PRIu64 "\n",
		run->step, run->wheel.shift, run->now_ns, what, wheel_says, model_says);
	jd_wheel_dump(&run->wheel, run->why);
	return false;
}

static bool step_insert(struct run *run)
{
	struct node *node;

	if (run->idle_count == 0)
		return true;
	node = run->idle[--run->idle_count];
	node->deadline_ns = draw_deadline(run);
	node->order = run->orders++;
	node->armed = true;
	if (jd_wheel_insert(&run->wheel, &node->timer, node->deadline_ns, 0) != JD_OK)
		return differ(run, "insert", 0, 1);
	array_insert(&run->live, node);
	return jd_wheel_holds(&node->timer) || differ(run, "insert: held", 0, 1);
}

static bool step_remove(struct run *run)
{
	unsigned total = run->live.count + run->due.count;
	unsigned at = (unsigned)draw(run, 12);
	struct node *node;

	if (total == 0)
		return true;
	/* The minimum often: that is what makes a slot stale. */
	at = at % 4 == 0 ? run->due.count % total : at % total;
	node = at < run->due.count ? run->due.item[at] : run->live.item[at - run->due.count];
	jd_wheel_remove(&run->wheel, &node->timer);
	if (!array_remove(at < run->due.count ? &run->due : &run->live, node))
		return differ(run, "the model itself lost a timer", 0, 0);
	node_release(run, node);
	return !jd_wheel_holds(&node->timer) || differ(run, "remove: held", 1, 0);
}

/* Checks that a timer that left the wheel is the one the model expects next. */
static bool expect_next(struct run *run, struct jd_timer *timer, struct array *from, unsigned at)
{
	struct node *node = jd_container_of(timer, struct node, timer);

	if (node != from->item[at])
		return differ(run, "order of expiry (deadlines)", node->deadline_ns,
			      from->item[at]->deadline_ns);
	if (jd_wheel_holds(timer))
		return differ(run, "expired and held", 1, 0);
	return true;
}

static bool step_advance(struct run *run)
{
	uint64_t to = draw_target(run);
	unsigned live, expected, n = 0;
	struct jd_timer *list = NULL, *next;
	size_t said;

	said = jd_wheel_advance(&run->wheel, to, &list);
	if (to > run->now_ns)
		run->now_ns = to;
	live = due_at(&run->live, run->now_ns);
	expected = run->due.count + live;
	if (said != expected)
		return differ(run, "number expired", said, expected);
	for (struct jd_timer *t = list; t; t = next, n++) {
		bool early = n < run->due.count;

		next = t->_next;
		if (n >= expected)
			return differ(run, "length of the list", n, expected);
		if (!expect_next(run, t, early ? &run->due : &run->live,
				 early ? n : n - run->due.count))
			return false;
		node_release(run, jd_container_of(t, struct node, timer));
	}
	if (n != expected)
		return differ(run, "length of the list", n, expected);
	array_cut(&run->due, 0, run->due.count);
	array_cut(&run->live, 0, live);
	return jd_wheel_now(&run->wheel) == run->now_ns ||
	       differ(run, "now", jd_wheel_now(&run->wheel), run->now_ns);
}

static bool step_pop(struct run *run)
{
	uint64_t to = draw_target(run);
	struct jd_timer *t = jd_wheel_pop(&run->wheel, to);

	if (run->due.count == 0) {
		if (to > run->now_ns)
			run->now_ns = to;
		run->due.count = due_at(&run->live, run->now_ns);
		memcpy(run->due.item, run->live.item, run->due.count * sizeof(run->due.item[0]));
		array_cut(&run->live, 0, run->due.count);
	}
	if ((t != NULL) != (run->due.count > 0))
		return differ(run, "popped one", t != NULL, run->due.count > 0);
	if (!t)
		return true;
	if (!expect_next(run, t, &run->due, 0))
		return false;
	node_release(run, run->due.item[0]);
	array_cut(&run->due, 0, 1);
	return true;
}

static bool step_next(struct run *run)
{
	uint64_t said = jd_wheel_next_deadline(&run->wheel);

	return said == model_next(run) || differ(run, "next deadline", said, model_next(run));
}

static void count_one(void *arg, const struct jd_timer *timer)
{
	(void)timer;
	++*(uint64_t *)arg;
}

static bool step_drain(struct run *run)
{
	unsigned expected = run->live.count + run->due.count;
	uint64_t visited = 0;
	struct jd_timer *list, *next;
	size_t said;

	jd_wheel_each(&run->wheel, count_one, &visited);
	if (visited != expected)
		return differ(run, "each", visited, expected);
	said = jd_wheel_drain(&run->wheel, &list);
	if (said != expected)
		return differ(run, "drain", said, expected);
	for (struct jd_timer *t = list; t; t = next) {
		struct node *node = jd_container_of(t, struct node, timer);

		next = t->_next;
		if (!node->armed || jd_wheel_holds(t))
			return differ(run, "drained twice", 1, 0);
		node_release(run, node);
	}
	run->live.count = run->due.count = 0;
	return run->idle_count == NODES || differ(run, "drained", run->idle_count, NODES);
}

static bool step(struct run *run)
{
	unsigned op = (unsigned)draw(run, 8);

	if (op < 110)
		return step_insert(run);
	if (op < 170)
		return step_remove(run);
	if (op < 205)
		return step_advance(run);
	if (op < 225)
		return step_pop(run);
	if (op < 255 || draw(run, 6) != 0)
		return step_next(run);
	return step_drain(run);
}

/* --- Lives ------------------------------------------------------------------------------------ */

static void begin(struct run *run)
{
	static const unsigned char shifts[] = {0, 0, 1, 5, 6, 10, 16, 20, 30, 40};
	unsigned shift = shifts[draw(run, 8) % sizeof(shifts)];
	uint64_t distance = draw_distance(run);

	/* As often near the end of time as near its begin. */
	run->now_ns = draw(run, 1) ? distance : UINT64_MAX - distance;
	jd_wheel_init(&run->wheel, jd_allocator_default(), run->now_ns, shift);
}

static bool same(struct run *run, bool thorough)
{
	size_t count = jd_wheel_count(&run->wheel);

	if (count != run->live.count + run->due.count)
		return differ(run, "count", count, run->live.count + run->due.count);
	return !thorough || jd_wheel_check(&run->wheel, run->why) ||
	       differ(run, "jd_wheel_check", 0, 1);
}

bool wheel_model_run(struct wheel_choices *choices, uint64_t steps, unsigned check_every, FILE *why)
{
	struct run *run = calloc(1, sizeof(*run));
	bool ok = run != NULL;

	if (!run) {
		fprintf(why, "no memory for the model\n");
		return false;
	}
	run->choices = choices;
	run->why = why;
	for (unsigned i = 0; i < NODES; i++)
		node_release(run, &run->node[i]);
	begin(run);
	for (; ok && run->step < steps && !choices->done(choices); run->step++) {
		ok = step(run) && same(run, run->step % check_every == 0);
		if (ok && (run->step % LIFE_STEPS == LIFE_STEPS - 1 || run->now_ns == UINT64_MAX)) {
			ok = same(run, true) && step_drain(run) && same(run, true);
			begin(run);
		}
	}
	ok = ok && same(run, true) && step_next(run) && step_drain(run);
	free(run);
	return ok;
}

/* --- Seeds: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) -------------------------------------- */

static uint64_t seeded_draw(struct wheel_choices *base, unsigned bits)
{
	struct wheel_seeded *self = jd_container_of(base, struct wheel_seeded, base);
	uint64_t x = self->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (x ^ x >> 31) >> (64 - bits);
}

static bool seeded_done(const struct wheel_choices *base)
{
	(void)base;
	return false;
}

void wheel_seeded_init(struct wheel_seeded *self, uint64_t seed)
{
	self->base = (struct wheel_choices){seeded_draw, seeded_done};
	self->state = seed;
}
