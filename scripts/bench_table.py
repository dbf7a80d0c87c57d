#!/usr/bin/env python3
# bench_table.py - runs the benchmark programs, keeps their JSON, prints a table.
# SPDX-License-Identifier: Apache-2.0
"""bench_table.py PROGRAM... [--filter REGEX] [--json FILE] [--list] [--repetitions N]

Rows are named WORKLOAD/CONTENDER/WORKERS. Progress goes to standard error while the programs run;
the table, one line a workload and contender, to standard output. FILE gets Google Benchmark's JSON,
of all programs together. Exit status: 0; 1 when a row failed; 2 when nothing matched.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n", 1)[0])
    parser.add_argument("programs", nargs="+", metavar="PROGRAM")
    parser.add_argument("--filter", default="", metavar="REGEX",
                        help="rows whose name contains a match; '-REGEX': the others")
    parser.add_argument("--json", metavar="FILE", help="write Google Benchmark's JSON there")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    parser.add_argument("--repetitions", type=int, metavar="N", help="measure each row N times")
    return parser.parse_args()


def names(program, wanted):
    """The rows of a program that the filter wants; None: the filter is no regular expression."""
    got = subprocess.run([program, "--benchmark_list_tests", f"--benchmark_filter={wanted}"],
                         stdout=subprocess.PIPE, text=True, check=False)
    return got.stdout.split() if got.returncode == 0 else None


def run(program, options):
    """Runs a program. Its JSON and its exit status."""
    handle, path = tempfile.mkstemp(suffix=".json")
    os.close(handle)
    try:
        command = [program, f"--benchmark_filter={options.filter}", f"--benchmark_out={path}"]
        if options.repetitions:
            command.append(f"--benchmark_repetitions={options.repetitions}")
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        with open(path, encoding="utf-8") as file:
            return json.load(file), status
    except ValueError:  # it ended before it had written all
        return {"context": {}, "benchmarks": []}, status or 1
    finally:
        os.unlink(path)


def best_rows(benchmarks):
    """{(workload, contender): {workers: row}}: of several repetitions the median."""
    table = {}
    for row in benchmarks:
        if row.get("aggregate_name", "median") != "median":
            continue
        parts = row.get("run_name", row["name"]).rsplit("/", 2)
        if len(parts) != 3 or not parts[2].isdigit():
            parts = [row["name"], "-", "1"]
        rows = table.setdefault((parts[0], parts[1]), {})
        old = rows.get(int(parts[2]))
        if not (old and old.get("error_occurred")):
            rows[int(parts[2])] = row
    return table


def duration(row):
    unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[row["time_unit"]]
    return row["real_time"] * unit


def show(value, form):
    return "" if value is None else form.format(value)


def verdict(rows):
    errors = [row["error_message"] for row in rows.values() if row.get("error_occurred")]
    if not errors:
        return "right"
    return errors[0] if errors[0].startswith("skipped: ") else "WRONG: " + errors[0]


def table_lines(table, workers):
    """The cells of the table: its head, then one list a line."""
    head = ["workload", "contender"] + [f"{w}w ms" for w in workers]
    head += [f"{w}w ns/op" for w in workers]
    head += [f"{w}w speed-up" for w in workers[1:]]
    head += [f"{w}w vs serial" for w in workers] + ["answer"]
    yield head
    for (workload, contender), rows in table.items():
        good = {w: r for w, r in rows.items() if not r.get("error_occurred")}
        time = {w: duration(r) for w, r in good.items()}
        serial = table.get((workload, "serial"), {}).get(1)
        if contender == "serial" or not serial or serial.get("error_occurred"):
            serial = None
        base = time.get(workers[0])
        line = [workload, contender]
        line += [show(time.get(w) and time[w] * 1e3, "{:.1f}") for w in workers]
        line += [show(good.get(w, {}).get("ns_per_op"), "{:.1f}") for w in workers]
        line += [show(base and time.get(w) and base / time[w], "{:.2f}x") for w in workers[1:]]
        line += [show(serial and time.get(w) and duration(serial) / time[w], "{:.2f}x")
                 for w in workers]
        yield line + [verdict(rows)]


def latency_lines(table, workers):
    yield ["latency (us)", "contender", "workers", "p50", "p90", "p99", "max"]
    for (workload, contender), rows in table.items():
        for w in workers:
            row = rows.get(w, {})
            if "p50_ns" in row:
                yield [workload, contender, str(w)] + [
                    f"{row[key] / 1e3:.1f}" for key in ("p50_ns", "p90_ns", "p99_ns", "max_ns")]


def print_lines(lines):
    lines = list(lines)
    if len(lines) == 1:
        return
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    last = len(widths) - 1
    print()
    for line in lines:
        cells = [cell.ljust(width) if i < 2 or i == last else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())


def main():
    options = arguments()
    chosen = []
    for program in options.programs:
        rows = names(program, options.filter)
        if rows is None:
            return 2
        if rows and options.list:
            print("\n".join(rows))
        if rows:
            chosen.append(program)
    if not chosen:
        print(f"no row matches '{options.filter}'", file=sys.stderr)
        return 2
    if options.list:
        return 0

    merged, failed = None, False
    for program in chosen:
        result, status = run(program, options)
        failed = failed or status != 0
        if merged:
            merged["benchmarks"] += result["benchmarks"]
        else:
            merged = result
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(merged, file, indent=2)
            file.write("\n")
    table = best_rows(merged["benchmarks"])
    workers = sorted({w for rows in table.values() for w in rows}) or [1]
    print_lines(table_lines(table, workers))
    print_lines(latency_lines(table, workers))
    if failed:
        print("\nFAILED: at least one row, see above")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
