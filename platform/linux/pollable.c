/* pollable.c - the pollable event: an eventfd. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/platform.h"

jd_status jd_pollable_init(struct jd_pollable *event)
{
	event->_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return event->_fd >= 0 ? JD_OK : JD_EAGAIN;
}

void jd_pollable_fini(struct jd_pollable *event)
{
	close(event->_fd);
	event->_fd = -1;
}

void jd_pollable_set(struct jd_pollable *event)
{
	const uint64_t one = 1;
	ssize_t written = write(event->_fd, &one, sizeof(one));

	/* It fails only when 2^64 - 2 sets were never cleared; then it is set. */
	(void)written;
}

void jd_pollable_clear(struct jd_pollable *event)
{
	uint64_t count;
	ssize_t got = read(event->_fd, &count, sizeof(count));

	/* It fails only when the event is not set. */
	(void)got;
}

int jd_pollable_fd(const struct jd_pollable *event)
{
	return event->_fd;
}
