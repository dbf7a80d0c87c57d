/* cgroup.h - the CPU quota that control groups put on us; seen by platform/ and its unit test. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_PLATFORM_LINUX_CGROUP_H
#define JD_PLATFORM_LINUX_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A quota may stand on our own group or on any ancestor; the smallest counts, so all are read, from
 * our group up to the point where its hierarchy is mounted (what is above is not visible). Both
 * versions may be in use at once; "cpu" is then managed by one of them, and we ask both.
 *
 *   /proc/self/cgroup       "3:cpu,cpuacct:/a/b" (version 1), "0::/a/b" (version 2)
 *   /proc/self/mountinfo    which part of the hierarchy (root) is mounted where
 *   cpu.max                 version 2: "QUOTA PERIOD" or "max PERIOD", in us
 *   cpu.cfs_quota_us        version 1: QUOTA or -1, in us; with cpu.cfs_period_us
 *
 * Everything here is a function of text. Quotas are in CPUs, rounded up; 0 means that there is none
 * (or that the text made no sense, which is the same to us: a quota is only ever a reason to use
 * fewer threads).
 */

/* One file at a time. Calls line for each line, without its end, until it returns false. False when
 * the file cannot be read. */
struct jd_cgroup_files {
	bool (*each_line)(const struct jd_cgroup_files *self, const char *path,
			  bool (*line)(void *arg, const char *text), void *arg);
};

#define JD_CGROUP_PATH_MAX 4096

/* The content of cpu.max; of cpu.cfs_quota_us and cpu.cfs_period_us. */
unsigned jd_cgroup_parse_v2(const char *max);
unsigned jd_cgroup_parse_v1(const char *quota, const char *period);

/*
 * A line of /proc/self/cgroup: true when it names our group in the hierarchy of that version that
 * has (v1) or may have (v2) the cpu controller; *path then points into line.
 */
bool jd_cgroup_parse_membership(const char *line, int version, const char **path);

/*
 * A line of /proc/self/mountinfo: true when it mounts such a hierarchy. root and point get its two
 * paths, unescaped; false also when one does not fit JD_CGROUP_PATH_MAX.
 */
bool jd_cgroup_parse_mount(const char *line, int version, char *root, char *point);

/* The smallest quota; dir (JD_CGROUP_PATH_MAX bytes) gets the directory it stands in, or "". */
unsigned jd_cgroup_quota(const struct jd_cgroup_files *files, char *dir);

#endif
