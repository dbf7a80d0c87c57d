#!/usr/bin/env python3
# test_dispatch.py - libdispatch is found wherever a system may have it, in the stated order.
# SPDX-License-Identifier: Apache-2.0
"""test_dispatch.py ROOT CMAKE CC - configures a small project against folders that look like them.

Each folder has a header and a library with the calls that the search tries to compile and to link,
which do nothing. What is built on the real one is tested by the suite that runs it.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT, CMAKE, CC = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
del sys.argv[1:4]

HEADER = """
#include <stdint.h>
typedef struct d *dispatch_queue_t, *dispatch_source_t, *dispatch_queue_attr_t;
#define DISPATCH_SOURCE_TYPE_TIMER ((void *)0)
dispatch_source_t dispatch_source_create(void *, uintptr_t, uintptr_t, dispatch_queue_t);
dispatch_queue_t dispatch_queue_create(const char *, dispatch_queue_attr_t);
dispatch_queue_attr_t dispatch_queue_attr_make_with_qos_class(dispatch_queue_attr_t, int, int);
void dispatch_source_set_event_handler_f(dispatch_source_t, void (*)(void *));
void dispatch_activate(void *);
void dispatch_async_f(dispatch_queue_t, void *, void (*)(void *));
dispatch_queue_t dispatch_get_global_queue(long, unsigned long);
"""
NAMES = re.findall(r"(dispatch_\w+)\(", HEADER)
QOS = "dispatch_queue_attr_make_with_qos_class"
NOTHING = "jackdaw: no GCD scheduler: found no libdispatch (JACKDAW_DISPATCH_ROOT names a place)"


class Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.shared.cleanup)
        for folder, names in (("new", NAMES), ("old", set(NAMES) - {QOS})):
            (pathlib.Path(cls.shared.name) / folder).mkdir()
            source = "".join(f"void {name}(void) {{}}\n" for name in names)
            subprocess.run([CC, "-shared", "-fPIC", "-x", "c", "-", "-o",
                            f"{cls.shared.name}/{folder}/libdispatch.so"],
                           check=True, input=source.encode())

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        for name in ("system", "path"):
            (self.root / name).mkdir()

    def install(self, headers, libraries, age="new"):
        (self.root / headers / "dispatch").mkdir(parents=True)
        (self.root / headers / "dispatch" / "dispatch.h").write_text(
            HEADER if age == "new" else HEADER.replace(QOS, "dispatch_other"))
        (self.root / libraries).mkdir(parents=True, exist_ok=True)
        shutil.copy(f"{self.shared.name}/{age}/libdispatch.so", self.root / libraries)

    def swift(self, where="toolchain"):
        """A toolchain for Linux as its makers lay it out."""
        self.install(f"{where}/usr/lib/swift", f"{where}/usr/lib/swift/linux")

    def command(self, path, text="#!/bin/sh\nexit 1\n"):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def tells(self, path, folder):
        self.command(path, '#!/bin/sh\n[ "$*" = -print-target-info ] || exit 1\n'
                     f"echo '{{\"paths\": {{\"runtimeResourcePath\": \"{self.root / folder}\"}}}}'")

    def configure(self, *args):
        done = subprocess.run(
            [CMAKE, "-S", ROOT / "tests/package/dispatch", "-B", self.root / "build",
             f"-DCMAKE_C_COMPILER={CC}", f"-DMODULES={ROOT / 'scripts/cmake'}",
             f"-DSYSTEM={self.root / 'system'}", f"-DPROGRAMS={self.root / 'path'}", *args],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def expect(self, headers, library, *args):
        said = self.configure(*args)
        self.assertIn(f"jackdaw: GCD scheduler: {self.root / library}/libdispatch.so\n", said)
        self.assertRegex(said, f"headers: {self.root / headers}/?\n")

    def expect_nothing(self, *args):
        said = self.configure(*args)
        self.assertEqual([line[3:] for line in said.splitlines() if "jackdaw:" in line], [NOTHING])

    def test_nothing_there(self):
        self.expect_nothing()

    def test_not_wanted(self):
        self.install("system/include", "system/lib")
        self.assertIn("jackdaw: no GCD scheduler: JACKDAW_GCD is off\n",
                      self.configure("-DJACKDAW_GCD=OFF"))

    def test_a_distributions(self):
        self.install("system/include", "system/lib")
        self.expect("system/include", "system/lib")

    def test_a_distributions_64(self):
        self.install("system/include", "system/lib64")
        self.expect("system/include", "system/lib64")

    def test_a_distributions_comes_before_swifts(self):
        self.install("system/include", "system/lib")
        self.swift()
        self.tells("path/swiftc", "toolchain/usr/lib/swift")
        self.expect("system/include", "system/lib")

    def test_one_that_is_too_old_is_passed_over(self):
        self.install("system/include", "system/lib", age="old")
        self.expect_nothing()
        self.swift()
        self.tells("path/swiftc", "toolchain/usr/lib/swift")
        self.expect("toolchain/usr/lib/swift", "toolchain/usr/lib/swift/linux")

    def test_swift_tells(self):
        self.swift()
        for name in ("swiftc", "swift"):
            self.tells(f"path/{name}", "toolchain/usr/lib/swift")
            self.expect("toolchain/usr/lib/swift", "toolchain/usr/lib/swift/linux")
            (self.root / "path" / name).unlink()

    def test_beside_swift_that_does_not_tell(self):
        self.swift()
        for name in ("swiftc", "swift"):
            program = self.command(f"toolchain/usr/bin/{name}")
            (self.root / "path" / name).symlink_to(program)
            self.expect("toolchain/usr/lib/swift", "toolchain/usr/lib/swift/linux")
            (self.root / "path" / name).unlink()

    def test_beside_swift_that_tells_of_another_place(self):
        """Where it says there are headers without a library; beside it there are both."""
        self.swift()
        (self.root / "other" / "dispatch").mkdir(parents=True)
        (self.root / "other" / "dispatch" / "dispatch.h").write_text(HEADER)
        self.tells("toolchain/usr/bin/swiftc", "other")
        (self.root / "path" / "swiftc").symlink_to(self.root / "toolchain/usr/bin/swiftc")
        self.expect("toolchain/usr/lib/swift", "toolchain/usr/lib/swift/linux")

    def test_another_program_that_is_called_swift(self):
        self.command("path/swift", "#!/bin/sh\necho usage\nexit 2\n")
        self.expect_nothing()

    def test_a_folder_for_each_processor(self):
        processor = os.uname().machine
        self.install("toolchain/usr/lib/swift", f"toolchain/usr/lib/swift/linux/{processor}")
        self.tells("path/swiftc", "toolchain/usr/lib/swift")
        self.expect("toolchain/usr/lib/swift", f"toolchain/usr/lib/swift/linux/{processor}")

    def test_named(self):
        self.install("system/include", "system/lib")
        self.swift()
        self.expect("toolchain/usr/lib/swift", "toolchain/usr/lib/swift/linux",
                    f"-DJACKDAW_DISPATCH_ROOT={self.root / 'toolchain'}")
        self.install("own/include", "own/lib")
        self.expect("own/include", "own/lib", f"-DJACKDAW_DISPATCH_ROOT={self.root / 'own'}")

    def test_the_named_place_is_the_only_one(self):
        self.install("system/include", "system/lib")
        self.expect_nothing(f"-DJACKDAW_DISPATCH_ROOT={self.root / 'nowhere'}")


if __name__ == "__main__":
    unittest.main()
