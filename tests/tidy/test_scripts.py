#!/usr/bin/env python3
# test_scripts.py - scripts/setup, test, wine, ... report the truth, also when something fails.
# SPDX-License-Identifier: Apache-2.0
"""test_scripts.py SCRIPTS - runs them in a scratch tree, with stand-ins for what they call.

A test command that prints "0 failed" after a build that broke is worse than none, and nobody breaks
the build on purpose to look. Here it is done each time.
"""
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(sys.argv.pop(1)).resolve()

CTEST = """#!/bin/sh
# Writes the JUnit file of a run: tests, failures and skipped come from the environment.
while [ $# -gt 0 ]; do
    case $1 in
    --preset) preset=$2 ;;
    --output-junit) junit=$2 ;;
    esac
    shift
done
echo "$preset" >>ran
[ "$preset" != "${CRASH-}" ] || exit 1
echo "<testsuite tests='${TESTS-5}' failures='${FAILURES-0}' skipped='${SKIPPED-0}'
    disabled='0'/>" >"$junit"
[ "${FAILURES-0}" = 0 ]
"""
CMAKE = """#!/bin/sh
for word; do [ "$word" != "${BREAK-}" ] || { echo "error: broken"; exit 1; }; done
"""
DPKG_QUERY = """#!/bin/sh
for package; do :; done
! grep -qx "$package" missing || exit 1
printf installed
"""
APT_GET = """#!/bin/sh
echo "$@" >>apt
case "$*" in *" install "*) [ -n "${APT_BROKEN-}" ] || : >missing ;; esac
"""


class Scratch(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.root = pathlib.Path(self.dir.name)
        (self.root / "scripts").mkdir()
        (self.root / "bin").mkdir()
        for name in ("setup", "test", "wine"):
            shutil.copy(SCRIPTS / name, self.root / "scripts" / name)
        self.write("os-release", 'ID=debian\nVERSION_ID="12"\n')
        self.write("missing", "")

    def write(self, path, text):
        (self.root / path).write_text(text)

    def command(self, name, text):
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run_script(self, *words, **env):
        return subprocess.run(
            words, cwd=self.root, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env={"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
                 "JD_OS_RELEASE": str(self.root / "os-release"), **env}, timeout=120)

    def read(self, path):
        path = self.root / path
        return path.read_text() if path.exists() else ""


class Test(Scratch):
    def setUp(self):
        super().setUp()
        self.command("ctest", CTEST)
        self.command("cmake", CMAKE)
        self.command("gcovr", "#!/bin/sh\nexit ${GCOVR-0}\n")
        self.write("scripts/setup", '#!/bin/sh\necho "$@" >>setup\n'
                   '[ "$*" != --windows ] || exit ${SETUP_WINDOWS-0}\nexit ${SETUP-0}\n')
        self.write("scripts/wine", '#!/bin/sh\necho "$@" >>wine\nexit ${WINE-0}\n')
        self.command("x86_64-w64-mingw32-gcc-win32", "#!/bin/sh\n")
        self.command("wine64", "#!/bin/sh\n")

    def without_windows(self):
        """PATH without MinGW and Wine: only what the script needs."""
        for name in ("bash", "dirname", "mkdir", "nproc", "python3", "rm", "find", "setarch",
                     "uname", "grep", "cat", "sh", "sed"):
            path = self.root / "bin" / name
            if not path.exists():
                path.symlink_to(shutil.which(name))
        (self.root / "bin" / "x86_64-w64-mingw32-gcc-win32").unlink()
        return {"PATH": str(self.root / "bin")}

    def expect(self, last, code, *args, **env):
        done = self.run_script("scripts/test", *args, **env)
        self.assertEqual((done.stdout.splitlines()[-1:], done.returncode), ([last], code),
                         done.stdout + done.stderr)
        return done

    def test_all_tiers(self):
        self.expect("26 passed, 0 failed", 0)
        self.assertEqual(self.read("ran").split(),
                         ["release", "asan-ubsan", "tsan", "coverage", "mingw"])
        self.assertEqual(self.read("setup"), "\n--windows\n")

    def test_quick(self):
        self.expect("5 passed, 0 failed", 0, "--quick")
        self.assertEqual(self.read("ran").split(), ["release"])

    def test_failures_are_summed(self):
        self.expect("16 passed, 10 failed", 1, FAILURES="2")

    def test_skipped_is_neither(self):
        done = self.expect("21 passed, 0 failed", 0, SKIPPED="1")
        self.assertIn("5 skipped", done.stdout)

    def test_a_run_of_no_test_is_a_failure(self):
        self.expect("0 passed, 1 failed", 1, "release", TESTS="0")

    def test_broken_build_is_a_failure_and_the_rest_runs(self):
        done = self.expect("21 passed, 1 failed", 1, BREAK="release")
        self.assertIn("error: broken", done.stdout)
        self.assertEqual(self.read("ran").split(), ["asan-ubsan", "tsan", "coverage", "mingw"])

    def test_ctest_that_dies_is_a_failure(self):
        self.expect("21 passed, 1 failed", 1, CRASH="tsan")

    def test_old_results_do_not_count(self):
        self.expect("26 passed, 0 failed", 0)
        self.expect("21 passed, 1 failed", 1, CRASH="asan-ubsan")

    def test_low_coverage_is_a_failure(self):
        self.expect("5 passed, 1 failed", 1, "--coverage", GCOVR="2")
        self.assertEqual(self.read("ran").split(), ["coverage"])

    def test_setup_that_fails(self):
        self.expect("0 passed, 1 failed", 1, SETUP="3")
        self.assertEqual(self.read("ran"), "")
        self.expect("5 passed, 0 failed", 0, "--no-setup", "--quick", SETUP="3")

    def test_windows(self):
        self.expect("5 passed, 0 failed", 0, "--windows")
        self.assertEqual(self.read("ran").split(), ["mingw"])
        self.assertEqual(self.read("wine"), "--prepare\n--stop\n")

    def test_windows_without_a_prefix(self):
        self.expect("0 passed, 1 failed", 1, "windows", WINE="1")
        self.assertEqual(self.read("ran"), "")

    def test_windows_that_cannot_be_installed(self):
        env = {"SETUP_WINDOWS": "1", **self.without_windows()}
        done = self.expect("21 passed, 0 failed", 0, **env)
        self.assertIn("windows: skipped, no MinGW-w64", done.stdout)
        self.assertIn("1 skipped", done.stdout)
        for args, more in (((), {"CI": "true"}), (("--windows",), {}), (("windows",), {})):
            done = self.run_script("scripts/test", *args, **env, **more)
            self.assertEqual(done.returncode, 1, args)
            self.assertIn("windows: FAILED, no MinGW-w64", done.stdout)
            self.assertIn(", 1 failed", done.stdout)

    def test_unknown_argument(self):
        done = self.run_script("scripts/test", "--fast")
        self.assertEqual(done.returncode, 2)
        self.assertIn("unknown argument: --fast", done.stderr)


class Bench(Scratch):
    def setUp(self):
        super().setUp()
        shutil.copy(SCRIPTS / "bench", self.root / "scripts" / "bench")
        self.write("scripts/setup", '#!/bin/sh\necho setup "$@" >>ran\n')
        self.command("cmake", '#!/bin/sh\necho cmake "$@" >>ran\n' + CMAKE)
        self.command("python3", '#!/bin/sh\necho "$@" >>ran\n')

    def test_this_system(self):
        self.assertEqual(self.run_script("scripts/bench", "--list").returncode, 0)
        self.assertIn("setup\ncmake --preset release", self.read("ran"))
        self.assertIn("scripts/benching/main.py build/release/bench --list\n", self.read("ran"))

    def test_windows(self):
        done = self.run_script("scripts/bench", "--windows", "--filter", "^fib")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("setup --windows\ncmake --preset mingw\n", self.read("ran"))
        self.assertIn("main.py build/mingw/bench --windows --filter ^fib\n", self.read("ran"))
        self.assertNotIn("release", self.read("ran"))

    def test_windows_is_known_and_labelled(self):
        done = subprocess.run(
            [sys.executable, "-c", "import main, tables, wine; "
             "assert main.parser().parse_args(['--windows']).windows; "
             "e = {'name': 'a/ws/1', 'ns_per_op': 1.5, 'real_time': 1, 'time_unit': 'ms'}; "
             "print(tables.all_text(main.results.figures([e]), 'Wine 8.0'), wine.facts('Wine'))"],
            cwd=SCRIPTS / "benching", capture_output=True, text=True, check=False)
        self.assertIn("workload under Wine 8.0", done.stdout, done.stderr)
        self.assertIn("no figure here is one of Windows", done.stdout)

    def test_build_that_breaks(self):
        done = self.run_script("scripts/bench", "--no-setup", "--windows", BREAK="mingw")
        self.assertEqual(done.returncode, 1)
        self.assertIn("error: broken", done.stderr)
        self.assertNotIn("main.py", self.read("ran"))


class Wine(Scratch):
    """A stand-in for Wine: programs start a service that keeps every descriptor it is given."""
    def setUp(self):
        super().setUp()
        self.prefix = self.root / "build" / "wine"
        os.mkfifo(self.root / "end")
        self.command("wine64", """#!/bin/sh
            echo "$@" >>ran
            case $1 in
            wineboot)
                read line <end & # for as long as the test runs
                [ -z "${BREAK-}" ] || exit 1
                mkdir -p "$WINEPREFIX/drive_c/windows/system32"
                : >"$WINEPREFIX/drive_c/windows/system32/kernel32.dll" ;;
            reg) [ -d "$WINEPREFIX/drive_c" ] ;;
            *)
                [ -e "$WINEPREFIX/drive_c/windows/system32/kernel32.dll" ] || exit 53
                echo "${LAST-end of program}" ;;
            esac
            """)
        self.command("wineserver64", '#!/bin/sh\necho server "$@" >>ran\n')
        self.addCleanup(self.end_services)

    def end_services(self):
        fifo = os.open(self.root / "end", os.O_RDWR | os.O_NONBLOCK)
        os.write(fifo, b"\n" * 100)
        os.close(fifo)

    def test_the_first_programs_wait_until_the_prefix_is_complete(self):
        first = [subprocess.Popen(["scripts/wine", f"{name}.exe"], cwd=self.root,
                                  env={"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"},
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for name in "abcd"]
        for process in first:
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, out), (0, b"end of program\n"), err)
        self.assertEqual(self.read("ran").count("wineboot --init"), 1)
        self.assertEqual(self.read("ran").count("server -w"), 1)

    def test_prepare_and_stop(self):
        self.assertEqual(self.run_script("scripts/wine", "--prepare").returncode, 0)
        self.assertEqual(self.run_script("scripts/wine", "--stop").returncode, 0)
        self.assertRegex(self.read("ran"), "server -w\nserver -p60\nserver -k\n$")

    def test_a_prefix_that_was_not_completed_is_made_anew(self):
        done = self.run_script("scripts/wine", "--prepare", BREAK="1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("wine: cannot make the prefix", done.stderr)
        self.assertFalse(self.prefix.exists())
        self.assertEqual(self.run_script("scripts/wine", "--prepare").returncode, 0)
        self.assertTrue(self.prefix.is_dir())

    def test_an_older_prefix_is_replaced(self):
        self.prefix.mkdir(parents=True)
        self.write("build/wine/.prepared-2", "")
        self.assertEqual(self.run_script("scripts/wine", "x.exe").returncode, 0)
        self.assertFalse((self.prefix / ".prepared-2").exists())

    def test_a_prefix_of_somebody_else_is_left_alone(self):
        (self.root / "mine").mkdir()
        self.write("mine/system.reg", "")
        done = self.run_script("scripts/wine", "x.exe", WINEPREFIX=str(self.root / "mine"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("is no prefix of this script", done.stderr)
        self.assertTrue((self.root / "mine/system.reg").exists())

    def test_a_program_must_come_to_its_end(self):
        done = self.run_script("scripts/wine", "x.exe", LAST="a heap is broken")
        self.assertEqual(done.returncode, 1)
        self.assertIn("x.exe returned 0 but did not come to its end", done.stderr)


class Setup(Scratch):
    def setUp(self):
        super().setUp()
        self.command("dpkg-query", DPKG_QUERY)
        self.command("apt-get", APT_GET)
        self.command("id", "#!/bin/sh\necho ${AS-0}\n")
        self.command("sudo", '#!/bin/sh\necho "sudo $*" >>sudo\nexec "$@"\n')

    def test_nothing_to_do(self):
        done = self.run_script("scripts/setup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nothing to do", done.stdout)
        self.assertEqual(self.read("apt"), "")

    def test_installs_exactly_what_is_missing(self):
        self.write("missing", "cmake\nliburcu-dev\n")
        done = self.run_script("scripts/setup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("missing: cmake liburcu-dev\n", done.stdout)
        self.assertRegex(self.read("apt"), r"update\n.* install .* cmake liburcu-dev\n$")
        self.assertEqual(self.read("sudo"), "")
        self.assertIn("nothing to do", self.run_script("scripts/setup").stdout)

    def test_sudo_when_not_root(self):
        self.write("missing", "cmake\n")
        done = self.run_script("scripts/setup", AS="1000")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(self.read("sudo"), "sudo env .*apt-get .* install .* cmake")

    def test_install_that_fails(self):
        self.write("missing", "cmake\n")
        done = self.run_script("scripts/setup", APT_BROKEN="1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("error: still missing after installing: cmake", done.stderr)

    def test_check_installs_nothing(self):
        self.write("missing", "cmake\n")
        done = self.run_script("scripts/setup", "--check")
        self.assertEqual((done.returncode, self.read("apt")), (1, ""), done.stderr)

    def test_another_system(self):
        for text, name in (('ID=fedora\nVERSION_ID=40\n', "fedora 40"),
                           ('ID=debian\nVERSION_ID="13"\n', "debian 13"), ("ID=arch\n", "arch")):
            self.write("os-release", text)
            done = self.run_script("scripts/setup")
            self.assertEqual((done.returncode, self.read("apt")), (1, ""))
            self.assertIn(f'Debian 12 only, and this is "{name}', done.stderr)


@unittest.skipUnless(shutil.which("clang-format-14"), "no clang-format-14 here")
class Format(Scratch):
    GOOD = "int f(void)\n{\n\treturn 1;\n}\n"
    BAD = "int f(void) {\n  return 1;\n}\n"

    def setUp(self):
        super().setUp()
        shutil.copy(SCRIPTS / "format", self.root / "scripts" / "format")
        shutil.copy(SCRIPTS.parent / ".clang-format", self.root)

    def test_check_finds_and_format_mends(self):
        self.write("x.c", self.BAD)
        done = self.run_script("scripts/format", "--check", "x.c")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("x.c:1:", done.stderr)
        self.assertEqual(self.read("x.c"), self.BAD)
        self.assertEqual(self.run_script("scripts/format", "x.c").returncode, 0)
        self.assertEqual(self.read("x.c"), self.GOOD)
        self.assertEqual(self.run_script("scripts/format", "--check", "x.c").returncode, 0)

    def test_all_files_by_default(self):
        for folder in ("include", "platform", "deque", "timers", "runtime", "bench", "tests"):
            (self.root / folder / "sub").mkdir(parents=True)
            self.write(f"{folder}/sub/a.c", self.GOOD)
        self.assertEqual(self.run_script("scripts/format", "--check").returncode, 0)
        for name in ("include/sub/b.h", "runtime/sub/a.c", "bench/sub/b.cc"):
            before = self.read(name)
            self.write(name, self.BAD)
            done = self.run_script("scripts/format", "--check")
            self.assertNotEqual(done.returncode, 0, name)
            (self.root / name).unlink() if not before else self.write(name, before)


if __name__ == "__main__":
    unittest.main()
