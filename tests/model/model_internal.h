/* model_internal.h - what the two halves of the explorer know of each other. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_MODEL_MODEL_INTERNAL_H
#define JD_TESTS_MODEL_MODEL_INTERNAL_H

#include "tests/model/model.h"
#include "tests/model/model_atomic.h"

enum {
	MODEL_ALL_THREADS = MODEL_THREADS + 1
}; /* with the one of setup and finish */

/* --- model_explore.c: choices and threads -------------------------------------------------- */

/* A point where another thread may come first; called before each access. site may be NULL. */
void model_point(const struct model_site *site);

/* Picks an option; 0 is the plain one (the newest value). *budget, if any, pays for another. */
unsigned model_pick(unsigned options, unsigned *budget);

/* The mutation that applies at this access, or NULL. */
const struct model_mutation *model_mutation_at(const struct model_site *site);

/* True while the run is printed. */
bool model_tracing(void);
void model_trace(const struct model_site *site, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The calling thread stored something; its load was not of the newest value. */
void model_note_store(void);
void model_note_stale(void);

/* --- model_memory.c: values, views, races -------------------------------------------------- */

/* Forgets everything; stale is the budget of the execution that begins. */
void model_memory_begin(unsigned stale);

/* Thread t starts knowing what the main thread knows; the main thread learns what t knows. */
void model_memory_fork(unsigned t);
void model_memory_join(unsigned t);

/* The newest value of an atomic object, as the kernel sees it. */
uint64_t model_memory_newest(const void *object);

/* Old values are not read for ever: the caller has seen the newest of every location. */
void model_memory_refresh(void);

/* Frees what the execution left; fails when there was something and `leaks` are errors. */
void model_memory_end(bool leaks);

/* --- model_order.c: the order of seq_cst accesses ------------------------------------------ */

void model_order_begin(void);

/* Each event of a thread, seq_cst or not: when it begins and when all is known that it taught. */
void model_order_event(unsigned t, unsigned location, uint32_t clock);
void model_order_event_end(unsigned t, unsigned location, const uint32_t *clocks);

/* May a seq_cst load read this store, if the thread knows `clocks` after it? */
bool model_order_may_read(unsigned t, unsigned location, unsigned store, const uint32_t *clocks);

/* Enters a seq_cst access, between its event and event_end. A read-modify-write writes. */
void model_order_add(unsigned t, unsigned location, unsigned store, const uint32_t *clocks,
		     bool writes);

#endif
