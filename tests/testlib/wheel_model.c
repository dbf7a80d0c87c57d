/* wheel_model.c - the timer wheel against a sorted array, also when memory runs out. */
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
	uint64_t at_ns; /* when it fires: the deadline, rounded up when the slack allows it */
	bool armed;
};

/* A sorted array of armed timers: by instant, equal ones by address. */
struct array {
	struct node *item[NODES];
	unsigned count;
};

struct run {
	struct jd_wheel wheel;
	struct jd_allocator allocator; /* ctx is the run */
	uint64_t allocated;            /* bytes */
	bool no_memory;                /* now */
	bool scarce;                   /* in this life */
	struct wheel_choices *choices;
	FILE *why;
	uint64_t now_ns;
	uint64_t step;
	struct array live; /* in the wheel, JD_NEVER included */
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
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a < b;
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

	while (n < a->count && a->item[n]->at_ns <= now_ns && a->item[n]->at_ns != JD_NEVER)
		n++;
	return n;
}

static uint64_t model_next(const struct run *run)
{
	return run->live.count ? run->live.item[0]->at_ns : JD_NEVER;
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
	/* Slots of every level, the reach of the ring, and of level 1. */
	unsigned bits = (unsigned)(draw(run, 4) % 14);
	unsigned width = run->wheel.shift + (bits < 12 ? 6 * bits : bits == 12 ? 12 : 14);
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
			return run->live.item[draw(run, 16) % run->live.count]->at_ns;
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

/* Exact, within a tick, a tick, some ticks, anything. */
static uint64_t draw_slack(struct run *run)
{
	uint64_t tick = UINT64_C(1) << run->wheel.shift;

	switch (draw(run, 3)) {
	case 0:
	case 1:
		return 0;
	case 2:
	case 3:
	case 4:
		return tick - 1 + draw(run, 1);
	case 5:
		return draw(run, 16) % tick;
	case 6:
		return tick * draw(run, 8);
	default:
		return draw_distance(run);
	}
}

/* The promise of insert: the first multiple of the largest power of two <= slack + 1. */
static uint64_t model_round(const struct run *run, uint64_t deadline_ns, uint64_t slack_ns)
{
	uint64_t unit = UINT64_C(1) << 63;

	while (unit - 1 > slack_ns)
		unit /= 2;
	if (unit < UINT64_C(1) << run->wheel.shift || deadline_ns % unit == 0 ||
	    deadline_ns / unit == UINT64_MAX / unit)
		return deadline_ns;
	return (deadline_ns / unit + 1) * unit;
}

static bool step_insert(struct run *run)
{
	struct node *node;
	uint64_t deadline_ns = draw_deadline(run), slack_ns = draw_slack(run);
	jd_status status;

	if (run->idle_count == 0)
		return true;
	node = run->idle[run->idle_count - 1];
	status = jd_wheel_insert(&run->wheel, &node->timer, deadline_ns, slack_ns);
	if (status == JD_ENOMEM && run->no_memory)
		return !jd_wheel_holds(&node->timer) || differ(run, "refused, and held", 1, 0);
	if (status != JD_OK)
		return differ(run, "insert", (uint64_t) - (int)status, 0);
	run->idle_count--;
	node->at_ns = model_round(run, deadline_ns, slack_ns);
	node->armed = true;
	array_insert(&run->live, node);
	if (node->timer._deadline_ns != node->at_ns)
		return differ(run, "rounded", node->timer._deadline_ns, node->at_ns);
	return jd_wheel_holds(&node->timer) || differ(run, "insert: held", 0, 1);
}

static bool step_remove(struct run *run)
{
	unsigned at = (unsigned)draw(run, 12);
	struct node *node;

	if (run->live.count == 0)
		return true;
	/* The minimum often: that is what makes a slot stale. */
	node = run->live.item[at % 4 == 0 ? 0 : at % run->live.count];
	jd_wheel_remove(&run->wheel, &node->timer);
	if (!array_remove(&run->live, node))
		return differ(run, "the model itself lost a timer", 0, 0);
	node_release(run, node);
	return !jd_wheel_holds(&node->timer) || differ(run, "remove: held", 1, 0);
}

/* A timer left the wheel: it must be one of the earliest there are. */
static bool expect_first(struct run *run, struct jd_timer *timer)
{
	struct node *node = jd_container_of(timer, struct node, timer);

	if (!node->armed || jd_wheel_holds(timer))
		return differ(run, "expired and held, or twice", 1, 0);
	if (node->at_ns != run->live.item[0]->at_ns)
		return differ(run, "order of expiry", node->at_ns, run->live.item[0]->at_ns);
	array_remove(&run->live, node);
	node_release(run, node);
	return true;
}

static bool step_advance(struct run *run)
{
	uint64_t to = draw_target(run);
	unsigned expected, n = 0;
	struct jd_timer *list = NULL, *next;
	size_t said;

	said = jd_wheel_advance(&run->wheel, to, &list);
	if (to > run->now_ns)
		run->now_ns = to;
	expected = due_at(&run->live, run->now_ns);
	if (said != expected)
		return differ(run, "number expired", said, expected);
	for (struct jd_timer *t = list; t; t = next, n++) {
		next = t->_next;
		if (n >= expected)
			return differ(run, "length of the list", n, expected);
		if (!expect_first(run, t))
			return false;
	}
	if (n != expected)
		return differ(run, "length of the list", n, expected);
	return jd_wheel_now(&run->wheel) == run->now_ns ||
	       differ(run, "now", jd_wheel_now(&run->wheel), run->now_ns);
}

static bool step_pop(struct run *run)
{
	uint64_t to = draw_target(run);
	struct jd_timer *t = jd_wheel_pop(&run->wheel, to);
	bool expected;

	if (to > run->now_ns)
		run->now_ns = to;
	expected = due_at(&run->live, run->now_ns) > 0;
	if ((t != NULL) != expected)
		return differ(run, "popped one", t != NULL, expected);
	return !t || expect_first(run, t);
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

static bool drained(struct run *run, struct jd_timer *timer)
{
	struct node *node = jd_container_of(timer, struct node, timer);

	if (!node->armed || jd_wheel_holds(timer))
		return differ(run, "drained twice", 1, 0);
	array_remove(&run->live, node);
	node_release(run, node);
	return true;
}

static bool step_drain(struct run *run)
{
	uint64_t visited = 0;
	unsigned one_by_one = (unsigned)draw(run, 6);
	struct jd_timer *list, *next;

	jd_wheel_each(&run->wheel, count_one, &visited);
	if (visited != run->live.count)
		return differ(run, "each", visited, run->live.count);
	for (unsigned i = 0; i < one_by_one && run->live.count; i++) {
		struct jd_timer *t = jd_wheel_pop_any(&run->wheel);

		if (!t)
			return differ(run, "pop_any", 0, 1);
		if (!drained(run, t))
			return false;
	}
	if (draw(run, 1))
		return true;
	size_t expected = run->live.count, said = jd_wheel_drain(&run->wheel, &list);

	if (said != expected)
		return differ(run, "drain", said, expected);
	for (struct jd_timer *t = list; t; t = next) {
		next = t->_next;
		if (!drained(run, t))
			return false;
	}
	return run->live.count == 0 || differ(run, "left by drain", run->live.count, 0);
}

static bool step(struct run *run)
{
	unsigned op = (unsigned)draw(run, 8);

	/* Memory goes and comes back, for some steps each. */
	if (run->scarce && draw(run, 4) == 0)
		run->no_memory = !run->no_memory;
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

static void *scarce_alloc(void *ctx, size_t size, size_t align)
{
	struct run *run = ctx;
	void *block = run->no_memory ? NULL : jd_allocator_default()->alloc(NULL, size, align);

	if (block)
		run->allocated += size;
	return block;
}

static void scarce_free(void *ctx, void *ptr, size_t size, size_t align)
{
	((struct run *)ctx)->allocated -= size;
	jd_allocator_default()->free(NULL, ptr, size, align);
}

static void begin(struct run *run)
{
	static const unsigned char shifts[] = {0, 0, 1, 5, 6, 10, 16, 19, 30, 40};
	unsigned shift = shifts[draw(run, 8) % sizeof(shifts)];
	uint64_t distance = draw_distance(run);

	run->allocator = (struct jd_allocator){scarce_alloc, scarce_free, run};
	run->scarce = draw(run, 2) == 0;
	run->no_memory = false;
	/* As often near the end of time as near its begin. */
	run->now_ns = draw(run, 1) ? distance : UINT64_MAX - distance;
	jd_wheel_init(&run->wheel, &run->allocator, run->now_ns, shift);
}

static bool end(struct run *run)
{
	struct jd_timer *list;

	while (run->live.count)
		node_release(run, run->live.item[--run->live.count]);
	jd_wheel_drain(&run->wheel, &list);
	for (; list; list = list->_next)
		if (jd_wheel_holds(list))
			return differ(run, "drained and held", 1, 0);
	jd_wheel_fini(&run->wheel);
	return run->allocated == 0 || differ(run, "bytes left", run->allocated, 0);
}

static bool same(struct run *run, bool thorough)
{
	size_t count = jd_wheel_count(&run->wheel);

	if (count != run->live.count)
		return differ(run, "count", count, run->live.count);
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
			ok = same(run, true) && step_drain(run) && same(run, true) && end(run);
			begin(run);
		}
	}
	ok = ok && same(run, true) && step_next(run) && step_drain(run);
	ok = end(run) && ok;
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
