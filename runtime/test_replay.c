/* test_replay.c - the provider that answers from a log, and the reader of choice files. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/test_choice.h>

#include <inttypes.h>
#include <stdlib.h>

#include "runtime/memory.h"

static jd_status replay_choose(struct jd_choice_provider *provider, struct jd_test_scheduler *ts,
			       enum jd_choice_kind kind, uint64_t n, uint64_t *picked)
{
	struct jd_choice_replay *self = jd_container_of(provider, struct jd_choice_replay, base);

	(void)ts;
	if (self->next == self->count)
		return JD_ENOENT;
	const struct jd_choice *choice = &self->choices[self->next];

	if (choice->kind != kind || choice->n != n)
		return JD_ENONDET;
	self->next++;
	*picked = choice->picked;
	return JD_OK;
}

void jd_choice_replay_init(struct jd_choice_replay *self, const struct jd_choice *choices,
			   size_t count, uint64_t seed)
{
	*self = (struct jd_choice_replay){
		.base = {replay_choose},
		.choices = choices,
		.count = count,
		.seed = seed,
	};
}

void jd_choice_replay_fini(struct jd_choice_replay *self)
{
	if (self->_allocator)
		jd_memory_free(self->_allocator, self->_owned,
			       self->_capacity * sizeof(*self->_owned), alignof(struct jd_choice));
	*self = (struct jd_choice_replay){0};
}

/* --- Reading ----------------------------------------------------------------------------- */

static bool kind_of(char letter, enum jd_choice_kind *kind)
{
	switch (letter) {
#define JD_CHOICE_KIND_OF(name, letter_, text) \
	case letter_:                          \
		*kind = name;                  \
		return true;
		JD_CHOICE_MAP(JD_CHOICE_KIND_OF)
#undef JD_CHOICE_KIND_OF
	default:
		return false;
	}
}

static jd_status append(struct jd_choice_replay *self, const struct jd_choice *choice)
{
	if (self->count == self->_capacity) {
		size_t capacity = self->_capacity ? self->_capacity * 2 : 256;
		struct jd_choice *bigger = jd_memory_zalloc(
			self->_allocator, capacity, sizeof(*bigger), alignof(struct jd_choice));

		if (!bigger)
			return JD_ENOMEM;
		if (self->count)
			memcpy(bigger, self->_owned, self->count * sizeof(*bigger));
		jd_memory_free(self->_allocator, self->_owned, self->_capacity * sizeof(*bigger),
			       alignof(struct jd_choice));
		self->_owned = bigger;
		self->choices = bigger;
		self->_capacity = capacity;
	}
	self->_owned[self->count++] = *choice;
	return JD_OK;
}

static jd_status read_end(struct jd_choice_replay *self, const char *line)
{
	uint64_t count, hash;

	if (sscanf(line, "end %" SCNu64 " %" SCNx64, &count, &hash) != 2 || count != self->count)
		return JD_EINVAL;
	self->complete = true;
	self->hash = hash;
	return JD_OK;
}

/* A line after the first two. */
static jd_status read_line(struct jd_choice_replay *self, const char *line)
{
	struct jd_choice choice;
	char letter;

	if (self->complete)
		return JD_EINVAL;
	if (strncmp(line, "name ", 5) == 0) {
		if (self->count)
			return JD_EINVAL;
		snprintf(self->name, sizeof(self->name), "%.*s", (int)strcspn(line + 5, "\n"),
			 line + 5);
		return JD_OK;
	}
	if (strncmp(line, "end ", 4) == 0)
		return read_end(self, line);
	if (sscanf(line, "%c %" SCNu64 " %" SCNu64, &letter, &choice.n, &choice.picked) != 3 ||
	    !kind_of(letter, &choice.kind) || choice.n == 1 ||
	    (choice.n && choice.picked >= choice.n))
		return JD_EINVAL;
	return append(self, &choice);
}

static jd_status read_file(struct jd_choice_replay *self, FILE *file)
{
	char line[256];
	unsigned version;

	if (!fgets(line, sizeof(line), file) || sscanf(line, "jackdaw-choices %u", &version) != 1 ||
	    version != 1)
		return JD_EINVAL;
	if (!fgets(line, sizeof(line), file) || sscanf(line, "seed %" SCNu64, &self->seed) != 1)
		return JD_EINVAL;
	while (fgets(line, sizeof(line), file)) {
		/* What a crash cut off is not a choice that was made. */
		if (!strchr(line, '\n') && feof(file))
			break;
		jd_status status = read_line(self, line);

		if (status != JD_OK)
			return status;
	}
	return ferror(file) ? JD_EINVAL : JD_OK;
}

jd_status jd_choice_replay_open(struct jd_choice_replay *self, const char *path,
				const struct jd_allocator *allocator)
{
	if (!self || !path)
		return JD_EINVAL;
	jd_choice_replay_init(self, NULL, 0, 0);
	self->_allocator = allocator ? allocator : jd_allocator_default();
	FILE *file = fopen(path, "r");

	if (!file)
		return JD_ENOENT;
	jd_status status = read_file(self, file);

	fclose(file);
	if (status != JD_OK)
		jd_choice_replay_fini(self);
	return status;
}
