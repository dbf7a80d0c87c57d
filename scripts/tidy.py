#!/usr/bin/env python3
# tidy.py - the style rules a machine can hold: sizes, first lines, banned calls, orphans.
# SPDX-License-Identifier: Apache-2.0
"""tidy.py [ROOT] - columns, function and file length, first lines, banned calls, orphans.

Why: small functions stay small only when growing them costs a red test.

Fails on:
- a line over 100 columns (tabs are 8), trailing space, a missing or doubled last newline, CR;
- C indented with spaces where a tab fits;
- a file over 700 lines; a function over 70; more than 5 % of all functions over 45 lines;
- a C file whose first line is not '/* <name> - what it is for.', a script or CMake list without
  '# <name> - what it is for' in its first 3 lines, any of them without SPDX in its first 8 lines;
- a header without an include guard;
- banned words in code: each rule below names what to use instead. There is no exemption mark;
- a .c file that no CMakeLists.txt of its folder or above names, a private header nobody includes.
Needs universal-ctags for the function lengths.
"""
import pathlib
import re
import subprocess
import sys

WIDTH, FUNCTION, MOST_FUNCTIONS, MOST_PERCENT, FILE = 100, 70, 45, 95, 700
C_FOLDERS = ("include", "platform", "deque", "timers", "runtime", "bench", "tests")
C_SUFFIXES = (".c", ".h", ".cc", ".hpp")
LICENCE = "SPDX-License-Identifier: Apache-2.0"
BANNED_CODE = [
    (r"\b(v?sprintf|strcpy|strcat|stpcpy|gets)\s*\(", "the bounded variant"),
    (r"\bstrncpy\s*\(", "snprintf or memcpy: strncpy may leave no terminator"),
    (r"\bvolatile\b", "_Atomic"),
    (r"(?<![\w.>])assert\s*\(", "JD_ASSERT"),
    (r"(?<![\w.>])(usleep|sleep|nanosleep|clock_nanosleep|thrd_sleep)\s*\(",
     "a wait on a condition, or virtual time"),
    (r"\bsleep_for\s*\(", "a wait on a condition, or virtual time"),
    (r"\bthrd_create\s*\(", "jd_thread_start or pthread_create: sanitizers do not see C11 threads"),
    (r"\b(atoi|atol|atoll)\s*\(", "strtoull with its checks"),
    (r"(?<![\w.>])s?rand\s*\(", "a seeded generator of our own"),
    (r"^\s*#\s*if\s+0\b", "version control: delete the code"),
]
BANNED_TEXT = [(r"\b(TODO|FIXME|XXX|HACK)\b", "an issue: the tree holds no reminders")]
CTAGS = ["ctags", "--languages=C,C++", "--langmap=C:.c.h,C++:.cc.hpp", "--kinds-C=f",
         "--kinds-C++=f", "--fields=+ne", "--sort=no", "-o", "-"]
TOKEN = re.compile(r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')|/\*.*?\*/|//[^\n]*""", re.S)


def code_only(text):
    """Comments and the insides of strings blanked; line numbers and #include names kept."""
    def blank(m):
        if m[1] and text[text.rfind("\n", 0, m.start()) + 1:m.start()].lstrip().startswith("#"):
            return m[0]
        return re.sub(r"[^\n\"']", " ", m[0]) if m[1] else re.sub(r"[^\n]", " ", m[0])
    return TOKEN.sub(blank, text)


def check_text(name, text, lines):
    """What every text file of ours obeys."""
    for n, raw in enumerate(lines, 1):
        if len(raw.expandtabs(8)) > WIDTH:
            yield f"{name}:{n}: longer than {WIDTH} columns"
        if raw != raw.rstrip():
            yield f"{name}:{n}: trailing space"
        if name.name != "tidy.py":
            for rx, instead in BANNED_TEXT:
                m = re.search(rx, raw)
                if m:
                    yield f"{name}:{n}: {m[0]!r} is banned, use {instead}"
    if "\r" in text:
        yield f"{name}:1: carriage returns"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield f"{name}:{len(lines)}: must end with exactly one newline"
    if len(lines) > FILE:
        yield f"{name}:{len(lines)}: file longer than {FILE} lines"
    if not any(LICENCE in x for x in lines[:8]):
        yield f"{name}:1: no '{LICENCE}' in the first 8 lines"


def check_c(name, text, lines):
    opening = "//" if name.suffix == ".cc" else "/*"
    if not lines or not lines[0].startswith((f"/* {name.name} - ", f"{opening} {name.name} - ")):
        yield f'{name}:1: the first line must be "/* {name.name} - what it is for. */"'
    for n, (raw, code) in enumerate(zip(lines, code_only(text).splitlines()), 1):
        if code.strip() and re.match(r"\t* *( {8}| \t)", raw):
            yield f"{name}:{n}: indent with tabs"
        for rx, instead in BANNED_CODE:
            m = re.search(rx, code)
            if m:
                yield f"{name}:{n}: {m[0].strip()!r} is banned, use {instead}"
    if name.suffix in (".h", ".hpp"):
        guard = re.search(r"^#ifndef (\w+)\n#define (\w+)$", code_only(text), re.M)
        if not guard or guard[1] != guard[2]:
            yield f"{name}:1: no include guard"


def check_script(name, lines):
    if not any(re.match(rf"(#|//|rem) {re.escape(name.name)} - \S", x) for x in lines[:3]):
        yield f'{name}:1: one of the first 3 lines must be "# {name.name} - what it is for."'


def check_functions(root, files):
    if not files:
        return
    tags = subprocess.run([*CTAGS, *[str(root / f) for f in files]],
                          capture_output=True, text=True, check=True).stdout
    total, long = 0, []
    for t in tags.splitlines():
        first, last = re.search(r"\tline:(\d+)", t), re.search(r"\tend:(\d+)", t)
        if not first or not last:
            continue
        total += 1
        size = int(last[1]) - int(first[1]) + 1
        name, path = t.split("\t")[:2]
        where = f"{pathlib.Path(path).relative_to(root)}:{first[1]}"
        if size > FUNCTION:
            yield f"{where}: {name}() is {size} lines, limit {FUNCTION}"
        if size > MOST_FUNCTIONS:
            long.append((size, f"{where} {name}() {size}"))
    if len(long) * 100 > total * (100 - MOST_PERCENT):
        shown = "; ".join(x for _, x in sorted(long, reverse=True)[:8])
        yield (f"{len(long)} of {total} functions are over {MOST_FUNCTIONS} lines, "
               f"at most {100 - MOST_PERCENT} % may be: {shown}")


def check_orphans(root, files):
    """Files that nothing builds or includes rot unseen."""
    included = set()
    for f in files:
        for m in re.finditer(r'^\s*#\s*include\s*"([^"]+)"', (root / f).read_text(), re.M):
            included.add(m[1])
    for f in files:
        if f.suffix == ".h" and f.parts[0] != "include" and f.as_posix() not in included:
            yield f"{f}:1: no file includes this header"
        if f.suffix in (".c", ".cc"):
            lists = [root / p / "CMakeLists.txt" for p in f.parents]
            text = "".join(p.read_text() for p in lists if p.is_file())
            if not re.search(rf"(?<![\w-]){re.escape(f.name)}(?![\w.])", text):
                yield f"{f}:1: no CMakeLists.txt of its folder or above names it"


def is_script(p):
    if p.suffix in (".py", ".sh", ".cmake") or p.name == "CMakeLists.txt":
        return True
    if p.suffix or not p.is_file():
        return False
    with p.open("rb") as f:
        return f.read(2) == b"#!"


def ours(root):
    """The C files and the script files, relative to root, sorted."""
    c = sorted(p.relative_to(root) for d in C_FOLDERS for p in (root / d).rglob("*")
               if p.suffix in C_SUFFIXES)
    scripts = sorted(p.relative_to(root) for d in (*C_FOLDERS, "scripts", ".ci")
                     for p in (root / d).rglob("*")
                     if "__pycache__" not in p.parts and is_script(p))
    if (root / "CMakeLists.txt").is_file():
        scripts.insert(0, pathlib.Path("CMakeLists.txt"))
    return c, scripts


def main(root):
    bad = []
    c, scripts = ours(root)
    for f in c + scripts:
        text = (root / f).read_bytes().decode()
        lines = text.replace("\r\n", "\n").splitlines()
        bad += check_text(f, text, lines)
        bad += check_c(f, text, lines) if f in c else check_script(f, lines)
    bad += check_functions(root, c)
    bad += check_orphans(root, c)
    if not c:
        bad.append(f"{root}: no source files found")
    print("\n".join(bad + [f"tidy: {f'{len(bad)} problem(s)' if bad else 'ok'}, {len(c)} C files,"
                           f" {len(scripts)} scripts"]))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
