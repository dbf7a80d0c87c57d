/* model_explore.c - the choices of the explorer: which thread goes on, which run comes next. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ucontext.h>

#include "platform/compiler.h"
#include "tests/model/model_internal.h"

enum {
	CHOICES = 8192,
	STACK = 256 * 1024,
};

enum state {
	READY,
	YIELDED, /* until another thread has stored something */
	BLOCKED, /* in model_wait */
	DONE,
};

struct thread {
	ucontext_t context;
	enum state state;
	const void *word;                 /* BLOCKED: what it waits on */
	uint64_t others;                  /* YIELDED: stores of others when it yielded */
	uint64_t stores;                  /* its own */
	unsigned char local[MODEL_LOCAL]; /* the program's variables while others run */
	bool stale; /* a load since its last yield was not of the newest value */
	unsigned char *stack;
};

static struct {
	const struct model_program *program;
	const struct model_options *options;
	struct model_result *result;

	struct thread threads[MODEL_THREADS + 1]; /* 0 is the explorer itself */
	unsigned n_threads, self;
	struct {
		void *variable;
		size_t size;
	} locals[MODEL_LOCALS]; /* see model_local, model_quiet */
	unsigned n_locals;
	const char *quiet;
	bool fresh; /* this thread was just chosen: no choice before its next access */
	uint64_t stores;
	unsigned steps, preemptions, spurious; /* the last two: budgets that are left */

	/* The list of choices: what was picked of how many. Beyond `given`, 0 or at random. */
	uint16_t picked[CHOICES], of[CHOICES];
	unsigned depth, given;
	bool at_random, tracing, failed;
	uint64_t rng;
	unsigned calm; /* at random: one choice in so many is not the plain one */
	jmp_buf main;  /* out of a failed setup or finish */
} x;

void model_local(void *variable, size_t size)
{
	size_t all = size;

	for (unsigned i = 0; i < x.n_locals; i++)
		all += x.locals[i].size;
	if (x.n_locals == MODEL_LOCALS || all > MODEL_LOCAL)
		model_fail("more than %d thread-local variables, or more than %d bytes",
			   MODEL_LOCALS, MODEL_LOCAL);
	x.locals[x.n_locals].variable = variable;
	x.locals[x.n_locals++].size = size;
}

static void save_locals(struct thread *thread)
{
	unsigned char *to = thread->local;

	for (unsigned i = 0; i < x.n_locals; i++) {
		memcpy(to, x.locals[i].variable, x.locals[i].size);
		to += x.locals[i].size;
	}
}

static void restore_locals(const struct thread *thread)
{
	const unsigned char *from = thread->local;

	for (unsigned i = 0; i < x.n_locals; i++) {
		memcpy(x.locals[i].variable, from, x.locals[i].size);
		from += x.locals[i].size;
	}
}

void model_quiet(const char *function)
{
	x.quiet = function;
}

unsigned model_self(void)
{
	return x.self;
}

bool model_tracing(void)
{
	return x.tracing;
}

static uint64_t draw(void)
{
	uint64_t z = x.rng += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* --- Failures and traces ------------------------------------------------------------------- */

void model_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(x.result->what, sizeof(x.result->what), format, args);
	va_end(args);
	if (x.tracing)
		fprintf(stderr, "  T%u fails: %s\n", x.self, x.result->what);
	x.failed = true;
	if (x.self == 0)
		longjmp(x.main, 1);
	setcontext(&x.threads[0].context); /* for good: this stack is used anew */
	abort();
}

/* The product's assertions end an execution, not the process. */
_Noreturn void jd_panic(const char *kind, const char *what, const char *file, int line)
{
	model_fail("%s: %s (%s:%d)", kind, what, file, line);
}

void model_trace(const struct model_site *site, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "  T%u %-24s %5d %-8s %s ", x.self, site->func, site->line, site->op,
		site->object);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/*
 * The choices as "zeros:value,zeros:value" (r first: found at random): most are 0, and all behind
 * the last.
 */
static void print_choices(FILE *out)
{
	const char *comma = x.at_random ? "r" : "";
	unsigned zeros = 0;

	for (unsigned i = 0; i < x.depth; i++) {
		if (!x.picked[i]) {
			zeros++;
			continue;
		}
		fprintf(out, "%s%u:%u", comma, zeros, x.picked[i]);
		zeros = 0;
		comma = ",";
	}
	if (*comma != ',')
		fprintf(out, "%s0:0", comma);
}

static bool parse_choices(const char *text)
{
	/* r: the run was one of those without bounds. */
	x.at_random = *text == 'r';
	text += x.at_random;
	x.given = 0;
	while (*text) {
		char *end;
		unsigned long zeros = strtoul(text, &end, 10), value;

		if (*end != ':' || zeros >= CHOICES - x.given - 1)
			return false;
		value = strtoul(end + 1, &end, 10);
		if ((*end && *end != ',') || value > UINT16_MAX)
			return false;
		memset(&x.picked[x.given], 0, zeros * sizeof(x.picked[0]));
		x.given += (unsigned)zeros;
		x.picked[x.given++] = (uint16_t)value;
		text = *end ? end + 1 : end;
	}
	return true;
}

/* --- Choices ------------------------------------------------------------------------------- */

static unsigned choose(unsigned n)
{
	const unsigned i = x.depth++;

	if (n < 2) {
		x.depth--; /* no choice */
		return 0;
	}
	if (i >= CHOICES)
		model_fail("more than %d choices", CHOICES);
	x.of[i] = (uint16_t)n;
	if (i < x.given) {
		if (x.picked[i] >= n)
			model_fail("choice %u is %u of %u: this is the list of another program", i,
				   x.picked[i], n);
		return x.picked[i];
	}
	x.picked[i] = 0;
	if (x.at_random && !x.tracing && draw() % x.calm == 0)
		x.picked[i] = (uint16_t)(draw() % n);
	return x.picked[i];
}

unsigned model_choose(unsigned n)
{
	if (x.at_random && n > 1 && x.depth >= x.given) {
		/* The test's own choices are even. */
		unsigned calm = x.calm, picked;

		x.calm = 1;
		picked = choose(n);
		x.calm = calm;
		return picked;
	}
	return choose(n);
}

unsigned model_pick(unsigned options, unsigned *budget)
{
	unsigned picked = *budget ? choose(options) : 0;

	if (picked && !x.at_random && *budget < MODEL_ALL)
		--*budget;
	return picked;
}

/* --- Threads ------------------------------------------------------------------------------- */

void model_note_store(void)
{
	x.stores++;
	x.threads[x.self].stores++;
}

void model_note_stale(void)
{
	x.threads[x.self].stale = true;
}

static bool runnable(unsigned t)
{
	const struct thread *thread = &x.threads[t];

	return thread->state == READY ||
	       (thread->state == YIELDED &&
		(thread->stale || x.stores - thread->stores > thread->others));
}

static void switch_to(unsigned t)
{
	const unsigned from = x.self;

	x.threads[t].state = READY;
	x.fresh = true;
	if (t == from)
		return;
	x.self = t;
	save_locals(&x.threads[from]);
	restore_locals(&x.threads[t]);
	swapcontext(&x.threads[from].context, &x.threads[t].context);
}

/* The calling thread cannot go on, or would rather not: another one comes, if there is one. */
static void give_way(void)
{
	unsigned options[MODEL_THREADS + 1], n = 0;
	bool done = true;

	for (unsigned t = 1; t <= x.n_threads; t++) {
		done = done && x.threads[t].state == DONE;
		if (t != x.self && runnable(t))
			options[n++] = t;
	}
	if (n == 0 && x.self && runnable(x.self))
		options[n++] = x.self;
	if (n > 0)
		switch_to(options[choose(n)]);
	else if (done)
		switch_to(0);
	else
		model_fail("deadlock: every thread waits");
}

void model_point(const struct model_site *site)
{
	unsigned options[MODEL_THREADS + 1], n = 0;

	if (x.self == 0)
		return;
	if (site && x.quiet && !strcmp(site->func, x.quiet))
		return;
	if (++x.steps > MODEL_STEPS)
		model_fail("more than %d steps: does it ever end?", MODEL_STEPS);
	if (x.fresh || x.preemptions == 0) {
		x.fresh = false;
		return;
	}
	options[n++] = x.self;
	for (unsigned t = 1; t <= x.n_threads; t++)
		if (t != x.self && runnable(t))
			options[n++] = t;
	n = choose(n);
	if (n == 0)
		return;
	if (!x.at_random && x.preemptions < MODEL_ALL)
		x.preemptions--;
	switch_to(options[n]);
	x.fresh = false;
}

void model_yield(void)
{
	struct thread *self = &x.threads[x.self];

	if (x.self == 0)
		return;
	if (++x.steps > MODEL_STEPS)
		model_fail("more than %d steps: does it ever end?", MODEL_STEPS);
	model_memory_refresh();
	self->state = YIELDED;
	self->others = x.stores - self->stores;
	give_way();
	self->stale = false;
}

void model_wait(const void *word, uint32_t expected)
{
	struct thread *self = &x.threads[x.self];

	model_point(NULL);
	if (model_memory_newest(word) != expected || model_pick(2, &x.spurious))
		return;
	if (x.tracing)
		fprintf(stderr, "  T%u waits\n", x.self);
	self->state = BLOCKED;
	self->word = word;
	give_way();
}

void model_wake(const void *word, unsigned count)
{
	unsigned waiting[MODEL_THREADS + 1];

	model_point(NULL);
	while (count-- > 0) {
		unsigned n = 0, t;

		for (t = 1; t <= x.n_threads; t++)
			if (x.threads[t].state == BLOCKED && x.threads[t].word == word)
				waiting[n++] = t;
		if (n == 0)
			return;
		t = waiting[choose(n)];
		if (x.tracing)
			fprintf(stderr, "  T%u wakes T%u\n", x.self, t);
		x.threads[t].state = READY;
	}
}

static void thread_main(void)
{
	x.program->threads[x.self - 1]();
	x.threads[x.self].state = DONE;
	give_way();
	abort(); /* nobody goes on with a thread that is done */
}

/* --- Mutations ----------------------------------------------------------------------------- */

const struct model_mutation *model_mutation_at(const struct model_site *site)
{
	const struct model_mutation *change = x.options->mutation;

	if (!change || strcmp(change->op, site->op) || strcmp(change->func, site->func) ||
	    strcmp(change->object, site->object))
		return NULL;
	x.result->hits++;
	return change;
}

/* --- Executions ---------------------------------------------------------------------------- */

/* On its own: getcontext may return twice as far as the compiler knows. */
static JD_NOINLINE void context_init(struct thread *thread)
{
	if (!thread->stack)
		thread->stack = malloc(STACK);
	if (!thread->stack || getcontext(&thread->context))
		abort();
	thread->context.uc_stack.ss_sp = thread->stack;
	thread->context.uc_stack.ss_size = STACK;
	thread->context.uc_link = NULL;
	makecontext(&thread->context, thread_main, 0);
}

static JD_NOINLINE void start_threads(void)
{
	x.n_threads = 0;
	while (x.n_threads < MODEL_THREADS && x.program->threads[x.n_threads])
		x.n_threads++;
	for (unsigned t = 1; t <= x.n_threads; t++) {
		struct thread *thread = &x.threads[t];

		context_init(thread);
		thread->state = READY;
		thread->stores = 0;
		thread->stale = false;
		save_locals(thread);
		model_memory_fork(t);
	}
}

/* Runs the program once, along the given choices. */
static void execute(void)
{
	x.depth = x.steps = 0;
	x.self = 0;
	x.stores = 0;
	x.failed = x.fresh = false;
	x.n_locals = 0;
	x.quiet = NULL;
	x.preemptions = x.at_random ? MODEL_ALL : x.options->preemptions;
	x.spurious = x.options->spurious;
	model_memory_begin(x.at_random ? MODEL_ALL : x.options->stale);
	x.result->executions++;
	if (setjmp(x.main) == 0) {
		if (x.program->setup)
			x.program->setup();
		start_threads();
		give_way();
	}
	if (x.self)
		restore_locals(&x.threads[0]); /* a thread failed */
	x.self = 0;
	if (!x.failed && setjmp(x.main) == 0) {
		for (unsigned t = 1; t <= x.n_threads; t++)
			model_memory_join(t);
		if (x.program->finish)
			x.program->finish();
		model_memory_end(true);
		return;
	}
	model_memory_end(false);
}

/* Turns the list into that of the next run of the search; false when there is none. */
static bool next_choices(void)
{
	while (x.depth > 0 && x.picked[x.depth - 1] + 1 >= x.of[x.depth - 1])
		x.depth--;
	if (x.depth == 0)
		return false;
	x.picked[x.depth - 1]++;
	x.given = x.depth;
	return true;
}

static void report(void)
{
	fprintf(stderr,
		"model %s: %s\n  after %" PRIu64 " executions; repeat with\n"
		"  JD_MODEL=%s JD_MODEL_REPLAY=",
		x.program->name, x.result->what, x.result->executions, x.program->name);
	print_choices(stderr);
	fputs("\n  The run:\n", stderr);
	x.given = x.depth < CHOICES ? x.depth : CHOICES;
	x.tracing = true;
	execute();
	x.tracing = false;
}

static void replay(const char *choices)
{
	if (!parse_choices(choices)) {
		x.failed = true;
		snprintf(x.result->what, sizeof(x.result->what), "JD_MODEL_REPLAY is no list");
		return;
	}
	x.tracing = true;
	execute();
	x.tracing = false;
}

static void search(void)
{
	const uint64_t most = x.options->executions;

	x.given = 0;
	do {
		if (most && x.result->executions >= most)
			return;
		execute();
		if (x.failed)
			return;
	} while (next_choices());
	x.result->complete = true;
}

static void wander(void)
{
	x.at_random = true;
	for (uint64_t i = 0; i < x.options->random && !x.failed; i++) {
		x.given = 0;
		x.rng = x.options->seed + i * 0x632be59bd9b4e019u;
		x.calm = 1u << draw() % 5;
		execute();
	}
}

void model_explore(const struct model_program *program, const struct model_options *options,
		   struct model_result *result)
{
	const char *name = getenv("JD_MODEL"), *choices = getenv("JD_MODEL_REPLAY");
	const struct model_mutation *change = options->mutation;

	*result = (struct model_result){0};
	x.program = program;
	x.options = options;
	x.result = result;
	x.at_random = x.tracing = false;
	if (choices && name && !strcmp(name, program->name) && !change) {
		replay(choices);
	} else {
		search();
		if (!x.failed)
			wander();
		if (x.failed && !options->quiet)
			report();
	}
	x.at_random = false;
	result->failed = x.failed;
}
