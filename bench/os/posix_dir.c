/* posix_dir.c - listing a directory on POSIX systems. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/os/dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* False: neither a directory nor a regular file, or gone meanwhile. */
static bool look(DIR *dir, const char *name, struct bench_dir_entry *entry)
{
	struct stat info;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	if (fstatat(dirfd(dir), name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))
		return false;
	*entry = (struct bench_dir_entry){name, S_ISDIR(info.st_mode), (uint64_t)info.st_size};
	return true;
}

jd_status bench_dir_each(const char *path,
			 jd_status (*fn)(void *arg, const struct bench_dir_entry *entry), void *arg)
{
	DIR *dir = opendir(path);
	struct bench_dir_entry entry;
	jd_status status = JD_OK;
	const struct dirent *item;

	if (!dir)
		return JD_ENOENT;
	while (status == JD_OK && (item = readdir(dir)) != NULL)
		if (look(dir, item->d_name, &entry))
			status = fn(arg, &entry);
	closedir(dir);
	return status;
}
