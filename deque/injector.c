/* injector.c - the injector's check and dump. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "deque/injector.h"

static bool broken(FILE *why, const char *what)
{
	if (why)
		fprintf(why, "injector: %s\n", what);
	return false;
}

bool jd_injector_check(const struct jd_injector *in, FILE *why)
{
	/* order: (IN5) acquire - the links of what was pushed; pairs with (IN1). */
	const struct jd_runnable *slow = atomic_load_explicit(&in->head, memory_order_acquire);
	const struct jd_runnable *fast = slow;
	bool odd = false;

	if (jd_injector_is_mark(in, slow))
		return true;

	/* The slow one goes half as fast: in a cycle they meet. */
	for (; fast; odd = !odd) {
		if (!fast->ops || !fast->ops->run || !fast->ops->cancel)
			return broken(why, "a runnable without operations");
		fast = fast->next;
		if (odd)
			slow = slow->next;
		if (fast && fast == slow)
			return broken(why, "the chain is a cycle");
	}
	return true;
}

void jd_injector_dump(const struct jd_injector *in, FILE *out)
{
	const struct jd_runnable *head = atomic_load_explicit(&in->head, memory_order_relaxed);

	fprintf(out, "injector: %s\n",
		jd_injector_is_mark(in, head) ? "closed" : (head ? "not empty" : "empty"));
}
