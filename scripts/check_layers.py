#!/usr/bin/env python3
# check_layers.py - every file includes only what its layer may see.
# SPDX-License-Identifier: Apache-2.0
"""check_layers.py [ROOT] - a file includes only what its layer may; includes form no cycle.

Why: the layers are what lets one file be read, tested and ported without the rest. A wrong include
is cheap to write and expensive to take back, so it is an error on the first day.

Rules, on every .c .h .cc .hpp file of the layers:
- a layer includes itself and the layers named in LAYERS below, by full path from the root;
- above platform/ only platform.h, compiler.h and atomic.h of platform/ are visible, but for the
  tests in tests/unit and tests/model;
- tests/conformance and tests/examples see include/ only, however indirectly;
- include/, deque/, timers/ and runtime/ use C11 standard headers only, and none about threads, time
  or signals; the rest of the system is behind platform/platform.h;
- OS macros in #if only under platform/;
- the umbrella header <jackdaw/jackdaw.h> is for applications, tests/ and bench/ only, and includes
  every other public header;
- no include cycle, no include of a file that does not exist.
"""
import pathlib
import re
import sys

LAYERS = {  # folder -> folders it may include (itself is always allowed)
    "include": set(),
    "platform": {"include"},
    "deque": {"include", "platform"},
    "timers": {"include", "platform"},
    "runtime": {"include", "platform", "deque", "timers"},
    "bench": {"include", "platform", "deque", "timers"},
    "tests": {"include", "platform", "deque", "timers", "runtime"},
}
CONTRACT = {"platform/platform.h", "platform/compiler.h", "platform/atomic.h"}
UMBRELLA = "include/jackdaw/jackdaw.h"
WHITE_BOX = ("tests/unit/", "tests/model/")  # tests of one file, which may be a private one
# Folders of applications: only include/ and these folders themselves, directly or indirectly.
PUBLIC_ONLY = ("tests/conformance/", "tests/examples/")
PURE = {"include", "deque", "timers", "runtime"}
C11_HEADERS = {
    "assert.h", "complex.h", "ctype.h", "errno.h", "fenv.h", "float.h", "inttypes.h", "iso646.h",
    "limits.h", "locale.h", "math.h", "setjmp.h", "stdalign.h", "stdarg.h", "stdatomic.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "stdnoreturn.h", "string.h",
    "tgmath.h", "wchar.h", "wctype.h"}  # without threads.h, time.h, signal.h
EXTRA_STD = {"include": {"atomic"}}  # the C++ twin of stdatomic.h
OS_MACRO = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\b"
                      r"(_WIN32|_WIN64|__MINGW32__|__linux__|__APPLE__|__FreeBSD__|__unix__"
                      r"|__MACH__|_MSC_VER|__ANDROID__)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', re.S)
SUFFIXES = (".c", ".h", ".cc", ".hpp")


def without_comments(text):
    def blank(m):
        return m[0] if m[0][0] == '"' else re.sub(r"[^\n]", " ", m[0])
    return COMMENT.sub(blank, text)


def check_system_header(rel, layer, name):
    """A <header> that is not ours: is it allowed in this layer?"""
    if layer not in PURE or name in C11_HEADERS or name in EXTRA_STD.get(layer, ()):
        return None
    return f"{layer}/ may include C11 headers only (none of threads, time, signals), got <{name}>"


def check_project_header(rel, layer, target, root):
    """One of our headers: exists, written by full path, visible from this layer?"""
    folder = target.split("/")[0]
    if "/" not in target or folder not in LAYERS:
        yield f'include by full path from the root ("deque/deque.h"), got "{target}"'
        return
    if not (root / target).is_file():
        yield f"no such file: {target}"
    if folder != layer and folder not in LAYERS[layer]:
        yield f"layer {layer}/ may not include {folder}/ ({target})"
    elif (folder == "platform" and layer != "platform" and target not in CONTRACT
          and not rel.startswith(WHITE_BOX)):
        yield f"above platform/ only {', '.join(sorted(CONTRACT))} are visible, got {target}"
    if target == UMBRELLA and layer not in ("tests", "bench"):
        yield "the umbrella header is for applications; include what you use"


def scan(root):
    """All violations that one file alone shows, and the include graph: file -> [(line, file)]."""
    bad, graph = [], {}
    for f in sorted(p for d in LAYERS for p in (root / d).rglob("*") if p.suffix in SUFFIXES):
        rel = f.relative_to(root).as_posix()
        layer = rel.split("/")[0]
        graph[rel] = []
        for n, line in enumerate(without_comments(f.read_text()).splitlines(), 1):
            if layer != "platform" and OS_MACRO.search(line):
                bad.append(f"{rel}:{n}: OS #if outside platform/: {line.strip()}")
            m = INCLUDE.match(line)
            if not m:
                continue
            if m[2] and not m[2].startswith("jackdaw/"):
                what = check_system_header(rel, layer, m[2])
                bad += [f"{rel}:{n}: {what}"] if what else []
                continue
            target = "include/" + m[2] if m[2] else m[1]
            bad += [f"{rel}:{n}: {what}" for what in check_project_header(rel, layer, target, root)]
            graph[rel].append((n, target))
    return bad, graph


def check_public_only(graph):
    """Applications reach include/ and nothing else, even through a helper header."""
    for start in sorted(graph):
        home = next((d for d in PUBLIC_ONLY if start.startswith(d)), None)
        if not home:
            continue
        for n, first in graph[start]:
            seen, unvisited = {first}, [(first, [first])]
            while unvisited:
                v, path = unvisited.pop()
                if not v.startswith(("include/", home)):
                    yield f"{start}:{n}: {home} sees include/ only, got {' -> '.join(path)}"
                    break
                for _, w in graph.get(v, ()):
                    if w not in seen:
                        seen.add(w)
                        unvisited.append((w, path + [w]))


def check_umbrella(graph):
    included = {target for _, target in graph.get(UMBRELLA, ())}
    for header in sorted(graph):
        if header.startswith("include/") and header != UMBRELLA and header not in included:
            yield f"{UMBRELLA}:1: does not include {header}"


def check_cycles(graph):
    state = {}

    def visit(v, path):
        state[v] = 1
        for _, w in graph.get(v, ()):
            if state.get(w) == 1:
                yield "include cycle: " + " -> ".join(path[path.index(w):] + [w])
            elif w not in state:
                yield from visit(w, path + [w])
        state[v] = 2

    for v in sorted(graph):
        if v not in state:
            yield from visit(v, [v])


def main(root):
    bad, graph = scan(root)
    bad += [*check_public_only(graph), *check_umbrella(graph), *check_cycles(graph)]
    if not graph:
        bad.append(f"{root}: no source files found")
    print("\n".join(bad + [f"check_layers: {f'{len(bad)} violation(s)' if bad else 'ok'}"]))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
