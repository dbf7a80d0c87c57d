/* test_report.c - what a test tells: deadlocks, leaks, failures, the verdict, a dump. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/test_scheduler.h"

#include <inttypes.h>
#include <stdlib.h>

#include "runtime/memory.h"
#include "runtime/parker.h"

FILE *jd_test_report_file(const struct jd_test_scheduler *ts)
{
	return ts->options.report;
}

void jd_test_report_repeat(const struct jd_test_options *options, FILE *out)
{
	const char *command = options->command;
	const char *replay = getenv("JD_REPLAY");

	if (!command)
		command = getenv("JD_TEST_COMMAND");
	if (!command)
		command = "<this program>";
	if (!options->provider)
		fprintf(out, "repeat with: JD_SEED=%" PRIu64 " JD_ITERATIONS=1 %s\n", options->seed,
			command);
	else if (replay)
		fprintf(out, "repeat with: JD_REPLAY=%s %s\n", replay, command);
	else
		fprintf(out, "repeat with the same choice provider: %s\n", command);
}

/* "jackdaw: test NAME, seed N, at T ns, S steps: " */
static void headline(const struct jd_test_scheduler *ts, const char *what)
{
	fprintf(ts->options.report,
		"jackdaw: test %s, seed %" PRIu64 ", at %" PRIu64 " ns, %" PRIu64 " steps: %s\n",
		ts->options.name ? ts->options.name : "-", ts->options.seed,
		atomic_load_explicit(&ts->clock, memory_order_relaxed), ts->steps, what);
}

/* --- Tasks ------------------------------------------------------------------------------- */

struct gather {
	struct jd_runnable_info *infos;
	size_t count;
	size_t capacity;
};

static bool gather_one(void *arg, const struct jd_runnable_info *info)
{
	struct gather *g = arg;

	if (g->count < g->capacity)
		g->infos[g->count++] = *info;
	return g->count < g->capacity;
}

static int by_id(const void *a, const void *b)
{
	jd_task_id x = ((const struct jd_runnable_info *)a)->id;
	jd_task_id y = ((const struct jd_runnable_info *)b)->id;

	return (x > y) - (x < y);
}

jd_status jd_test_pending(struct jd_test_scheduler *ts,
			  bool (*fn)(void *arg, const struct jd_runnable_info *info), void *arg)
{
	if (!ts || !fn)
		return JD_EINVAL;
	struct gather g = {.capacity = (size_t)jd_scheduler_task_count(&ts->base)};

	if (!g.capacity)
		return JD_OK;
	g.infos = jd_memory_zalloc(ts->base.allocator, g.capacity, sizeof(*g.infos),
				   alignof(struct jd_runnable_info));
	if (!g.infos)
		return JD_ENOMEM;
	jd_scheduler_each_task(&ts->base, gather_one, &g);
	qsort(g.infos, g.count, sizeof(*g.infos), by_id);
	for (size_t i = 0; i < g.count && fn(arg, &g.infos[i]); i++)
		;
	jd_memory_free(ts->base.allocator, g.infos, g.capacity * sizeof(*g.infos),
		       alignof(struct jd_runnable_info));
	return JD_OK;
}

static bool print_task(void *arg, const struct jd_runnable_info *info)
{
	FILE *out = arg;

	fprintf(out, "  task %" PRIu64 " %s", info->id, info->state);
	if (info->label)
		fprintf(out, " label \"%s\"", info->label);
	if (info->session)
		fprintf(out, " session %" PRIu64, info->session);
	fprintf(out, ", spawned at %s\n", info->site ? info->site : "?");
	return true;
}

/* In the order of ids; without the memory to sort, in any order. */
static void print_tasks(struct jd_test_scheduler *ts, FILE *out)
{
	if (jd_test_pending(ts, print_task, out) != JD_OK)
		jd_scheduler_each_task(&ts->base, print_task, out);
}

uint64_t jd_test_leaks(struct jd_test_scheduler *ts, FILE *out)
{
	if (!ts)
		return 0;
	uint64_t count = jd_scheduler_task_count(&ts->base);

	if (count && out)
		print_tasks(ts, out);
	return count;
}

/* --- Deadlock ---------------------------------------------------------------------------- */

static void print_frame(const struct jd_test_scheduler *ts, const struct jd_test_frame *frame,
			unsigned number, FILE *out)
{
	fprintf(out, "  wait %u%s in ", number, number == 1 ? " (innermost)" : "");
	if (frame->session)
		fprintf(out, "session %" PRIu64, frame->session->id);
	else
		fprintf(out, "%s", frame->in_runnable ? "a background task" : "the test's body");
	if (!frame->parker) {
		fprintf(out, ": steps the world\n");
		return;
	}
	if (frame->deadline_ns != JD_NEVER)
		fprintf(out, ", until %" PRIu64 " ns", frame->deadline_ns);
	bool unparked = atomic_load_explicit(&frame->parker->word, memory_order_relaxed) ==
			JD_PARKER_NOTIFIED;
	bool late = frame->deadline_ns <= atomic_load_explicit(&ts->clock, memory_order_relaxed);

	fprintf(out, "%s\n",
		unparked || late ? ": has ended, but cannot return before the waits inside it"
				 : "");
}

void jd_test_report_stuck(struct jd_test_scheduler *ts, const char *what)
{
	FILE *out = ts->options.report;
	unsigned number = 0;

	headline(ts, what);
	for (const struct jd_test_frame *frame = ts->frames; frame; frame = frame->outer)
		print_frame(ts, frame, ++number, out);
	fprintf(out, "  %" PRIu64 " pending tasks\n", jd_scheduler_task_count(&ts->base));
	print_tasks(ts, out);
	fprintf(out, "jackdaw: ");
	jd_test_report_repeat(&ts->options, out);
	fflush(out);
	if (ts->options.abort_on_deadlock)
		abort();
}

/* --- Failing and the verdict ------------------------------------------------------------- */

void jd_test_fail_at(struct jd_test_scheduler *ts, const char *what, const char *site)
{
	if (!ts)
		return;
	atomic_fetch_add_explicit(&ts->failures, 1, memory_order_relaxed);
	headline(ts, "failed");
	fprintf(ts->options.report, "  %s: %s\njackdaw: ", site ? site : "?", what ? what : "?");
	jd_test_report_repeat(&ts->options, ts->options.report);
	fflush(ts->options.report);
}

static bool report_foreign(struct jd_test_scheduler *ts)
{
	struct jd_test_foreign seen[JD_TEST_FOREIGN_KEPT];
	FILE *out = ts->options.report;

	jd_lock_acquire(&ts->lock);
	uint64_t count = ts->foreign_count;

	memcpy(seen, ts->foreign, sizeof(seen));
	jd_lock_release(&ts->lock);
	if (!count)
		return false;
	headline(ts, "not deterministic: other threads took part while parking was forbidden");
	for (uint64_t i = 0; i < count && i < JD_TEST_FOREIGN_KEPT; i++) {
		fprintf(out, "  %s by thread %" PRIu64, jd_test_foreign_text(seen[i].kind),
			seen[i].thread);
		if (seen[i].id)
			fprintf(out, ", task %" PRIu64 " %s%s%sspawned at %s", seen[i].id,
				seen[i].label ? "\"" : "", seen[i].label ? seen[i].label : "",
				seen[i].label ? "\", " : "", seen[i].site ? seen[i].site : "?");
		fputc('\n', out);
	}
	if (count > JD_TEST_FOREIGN_KEPT)
		fprintf(out, "  and %" PRIu64 " more\n", count - JD_TEST_FOREIGN_KEPT);
	return true;
}

static jd_status verdict(struct jd_test_scheduler *ts)
{
	jd_status status = JD_OK;

	if (!ts->options.allow_leaks && jd_scheduler_task_count(&ts->base)) {
		headline(ts, "leak: tasks are left at the end of the test");
		jd_test_leaks(ts, ts->options.report);
		status = JD_EBUSY;
	}
	if (report_foreign(ts) || ts->provider_error == JD_ENONDET ||
	    ts->provider_error == JD_ERANGE)
		status = JD_ENONDET;
	if (ts->deadlocked || ts->gave_up)
		status = JD_EDEADLK;
	if (atomic_load_explicit(&ts->failures, memory_order_relaxed))
		status = JD_EFAILED;
	return status;
}

jd_status jd_test_check(struct jd_test_scheduler *ts)
{
	if (!ts)
		return JD_EINVAL;
	if (!jd_test_is_owner(ts))
		return JD_EPERM;
	jd_test_run_until_parked(ts); /* giving up is part of the verdict */
	return verdict(ts);
}

jd_status jd_test_report_finish(struct jd_test_scheduler *ts)
{
	if (!jd_test_choice_end(ts))
		headline(ts, "the choice file could not be written");
	fflush(ts->options.report);
	return jd_scheduler_destroy(&ts->base);
}

/* --- Dump -------------------------------------------------------------------------------- */

void jd_test_report_dump(struct jd_scheduler *base, FILE *out)
{
	struct jd_test_scheduler *ts = jd_container_of(base, struct jd_test_scheduler, base);
	static const char *const phases[] = {"open", "closed", "shut down"};

	jd_lock_acquire(&ts->lock);
	size_t background = ts->background.count, third = ts->deprioritized.count;
	size_t active = ts->sessions.active_count, sessions = ts->sessions.count;
	size_t due = ts->timers.due_count, armed = ts->timers.armed;
	const char *phase = phases[ts->phase];

	jd_lock_release(&ts->lock);
	fprintf(out,
		"  %s, seed %" PRIu64 ", virtual time %" PRIu64 " ns\n"
		"  queued: %zu background, %zu of %zu sessions, %zu due timers, "
		"%zu deprioritized; %zu timers armed\n",
		phase, ts->options.seed, jd_test_clock_now(ts), background, active, sessions, due,
		third, armed);
	if (!jd_test_is_owner(ts))
		return;
	fprintf(out, "  %" PRIu64 " steps, %" PRIu64 " choices, trace %016" PRIx64 "\n", ts->steps,
		ts->choices, jd_test_trace_hash(ts));
	unsigned number = 0;

	for (const struct jd_test_frame *frame = ts->frames; frame; frame = frame->outer)
		print_frame(ts, frame, ++number, out);
}
