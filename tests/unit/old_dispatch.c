/* old_dispatch.c - a libdispatch that lacks most of what is needed, in the way of the right one. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

void dispatch_async_f(void *queue, void *context, void (*work)(void *));

/* Nobody is to call it: it is not all there. */
__attribute__((visibility("default"))) void dispatch_async_f(void *queue, void *context,
							     void (*work)(void *))
{
	(void)queue;
	(void)context;
	(void)work;
	abort();
}
