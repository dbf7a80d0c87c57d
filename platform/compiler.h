/* compiler.h - what we ask of the compiler: hints, asserts, static checks. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_PLATFORM_COMPILER_H
#define JD_PLATFORM_COMPILER_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jackdaw/base.h>

#define JD_LIKELY(x) __builtin_expect(!!(x), 1)
#define JD_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* A hint that this address will be read or written soon; any value is safe. */
#define JD_PREFETCH(ptr) __builtin_prefetch((ptr), 1)
#define JD_NOINLINE __attribute__((noinline))
#define JD_COLD __attribute__((noinline, cold))
/* What MinGW calls printf by itself is that of the system's old C library, without %zu. */
#ifdef __MINGW32__
#define JD_PRINTF(fmt, args) __attribute__((format(gnu_printf, fmt, args)))
#else
#define JD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#endif

/* Two x86 lines: the adjacent-line prefetcher pulls pairs; big Arm cores have 128-byte lines. */
#define JD_CACHE_LINE 128
#define JD_CACHE_ALIGNED alignas(JD_CACHE_LINE)

/*
 * JD_ASSERT stays in every build: it guards cheap invariants whose violation means that memory is
 * about to be corrupted. JD_ASSERT_SLOW may cost O(n) and is compiled (never evaluated) unless
 * JD_CHECKED is defined to 1, so that it cannot rot. JD_MISUSE is for errors of the caller that
 * cannot be reported as a status, such as freeing a runnable that is still queued.
 */
#ifndef JD_CHECKED
#define JD_CHECKED 0
#endif

/* 1 where every access is checked against what was freed (AddressSanitizer). */
#if defined(__SANITIZE_ADDRESS__)
#define JD_ADDRESS_CHECKED 1
#elif defined(__has_feature)
#define JD_ADDRESS_CHECKED __has_feature(address_sanitizer)
#else
#define JD_ADDRESS_CHECKED 0
#endif

#define JD_ASSERT(cond) \
	(JD_LIKELY(cond) ? (void)0 : jd_panic("INTERNAL", #cond, __FILE__, __LINE__))
#define JD_ASSERT_SLOW(cond) \
	(!JD_CHECKED || JD_LIKELY(cond) ? (void)0 : jd_panic("INTERNAL", #cond, __FILE__, __LINE__))
#define JD_MISUSE(what) jd_panic("BUG IN CLIENT", what, __FILE__, __LINE__)

/* Prints one line, "jackdaw: KIND: WHAT (file:line)", and aborts. Async-signal-unsafe. */
_Noreturn JD_COLD void jd_panic(const char *kind, const char *what, const char *file, int line);

#endif
