#!/usr/bin/env python3
# test_peers.py - the native contenders whose packages are installed still compile and answer right.
# SPDX-License-Identifier: Apache-2.0
"""test_peers.py ROOT CMAKE CC CXX WORK - exit status 77 when none is installed."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

ROOT, CMAKE, CC, CXX, WORK = (sys.argv.pop(1) for _ in range(5))
WORK = pathlib.Path(WORK)
# One row at least of every program, and of every kind of them.
ROWS = ("spawn_join", "pingpong", "pingpong_channel", "inject1", "reduce", "matmul", "timer_churn")


def run(*command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **more)


def programs():
    built = run(CMAKE, "-S", ROOT, "-B", str(WORK), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_CXX_COMPILER={CXX}", "-DJACKDAW_WERROR=ON",
                "-DJACKDAW_BUILD_TESTS=OFF", "-DJACKDAW_BENCH_PEERS=ON")
    if built.returncode == 0:
        built = run(CMAKE, "--build", str(WORK), "-j", "2", "--target", "jackdaw_bench_peers")
    if built.returncode != 0:
        raise AssertionError(built.stdout[-4000:])
    lines = (WORK / "bench" / "list.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line.startswith(str(WORK / "bench" / "peers"))]


class PeersTest(unittest.TestCase):
    def test_rows_answer_right(self):
        for program in PROGRAMS:
            name = program.rpartition("_")[2]
            env = {**os.environ, "JD_BENCH_WORKERS": "2", "JD_BENCH_QUICK": "1"}
            listed = run(program, "--benchmark_list_tests", env=env).stdout.split()
            wanted = [r for r in listed if r.split("/")[0] in ROWS]
            self.assertTrue(wanted, f"{name}: {listed}")
            for row in wanted:
                with self.subTest(row=row):
                    out = WORK / "out.json"
                    got = run(program, f"--benchmark_filter=^{row}$", f"--benchmark_out={out}",
                              env=env)
                    self.assertEqual(got.returncode, 0, got.stdout)
                    [entry] = json.loads(out.read_text("utf-8"))["benchmarks"]
                    self.assertEqual((entry["name"], entry.get("error_message")), (row, None))
                    self.assertGreater(entry["ns_per_op"], 0)


if __name__ == "__main__":
    PROGRAMS = programs()
    if not PROGRAMS:
        print("skipped: no contender's package is installed (scripts/setup --bench)")
        sys.exit(77)
    unittest.main()
