/* death.c - tests of what must end the process with a message. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/death.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void child(int out, void (*fn)(void *arg), void *arg)
{
	struct rlimit none = {0, 0};

	/* No core file, and not the test framework's idea of SIGABRT. */
	setrlimit(RLIMIT_CORE, &none);
	signal(SIGABRT, SIG_DFL);
	dup2(out, STDERR_FILENO);
	fn(arg);
	_exit(0);
}

bool death_aborts(void (*fn)(void *arg), void *arg, const char *message)
{
	char text[4096];
	size_t length = 0;
	int fds[2], status = 0;

	fflush(NULL);
	if (pipe(fds))
		return false;
	pid_t pid = fork();

	if (pid == 0)
		child(fds[1], fn, arg);
	close(fds[1]);
	while (pid > 0 && length < sizeof(text) - 1) {
		ssize_t n = read(fds[0], text + length, sizeof(text) - 1 - length);

		if (n <= 0)
			break;
		length += (size_t)n;
	}
	text[length] = 0;
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, message))
		return true;
	fprintf(stderr, "expected an abort with \"%s\", got wait status 0x%x and: %s\n", message,
		(unsigned)status, text);
	return false;
}
