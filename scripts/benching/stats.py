#!/usr/bin/env python3
# stats.py - medians, spread, and whether two samples differ: what the report and compare rest on.
# SPDX-License-Identifier: Apache-2.0
"""Robust statistics of small samples, standard library only."""
import functools
import math
import statistics
from typing import List, Sequence

EXACT_LIMIT = 20  # observations of one sample up to which the U test counts all arrangements


def mad(values: Sequence[float]) -> float:
    """Median absolute deviation: the typical distance from the median, blind to outliers."""
    middle = statistics.median(values)
    return statistics.median(abs(v - middle) for v in values)


def ranks(values: Sequence[float]) -> List[float]:
    """1-based ranks; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for i in range(first, last + 1):
            result[order[i]] = (first + last) / 2 + 1
        first = last + 1
    return result


@functools.lru_cache(maxsize=None)
def arrangements(m: int, n: int, u: int) -> int:
    """In how many orders of m + n distinct values the first sample's U is exactly u."""
    if u < 0 or m < 0 or n < 0:
        return 0
    if m == 0 or n == 0:
        return int(u == 0)
    return arrangements(m - 1, n, u - n) + arrangements(m, n - 1, u)


def u_statistic(a: Sequence[float], b: Sequence[float]) -> float:
    """Pairs (x of a, y of b) with x > y; ties count half."""
    rank_sum = sum(ranks([*a, *b])[:len(a)])
    return rank_sum - len(a) * (len(a) + 1) / 2


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of the Mann-Whitney U test: 1 means nothing speaks for a difference.

    Exact for small samples without ties; else the normal approximation with corrections for
    ties and continuity (Mann and Whitney 1947; Lehmann, Nonparametrics).
    """
    m, n = len(a), len(b)
    if not m or not n:
        return 1.0
    u = u_statistic(a, b)
    small = min(u, m * n - u)
    both = [*a, *b]
    counts = [both.count(v) for v in set(both)]
    if max(counts) == 1 and max(m, n) <= EXACT_LIMIT:
        below = sum(arrangements(m, n, k) for k in range(int(small) + 1))
        return min(1.0, 2 * below / math.comb(m + n, m))
    total = m + n
    ties = sum(c ** 3 - c for c in counts)
    variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = (m * n / 2 - small - 0.5) / math.sqrt(variance)
    return min(1.0, math.erfc(max(z, 0.0) / math.sqrt(2)))


def shift_ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """How many times larger b is than a: the Hodges-Lehmann estimate on the log scale."""
    tiny = 1e-12  # some rows are zero on a good day: idle CPU time
    return math.exp(statistics.median(math.log(max(y, tiny)) - math.log(max(x, tiny))
                                      for x in a for y in b))


def cliffs_delta(a: Sequence[float], b: Sequence[float]) -> float:
    """Effect size: P(y > x) - P(y < x); 1 when all of b are above all of a, -1 below."""
    return 1 - 2 * u_statistic(a, b) / (len(a) * len(b))


def holm(ps: Sequence[float]) -> List[float]:
    """The p values, adjusted so that many tests together are wrong as rarely as one (Holm 1979)."""
    adjusted = [0.0] * len(ps)
    worst = 0.0
    for done, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        worst = max(worst, min(1.0, ps[i] * (len(ps) - done)))
        adjusted[i] = worst
    return adjusted


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))
