/* pollable.c - no pollable event: what loops of this system wait on is no descriptor. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/platform.h"

static _Noreturn void misuse(void)
{
	JD_MISUSE("there are no pollable events here: init said so");
}

jd_status jd_pollable_init(struct jd_pollable *event)
{
	event->_fd = -1;
	return JD_ENOTSUP;
}

void jd_pollable_fini(struct jd_pollable *event)
{
	(void)event;
	misuse();
}

void jd_pollable_set(struct jd_pollable *event)
{
	(void)event;
	misuse();
}

void jd_pollable_clear(struct jd_pollable *event)
{
	(void)event;
	misuse();
}

int jd_pollable_fd(const struct jd_pollable *event)
{
	(void)event;
	misuse();
}
