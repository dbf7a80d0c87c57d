#!/usr/bin/env python3
# page.py - the report: one HTML file with tables and drawings, nothing loaded from elsewhere.
# SPDX-License-Identifier: Apache-2.0
"""Every figure is a median over the repetitions; +- is the median absolute deviation."""
import os
import re
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import about
import plots
import results
import runner
import stats
from plots import escape
from results import Figure
from tables import quantity

STYLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.css")
# These keep their colours in every report; others take what is left, in order of appearance.
KNOWN = ("ws", "serial", "gcd", "mutex", "test", "tbb", "go", "tokio", "asio", "gomp", "llvmomp",
         "glib", "uv", "ev")


def colours(figures: Iterable[Figure]) -> Dict[str, int]:
    result = {name: i for i, name in enumerate(KNOWN)}
    for figure in figures:
        result.setdefault(figure.contender, len(result) % plots.COLOURS)
    return result


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Cells are HTML; the first columns are texts, the others numbers."""
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(
            f"<{tag}{'' if i < left else ' class=n'}>{c}</{tag}>"
            for i, c in enumerate(cells)) + "</tr>"

    body = "".join(line(r, "td") for r in rows)
    return (f'<div class="scroll"><table><thead>{line(head, "th")}</thead>'
            f"<tbody>{body}</tbody></table></div>")


def section(name: str, title: str, body: str) -> str:
    return f'<section id="{name}"><h2>{escape(title)}</h2>{body}</section>' if body else ""


def most_workers(group: Iterable[Figure]) -> int:
    return max((f.workers for f in group), default=1)


# --- Summary: who is how far from the best, everywhere --------------------------------------------

def ratio_cell(ratio: Optional[float]) -> str:
    if ratio is None:
        return ""
    grade = "best" if ratio < 1.005 else "near" if ratio < 1.25 else "far" if ratio > 3 else ""
    return f'<span class="r {grade}">{ratio:.2f}</span>'


def best_at_most_workers(group: Sequence[Figure]) -> Dict[str, float]:
    """{contender: ratio}, each at the largest number of workers of the workload."""
    top = most_workers(f for f in group if f.median)
    ratios = {f.contender: results.ratio_to_best(f, group) for f in group if f.workers == top}
    return {c: r for c, r in ratios.items() if r is not None}


def summary(figures: Sequence[Figure]) -> str:
    groups = results.by_workload(figures)
    ours = {w for w, g in groups.items() if any(f.contender == "ws" for f in g)}
    ratios = {w: best_at_most_workers(g) for w, g in groups.items() if w in ours or not ours}
    ratios = {w: r for w, r in ratios.items() if len(r) > 1}
    if not ratios:
        return ""
    names = sorted({c for r in ratios.values() for c in r}, key=lambda c: (c != "ws", c))
    rows = [[f'<a href="#w-{escape(w)}">{escape(w)}</a>'] + [ratio_cell(r.get(c)) for c in names]
            for w, r in ratios.items()]
    mean = ["<b>geometric mean</b>"]
    for c in names:
        own = [r[c] for r in ratios.values() if c in r]
        mean.append(f"<b>{stats.geometric_mean(own):.2f}</b> <small>of {len(own)}</small>")
    note = ("<p>Ratio to the best contender of each workload, at the largest number of workers "
            "it was run with: 1 is the best, 2 is twice as slow (or large, or unfair). The means "
            "are over what a contender has rows for, so compare them only over equal counts.</p>")
    return note + table(["workload", *map(escape, names)], rows + [mean])


# --- One card a workload --------------------------------------------------------------------------

def spread(figure: Figure) -> str:
    """Of one measurement nobody knows it."""
    return quantity(figure.mad) if len(figure.values) > 1 else ""


def bar_label(figure: Figure) -> str:
    return quantity(figure.median) + (f" ±{spread(figure)}" if spread(figure) else "")


def workload_bars(group: Sequence[Figure], colour: Dict[str, int]) -> str:
    good = [f for f in group if f.median is not None]
    good.sort(key=lambda f: f.median, reverse=good[0].metric.more_is_better if good else False)
    top = most_workers(group)
    return plots.bars(group[0].workload, [
        plots.Bar(f"{f.contender} {f.workers}w", colour[f.contender], f.median, f.mad, bar_label(f),
                  faint=f.workers != top and f.contender not in results.NO_CONTENDERS)
        for f in good])


def scaling(group: Sequence[Figure], colour: Dict[str, int]) -> str:
    """Speed-up over one worker; a straight line is perfect."""
    lines: Dict[str, Dict[int, float]] = {}
    for f in group:
        if f.median and f.is_time:
            lines.setdefault(f.contender, {})[f.workers] = f.median
    series = [plots.Series(c, colour[c], [(w, at[1] / at[w]) for w in sorted(at)])
              for c, at in lines.items() if len(at) > 2 and 1 in at]
    if not series:
        return ""
    workers = sorted({int(x) for s in series for x, _ in s.points})
    ideal = plots.Series("perfect", 1, [(w, w) for w in workers], dashed=True)
    return plots.curves(f"{group[0].workload}: speed-up", series + [ideal], "workers", "speed-up",
                        x_labels=[(w, str(w)) for w in workers], from_zero=True)


def workload_rows(group: Sequence[Figure]) -> Iterable[List[str]]:
    for f in group:
        if f.error:
            kind = "skipped" if results.is_skipped(f) else "failed"
            text = f.error[len("skipped: "):] if kind == "skipped" else f.error
            yield [escape(f.contender), str(f.workers),
                   f'<span class="{kind}">{kind}: {escape(text)}</span>'] + [""] * 5
            continue
        rss, cpu = f.middle("peak_rss_kb"), f.middle("process_cpu_s")
        yield [escape(f.contender), str(f.workers), quantity(f.median), spread(f),
               str(len(f.values)), ratio_cell(results.ratio_to_best(f, group)),
               quantity(cpu and cpu * 1e3), quantity(rss and rss / 1024)]


def says(workload: str) -> str:
    text = about.WORKLOADS.get(workload)
    return f'<p class="about">{escape(text)}</p>' if text else ""


def card(workload: str, group: Sequence[Figure], colour: Dict[str, int]) -> str:
    unit = group[0].metric.unit
    better = "more" if group[0].metric.more_is_better else "less"
    detail = table(["contender", "workers", unit, "±", "n", "to best", "CPU ms", "RSS MiB"],
                   workload_rows(group))
    return (f'<article id="w-{escape(workload)}"><h3>{escape(workload)} '
            f"<small>{escape(unit)}, {better} is better</small></h3>"
            f"{says(workload)}{workload_bars(group, colour)}{scaling(group, colour)}"
            f"<details><summary>figures</summary>{detail}</details></article>")


def cards(figures: Sequence[Figure], colour: Dict[str, int]) -> str:
    note = ("<p>A bar is a median and the line over it the typical distance from it (MAD), if it "
            "was measured more than once. 2w: with two workers; the fuller colour is of the most "
            "workers.</p>")
    return note + '<div class="cards">' + "".join(
        card(w, g, colour) for w, g in results.by_workload(figures).items()) + "</div>"


def who_is_who(figures: Sequence[Figure]) -> str:
    names = [c for c in about.CONTENDERS if any(f.contender == c for f in figures)]
    items = "".join(f"<dt>{c}</dt><dd>{escape(about.CONTENDERS[c])}</dd>" for c in names)
    return f"<dl>{items}</dl>" if items else ""


# --- What more workers are worth ------------------------------------------------------------------

def speed_ups(figures: Sequence[Figure], colour: Dict[str, int]) -> str:
    """One bar for each workload of ours: the most workers against one."""
    found: Dict[int, List[plots.Bar]] = {}
    for workload, group in results.by_workload(figures).items():
        own = {f.workers: f for f in group if f.contender == "ws" and f.is_time and f.median}
        if 1 in own and len(own) > 1:
            top = max(own)
            ratio = own[1].median / own[top].median
            found.setdefault(top, []).append(
                plots.Bar(workload, colour["ws"], ratio, 0, f"{ratio:.2f}"))
    parts = [f"<article><h3>ws, {top} workers <small>times as fast as one, {top} is perfect</small>"
             f"</h3>{plots.bars(f'speed-up of {top} workers', bars)}</article>"
             for top, bars in found.items()]
    note = ("<p>How many times as fast more workers do the same work. Rows of single operations "
            "(a hop, a yield, a lock) have nothing to share: there 1 is good, and less means that "
            "another worker is in the way.</p>")
    return note + f'<div class="wide">{"".join(parts)}</div>' if parts else ""


# --- Latency, granularity, memory -----------------------------------------------------------------

def spectrum(workload: str, group: Sequence[Figure], colour: Dict[str, int],
             histograms: Dict[str, Dict[int, int]]) -> str:
    """Latency over the percentiles, each further nine as wide as the last."""
    top = most_workers(group)
    series = []
    for f in group:
        if f.workers != top or f.name not in histograms:
            continue
        points = [(1 / (1 - p), v / 1000) for p, v, _ in results.curve(histograms[f.name])
                  if p < 1 and v > 0]
        series.append(plots.Series(f"{f.contender} {f.workers}w", colour[f.contender], points))
    labels = [(1, "0"), (2, "50 %"), (10, "90 %"), (100, "99 %"), (1000, "99.9 %"),
              (10000, "99.99 %")]
    last = max((x for s in series for x, _ in s.points), default=1)
    shown = [label for label in labels if label[0] <= max(last, 100)]
    return plots.curves(f"{workload}: latency by percentile", series, "percentile", "latency, us",
                        log_x=True, log_y=True, x_labels=shown)


def latency(figures: Sequence[Figure], colour: Dict[str, int],
            histograms: Dict[str, Dict[int, int]]) -> str:
    keys = ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")
    parts = []
    for workload, group in results.by_workload(figures).items():
        with_latency = [f for f in group if f.middle("p50_ns") is not None]
        if not with_latency:
            continue
        rows = [[escape(f.contender), str(f.workers)] + [
            quantity(v / 1e3) if v is not None else "" for v in map(f.middle, keys)]
            for f in with_latency]
        parts.append(f"<article><h3>{escape(workload)} <small>us</small></h3>"
                     + spectrum(workload, with_latency, colour, histograms)
                     + table(["contender", "workers", *(p for p, _ in results.PERCENTILES)], rows)
                     + "</article>")
    return f'<div class="cards">{"".join(parts)}</div>' if parts else ""


def efficiency_points(figure: Figure) -> List[Tuple[float, float]]:
    """Counters eff_<ns of serial work in a piece>: the share of perfect speed-up."""
    keys = sorted({int(m[1]) for e in figure.entries for k in e
                   for m in [re.fullmatch(r"eff_(\d+)", k)] if m})
    return [(key, 100 * (figure.middle(f"eff_{key}") or 0)) for key in keys]


def granularity(figures: Sequence[Figure], colour: Dict[str, int]) -> str:
    with_points = [(f, efficiency_points(f)) for f in figures]
    with_points = [(f, points) for f, points in with_points if points]
    if not with_points:
        return ""
    top = most_workers(f for f, _ in with_points)
    series = [plots.Series(f"{f.contender} {f.workers}w", colour[f.contender], points,
                           dashed=f.workers != top) for f, points in with_points]
    xs = [x for s in series for x, _ in s.points]
    half = plots.Series("half", 1, [(min(xs), 50), (max(xs), 50)], dashed=True)
    rows = [[escape(f.contender), str(f.workers), quantity(f.median), spread(f)]
            for f, _ in with_points]
    return ("<p>How small a piece of a parallel loop may be. Efficiency is the time of the serial "
            "loop over (workers × time); METG(50 %) is the smallest piece that still reaches half "
            "of it, at the left end of the curve that size or less.</p>"
            "<div class=\"cards\"><article>"
            + plots.curves("efficiency by granularity", series + [half],
                           "serial work in a piece, ns", "efficiency, %", log_x=True,
                           from_zero=True)
            + table(["contender", "workers", "METG(50 %), ns", "±"], rows) + "</article></div>")


def memory(figures: Sequence[Figure], colour: Dict[str, int]) -> str:
    """Peak memory of a process, by contender, of the workloads that most contenders run."""
    groups = results.by_workload(f for f in figures if f.median and f.middle("peak_rss_kb"))
    chosen = sorted(groups, key=lambda w: -len({f.contender for f in groups[w]}))[:6]
    parts = []
    for workload in chosen:
        top = most_workers(groups[workload])
        at_top = [f for f in groups[workload] if f.workers == top]
        bars = [plots.Bar(f.contender, colour[f.contender], f.middle("peak_rss_kb") / 1024, 0,
                          quantity(f.middle("peak_rss_kb") / 1024)) for f in at_top]
        bars.sort(key=lambda b: b.value)
        if bars:
            parts.append(f"<article><h3>{escape(workload)} <small>MiB, {top} worker(s)</small></h3>"
                         f"{plots.bars(workload + ': peak memory', bars)}</article>")
    return ("<p>Peak resident memory of the process, with its program and libraries.</p>"
            f'<div class="cards">{"".join(parts)}</div>' if parts else "")


# --- The page -------------------------------------------------------------------------------------

def warnings(context: Dict[str, Any]) -> str:
    items = "".join(f"<li>{escape(w)}</li>" for w in context.get("warnings", ()))
    return f'<div class="warn"><b>What spoils these figures</b><ul>{items}</ul></div>' \
        if items else ""


def machine_facts(context: Dict[str, Any]) -> str:
    rows = [[escape(k), escape(str(v))] for k, v in sorted(context.items())
            if isinstance(v, (str, int, float, bool)) and k != "load_avg"]
    return table(["fact", "value"], rows, left=2)


def failures(figures: Sequence[Figure], context: Dict[str, Any]) -> str:
    rows = [[escape(name), escape(reason)]
            for name, reason in context.get("absent_contenders", {}).items()]
    rows += [[escape(f.name), f'<span class="failed">{escape(f.error)}</span>'] for f in figures
             if f.error and not results.is_skipped(f)]
    return table(["contender or row", "why"], rows, left=2) if rows else ""


def files(histograms: Dict[str, Dict[int, int]]) -> str:
    links = ["results.json", "results.csv"] + [
        f"latency/{results.file_name(name)}.hgrm" for name in histograms]
    return "<p>" + " · ".join(f'<a href="{escape(f)}">{escape(f)}</a>' for f in links) + "</p>"


def write(path: str, context: Dict[str, Any], recording: runner.Recording) -> None:
    figures = results.figures(recording.entries)
    colour = colours(figures)
    with open(STYLE, encoding="utf-8") as file:
        style = file.read()
    sections = [
        section("summary", "Summary", summary(figures)),
        section("contenders", "Contenders", who_is_who(figures)),
        section("workloads", "Workloads", cards(figures, colour)),
        section("speedup", "Speed-up", speed_ups(figures, colour)),
        section("latency", "Latency", latency(figures, colour, recording.histograms)),
        section("granularity", "Granularity", granularity(figures, colour)),
        section("memory", "Memory", memory(figures, colour)),
        section("absent", "Absent and failed", failures(figures, context)),
        section("machine", "Machine", machine_facts(context)),
        section("files", "Files", files(recording.histograms)),
    ]
    links = " ".join(f'<a href="#{m[1]}">{m[2]}</a>' for s in sections
                     for m in [re.match(r'<section id="(\w+)"><h2>([^<]*)', s)] if m)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Jackdaw benchmarks</title><style>{style}</style></head><body>
<header><h1>Jackdaw benchmarks</h1><p>{escape(str(context.get("date", "")))} ·
{escape(str(context.get("cpu_model", "")))}, {context.get("cpus_allowed", "?")} CPUs ·
<code>{escape(str(context.get("command", "")))}</code></p><nav>{links}</nav></header>
<main>{warnings(context)}{"".join(sections)}</main>
</body></html>
""")
