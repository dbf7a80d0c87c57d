#!/usr/bin/env python3
# machine.py - facts about the machine, what it did during a measurement, and what spoils one.
# SPDX-License-Identifier: Apache-2.0
"""Facts, gauges and warnings. Whatever cannot be read is left out, nothing here fails."""
import datetime
import glob
import os
import platform
import re
from typing import Any, Dict, List, NamedTuple, Optional

TICKS = os.sysconf("SC_CLK_TCK")
CPU = "/sys/devices/system/cpu"


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def number(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else 0


# --- What happens around a measurement ------------------------------------------------------------

def cpu_stat_path() -> str:
    """The cpu.stat of our control group, version 2 or 1; "" when there is none."""
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            options = [f"/sys/fs/cgroup{path}", "/sys/fs/cgroup"]
        elif "cpu" in controllers.split(","):
            options = [f"/sys/fs/cgroup/{controllers}{path}", f"/sys/fs/cgroup/cpu{path}"]
        else:
            continue
        for folder in options:
            if os.path.isfile(f"{folder}/cpu.stat"):
                return f"{folder}/cpu.stat"
    return ""


class Gauges(NamedTuple):
    steal_s: float      # the hypervisor ran somebody else
    busy_s: float       # CPU time of the whole machine, this process included
    throttled_s: float  # by the CPU quota of our control group
    heat: int           # times a core was slowed because it was hot

    def since(self, before: "Gauges") -> "Gauges":
        return Gauges(*(now - then for now, then in zip(self, before)))


CPU_STAT = cpu_stat_path()


def gauges() -> Gauges:
    first = read("/proc/stat").split("\n", 1)[0].split()[1:9]
    ticks = [int(x) for x in first] + [0] * (8 - len(first))
    user, nice, system, _, _, irq, softirq, steal = ticks
    throttled = 0.0
    for line in read(CPU_STAT).splitlines() if CPU_STAT else ():
        name, _, value = line.partition(" ")
        if name in ("throttled_usec", "throttled_time"):
            throttled = int(value) / (1e6 if name == "throttled_usec" else 1e9)
    heat = sum(number(read(path)) for path in
               glob.glob(f"{CPU}/cpu*/thermal_throttle/core_throttle_count"))
    return Gauges(steal / TICKS, (user + nice + system + irq + softirq) / TICKS, throttled, heat)


# --- Facts ----------------------------------------------------------------------------------------

def cpu_field(name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.*)$", read("/proc/cpuinfo"), re.M)
    return found[1] if found else ""


def allowed_cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def bracketed(text: str) -> str:
    """The chosen one of "always [madvise] never"."""
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else text


def facts(root: str) -> Dict[str, Any]:
    turbo = read(f"{CPU}/intel_pstate/no_turbo")
    return {name: value for name, value in {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpu_model": cpu_field("model name") or platform.machine(),
        "cpus_online": os.cpu_count(),
        "cpus_allowed": allowed_cpus(),
        "smt": read(f"{CPU}/smt/control"),
        "governor": read(f"{CPU}/cpu0/cpufreq/scaling_governor"),
        "turbo": {"0": "on", "1": "off"}.get(turbo, read(f"{CPU}/cpufreq/boost")),
        "virtual_machine": "hypervisor" in cpu_field("flags"),
        "kernel": f"{platform.system()} {platform.release()}",
        "clock_source": read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "transparent_huge_pages": bracketed(read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "address_randomisation": read("/proc/sys/kernel/randomize_va_space"),
        "memory_kb": number(read("/proc/meminfo")),
        "load_1m": load(),
        "commit": commit(root),
    }.items() if value not in ("", None)}


def load() -> float:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return 0.0


def commit(root: str) -> str:
    """The commit of a checkout, read without git; "" outside of one."""
    place = os.path.join(root, ".git")
    if os.path.isfile(place):  # a linked work tree
        place = os.path.join(root, read(place).partition("gitdir: ")[2])
    head = read(os.path.join(place, "HEAD"))
    if not head.startswith("ref: "):
        return head[:12]
    common = os.path.join(place, read(os.path.join(place, "commondir")) or ".")
    name = head[5:]
    packed = re.search(rf"^(\w+) {re.escape(name)}$", read(os.path.join(common, "packed-refs")),
                       re.M)
    return (read(os.path.join(common, name)) or (packed[1] if packed else ""))[:12]


# --- Warnings -------------------------------------------------------------------------------------

def warnings_before(context: Dict[str, Any]) -> List[str]:
    """What is wrong before anything was measured. context: facts and the programs' own."""
    cpus = context.get("cpus_allowed", 1)
    checks = [
        (context.get("measured_under"),
         f"measured under {context.get('measured_under')}: no figure here is one of Windows"),
        (context.get("load_1m", 0) > 0.5 * cpus,
         f"load average {context.get('load_1m')} on {cpus} CPU(s): something else is running"),
        (context.get("virtual_machine"),
         "virtual machine: neighbours and the hypervisor are part of every figure"),
        (context.get("governor") not in (None, "performance"),
         f"CPU frequency governor is '{context.get('governor')}', not 'performance'"),
        (context.get("build_type") not in (None, "release"),
         f"this is a {context.get('build_type')} build"),
        (context.get("sanitizer") not in (None, "none"),
         f"instrumented by {context.get('sanitizer')}: times mean nothing"),
        (cpus < 2, "one CPU: rows with several workers measure time slicing"),
    ]
    return [text for wrong, text in checks if wrong]


def warnings_after(steal: float, throttled: float, heat: int, others: float,
                   seconds: float) -> List[str]:
    """What went wrong meanwhile; the first four as sums over all measurements."""
    share = max(seconds, 1e-9)
    checks = [
        (steal / share > 0.01, f"the hypervisor took {steal / share:.1%} of the time"),
        (throttled > 0, f"the CPU quota stopped the measured programs for {throttled:.2f} s"),
        (heat > 0, f"the processor slowed down {heat} time(s) because of heat"),
        (others / share > 0.10, f"other processes used {others / share:.0%} of a CPU meanwhile"),
    ]
    return [text for wrong, text in checks if wrong]


def describe(context: Dict[str, Any]) -> Optional[str]:
    """One line for the terminal."""
    return (f"{context.get('cpu_model')}, {context.get('cpus_allowed')} of "
            f"{context.get('cpus_online')} CPUs, {context.get('kernel')}"
            f"{', virtual machine' if context.get('virtual_machine') else ''}")
