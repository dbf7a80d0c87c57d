/* b_fib.c - fib(40) by fork and join: a function that does nothing but fork. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/files.h"
#include "bench/fork_run.h"
#include "bench/run.h"
#include "platform/compiler.h"

enum {
	FIB_N = 40,
	FIB_VALUE = 102334155,
	FIB_FORKS = 165580140, /* calls with n >= 2 */
};

struct fib {
	struct jd_fork_frame frame;
	int n;
	long value;
};

/*
 * A node is a function of its own, so that no call is made for a leaf. It begins a cache line:
 * where a build happens to put it is worth a fifth.
 */
static long fib_node(struct jd_fork_point fork, int n);

static inline long fib(struct jd_fork_point fork, int n)
{
	return n < 2 ? n : fib_node(fork, n);
}

static void fib_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct fib *f = jd_container_of(frame, struct fib, frame);

	f->value = fib(fork, f->n);
}

static JD_NOINLINE __attribute__((aligned(64))) long fib_node(struct jd_fork_point fork, int n)
{
	struct fib f;

	f.n = n - 1;
	struct jd_fork_point inner = jd_fork(fork, &f.frame, fib_run);
	long other = fib(inner, n - 2);

	if (jd_join(fork, &f.frame))
		return fib(fork, f.n) + other; /* from memory: that spares a register */
	return f.value + other;
}

/* "fib_here": the worker is not passed along. */
static long fib_here_node(int n);

static inline long fib_here(int n)
{
	return n < 2 ? n : fib_here_node(n);
}

static void fib_here_run(struct jd_fork_frame *frame, struct jd_fork_point fork)
{
	struct fib *f = jd_container_of(frame, struct fib, frame);

	(void)fork;
	f->value = fib_here(f->n);
}

static JD_NOINLINE long fib_here_node(int n)
{
	struct fib f;

	f.n = n - 1;
	jd_fork_here(&f.frame, fib_here_run);
	long other = fib_here(n - 2);

	if (jd_join_here(&f.frame))
		return fib_here(f.n) + other;
	return f.value + other;
}

static long fib_plain(int n)
{
	return n < 2 ? n : fib_plain(n - 1) + fib_plain(n - 2);
}

/* --- Rows ------------------------------------------------------------------------------------- */

struct fib_data {
	/* Not a constant in the code, or the compiler might do all of it. */
	_Atomic(int) n; /* A */
	long value;
};

static void fib_reset(void *arg)
{
	((struct fib_data *)arg)->value = 0;
}

static jd_status fib_serial(void *arg)
{
	struct fib_data *data = arg;

	data->value = fib_plain(atomic_load_explicit(&data->n, memory_order_relaxed));
	return JD_OK;
}

static void fib_body(struct jd_fork_point fork, void *arg)
{
	struct fib_data *data = arg;

	data->value = fib(fork, atomic_load_explicit(&data->n, memory_order_relaxed));
}

static void fib_here_body(struct jd_fork_point fork, void *arg)
{
	struct fib_data *data = arg;

	(void)fork;
	data->value = fib_here(atomic_load_explicit(&data->n, memory_order_relaxed));
}

static jd_status fib_parallel(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, fib_body, arg);
}

static jd_status fib_here_parallel(void *arg, struct jd_scheduler *scheduler)
{
	return bench_fork_run(scheduler, fib_here_body, arg);
}

static const char *fib_check(void *arg)
{
	const struct fib_data *data = arg;

	return data->value == FIB_VALUE ? NULL : "wrong value";
}

void b_fib(void)
{
	static struct fib_data data = {.n = FIB_N};
	static struct bench_workload workloads[] = {
		{.name = "fib", .serial = fib_serial, .parallel = fib_parallel},
		{.name = "fib_here", .parallel = fib_here_parallel},
	};

	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		workloads[i].ops = FIB_FORKS;
		workloads[i].runs = 1;
		workloads[i].forks = true;
		workloads[i].data = &data;
		workloads[i].reset = fib_reset;
		workloads[i].check = fib_check;
		bench_workload_add(&workloads[i]);
	}
}
