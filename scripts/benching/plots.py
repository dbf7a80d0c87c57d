#!/usr/bin/env python3
# plots.py - SVG drawings for the report: bars, and curves over linear or logarithmic axes.
# SPDX-License-Identifier: Apache-2.0
"""Text and shapes only, coloured by the classes of the page's style sheet (c0, c1, ...), so that
they follow its light and dark colours. No plotting library is needed and nothing is loaded."""
import html
import math
from typing import List, NamedTuple, Optional, Sequence, Tuple

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 26, 12, 46  # room for the larger letters of a phone, too
COLOURS = 14


class Series(NamedTuple):
    name: str
    colour: int  # the same contender has the same one everywhere
    points: Sequence[Tuple[float, float]]
    dashed: bool = False


class Bar(NamedTuple):
    name: str
    colour: int
    value: float
    spread: float  # half the whisker
    label: str
    faint: bool = False


def escape(text: str) -> str:
    return html.escape(text, quote=True)


def short(value: float) -> str:
    """1200 -> 1.2k"""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def figure(title: str, body: List[str], width: int, height: int) -> str:
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
            f"<title>{escape(title)}</title>{''.join(body)}</svg>")


def bars(title: str, items: Sequence[Bar]) -> str:
    """Horizontal bars from zero, longest name and value outside of the bars."""
    if not items:
        return ""
    name_width = 10 + min(11 * max(len(b.name) for b in items), WIDTH // 3)
    room = WIDTH - name_width - max(130, 12 + 10 * max(len(b.label) for b in items))
    most = max(b.value + b.spread for b in items) or 1.0
    body = []
    for i, bar in enumerate(items):
        y, length = 4 + 22 * i, room * bar.value / most
        body.append(f'<text x="{name_width - 6:.1f}" y="{y + 13}" class="end">'
                    f"{escape(bar.name)}</text>"
                    f'<rect x="{name_width:.1f}" y="{y}" width="{max(length, 1):.1f}" height="17"'
                    f' rx="2" class="f{bar.colour}{" faint" if bar.faint else ""}"/>')
        if bar.spread > 0:
            low = name_width + room * max(0.0, bar.value - bar.spread) / most
            high = name_width + room * (bar.value + bar.spread) / most
            body.append(f'<path d="M{low:.1f} {y + 8.5}H{high:.1f}" class="whisker"/>')
        end = name_width + room * (bar.value + bar.spread) / most
        body.append(f'<text x="{end + 6:.1f}" y="{y + 13}">{escape(bar.label)}</text>')
    return figure(title, body, WIDTH, 8 + 22 * len(items))


class Axis:
    """Maps values to pixels and knows where its ticks are."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool):
        self.log, self.start, self.end = log, start, end
        if log:
            low, high = math.log10(low), math.log10(high)
        if high <= low:
            low, high = low - 0.5, high + 0.5
        self.low, self.high = low, high

    def at(self, value: float) -> float:
        v = math.log10(value) if self.log else value
        return self.start + (self.end - self.start) * (v - self.low) / (self.high - self.low)

    def ticks(self) -> List[float]:
        if self.log:
            whole = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
            if len(whole) >= 3:
                return [10.0 ** e for e in whole]
            every = [m * 10.0 ** e for e in range(math.floor(self.low), math.ceil(self.high) + 1)
                     for m in (1, 2, 5)]
            return [v for v in every if self.low - 1e-9 <= math.log10(v) <= self.high + 1e-9]
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 3))
        step *= next((m for m in (5, 2) if (self.high - self.low) / (m * step) >= 3), 1)
        first = math.ceil(self.low / step - 1e-9)
        return [step * i for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def frame(x: Axis, y: Axis, x_title: str, y_title: str,
          x_labels: Optional[Sequence[Tuple[float, str]]]) -> List[str]:
    body = []
    for v in y.ticks():
        body.append(f'<path d="M{LEFT} {y.at(v):.1f}H{WIDTH - RIGHT}" class="grid"/>'
                    f'<text x="{LEFT - 6}" y="{y.at(v) + 4:.1f}" class="end">{short(v)}</text>')
    for v, label in x_labels if x_labels else [(v, short(v)) for v in x.ticks()]:
        body.append(f'<path d="M{x.at(v):.1f} {TOP}V{HEIGHT - BOTTOM}" class="grid"/>'
                    f'<text x="{x.at(v):.1f}" y="{HEIGHT - BOTTOM + 18}" class="middle">'
                    f"{escape(label)}</text>")
    body.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" class="middle">'
                f"{escape(x_title)}</text>")
    middle = (TOP + HEIGHT - BOTTOM) / 2
    body.append(f'<text x="12" y="{middle}" class="middle" '
                f'transform="rotate(-90 12 {middle})">{escape(y_title)}</text>')
    return body


def curves(title: str, series: Sequence[Series], x_title: str, y_title: str, log_x: bool = False,
           log_y: bool = False, x_labels: Optional[Sequence[Tuple[float, str]]] = None,
           from_zero: bool = False) -> str:
    series = [s for s in series if s.points]
    if not series:
        return ""
    xs = [p[0] for s in series for p in s.points] + [v for v, _ in x_labels or ()]
    ys = [p[1] for s in series for p in s.points]
    x = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT, log_x)
    low = 0.0 if from_zero else min(ys)
    y = Axis(low, max(ys) * (1.0 if log_y else 1.05), HEIGHT - BOTTOM, TOP, log_y)
    body = frame(x, y, x_title, y_title, x_labels)
    for s in series:
        points = [(x.at(a), y.at(b)) for a, b in s.points]
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        body.append(f'<path d="{path}" class="line s{s.colour}{" dashed" if s.dashed else ""}">'
                    f"<title>{escape(s.name)}</title></path>")
        if len(points) <= 12:
            body += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" class="f{s.colour}"/>'
                     for a, b in points]
    return figure(title, body, WIDTH, HEIGHT) + legend(series)


def legend(series: Sequence[Series]) -> str:
    items = (f'<span><svg viewBox="0 0 24 10" class="key"><path d="M1 5H23" '
             f'class="line s{s.colour}{" dashed" if s.dashed else ""}"/></svg>{escape(s.name)}'
             "</span>" for s in series)
    return f'<div class="legend">{"".join(items)}</div>'
