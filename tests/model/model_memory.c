/* model_memory.c - the memory of the explorer: stores, what each thread knows of them, races. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/model_internal.h"

enum {
	THREADS = MODEL_ALL_THREADS,
	LOCATIONS = 96,
	STORES = 1024, /* of one execution */
	HISTORY = 64,  /* of one location */
	PLAIN = 64,
	REGIONS = 32,
	HASH = 512,
	NOWHERE = LOCATIONS, /* where plain memory is: no location */
};

/*
 * What a thread knows: for each location the oldest store it may still read, for each thread how
 * many of its events happened before. A release store keeps a copy for those who acquire it.
 */
struct view {
	uint32_t clock[THREADS];
	uint16_t oldest[LOCATIONS];
};

struct store {
	uint64_t value;
	bool defined;  /* false: memory as it was allocated */
	bool released; /* `view` is passed to who acquires */
	uint8_t thread;
	struct view view;
};

struct location {
	const void *address;
	const char *name; /* as it was first spelled */
	uint16_t size;
	uint16_t n; /* stores */
	uint8_t init_thread;
	uint32_t init_clock;       /* the initialisation: must happen before every access */
	uint32_t used[THREADS];    /* the last access of each thread */
	uint16_t history[HISTORY]; /* into stores[], oldest first */
};

/* Plain memory known to the race detector. */
struct plain {
	const void *address;
	uint8_t write_thread;
	uint32_t write_clock;
	uint32_t read_clock[THREADS];
};

struct region {
	unsigned char *start;
	size_t size;
	bool freed;
};

static struct {
	struct view views[THREADS];
	struct store stores[STORES];
	struct location locations[LOCATIONS];
	struct plain plain[PLAIN];
	struct region regions[REGIONS], defined[REGIONS];
	unsigned n_stores, n_locations, n_plain, n_regions, n_defined;
	unsigned stale;      /* budget that is left */
	uint16_t hash[HASH]; /* location + 1; valid if stamp[] is this execution */
	uint32_t stamp[HASH], execution;
} m;

/* --- Views --------------------------------------------------------------------------------- */

static void view_join(struct view *into, const struct view *from)
{
	for (unsigned t = 0; t < THREADS; t++)
		into->clock[t] = into->clock[t] > from->clock[t] ? into->clock[t] : from->clock[t];
	for (unsigned i = 0; i < m.n_locations; i++)
		into->oldest[i] = into->oldest[i] > from->oldest[i] ? into->oldest[i]
								    : from->oldest[i];
}

static void view_copy(struct view *into, const struct view *from)
{
	memcpy(into->clock, from->clock, sizeof(into->clock));
	memcpy(into->oldest, from->oldest, m.n_locations * sizeof(into->oldest[0]));
}

static bool knows(const struct view *view, unsigned thread, uint32_t clock)
{
	return view->clock[thread] >= clock;
}

static bool acquires(int order)
{
	return order == ACQ || order == AR || order == SC;
}

static bool releases(int order)
{
	return order == REL || order == AR || order == SC;
}

/* Thread t begins an event at a location (or NOWHERE); it ends when it learnt what is there. */
static void event_begin(unsigned t, unsigned location)
{
	model_order_event(t, location, ++m.views[t].clock[t]);
}

static void event_end(unsigned t, unsigned location)
{
	model_order_event_end(t, location, m.views[t].clock);
}

/* --- Locations ----------------------------------------------------------------------------- */

static struct region *find_region(struct region *regions, unsigned n, const void *address)
{
	const unsigned char *p = address;

	while (n-- > 0)
		if (p >= regions[n].start && p < regions[n].start + regions[n].size)
			return &regions[n];
	return NULL;
}

static struct region *region_of(const void *address)
{
	return find_region(m.regions, m.n_regions, address);
}

static void check_alive(const struct model_site *site, const void *address)
{
	const struct region *region = region_of(address);

	if (region && region->freed)
		model_fail("use after free: %s %s in %s:%d", site->op, site->object, site->func,
			   site->line);
}

static struct location *location_find(const void *address, bool *is_new)
{
	unsigned h = (unsigned)(((uintptr_t)address >> 2) * 0x9e3779b1u) % HASH;
	struct location *l;

	for (; m.stamp[h] == m.execution; h = (h + 1) % HASH) {
		l = &m.locations[m.hash[h] - 1];
		if (l->address == address) {
			*is_new = false;
			return l;
		}
	}
	if (m.n_locations == LOCATIONS)
		model_fail("the explorer has room for %d locations only", LOCATIONS);
	m.stamp[h] = m.execution;
	m.hash[h] = (uint16_t)(m.n_locations + 1);
	/* Views are not cleared as they are made: a location starts unknown to all of them. */
	for (unsigned t = 0; t < THREADS; t++)
		m.views[t].oldest[m.n_locations] = 0;
	for (unsigned s = 0; s < m.n_stores; s++)
		m.stores[s].view.oldest[m.n_locations] = 0;
	l = &m.locations[m.n_locations++];
	*is_new = true;
	return l;
}

/* A store at the end of the location's order. */
static struct store *append(struct location *l, unsigned thread, uint64_t value)
{
	struct store *s;

	if (m.n_stores == STORES || l->n == HISTORY)
		model_fail("the explorer has no room for more stores (%s)", l->name);
	l->history[l->n++] = (uint16_t)m.n_stores;
	s = &m.stores[m.n_stores++];
	s->value = l->size == 8 ? value : value & (((uint64_t)1 << 8 * l->size) - 1);
	s->defined = true;
	s->released = false;
	s->thread = (uint8_t)thread;
	return s;
}

static struct store *newest(const struct location *l)
{
	return &m.stores[l->history[l->n - 1]];
}

/* Finds or makes the location; its first store is then memory nobody initialised. */
static struct location *locate(const struct model_site *site, const void *address, size_t size)
{
	bool is_new;
	struct location *l = location_find(address, &is_new);

	check_alive(site, address);
	if (is_new) {
		l->address = address;
		l->name = site->object;
		l->size = (uint16_t)size;
		l->n = 0;
		l->init_thread = 0;
		l->init_clock = 0;
		memset(l->used, 0, sizeof(l->used));
		append(l, 0, 0)->defined = false;
		if (find_region(m.defined, m.n_defined, address)) {
			memcpy(&newest(l)->value, address, size);
			newest(l)->defined = true;
		}
	}
	return l;
}

static unsigned number_of(const struct location *l)
{
	return (unsigned)(l - m.locations);
}

/* Every access to a location begins here: one event of the thread. */
static struct location *touch(const struct model_site *site, const void *address, size_t size)
{
	const unsigned t = model_self();
	struct location *l = locate(site, address, size);

	if (!knows(&m.views[t], l->init_thread, l->init_clock))
		model_fail("race: %s %s in %s:%d with its initialisation", site->op, site->object,
			   site->func, site->line);
	event_begin(t, number_of(l));
	l->used[t] = m.views[t].clock[t];
	return l;
}

/* --- Loads --------------------------------------------------------------------------------- */

/* What thread t would know after reading s. */
static void learn(struct view *view, const struct location *l, unsigned store, int order)
{
	const struct store *s = &m.stores[l->history[store]];

	if (acquires(order) && s->released)
		view_join(view, &s->view);
	if (view->oldest[number_of(l)] < store)
		view->oldest[number_of(l)] = (uint16_t)store;
}

static bool may_read(const struct location *l, unsigned store, unsigned t, int order)
{
	struct view after;

	if (order != SC)
		return true;
	view_copy(&after, &m.views[t]);
	learn(&after, l, store, order);
	return model_order_may_read(t, number_of(l), store, after.clock);
}

/*
 * Chooses the store that a load returns, the newest first; `but` (a value, or NULL) is excluded
 * for a CAS that fails. Returns its number.
 */
static unsigned choose_store(const struct location *l, unsigned t, int order, const uint64_t *but)
{
	uint16_t options[HISTORY];
	unsigned n = 0, picked;

	for (unsigned i = l->n; i-- > m.views[t].oldest[number_of(l)];) {
		const struct store *s = &m.stores[l->history[i]];

		if (but && s->defined && s->value == *but)
			continue;
		if (i == l->n - 1u || (m.stale > 0 && may_read(l, i, t, order)))
			options[n++] = (uint16_t)i;
	}
	/* For a failing CAS the newest was not excluded, so there is always one. */
	picked = model_pick(n, &m.stale);
	if (options[picked] != l->n - 1u)
		model_note_stale();
	return options[picked];
}

static uint64_t read_store(const struct model_site *site, struct location *l, unsigned store,
			   int order)
{
	const unsigned t = model_self();
	const struct store *s = &m.stores[l->history[store]];

	if (!s->defined)
		model_fail("uninitialised: %s %s in %s:%d", site->op, site->object, site->func,
			   site->line);
	learn(&m.views[t], l, store, order);
	if (order == SC)
		model_order_add(t, number_of(l), store, m.views[t].clock, false);
	event_end(t, number_of(l));
	if (model_tracing())
		model_trace(site, "= %" PRIx64 " order %d%s", s->value, order,
			    store + 1u < l->n ? " (old)" : "");
	return s->value;
}

uint64_t model_load(struct model_site site, const void *object, size_t size, int order)
{
	const struct model_mutation *change = model_mutation_at(&site);
	struct location *l;

	model_point(&site);
	l = touch(&site, object, size);
	if (change && change->change == MODEL_ORDER)
		order = change->order;
	return read_store(&site, l, choose_store(l, model_self(), order, NULL), order);
}

uint64_t model_memory_newest(const void *object)
{
	const struct model_site site = {"model_wait", "wait", "word", 0};
	struct location *l = touch(&site, object, sizeof(uint32_t));

	/* The system reads on behalf of the thread, which cannot go back behind that. */
	learn(&m.views[model_self()], l, l->n - 1u, RLX);
	event_end(model_self(), number_of(l));
	return newest(l)->value;
}

void model_memory_refresh(void)
{
	for (unsigned i = 0; i < m.n_locations; i++)
		m.views[model_self()].oldest[i] = (uint16_t)(m.locations[i].n - 1);
}

/* --- Stores -------------------------------------------------------------------------------- */

/* Appends a store of the calling thread; from is the store a read-modify-write read, or NULL. */
static void write_store(const struct model_site *site, struct location *l, uint64_t value,
			int order, const struct store *from)
{
	const unsigned t = model_self();
	struct view *view = &m.views[t];
	struct store *s = append(l, t, value);

	view->oldest[number_of(l)] = (uint16_t)(l->n - 1);
	s->released = releases(order) || (from && from->released);
	if (releases(order))
		view_copy(&s->view, view);
	else if (s->released)
		view_copy(&s->view, &from->view);
	if (releases(order) && from && from->released)
		view_join(&s->view, &from->view);
	if (order == SC)
		model_order_add(t, number_of(l), l->n - 1u, view->clock, true);
	event_end(t, number_of(l));
	model_note_store();
	if (model_tracing())
		model_trace(site, ":= %" PRIx64 " order %d", s->value, order);
}

void model_store(struct model_site site, const void *object, size_t size, uint64_t value, int order)
{
	const struct model_mutation *change = model_mutation_at(&site);
	struct location *l;

	model_point(&site);
	l = touch(&site, object, size);
	if (change && change->change == MODEL_SKIP)
		return;
	if (change && change->change == MODEL_ORDER)
		order = change->order;
	write_store(&site, l, value, order, NULL);
}

void model_init(struct model_site site, const void *object, size_t size, uint64_t value)
{
	const struct model_mutation *change = model_mutation_at(&site);
	const unsigned t = model_self();
	struct location *l = locate(&site, object, size);

	if (change && change->change == MODEL_SKIP)
		return;
	if (l->n > 1)
		model_fail("%s is initialised after it was stored to", site.object);
	newest(l)->value = size == 8 ? value : value & (((uint64_t)1 << 8 * size) - 1);
	newest(l)->defined = true;
	l->init_thread = (uint8_t)t;
	event_begin(t, number_of(l));
	l->init_clock = l->used[t] = m.views[t].clock[t];
	event_end(t, number_of(l));
}

/* --- Read-modify-writes -------------------------------------------------------------------- */

static uint64_t apply(enum model_op op, uint64_t old, uint64_t operand)
{
	switch (op) {
	case MODEL_OP_EXCHANGE:
		return operand;
	case MODEL_OP_ADD:
		return old + operand;
	case MODEL_OP_SUB:
		return old - operand;
	case MODEL_OP_OR:
		return old | operand;
	case MODEL_OP_AND:
		return old & operand;
	}
	return 0;
}

/* Reads the newest store and appends the next, as one step. */
static uint64_t update(const struct model_site *site, struct location *l, uint64_t value,
		       enum model_op op, int order)
{
	const struct store *from = newest(l);
	const uint64_t old = from->value;

	if (!from->defined)
		model_fail("uninitialised: %s %s in %s:%d", site->op, site->object, site->func,
			   site->line);
	learn(&m.views[model_self()], l, l->n - 1u, order);
	write_store(site, l, apply(op, old, value), order, from);
	return old;
}

uint64_t model_rmw(struct model_site site, const void *object, size_t size, enum model_op op,
		   uint64_t operand, int order)
{
	const struct model_mutation *change = model_mutation_at(&site);
	struct location *l;
	uint64_t old;

	model_point(&site);
	l = touch(&site, object, size);
	if (change && change->change == MODEL_ORDER)
		order = change->order;
	if (!change || change->change == MODEL_ORDER)
		return update(&site, l, operand, op, order);
	old = read_store(&site, l, choose_store(l, model_self(), order, NULL), order);
	if (change->change == MODEL_SPLIT) {
		model_point(&site);
		write_store(&site, touch(&site, object, size), apply(op, old, operand), order,
			    NULL);
	}
	return old;
}

_Bool model_cas(struct model_site site, const void *object, size_t size, void *expected,
		uint64_t desired, int success, int failure)
{
	const struct model_mutation *change = model_mutation_at(&site);
	uint64_t want = 0, saw;
	struct location *l;

	memcpy(&want, expected, size); /* little-endian, as the objects' sizes differ */
	model_point(&site);
	l = touch(&site, object, size);
	if (change && change->change == MODEL_ORDER)
		success = change->order;
	/* A compare that is right about the newest succeeds; it could fail on an older one. */
	if (newest(l)->value == want) {
		if (change && change->change == MODEL_SPLIT) {
			read_store(&site, l, l->n - 1u, success);
			model_point(&site);
			write_store(&site, touch(&site, object, size), desired, success, NULL);
		} else {
			update(&site, l, desired, MODEL_OP_EXCHANGE, success);
		}
		return 1;
	}
	saw = read_store(&site, l, choose_store(l, model_self(), failure, &want), failure);
	memcpy(expected, &saw, size);
	return 0;
}

/* --- Plain memory -------------------------------------------------------------------------- */

static struct plain *plain_of(const void *address)
{
	struct plain *p;

	for (unsigned i = 0; i < m.n_plain; i++)
		if (m.plain[i].address == address)
			return &m.plain[i];
	if (m.n_plain == PLAIN)
		model_fail("the explorer has room for %d plain objects only", PLAIN);
	p = &m.plain[m.n_plain++];
	memset(p, 0, sizeof(*p));
	p->address = address;
	return p;
}

static struct plain *plain_touch(const void *address, const char *what)
{
	static const struct model_site site = {"the test", "plain access", "", 0};
	struct view *view = &m.views[model_self()];
	struct plain *p = plain_of(address);

	check_alive(&site, address);
	if (!knows(view, p->write_thread, p->write_clock))
		model_fail("race: thread %u %s plain memory that thread %u wrote", model_self(),
			   what, p->write_thread);
	event_begin(model_self(), NOWHERE);
	event_end(model_self(), NOWHERE);
	return p;
}

void model_read(const void *address)
{
	const unsigned t = model_self();
	struct plain *p = plain_touch(address, "reads");

	p->read_clock[t] = m.views[t].clock[t];
}

void model_write(const void *address)
{
	const unsigned t = model_self();
	struct plain *p = plain_touch(address, "writes");

	for (unsigned u = 0; u < THREADS; u++)
		if (!knows(&m.views[t], u, p->read_clock[u]))
			model_fail("race: thread %u writes plain memory that thread %u reads", t,
				   u);
	p->write_thread = (uint8_t)t;
	p->write_clock = m.views[t].clock[t];
}

/* --- The heap ------------------------------------------------------------------------------ */

void model_defined(const void *start, size_t size)
{
	if (m.n_defined == REGIONS)
		model_fail("the explorer has room for %d defined regions only", REGIONS);
	m.defined[m.n_defined++] = (struct region){(unsigned char *)(uintptr_t)start, size, false};
}

static void *model_alloc(void *ctx, size_t size, size_t align)
{
	struct region *r;

	(void)ctx;
	if (m.n_regions == REGIONS)
		model_fail("the explorer has room for %d allocations only", REGIONS);
	r = &m.regions[m.n_regions];
	r->start = aligned_alloc(align, (size + align - 1) / align * align);
	if (!r->start)
		model_fail("the machine is out of memory");
	r->size = size;
	r->freed = false;
	m.n_regions++;
	return r->start;
}

/* Everybody who used it must be known to be done with it. */
static void check_free(const uint32_t *used)
{
	for (unsigned u = 0; u < THREADS; u++)
		if (!knows(&m.views[model_self()], u, used[u]))
			model_fail("race: thread %u frees what thread %u uses", model_self(), u);
}

static void model_free(void *ctx, void *ptr, size_t size, size_t align)
{
	struct region *r = region_of(ptr);

	(void)ctx;
	(void)align;
	if (!r || r->start != ptr || r->size != size || r->freed)
		model_fail("free of what is not allocated so");
	for (unsigned i = 0; i < m.n_locations; i++)
		if (region_of(m.locations[i].address) == r)
			check_free(m.locations[i].used);
	r->freed = true; /* the memory itself is kept: its address must not come back */
}

const struct jd_allocator *model_allocator(void)
{
	static const struct jd_allocator allocator = {model_alloc, model_free, NULL};

	return &allocator;
}

/* --- Executions ---------------------------------------------------------------------------- */

void model_memory_begin(unsigned stale)
{
	m.execution++;
	m.n_stores = m.n_locations = m.n_plain = m.n_defined = 0;
	m.stale = stale;
	memset(m.views, 0, sizeof(m.views));
	model_order_begin();
}

void model_memory_fork(unsigned t)
{
	m.views[0].clock[0]++;
	view_copy(&m.views[t], &m.views[0]);
}

void model_memory_join(unsigned t)
{
	view_join(&m.views[0], &m.views[t]);
}

void model_memory_end(bool leaks)
{
	unsigned live = 0;

	for (unsigned i = 0; i < m.n_regions; i++) {
		live += !m.regions[i].freed;
		free(m.regions[i].start);
	}
	m.n_regions = 0;
	if (leaks && live)
		model_fail("%u allocations were not freed", live);
}
