/* cgroup.c - finds our control groups and reads the smallest CPU quota. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "platform/compiler.h"
#include "platform/linux/cgroup.h"

/* Digits at *text, followed by a space or the end; moves *text behind them and spaces. */
static bool parse_number(const char **text, uint64_t *number)
{
	const char *p = *text;
	uint64_t n = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (n > UINT64_MAX / 10 - 1)
			return false;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	if (*p != '\0' && *p != ' ' && *p != '\n')
		return false;
	while (*p == ' ' || *p == '\n')
		p++;
	*text = p;
	*number = n;
	return true;
}

static unsigned cpus_of(uint64_t quota, uint64_t period)
{
	uint64_t cpus;

	if (quota == 0 || period == 0)
		return 0;
	cpus = quota / period + (quota % period != 0);
	return cpus > UINT_MAX ? UINT_MAX : (unsigned)cpus;
}

unsigned jd_cgroup_parse_v2(const char *max)
{
	uint64_t quota, period = 100000; /* the kernel's default */

	if (!parse_number(&max, &quota))
		return 0; /* "max" among others */
	if (*max != '\0' && (!parse_number(&max, &period) || *max != '\0'))
		return 0;
	return cpus_of(quota, period);
}

unsigned jd_cgroup_parse_v1(const char *quota, const char *period)
{
	uint64_t q, p;

	if (!parse_number(&quota, &q) || *quota != '\0')
		return 0; /* "-1" among others */
	if (!parse_number(&period, &p) || *period != '\0')
		return 0;
	return cpus_of(q, p);
}

/* Whether a comma-separated list of length n contains the word "cpu". */
static bool list_has_cpu(const char *list, size_t n)
{
	const char *end = list + n;

	for (;;) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		const char *stop = comma ? comma : end;

		if (stop - list == 3 && memcmp(list, "cpu", 3) == 0)
			return true;
		if (!comma)
			return false;
		list = comma + 1;
	}
}

bool jd_cgroup_parse_membership(const char *line, int version, const char **path)
{
	const char *list = strchr(line, ':');
	const char *end = list ? strchr(list + 1, ':') : NULL;
	bool ours;

	if (!end || end[1] != '/')
		return false;
	list++;
	if (version == 2)
		ours = strncmp(line, "0::", 3) == 0;
	else
		ours = list_has_cpu(list, (size_t)(end - list));
	if (ours)
		*path = end + 1;
	return ours;
}

/* Field n (from 0) of a line of fields between single spaces. NULL when there are fewer. */
static const char *field(const char *line, unsigned n, size_t *length)
{
	*length = 0;
	while (n-- > 0) {
		line = strchr(line, ' ');
		if (!line)
			return NULL;
		line++;
	}
	*length = strcspn(line, " ");
	return line;
}

/* Three octal digits, as mountinfo writes space, tab, newline and backslash. */
static bool is_octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' &&
	       p[2] <= '7';
}

static bool copy_unescaped(char *to, const char *from, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		char c = from[i];

		if (c == '\\' && n - i > 3 && is_octal(from + i + 1)) {
			c = (char)((from[i + 1] - '0') << 6 | (from[i + 2] - '0') << 3 |
				   (from[i + 3] - '0'));
			i += 3;
		}
		if (used + 1 >= JD_CGROUP_PATH_MAX)
			return false;
		to[used++] = c;
	}
	to[used] = '\0';
	return used > 0 && to[0] == '/';
}

/* "36 35 98:0 ROOT POINT options... - TYPE SOURCE SUPEROPTIONS" */
bool jd_cgroup_parse_mount(const char *line, int version, char *root, char *point)
{
	const char *dash = strstr(line, " - ");
	const char *type, *super, *r, *p;
	size_t type_length, super_length, r_length, p_length;

	if (!dash)
		return false;
	type = field(dash + 3, 0, &type_length);
	super = field(dash + 3, 2, &super_length);
	if (version == 2) {
		if (type_length != 7 || memcmp(type, "cgroup2", 7) != 0)
			return false;
	} else if (type_length != 6 || memcmp(type, "cgroup", 6) != 0 || !super ||
		   !list_has_cpu(super, super_length)) {
		return false;
	}
	r = field(line, 3, &r_length);
	p = field(line, 4, &p_length);
	return r && p && p < dash && copy_unescaped(root, r, r_length) &&
	       copy_unescaped(point, p, p_length);
}

/* --- The walk ----------------------------------------------------------------------------- */

/* Our group in the hierarchies of one version. */
struct group {
	bool mounted_here;             /* some mount shows it */
	char path[JD_CGROUP_PATH_MAX]; /* "": there is none */
};

/*
 * The smallest quota so far. Both versions are looked for in one pass: the kernel takes longer to
 * write the list of mounts than we for all the rest.
 */
struct search {
	const struct jd_cgroup_files *files;
	unsigned cpus;
	struct group groups[2]; /* version 1, version 2 */
	char point[JD_CGROUP_PATH_MAX];
	char root[JD_CGROUP_PATH_MAX];
	char dir[JD_CGROUP_PATH_MAX];
	char found[JD_CGROUP_PATH_MAX]; /* where the smallest stands */
};

struct first_line {
	char text[64];
	bool fits;
};

static bool take_first_line(void *arg, const char *text)
{
	struct first_line *line = arg;
	int n = snprintf(line->text, sizeof(line->text), "%s", text);

	line->fits = n >= 0 && (size_t)n < sizeof(line->text);
	return false;
}

static bool read_value(struct search *s, const char *name, struct first_line *line)
{
	char path[JD_CGROUP_PATH_MAX + 32];

	line->fits = false;
	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	return s->files->each_line(s->files, path, take_first_line, line) && line->fits;
}

/* The quota of the group in s->dir. */
static unsigned read_quota(struct search *s, int version)
{
	struct first_line a, b;

	if (version == 2)
		return read_value(s, "cpu.max", &a) ? jd_cgroup_parse_v2(a.text) : 0;
	if (!read_value(s, "cpu.cfs_quota_us", &a) || !read_value(s, "cpu.cfs_period_us", &b))
		return 0;
	return jd_cgroup_parse_v1(a.text, b.text);
}

/* From s->dir up to the mount point, which is its first `top` bytes. */
static void walk_up(struct search *s, int version, size_t top)
{
	for (;;) {
		unsigned cpus = read_quota(s, version);
		char *slash;

		if (cpus && (s->cpus == 0 || cpus < s->cpus)) {
			s->cpus = cpus;
			snprintf(s->found, sizeof(s->found), "%s", s->dir);
		}
		slash = strrchr(s->dir, '/');
		if (!slash || (size_t)(slash - s->dir) < top)
			return;
		*slash = '\0';
	}
}

/* What remains of path below root ("" or "/..."), or NULL when it is not below. */
static const char *below(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (n == 1)
		return path[1] ? path : "";
	if (strncmp(path, root, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	return path + n;
}

/* Told as seen from another namespace: our group is not below the root we see. */
static bool is_outside(const char *path)
{
	return strncmp(path, "/..", 3) == 0 && (path[3] == '/' || path[3] == '\0');
}

/* s->root is mounted at s->point. */
static void visit_hierarchy(struct search *s, int version)
{
	struct group *group = &s->groups[version - 1];
	const char *rest = is_outside(group->path) ? NULL : below(group->path, s->root);

	if (!rest) {
		/* The mount is likely that of our container, so its top is the best guess,
		 * unless some mount shows our own group. */
		if (group->mounted_here)
			return;
		rest = "";
	} else {
		group->mounted_here = true;
	}
	if (strcmp(s->point, "/") == 0)
		s->point[0] = '\0';
	size_t top = strlen(s->point);
	int n = snprintf(s->dir, sizeof(s->dir), "%s%s", s->point, rest);

	if (n > 0 && (size_t)n < sizeof(s->dir))
		walk_up(s, version, top);
}

static bool visit_mount(void *arg, const char *text)
{
	struct search *s = arg;

	for (int version = 1; version <= 2; version++) {
		if (s->groups[version - 1].path[0] &&
		    jd_cgroup_parse_mount(text, version, s->root, s->point))
			visit_hierarchy(s, version);
	}
	return true;
}

static bool visit_membership(void *arg, const char *text)
{
	struct search *s = arg;
	const char *path;

	for (int version = 1; version <= 2; version++) {
		char *kept = s->groups[version - 1].path;

		if (kept[0] || !jd_cgroup_parse_membership(text, version, &path))
			continue;
		if ((size_t)snprintf(kept, JD_CGROUP_PATH_MAX, "%s", path) >= JD_CGROUP_PATH_MAX)
			kept[0] = '\0';
	}
	return true;
}

unsigned jd_cgroup_quota(const struct jd_cgroup_files *files, char *dir)
{
	struct search s;

	s.files = files;
	s.cpus = 0;
	s.found[0] = '\0';
	for (int i = 0; i < 2; i++) {
		s.groups[i].mounted_here = false;
		s.groups[i].path[0] = '\0';
	}
	files->each_line(files, "/proc/self/cgroup", visit_membership, &s);
	if (s.groups[0].path[0] || s.groups[1].path[0])
		files->each_line(files, "/proc/self/mountinfo", visit_mount, &s);
	if (s.cpus && !s.found[0])
		memcpy(s.found, "/", 2); /* the hierarchy is mounted there */
	snprintf(dir, JD_CGROUP_PATH_MAX, "%s", s.found);
	return s.cpus;
}
