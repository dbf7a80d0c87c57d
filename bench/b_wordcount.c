/* b_wordcount.c - counts the words of a tree of files: blocking reads beside computing workers. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jackdaw/co.h>
#include <jackdaw/sync.h>
#include <jackdaw/task.h>

#include "bench/files.h"
#include "bench/os/dir.h"
#include "bench/run.h"
#include "bench/shim/jd_bench.h"

/*
 * One blocking task walks the tree and makes batches of files. Each batch is a coroutine: it waits
 * for a permit, which bounds the memory, has the files read by a blocking task, and counts words on
 * a worker. A word is a longest run of bytes other than ASCII white space. Compressed files count
 * with their bytes only; links are not followed; files that may not be read are left out.
 *
 * The answer comes from a serial walk with code of its own; the serial row uses the tasks' code.
 */
static const char tree_path[] = "/usr/share/doc";

enum {
	BATCH_BYTES = 1024 * 1024,
	BATCH_FILES = 64,
	BATCHES_READ = 8, /* in memory at once */
	PATH_BYTES = 4096,
};

struct counts {
	uint64_t files;
	uint64_t bytes;
	uint64_t words;
};

struct wordcount_data {
	struct bench_workload workload;
	struct bench_run run;
	struct jd_semaphore permits;
	struct counts answer;
	_Atomic(uint64_t) files; /* A */
	_Atomic(uint64_t) bytes; /* A */
	_Atomic(uint64_t) words; /* A */
};

static bool is_compressed(const char *path)
{
	size_t length = strlen(path);

	return length >= 3 && strcmp(path + length - 3, ".gz") == 0;
}

/* Writes DIRECTORY/NAME; false when that is too long, which nobody may pass over in silence. */
static bool join_path(char *path, const char *directory, const char *name)
{
	int length = snprintf(path, PATH_BYTES, "%s/%s", directory, name);

	return length > 0 && length < PATH_BYTES;
}

/* --- The answer ------------------------------------------------------------------------------- */

struct answer_walk {
	const char *path;
	struct counts *counts;
};

static void answer_file(const char *path, struct counts *counts)
{
	bool compressed = is_compressed(path);
	bool inside = false;
	FILE *file = fopen(path, "rb");
	int c;

	if (!file)
		return;
	counts->files++;
	while ((c = getc(file)) != EOF) {
		bool space = c == ' ' || (c >= '\t' && c <= '\r');

		counts->bytes++;
		if (!space && !inside && !compressed)
			counts->words++;
		inside = !space;
	}
	fclose(file);
}

static jd_status answer_entry(void *arg, const struct bench_dir_entry *entry)
{
	const struct answer_walk *walk = arg;
	char path[PATH_BYTES];

	if (!join_path(path, walk->path, entry->name))
		return JD_ERANGE;
	if (entry->is_dir) {
		struct answer_walk below = {path, walk->counts};
		jd_status status = bench_dir_each(path, answer_entry, &below);

		return status == JD_ENOENT ? JD_OK : status;
	}
	answer_file(path, walk->counts);
	return JD_OK;
}

static jd_status answer_count(struct counts *counts)
{
	struct answer_walk walk = {tree_path, counts};

	*counts = (struct counts){0, 0, 0};
	return bench_dir_each(tree_path, answer_entry, &walk);
}

/* --- A batch: read by a blocking task, counted on a worker ------------------------------------ */

struct batch_file {
	size_t path;  /* where it begins in paths */
	size_t bytes; /* read */
	bool readable;
};

struct batch {
	uint64_t expected_bytes;
	size_t count;
	struct batch_file files[BATCH_FILES];
	char *paths;
	size_t paths_bytes;
	char *content; /* of all files, one after the other */
	size_t content_bytes;
	size_t content_room;
};

static void batch_free(struct batch *batch)
{
	if (!batch)
		return;
	free(batch->paths);
	free(batch->content);
	free(batch);
}

static jd_status batch_add(struct batch *batch, const char *path, uint64_t bytes)
{
	size_t length = strlen(path) + 1;
	char *paths = realloc(batch->paths, batch->paths_bytes + length);

	if (!paths)
		return JD_ENOMEM;
	batch->paths = paths;
	memcpy(paths + batch->paths_bytes, path, length);
	batch->files[batch->count++].path = batch->paths_bytes;
	batch->paths_bytes += length;
	batch->expected_bytes += bytes;
	return JD_OK;
}

/* Room for at least one more byte, so that the end of a file is seen. */
static bool batch_grow(struct batch *batch)
{
	if (batch->content_bytes < batch->content_room)
		return true;
	size_t room = batch->content_room ? batch->content_room * 2
					  : (size_t)batch->expected_bytes + 1;
	char *content = realloc(batch->content, room);

	if (!content)
		return false;
	batch->content = content;
	batch->content_room = room;
	return true;
}

static bool batch_read_file(struct batch *batch, struct batch_file *entry)
{
	FILE *file = fopen(batch->paths + entry->path, "rb");
	size_t begin = batch->content_bytes;
	bool grown;

	if (!file)
		return true;
	setbuf(file, NULL); /* the buffer is ours */
	entry->readable = true;
	while ((grown = batch_grow(batch))) {
		size_t room = batch->content_room - batch->content_bytes;
		size_t got = fread(batch->content + batch->content_bytes, 1, room, file);

		batch->content_bytes += got;
		if (got < room)
			break;
	}
	entry->bytes = batch->content_bytes - begin;
	fclose(file);
	return grown;
}

/* Runs where it may block. NULL: no memory. */
static void *batch_read(void *arg)
{
	struct batch *batch = arg;

	for (size_t i = 0; i < batch->count; i++)
		if (!batch_read_file(batch, &batch->files[i]))
			return NULL;
	return batch;
}

static uint64_t count_words(const char *text, size_t bytes)
{
	static const bool space[256] = {[' '] = true,  ['\t'] = true, ['\n'] = true,
					['\v'] = true, ['\f'] = true, ['\r'] = true};
	uint64_t words = 0;
	bool before = true;

	for (size_t i = 0; i < bytes; i++) {
		bool now = space[(unsigned char)text[i]];

		words += before && !now;
		before = now;
	}
	return words;
}

static void batch_count(struct wordcount_data *data, const struct batch *batch)
{
	struct counts counts = {0, 0, 0};
	const char *text = batch->content;

	for (size_t i = 0; i < batch->count; i++) {
		const struct batch_file *file = &batch->files[i];

		if (!file->readable)
			continue;
		counts.files++;
		counts.bytes += file->bytes;
		if (!is_compressed(batch->paths + file->path))
			counts.words += count_words(text, file->bytes);
		text += file->bytes;
	}
	atomic_fetch_add_explicit(&data->files, counts.files, memory_order_relaxed);
	atomic_fetch_add_explicit(&data->bytes, counts.bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&data->words, counts.words, memory_order_relaxed);
}

/* The run waits for every part, so none of these is dropped before its end. */
struct batch_task {
	struct jd_co co;
	struct wordcount_data *data;
	struct batch *batch;
	struct jd_semaphore_acquire acquire;
	struct jd_task *reader;
};

static JD_CO_FN jd_status batch_poll(struct jd_future *future, struct jd_context *context,
				     void *result)
{
	struct batch_task *self = jd_container_of(future, struct batch_task, co.base);
	void *read = NULL;
	jd_status status;

	(void)result;
	JD_CO_BEGIN(&self->co, context);
	jd_semaphore_acquire_init(&self->acquire, &self->data->permits, 1);
	JD_CO_AWAIT(status, &self->acquire.base, NULL);
	if (status == JD_OK)
		status = jd_spawn_blocking(context->scheduler, batch_read, self->batch,
					   &self->reader);
	if (status == JD_OK)
		JD_CO_AWAIT_TASK(status, self->reader, &read);
	if (status == JD_OK && read)
		batch_count(self->data, self->batch);
	else
		bench_run_error(&self->data->run, status == JD_OK ? JD_ENOMEM : status);
	batch_free(self->batch);
	jd_semaphore_release(&self->data->permits, 1);
	bench_join_finish(&self->data->run.join);
	JD_CO_END(status);
}

/* --- The walk, on a thread that may block ----------------------------------------------------- */

struct walk {
	struct wordcount_data *data;
	struct jd_scheduler *scheduler; /* NULL: the walk does all itself */
	struct batch *batch;
	const char *path;
};

/* On an error the batch is still the caller's. */
static jd_status batch_spawn(struct wordcount_data *data, struct jd_scheduler *scheduler,
			     struct batch *batch)
{
	static const struct jd_future_ops ops = {
		.poll = batch_poll, .drop = jd_co_drop, .size = sizeof(struct batch_task)};
	struct batch_task task = {.data = data, .batch = batch};

	jd_co_init(&task.co, &ops);
	return bench_run_spawn(&data->run, scheduler, &task.co.base);
}

static jd_status walk_flush(struct walk *walk)
{
	struct batch *batch = walk->batch;
	jd_status status = JD_OK;

	if (!batch)
		return JD_OK;
	walk->batch = NULL;
	if (walk->scheduler) {
		status = batch_spawn(walk->data, walk->scheduler, batch);
		if (status != JD_OK)
			batch_free(batch);
		return status;
	}
	if (batch_read(batch))
		batch_count(walk->data, batch);
	else
		status = JD_ENOMEM;
	batch_free(batch);
	return status;
}

static jd_status walk_file(struct walk *walk, const char *path, uint64_t bytes)
{
	if (walk->batch && (walk->batch->count == BATCH_FILES ||
			    walk->batch->expected_bytes + bytes > BATCH_BYTES)) {
		jd_status status = walk_flush(walk);

		if (status != JD_OK)
			return status;
	}
	if (!walk->batch)
		walk->batch = calloc(1, sizeof(*walk->batch));
	return walk->batch ? batch_add(walk->batch, path, bytes) : JD_ENOMEM;
}

static jd_status walk_entry(void *arg, const struct bench_dir_entry *entry)
{
	struct walk *walk = arg;
	const char *above = walk->path;
	char path[PATH_BYTES];

	if (!join_path(path, above, entry->name))
		return JD_ERANGE;
	if (!entry->is_dir)
		return walk_file(walk, path, entry->bytes);
	walk->path = path;
	jd_status status = bench_dir_each(path, walk_entry, walk);

	walk->path = above;
	return status == JD_ENOENT ? JD_OK : status;
}

static jd_status walk_all(struct walk *walk)
{
	walk->path = tree_path;
	jd_status status = bench_dir_each(tree_path, walk_entry, walk);

	if (status == JD_OK)
		status = walk_flush(walk);
	batch_free(walk->batch);
	walk->batch = NULL;
	return status;
}

static void *walk_run(void *arg)
{
	struct walk *walk = arg;
	struct wordcount_data *data = walk->data;

	bench_run_error(&data->run, walk_all(walk));
	free(walk);
	bench_join_finish(&data->run.join);
	return NULL;
}

static void wordcount_start(struct bench_run *run, struct jd_scheduler *scheduler, void *arg)
{
	struct walk *walk = malloc(sizeof(*walk));

	if (!walk) {
		bench_run_error(run, JD_ENOMEM);
		return;
	}
	*walk = (struct walk){.data = arg, .scheduler = scheduler};
	bench_join_add(&run->join, 1);
	jd_status status = jd_spawn_blocking(scheduler, walk_run, walk, NULL);

	if (status != JD_OK) {
		bench_run_error(run, status);
		bench_join_finish(&run->join);
		free(walk);
	}
}

/* --- Rows ------------------------------------------------------------------------------------- */

static bool wordcount_setup(void *arg, struct jd_bench_state *state)
{
	struct wordcount_data *data = arg;

	/* Once for all rows; it also brings the files into the system's cache. */
	if (data->answer.files == 0 && answer_count(&data->answer) != JD_OK) {
		jd_bench_skip(state, "/usr/share/doc cannot be read");
		return false;
	}
	if (jd_semaphore_init(&data->permits, BATCHES_READ) != JD_OK) {
		jd_bench_fail(state, "no semaphore");
		return false;
	}
	data->workload.ops = (double)data->answer.files;
	return true;
}

static void wordcount_reset(void *arg)
{
	struct wordcount_data *data = arg;

	atomic_store_explicit(&data->files, 0, memory_order_relaxed);
	atomic_store_explicit(&data->bytes, 0, memory_order_relaxed);
	atomic_store_explicit(&data->words, 0, memory_order_relaxed);
}

static jd_status wordcount_serial(void *arg)
{
	struct walk walk = {.data = arg};

	return walk_all(&walk);
}

static jd_status wordcount_parallel(void *arg, struct jd_scheduler *scheduler)
{
	struct wordcount_data *data = arg;

	return bench_run_block(&data->run, scheduler, wordcount_start, data);
}

static bool counts_right(struct wordcount_data *data)
{
	return atomic_load_explicit(&data->files, memory_order_relaxed) == data->answer.files &&
	       atomic_load_explicit(&data->bytes, memory_order_relaxed) == data->answer.bytes &&
	       atomic_load_explicit(&data->words, memory_order_relaxed) == data->answer.words;
}

/* The tree is the system's and may change while we look: a wrong answer gets a second one. */
static const char *wordcount_check(void *arg)
{
	struct wordcount_data *data = arg;

	if (counts_right(data))
		return NULL;
	if (answer_count(&data->answer) == JD_OK && counts_right(data))
		return NULL;
	return "wrong number of files, bytes or words";
}

static void wordcount_report(void *arg, struct jd_bench_state *state)
{
	const struct wordcount_data *data = arg;

	jd_bench_counter(state, "files", (double)data->answer.files, JD_BENCH_PLAIN);
	jd_bench_counter(state, "words", (double)data->answer.words, JD_BENCH_PLAIN);
	jd_bench_counter(state, "bytes", (double)data->answer.bytes, JD_BENCH_PLAIN);
}

static void wordcount_teardown(void *arg)
{
	struct wordcount_data *data = arg;

	jd_semaphore_fini(&data->permits);
}

void b_wordcount(void)
{
	static struct wordcount_data data;

	data.workload = (struct bench_workload){.name = "wordcount",
						.runs = 1,
						.data = &data,
						.setup = wordcount_setup,
						.reset = wordcount_reset,
						.serial = wordcount_serial,
						.parallel = wordcount_parallel,
						.check = wordcount_check,
						.report = wordcount_report,
						.teardown = wordcount_teardown};
	bench_workload_add(&data.workload);
}
