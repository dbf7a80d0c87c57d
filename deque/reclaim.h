/* reclaim.h - when the memory of a replaced buffer may be freed: the interface of its back ends. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_DEQUE_RECLAIM_H
#define JD_DEQUE_RECLAIM_H

/*
 * A deque that grows replaces its buffer while thieves may still read the old one. It hands the
 * old one to a back end, which frees it when no thief can hold it any more:
 *
 *   reader (thief)                          writer (owner)
 *   enter                                   publish the new buffer
 *   load the buffer pointer, read a slot    retire the old buffer
 *   leave                                   ... later, not in this call: free
 *
 * Rules for back ends: a buffer is freed only after every section that was entered before its
 * retire has been left; what a section read happens before the free. enter, leave and retire
 * never block and never free; sections do not nest, are a few instructions long and run no user
 * code. Which threads may enter is the back end's business (it may want them registered).
 *
 * Back ends: deque/reclaim_keep.h keeps everything until the end (portable, visible to sanitizers
 * and model checkers); runtime/reclaimer.h is what a scheduler uses.
 */
#include <jackdaw/base.h>

struct jd_reclaim;

/*
 * The head of what can be retired. It may be retired once. free takes the memory back; it is
 * called on any thread, never inside a section.
 */
struct jd_retired {
	struct jd_retired *next;               /* the back end's, from retire on */
	void (*free)(struct jd_retired *self); /* I */
};

struct jd_reclaim_ops {
	const char *name; /* static */
	/* Begins a section of the calling thread. */
	void (*enter)(struct jd_reclaim *self);
	/* Ends it. */
	void (*leave)(struct jd_reclaim *self);
	/* The item is unreachable for sections that are entered from now on. Any thread. */
	void (*retire)(struct jd_reclaim *self, struct jd_retired *item);
	/*
	 * Returns when everything retired so far has been freed. May block. Nobody is inside a
	 * section, enters or retires until it returns: it is for the end of a scheduler. (Items
	 * may be retired again afterwards.)
	 */
	void (*barrier)(struct jd_reclaim *self);
};

/* What every back end embeds. Access: I immutable after init. */
struct jd_reclaim {
	const struct jd_reclaim_ops *ops; /* I */
};

#endif
