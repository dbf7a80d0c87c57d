/* windows.h - the system's headers, with only what the port needs; seen by platform/ only. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_PLATFORM_WINDOWS_WINDOWS_H
#define JD_PLATFORM_WINDOWS_WINDOWS_H

/* Windows 8 is the oldest system with WaitOnAddress. */
#define WIN32_LEAN_AND_MEAN
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0602
#endif
#include <windows.h>

/* A processor group holds at most so many CPUs: our number of a CPU is group * this + bit. */
#define JD_WINDOWS_GROUP 64u

/* Twice as many as any system we know of has; what is more is not told apart. */
#define JD_WINDOWS_CPUS 4096u

#endif
