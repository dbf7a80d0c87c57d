/* watchdog.h - a thread that aborts the process when a test hangs, and says which. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_TESTS_CONFORMANCE_WATCHDOG_H
#define JD_TESTS_CONFORMANCE_WATCHDOG_H

/* Once a process, on the main thread. */
void watchdog_start(void);
void watchdog_stop(void);

/* Aborts in so many seconds, unless set or cleared before. text must stay. */
void watchdog_set(const char *text, unsigned seconds);
void watchdog_clear(void);

#endif
