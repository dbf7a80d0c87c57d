/* thread.c - threads, without a layer of pthreads between. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/windows/windows.h"

#include <limits.h>
#include <process.h>
#include <stdint.h>
#include <stdio.h>

#include "platform/platform.h"

/*
 * What struct jd_thread holds here. It lives until the join, so the new thread can read its orders
 * from it and starting one needs no memory. Access: I immutable once the thread was created,
 * O the starting thread only.
 */
struct windows_thread {
	HANDLE handle;         /* O */
	void (*fn)(void *arg); /* I */
	void *arg;             /* I */
	char name[16];         /* I */
};

_Static_assert(sizeof(struct windows_thread) <= sizeof(struct jd_thread), "jd_thread is too small");
_Static_assert(alignof(struct windows_thread) <= alignof(struct jd_thread), "jd_thread alignment");

/* Looked up, because Windows before 10 (1607) lacks it and must run us all the same. */
void jd_thread_name(const char *name)
{
	typedef HRESULT(WINAPI * set_description)(HANDLE thread, PCWSTR description);
	HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
	FARPROC found = kernel ? GetProcAddress(kernel, "SetThreadDescription") : NULL;
	char kept[16];
	WCHAR wide[16];

	snprintf(kept, sizeof(kept), "%s", name);
	if (found && MultiByteToWideChar(CP_UTF8, 0, kept, -1, wide, 16) > 0)
		((set_description)(void (*)(void))found)(GetCurrentThread(), wide);
}

/* The least that waits here are late by is of the whole system, and not ours to change. */
void jd_thread_set_slack(uint64_t slack_ns)
{
	(void)slack_ns;
}

static unsigned __stdcall thread_main(void *arg)
{
	const struct windows_thread *t = arg;

	if (t->name[0])
		jd_thread_name(t->name);
	t->fn(t->arg);
	return 0;
}

jd_status jd_thread_start(struct jd_thread *thread, const char *name, size_t stack_bytes,
			  void (*fn)(void *arg), void *arg)
{
	struct windows_thread *t = (struct windows_thread *)(void *)thread;

	if (!thread || !fn)
		return JD_EINVAL;
	if (stack_bytes > UINT_MAX)
		return JD_EAGAIN;
	t->fn = fn;
	t->arg = arg;
	snprintf(t->name, sizeof(t->name), "%s", name ? name : "");
	/* The C library's call, as CreateThread would leave it without data of the thread. */
	t->handle = (HANDLE)_beginthreadex(NULL, (unsigned)stack_bytes, thread_main, t,
					   STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
	return t->handle ? JD_OK : JD_EAGAIN;
}

void jd_thread_join(struct jd_thread *thread)
{
	struct windows_thread *t = (struct windows_thread *)(void *)thread;
	DWORD rc = WaitForSingleObject(t->handle, INFINITE);

	JD_ASSERT(rc == WAIT_OBJECT_0);
	CloseHandle(t->handle);
}

uint64_t jd_thread_self(void)
{
	/* System thread ids are recycled; these are not. Only uniqueness matters: relaxed. */
	static _Atomic(uint64_t) last;
	static _Thread_local uint64_t self;

	if (JD_UNLIKELY(self == 0))
		self = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	return self;
}

void jd_thread_yield(void)
{
	SwitchToThread();
}
