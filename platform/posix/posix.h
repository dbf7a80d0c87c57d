/* posix.h - what posix/ asks of the one system it runs on; seen by platform/ only. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_PLATFORM_POSIX_POSIX_H
#define JD_PLATFORM_POSIX_POSIX_H

/* Names the calling thread for debuggers; name has at most 15 bytes. Failing is silent. */
void jd_posix_name_self(const char *name);

#endif
