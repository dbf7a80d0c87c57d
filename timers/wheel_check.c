/* wheel_check.c - the dumb, exhaustive view of a timer wheel. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "platform/compiler.h"
#include "timers/wheel_check.h"

/* One check: what was seen so far. */
struct check {
	const struct jd_wheel *wheel;
	FILE *why;
	size_t seen;
	bool ok;
};

JD_PRINTF(3, 4) static void claim(struct check *c, bool holds, const char *format, ...)
{
	va_list args;

	if (holds)
		return;
	c->ok = false;
	if (!c->why)
		return;
	va_start(args, format);
	fputs("wheel: ", c->why);
	vfprintf(c->why, format, args);
	fputc('\n', c->why);
	va_end(args);
}

/* What the timers of one list have in common, found by looking at each. */
struct list_facts {
	size_t count;
	uint64_t min_ns;
	uint64_t max_ns;
	bool sorted;
};

static struct list_facts look_at(struct check *c, const struct jd_wheel_slot *slot, uint32_t place)
{
	struct list_facts f = {.min_ns = JD_NEVER, .sorted = true};
	const struct jd_timer *prev = NULL;

	for (const struct jd_timer *t = slot->head; t; prev = t, t = t->_next) {
		if (c->seen == c->wheel->count) {
			claim(c, false, "place %" PRIu32 ": more timers than counted, or a loop",
			      place);
			return f;
		}
		c->seen++;
		f.count++;
		claim(c, t->_prev == prev, "place %" PRIu32 ": a broken back link", place);
		claim(c, t->_slot == place, "place %" PRIu32 ": a timer that says %" PRIu32, place,
		      t->_slot);
		if (prev && t->_deadline_ns < prev->_deadline_ns)
			f.sorted = false;
		if (t->_deadline_ns < f.min_ns)
			f.min_ns = t->_deadline_ns;
		if (t->_deadline_ns > f.max_ns)
			f.max_ns = t->_deadline_ns;
	}
	claim(c, slot->tail == prev, "place %" PRIu32 ": the tail is not the last", place);
	return f;
}

/* The place a deadline belongs to, found digit by digit from the top. */
static uint32_t expected_place(const struct jd_wheel *wheel, uint64_t deadline_ns)
{
	uint64_t now = wheel->now_ns >> wheel->shift, at = deadline_ns >> wheel->shift;
	unsigned level = JD_WHEEL_LEVELS - 1;

	if (deadline_ns < wheel->now_ns)
		at = now;
	while (level > 0 && at >> 6 * level == now >> 6 * level)
		level--;
	return 1 + level * JD_WHEEL_SLOTS + (uint32_t)(at >> 6 * level & 63);
}

static void check_slot(struct check *c, unsigned level, unsigned digit)
{
	const struct jd_wheel *w = c->wheel;
	const struct jd_wheel_slot *slot = &w->slot[level][digit];
	bool occupied = w->occupied[level] >> digit & 1;
	bool unsorted = w->unsorted[level] >> digit & 1;
	bool stale = w->stale[level] >> digit & 1;
	struct list_facts f = look_at(c, slot, 1 + level * JD_WHEEL_SLOTS + digit);

	claim(c, occupied == (f.count > 0), "level %u slot %u: occupied is %d with %zu timers",
	      level, digit, occupied, f.count);
	claim(c, f.count > 0 || (!unsorted && !stale), "level %u slot %u: empty with flags", level,
	      digit);
	claim(c, !stale || unsorted, "level %u slot %u: stale although in order", level, digit);
	if (!c->ok || f.count == 0)
		return; /* a list that may be a loop is not walked again */
	claim(c, unsorted || f.sorted, "level %u slot %u: said to be in order", level, digit);
	claim(c, stale ? slot->min_ns <= f.min_ns : slot->min_ns == f.min_ns,
	      "level %u slot %u: minimum %" PRIu64 " is said to be %" PRIu64, level, digit,
	      f.min_ns, slot->min_ns);
	for (const struct jd_timer *t = slot->head; t; t = t->_next)
		claim(c, expected_place(w, t->_deadline_ns) == 1 + level * JD_WHEEL_SLOTS + digit,
		      "level %u slot %u: %" PRIu64 " does not belong here at %" PRIu64, level,
		      digit, t->_deadline_ns, w->now_ns);
}

bool jd_wheel_check(const struct jd_wheel *wheel, FILE *why)
{
	struct check c = {.wheel = wheel, .why = why, .ok = true};
	struct list_facts due = look_at(&c, &wheel->due, JD_WHEEL_DUE);
	struct list_facts never = look_at(&c, &wheel->never, JD_WHEEL_NEVER);

	claim(&c, due.sorted, "the due timers are not in order");
	claim(&c, due.count == 0 || due.max_ns <= wheel->now_ns, "a due timer is not due");
	claim(&c, never.count == 0 || never.min_ns == JD_NEVER, "a deadline among those never due");
	/* After a loop or a wrong count, going on would only walk in circles. */
	for (unsigned level = 0; level < JD_WHEEL_LEVELS && c.ok; level++) {
		bool occupied = wheel->occupied_levels >> level & 1;

		claim(&c, occupied == (wheel->occupied[level] != 0), "level %u: occupied is %d",
		      level, occupied);
		for (unsigned digit = 0; digit < JD_WHEEL_SLOTS && c.ok; digit++)
			check_slot(&c, level, digit);
	}
	claim(&c, !c.ok || c.seen == wheel->count, "%zu timers counted, %zu found", wheel->count,
	      c.seen);
	return c.ok;
}

static size_t length(const struct jd_wheel_slot *slot)
{
	size_t n = 0;

	for (const struct jd_timer *t = slot->head; t; t = t->_next)
		n++;
	return n;
}

void jd_wheel_dump(const struct jd_wheel *wheel, FILE *out)
{
	fprintf(out, "wheel: now %" PRIu64 " ns, tick 2^%u ns, %zu timers, %zu due, %zu never\n",
		wheel->now_ns, wheel->shift, wheel->count, length(&wheel->due),
		length(&wheel->never));
	for (unsigned level = 0; level < JD_WHEEL_LEVELS; level++) {
		for (unsigned digit = 0; digit < JD_WHEEL_SLOTS; digit++) {
			const struct jd_wheel_slot *slot = &wheel->slot[level][digit];
			uint64_t bit = UINT64_C(1) << digit;

			if (!slot->head)
				continue;
			fprintf(out, "  level %2u slot %2u: %zu from %s%" PRIu64 " ns%s\n", level,
				digit, length(slot), wheel->stale[level] & bit ? "at least " : "",
				slot->min_ns, wheel->unsorted[level] & bit ? "" : ", in order");
		}
	}
}
