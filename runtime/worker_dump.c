/* worker_dump.c - what the workers of a scheduler have done and are doing, for whoever looks. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker.h"

static uint64_t read_count(const _Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void jd_workers_stats(const struct jd_workers *all, unsigned first, unsigned end,
		      struct jd_ws_stats *stats)
{
	*stats = (struct jd_ws_stats){0};
	for (unsigned i = first; i < end; i++) {
		const struct jd_worker *w = &all->workers[i];
		/* Before what they are parts of, which can only be more then. */
		uint64_t useful = read_count(&w->stats.useful);
		uint64_t woken = read_count(&w->stats.woken);

		stats->run += read_count(&w->local.turns);
		stats->stolen += read_count(&w->stats.stolen);
		stats->injected += read_count(&w->stats.injected);
		stats->searches += read_count(&w->stats.searches);
		stats->dozes += read_count(&w->stats.dozes);
		stats->parks += read_count(&w->stats.parks);
		stats->handed_on += read_count(&w->stats.handed);
		stats->wakes_useful += useful;
		stats->wakes_spurious += woken > useful ? woken - useful : 0;
	}
	stats->wakes_sent = read_count(&all->wakes);
}

static unsigned long long shown(uint64_t n)
{
	return n;
}

void jd_workers_dump(const struct jd_workers *all, FILE *out)
{
	static const char *const states[] = {"running", "dozing", "sleeping", "notified"};
	uint64_t next = jd_timekeeper_next(&all->timers);
	struct jd_ws_stats s;

	for (unsigned i = 0; i < all->count; i++) {
		const struct jd_worker *w = &all->workers[i];
		uint32_t word = atomic_load_explicit(&w->word, memory_order_relaxed);

		jd_workers_stats(all, i, i + 1, &s);
		fprintf(out,
			"  worker %u %s: queued %zu run %llu stolen %llu injected %llu "
			"searches %llu dozes %llu parks %llu useful %llu spurious %llu "
			"handed %llu\n",
			i, states[word % 4], jd_local_size(&w->local), shown(s.run),
			shown(s.stolen), shown(s.injected), shown(s.searches), shown(s.dozes),
			shown(s.parks), shown(s.wakes_useful), shown(s.wakes_spurious),
			shown(s.handed_on));
	}
	jd_workers_stats(all, 0, all->count, &s);
	fprintf(out, "  wake-ups sent %llu useful %llu spurious %llu\n", shown(s.wakes_sent),
		shown(s.wakes_useful), shown(s.wakes_spurious));
	fprintf(out, "  ");
	jd_injector_dump(&all->injector, out);
	fprintf(out, "  ");
	jd_foreign_dump(&all->foreign, out);
	if (all->gate.capacity)
		fprintf(out, "  bound %llu from outside, room %llu\n",
			(unsigned long long)all->gate.capacity,
			(unsigned long long)read_count(&all->gate.room));
	if (next != JD_NEVER)
		fprintf(out, "  next timer at %llu ns\n", (unsigned long long)next);
}
