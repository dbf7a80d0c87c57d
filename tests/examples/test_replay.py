#!/usr/bin/env python3
# test_replay.py - the planted bug of job_queue is found by seeds, and repeated as they print it.
# SPDX-License-Identifier: Apache-2.0
"""test_replay.py JOB_QUEUE"""
import os
import re
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop(1)
BUG = "the ledger lost an update"
SEEDS_MAX = 1000  # it takes some ten; far more would mean that the seeds explore too little


def run(command, **variables):
    """Runs a shell command with only these JD_ variables."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JD_")}
    return subprocess.run(["sh", "-c", command], env={**clean, **variables}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def failure(output):
    """What was wrong, at which virtual time, after how many steps: equal for equal runs."""
    return re.findall(r"seed \d+, at \d+ ns, \d+ steps: .*\n.*", output)


class ReplayTest(unittest.TestCase):
    def test_found_and_repeated(self):
        found = run(f"'{PROGRAM}' test --bug")
        self.assertNotEqual(found.returncode, 0, "the seeds did not find the planted bug")
        self.assertIn(BUG, found.stderr)
        command = re.search(r"repeat with: (.*)", found.stderr)[1]
        seed = re.search(r"JD_SEED=(\d+)", command)[1]  # the first one was 1
        self.assertLessEqual(int(seed), SEEDS_MAX)
        self.assertIn("JD_ITERATIONS=1", command)

        again = run(command)
        self.assertNotEqual(again.returncode, 0)
        self.assertEqual(len(failure(found.stderr)), 1)
        self.assertEqual(failure(again.stderr), failure(found.stderr))

        # The same seed without the bug is right: it was the bug that was found.
        right = run(f"'{PROGRAM}' test", JD_SEED=seed, JD_ITERATIONS="1")
        self.assertEqual(right.returncode, 0, right.stderr)

    def test_other_first_seed(self):
        found = run(f"'{PROGRAM}' test --bug", JD_SEED="1000000", JD_ITERATIONS=str(SEEDS_MAX))
        self.assertNotEqual(found.returncode, 0)
        self.assertIn(BUG, found.stderr)


if __name__ == "__main__":
    unittest.main()
