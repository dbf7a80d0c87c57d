#!/usr/bin/env python3
# wine.py - measures Windows programs under Wine: all rows of a workload in one process.
# SPDX-License-Identifier: Apache-2.0
"""Starting a program costs Wine about a second, so a process has all contenders of a workload and
all their repetitions, in turn (bench/shim/jd_bench_own.c). Memory and processor time are Wine's."""
import os
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, Iterable, List

import machine
import runner


def version() -> str:
    """What the figures are figures of: "Wine 8.0"."""
    for name in ("wine64", "/usr/lib/wine/wine64"):
        try:
            said = subprocess.run([name, "--version"], stdout=subprocess.PIPE, text=True,
                                  stdin=subprocess.DEVNULL, check=False, timeout=runner.TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if said.stdout.startswith("wine-"):
            return "Wine " + said.stdout.split()[0][5:]
    return "Wine"


def facts(under: str) -> Dict[str, str]:
    return {"measured_under": under,
            "note": f"measured under {under}: no figure here is one of Windows"}


def rows_of(rows: List[runner.Row]) -> List[runner.Row]:
    """Without the last line of every program, which is none of its rows."""
    return [row for row in rows if row.parts[1] != "-"]


def measure(group: List[runner.Row], repetitions: int,
            workers: Iterable[int]) -> "tuple[List[Dict[str, Any]], Dict[str, Any]]":
    """Entries and context of one workload. A program that fails fails all its rows."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.json")
        command = [*group[0].command, f"--benchmark_repetitions={repetitions}",
                   f"--benchmark_filter=^({'|'.join(row.name for row in group)})$",
                   f"--benchmark_out={out}"]
        before, start = machine.gauges(), time.monotonic()
        with open(os.path.join(folder, "err"), "w+b") as complaint:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=complaint,
                                       stdout=subprocess.DEVNULL, start_new_session=True,
                                       env=runner.environment(workers))
            usage = runner.wait(process, runner.TIMEOUT_S * repetitions)
            elapsed, during = time.monotonic() - start, machine.gauges().since(before)
            complaint.seek(0)
            said = complaint.read()[-2000:].decode(errors="replace")
        entries, context = runner.read_output(out)
        failed = any(entry.get("error_occurred") for entry in entries)
        if not entries or (usage.status != 0 and not failed):
            entries = [runner.failed_row(row.name, usage, elapsed, said) for row in group]
        # Of the whole process, so of its first entry only: these are added up.
        entries[0].update({"steal_s": during.steal_s, "throttled_s": during.throttled_s,
                           "heat": during.heat, "elapsed_s": round(elapsed, 4)})
        return entries, context


def run(rows: List[runner.Row], repetitions: int, workers: Iterable[int],
        under: str) -> runner.Recording:
    recording = runner.Recording({}, [], {})
    groups = runner.in_rounds(rows)
    for number, group in enumerate(groups):
        print(f"[{number + 1:2}/{len(groups)}] under {under}: {group[0].parts[0]}, "
              f"{len(group)} rows", file=sys.stderr, flush=True)
        entries, context = measure(group, repetitions, workers)
        recording.entries.extend(entries)
        recording.context.update(context)
    recording.context.update(facts(under))
    return recording
