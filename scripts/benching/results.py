#!/usr/bin/env python3
# results.py - figures out of measurements: medians, ratios, percentiles; JSON, CSV and .hgrm files.
# SPDX-License-Identifier: Apache-2.0
"""What all presentations share. An entry is one of Google Benchmark's, with our fields."""
import csv
import json
import os
import statistics
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

import runner
import stats

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
PERCENTILES = (("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0))


class Metric(NamedTuple):
    key: str
    unit: str
    more_is_better: bool = False
    scale: float = 1.0  # from the field to the unit


# What a row is about: the first of these that it has. The last one every row has.
METRICS = (
    Metric("bytes_per_task", "bytes/task"),
    Metric("idle_cpu_ppm", "CPU ppm"),
    Metric("fairness", "min/max", more_is_better=True),
    Metric("metg_ns", "ns grain"),
    Metric("p50_ns", "us p50", scale=1e-3),
    Metric("ns_per_op", "ns/op"),
    Metric("seconds", "s"),
)


def value_of(entry: Dict[str, Any], key: str) -> Optional[float]:
    if key == "seconds":
        return float(entry["real_time"]) * SECONDS[entry["time_unit"]]
    value = entry.get(key)
    return float(value) if isinstance(value, (int, float)) else None


# Without a scheduler, on one thread in virtual time, memory alone: nobody is compared with these.
NO_CONTENDERS = ("serial", "test", "floor")


class Figure(NamedTuple):
    """One row over all its repetitions."""
    name: str
    workload: str
    contender: str
    workers: int
    metric: Metric
    values: Tuple[float, ...]
    error: str             # "": it worked, every time
    entries: Tuple[Dict[str, Any], ...]

    @property
    def median(self) -> Optional[float]:
        return statistics.median(self.values) if self.values and not self.error else None

    @property
    def mad(self) -> Optional[float]:
        return stats.mad(self.values) if self.values and not self.error else None

    @property
    def is_time(self) -> bool:
        """Of work that more workers can share."""
        return self.metric.key in ("ns_per_op", "seconds")

    def middle(self, key: str) -> Optional[float]:
        """The median of any field."""
        values = [v for v in (value_of(e, key) for e in self.entries) if v is not None]
        return statistics.median(values) if values and not self.error else None


def metric_of(entries: Iterable[Dict[str, Any]]) -> Metric:
    good = [e for e in entries if not e.get("error_occurred")]
    return next((m for m in METRICS if any(m.key in e for e in good)), METRICS[-1])


def figures(entries: Iterable[Dict[str, Any]]) -> List[Figure]:
    """In the order in which the rows first appear."""
    groups: Dict[str, List[Dict[str, Any]]] = {}
    for entry in entries:
        if entry.get("run_type", "iteration") == "iteration":
            groups.setdefault(entry.get("run_name", entry["name"]), []).append(entry)
    by_workload: Dict[str, List[Dict[str, Any]]] = {}
    for name, group in groups.items():
        by_workload.setdefault(runner.split_name(name)[0], []).extend(group)
    result = []
    for name, group in groups.items():
        workload, contender, workers = runner.split_name(name)
        metric = metric_of(by_workload[workload])
        errors = [e.get("error_message", "failed") for e in group if e.get("error_occurred")]
        good = [e for e in group if not e.get("error_occurred")]
        values = [v * metric.scale for v in (value_of(e, metric.key) for e in good)
                  if v is not None]
        result.append(Figure(name, workload, contender, workers, metric, tuple(values),
                             errors[0] if errors else "", tuple(good)))
    return result


def is_skipped(figure: Figure) -> bool:
    return figure.error.startswith("skipped: ")


def by_workload(all_figures: Iterable[Figure]) -> Dict[str, List[Figure]]:
    groups: Dict[str, List[Figure]] = {}
    for figure in all_figures:
        groups.setdefault(figure.workload, []).append(figure)
    return groups


def ratio_to_best(figure: Figure, others: Iterable[Figure]) -> Optional[float]:
    """How many times worse than the best row of the same workload and number of workers."""
    medians = [f.median for f in others if f.median is not None
               and f.workers == figure.workers and f.contender not in NO_CONTENDERS]
    if figure.median is None or not medians or figure.contender in NO_CONTENDERS:
        return None
    better, worse = min(medians), figure.median
    if figure.metric.more_is_better:
        better, worse = figure.median, max(medians)
    if better == worse:
        return 1.0
    return worse / better if better > 0 else None


# --- Files ----------------------------------------------------------------------------------------

def aggregates(figure: Figure) -> List[Dict[str, Any]]:
    """Median and MAD as Google Benchmark writes aggregates."""
    if len(figure.values) < 2 or figure.error:
        return []
    result = []
    for name, function in (("median", statistics.median), ("mad", stats.mad)):
        entry = {"name": f"{figure.name}_{name}", "run_name": figure.name,
                 "run_type": "aggregate", "aggregate_name": name,
                 "repetitions": len(figure.entries), "time_unit": figure.entries[0]["time_unit"]}
        for key in figure.entries[0]:
            values = [e.get(key) for e in figure.entries]
            if key not in entry and all(type(v) in (int, float) for v in values):
                entry[key] = function(values)
        result.append(entry)
    return result


def write_json(path: str, context: Dict[str, Any], entries: List[Dict[str, Any]]) -> None:
    every = entries + [a for f in figures(entries) for a in aggregates(f)]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"context": context, "benchmarks": every}, file, indent=1)
        file.write("\n")


def read_json(path: str) -> Dict[str, Any]:
    if os.path.isdir(path):
        path = os.path.join(path, "results.json")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


CSV_FIELDS = ("repetition_index", "real_time", "time_unit", "ns_per_op", "process_cpu_s",
              "peak_rss_kb", "steal_s", "throttled_s", "other_cpu_s", "error_message")


def write_csv(path: str, entries: Iterable[Dict[str, Any]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("workload", "contender", "workers", "metric", "value") + CSV_FIELDS)
        for figure in figures(entries):
            for entry in entries:
                if entry.get("run_name", entry["name"]) != figure.name:
                    continue
                failed = entry.get("error_occurred")
                value = "" if failed else value_of(entry, figure.metric.key)
                writer.writerow([figure.workload, figure.contender, figure.workers,
                                 figure.metric.key, value]
                                + ["" if failed and k == "real_time" else entry.get(k, "")
                                   for k in CSV_FIELDS])


def percentile(histogram: Dict[int, int], percent: float) -> int:
    """The smallest value that at least so many percent do not exceed."""
    total = sum(histogram.values())
    need, seen = percent / 100 * total, 0
    for value in sorted(histogram):
        seen += histogram[value]
        if seen >= need - 1e-9:
            return value
    return 0


def curve(histogram: Dict[int, int], ticks: int = 5) -> List[Tuple[float, int, int]]:
    """(fraction, value, count up to it): so many points in each halving of what is left."""
    total = sum(histogram.values())
    points, fraction, step = [], 0.0, 0.5 / ticks
    while total:
        value = percentile(histogram, fraction * 100)
        below = sum(c for v, c in histogram.items() if v <= value)
        points.append((fraction, value, below))
        if below == total:
            break
        if fraction + step >= 1 - (1 - fraction) / 2 + 1e-12:
            step = (1 - fraction) / 4 / ticks * 2
        fraction = min(1.0, fraction + step)
    if total:
        points.append((1.0, max(histogram), total))
    return points


def write_hgrm(path: str, histogram: Dict[int, int]) -> None:
    """The text format of HdrHistogram's plotting tools; values in microseconds."""
    total = sum(histogram.values())
    mean = sum(v * c for v, c in histogram.items()) / total
    deviation = (sum(c * (v - mean) ** 2 for v, c in histogram.items()) / total) ** 0.5
    with open(path, "w", encoding="utf-8") as file:
        head = ("Value", 12), ("Percentile", 14), ("TotalCount", 10), ("1/(1-Percentile)", 14)
        file.write(" ".join(f"{text:>{width}}" for text, width in head) + "\n\n")
        for fraction, value, below in curve(histogram):
            rest = f"{1 / (1 - fraction):14.2f}" if fraction < 1 else f"{'inf':>14}"
            file.write(f"{value / 1000:12.3f} {fraction:14.12f} {below:10d} {rest}\n")
        file.write(f"#[Mean    = {mean / 1000:12.3f}, StdDeviation   = {deviation / 1000:12.3f}]\n"
                   f"#[Max     = {max(histogram) / 1000:12.3f}, Total count    = {total:12d}]\n"
                   f"#[Buckets = {len(histogram):12d}, SubBuckets     = {1:12d}]\n")


def file_name(row: str) -> str:
    return row.replace("/", "_")
