/* pollable.c - the pollable event: an event object that is reset by hand. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/windows/windows.h"

#include "platform/platform.h"

static HANDLE handle_of(const struct jd_pollable *event)
{
	return (HANDLE)event->_native;
}

jd_status jd_pollable_init(struct jd_pollable *event)
{
	event->_native = (intptr_t)CreateEventW(NULL, TRUE, FALSE, NULL);
	return event->_native ? JD_OK : JD_EAGAIN;
}

void jd_pollable_fini(struct jd_pollable *event)
{
	CloseHandle(handle_of(event));
	event->_native = 0;
}

void jd_pollable_set(struct jd_pollable *event)
{
	SetEvent(handle_of(event));
}

void jd_pollable_clear(struct jd_pollable *event)
{
	ResetEvent(handle_of(event));
}

bool jd_pollable_is_fd(void)
{
	return false;
}

intptr_t jd_pollable_native(const struct jd_pollable *event)
{
	return event->_native;
}
