#!/usr/bin/env python3
# main.py - the command line behind scripts/bench: chooses rows, runs them, writes the report.
# SPDX-License-Identifier: Apache-2.0
"""main.py BUILD_BENCH_FOLDER [OPTIONS] | compare A B [OPTIONS]

Exit status: 0; 1 when a row failed or, for compare, something got slower; 2 when the command line
is wrong or no row matches.
"""
import argparse
import os
import re
import sys
from typing import Dict, List, Optional, Tuple

import compare
import machine
import page
import results
import runner
import tables
import wine

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUICK_REPETITIONS, FULL_REPETITIONS, MOST_REPETITIONS = 5, 10, 21
QUICK_BUDGET_S = 165.0


def numbers(text: str) -> Tuple[int, ...]:
    values = tuple(int(x) for x in text.split(","))
    if min(values) < 1:
        raise ValueError
    return values


def seconds(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise ValueError
    return value


def words(text: str) -> Tuple[str, ...]:
    return tuple(x for x in text.split(",") if x)


def pattern(text: str) -> str:
    try:
        re.compile(text[text.startswith("-"):])
    except re.error as error:
        raise argparse.ArgumentTypeError(f"not a regular expression: {error}")
    return text


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="scripts/bench", description="Run the benchmarks.",
                                epilog="scripts/bench compare A B: see scripts/bench compare -h")
    p.add_argument("--full", action="store_true",
                   help=f"every row {FULL_REPETITIONS} times, however long it takes; without it "
                   f"as often as fits into the budget, at most {QUICK_REPETITIONS} times, with "
                   "less work in a measurement, and other contenders on all CPUs only")
    p.add_argument("--budget", type=seconds, metavar="SECONDS",
                   help="the time to measure in: every row once, and again as often as there is "
                   f"time for ({QUICK_BUDGET_S:.0f}, with neither --full nor --repetitions)")
    p.add_argument("--filter", default="", type=pattern, metavar="REGEX",
                   help="rows whose name contains a match; '=-REGEX': the others")
    p.add_argument("--contenders", default=(), type=words, metavar="A,B",
                   help="only these, for example ws,tbb")
    p.add_argument("--workers", default=(), type=numbers, metavar="N,M",
                   help="only these numbers of workers")
    p.add_argument("--repetitions", type=int, metavar="N", help="measure every row N times")
    p.add_argument("--json", metavar="FILE", help="also write the results there")
    p.add_argument("--windows", action="store_true",
                   help="the Windows build under Wine: ws and winpool (docs/WINDOWS.md)")
    p.add_argument("--out", metavar="FOLDER",
                   help="of the report (report; with --windows report/wine)")
    p.add_argument("--no-report", action="store_true", help="only print the tables")
    p.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    return p


def read_lines(path: str) -> List[str]:
    return [line for line in machine.read(path).splitlines() if line]


def absent_contenders(folder: str, broken: Dict[str, str]) -> Dict[str, str]:
    """{contender: why it is not there}: found at build time, and programs that do not start."""
    absent = dict(line.split(": ", 1) for line in read_lines(os.path.join(folder, "absent.txt")))
    return {**absent, **broken}


def build_context(recording: runner.Recording, options: argparse.Namespace,
                  absent: Dict[str, str]) -> Dict[str, object]:
    context = {**recording.context, **machine.facts(ROOT)}
    context["command"] = " ".join(["scripts/bench", *sys.argv[2:]])
    context["profile"] = "quick" if runner.QUICK else "full"
    if absent:
        context["absent_contenders"] = absent
    return context


def judge(context: Dict[str, object], entries: List[Dict[str, object]], load: float) -> List[str]:
    """All that spoils these measurements. load: before the first of them."""
    def total(key: str) -> float:
        return sum(float(e.get(key, 0)) for e in entries)

    return (machine.warnings_before({**context, "load_1m": load})
            + machine.warnings_after(total("steal_s"), total("throttled_s"), int(total("heat")),
                                     total("other_cpu_s"), total("elapsed_s")))


def write_report(folder: str, context: Dict[str, object], recording: runner.Recording) -> None:
    latencies = os.path.join(folder, "latency")
    os.makedirs(latencies, exist_ok=True)
    for old in os.listdir(latencies):
        if old.endswith(".hgrm"):
            os.unlink(os.path.join(latencies, old))
    results.write_json(os.path.join(folder, "results.json"), context, recording.entries)
    results.write_csv(os.path.join(folder, "results.csv"), recording.entries)
    for name, histogram in recording.histograms.items():
        results.write_hgrm(os.path.join(latencies, results.file_name(name) + ".hgrm"), histogram)
    page.write(os.path.join(folder, "index.html"), context, recording)


def default_workers(full: bool) -> Tuple[int, ...]:
    """One worker and all CPUs, and two where there are; full: all powers of two up to twice the
    CPUs, since more workers than CPUs is what a quota or a neighbour makes of any number."""
    cpus = machine.allowed_cpus()
    most = 2 * cpus if full else min(2, cpus)
    more = [2 ** i for i in range(1, 11) if 2 ** i <= most]
    return tuple(sorted({1, cpus, *more}))


# Variations of a workload that other contenders have rows for as well.
DETAILS = re.compile(r"inject[28]/|session_|\w+_node/")


def without_details(rows: List[runner.Row]) -> List[runner.Row]:
    """Without what a quick run can do without: of other contenders the variations, and rows on
    fewer workers than there are CPUs."""
    most: Dict[Tuple[str, str], int] = {}
    for row in rows:
        workload, contender, workers = row.parts
        most[workload, contender] = max(workers, most.get((workload, contender), 0))
    return [row for row in rows if row.parts[1] == "ws"
            or (row.parts[2] == most[row.parts[:2]] and not DETAILS.match(row.name))]


def effort(options: argparse.Namespace) -> Tuple[Optional[float], int]:
    """In how many seconds to measure everything, if that was said, and how often at most."""
    if options.budget:
        return options.budget, options.repetitions or MOST_REPETITIONS
    if options.full or options.repetitions:
        return None, options.repetitions or FULL_REPETITIONS
    return QUICK_BUDGET_S, QUICK_REPETITIONS


def measure(folder: str, options: argparse.Namespace) -> int:
    quick_rows = not options.workers and not options.full and not options.filter
    options.workers = options.workers or default_workers(options.full)
    # Who asks for certain rows wants them as they are.
    runner.QUICK = not (options.full or options.filter or options.repetitions)
    wanted = runner.Wanted(options.filter, options.contenders, options.workers)
    rows, broken = runner.list_rows(read_lines(os.path.join(folder, "list.txt")), wanted)
    if options.windows:
        rows = wine.rows_of(rows)
    elif quick_rows:
        rows = without_details(rows)
    absent = absent_contenders(folder, broken)
    for name, reason in absent.items():
        print(f"absent: {name}: {reason}", file=sys.stderr)
    if not rows:
        print(f"no row matches '{options.filter}'", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(row.name for row in rows))
        return 0
    facts = machine.facts(ROOT)
    print(f"{machine.describe(facts)}; {len(rows)} rows", file=sys.stderr)
    for warning in machine.warnings_before(facts):
        print(f"warning: {warning}", file=sys.stderr)

    budget, repetitions = effort(options)
    if options.windows:
        recording = wine.run(rows, repetitions, options.workers, wine.version())
    else:
        recording = runner.run(rows, repetitions, options.workers, budget)
    context = build_context(recording, options, absent)
    context["warnings"] = judge(context, recording.entries, facts["load_1m"])
    return present(context, recording, options)


def present(context: Dict[str, object], recording: runner.Recording,
            options: argparse.Namespace) -> int:
    figures = results.figures(recording.entries)
    print(tables.all_text(figures, str(context.get("measured_under", ""))))
    for warning in context["warnings"]:
        print(f"warning: {warning}")
    if options.json:
        results.write_json(options.json, context, recording.entries)
    if not options.no_report:
        out = options.out or ("report/wine" if options.windows else "report")
        write_report(out, context, recording)
        print(f"report: {os.path.join(out, 'index.html')}")
    failed = [f for f in figures if f.error and not results.is_skipped(f)]
    for figure in failed:
        print(f"FAILED: {figure.name}: {figure.error}")
    return 1 if failed else 0


def main() -> int:
    folder, arguments = sys.argv[1], sys.argv[2:]
    if arguments[:1] == ["compare"]:
        return compare.main(arguments[1:])
    return measure(folder, parser().parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
