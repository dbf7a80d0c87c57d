/* test_platform_linux.c - what the port promises in Linux's terms: signals, names, sandboxes. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/platform.h"

struct report {
	char name[32];
	bool usr1_blocked, term_blocked, segv_blocked;
};

static void report_self(void *arg)
{
	struct report *r = arg;
	sigset_t set;

	pthread_getname_np(pthread_self(), r->name, sizeof(r->name));
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	r->usr1_blocked = sigismember(&set, SIGUSR1);
	r->term_blocked = sigismember(&set, SIGTERM);
	r->segv_blocked = sigismember(&set, SIGSEGV);
}

static void test_threads_have_a_name_and_no_signals(void **state)
{
	struct jd_thread thread;
	struct report r = {.name = ""};
	sigset_t set;

	(void)state;
	assert_int_equal(jd_thread_start(&thread, "a-name-that-is-too-long", 0, report_self, &r),
			 JD_OK);
	jd_thread_join(&thread);
	assert_string_equal(r.name, "a-name-that-is-");
	assert_true(r.usr1_blocked);
	assert_true(r.term_blocked);
	assert_false(r.segv_blocked);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	assert_false(sigismember(&set, SIGUSR1));
}

static void set_slack(void *arg)
{
	jd_thread_set_slack(12345);
	*(int *)arg = prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL);
}

static void test_slack_is_of_the_thread(void **state)
{
	int before = prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL), there = 0;
	struct jd_thread thread;

	(void)state;
	assert_int_equal(jd_thread_start(&thread, NULL, 0, set_slack, &there), JD_OK);
	jd_thread_join(&thread);
	assert_int_equal(there, 12345);
	assert_int_equal(prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL), before);
}

static void on_signal(int number)
{
	(void)number;
}

/* Interrupted waits come back as "look again" and repeating them does not move the deadline. */
static void test_futex_interrupted(void **state)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec every = {{0, 1000000}, {0, 1000000}}, never = {{0, 0}, {0, 0}};
	_Atomic(uint32_t) word = 0;
	uint64_t deadline;
	unsigned again = 0;
	timer_t timer;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	deadline = jd_clock_now() + 30 * JD_MS;
	assert_int_equal(timer_settime(timer, 0, &every, NULL), 0);
	while (jd_futex_wait(&word, 0, deadline) == JD_OK)
		again++;
	assert_int_equal(timer_settime(timer, 0, &never, NULL), 0);
	assert_true(jd_clock_now() >= deadline);
	assert_true(again >= 1);
	timer_delete(timer);
}

/* From here on getrandom fails in this process, as in a sandbox. */
static bool forbid_getrandom(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 38 /* ENOSYS */),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void test_random_seeds_without_getrandom(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		uint64_t a, b;

		if (!forbid_getrandom())
			_exit(2);
		a = jd_random_seed();
		b = jd_random_seed();
		_exit(a == b);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		skip(); /* this kernel has no filters */
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void read_all(int fd, char *text, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while (used + 1 < size && (n = read(fd, text + used, size - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
}

static void test_panic_says_one_line_and_aborts(void **state)
{
	char text[256];
	int fds[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(fds[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		jd_panic("BUG IN CLIENT", "the reason", "file.c", 7);
	}
	close(fds[1]);
	read_all(fds[0], text, sizeof(text));
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_string_equal(text, "jackdaw: BUG IN CLIENT: the reason (file.c:7)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_have_a_name_and_no_signals),
		cmocka_unit_test(test_slack_is_of_the_thread),
		cmocka_unit_test(test_futex_interrupted),
		cmocka_unit_test(test_random_seeds_without_getrandom),
		cmocka_unit_test(test_panic_says_one_line_and_aborts),
	};

	return cmocka_run_group_tests_name("platform_linux", tests, NULL, NULL);
}
