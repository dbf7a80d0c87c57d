#!/usr/bin/env python3
# test_checks.py - every rule of the style checks is seen to fail on a planted violation.
# SPDX-License-Identifier: Apache-2.0
"""test_checks.py SCRIPTS - a check that cannot fail is no check.

Each row below changes one thing in a small clean tree and names the message the check must print
(and exit 1 with). The clean tree itself, and what only looks like a violation, must pass.
"""
import contextlib
import importlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(sys.argv.pop(1)).resolve()
sys.path.insert(0, str(SCRIPTS))
SPDX = "SPDX-License-Identifier: " + "Apache-2.0"
CC = os.environ.get("CC", "cc")


def c(path, body):
    name = path.split("/")[-1]
    if name.endswith(".h"):
        guard = name.upper().replace(".", "_")
        body = f"#ifndef {guard}\n#define {guard}\n{body}\n#endif\n"
    return f"/* {name} - for the test. */\n/* {SPDX} */\n{body}"


def script(path, body=""):
    return f"# {path.split('/')[-1]} - for the test.\n# {SPDX}\n{body}"


CLEAN = {
    "CMakeLists.txt": script("CMakeLists.txt"),
    "include/jackdaw/base.h": c("base.h", "#include <stdint.h>\n"
                                          "#define JD_API\nJD_API int jd_base(void);"),
    "include/jackdaw/jackdaw.h": c("jackdaw.h", "#include <jackdaw/base.h>"),
    "platform/atomic.h": c("atomic.h", "#include <stdatomic.h>"),
    "platform/compiler.h": c("compiler.h", "#include <jackdaw/base.h>"),
    "platform/platform.h": c("platform.h", '#include "platform/atomic.h"\n'
                                           '#include "platform/compiler.h"\nint jd_plat(void);'),
    "platform/clock.h": c("clock.h", "#include <time.h>"),
    "platform/clock.c": c("clock.c", '#include <unistd.h>\n\n#include "platform/clock.h"\n'
                                     '#include "platform/platform.h"\n#ifdef __linux__\n#endif\n\n'
                                     "int jd_plat(void)\n{\n\treturn 1;\n}\n"),
    "platform/CMakeLists.txt": script("CMakeLists.txt", "clock.c\n"),
    "deque/deque.h": c("deque.h", '#include "platform/atomic.h"\nint jd_deque(_Atomic(int) *a);'),
    "deque/deque.c": c("deque.c", """#include "deque/deque.h"
#include "platform/platform.h"

/* In this order: prose, no label. */

int jd_deque(_Atomic(int) *a)
{
	/* order: (P1) release - what was written before is seen by the reader;
	 * pairs with (P2). */
	atomic_store_explicit(a, 1, memory_order_release);
	atomic_store_explicit(a, 1, memory_order_relaxed);




	/* order: (P2) acquire - the other end; pairs with (P1). */
	return atomic_load_explicit(a, memory_order_acquire) + jd_plat();
}
"""),
    "deque/CMakeLists.txt": script("CMakeLists.txt", "deque.c\n"),
    "timers/wheel.h": c("wheel.h", "int jd_wheel(void);"),
    "timers/wheel.c": c("wheel.c", '#include "timers/wheel.h"\n\n'
                                   "int jd_wheel(void)\n{\n\treturn 2;\n}\n"),
    "timers/CMakeLists.txt": script("CMakeLists.txt", "wheel.c\n"),
    "runtime/task.c": c("task.c", """#include <jackdaw/base.h>

#include "deque/deque.h"
#include "timers/wheel.h"

/* A volatile word, a sleep(1) and an assert(x) in a comment are no code. */
int jd_base(void)
{
	_Atomic(int) a = 0;

	return jd_deque(&a) + jd_wheel();
}
"""),
    "runtime/CMakeLists.txt": script("CMakeLists.txt", "task.c\n"),
    "bench/b_fib.c": c("b_fib.c", '#include <unistd.h>\n\n#include <jackdaw/jackdaw.h>\n\n'
                                  '#include "deque/deque.h"\n'),
    "bench/CMakeLists.txt": script("CMakeLists.txt", "b_fib.c\n"),
    "tests/unit/test_x.c": c("test_x.c", '#include <pthread.h>\n\n#include "timers/wheel.h"\n\n'
                                         'static const char *s = "sleep(1) volatile /* ";\n'),
    "tests/unit/test_z.c": c("test_z.c", '#include "platform/clock.h"\n'),
    "tests/conformance/suite.h": c("suite.h", "#include <jackdaw/jackdaw.h>"),
    "tests/conformance/suite.c": c("suite.c", '#include <stdatomic.h>\n\n'
                                              '#include "tests/conformance/suite.h"\n'),
    "tests/testlib/seed.h": c("seed.h", '#include "timers/wheel.h"'),
    "tests/unit/test_y.c": c("test_y.c", '#include "tests/testlib/seed.h"\n'),
    "tests/unit/test_v.c": c("test_v.c", "static void test_base(void **state)\n{\n"
                                         "\t(void)state;\n}\n\nvoid (*v)(void **) = test_base;\n"),
    "tests/CMakeLists.txt": script("CMakeLists.txt",
                                   "test_v.c test_x.c test_y.c test_z.c suite.c\n"),
    "docs/ARCHITECTURE.md": "# A\n\n| x | y |\n\n## The vocabulary\n\n| word | call | shown by |\n"
                            "|---|---|---|\n"
                            "| base | `jd_base` | `tests/unit/test_v.c`: `test_base` |\n\n"
                            "## Then\n\n| z |\n",
    "scripts/setup": "#!/bin/sh\n" + script("setup"),
}
BODY = CLEAN["deque/deque.c"]
LONG = "int jd_long(void);\nint jd_long(void)\n{\n" + "\tjd_base();\n" * 68 + "\treturn 0;\n}\n"
MANY = "".join(f"static void f{i}(void)\n{{\n" + "\tjd_base();\n" * 44 + "}\n" for i in range(9))

# (what is planted, path, content or (old, new) in the clean file, the message)
LAYERS = [
    ("upward include", "deque/deque.h", c("deque.h", '#include "runtime/task.h"'),
     "layer deque/ may not include runtime/"),
    ("sibling include", "timers/wheel.h", c("wheel.h", '#include "deque/deque.h"'),
     "layer timers/ may not include deque/"),
    ("include from a public header", "include/jackdaw/task.h",
     c("task.h", '#include "platform/platform.h"'), "layer include/ may not include platform/"),
    ("benchmark of internals", "bench/b_x.c", c("b_x.c", '#include "runtime/task.h"\n'),
     "layer bench/ may not include runtime/"),
    ("not by full path", "runtime/task.c", ("deque/deque.h", "deque.h"), "include by full path"),
    ("parent path", "runtime/task.c", ("deque/deque.h", "../deque/deque.h"),
     "include by full path"),
    ("private platform header", "runtime/task.c", ("deque/deque.h", "platform/clock.h"),
     "above platform/ only"),
    ("private platform header in a stress test", "tests/stress/s.c",
     c("s.c", '#include "platform/clock.h"\n'), "above platform/ only"),
    ("missing file", "runtime/task.c", ("deque/deque.h", "deque/none.h"), "no such file"),
    ("umbrella inside", "runtime/task.c", ("jackdaw/base.h", "jackdaw/jackdaw.h"), "umbrella"),
    ("umbrella with a hole", "include/jackdaw/sync.h", c("sync.h", "#include <jackdaw/base.h>"),
     "jackdaw.h:1: does not include include/jackdaw/sync.h"),
    ("OS header in runtime", "runtime/task.c", ("<jackdaw/base.h>", "<pthread.h>"),
     "C11 headers only"),
    ("RCU in deque", "deque/deque.h", c("deque.h", "#include <urcu.h>"), "C11 headers only"),
    ("clock in timers", "timers/wheel.h", c("wheel.h", "#include <time.h>"), "C11 headers only"),
    ("threads in a public header", "include/jackdaw/task.h", c("task.h", "#include <threads.h>"),
     "C11 headers only"),
    ("OS #if in runtime", "runtime/task.c",
     ("int jd_base", "#ifdef __linux__\n#endif\nint jd_base"), "OS #if outside platform/"),
    ("OS #if in a public header", "include/jackdaw/base.h",
     ("#define JD_API", "#ifdef _WIN32\n#define JD_API\n#endif"), "OS #if outside platform/"),
    ("OS #if in bench", "bench/b_x.c", c("b_x.c", "#if defined(_WIN32)\n#endif\n"),
     "OS #if outside platform/"),
    ("conformance sees internals", "tests/conformance/suite.h",
     c("suite.h", '#include "runtime/task.h"'), "tests/conformance/ sees include/ only"),
    ("conformance sees internals indirectly", "tests/conformance/suite.h",
     c("suite.h", '#include "tests/testlib/seed.h"'), "tests/testlib/seed.h"),
    ("example sees internals", "tests/examples/e.c", c("e.c", '#include "platform/platform.h"\n'),
     "tests/examples/ sees include/ only"),
    ("cycle", "platform/compiler.h", c("compiler.h", '#include "platform/platform.h"'),
     "include cycle: "),
]
ATOMICS = [
    ("no comment", "deque/deque.c",
     ("/* order: (P2) acquire - the other end; pairs with (P1). */", ""),
     "ordered access without an 'order: (X1)"),
    ("comment too far above", "deque/deque.c", ("(P1). */\n", "(P1). */\n" + "\n" * 7),
     "ordered access without an 'order: (X1)"),
    ("two accesses, one comment", "deque/deque.c",
     ("memory_order_acquire) + ", "memory_order_acquire) +\n"
      "\t       atomic_load_explicit(a,\n\t\t\t\t    memory_order_acquire) + "),
     "deque/deque.c:20: the 'order:' above is that of another access"),
    ("no label", "deque/deque.c", ("order: (P2) ", "order: "), "'order:' without a label"),
    ("no pair named", "deque/deque.c", ("the other end; pairs with (P1)", "the other end"),
     "(P2) does not say what it pairs with"),
    ("pair does not exist", "deque/deque.c", ("pairs with (P2)", "pairs with (P2), (Q7)"),
     "pairs with (Q7) but no 'order: (Q7)' exists"),
    ("label twice", "deque/deque.c", ("order: (P2)", "order: (P1)"), "label (P1) already used at"),
    ("label twice in two files", "tests/unit/test_x.c", c("test_x.c", BODY[BODY.index("int jd"):]),
     "label (P1) already used at"),
    ("comment without an access", "deque/deque.c",
     ("return atomic_load_explicit(a, memory_order_acquire) + ", "return "),
     "(P2) has no ordered access"),
    ("implicit order", "deque/deque.c",
     ("atomic_store_explicit(a, 1, memory_order_relaxed)", "atomic_store(a, 1)"),
     "use the _explicit form"),
    ("implicit order in a test", "tests/unit/test_x.c", c("test_x.c", "int x = atomic_load(&y);\n"),
     "use the _explicit form"),
    ("builtin", "deque/deque.c",
     ("atomic_store_explicit(a, 1, memory_order_relaxed)", "__atomic_store_n(p, 1, 0)"),
     "not compiler builtins"),
    ("consume", "deque/deque.c", ("memory_order_acquire", "memory_order_consume"), "use acquire"),
    ("fence", "deque/deque.c", ("atomic_store_explicit(a, 1, memory_order_relaxed)",
                                "atomic_thread_fence(memory_order_seq_cst)"),
     "fences are not used"),
    ("stdatomic.h inside", "deque/deque.h", c("deque.h", "#include <stdatomic.h>"),
     'include "platform/atomic.h" instead'),
]
TIDY = [
    ("long line", "runtime/task.c", ("int jd_base", f"/* {'x' * 95} */\nint jd_base"),
     "longer than 100 columns"),
    ("long line by tabs", "runtime/task.c", ("int jd_base", f"/*{chr(9) * 13}*/\nint jd_base"),
     "longer than 100 columns"),
    ("long line in a script", "scripts/setup",
     ("#!/bin/sh", "#!/bin/sh\n# setup - x\n#" + "x" * 100), "longer than 100 columns"),
    ("trailing space", "runtime/task.c", ("{\n", "{ \n"), "trailing space"),
    ("no newline at the end", "runtime/task.c", ("}\n", "}"), "exactly one newline"),
    ("empty line at the end", "runtime/task.c", ("}\n", "}\n\n"), "exactly one newline"),
    ("carriage return", "runtime/task.c", ("{\n", "{\r\n"), "carriage returns"),
    ("spaces", "runtime/task.c", ("\treturn", "        return"), "indent with tabs"),
    ("space before tab", "runtime/task.c", ("\treturn", " \treturn"), "indent with tabs"),
    ("long file", "runtime/task.c", ("int jd_base", "\n" * 700 + "int jd_base"),
     "file longer than 700 lines"),
    ("long function", "runtime/task.c", ("/* A vol", LONG + "/* A vol"), "jd_long() is 72 lines"),
    ("many longish functions", "runtime/task.c", ("/* A vol", MANY + "/* A vol"),
     "functions are over 45 lines"),
    ("no purpose", "runtime/task.c", ("/* task.c - for", "/* for"), "the first line must be"),
    ("the purpose of another file", "runtime/task.c", ("task.c - ", "tusk.c - "),
     "the first line must be"),
    ("no licence", "runtime/task.c", (f"/* {SPDX} */\n", ""), "no 'SPDX"),
    ("no licence in a script", "scripts/setup", (SPDX, ""), "no 'SPDX"),
    ("no purpose in a script", "scripts/setup", ("setup - ", "x - "), "one of the first 3 lines"),
    ("no purpose in a list", "deque/CMakeLists.txt", ("CMakeLists.txt - ", "x - "),
     "one of the first 3 lines"),
    ("no guard", "timers/wheel.h", ("#define WHEEL_H", "#define WHEEL_X"), "no include guard"),
    ("file nobody builds", "runtime/idle.c", c("idle.c", "int jd_idle;\n"), "no CMakeLists.txt"),
    ("header nobody includes", "runtime/idle.h", c("idle.h", "int jd_idle;"), "no file includes"),
    ("reminder", "runtime/task.c", ("int jd_base", "/* TO" "DO: x */\nint jd_base"), "is banned"),
    ("reminder in a script", "scripts/setup", ("for the test.", "FIX" "ME"), "is banned"),
] + [
    (f"banned: {code}", "runtime/task.c", ("\treturn", f"\t{code}\n\treturn"), f"use {instead}")
    for code, instead in (
        ("strcpy(a, b);", "the bounded"), ("strcat(a, b);", "the bounded"),
        ("sprintf(a, b);", "the bounded"), ("strncpy(a, b, 1);", "snprintf"),
        ("volatile int x;", "_Atomic"), ("assert(1);", "JD_ASSERT"), ("sleep(1);", "a wait"),
        ("usleep(1);", "a wait"), ("nanosleep(&t, 0);", "a wait"), ("thrd_sleep(&t, 0);", "a wait"),
        ("thrd_create(&t, f, 0);", "jd_thread_start"), ("x = atoi(s);", "strtoull"),
        ("x = rand();", "a seeded"), ("\n#if 0\n#endif", "version control"))
]
VOCABULARY = [
    ("no section", "docs/ARCHITECTURE.md", ("## The vocabulary", "## Words"), "no table under"),
    ("no row", "docs/ARCHITECTURE.md",
     ("| base | `jd_base` | `tests/unit/test_v.c`: `test_base` |\n", ""), "no table under"),
    ("two columns", "docs/ARCHITECTURE.md", ("| base | ", "| "), "three columns"),
    ("no call", "docs/ARCHITECTURE.md", ("`jd_base`", "-"), "names no call, or no test"),
    ("no test", "docs/ARCHITECTURE.md", (": `test_base`", ""), "names no call, or no test"),
    ("call that is not public", "docs/ARCHITECTURE.md", ("`jd_base`", "`jd_deque`"),
     "no header declares jd_deque"),
    ("file that is gone", "docs/ARCHITECTURE.md", ("test_v.c", "test_w.c"),
     "no such file: tests/unit/test_w.c"),
    ("test that is gone", "docs/ARCHITECTURE.md", ("`test_base`", "`test_bass`"),
     "has no function test_bass"),
    ("test that does not run", "tests/unit/test_v.c", (" = test_base", ""),
     "does not run test_base"),
]


class Tree:
    """The clean tree in a temporary folder, with one change."""

    def __init__(self, path=None, change=None):
        self.dir = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.dir.name)
        files = dict(CLEAN)
        if path:
            if isinstance(change, tuple):
                old, new = change
                assert old in files[path], f"{path} lacks {old!r}"
                change = files[path].replace(old, new, 1)
            files[path] = change
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(text.encode())

    def __del__(self):
        self.dir.cleanup()

    def run(self, check, *args):
        """The check as a user starts it."""
        return subprocess.run([sys.executable, SCRIPTS / f"{check}.py", self.root, *args],
                              capture_output=True, text=True)

    def call(self, check):
        """The same without the start-up of an interpreter: (exit status, output)."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            bad = importlib.import_module(check).main(self.root.resolve())
        return int(bad), out.getvalue()


class Checks(unittest.TestCase):
    def expect(self, check, table):
        with self.subTest(check=check, planted="nothing"):
            done = Tree().run(check)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        with self.subTest(check=check, planted="the first, by the command line"):
            _, path, change, message = table[0]
            done = Tree(path, change).run(check)
            self.assertEqual((done.returncode, done.stderr), (1, ""), done.stdout)
            self.assertIn(message, done.stdout)
        for what, path, change, message in table:
            with self.subTest(check=check, planted=what):
                status, output = Tree(path, change).call(check)
                self.assertEqual(status, 1, output)
                self.assertIn(message, output)

    def test_layers(self):
        self.expect("check_layers", LAYERS)

    def test_atomics(self):
        self.expect("check_atomics", ATOMICS)

    def test_tidy(self):
        self.expect("tidy", TIDY)

    def test_vocabulary(self):
        self.expect("check_vocabulary", VOCABULARY)

    def test_empty_tree_is_an_error(self):
        with tempfile.TemporaryDirectory() as empty:
            for check in ("check_layers", "check_atomics", "tidy"):
                done = subprocess.run([sys.executable, SCRIPTS / f"{check}.py", empty],
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, 1, check)
                self.assertIn("no source files found", done.stdout)

    def test_atomics_lists_labels(self):
        done = Tree().run("check_atomics", "--list")
        self.assertRegex(done.stdout, r"\(P1\)  deque/deque.c:\d+  release - what was written")


class Symbols(unittest.TestCase):
    def build(self, tree, flags=()):
        """Compiles the layers as the real build does: objects in BUILD/<layer>/, one library."""
        build, objects = tree.root / "build", []
        for f in sorted(p for d in ("platform", "deque", "timers", "runtime")
                        for p in (tree.root / d).glob("*.c")):
            o = build / f.relative_to(tree.root).with_suffix(".o")
            o.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([CC, "-std=c11", "-w", "-O1", "-fPIC", "-fvisibility=hidden", *flags,
                            "-I", tree.root, "-I", tree.root / "include", "-c", f, "-o", o],
                           check=True)
            objects.append(o)
        lib = build / "libx.so"
        subprocess.run([CC, "-shared", *objects, "-o", lib], check=True)
        return tree.run("check_symbols", build, lib)

    def expect(self, message, path, change, flags=()):
        done = self.build(Tree(path, change), flags)
        self.assertEqual((done.returncode, done.stderr), (1 if message else 0, ""), done.stdout)
        self.assertIn(message or "check_symbols: ok", done.stdout)

    # The clean tree's JD_API is empty; here it must export.
    API = "#define JD_API __attribute__((visibility(\"default\")))\n"

    def header(self, more=""):
        return c("base.h", f"{self.API}JD_API int jd_base(void);\n{more}")

    def test_clean(self):
        self.expect(None, "include/jackdaw/base.h", self.header())

    def test_upward_call(self):
        tree = Tree("include/jackdaw/base.h", self.header())
        (tree.root / "timers/wheel.c").write_text("int jd_base(void);\n"
                                                  "int jd_wheel(void) { return jd_base(); }\n")
        done = self.build(tree)
        self.assertEqual(done.returncode, 1)
        self.assertIn("timers/ uses jd_base of runtime/", done.stdout)

    def test_backend(self):
        """A scheduler in platform/ uses what is public, nothing else, and it alone."""
        for name, call, message in (
                ("gcd_scheduler.c", "jd_base", None),
                ("gcd_scheduler.c", "jd_deque", "platform/ uses jd_deque of deque/"),
                ("gcd.c", "jd_base", "platform/ uses jd_base of runtime/")):
            tree = Tree("include/jackdaw/base.h", self.header())
            (tree.root / "platform" / name).write_text(f"int {call}(void);\nint jd_gcd(void);\n"
                                                       f"int jd_gcd(void) {{ return {call}(); }}\n")
            done = self.build(tree)
            self.assertEqual(done.returncode, 1 if message else 0, done.stdout)
            self.assertIn(message or "check_symbols: ok", done.stdout)

    def test_os_call_in_a_pure_layer(self):
        tree = Tree("include/jackdaw/base.h", self.header())
        (tree.root / "timers/wheel.c").write_text("long time(long *);\n"
                                                  "int jd_wheel(void) { return (int)time(0); }\n")
        done = self.build(tree)
        self.assertEqual(done.returncode, 1)
        self.assertIn("timers/ uses time: no OS", done.stdout)

    def test_prefix(self):
        tree = Tree("include/jackdaw/base.h", self.header())
        with (tree.root / "runtime/task.c").open("a") as f:
            f.write("int helper;\n")
        done = self.build(tree)
        self.assertEqual(done.returncode, 1)
        self.assertIn("external symbol without jd_: helper", done.stdout)

    def test_not_exported(self):
        for what in ("JD_API int jd_more(int x,\n\t\tint y);", "JD_API extern const int jd_more;",
                     "JD_API extern const int jd_more[4];"):
            self.expect("JD_API but not exported: jd_more", "include/jackdaw/base.h",
                        self.header(what))

    def test_not_declared(self):
        tree = Tree("include/jackdaw/base.h", self.header("/* JD_API int jd_secret(void); */"))
        with (tree.root / "runtime/task.c").open("a") as f:
            f.write("JD_API int jd_secret(void) { return 1; }\n")
        done = self.build(tree)
        self.assertEqual(done.returncode, 1)
        self.assertIn("exported but not marked JD_API in include/: jd_secret", done.stdout)

    def test_tls_model(self):
        more = ("_Thread_local int jd_t;\n"
                "int jd_base(void) { return jd_t; }\nint jd_wheel(void); int jd_deque();\n")
        self.expect("calls __tls_get_addr", "runtime/task.c",
                    c("task.c", f"#include <jackdaw/base.h>\nJD_API {more}"),
                    ("-DJD_API=__attribute__((visibility(\"default\")))",
                     "-ftls-model=global-dynamic"))

    def test_no_objects(self):
        tree = Tree()
        (tree.root / "build").mkdir()
        done = tree.run("check_symbols", tree.root / "build")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no objects found", done.stdout)


if __name__ == "__main__":
    unittest.main()
