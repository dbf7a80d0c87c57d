#!/usr/bin/env python3
# test_bench_table.py - the table, the merged JSON and the exit status of scripts/bench_table.py.
# SPDX-License-Identifier: Apache-2.0
"""test_bench_table.py BENCH_TABLE JACKDAW_BENCH"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

TABLE, BENCH = sys.argv.pop(1), sys.argv.pop(1)

# A benchmark program that reports what its own text says.
FAKE = """#!/usr/bin/env python3
import json, sys
rows = {rows!r}
options = dict(a.split("=", 1) for a in sys.argv[1:] if "=" in a)
if "--benchmark_list_tests" in sys.argv:
    print("\\n".join(sorted(set(r["run_name"] for r in rows))))
else:
    json.dump({{"context": {{"host": "x"}}, "benchmarks": rows}},
              open(options["--benchmark_out"], "w"))
sys.exit({status} if "--benchmark_out" in options else 0)
"""


def row(name, ms, **more):
    return {"name": name, "run_name": name, "real_time": ms, "time_unit": "ms",
            "ns_per_op": ms * 10, **more}


class TableTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def fake(self, name, rows, status=0):
        path = pathlib.Path(self.folder.name, name)
        path.write_text(FAKE.format(rows=rows, status=status), encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def run_table(self, *args):
        return subprocess.run([TABLE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False)

    def test_ratios(self):
        program = self.fake("a", [row("sort/serial/1", 100), row("sort/ws/1", 125),
                                  row("sort/ws/2", 62.5)])
        got = self.run_table(program)
        self.assertEqual(got.returncode, 0, got.stderr)
        line = [x for x in got.stdout.splitlines() if x.startswith("sort") and " ws " in x][0]
        self.assertEqual(line.split(), ["sort", "ws", "125.0", "62.5", "1250.0", "625.0", "2.00x",
                                        "0.80x", "1.60x", "right"])

    def test_median_of_repetitions(self):
        rows = [row("x/ws/1", 1), row("x/ws/1", 9),
                row("x/ws/1_median", 5, run_name="x/ws/1", aggregate_name="median"),
                row("x/ws/1_mean", 7, run_name="x/ws/1", aggregate_name="mean")]
        got = self.run_table(self.fake("a", rows))
        self.assertIn(" 5.0 ", got.stdout)
        self.assertNotIn(" 7.0 ", got.stdout)

    def test_error_shows_and_fails(self):
        bad = {"name": "x/ws/2", "run_name": "x/ws/2", "error_occurred": True,
               "error_message": "wrong number"}
        got = self.run_table(self.fake("a", [row("x/ws/1", 1), bad], status=1))
        self.assertEqual(got.returncode, 1)
        self.assertIn("WRONG: wrong number", got.stdout)

    def test_error_of_one_repetition_is_not_hidden(self):
        bad = {"name": "x/ws/1", "run_name": "x/ws/1", "error_occurred": True,
               "error_message": "wrong number"}
        good = row("x/ws/1_median", 1, run_name="x/ws/1", aggregate_name="median")
        got = self.run_table(self.fake("a", [bad, row("x/ws/1", 1), good], status=1))
        self.assertIn("WRONG: wrong number", got.stdout)

    def test_skip_is_no_failure(self):
        skipped = {"name": "x/ws/2", "run_name": "x/ws/2", "error_occurred": True,
                   "error_message": "skipped: no tree"}
        got = self.run_table(self.fake("a", [skipped]))
        self.assertEqual(got.returncode, 0)
        self.assertIn("skipped: no tree", got.stdout)

    def test_crash_fails(self):
        path = pathlib.Path(self.folder.name, "crash")
        path.write_text("#!/bin/sh\n[ $1 = --benchmark_list_tests ] && echo a/b/1 && exit\n"
                        "exit 139\n", encoding="utf-8")
        path.chmod(0o755)
        self.assertEqual(self.run_table(str(path)).returncode, 1)

    def test_latency_table(self):
        more = {"p50_ns": 1000, "p90_ns": 2000, "p99_ns": 3000, "max_ns": 4500}
        got = self.run_table(self.fake("a", [row("wake/ws/1", 1, **more)]))
        self.assertIn("1.0  2.0  3.0  4.5", got.stdout)

    def test_two_programs_one_json(self):
        out = os.path.join(self.folder.name, "out.json")
        got = self.run_table(self.fake("a", [row("x/ws/1", 1)]), self.fake("b", [row("y/ws/1", 1)]),
                             "--json", out)
        self.assertEqual(got.returncode, 0, got.stderr)
        with open(out, encoding="utf-8") as file:
            names = [r["name"] for r in json.load(file)["benchmarks"]]
        self.assertEqual(names, ["x/ws/1", "y/ws/1"])

    def test_real_program(self):
        out = os.path.join(self.folder.name, "out.json")
        got = self.run_table(BENCH, "--filter", "^nqueens_12/serial/1$", "--json", out)
        self.assertEqual(got.returncode, 0, got.stderr)
        with open(out, encoding="utf-8") as file:
            result = json.load(file)
        self.assertEqual([r["name"] for r in result["benchmarks"]], ["nqueens_12/serial/1"])
        self.assertGreater(result["benchmarks"][0]["ns_per_op"], 0)
        self.assertIn("jackdaw_version", result["context"])

    def test_list_and_no_match(self):
        got = self.run_table(BENCH, "--list", "--filter", "^nqueens_12/serial")
        self.assertEqual((got.returncode, got.stdout), (0, "nqueens_12/serial/1\n"))
        self.assertEqual(self.run_table(BENCH, "--filter", "no such row").returncode, 2)
        self.assertEqual(self.run_table(BENCH, "--filter", "(").returncode, 2)


if __name__ == "__main__":
    unittest.main()
