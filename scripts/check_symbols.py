#!/usr/bin/env python3
# check_symbols.py - the layers and the public interface hold at link level too.
# SPDX-License-Identifier: Apache-2.0
"""check_symbols.py ROOT BUILD [LIB.so] - link-level layering; the public interface exported.

Why: a hand-written declaration gets around any include check, and an export that no header declares
is an interface by accident.

Objects lie in BUILD/<layer>/. Fails when
- an object uses a symbol defined in a layer it may not see; a scheduler over a system's own thread
  pool, platform/**/*_scheduler.c, may use what is public, as a stranger's would;
- an external symbol lacks the jd_ prefix;
- deque/ or timers/ use anything of the C library beyond PURE_MAY_USE (no OS, no thread, no clock);
- LIB.so exports something no public header marks JD_API, or does not export what one marks so;
- LIB.so needs jemalloc (it replaces malloc for the whole process: executables choose that) or calls
  __tls_get_addr (TLS must be initial-exec: 3 ns instead of 5).
"""
import pathlib
import re
import subprocess
import sys

MAY = {"platform": set(), "deque": {"platform"}, "timers": {"platform"},
       "runtime": {"platform", "deque", "timers"}}
PURE = ("deque", "timers")
PURE_MAY_USE = {"memcpy", "memmove", "memset", "memcmp", "fprintf", "vfprintf", "fputs", "fputc",
                "fwrite", "snprintf", "__fprintf_chk", "__vfprintf_chk", "__snprintf_chk",
                "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
BACKEND = re.compile(r"^platform/.*_scheduler(?:\.c)?\.o$")
DEFINED = set("TDBRVWCSG")  # nm: external definitions (u: unique, also C and small-data kinds)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def nm(*args):
    """[(kind, name)] of external symbols; versions after '@' cut off."""
    out = subprocess.run(["nm", "-g", *map(str, args)], capture_output=True, text=True, check=True)
    rows = [line.split() for line in out.stdout.splitlines()]
    return [(r[-2], r[-1].split("@")[0]) for r in rows if len(r) >= 2 and len(r[-2]) == 1]


def check_objects(build, api):
    defined, used, count = {}, [], 0
    for layer in MAY:
        for o in sorted((build / layer).rglob("*.o")):
            count += 1
            name_of_o = o.relative_to(build)
            for kind, name in nm(o):
                if kind in DEFINED:
                    defined[name] = layer
                    if not name.startswith("jd_"):
                        yield f"{name_of_o}: external symbol without jd_: {name}"
                elif kind in "Uw":
                    used.append((layer, name_of_o, name))
    for layer, o, name in used:
        owner = defined.get(name)
        if BACKEND.match(o.as_posix()) and name in api:
            continue
        if owner and owner != layer and owner not in MAY[layer]:
            yield f"{o}: {layer}/ uses {name} of {owner}/"
        elif (not owner and layer in PURE and not name.startswith("jd_")
              and name not in PURE_MAY_USE):
            yield f"{o}: {layer}/ uses {name}: no OS, no thread, no clock, no allocation there"
    if not count:
        yield f"{build}: no objects found"


def declared_api(root):
    """Names of the functions and objects that public headers mark JD_API."""
    names = set()
    for h in sorted((root / "include").rglob("*.h")):
        text = COMMENT.sub(" ", h.read_text())
        for m in re.finditer(r"^\s*JD_API\b([^;{]*)", text, re.M):
            function = re.search(r"\b(jd_\w+)\s*\(", m[1])
            data = re.search(r"\b(jd_\w+)\s*(?:\[[^\]]*\]\s*)?$", m[1].strip())
            found = function or data
            if found:
                names.add(found[1])
    return names


def check_library(api, lib):
    exported = {n for k, n in nm("-D", "--defined-only", lib) if k in DEFINED}
    for n in sorted(exported - api):
        yield f"exported but not marked JD_API in include/: {n}"
    for n in sorted(api - exported):
        yield f"JD_API but not exported: {n}"
    if "__tls_get_addr" in {n for _, n in nm("-D", "--undefined-only", lib)}:
        yield f"{lib.name} calls __tls_get_addr: TLS is not initial-exec"
    dynamic = subprocess.run(["readelf", "-dW", str(lib)], capture_output=True, text=True,
                             check=True)
    for line in dynamic.stdout.splitlines():
        if "(NEEDED)" in line and "jemalloc" in line:
            yield f"{lib.name} needs jemalloc: only executables may link it"


def main(root, build, lib=None):
    api = declared_api(root)
    bad = list(check_objects(build, api))
    if lib:
        bad += check_library(api, lib)
    print("\n".join(bad + [f"check_symbols: {f'{len(bad)} violation(s)' if bad else 'ok'}"]))
    return bool(bad)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: check_symbols.py ROOT BUILD [LIB.so]")
    sys.exit(main(*map(pathlib.Path, sys.argv[1:])))
