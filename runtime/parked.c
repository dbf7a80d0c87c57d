/* parked.c - waits in park that shutdown can end. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/parked.h"

/* One waiting call, in its frame. */
struct jd_parked {
	struct jd_parked *next;   /* L */
	struct jd_parked **pprev; /* L */
	struct jd_parker *parker; /* I */
};

/* False: stopped. */
static bool link_in(struct jd_parked_list *list, struct jd_parked *parked)
{
	jd_lock_acquire(&list->lock);
	bool open = !list->stopped;

	if (open) {
		parked->next = list->head;
		if (parked->next)
			parked->next->pprev = &parked->next;
		parked->pprev = &list->head;
		list->head = parked;
	}
	jd_lock_release(&list->lock);
	return open;
}

/* False: stopped meanwhile. */
static bool unlink_from(struct jd_parked_list *list, struct jd_parked *parked)
{
	jd_lock_acquire(&list->lock);
	bool open = !list->stopped;

	*parked->pprev = parked->next;
	if (parked->next)
		parked->next->pprev = parked->pprev;
	jd_lock_release(&list->lock);
	return open;
}

jd_status jd_parked_sleep(struct jd_parked_list *list, struct jd_parker *parker,
			  uint64_t deadline_ns)
{
	struct jd_parked parked = {.parker = parker};

	if (!link_in(list, &parked))
		return JD_ECLOSED;
	jd_status status = jd_parker_sleep(parker, deadline_ns);

	return unlink_from(list, &parked) ? status : JD_ECLOSED;
}

void jd_parked_stop(struct jd_parked_list *list)
{
	jd_lock_acquire(&list->lock);
	list->stopped = true;
	for (struct jd_parked *p = list->head; p; p = p->next)
		jd_parker_unpark(p->parker);
	jd_lock_release(&list->lock);
}
