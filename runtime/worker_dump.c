/* worker_dump.c - what the workers of a scheduler are doing, for people. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker.h"

static unsigned long long read_count(const _Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void jd_workers_dump(const struct jd_workers *all, FILE *out)
{
	static const char *const states[] = {"running", "dozing", "sleeping", "notified"};
	uint64_t next = jd_timekeeper_next(&all->timers);
	unsigned long long woken = 0, useful = 0;

	for (unsigned i = 0; i < all->count; i++) {
		const struct jd_worker *w = &all->workers[i];
		uint32_t word = atomic_load_explicit(&w->word, memory_order_relaxed);

		fprintf(out,
			"  worker %u %s: queued %zu run %llu stolen %llu injected %llu "
			"searches %llu parks %llu woken %llu useful %llu handed %llu\n",
			i, states[word % 4], jd_local_size(&w->local), read_count(&w->local.turns),
			read_count(&w->stats.stolen), read_count(&w->stats.injected),
			read_count(&w->stats.searches), read_count(&w->stats.parks),
			read_count(&w->stats.woken), read_count(&w->stats.useful),
			read_count(&w->stats.handed));
		woken += read_count(&w->stats.woken);
		useful += read_count(&w->stats.useful);
	}
	/* Read one after the other while workers go on: useful may be ahead for a moment. */
	fprintf(out, "  wake-ups sent %llu useful %llu spurious %llu\n", read_count(&all->wakes),
		useful, woken > useful ? woken - useful : 0);
	fprintf(out, "  ");
	jd_injector_dump(&all->injector, out);
	if (next != JD_NEVER)
		fprintf(out, "  next timer at %llu ns\n", (unsigned long long)next);
}
