/* main_loop.h - how a program runs the foreground work of its main thread. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_MAIN_LOOP_H
#define JACKDAW_MAIN_LOOP_H

#include <jackdaw/base.h>
#include <jackdaw/scheduler.h>

JD_BEGIN_DECLS

/*
 * For schedulers with a main thread, whatever their kind, but for the test scheduler, whose world
 * is stepped. Foreground work runs in these calls and while the main thread waits in a park
 * (jd_block, jd_task_join, ...).
 */

/*
 * Runs foreground work on the main thread until jd_main_loop_quit, then JD_OK. Sleeps when there
 * is none. JD_EPERM on another thread, JD_ENOTSUP on a scheduler without, JD_EDEADLK inside a
 * foreground runnable.
 */
JD_API jd_status jd_main_loop_run(struct jd_scheduler *scheduler);

/* Runs the foreground work that is ready, at most for budget_ns (but one at least); as above. */
JD_API jd_status jd_main_loop_dispatch(struct jd_scheduler *scheduler, uint64_t budget_ns);

/*
 * For a main thread that waits in an event loop of its own (epoll, GLib, libuv): *fd is readable
 * while there is foreground work. Poll it for reading, level-triggered, and call
 * jd_main_loop_dispatch when it is; work that exceeds the budget leaves it readable. Any number of
 * posts between two dispatches cost one wake-up. The descriptor belongs to the scheduler and is
 * closed with its memory; remove it from the loop before jd_scheduler_destroy. Main thread; always
 * the same descriptor. JD_EAGAIN: the system gave none; JD_ENOTSUP also on Windows, where loops
 * wait on handles; else as jd_main_loop_run.
 */
JD_API jd_status jd_main_loop_fd(struct jd_scheduler *scheduler, int *fd);

/*
 * The same for a loop on Windows: *handle is that of an event that is signalled while there is
 * foreground work, for WaitForMultipleObjects or, beside window messages,
 * MsgWaitForMultipleObjectsEx with MWMO_INPUTAVAILABLE. Only wait for it: it is set and reset by
 * the scheduler. JD_ENOTSUP elsewhere; the rest as for jd_main_loop_fd.
 */
JD_API jd_status jd_main_loop_handle(struct jd_scheduler *scheduler, void **handle);

/* Makes the current jd_main_loop_run return, or the next one if none is. Any thread. */
JD_API jd_status jd_main_loop_quit(struct jd_scheduler *scheduler);

JD_END_DECLS

#endif
