/* backend.h - a scheduler that the conformance suite can make: what it is, what it lacks. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_CONFORMANCE_BACKEND_H
#define JD_TESTS_CONFORMANCE_BACKEND_H

#include <jackdaw/scheduler.h>

/* What a scheduler may have or lack. */
enum {
	CONF_FOREGROUND = 1u << 0, /* a main thread */
	CONF_BLOCKING = 1u << 1,   /* schedule_blocking */
	CONF_TIMERS = 1u << 2,
	CONF_THREADS = 1u << 3,  /* other threads may call it */
	CONF_PARALLEL = 1u << 4, /* has threads of its own: goes on while the caller does not */
	CONF_DEADLOCK = 1u << 5, /* notices that nothing can end a wait */
	CONF_CLOCK = 1u << 6,    /* its clock goes on while something can run */
};

struct conf_options {
	unsigned workers;      /* if it has any */
	unsigned blocking_max; /* blocking jobs at once, if it has a limit; 0: its default */
	bool main_thread;      /* the calling thread is to be the main thread */
	bool foreign;          /* other threads will call it */
	uint64_t seed;         /* if it has one */
	const struct jd_allocator *allocator;
};

/* A new backend is a file with one of these, and its line in backends.inc. */
struct conf_backend {
	const char *name;
	unsigned has;   /* CONF_* */
	unsigned seeds; /* each test runs with so many, 0 is 1 */
	jd_status (*make)(const struct conf_options *options, struct jd_scheduler **scheduler);
	/* Optional: what the scheduler itself says at the end of a test, before it is destroyed. */
	jd_status (*verdict)(struct jd_scheduler *scheduler);
	/* Optional: why the backend cannot be tested on this machine; then it is skipped. */
	const char *(*absent)(void);
};

#define CONF_BACKEND(name) extern const struct conf_backend conf_backend_##name;
#include "tests/conformance/backends.inc"
#undef CONF_BACKEND

#endif
