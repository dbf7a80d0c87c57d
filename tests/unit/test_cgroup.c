/* test_cgroup.c - the CPU quota of control groups, from text. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "platform/linux/cgroup.h"

/* --- One value -------------------------------------------------------------------------------- */

static void test_v2_values(void **state)
{
	static const struct {
		const char *text;
		unsigned cpus;
	} cases[] = {
		{"max 100000", 0},
		{"max", 0},
		{"100000 100000", 1},
		{"100001 100000", 2},
		{"99999 100000", 1},
		{"1 1000000", 1},
		{"250000 100000", 3},
		{"250000", 3}, /* the default period */
		{"6400000 100000\n", 64},
		{"1000000000000000000 1", UINT_MAX},
		{"0 100000", 0},
		{"100000 0", 0},
		{"", 0},
		{" ", 0},
		{"-1 100000", 0},
		{"100000 100000 7", 0},
		{"100000 x", 0},
		{"100000x 100000", 0},
		{"0x10 100000", 0},
		{"99999999999999999999999999 100000", 0},
		{"100000 99999999999999999999999999", 0},
		{"0000100000 0100000", 1},
		{"100000/100000", 0},
		{":00000 100000", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (jd_cgroup_parse_v2(cases[i].text) != cases[i].cpus)
			fail_msg("\"%s\" gave %u, not %u", cases[i].text,
				 jd_cgroup_parse_v2(cases[i].text), cases[i].cpus);
}

static void test_v1_values(void **state)
{
	(void)state;
	assert_int_equal(jd_cgroup_parse_v1("-1", "100000"), 0);
	assert_int_equal(jd_cgroup_parse_v1("100000", "100000"), 1);
	assert_int_equal(jd_cgroup_parse_v1("150000", "100000"), 2);
	assert_int_equal(jd_cgroup_parse_v1("1000", "100000"), 1);
	assert_int_equal(jd_cgroup_parse_v1("400000\n", "100000\n"), 4);
	assert_int_equal(jd_cgroup_parse_v1("100000", "0"), 0);
	assert_int_equal(jd_cgroup_parse_v1("100000", ""), 0);
	assert_int_equal(jd_cgroup_parse_v1("", "100000"), 0);
	assert_int_equal(jd_cgroup_parse_v1("100000 5", "100000"), 0);
	assert_int_equal(jd_cgroup_parse_v1("100000", "abc"), 0);
}

/* --- One line --------------------------------------------------------------------------------- */

static void test_membership_lines(void **state)
{
	const char *path = NULL;

	(void)state;
	assert_true(jd_cgroup_parse_membership("4:cpu,cpuacct:/a/b", 1, &path));
	assert_string_equal(path, "/a/b");
	assert_true(jd_cgroup_parse_membership("4:cpuacct,cpu:/c:d", 1, &path));
	assert_string_equal(path, "/c:d");
	assert_true(jd_cgroup_parse_membership("1:cpu:/", 1, &path));
	assert_string_equal(path, "/");
	assert_true(jd_cgroup_parse_membership("0::/user.slice", 2, &path));
	assert_string_equal(path, "/user.slice");

	assert_false(jd_cgroup_parse_membership("3:cpuset:/a", 1, &path));
	assert_false(jd_cgroup_parse_membership("3:cpuacct,cpuset:/a", 1, &path));
	assert_false(jd_cgroup_parse_membership("9:name=cpu:/a", 1, &path));
	assert_false(jd_cgroup_parse_membership("0::/a", 1, &path));
	assert_false(jd_cgroup_parse_membership("4:cpu:/a", 2, &path));
	assert_false(jd_cgroup_parse_membership("0::a", 2, &path));
	assert_false(jd_cgroup_parse_membership("0:", 2, &path));
	assert_false(jd_cgroup_parse_membership("0::", 2, &path));
	assert_false(jd_cgroup_parse_membership("", 1, &path));
	assert_false(jd_cgroup_parse_membership(":::", 1, &path));
}

static void test_mount_lines(void **state)
{
	char root[JD_CGROUP_PATH_MAX], point[JD_CGROUP_PATH_MAX];

	(void)state;
	assert_true(jd_cgroup_parse_mount("32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup "
					  "cgroup rw,cpu,cpuacct",
					  1, root, point));
	assert_string_equal(root, "/");
	assert_string_equal(point, "/sys/fs/cgroup/cpu");
	assert_true(jd_cgroup_parse_mount("41 31 0:38 /x /m rw shared:4 master:2 - cgroup2 none rw",
					  2, root, point));
	assert_string_equal(root, "/x");
	assert_string_equal(point, "/m");
	assert_true(jd_cgroup_parse_mount("41 31 0:38 /a\\040b /c\\134\\011d rw - cgroup2 n rw", 2,
					  root, point));
	assert_string_equal(root, "/a b");
	assert_string_equal(point, "/c\\\td");

	/* 0377 is the last octal byte; what is no escape stays as it is */
	assert_true(jd_cgroup_parse_mount("1 2 0:3 /\\377\\400\\08\\070 /\\04 rw - cgroup2 n rw", 2,
					  root, point));
	assert_string_equal(root, "/\377\\400\\088");
	assert_string_equal(point, "/\\04");
	assert_false(jd_cgroup_parse_mount("1 2 0:3 / /m rw - cgroup2x n rw", 2, root, point));
	assert_false(jd_cgroup_parse_mount("1 2 0:3 / /m rw - cgroup2 n rw,cpu", 1, root, point));
	assert_false(jd_cgroup_parse_mount("1 2 0:3 / /m rw - cgroupy n rw,cpu", 1, root, point));

	/* another controller, another version, another file system, not a mount line at all */
	assert_false(
		jd_cgroup_parse_mount("1 2 0:3 / /m rw - cgroup cgroup rw,cpuset", 1, root, point));
	assert_false(jd_cgroup_parse_mount("1 2 0:3 / /m rw - cgroup2 cgroup2 rw", 1, root, point));
	assert_false(
		jd_cgroup_parse_mount("1 2 0:3 / /m rw - cgroup cgroup rw,cpu", 2, root, point));
	assert_false(
		jd_cgroup_parse_mount("1 2 0:3 / /m rw - tmpfs cgroup rw,cpu", 1, root, point));
	assert_false(jd_cgroup_parse_mount("1 2 0:3 / /m rw - cgroup", 1, root, point));
	assert_false(jd_cgroup_parse_mount("1 2 0:3 / - cgroup2 a b", 2, root, point));
	assert_false(jd_cgroup_parse_mount("1 - cgroup2 a b c d e", 2, root, point));
	assert_false(jd_cgroup_parse_mount("1 2 0:3 a /m rw - cgroup2 a b", 2, root, point));
	assert_false(jd_cgroup_parse_mount(" - ", 2, root, point));
	assert_false(jd_cgroup_parse_mount("", 2, root, point));
}

/* A path that does not fit is no path, and nothing is written behind the buffer. */
static void test_mount_line_too_long(void **state)
{
	static char line[3 * JD_CGROUP_PATH_MAX];
	char root[JD_CGROUP_PATH_MAX + 1], point[JD_CGROUP_PATH_MAX + 1];
	int n = snprintf(line, sizeof(line), "1 2 0:3 /");

	(void)state;
	root[JD_CGROUP_PATH_MAX] = point[JD_CGROUP_PATH_MAX] = 'x';
	memset(line + n, 'a', JD_CGROUP_PATH_MAX - 2);
	snprintf(line + n + JD_CGROUP_PATH_MAX - 2, 64, " /m rw - cgroup2 a b");
	assert_true(jd_cgroup_parse_mount(line, 2, root, point));
	assert_int_equal(strlen(root), JD_CGROUP_PATH_MAX - 1);
	memset(line + n, 'a', JD_CGROUP_PATH_MAX - 1);
	snprintf(line + n + JD_CGROUP_PATH_MAX - 1, 64, " /m rw - cgroup2 a b");
	assert_false(jd_cgroup_parse_mount(line, 2, root, point));
	assert_int_equal(root[JD_CGROUP_PATH_MAX], 'x');
	assert_int_equal(point[JD_CGROUP_PATH_MAX], 'x');
}

/* --- A whole machine -------------------------------------------------------------------------- */

struct file {
	const char *path, *text;
};

struct machine {
	struct jd_cgroup_files base;
	const struct file *files;
};

static bool each_line(const struct jd_cgroup_files *self, const char *path,
		      bool (*line)(void *arg, const char *text), void *arg)
{
	const struct machine *machine = (const struct machine *)(const void *)self;
	static char text[2 * JD_CGROUP_PATH_MAX];

	for (const struct file *f = machine->files; f->path; f++) {
		if (strcmp(f->path, path) != 0)
			continue;
		for (const char *p = f->text; *p;) {
			size_t n = strcspn(p, "\n");

			snprintf(text, sizeof(text), "%.*s", (int)n, p);
			if (!line(arg, text))
				break;
			p += n + (p[n] == '\n');
		}
		return true;
	}
	return false;
}

static void expect_quota(const struct file *files, unsigned cpus, const char *where)
{
	struct machine machine = {{each_line}, files};
	char dir[JD_CGROUP_PATH_MAX];

	assert_int_equal(jd_cgroup_quota(&machine.base, dir), cpus);
	assert_string_equal(dir, where);
}

#define SELF "/proc/self/cgroup"
#define MOUNTS "/proc/self/mountinfo"
#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT "30 23 0:26 / /cg/cpu rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"

static void test_v2_own_group(void **state)
{
	static const struct file files[] = {
		{SELF, "0::/a/b\n"},
		{MOUNTS, "22 1 8:1 / / rw - ext4 /dev/root rw\n" V2_MOUNT},
		{"/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n"},
		{"/sys/fs/cgroup/a/cpu.max", "max 100000\n"},
		{NULL, NULL},
	};

	(void)state;
	expect_quota(files, 2, "/sys/fs/cgroup/a/b");
}

static void test_v2_ancestor_is_smaller(void **state)
{
	static const struct file files[] = {
		{SELF, "0::/a/b/c/d\n"},
		{MOUNTS, V2_MOUNT},
		{"/sys/fs/cgroup/a/b/c/d/cpu.max", "800000 100000\n"},
		{"/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n"},
		/* b has no cpu controller, so no such file */
		{"/sys/fs/cgroup/a/cpu.max", "300000 100000\n"},
		{"/sys/fs/cgroup/cpu.max", "400000 100000\n"},
		{"/sys/fs/cpu.max", "100000 100000\n"}, /* above the mount: not ours */
		{NULL, NULL},
	};

	(void)state;
	expect_quota(files, 3, "/sys/fs/cgroup/a");
}

static void test_v2_quota_at_the_top_of_a_container(void **state)
{
	static const struct file files[] = {
		{SELF, "0::/\n"},
		{MOUNTS, V2_MOUNT},
		{"/sys/fs/cgroup/cpu.max", "50000 100000\n"},
		{NULL, NULL},
	};

	(void)state;
	expect_quota(files, 1, "/sys/fs/cgroup");
}

static void test_none(void **state)
{
	static const struct file unlimited[] = {
		{SELF, "0::/a\n"},
		{MOUNTS, V2_MOUNT},
		{"/sys/fs/cgroup/a/cpu.max", "max 100000\n"},
		{NULL, NULL},
	};
	static const struct file garbage[] = {
		{SELF, "what\n:::\n0::/a\n"},
		{MOUNTS, "is\n - - - \nthis\n" V2_MOUNT},
		{"/sys/fs/cgroup/a/cpu.max", "4294967296 lots of CPUs, really, more than fit a line"
					     " of sixty-four characters\n"},
		{NULL, NULL},
	};
	static const struct file no_mounts[] = {{SELF, "0::/a\n"}, {NULL, NULL}};
	static const struct file nothing[] = {{NULL, NULL}};

	(void)state;
	expect_quota(unlimited, 0, "");
	expect_quota(garbage, 0, "");
	expect_quota(no_mounts, 0, "");
	expect_quota(nothing, 0, "");
}

static void test_v1_nested(void **state)
{
	static const struct file files[] = {
		{SELF, "5:memory:/m\n4:cpu,cpuacct:/a/b\n1:name=systemd:/s\n"},
		{MOUNTS, "29 23 0:25 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n" V1_MOUNT},
		{"/cg/cpu/a/b/cpu.cfs_quota_us", "-1\n"},
		{"/cg/cpu/a/b/cpu.cfs_period_us", "100000\n"},
		{"/cg/cpu/a/cpu.cfs_quota_us", "250000\n"},
		{"/cg/cpu/a/cpu.cfs_period_us", "50000\n"},
		{"/cg/cpu/cpu.cfs_quota_us", "700000\n"}, /* without a period */
		{"/cg/cpuset/a/cpu.cfs_quota_us", "50000\n"},
		{"/cg/cpuset/a/cpu.cfs_period_us", "50000\n"},
		{NULL, NULL},
	};

	(void)state;
	expect_quota(files, 5, "/cg/cpu/a");
}

/* A container without a namespace of its own sees its whole path, and a mount of its subtree. */
static void test_v1_mount_of_a_subtree(void **state)
{
	static const struct file files[] = {
		{SELF, "4:cpu,cpuacct:/docker/abc/x\n"},
		{MOUNTS, "30 23 0:26 /docker/abc /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"},
		{"/cg/cpu/x/cpu.cfs_quota_us", "300000\n"},
		{"/cg/cpu/x/cpu.cfs_period_us", "100000\n"},
		{"/cg/cpu/cpu.cfs_quota_us", "200000\n"},
		{"/cg/cpu/cpu.cfs_period_us", "100000\n"},
		{"/cg/cpu/docker/abc/x/cpu.cfs_quota_us", "100000\n"},
		{"/cg/cpu/docker/abc/x/cpu.cfs_period_us", "100000\n"},
		{NULL, NULL},
	};

	(void)state;
	expect_quota(files, 2, "/cg/cpu");
}

/* "/docker/abcdef" is not below "/docker/abc". With nothing better, the top of the mount counts. */
static void test_mount_of_another_subtree(void **state)
{
	static const struct file only_other[] = {
		{SELF, "0::/docker/abcdef\n"},
		{MOUNTS, "30 23 0:26 /docker/abc /cg rw - cgroup2 cgroup2 rw\n"},
		{"/cg/cpu.max", "200000 100000\n"},
		{"/cg/def/cpu.max", "100000 100000\n"},
		{NULL, NULL},
	};
	static const struct file outside[] = {
		{SELF, "0::/../..\n"},
		{MOUNTS, V2_MOUNT},
		{"/sys/fs/cgroup/cpu.max", "300000 100000\n"},
		{NULL, NULL},
	};
	static const struct file own_first[] = {
		{SELF, "0::/a\n"},
		{MOUNTS, "29 23 0:26 /a /own rw - cgroup2 cgroup2 rw\n"
			 "30 23 0:26 /b /other rw - cgroup2 cgroup2 rw\n"},
		{"/own/cpu.max", "400000 100000\n"},
		{"/other/cpu.max", "100000 100000\n"},
		{NULL, NULL},
	};

	(void)state;
	expect_quota(only_other, 2, "/cg");
	expect_quota(outside, 3, "/sys/fs/cgroup");
	expect_quota(own_first, 4, "/own");
}

/* Both versions in use: the cpu controller is in one of them, and we need not know in which. */
static void test_hybrid(void **state)
{
	static const struct file files[] = {
		{SELF, "4:cpu:/v1\n0::/v2\n"},
		{MOUNTS, V1_MOUNT V2_MOUNT},
		{"/cg/cpu/v1/cpu.cfs_quota_us", "600000\n"},
		{"/cg/cpu/v1/cpu.cfs_period_us", "100000\n"},
		{"/sys/fs/cgroup/v2/cpu.max", "max 100000\n"},
		{NULL, NULL},
	};

	(void)state;
	expect_quota(files, 6, "/cg/cpu/v1");
}

/* What was found out about one version must not leak into the other. */
static void test_versions_are_apart(void **state)
{
	static const struct file no_v2_group[] = {
		{SELF, "4:cpu:/a\n"},
		{MOUNTS, V1_MOUNT V2_MOUNT},
		{"/sys/fs/cgroup/a/cpu.max", "100000 100000\n"},
		{NULL, NULL},
	};
	static const struct file v2_is_outside[] = {
		{SELF, "4:cpu:/a\n0::/b\n"},
		{MOUNTS, V1_MOUNT "29 23 0:26 /c /v2 rw - cgroup2 cgroup2 rw\n"},
		{"/v2/cpu.max", "300000 100000\n"},
		{NULL, NULL},
	};

	(void)state;
	expect_quota(no_v2_group, 0, "");
	expect_quota(v2_is_outside, 3, "/v2");
}

/* A group may have a name that begins with dots, and one with a very long name is no group. */
static void test_odd_names(void **state)
{
	static char self[JD_CGROUP_PATH_MAX + 16] = "0::/";
	static const struct file dots[] = {
		{SELF, "0::/..a\n"},
		{MOUNTS, V2_MOUNT},
		{"/sys/fs/cgroup/..a/cpu.max", "200000 100000\n"},
		{"/sys/fs/cgroup/cpu.max", "800000 100000\n"},
		{NULL, NULL},
	};
	static const struct file up[] = {
		{SELF, "0::/../b\n"},
		{MOUNTS, V2_MOUNT},
		{"/sys/fs/cgroup/../b/cpu.max", "100000 100000\n"},
		{"/sys/fs/cgroup/cpu.max", "800000 100000\n"},
		{NULL, NULL},
	};
	const struct file lengthy[] = {
		{SELF, self},
		{MOUNTS, V2_MOUNT},
		{"/sys/fs/cgroup/cpu.max", "100000 100000\n"},
		{NULL, NULL},
	};

	(void)state;
	memset(self + 4, 'a', JD_CGROUP_PATH_MAX + 8);
	expect_quota(dots, 2, "/sys/fs/cgroup/..a");
	expect_quota(up, 8, "/sys/fs/cgroup");
	expect_quota(lengthy, 0, "");
}

/* The first of two equal quotas on the way up is the one that is named. */
static void test_equal_quotas(void **state)
{
	static const struct file files[] = {
		{SELF, "0::/a\n"},
		{MOUNTS, V2_MOUNT},
		{"/sys/fs/cgroup/a/cpu.max", "150000 100000\n"},
		{"/sys/fs/cgroup/cpu.max", "200000 100000\n"},
		{NULL, NULL},
	};

	(void)state;
	expect_quota(files, 2, "/sys/fs/cgroup/a");
}

static void test_mounted_at_the_root(void **state)
{
	static const struct file files[] = {
		{SELF, "0::/a\n"},
		{MOUNTS, "30 23 0:26 / / rw - cgroup2 cgroup2 rw\n"},
		{"/a/cpu.max", "max\n"},
		{"/cpu.max", "200000 100000\n"},
		{NULL, NULL},
	};

	(void)state;
	expect_quota(files, 2, "/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v2_values),
		cmocka_unit_test(test_v1_values),
		cmocka_unit_test(test_membership_lines),
		cmocka_unit_test(test_mount_lines),
		cmocka_unit_test(test_mount_line_too_long),
		cmocka_unit_test(test_v2_own_group),
		cmocka_unit_test(test_v2_ancestor_is_smaller),
		cmocka_unit_test(test_v2_quota_at_the_top_of_a_container),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_v1_nested),
		cmocka_unit_test(test_v1_mount_of_a_subtree),
		cmocka_unit_test(test_mount_of_another_subtree),
		cmocka_unit_test(test_hybrid),
		cmocka_unit_test(test_versions_are_apart),
		cmocka_unit_test(test_odd_names),
		cmocka_unit_test(test_equal_quotas),
		cmocka_unit_test(test_mounted_at_the_root),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
