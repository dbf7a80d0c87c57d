/* base.h - status codes, identifiers, time and memory: the words every other header uses. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_BASE_H
#define JACKDAW_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include <atomic>
/* Same size and representation as the C11 type on every compiler we build with; C++ only passes
 * these objects around, it never touches an atomic member. */
#define JD_ATOMIC(T) std::atomic<T>
#define JD_BEGIN_DECLS extern "C" {
#define JD_END_DECLS }
#else
#include <stdatomic.h>
#define JD_ATOMIC(T) _Atomic(T)
#define JD_BEGIN_DECLS
#define JD_END_DECLS
#endif

/* What the library exports. Its build says how that is marked (scripts/cmake/JackdawTargets.cmake);
 * users need no mark, from a DLL neither. */
#ifndef JD_API
#define JD_API
#endif

#define JD_MUST_CHECK __attribute__((warn_unused_result))

JD_BEGIN_DECLS

/*
 * Status of a call, and of a finished future. Every code has one meaning, wherever it comes from.
 * JD_OK is zero, JD_PENDING is positive and no error, errors are negative.
 */
#define JD_STATUS_MAP(X)                                                                  \
	X(JD_PENDING, 1, "not ready yet; the waker given will be woken")                  \
	X(JD_OK, 0, "ok")                                                                 \
	X(JD_EINVAL, -1, "invalid argument")                                              \
	X(JD_ENOMEM, -2, "out of memory")                                                 \
	X(JD_ENOTSUP, -3, "not supported by this scheduler")                              \
	X(JD_ECLOSED, -4, "closed: takes no new work")                                    \
	X(JD_ECANCELED, -5, "cancelled before it could finish")                           \
	X(JD_ETIMEDOUT, -6, "the deadline passed first")                                  \
	X(JD_EALREADY, -7, "already finished, fired or cancelled")                        \
	X(JD_EDEADLK, -8, "would wait for ever: nothing that could end the wait can run") \
	X(JD_EPERM, -9, "not allowed on this thread or in this state")                    \
	X(JD_EAGAIN, -10, "the system has no thread to give now")                         \
	X(JD_EWOULDBLOCK, -11, "would have to wait")                                      \
	X(JD_ENOENT, -12, "no such id")                                                   \
	X(JD_ECONSUMED, -13, "the result was taken before")                               \
	X(JD_EBUSY, -14, "still in use")                                                  \
	X(JD_ERANGE, -15, "number out of the documented range")                           \
	X(JD_EFAILED, -16, "the computation itself failed")                               \
	X(JD_ENONDET, -17, "the test was not deterministic")

typedef enum jd_status {
#define JD_STATUS_ENUM(name, value, text) name = (value),
	JD_STATUS_MAP(JD_STATUS_ENUM)
#undef JD_STATUS_ENUM
} jd_status;

/* The text of a status, and its name ("JD_ECLOSED"). Static strings; unknown values get one too. */
JD_API const char *jd_status_text(jd_status status);
JD_API const char *jd_status_name(jd_status status);

/* A task's identity: given at spawn, never reused by its scheduler. 0 is no task. */
typedef uint64_t jd_task_id;

/* A foreground session; see scheduler.h. 0 is no session. */
typedef uint64_t jd_session_id;

/*
 * A label names a kind of task for tests (deprioritize) and for people (dumps, traces). Labels are
 * equal when their texts are equal. The string must outlive every task that carries it: use a
 * literal. NULL is no label.
 */
typedef const char *jd_label;

/* A small internal mutex that public structs embed; zero is unlocked. Not for users. */
struct jd_lock {
	JD_ATOMIC(uint32_t) _word;
};

/* Nanoseconds: of a scheduler's monotonic clock (an instant) or between two instants. */
#define JD_NEVER UINT64_MAX /* as a deadline or a delay: do not end by time */
#define JD_US ((uint64_t)1000)
#define JD_MS ((uint64_t)1000000)
#define JD_SEC ((uint64_t)1000000000)

/* now + delay that sticks at JD_NEVER instead of wrapping. */
static inline uint64_t jd_deadline_after(uint64_t now_ns, uint64_t delay_ns)
{
	return delay_ns > UINT64_MAX - now_ns ? JD_NEVER : now_ns + delay_ns;
}

/* The current line as a static string "file:line": where a task was spawned. */
#define JD_SITE __FILE__ ":" JD_SITE_STR(__LINE__)
#define JD_SITE_STR(line) JD_SITE_STR_(line)
#define JD_SITE_STR_(line) #line

/*
 * Memory comes from an allocator the user may supply. Both functions may be called from any
 * thread. The struct must outlive the scheduler it was given to and everything spawned on it.
 */
struct jd_allocator {
	/* size > 0, align a power of two; NULL when there is no memory. */
	void *(*alloc)(void *ctx, size_t size, size_t align);
	/* ptr came from alloc with the same size and align; never NULL. */
	void (*free)(void *ctx, void *ptr, size_t size, size_t align);
	void *ctx;
};

/* malloc and free of the process (link jackdaw::jemalloc to make that jemalloc). Never NULL. */
JD_API const struct jd_allocator *jd_allocator_default(void);

/*
 * The enclosing struct of a member, checked: PTR must point to the member's type.
 *
 *   struct my_future { struct jd_future base; int n; };
 *   struct my_future *f = jd_container_of(future, struct my_future, base);
 */
#ifdef __cplusplus
#define jd_container_of(ptr, type, member) \
	(reinterpret_cast<type *>(reinterpret_cast<char *>(ptr) - offsetof(type, member)))
#else
#define jd_container_of(ptr, type, member) \
	((type *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))
#endif

JD_END_DECLS

#endif
