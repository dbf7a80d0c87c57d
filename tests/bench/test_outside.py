#!/usr/bin/env python3
# test_outside.py - the shim alone in another project: two files, two compilers, one program.
# SPDX-License-Identifier: Apache-2.0
"""test_outside.py ROOT CC CXX - what docs/BENCHMARKS.md tells people to type, and its example."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT, CC, CXX = pathlib.Path(sys.argv.pop(1)), sys.argv.pop(1), sys.argv.pop(1)
EXAMPLE = ROOT / "bench" / "shim" / "example.c"
PAGE = ROOT / "docs" / "BENCHMARKS.md"


class OutsideTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_command(self, *command):
        return subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True).stdout

    def test_two_files_are_enough(self):
        shim = self.folder / "bench" / "shim"
        shim.mkdir(parents=True)
        for name in ("jd_bench.h", "jd_bench.cc"):
            shutil.copy(ROOT / "bench" / "shim" / name, shim)
        shutil.copy(EXAMPLE, self.folder / "mine.c")
        commands = re.search(r"<!-- outside -->\s*```sh\n(.*?)```", PAGE.read_text("utf-8"), re.S)
        for line in commands[1].splitlines():
            words = line.split()
            self.run_command({"cc": CC, "c++": CXX}[words[0]], *words[1:])
        self.run_command("./mine", "--benchmark_out=out.json")
        with open(self.folder / "out.json", encoding="utf-8") as file:
            [row] = json.load(file)["benchmarks"]
        self.assertEqual(row["name"], "gcd/euclid/1")
        self.assertGreater(row["ns_per_op"], 1)
        self.assertLess(row["ns_per_op"], 1e6)

    def test_the_page_shows_the_example_as_it_is(self):
        code = EXAMPLE.read_text("utf-8").split("*/\n", 2)[2]
        self.assertIn("```c\n" + code, PAGE.read_text("utf-8"))
        self.assertLessEqual(len([x for x in code.splitlines() if x.strip()]), 21)


if __name__ == "__main__":
    os.environ.pop("JD_BENCH_HISTOGRAM", None)
    unittest.main()
