/* platform.h - everything we ask of an operating system; one folder each implements it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_PLATFORM_PLATFORM_H
#define JD_PLATFORM_PLATFORM_H

/*
 * The contract of a port. No function here calls user code or takes a lock that user code could
 * hold. All may be called from any thread unless they say otherwise. Which files implement it is
 * decided by the lists in platform/CMakeLists.txt, not by #ifdef.
 */
#include <jackdaw/base.h>

#include "platform/atomic.h"
#include "platform/compiler.h"

/* --- Threads ------------------------------------------------------------------------------ */

/* A running thread; storage for whatever the system needs. Not copied. */
struct jd_thread {
	_Alignas(16) unsigned char _storage[64];
};

/*
 * Starts a thread that runs fn(arg) with all signals blocked but those of its own faults (SIGSEGV
 * and the like, which a crash handler wants). name (at most 15 bytes are kept, NULL: none) is
 * what debuggers show. stack_bytes 0 is the system's default. JD_EAGAIN: no thread to be had.
 * What happened before the start is visible to fn.
 */
jd_status jd_thread_start(struct jd_thread *thread, const char *name, size_t stack_bytes,
			  void (*fn)(void *arg), void *arg);

/* Waits until fn returned; what it did is visible then. Once per started thread. Blocks. */
void jd_thread_join(struct jd_thread *thread);

/* Names the calling thread as jd_thread_start does. A system call; failing is silent. */
void jd_thread_name(const char *name);

/*
 * From now on the timed waits of the calling thread end at most about slack_ns after their deadline
 * for the sake of fewer wake-ups; Linux begins with 50 us (PR_SET_TIMERSLACK). A system call;
 * failing is silent. Nothing where the system has no such thing.
 */
void jd_thread_set_slack(uint64_t slack_ns);

/* A number for the calling thread, never 0, never given to another thread of this process. */
uint64_t jd_thread_self(void);

/* Gives the rest of the time slice away. For waits that are short by design, never for idling. */
void jd_thread_yield(void);

/* --- Waiting on an address -------------------------------------------------------------------
 * The futex contract. The compare and the going to sleep are one step against a wake of the same
 * word. Neither orders memory by itself: the callers' atomics do. */

/*
 * Sleeps while *word == expected. JD_OK: woken, or the value differed, or spuriously: look
 * again. JD_ETIMEDOUT: jd_clock_now() >= deadline_ns (JD_NEVER: no deadline).
 */
jd_status jd_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns);

/* Wakes at most one, or all, sleepers of that word. The memory may be gone: then nothing. */
void jd_futex_wake_one(_Atomic(uint32_t) *word);
void jd_futex_wake_all(_Atomic(uint32_t) *word);

/* --- A pollable event -------------------------------------------------------------------------
 * For event loops that are not ours: what they can wait on is ready while the event is set. */

struct jd_pollable {
	intptr_t _native;
};

/* Not set. JD_EAGAIN: the system had none to give. */
jd_status jd_pollable_init(struct jd_pollable *event);
void jd_pollable_fini(struct jd_pollable *event);

/* What loops of this system wait on: a descriptor that becomes readable, or (false) a HANDLE. */
bool jd_pollable_is_fd(void);

/* Sets it, which wakes whoever polls. Never blocks; setting twice is setting once. */
void jd_pollable_set(struct jd_pollable *event);
void jd_pollable_clear(struct jd_pollable *event);

/* Only to be waited for. Valid until fini. */
intptr_t jd_pollable_native(const struct jd_pollable *event);

/* --- Time --------------------------------------------------------------------------------- */

/* Monotonic, ns, never goes back, unaffected by clock adjustment; stands still during suspend. */
uint64_t jd_clock_now(void);

/* --- Processor ---------------------------------------------------------------------------- */

/* Tells the core that this is a spin loop. */
static inline void jd_cpu_relax(void);

/*
 * Whether more threads want to run now than the machine has CPUs, other programs' included, so that
 * a thread that spins keeps another one from running. Some us: not for every task. False when the
 * system does not tell.
 */
bool jd_cpu_crowded(void);

/* A set of CPUs and how they are related, read once. */
struct jd_topology;

/*
 * Reads the CPUs this process may use (affinity mask), their caches and NUMA nodes, and the CPU
 * quota of its control group and all ancestors. JD_ENOMEM. Never fails because something about
 * the machine is unknown: then everything is at the same distance. That is also what flat asks for:
 * caches and nodes are then not read, which takes a hundredth of the time.
 */
jd_status jd_topology_new(const struct jd_allocator *allocator, bool flat,
			  struct jd_topology **topology);
void jd_topology_free(struct jd_topology *topology);

/* Allowed CPUs, >= 1. */
unsigned jd_topology_cpus(const struct jd_topology *topology);

/* How many threads can make progress at once: min(CPUs, quota rounded up), >= 1. */
unsigned jd_topology_parallelism(const struct jd_topology *topology);

/* One line that says where the numbers came from. */
const char *jd_topology_source(const struct jd_topology *topology);

/* 0 the same CPU, 1 SMT sibling, 2 shared cache, 3 the same NUMA node, 4 the rest; i, j < CPUs. */
#define JD_TOPOLOGY_FARTHEST 4u
unsigned jd_topology_distance(const struct jd_topology *topology, unsigned i, unsigned j);

/* Pins the calling thread to allowed CPU i. JD_ENOTSUP, JD_EINVAL. */
jd_status jd_topology_pin(const struct jd_topology *topology, unsigned i);

/* Pins it to all allowed CPUs at that distance from CPU i, or nearer. Also JD_ENOMEM. */
jd_status jd_topology_pin_near(const struct jd_topology *topology, unsigned i, unsigned distance);

/* The allowed CPU the caller runs on now, or -1 when unknown. A hint. */
int jd_topology_current(const struct jd_topology *topology);

/* --- Grace periods ----------------------------------------------------------------------------
 * Freeing what others may still be reading without a lock. A reader is inside a section while it
 * uses a pointer it loaded there; whoever replaced the pointer waits for a grace period and then
 * frees what it pointed to. */

/* False: the calls below do nothing, and jd_grace_wait must not be called. Does not change. */
bool jd_grace_available(void);

/*
 * The calling thread will have sections. Counts: detach as often, before the thread ends. A
 * thread that uses liburcu by itself must not be attached.
 */
void jd_grace_attach(void);
void jd_grace_detach(void);

/* Begins and ends a section of an attached thread. A few instructions; never block in one. */
void jd_grace_enter(void);
void jd_grace_leave(void);

/*
 * Blocks until every section that was open at the call has ended; what was read there happens
 * before the return. Any thread, not inside a section.
 */
void jd_grace_wait(void);

/* --- The rest ----------------------------------------------------------------------------- */

/* Memory aligned to a power of two, NULL: none left. Freed with the alignment it was asked for. */
void *jd_heap_alloc(size_t size, size_t align);
void jd_heap_free(void *ptr, size_t align);

/* A seed from the system, not for cryptography. */
uint64_t jd_random_seed(void);

static inline void jd_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("isb" ::: "memory");
#endif
}

#endif
