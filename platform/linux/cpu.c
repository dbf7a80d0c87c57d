/* cpu.c - which CPUs, which one, how much of them. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "platform/cpu.h"
#include "platform/linux/cgroup.h"

/* sched_getaffinity wants room for every CPU the kernel could have. */
struct cpu_mask {
	unsigned long bits[JD_CPU_LIMIT / (8 * sizeof(unsigned long))];
};

static cpu_set_t *mask_set(struct cpu_mask *mask)
{
	return (cpu_set_t *)(void *)mask;
}

unsigned jd_cpu_allowed(bool process, unsigned *os, unsigned max)
{
	enum {
		BITS = 8 * sizeof(unsigned long)
	};
	struct cpu_mask mask = {{0}};
	unsigned n = 0;

	if (sched_getaffinity(process ? getpid() : 0, sizeof(mask), mask_set(&mask)))
		return 0;
	for (unsigned i = 0; i < JD_CPU_LIMIT; i++) {
		if (i % BITS == 0 && !mask.bits[i / BITS]) {
			i += BITS - 1; /* nearly all of the room */
			continue;
		}
		if (!CPU_ISSET_S(i, sizeof(mask), mask_set(&mask)))
			continue;
		if (n < max)
			os[n] = i;
		n++;
	}
	return n;
}

jd_status jd_cpu_pin(const unsigned *os, unsigned n)
{
	struct cpu_mask mask = {{0}};

	for (unsigned i = 0; i < n; i++) {
		if (os[i] >= JD_CPU_LIMIT)
			return JD_ENOTSUP;
		CPU_SET_S(os[i], sizeof(mask), mask_set(&mask));
	}
	return sched_setaffinity(0, sizeof(mask), mask_set(&mask)) ? JD_ENOTSUP : JD_OK;
}

int jd_cpu_current(void)
{
	return sched_getcpu();
}

/* "0.20 0.18 0.12 1/80 11206": of 80 threads 1 runs or wants to, the reader at least. */
bool jd_cpu_crowded(void)
{
	int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	char text[128];
	long runnable;

	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return sscanf(text, "%*s %*s %*s %ld/", &runnable) == 1 &&
	       runnable > sysconf(_SC_NPROCESSORS_ONLN);
}

/* Lines longer than the buffer concern mounts with endless options, never a control group's. */
static bool each_line_of_file(const struct jd_cgroup_files *self, const char *path,
			      bool (*line)(void *arg, const char *text), void *arg)
{
	char text[2 * JD_CGROUP_PATH_MAX];
	FILE *file = fopen(path, "re");
	bool whole = true; /* the buffer begins at the start of a line */

	(void)self;
	if (!file)
		return false;
	while (fgets(text, sizeof(text), file)) {
		size_t n = strcspn(text, "\n");
		bool ends = text[n] == '\n' || n + 1 < sizeof(text);

		text[n] = '\0';
		if (whole && ends && !line(arg, text))
			break;
		whole = ends;
	}
	fclose(file);
	return true;
}

unsigned jd_cpu_quota(char *text, size_t size)
{
	static const struct jd_cgroup_files files = {each_line_of_file};
	char dir[JD_CGROUP_PATH_MAX];
	unsigned cpus = jd_cgroup_quota(&files, dir);

	if (cpus)
		snprintf(text, size, "%u CPU%s (%s)", cpus, cpus == 1 ? "" : "s", dir);
	else
		snprintf(text, size, "none");
	return cpus;
}
