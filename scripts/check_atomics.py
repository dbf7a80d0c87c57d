#!/usr/bin/env python3
# check_atomics.py - every ordered atomic says why, and both ends of every pair exist.
# SPDX-License-Identifier: Apache-2.0
"""check_atomics.py [ROOT] [--list] - every ordered atomic says why, and every pair exists.

Why: an acquire or release means nothing alone; a reader needs the other end. The comment

    /* order: (P1) release - the slot is visible before the new bottom; pairs with (S1). */

names both, labels can be found by grep, and this script keeps them true.

Fails on:
- a non-relaxed order without an 'order:' comment on its line or ending within the 6 lines above;
- more ordered operations below a comment, up to the next one, than it has labels;
- an 'order:' comment without a label, without 'pairs with (X)', with a label used before, with no
  ordered access within the 6 lines below it, or that pairs with a label that exists nowhere;
- an atomic operation without _explicit (it is seq_cst silently), memory_order_consume,
  __atomic/__sync builtins, and fences (ThreadSanitizer cannot see one);
- <stdatomic.h> anywhere but in platform/atomic.h, which a model checker replaces, and in include/;
  tests/conformance and tests/examples, which see include/ only, may use it.
--list prints every label with its place and its reason.
"""
import bisect
import pathlib
import re
import sys

FOLDERS = ("include", "platform", "deque", "timers", "runtime", "bench", "tests")
REACH = 6  # lines between the comment and its access
DOOR = "platform/atomic.h"
STDATOMIC_ALLOWED = (DOOR, "include/", "tests/conformance/", "tests/examples/")
PLAIN = re.compile(r"\batomic_(store|load|exchange|fetch_(?:add|sub|or|and|xor)"
                   r"|compare_exchange_(?:weak|strong)|flag_test_and_set|flag_clear)\s*\(")
BUILTIN = re.compile(r"\b__(atomic|sync)_\w+\s*\(")
FENCE = re.compile(r"\batomic_(thread|signal)_fence\s*\(")
CALL = re.compile(r"\batomic_\w+_explicit\s*\(")
ORDERED = re.compile(r"\bmemory_order_(acquire|release|acq_rel|seq_cst|consume)\b")
STDATOMIC = re.compile(r"^\s*#\s*include\s*<stdatomic\.h>")
TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', re.S)
NAME = re.compile(r"\(([A-Z]+\d+)\)")
ORDER = re.compile(r"\border:\s*(?:\(([A-Z]+\d+)\))?")
PAIRS = re.compile(r"pairs with\s+((?:\([A-Z]+\d+\)(?:\s*,\s*(?:and\s+)?|\s+and\s+)?)+)")


def split(text):
    """The text with comments blanked, and the comments as (first line, last line, text)."""
    starts = [0] + [m.end() for m in re.finditer("\n", text)]
    comments = []

    def blank(m):
        if m[0][0] == '"':
            return m[0]
        first = bisect.bisect_right(starts, m.start())
        comments.append((first, first + m[0].count("\n"), m[0]))
        return re.sub(r"[^\n]", " ", m[0])
    return TOKEN.sub(blank, text).splitlines(), comments


def ordered_calls(lines):
    """The first lines of the atomic operations that have an order, whatever number of lines."""
    code = "\n".join(lines)
    for m in CALL.finditer(code):
        depth, end = 1, m.end()
        while depth and end < len(code):
            depth += (code[end] == "(") - (code[end] == ")")
            end += 1
        if ORDERED.search(code, m.start(), end):
            yield code.count("\n", 0, m.start()) + 1


class Checker:
    def __init__(self):
        self.bad, self.labels, self.pairs = [], {}, []

    def note(self, where, line, text):
        self.bad.append(f"{where}:{line}: {text}")

    def comment(self, where, lines, first, last, text):
        """One comment block: its labels and pairs. Returns how many 'order:' it holds."""
        text = re.sub(r"\n\s*\*?", " ", text).strip("/* ")
        # Without a label only a comment's first word counts: "in this order:" is prose.
        marks = [m for m in ORDER.finditer(text) if m[1] or not m.start()]
        for m, end in zip(marks, [n.start() for n in marks[1:]] + [len(text)]):
            reason = text[m.end():end].strip(" */")
            label = m[1]
            if not label:
                self.note(where, first, "'order:' without a label: write 'order: (X1) ...'")
                continue
            if label in self.labels:
                self.note(where, first, f"label ({label}) already used at {self.labels[label][0]}")
            else:
                self.labels[label] = (f"{where}:{first}", reason)
            others = [x for p in PAIRS.finditer(reason) for x in NAME.findall(p[1])]
            if not others:
                self.note(where, first, f"({label}) does not say what it pairs with")
            self.pairs += [(x, where, first) for x in others]
            if not any(ORDERED.search(x) for x in lines[first - 1:last + REACH]):
                self.note(where, first, f"({label}) has no ordered access {REACH} lines below")
        return len(marks)

    def one_each(self, where, lines, reasons):
        """No comment of (first line, last line, labels) gives a reason for more than it names."""
        calls = [0] * len(reasons)
        for n in ordered_calls(lines):
            above = [i for i, r in enumerate(reasons) if r[0] <= n <= r[1] + REACH]
            if above:
                calls[above[-1]] += 1
                if calls[above[-1]] > reasons[above[-1]][2]:
                    self.note(where, n, "the 'order:' above is that of another access: this one"
                                        " needs its own")

    def file(self, where, text):
        lines, comments = split(text)
        covered, reasons = set(), []
        for first, last, comment in comments:
            labels = self.comment(where, lines, first, last, comment)
            if labels:
                covered.update(range(first, last + REACH + 1))
                reasons.append((first, last, labels))
        if where != DOOR:
            self.one_each(where, lines, reasons)
        for n, line in enumerate(lines, 1):
            if STDATOMIC.match(line) and not where.startswith(STDATOMIC_ALLOWED):
                self.note(where, n, 'include "platform/atomic.h" instead of <stdatomic.h>')
            if where == DOOR:
                continue
            if FENCE.search(line):
                self.note(where, n, "fences are not used here: ThreadSanitizer cannot see them;"
                                    " put the order on operations")
            if PLAIN.search(line):
                self.note(where, n, "use the _explicit form")
            if BUILTIN.search(line):
                self.note(where, n, "use C11 atomics, not compiler builtins")
            m = ORDERED.search(line)
            if m and m[1] == "consume":
                self.note(where, n, "no compiler implements memory_order_consume; use acquire")
            elif m and n not in covered:
                self.note(where, n, "ordered access without an 'order: (X1) ...; pairs with (X2).'")

    def finish(self):
        self.bad += [f"{w}:{n}: pairs with ({x}) but no 'order: ({x})' exists"
                     for x, w, n in self.pairs if x not in self.labels]


def main(root, show=False):
    check = Checker()
    files = sorted(p for d in FOLDERS for p in (root / d).rglob("*") if p.suffix in (".c", ".h"))
    for f in files:
        check.file(f.relative_to(root).as_posix(), f.read_text())
    check.finish()
    if not files:
        check.bad.append(f"{root}: no source files found")
    if show:
        for x in sorted(check.labels, key=lambda s: (s.rstrip("0123456789"), len(s), s)):
            print(f"({x})  {check.labels[x][0]}  {check.labels[x][1]}")
    bad = check.bad
    print("\n".join(bad + [f"check_atomics: {f'{len(bad)} violation(s)' if bad else 'ok'}"
                           f", {len(check.labels)} labels"]))
    return bool(bad)


if __name__ == "__main__":
    args = [a for a in sys.argv[1:] if a != "--list"]
    sys.exit(main(pathlib.Path(args[0] if args else "."), "--list" in sys.argv))
