#!/usr/bin/env python3
# check_vocabulary.py - every word of the design is a public call, and a test that runs shows it.
# SPDX-License-Identifier: Apache-2.0
"""check_vocabulary.py [ROOT] - docs/ARCHITECTURE.md, section "The vocabulary", tells the truth.

Why: a table that points to tests rots the day one of them is renamed.

Fails on a row of that table
- that has not three columns, or names no call or no test;
- whose `jd_...` call no header in include/jackdaw/ declares or defines;
- whose `file`: `test` does not exist: the file defines a function of that name, and mentions it
  once more, in the list of what it runs;
and on a document without the section or without rows.
"""
import pathlib
import re
import sys

DOCUMENT = "docs/ARCHITECTURE.md"
HEADING = "## The vocabulary"


def rows(text):
    """The rows of the section's table, as (line number, cells)."""
    inside = False
    for n, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            inside = line == HEADING
        elif inside and line.startswith("|") and not line.startswith(("|---", "| word ")):
            yield n, [cell.strip() for cell in line.strip("|").split("|")]


def check_call(name, headers):
    if not re.search(rf"\b{re.escape(name)}\(", headers):
        yield f"no header declares {name}"


def check_test(root, path, name):
    file = root / path
    if not file.is_file():
        yield f"no such file: {path}"
        return
    text = file.read_text()
    if not re.search(rf"^static \w[\w *]*\b{re.escape(name)}\(", text, re.M):
        yield f"{path} has no function {name}"
    elif len(re.findall(rf"\b{re.escape(name)}\b", text)) < 2:
        yield f"{path} does not run {name}"


def check(root):
    document = root / DOCUMENT
    text = document.read_text() if document.is_file() else ""
    headers = "".join(p.read_text() for p in sorted((root / "include/jackdaw").glob("*.h")))
    found = list(rows(text))
    if not found:
        yield f'{DOCUMENT}: no table under "{HEADING}"'
    for n, cells in found:
        if len(cells) != 3:
            yield f"{DOCUMENT}:{n}: three columns are wanted"
            continue
        calls = re.findall(r"`(jd_\w+)`", cells[1])
        shown = re.match(r"`(tests/[\w/.]+)`: ((?:`\w+` ?)+)$", cells[2])
        if not calls or not shown:
            yield f"{DOCUMENT}:{n}: names no call, or no test"
            continue
        bad = [b for name in calls for b in check_call(name, headers)]
        for name in re.findall(r"\w+", shown[2]):
            bad += check_test(root, shown[1], name)
        for b in bad:
            yield f"{DOCUMENT}:{n}: {b}"


def main(root):
    bad = list(check(root))
    print(*bad, sep="\n", end="\n" if bad else "")
    print(f"check_vocabulary: {len(bad)} violation(s)" if bad else "check_vocabulary: ok")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
