/* main.c - timer structures side by side: rows timer_structure_WHAT/STRUCTURE/1. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/base.h>
#include <jackdaw/version.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/histogram.h"
#include "bench/peak.h"
#include "bench/shim/jd_bench.h"
#include "bench/timers/structure.h"
#include "bench/workers.h"
#include "platform/platform.h"

/*
 * A million timers of 1 .. 1000 ms, as after a second of a busy server. Figures are ns a timer, of
 * the loops alone. Firing moves time on by 1 ms at a time; those that read the clock themselves
 * fire in one go when the last is due, which is easier. Tails: a million timers of 1 .. 60 s, of
 * which each that fires is inserted again; each call by itself, with the two clock readings around
 * it (the counter clock_ns says what these cost).
 */
enum {
	TIMERS = 1000 * 1000,
	SPAN_MS = 1000,
	RUNS = 4,
	AHEAD = 16,
	TAIL_MIN_S = 1,
	TAIL_MAX_S = 60,
	TAIL_SECONDS = 12,
	TAIL_STEP_NS = 500 * 1000,
};

/* Of virtual time; somewhere within a slot of every level. */
static const uint64_t begin_ns = UINT64_C(123456789123456789);

static uint64_t seed;
static uint64_t deadlines[TIMERS];
static uint32_t order[TIMERS];

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t draw(void)
{
	uint64_t x = seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void draw_all(uint64_t now_ns)
{
	for (uint32_t i = 0; i < TIMERS; i++) {
		uint32_t j = (uint32_t)(draw() % (i + 1));

		deadlines[i] = now_ns + JD_MS + draw() % ((SPAN_MS - 1) * JD_MS);
		order[i] = order[j];
		order[j] = i;
	}
}

enum what {
	INSERT,
	CANCEL,
	CANCEL_WARM,
	FIRE,
	CHURN,
	WHATS,
};

static const char *const what_names[WHATS] = {"insert", "cancel", "cancel_warm", "fire", "churn"};

struct row {
	const struct timer_structure *structure;
	enum what what;
	bool pops; /* of a tail: measure pops, else inserts */
};

/* Fires all; returns the ns it took, 0 when something was wrong. */
static uint64_t fire_all(const struct timer_structure *s, uint64_t now_ns)
{
	uint64_t took = 0, end = jd_clock_now() + (SPAN_MS + 1) * JD_MS;
	size_t fired = 0;

	if (s->real_time) {
		while (jd_clock_now() < end)
			jd_cpu_relax();
		now_ns = end;
	}
	for (int step = 0; step < (s->real_time ? 1 : SPAN_MS + 2); step++) {
		uint64_t begin = jd_clock_now();

		now_ns += JD_MS;
		fired += s->fire(now_ns);
		took += jd_clock_now() - begin;
	}
	return fired == TIMERS ? took : 0;
}

/* One run; returns the ns, 0 when something was wrong. */
static uint64_t measure(const struct timer_structure *s, enum what what, uint64_t now_ns)
{
	uint64_t begin = jd_clock_now(), inserted, took;

	if (what == CHURN)
		return s->churn(now_ns + 500 * JD_MS, TIMERS) ? jd_clock_now() - begin : 0;
	if (!s->insert_all(deadlines, TIMERS))
		return 0;
	inserted = jd_clock_now();
	if (what == FIRE)
		return fire_all(s, now_ns);
	s->cancel_all(order, TIMERS, what == CANCEL_WARM ? AHEAD : 0);
	took = jd_clock_now() - inserted;
	return what == INSERT ? inserted - begin : took;
}

static void run_row(struct jd_bench_state *state, void *user)
{
	const struct row *row = user;
	uint64_t now_ns = begin_ns;
	int64_t n;

	seed = 1;
	if (!row->structure->start(TIMERS, now_ns)) {
		jd_bench_fail(state, "no memory");
		return;
	}
	/* Once before: pages are there, the allocator has what it needs. */
	draw_all(now_ns);
	uint64_t took = measure(row->structure, row->what == FIRE ? CANCEL : row->what, now_ns);

	while (took && (n = jd_bench_next(state)) > 0) {
		for (int64_t i = 0; i < n && took; i++) {
			draw_all(now_ns);
			took = measure(row->structure, row->what, now_ns);
			jd_bench_add_time(state, (double)took * 1e-9);
			if (row->what == FIRE && !row->structure->real_time)
				now_ns += (SPAN_MS + 2) * JD_MS;
		}
	}
	if (!took)
		jd_bench_fail(state, "not every timer was taken and fired exactly once");
	jd_bench_ns_per_op(state, TIMERS);
	bench_report_peak(state);
	row->structure->stop();
}

/* --- Tails ------------------------------------------------------------------------------------ */

static uint64_t tail_deadline(uint64_t now_ns)
{
	return now_ns + TAIL_MIN_S * JD_SEC + draw() % ((TAIL_MAX_S - TAIL_MIN_S) * JD_SEC);
}

/* One poll of the structure: pops until nothing is due, inserting again. False: refused. */
static bool tail_turn(const struct timer_structure *s, uint64_t now_ns,
		      struct bench_histogram *inserts, struct bench_histogram *pops)
{
	for (;;) {
		uint64_t begin = jd_clock_now();
		size_t i = s->pop(now_ns);
		uint64_t end = jd_clock_now();

		bench_histogram_add(pops, end - begin);
		if (i == SIZE_MAX)
			return true;
		uint64_t deadline_ns = tail_deadline(now_ns);

		begin = jd_clock_now();
		if (!s->insert(i, deadline_ns))
			return false;
		bench_histogram_add(inserts, jd_clock_now() - begin);
	}
}

static uint64_t clock_cost(void)
{
	uint64_t begin = jd_clock_now();

	for (int i = 0; i < 1000; i++)
		jd_clock_now();
	return (jd_clock_now() - begin) / 1001;
}

static bool tail_run(const struct row *row, struct bench_histogram *inserts,
		     struct bench_histogram *pops)
{
	const struct timer_structure *s = row->structure;
	uint64_t now_ns = begin_ns;

	for (size_t i = 0; i < TIMERS; i++)
		if (!s->insert(i, tail_deadline(now_ns)))
			return false;
	/* First to where timers of all ages are in it. */
	for (uint64_t end = now_ns + TAIL_MAX_S * JD_SEC; now_ns < end; now_ns += TAIL_STEP_NS)
		if (!tail_turn(s, now_ns, inserts, pops))
			return false;
	bench_histogram_clear(inserts);
	bench_histogram_clear(pops);
	for (uint64_t end = now_ns + TAIL_SECONDS * JD_SEC; now_ns < end; now_ns += TAIL_STEP_NS)
		if (!tail_turn(s, now_ns, inserts, pops))
			return false;
	return true;
}

static void run_tail(struct jd_bench_state *state, void *user)
{
	static struct bench_histogram inserts, pops;
	const struct row *row = user;
	struct bench_histogram *mine = row->pops ? &pops : &inserts;

	if (!row->structure->pop) {
		jd_bench_skip(state, "it reads the clock itself, or has no order");
		return;
	}
	seed = 1;
	if (!row->structure->start(TIMERS, begin_ns)) {
		jd_bench_fail(state, "no memory");
		return;
	}
	while (jd_bench_next(state) > 0) {
		if (!tail_run(row, &inserts, &pops))
			jd_bench_fail(state, "refused a timer");
		jd_bench_add_time(state, mine->sum * 1e-9);
	}
	jd_bench_ns_per_op(state, (double)mine->total);
	bench_report_peak(state);
	jd_bench_counter(state, "clock_ns", (double)clock_cost(), JD_BENCH_PLAIN);
	bench_histogram_report(mine, state);
	row->structure->stop();
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void add_row(const char *what, const struct timer_structure *structure, struct row *row,
		    jd_bench_fn fn, int64_t runs)
{
	char name[80];

	snprintf(name, sizeof(name), "timer_structure_%s/%s", what, structure->name);
	struct jd_bench *bench = jd_bench_iterations(jd_bench_add(name, fn, row), bench_runs(runs));

	/* The third part of a row's name is its number of workers. */
	jd_bench_arg(jd_bench_set_clock(bench, JD_BENCH_MANUAL), 1);
}

static void add_rows(const struct timer_structure *structure)
{
	struct row *rows = calloc(WHATS + 2, sizeof(*rows));

	if (!rows)
		abort();
	for (int what = 0; what < WHATS; what++) {
		rows[what] = (struct row){structure, (enum what)what, false};
		add_row(what_names[what], structure, &rows[what], run_row, RUNS);
	}
	rows[WHATS] = (struct row){structure, INSERT, false};
	rows[WHATS + 1] = (struct row){structure, FIRE, true};
	add_row("insert_tail", structure, &rows[WHATS], run_tail, 1);
	add_row("pop_tail", structure, &rows[WHATS + 1], run_tail, 1);
}

int main(int argc, char **argv)
{
#define ADD(name) add_rows(&timer_structure_##name);
	TIMER_STRUCTURES(ADD)
#undef ADD
	jd_bench_context("jackdaw_version", jd_version());
	jd_bench_context("compiler", __VERSION__);
	return jd_bench_main(argc, argv);
}
