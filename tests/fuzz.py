"""Looks for new examples: runs every property test in rounds, each with a seed of its own, until the minutes are over.

    python tests/fuzz.py --minutes 10

Ends with 1 at the first round that fails; the failure prints how to draw the same example again.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time


def main() -> int:
    """Run rounds until the time is over or one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long; a round that has begun is ended then")
    parser.add_argument("tests", nargs="*", default=["tests"], help="files or folders; all of tests/ if none is named")
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    rounds = 0
    print(f"looking for new examples for {asked.minutes:g} minutes")
    while (left := end - time.monotonic()) > 0:
        seed = random.SystemRandom().randrange(2**32)
        words = ["-m", "hypothesis", "-q", "-x", "--no-header", "--hypothesis-profile=fuzz", f"--hypothesis-seed={seed}"]
        try:
            done = subprocess.run([sys.executable, "-m", "pytest", *words, *asked.tests], timeout=left)
        except subprocess.TimeoutExpired:
            break
        if done.returncode:
            print(f"found something in round {rounds + 1}, with --hypothesis-profile=fuzz --hypothesis-seed={seed}")
            return 1
        rounds += 1
    print(f"found nothing in {rounds} whole rounds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
