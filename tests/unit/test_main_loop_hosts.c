/* test_main_loop_hosts.c - foreground work driven by real host loops: GLib's and libuv's. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <glib-unix.h>
#include <uv.h>

#include <jackdaw/task.h>
#include <jackdaw/ws_scheduler.h>

enum {
	HOPS = 2000
};

/*
 * A task that hops: its foreground half runs in the host's loop and spawns the background half on
 * a worker, which spawns the next foreground half; so each hop needs one wake-up of the host.
 */
struct hopper {
	struct jd_scheduler *scheduler;
	void (*stop)(void *host);
	void *host;
	int hops;     /* touched by one half at a time */
	int off_main; /* foreground halves that ran on the wrong thread */
	jd_status status;
};

struct half {
	struct jd_future base;
	struct hopper *hopper;
};

static jd_status back_poll(struct jd_future *future, struct jd_context *context, void *result);

static jd_status fore_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	static const struct jd_future_ops back_ops = {.poll = back_poll,
						      .size = sizeof(struct half)};
	struct hopper *h = jd_container_of(future, struct half, base)->hopper;
	struct half back = {{&back_ops}, h};

	(void)result;
	h->off_main += !jd_is_main_thread(context->scheduler);
	if (++h->hops < HOPS)
		h->status = jd_spawn(context->scheduler, &back.base, NULL);
	if (h->hops == HOPS || h->status != JD_OK)
		h->stop(h->host);
	return JD_OK;
}

static jd_status spawn_fore(struct hopper *h)
{
	static const struct jd_future_ops fore_ops = {.poll = fore_poll,
						      .size = sizeof(struct half)};
	struct half fore = {{&fore_ops}, h};

	return jd_spawn_foreground(h->scheduler, 1, &fore.base, NULL);
}

static jd_status back_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	(void)context;
	(void)result;
	return spawn_fore(jd_container_of(future, struct half, base)->hopper);
}

static struct jd_scheduler *new_scheduler(int *fd)
{
	const struct jd_ws_options options = {.workers = 2, .main_thread = true};
	struct jd_scheduler *scheduler;

	assert_int_equal(jd_ws_scheduler_new(&options, &scheduler), JD_OK);
	assert_int_equal(jd_main_loop_fd(scheduler, fd), JD_OK);
	return scheduler;
}

static void check_and_destroy(struct hopper *h)
{
	assert_int_equal(h->status, JD_OK);
	assert_int_equal(h->hops, HOPS);
	assert_int_equal(h->off_main, 0);
	assert_int_equal(jd_scheduler_destroy(h->scheduler), JD_OK);
}

/* --- GLib ------------------------------------------------------------------------------------ */

static void glib_stop(void *host)
{
	g_main_loop_quit(host);
}

static gboolean glib_readable(gint fd, GIOCondition condition, gpointer data)
{
	(void)fd;
	(void)condition;
	jd_main_loop_dispatch(data, JD_MS);
	return G_SOURCE_CONTINUE;
}

static gboolean glib_too_late(gpointer data)
{
	g_main_loop_quit(data);
	return G_SOURCE_REMOVE;
}

static void test_glib(void **state)
{
	int fd;
	struct hopper h = {.scheduler = new_scheduler(&fd), .stop = glib_stop};
	GMainLoop *loop = g_main_loop_new(NULL, FALSE);
	guint watch = g_unix_fd_add(fd, G_IO_IN, glib_readable, h.scheduler);
	guint guard = g_timeout_add_seconds(60, glib_too_late, loop);

	(void)state;
	h.host = loop;
	assert_int_equal(spawn_fore(&h), JD_OK);
	g_main_loop_run(loop);
	g_source_remove(watch);
	if (h.hops == HOPS)
		g_source_remove(guard);
	g_main_loop_unref(loop);
	check_and_destroy(&h);
}

/* --- libuv ----------------------------------------------------------------------------------- */

static void uv_host_stop(void *host)
{
	uv_stop(host);
}

static void uv_readable(uv_poll_t *handle, int status, int events)
{
	(void)status;
	(void)events;
	jd_main_loop_dispatch(handle->data, JD_MS);
}

static void uv_too_late(uv_timer_t *handle)
{
	uv_stop(handle->loop);
}

static void test_libuv(void **state)
{
	int fd;
	struct hopper h = {.scheduler = new_scheduler(&fd), .stop = uv_host_stop};
	uv_loop_t loop;
	uv_poll_t watch;
	uv_timer_t guard;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_poll_init(&loop, &watch, fd), 0);
	watch.data = h.scheduler;
	assert_int_equal(uv_poll_start(&watch, UV_READABLE, uv_readable), 0);
	assert_int_equal(uv_timer_init(&loop, &guard), 0);
	assert_int_equal(uv_timer_start(&guard, uv_too_late, 60000, 0), 0);
	h.host = &loop;
	assert_int_equal(spawn_fore(&h), JD_OK);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&watch, NULL);
	uv_close((uv_handle_t *)&guard, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	check_and_destroy(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glib),
		cmocka_unit_test(test_libuv),
	};

	return cmocka_run_group_tests_name("main_loop_hosts", tests, NULL, NULL);
}
