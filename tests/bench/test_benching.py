#!/usr/bin/env python3
# test_benching.py - scripts/bench: runner, statistics, tables, report and compare.
# SPDX-License-Identifier: Apache-2.0
"""test_benching.py SCRIPTS_FOLDER JACKDAW_BENCH"""
import csv
import html.parser
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SCRIPTS, BENCH = os.path.abspath(sys.argv.pop(1)), os.path.abspath(sys.argv.pop(1))
MAIN = os.path.join(SCRIPTS, "benching", "main.py")
sys.path.insert(0, os.path.dirname(MAIN))

import compare  # noqa: E402  (found by the line above)
import machine  # noqa: E402
import plots  # noqa: E402
import results  # noqa: E402
import runner  # noqa: E402
import stats  # noqa: E402
import tables  # noqa: E402

# A benchmark program whose rows are Python: name -> entry, or what to do instead.
FAKE = """#!/usr/bin/env python3
import json, os, re, signal, sys
rows = {rows!r}
options = dict(a.split("=", 1) for a in sys.argv[1:] if "=" in a)
if "--benchmark_list_tests" in sys.argv:
    print("\\n".join(rows))
    sys.exit(0)
[name] = [r for r in rows if re.search(options["--benchmark_filter"], r)]
row = rows[name]
if row == "crash":
    print("it went wrong", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
if row == "hang":
    signal.pause()
open({log!r}, "a").write(name + "\\n")
if "histogram" in row:
    open(os.environ["JD_BENCH_HISTOGRAM"], "w").write(row.pop("histogram"))
entry = dict(name=name, run_name=name, run_type="iteration", time_unit="ms", **row)
json.dump(dict(context=dict(host="x"), benchmarks=[entry]),
          open(options["--benchmark_out"], "w"))
sys.exit("error_occurred" in row)
"""


def good(ns, **more):
    return {"real_time": ns / 10, "ns_per_op": ns, **more}


def entry(name, ns, **more):
    return {"name": name, "run_name": name, "run_type": "iteration", "real_time": ns / 10,
            "time_unit": "ms", "ns_per_op": ns, **more}


class Folder(unittest.TestCase):
    """A build folder with the fake programs in it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.programs = []

    def fake(self, rows):
        path = self.folder / f"program{len(self.programs)}"
        path.write_text(FAKE.format(rows=rows, log=str(self.folder / "log")), encoding="utf-8")
        path.chmod(0o755)
        self.programs.append(str(path))
        return str(path)

    def bench(self, *args, absent=""):
        (self.folder / "list.txt").write_text("\n".join(self.programs) + "\n", encoding="utf-8")
        (self.folder / "absent.txt").write_text(absent, encoding="utf-8")
        return subprocess.run([sys.executable, MAIN, str(self.folder), *args], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              cwd=self.folder)

    def line(self, output, *words):
        [found] = [x for x in output.splitlines() if x.split()[:len(words)] == list(words)]
        return found.split()


class StatsTest(unittest.TestCase):
    def test_exact_u(self):
        # Smallest p for 3 + 3, 4 + 4 and 5 + 5 values: 2 / 20, 2 / 70, 2 / 252.
        for n, p in ((3, 0.1), (4, 2 / 70), (5, 2 / 252)):
            self.assertAlmostEqual(stats.mann_whitney(range(n), range(n, 2 * n)), p)
        # A worked example: U = 13 of 25 pairs, as likely as can be.
        self.assertAlmostEqual(stats.mann_whitney([1, 4, 5, 8, 9], [2, 3, 6, 7, 10]), 1.0)
        self.assertAlmostEqual(stats.mann_whitney([1, 2, 3, 5], [4, 6, 7, 8]), 4 / 70)

    def test_u_against_counting(self):
        import itertools
        values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3]
        a, b = values[:3], values[3:]
        extreme = min(stats.u_statistic(a, b), 12 - stats.u_statistic(a, b))
        hits = total = 0
        for chosen in itertools.combinations(range(7), 3):
            rest = [values[i] for i in range(7) if i not in chosen]
            u = stats.u_statistic([values[i] for i in chosen], rest)
            hits += min(u, 12 - u) <= extreme
            total += 1
        self.assertAlmostEqual(stats.mann_whitney(a, b), hits / total)

    def test_ties_and_large_samples(self):
        self.assertEqual(stats.mann_whitney([1, 1, 1], [1, 1, 1]), 1.0)
        self.assertGreater(stats.mann_whitney([1, 2, 2, 3], [2, 2, 3, 3]), 0.2)
        self.assertLess(stats.mann_whitney(range(30), range(25, 55)), 1e-6)
        # Exact and approximation agree where both are at home.
        a, b = [float(x) for x in range(0, 40, 2)], [x + 8.5 for x in range(0, 40, 2)]
        exact = stats.mann_whitney(a, b)
        limit, stats.EXACT_LIMIT = stats.EXACT_LIMIT, 0
        self.addCleanup(setattr, stats, "EXACT_LIMIT", limit)
        self.assertAlmostEqual(stats.mann_whitney(a, b), exact, delta=0.005)

    def test_effects(self):
        self.assertAlmostEqual(stats.shift_ratio([1, 2, 4], [2, 4, 8]), 2.0)
        self.assertEqual(stats.cliffs_delta([1, 2], [3, 4]), 1.0)
        self.assertEqual(stats.cliffs_delta([3, 4], [1, 2]), -1.0)
        self.assertEqual(stats.mad([1, 2, 3, 4, 100]), 1)
        self.assertEqual(stats.holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
        self.assertAlmostEqual(stats.geometric_mean([1, 4]), 2.0)


class CompareTest(Folder):
    @staticmethod
    def run_of(name, values):
        return [entry(name, v, repetition_index=i) for i, v in enumerate(values)]

    def verdicts(self, a, b, **options):
        return {c.name: c.verdict for c in compare.changes(a, b, **options)}

    def test_verdicts(self):
        base = [10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7]
        a = self.run_of("slow/ws/1", base) + self.run_of("fast/ws/1", base) \
            + self.run_of("same/ws/1", base) + self.run_of("tiny/ws/1", base) \
            + self.run_of("few/ws/1", base[:3])
        b = self.run_of("slow/ws/1", [v * 1.5 for v in base]) \
            + self.run_of("fast/ws/1", [v / 1.5 for v in base]) \
            + self.run_of("same/ws/1", [v + 0.05 for v in base]) \
            + self.run_of("tiny/ws/1", [v * 1.08 for v in base]) \
            + self.run_of("few/ws/1", [v * 2 for v in base[:3]])
        self.assertEqual(self.verdicts(a, b, threshold=0.10), {
            "slow/ws/1": "worse", "fast/ws/1": "better", "same/ws/1": "~", "tiny/ws/1": "~",
            "few/ws/1": "too few"})

    def test_more_is_better(self):
        a = [entry("fair/ws/1", 1, fairness=0.9 + i / 1000) for i in range(8)]
        b = [entry("fair/ws/1", 1, fairness=0.5 + i / 1000) for i in range(8)]
        self.assertEqual(self.verdicts(a, b), {"fair/ws/1": "worse"})
        self.assertEqual(self.verdicts(b, a), {"fair/ws/1": "better"})

    def test_chance_is_no_regression(self):
        """Runs that differ by chance alone: of 40, each of 50 rows, hardly one may be accused."""
        import random
        rng = random.Random(7)
        accused = 0
        for _ in range(40):
            a, b = ([e for row in range(50) for e in self.run_of(
                f"r{row}/ws/1", [rng.lognormvariate(5, 0.1) for _ in range(10)])]
                for _ in range(2))
            accused += "worse" in self.verdicts(a, b).values()
        self.assertLessEqual(accused, 4)

    def test_a_regression_among_many_rows_is_found(self):
        import random
        rng = random.Random(8)

        def run(slower):
            return [e for row in range(50) for e in self.run_of(f"r{row}/ws/1", [
                rng.lognormvariate(5, 0.02) * (slower if row == 7 else 1) for _ in range(10)])]

        verdicts = self.verdicts(run(1), run(1.2))
        self.assertEqual([name for name, v in verdicts.items() if v != "~"], ["r7/ws/1"])
        self.assertEqual(verdicts["r7/ws/1"], "worse")

    def recorded(self, name, factor):
        path = self.folder / name
        results.write_json(str(path), {}, self.run_of("x/ws/1", [factor * (10 + i / 10)
                                                                 for i in range(8)]))
        return str(path)

    def test_exit_status(self):
        a, b = self.recorded("a.json", 1), self.recorded("b.json", 2)
        got = self.bench("compare", a, b)
        self.assertEqual(got.returncode, 1, got.stderr)
        self.assertIn("+100.0%", got.stdout)
        self.assertIn("1 row(s) got worse: x/ws/1", got.stdout)
        self.assertEqual(self.bench("compare", b, a).returncode, 0)
        same = self.bench("compare", a, a)
        self.assertEqual(same.returncode, 0)
        self.assertEqual(self.line(same.stdout, "x/ws/1")[4], "~")
        self.assertEqual(self.bench("compare", a, str(self.folder / "none.json")).returncode, 2)
        self.assertEqual(self.bench("compare", a, b, "--filter", "nothing").returncode, 2)

    def test_two_programs_interleaved(self):
        a, b = self.fake({"x/ws/1": good(10)}), self.fake({"x/ws/1": good(30)})
        got = self.bench("compare", a, b, "--repetitions", "4")
        self.assertEqual(got.returncode, 1, got.stderr)
        self.assertIn("+200.0%", got.stdout)
        self.assertIn("4+4", got.stdout)


class RunTest(Folder):
    def test_table_ratios_and_speed_up(self):
        self.fake({"sort/serial/1": good(100), "sort/ws/1": good(120), "sort/ws/2": good(60),
                   "sort/tbb/1": good(60), "sort/tbb/2": good(30)})
        got = self.bench("--workers", "1,2", "--repetitions", "2", "--no-report")
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertEqual(self.line(got.stdout, "sort", "ws"),
                         ["sort", "ws", "ns/op", "120", "0%", "2.00x", "60.0", "0%", "2.00x",
                          "2.00x", "right"])
        self.assertEqual(self.line(got.stdout, "sort", "tbb")[5], "1.00x")
        self.assertEqual(self.line(got.stdout, "sort", "serial"),
                         ["sort", "serial", "ns/op", "100", "0%", "right"])

    def test_contenders_are_interleaved(self):
        self.fake({"a/x/1": good(1), "a/y/1": good(1), "b/x/1": good(1)})
        self.fake({"a/z/1": good(1)})
        self.bench("--workers", "1", "--repetitions", "2", "--no-report")
        self.assertEqual((self.folder / "log").read_text().split(),
                         ["a/x/1", "a/y/1", "a/z/1", "b/x/1", "a/z/1", "a/y/1", "a/x/1", "b/x/1"])

    def test_crash_and_hang_stop_nothing(self):
        self.fake({"a/bad/1": "crash", "a/ok/1": good(5)})
        self.programs.append("/no/such/program")
        got = self.bench("--workers", "1", "--repetitions", "2", "--no-report",
                         absent="tbb: libtbb-dev is not installed\n")
        self.assertEqual(got.returncode, 1)
        self.assertIn("killed by SIGSEGV: it went wrong", got.stdout)
        self.assertEqual(self.line(got.stdout, "a", "ok")[-1], "right")
        self.assertIn("absent: tbb: libtbb-dev is not installed", got.stderr)
        self.assertIn("absent: program: ", got.stderr)

        limit, runner.TIMEOUT_S = runner.TIMEOUT_S, 0.3
        self.addCleanup(setattr, runner, "TIMEOUT_S", limit)
        program = self.fake({"a/stuck/1": "hang"})
        late, _, _ = runner.measure(runner.Row((program,), "a/stuck/1"), ())
        self.assertIn("no end after", late["error_message"])

    def test_wrong_answer_fails_and_skip_does_not(self):
        self.fake({"a/x/1": {"error_occurred": True, "error_message": "wrong sum"},
                   "a/y/1": {"error_occurred": True, "error_message": "skipped: not here"}})
        got = self.bench("--workers", "1", "--no-report", "--repetitions", "1")
        self.assertEqual(got.returncode, 1)
        self.assertIn("FAILED: wrong sum", got.stdout)
        self.assertIn("FAILED: a/x/1: wrong sum", got.stdout)
        self.assertNotIn("FAILED: a/y/1", got.stdout)
        only = self.bench("--workers", "1", "--no-report", "--contenders", "y")
        self.assertEqual(only.returncode, 0)
        self.assertIn("skipped: not here", only.stdout)

    def test_selection(self):
        self.fake({"a/x/1": good(1), "a/x/2": good(1), "a/serial/1": good(1), "b/y/2": good(1)})
        self.assertEqual(self.bench("--list", "--workers", "2").stdout.split(),
                         ["a/x/2", "a/serial/1", "b/y/2"])
        self.assertEqual(self.bench("--list", "--workers", "1,2", "--contenders", "y").stdout,
                         "b/y/2\n")
        self.assertEqual(self.bench("--list", "--workers", "1,2", "--filter=-^a").stdout,
                         "b/y/2\n")
        self.assertEqual(self.bench("--filter", "no such row").returncode, 2)
        self.assertEqual(self.bench("--filter", "(").returncode, 2)
        self.assertEqual(self.bench("--workers", "0").returncode, 2)

    def test_budget_ends_repetitions(self):
        program = self.fake({"a/x/1": good(1)})
        rows, _ = runner.list_rows([program], runner.Wanted())
        recording = runner.run(rows, 501, (), budget_s=3, show=False)
        self.assertTrue(3 <= len(recording.entries) < 501)

    def test_three_measurements_before_five_and_cheap_rows_first(self):
        rows = [runner.Row(("p",), f"w/{name}/1") for name in ("a", "b", "ws", "c")]
        cost = dict(zip(rows, (3.0, 1.0, 5.0, 9.0)))

        def planned(seconds):
            again = runner.plan(rows, cost, seconds, 5)
            self.assertLessEqual(sum(n * cost[row] for row, n in again.items()), seconds)
            return [again[row] for row in rows]

        self.assertEqual(planned(1.9), [0, 0, 0, 0])
        self.assertEqual(planned(8.5), [2, 2, 0, 0])
        self.assertEqual(planned(12.5), [0, 2, 2, 0])
        self.assertEqual(planned(19), [2, 2, 2, 0])
        self.assertEqual(planned(21), [2, 4, 2, 0])
        self.assertEqual(planned(1000), [4, 4, 4, 4])

    def test_no_measurement_begins_that_would_end_too_late(self):
        program = self.fake({"a/x/1": good(1), "b/x/1": good(1), "c/x/1": good(1)})
        rows, _ = runner.list_rows([program], runner.Wanted())
        recording = runner.run(rows, 5, (), budget_s=0.001, show=False)
        self.assertEqual([e["name"] for e in recording.entries], ["a/x/1", "b/x/1", "c/x/1"])

    def test_a_quick_run_leaves_details_out(self):
        import main
        rows = [runner.Row(("p",), name) for name in (
            "a/ws/1", "a/ws/2", "a/tbb/1", "a/tbb/2", "a/serial/1", "a/test/1",
            "inject8/tbb/2", "inject8/ws/2", "inject4/tbb/2")]
        self.assertEqual([row.name for row in main.without_details(rows)],
                         ["a/ws/1", "a/ws/2", "a/tbb/2", "a/serial/1", "a/test/1",
                          "inject8/ws/2", "inject4/tbb/2"])

    def test_every_entry_is_gauged(self):
        program = self.fake({"a/x/1": good(1)})
        got, context, _ = runner.measure(runner.Row((program,), "a/x/1"), ())
        for key in ("steal_s", "throttled_s", "other_cpu_s", "load_1m", "process_cpu_s"):
            self.assertGreaterEqual(got[key], 0, key)
        self.assertEqual(context, {"host": "x"})


class ReportTest(Folder):
    def make(self):
        histogram = "".join(f"{1000 * (i + 1)} {1000 >> i}\n" for i in range(10))
        rows = {"wake/ws/1": good(9, p50_ns=1000.0, p99_ns=7000.0, histogram=histogram),
                "a/odd/1": {"error_occurred": True, "error_message": "a < b & \"c\""}}
        for w in (1, 2, 4):
            for contender, ns in (("ws", 10), ("tbb", 12), ("go", 30)):
                rows[f"spawn/{contender}/{w}"] = good(ns / w, peak_rss_kb=9000)
            rows[f"metg/ws/{w}"] = good(1, metg_ns=150.0, eff_10=0.1, eff_100=0.4, eff_1000=0.9)
        self.fake(rows)
        got = self.bench("--workers", "1,2,4", "--repetitions", "2", "--json", "out.json",
                         absent="asio: libboost-dev is not installed\n")
        self.assertEqual(got.returncode, 1, got.stderr)
        return self.folder / "report"

    def test_page_is_whole_and_self_contained(self):
        page = (self.make() / "index.html").read_text(encoding="utf-8")

        class Check(html.parser.HTMLParser):
            void = {"meta"}

            def __init__(self):
                super().__init__()
                self.open, self.links, self.ids = [], [], set()

            def handle_starttag(self, tag, attrs):
                attrs = dict(attrs)
                self.links += [attrs[k] for k in ("href", "src") if k in attrs]
                self.ids.add(attrs.get("id"))
                if tag not in self.void:
                    self.open.append(tag)

            def handle_startendtag(self, tag, attrs):
                assert tag in {"rect", "path", "circle"}, tag

            def handle_endtag(self, tag):
                assert self.open.pop() == tag, tag

        check = Check()
        check.feed(page)
        self.assertEqual(check.open, [])
        for link in check.links:
            self.assertNotRegex(link, r"^\w+:|^//", "loads from elsewhere")
            if link.startswith("#"):
                self.assertIn(link[1:], check.ids)
            else:
                self.assertTrue((self.folder / "report" / link).is_file(), link)
        for text in ("speed-up", "METG(50 %)", "latency by percentile", "libboost-dev",
                     "a &lt; b &amp; &quot;c&quot;", "geometric mean", "Peak resident memory"):
            self.assertIn(text, page)

    def test_files(self):
        report = self.make()
        with open(report / "results.json", encoding="utf-8") as file:
            recorded = json.load(file)
        self.assertEqual(recorded, json.loads((self.folder / "out.json").read_text()))
        names = [b["name"] for b in recorded["benchmarks"]]
        self.assertEqual(names.count("spawn/ws/2"), 2)
        self.assertIn("spawn/ws/2_median", names)
        self.assertIn("spawn/ws/2_mad", names)
        self.assertIn("cpu_model", recorded["context"])
        self.assertIn("asio", recorded["context"]["absent_contenders"])
        with open(report / "results.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual({r["value"] for r in rows if r["workload"] == "spawn"
                          and r["contender"] == "ws" and r["workers"] == "4"}, {"2.5"})
        self.assertEqual([r["value"] for r in rows if r["contender"] == "odd"], [""])

    def test_hgrm(self):
        text = (self.make() / "latency" / "wake_ws_1.hgrm").read_text()
        lines = [x.split() for x in text.splitlines() if re.match(r"\s+\d", x)]
        values = [float(x[0]) for x in lines]
        self.assertEqual((values[0], values[-1]), (1.0, 10.0))
        self.assertEqual(values, sorted(values))
        self.assertEqual(lines[-1][1:], ["1.000000000000", "3988", "inf"])
        self.assertIn("Total count    =         3988", text)


class PartsTest(unittest.TestCase):
    def test_percentiles_against_sorting(self):
        import random
        rng = random.Random(1)
        values = sorted(rng.randrange(1, 10 ** rng.randrange(1, 7)) for _ in range(1000))
        histogram = {v: values.count(v) for v in values}
        for percent in (0.1, 1, 50, 90, 99, 99.9, 100):
            index = max(0, -(-int(percent * 10) * len(values) // 1000) - 1)
            self.assertEqual(results.percentile(histogram, percent), values[index])

    def test_metric_is_one_for_all_contenders_of_a_workload(self):
        got = results.figures([entry("w/a/1", 1, p50_ns=5.0), entry("w/b/1", 1)])
        self.assertEqual([f.metric.key for f in got], ["p50_ns", "p50_ns"])
        self.assertIsNone(got[1].median)

    def test_an_error_of_one_repetition_is_not_hidden(self):
        bad = {"name": "x/ws/1", "run_name": "x/ws/1", "error_occurred": True,
               "error_message": "wrong number"}
        [figure] = results.figures([entry("x/ws/1", 3), bad])
        self.assertEqual((figure.median, figure.error), (None, "wrong number"))
        self.assertIn("FAILED: wrong number", tables.all_text([figure]))

    def test_warnings(self):
        text = " ".join(machine.warnings_before({
            "cpus_allowed": 1, "load_1m": 3, "virtual_machine": True, "governor": "powersave",
            "build_type": "debug", "sanitizer": "ThreadSanitizer"}))
        for word in ("load average", "virtual machine", "powersave", "debug build",
                     "ThreadSanitizer", "one CPU"):
            self.assertIn(word, text)
        self.assertEqual(machine.warnings_before({
            "cpus_allowed": 8, "load_1m": 0.1, "build_type": "release", "sanitizer": "none",
            "governor": "performance"}), [])
        text = " ".join(machine.warnings_after(1, 0.5, 2, 9, 10))
        for word in ("hypervisor", "quota", "heat", "other processes"):
            self.assertIn(word, text)
        self.assertEqual(machine.warnings_after(0, 0, 0, 0.1, 10), [])

    def test_axes(self):
        for low, high, log in ((1, 2, False), (0, 1000, False), (1, 1e6, True), (3, 4, True),
                               (5, 5, False)):
            axis = plots.Axis(low, high, 0, 100, log)
            ticks = axis.ticks()
            self.assertTrue(all(-0.1 <= axis.at(t) <= 100.1 for t in ticks), ticks)
            self.assertLessEqual(len(ticks), 12)


class RealProgramTest(Folder):
    def test_every_workload_is_described(self):
        import about
        listed = subprocess.run([BENCH, "--benchmark_list_tests"], stdout=subprocess.PIPE,
                                text=True, check=True).stdout.split()
        names = {runner.split_name(name)[0] for name in listed}
        self.assertEqual(names - set(about.WORKLOADS), set())
        page = os.path.join(os.path.dirname(SCRIPTS), "docs", "BENCHMARKS.md")
        with open(page, encoding="utf-8") as file:
            told = set(re.findall(r"`(\w+/ws/[12])`", file.read()))
        self.assertGreater(len(told), 20)
        self.assertEqual(told - set(listed), set())

    def test_one_row(self):
        self.programs.append(BENCH)
        got = self.bench("--filter", "^nqueens_12/serial/1$", "--repetitions", "1")
        self.assertEqual(got.returncode, 0, got.stderr)
        with open(self.folder / "report" / "results.json", encoding="utf-8") as file:
            result = json.load(file)
        [row] = result["benchmarks"]
        self.assertEqual(row["name"], "nqueens_12/serial/1")
        self.assertGreater(row["ns_per_op"], 0)
        for fact in ("jackdaw_version", "compiler", "build_type", "sanitizer"):
            self.assertIn(fact, result["context"])

    def test_workers(self):
        self.programs.append(BENCH)
        got = self.bench("--list", "--workers", "1,3", "--filter", "^spawn/ws")
        self.assertEqual(got.stdout.split(), ["spawn/ws/1", "spawn/ws/3"])


if __name__ == "__main__":
    unittest.main()
