/* glib.c - GLib's GThreadPool as a native contender. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "bench/peers/peer.h"

/* A pool calls one function: the call goes along as data. */
struct call {
	void (*fn)(void *arg);
	void *arg;
};

static void make_call(gpointer data, gpointer user)
{
	struct call call = *(struct call *)data;

	(void)user;
	g_slice_free(struct call, data);
	call.fn(call.arg);
}

static void *start(unsigned workers)
{
	return g_thread_pool_new(make_call, NULL, (gint)workers, TRUE, NULL);
}

static void stop(void *pool)
{
	g_thread_pool_free(pool, FALSE, TRUE);
}

static bool post(void *pool, void (*fn)(void *arg), void *arg)
{
	struct call *call = g_slice_new(struct call);

	*call = (struct call){fn, arg};
	return g_thread_pool_push(pool, call, NULL);
}

int main(int argc, char **argv)
{
	static const struct peer_post glib = {{"glib", start, stop}, post, false};

	peer_add_post(&glib);
	return peer_main(argc, argv);
}
