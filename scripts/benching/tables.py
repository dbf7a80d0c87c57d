#!/usr/bin/env python3
# tables.py - the tables on the terminal: one line a workload and contender, with ratio to the best.
# SPDX-License-Identifier: Apache-2.0
"""Plain text, aligned; the report has the same figures with more around them."""
from typing import Dict, Iterable, Iterator, List, Optional, Sequence

import results
from results import Figure


def show(value: Optional[float], form: str) -> str:
    return "" if value is None else form.format(value)


def quantity(value: Optional[float]) -> str:
    """Three significant digits, without an exponent where people can do without."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(figure: Figure) -> str:
    if len(figure.values) < 2 or not figure.median or figure.mad is None:
        return ""
    return f"{figure.mad / figure.median:.0%}"


def verdict(group: Sequence[Figure]) -> str:
    failed = [f.error for f in group if f.error and not results.is_skipped(f)]
    if failed:
        return "FAILED: " + failed[0]
    return "right" if any(not f.error for f in group) else group[0].error


def main_lines(figures: Iterable[Figure], under: str = "") -> Iterator[List[str]]:
    """The head, then one line a workload and contender; columns for each number of workers. under:
    what stands between the programs and the system that they are made for."""
    figures = list(figures)
    workers = sorted({f.workers for f in figures}) or [1]
    head = [f"workload under {under}" if under else "workload", "contender", "unit"]
    for w in workers:
        head += [f"{w}w", "mad", "to best"]
    yield head + [f"{w}w speed-up" for w in workers[1:]] + ["answer"]
    for workload, group in results.by_workload(figures).items():
        lines: Dict[str, Dict[int, Figure]] = {}
        for figure in group:
            lines.setdefault(figure.contender, {})[figure.workers] = figure
        for contender, at in lines.items():
            line = [workload, contender, group[0].metric.unit]
            for w in workers:
                figure = at.get(w)
                line += ["", "", ""] if figure is None else [
                    quantity(figure.median), spread(figure),
                    show(results.ratio_to_best(figure, group), "{:.2f}x")]
            one = at.get(workers[0])
            for w in workers[1:]:
                faster = at.get(w) and at[w].is_time and at[w].median and one and one.median
                line.append(show(one.median / at[w].median, "{:.2f}x") if faster else "")
            yield line + [verdict(list(at.values()))]


def latency_lines(figures: Iterable[Figure], under: str = "") -> Iterator[List[str]]:
    head = f"latency under {under} (us)" if under else "latency (us)"
    yield [head, "contender", "workers"] + [name for name, _ in results.PERCENTILES]
    for f in figures:
        if f.middle("p50_ns") is not None:
            at = [f.middle(key) for key in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")]
            yield [f.workload, f.contender, str(f.workers)] + [
                quantity(v / 1e3) if v is not None else "" for v in at]


def text(lines: Iterable[List[str]], left: int) -> str:
    """Aligned; the first columns and the last one to the left. "" when there is only a head."""
    lines = list(lines)
    if len(lines) < 2:
        return ""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    out = []
    for line in lines:
        cells = [cell.ljust(width) if i < left or i == len(widths) - 1 else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        out.append("  ".join(cells).rstrip())
    return "\n".join(out) + "\n"


def all_text(figures: Sequence[Figure], under: str = "") -> str:
    parts = [text(main_lines(figures, under), 3), text(latency_lines(figures, under), 2)]
    return "\n".join(part for part in parts if part)
