"""Draw a million rows that agree on a feature of a thousand classes, against one argsort of them.

The draw must cost at most three argsorts of the class ids. Run: python benchmarks/sampling.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

import causal_scrubbing as cs
from causal_scrubbing._sampling import Sampler

ROWS = SAMPLES = 1_000_000
CLASSES = 1_000
LIMIT = 3.0
REPEATS = 5


def fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs."""
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


def measure() -> tuple[float, float, float]:
    """Seconds of one argsort, of a draw with classes at hand, and with classes made anew."""
    ids = np.random.default_rng(0).integers(0, CLASSES, ROWS)
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (lambda x: x + 1, ["x"])}, output="y")
    h = cs.Hypothesis(graph, cs.claim("y", "feature"))

    def sample() -> None:
        data = cs.Dataset(x=np.zeros(ROWS), feature=ids)  # nothing is left from the run before
        Sampler(h, data, seed=0).draw(0, SAMPLES)

    argsort = fastest(lambda: np.argsort(ids, kind="stable"))
    whole = fastest(sample)
    data = cs.Dataset(x=np.zeros(ROWS), feature=ids)
    sampler = Sampler(h, data, seed=0)
    sampler.draw(0, 1)
    return argsort, fastest(lambda: sampler.draw(0, SAMPLES)), whole


def main() -> int:
    """Print the times and their ratio; 1 if the ratio is above the limit."""
    argsort, draw, whole = measure()
    print(f"one argsort of {ROWS:,} class ids          {argsort:.3f} s")
    print(f"{SAMPLES:,} samples, classes at hand   {draw:.3f} s  {draw / argsort:.2f} argsorts")
    print(f"the same, classes made anew          {whole:.3f} s  {whole / argsort:.2f} argsorts")
    print(f"limit on the draw: {LIMIT} argsorts")
    return int(draw / argsort > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
