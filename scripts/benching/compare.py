#!/usr/bin/env python3
# compare.py - did anything get slower? Two recorded runs, or two builds run side by side.
# SPDX-License-Identifier: Apache-2.0
"""Rows in both runs are compared by the two-sided Mann-Whitney U test, p values adjusted for their
number (Holm). A row differs when p < ALPHA and the shift (Hodges-Lehmann) exceeds the threshold;
everything else is '~'. Exit status: 0, 1 when a row got significantly worse, 2 for bad arguments.
"""
import argparse
import os
import stat
import sys
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence

import results
import runner
import stats
import tables

ALPHA = 0.05
INTERLEAVED_REPETITIONS = 10


class Change(NamedTuple):
    name: str
    unit: str
    a: float        # medians
    b: float
    n: str
    ratio: float    # how many times larger b is
    delta: float    # Cliff's delta
    p: float        # adjusted
    verdict: str    # "~", "better", "worse", "too few"


def smallest_p(m: int, n: int) -> float:
    """What the test gives at best with so few values."""
    return stats.mann_whitney(range(m), range(m, m + n))


def pairs(a: Iterable[Dict[str, Any]], b: Iterable[Dict[str, Any]]) -> List[tuple]:
    others = {f.name: f for f in results.figures(b)}
    return [(f, others[f.name]) for f in results.figures(a)
            if f.name in others and f.median and others[f.name].median]


def changes(a: Iterable[Dict[str, Any]], b: Iterable[Dict[str, Any]],
            threshold: float = 0.03, alpha: float = ALPHA) -> List[Change]:
    both = pairs(a, b)
    adjusted = stats.holm([stats.mann_whitney(x.values, y.values) for x, y in both])
    result = []
    for (x, y), p in zip(both, adjusted):
        ratio = stats.shift_ratio(x.values, y.values)
        if smallest_p(len(x.values), len(y.values)) >= alpha:
            verdict = "too few"
        elif p >= alpha or abs(ratio - 1) < threshold:
            verdict = "~"
        else:
            verdict = "better" if (ratio > 1) == x.metric.more_is_better else "worse"
        result.append(Change(x.name, x.metric.unit, x.median, y.median,
                             f"{len(x.values)}+{len(y.values)}", ratio,
                             stats.cliffs_delta(x.values, y.values), p, verdict))
    return result


def lines(found: Sequence[Change]) -> Iterable[List[str]]:
    yield ["row", "unit", "A", "B", "B vs A", "effect", "p", "n", ""]
    for c in found:
        same = c.verdict in ("~", "too few")
        yield [c.name, c.unit, tables.quantity(c.a), tables.quantity(c.b),
               "~" if same else f"{c.ratio - 1:+.1%}", f"{c.delta:+.2f}", f"{c.p:.3f}", c.n,
               c.verdict]


def report(found: Sequence[Change]) -> int:
    if not found:
        print("no row is in both, with figures", file=sys.stderr)
        return 2
    print(tables.text(lines(found), 2), end="")
    print(f"geometric mean of B/A: {stats.geometric_mean([c.ratio for c in found]):.3f}")
    worse = [c.name for c in found if c.verdict == "worse"]
    if any(c.verdict == "too few" for c in found):
        print("too few: with so few repetitions nothing can be significant; measure 10 or more")
    if worse:
        print(f"{len(worse)} row(s) got worse: {', '.join(worse)}")
    return 1 if worse else 0


# --- Running two builds side by side --------------------------------------------------------------

def is_program(path: str) -> bool:
    return os.path.isfile(path) and bool(os.stat(path).st_mode & stat.S_IXUSR)


def side_by_side(a: str, b: str, options: argparse.Namespace) -> List[List[Dict[str, Any]]]:
    """A B, B A, A B ... for each row."""
    wanted = runner.Wanted(options.filter, options.contenders, options.workers)
    listed = [runner.list_rows([os.path.abspath(p)], wanted)[0] for p in (a, b)]
    common = {row.name for row in listed[0]} & {row.name for row in listed[1]}
    rows = [row for pair in zip(*[[r for r in side if r.name in common] for side in listed])
            for row in pair]
    recording = runner.run(rows, options.repetitions, options.workers)
    return [[e for e in recording.entries if e["program"] == os.path.abspath(p)] for p in (a, b)]


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="scripts/bench compare", description=__doc__.split("\n\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("a", metavar="A", help="results.json, its folder, or a benchmark program")
    p.add_argument("b", metavar="B", help="the same kind; two programs are run interleaved")
    p.add_argument("--threshold", type=float, default=3.0, metavar="PERCENT",
                   help="smaller changes are '~' (%(default)s)")
    p.add_argument("--filter", default="", metavar="REGEX")
    p.add_argument("--contenders", default=(), type=lambda t: tuple(t.split(",")), metavar="A,B")
    p.add_argument("--workers", default=(), metavar="N,M",
                   type=lambda t: tuple(int(x) for x in t.split(",")))
    p.add_argument("--repetitions", type=int, default=INTERLEAVED_REPETITIONS, metavar="N",
                   help="of programs (%(default)s)")
    return p


def main(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    wanted = runner.Wanted(options.filter, options.contenders, options.workers)
    try:
        if is_program(options.a) and is_program(options.b):
            sides = side_by_side(options.a, options.b, options)
        else:
            sides = [[e for e in results.read_json(p)["benchmarks"]
                      if wanted(e.get("run_name", e["name"]))] for p in (options.a, options.b)]
    except (OSError, ValueError, KeyError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    return report(changes(*sides, threshold=options.threshold / 100))
