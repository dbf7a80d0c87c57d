/* test_choice.c - choose(): who answers, and how answers are recorded, hashed and replayed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/test_scheduler.h"

#include <inttypes.h>

#include "runtime/memory.h"

/* --- Seeded ------------------------------------------------------------------------------ */

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static uint64_t xoshiro256(uint64_t s[4])
{
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t jd_choice_seeded_next(struct jd_choice_seeded *self)
{
	uint32_t at = self->_at++ % JD_CHOICE_AHEAD;
	uint64_t result = self->_next[at];

	self->_next[at] = xoshiro256(self->_state);
	return result;
}

uint64_t jd_choice_seeded_peek(const struct jd_choice_seeded *self, uint32_t i)
{
	return self->_next[(self->_at + i) % JD_CHOICE_AHEAD];
}

static uint64_t below_small(struct jd_choice_seeded *self, uint32_t n)
{
	uint64_t product = (jd_choice_seeded_next(self) >> 32) * n;

	/* The division is needed only when the low half falls into the unfair part, or near it. */
	if ((uint32_t)product < n) {
		uint32_t unfair = (uint32_t)(0 - n) % n;

		while ((uint32_t)product < unfair)
			product = (jd_choice_seeded_next(self) >> 32) * n;
	}
	return product >> 32;
}

uint64_t jd_choice_seeded_below(struct jd_choice_seeded *self, uint64_t n)
{
	if (n == 0)
		return jd_choice_seeded_next(self);
	if (n <= UINT32_MAX)
		return below_small(self, (uint32_t)n);

	uint64_t mask = n - 1, x;

	for (unsigned shift = 1; shift < 64; shift *= 2)
		mask |= mask >> shift;
	do
		x = jd_choice_seeded_next(self) & mask;
	while (x >= n);
	return x;
}

static jd_status seeded_choose(struct jd_choice_provider *provider, struct jd_test_scheduler *ts,
			       enum jd_choice_kind kind, uint64_t n, uint64_t *picked)
{
	(void)ts;
	(void)kind;
	*picked =
		jd_choice_seeded_below(jd_container_of(provider, struct jd_choice_seeded, base), n);
	return JD_OK;
}

void jd_choice_seeded_init(struct jd_choice_seeded *self, uint64_t seed)
{
	self->base.choose = seeded_choose;
	for (size_t i = 0; i < 4; i++)
		self->_state[i] = splitmix64(&seed);
	self->_at = 0;
	for (size_t i = 0; i < JD_CHOICE_AHEAD; i++)
		self->_next[i] = xoshiro256(self->_state);
}

/* --- The trace --------------------------------------------------------------------------- */

void jd_test_choice_trace(struct jd_test_scheduler *ts, unsigned what, uint64_t value)
{
	/* For every value a bijection of the hash: what differed once differs for ever. */
	ts->hash = (rotate_left(ts->hash, 23) ^ value ^ ((uint64_t)what << 56)) *
		   UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t jd_test_choice_hash_text(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; text && *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t jd_test_trace_hash(const struct jd_test_scheduler *ts)
{
	/* Spreads the last values over all bits. */
	return ts->hash ^ (ts->hash >> 32);
}

/* --- Recording --------------------------------------------------------------------------- */

char jd_test_choice_letter(enum jd_choice_kind kind)
{
	static const char letters[] = {
#define JD_CHOICE_LETTER(name, letter, text) [name] = (letter),
		JD_CHOICE_MAP(JD_CHOICE_LETTER)
#undef JD_CHOICE_LETTER
	};

	return letters[kind];
}

static jd_status record_open(struct jd_test_scheduler *ts)
{
	if (!ts->options.record_path)
		return JD_OK;
	FILE *file = fopen(ts->options.record_path, "w");

	if (!file)
		return JD_ENOENT;
	/* By line: a crash leaves every choice up to it in the file. */
	setvbuf(file, NULL, _IOLBF, BUFSIZ);
	fprintf(file, "jackdaw-choices 1\nseed %" PRIu64 "\n", ts->options.seed);
	if (ts->options.name)
		fprintf(file, "name %s\n", ts->options.name);
	ts->record.file = file;
	return JD_OK;
}

static void log_append(struct jd_test_scheduler *ts, const struct jd_choice *choice)
{
	struct jd_test_log *log = &ts->log;

	if (log->count == log->capacity) {
		size_t capacity = log->capacity ? log->capacity * 2 : 256;
		struct jd_choice *items = jd_memory_zalloc(
			ts->base.allocator, capacity, sizeof(*items), alignof(struct jd_choice));

		if (!items) {
			log->failed = true;
			return;
		}
		if (log->count)
			memcpy(items, log->items, log->count * sizeof(*items));
		jd_memory_free(ts->base.allocator, log->items, log->capacity * sizeof(*items),
			       alignof(struct jd_choice));
		log->items = items;
		log->capacity = capacity;
	}
	log->items[log->count++] = *choice;
}

static void note(struct jd_test_scheduler *ts, enum jd_choice_kind kind, uint64_t n,
		 uint64_t picked)
{
	jd_test_choice_trace(ts, JD_TEST_TRACE_CHOICE, ((uint64_t)kind << 48) ^ n);
	jd_test_choice_trace(ts, JD_TEST_TRACE_CHOICE, picked);
	ts->choices++;
	if (ts->record.file)
		fprintf(ts->record.file, "%c %" PRIu64 " %" PRIu64 "\n",
			jd_test_choice_letter(kind), n, picked);
	if (ts->options.keep_choices && !ts->log.failed)
		log_append(ts, &(struct jd_choice){kind, n, picked});
}

const struct jd_choice *jd_test_choices(const struct jd_test_scheduler *ts, size_t *count)
{
	*count = ts->log.count;
	return ts->log.items;
}

jd_status jd_test_choice_init(struct jd_test_scheduler *ts)
{
	jd_choice_seeded_init(&ts->seeded, ts->options.seed);
	ts->provider = ts->options.provider ? ts->options.provider : &ts->seeded.base;
	return record_open(ts);
}

bool jd_test_choice_end(struct jd_test_scheduler *ts)
{
	FILE *file = ts->record.file;

	if (!file)
		return true;
	ts->record.file = NULL;
	fprintf(file, "end %" PRIu64 " %" PRIx64 "\n", ts->choices, jd_test_trace_hash(ts));
	bool good = !ferror(file);

	return fclose(file) == 0 && good;
}

void jd_test_choice_fini(struct jd_test_scheduler *ts)
{
	if (ts->record.file)
		fclose(ts->record.file);
	jd_memory_free(ts->base.allocator, ts->log.items, ts->log.capacity * sizeof(*ts->log.items),
		       alignof(struct jd_choice));
}

/* --- Choosing ---------------------------------------------------------------------------- */

/* The provider has no answer: the seed takes over, and the verdict will say so. */
static JD_COLD void provider_failed(struct jd_test_scheduler *ts, jd_status status,
				    enum jd_choice_kind kind, uint64_t n)
{
	ts->provider = &ts->seeded.base;
	ts->provider_error = status;
	fprintf(jd_test_report_file(ts),
		"jackdaw: choice %" PRIu64 " (%c of %" PRIu64 ") has no answer: %s; "
		"the seed decides from here\n",
		ts->choices, jd_test_choice_letter(kind), n,
		status == JD_ENOENT    ? "nothing recorded is left"
		: status == JD_ENONDET ? "the run differs from the recorded one"
				       : jd_status_text(status));
}

uint64_t jd_test_choice_ask(struct jd_test_scheduler *ts, enum jd_choice_kind kind, uint64_t n)
{
	uint64_t picked;

	if (n == 1)
		return 0;
	/* Drawn always, so that after a replay the seed goes on as in the recorded run. */
	uint64_t seeded = jd_choice_seeded_below(&ts->seeded, n);

	picked = seeded;
	if (JD_UNLIKELY(ts->provider != &ts->seeded.base)) {
		ts->picking = kind == JD_CHOICE_RUN;
		jd_status status = ts->provider->choose(ts->provider, ts, kind, n, &picked);

		ts->picking = false;
		if (status == JD_OK && n && picked >= n)
			status = JD_ERANGE;
		if (status != JD_OK) {
			provider_failed(ts, status, kind, n);
			picked = seeded;
		}
	}
	note(ts, kind, n, picked);
	return picked;
}

uint64_t jd_test_rng(struct jd_test_scheduler *ts)
{
	return ts ? jd_test_choice_ask(ts, JD_CHOICE_USER, 0) : 0;
}

uint64_t jd_test_choose(struct jd_test_scheduler *ts, uint64_t n)
{
	return ts && n > 1 ? jd_test_choice_ask(ts, JD_CHOICE_USER, n) : 0;
}
