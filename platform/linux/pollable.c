/* pollable.c - the pollable event: an eventfd. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/platform.h"

jd_status jd_pollable_init(struct jd_pollable *event)
{
	event->_native = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return event->_native >= 0 ? JD_OK : JD_EAGAIN;
}

void jd_pollable_fini(struct jd_pollable *event)
{
	close((int)event->_native);
	event->_native = -1;
}

void jd_pollable_set(struct jd_pollable *event)
{
	const uint64_t one = 1;
	ssize_t written = write((int)event->_native, &one, sizeof(one));

	/* It fails only when 2^64 - 2 sets were never cleared; then it is set. */
	(void)written;
}

void jd_pollable_clear(struct jd_pollable *event)
{
	uint64_t count;
	ssize_t got = read((int)event->_native, &count, sizeof(count));

	/* It fails only when the event is not set. */
	(void)got;
}

bool jd_pollable_is_fd(void)
{
	return true;
}

intptr_t jd_pollable_native(const struct jd_pollable *event)
{
	return event->_native;
}
