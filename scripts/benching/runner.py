#!/usr/bin/env python3
# runner.py - finds rows, runs them one process each, contenders interleaved, and records all.
# SPDX-License-Identifier: Apache-2.0
"""A program lists its rows and measures those that a filter names; see docs/BENCHMARKS.md.

Every measurement is a process of its own: it starts with fresh memory, its peak of memory and its
CPU time are its own, and one that crashes or hangs takes nothing with it.
"""
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

import machine

TIMEOUT_S = 60.0


class Row(NamedTuple):
    command: Tuple[str, ...]  # of the program
    name: str

    @property
    def parts(self) -> Tuple[str, str, int]:
        return split_name(self.name)


def split_name(name: str) -> Tuple[str, str, int]:
    """WORKLOAD/CONTENDER/WORKERS; a name of another form is a workload of contender "-"."""
    parts = name.rsplit("/", 2)
    if len(parts) == 3 and parts[2].isdigit():
        return parts[0], parts[1], int(parts[2])
    return name, "-", 1


class Wanted(NamedTuple):
    filter: str = ""
    contenders: Tuple[str, ...] = ()
    workers: Tuple[int, ...] = ()

    def __call__(self, name: str) -> bool:
        _, contender, workers = split_name(name)
        invert = self.filter.startswith("-")
        found = bool(re.search(self.filter[invert:], name))
        return (found != invert
                and (not self.contenders or contender in self.contenders)
                and (not self.workers or workers in self.workers or contender in ("serial", "-")))


def exactly(name: str) -> str:
    """A POSIX extended regular expression for one name."""
    return "^" + re.sub(r"([][.^$*+?(){|\\\\])", r"\\\1", name) + "$"


QUICK = False  # rows that take a fixed time should take a short one


def environment(workers: Iterable[int]) -> Dict[str, str]:
    """What programs are told: for how many workers to make rows, and whether to hurry."""
    env = dict(os.environ)
    if QUICK:
        env["JD_BENCH_QUICK"] = "1"
    if workers:
        env["JD_BENCH_WORKERS"] = ",".join(map(str, workers))
    return env


def list_rows(commands: Iterable[str], wanted: Wanted) -> Tuple[List[Row], Dict[str, str]]:
    """All wanted rows, and {program: why it has none} of the programs that do not work."""
    rows: List[Row] = []
    broken: Dict[str, str] = {}
    for line in commands:
        command = tuple(shlex.split(line))
        try:
            got = subprocess.run([*command, "--benchmark_list_tests"], stdout=subprocess.PIPE,
                                 stdin=subprocess.DEVNULL, text=True, check=False,
                                 timeout=TIMEOUT_S, env=environment(wanted.workers))
        except (OSError, subprocess.TimeoutExpired) as error:
            broken[os.path.basename(command[-1])] = str(error)
            continue
        if got.returncode != 0:
            broken[os.path.basename(command[-1])] = ended(got.returncode)
        rows += [Row(command, name) for name in got.stdout.split() if wanted(name)]
    return rows, broken


def in_rounds(rows: List[Row]) -> List[List[Row]]:
    """By workload, in the order of their first rows."""
    groups: Dict[str, List[Row]] = {}
    for row in rows:
        groups.setdefault(row.parts[0], []).append(row)
    return list(groups.values())


def round_order(rows: List[Row], repetition: int) -> List[Row]:
    """One repetition of everything: contenders side by side, there and back again."""
    return [row for group in in_rounds(rows)
            for row in (group if repetition % 2 == 0 else group[::-1])]


# --- One measurement ------------------------------------------------------------------------------

def ended(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


class Usage(NamedTuple):
    status: int
    cpu_s: float
    voluntary_switches: int
    involuntary_switches: int


def wait(process: "subprocess.Popen[bytes]", timeout: float) -> Usage:
    """Reaps the process with its resource usage; kills it after the timeout."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or an old one: no timeout
        handle = -1
    if handle >= 0:
        if not select.select([handle], [], [], timeout)[0]:
            os.kill(process.pid, signal.SIGKILL)
        os.close(handle)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_nvcsw,
                 usage.ru_nivcsw)


def error_row(name: str, message: str) -> Dict[str, Any]:
    return {"name": name, "run_name": name, "run_type": "iteration",
            "error_occurred": True, "error_message": message}


def failed_row(name: str, usage: Usage, elapsed: float, complaint: str) -> Dict[str, Any]:
    """For a program that gave no figure. complaint: the end of its standard error."""
    late = usage.status == -signal.SIGKILL and elapsed >= TIMEOUT_S
    what = f"no end after {TIMEOUT_S:.0f} s" if late else ended(usage.status)
    last = complaint.strip().splitlines()[-1:] or [""]
    return error_row(name, what + (f": {last[0][:200]}" if last[0] else ""))


def measure(row: Row, workers: Iterable[int]) -> Tuple[Dict[str, Any], Dict[str, Any],
                                                       List[Tuple[int, int]]]:
    """Runs one row once. Its entry, the context of its program, and its histogram."""
    with tempfile.TemporaryDirectory() as folder:
        out, histogram = os.path.join(folder, "out.json"), os.path.join(folder, "histogram")
        command = [*row.command, f"--benchmark_filter={exactly(row.name)}",
                   f"--benchmark_out={out}"]
        env = {**environment(workers), "JD_BENCH_HISTOGRAM": histogram}
        with open(os.path.join(folder, "err"), "w+b") as complaint:
            load, before, start = machine.load(), machine.gauges(), time.monotonic()
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=env,
                                       stdout=subprocess.DEVNULL, stderr=complaint)
            usage = wait(process, TIMEOUT_S)
            elapsed, during = time.monotonic() - start, machine.gauges().since(before)
            complaint.seek(0)
            said = complaint.read()[-2000:].decode(errors="replace")
        entries, context = read_output(out)
        entry = entries[0] if entries else failed_row(row.name, usage, elapsed, said)
        entry.update({
            "load_1m": load, "steal_s": during.steal_s, "throttled_s": during.throttled_s,
            "heat": during.heat, "elapsed_s": round(elapsed, 4),
            "other_cpu_s": round(max(0.0, during.busy_s - usage.cpu_s), 3),
            "process_cpu_s": round(usage.cpu_s, 4),
            "voluntary_switches": usage.voluntary_switches,
            "involuntary_switches": usage.involuntary_switches})
        return entry, context, read_histogram(histogram)


def read_output(path: str) -> Tuple[List[Dict[str, Any]], Dict[str, Any]]:
    try:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        return result["benchmarks"], result.get("context", {})
    except (OSError, ValueError, KeyError):
        return [], {}


def read_histogram(path: str) -> List[Tuple[int, int]]:
    """Lines "VALUE COUNT", values in ns."""
    try:
        with open(path, encoding="utf-8") as file:
            return [(int(value), int(count)) for value, count in map(str.split, file)]
    except (OSError, ValueError):
        return []


# --- All of them ----------------------------------------------------------------------------------

class Progress:
    """One line a measurement on standard error, with the time that is left."""

    def __init__(self, total: int, show: bool = True):
        self.total, self.done, self.show, self.start = total, 0, show, time.monotonic()

    def note(self, entry: Dict[str, Any], repetition: int) -> None:
        self.done += 1
        if not self.show:
            return
        elapsed = time.monotonic() - self.start
        left = elapsed / self.done * max(0, self.total - self.done)
        if entry.get("error_occurred"):
            figure = entry["error_message"]
        elif "ns_per_op" in entry:
            figure = f"{entry['ns_per_op']:12.1f} ns/op"
        else:
            figure = f"{entry['real_time']:12.3f} {entry['time_unit']}"
        width = len(str(self.total))
        print(f"[{self.done:{width}}/{self.total}] {int(left) // 60}:{int(left) % 60:02} left, "
              f"repetition {repetition + 1}: {entry['name']:<32} {figure}", file=sys.stderr,
              flush=True)


class Recording(NamedTuple):
    context: Dict[str, Any]
    entries: List[Dict[str, Any]]
    histograms: Dict[str, Dict[int, int]]  # name -> {ns: count}, all repetitions


def record(recording: Recording, row: Row, repetition: int,
           workers: Iterable[int]) -> Dict[str, Any]:
    """Measures a row and puts all that came of it into the recording; its entry."""
    entry, context, histogram = measure(row, workers)
    entry["repetition_index"] = repetition
    entry["program"] = shlex.join(row.command)
    recording.context.update(context)
    recording.entries.append(entry)
    counts = recording.histograms.setdefault(row.name, {}) if histogram else {}
    for value, count in histogram:
        counts[value] = counts.get(value, 0) + count
    return entry


def plan(rows: List[Row], cost: Dict[Row, float], seconds: float, most: int) -> Dict[Row, int]:
    """How often to measure each row after the first time, so that it takes no longer than that.

    All rows get three measurements, for which a median means something, before any gets five, and
    cheap rows before dear ones; ours count half, since all others are compared with them.
    """
    again = {row: 0 for row in rows}
    dear = {row: cost[row] * (0.5 if row.parts[1] == "ws" else 1.0) for row in rows}
    for more in range(2, most, 2):
        for row in sorted(rows, key=dear.__getitem__):
            if 2 * cost[row] > seconds:
                continue
            seconds -= 2 * cost[row]
            again[row] = more
    return again


def run(rows: List[Row], repetitions: int, workers: Iterable[int] = (),
        budget_s: Optional[float] = None, show: bool = True) -> Recording:
    """Measures every row so often. With a budget: once, and then as often as the budget allows."""
    recording = Recording({}, [], {})
    progress = Progress(len(rows) * (1 if budget_s else repetitions), show)
    end = progress.start + budget_s if budget_s else None
    often = {row: repetitions for row in rows}
    cost: Dict[Row, float] = {}
    for repetition in range(repetitions):
        if end and repetition == 1:
            left = [row for row in rows if often[row]]
            again = plan(left, cost, end - time.monotonic(), repetitions)
            often.update({row: 1 + again[row] for row in left})
            progress.total += sum(again.values())
        for row in round_order([row for row in rows if often[row] > repetition], repetition):
            if end and repetition and time.monotonic() + cost[row] > end:
                progress.total -= 1
                continue
            entry = record(recording, row, repetition, workers)
            cost[row] = entry["elapsed_s"]
            progress.note(entry, repetition)
            if entry.get("error_occurred"):  # it is not asked again
                progress.total -= 0 if end and not repetition else often[row] - repetition - 1
                often[row] = 0
    return recording
