"""By what factor the squared error of E_scrubbed falls with known means, and with Sobol' draws.

    python benchmarks/sobol.py [repetitions]

Repeats runs of the paren checker's experiments with other seeds and compares the variances of the
estimates with that of the plain mean of as many independent samples.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import causal_scrubbing as cs
from causal_scrubbing._gallery import parens
from causal_scrubbing._gallery.parens import build_graph, generate, hypotheses

EXPERIMENTS = ("1a", "1b", "2a", "2b", "3b", "4")
METRICS = {
    "loss": cs.metrics.cross_entropy("balanced"),
    "accuracy": cs.metrics.accuracy("balanced"),
}
SAMPLES = 1024
ROWS = 2000


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 32
    weights = parens.load_weights(Path(parens.__file__).parent)
    data = parens.dataset(generate(ROWS, np.random.default_rng(0)), weights)
    experiments = hypotheses(build_graph(weights))
    print("| experiment | blocks | metric | known means | sobol | coverage | ordering |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in EXPERIMENTS:
        h = experiments[name]
        plain: dict[str, list[float]] = {metric: [] for metric in METRICS}
        known: dict[str, list[float]] = {metric: [] for metric in METRICS}
        sobol: dict[str, list[tuple[float, float, float]]] = {metric: [] for metric in METRICS}
        ordering, seconds = 0.0, 0.0
        for seed in range(repetitions):
            run = cs.scrub(h, data, METRICS, samples=SAMPLES, seed=seed, check=False, compare=False)
            even = cs.scrub(
                h,
                data,
                METRICS,
                samples=SAMPLES,
                seed=seed,
                check=False,
                compare=False,
                draw="sobol",
            )
            seconds += even.settings["seconds"]
            ordering += even.settings["actual"]["ordering_seconds"]
            for metric in METRICS:
                plain[metric].append(float(run.scrubbed_values[metric].mean()))
                known[metric].append(run[metric].scrubbed.mean)
                found = even[metric].scrubbed
                sobol[metric].append((found.mean, *found.interval))
        for metric in METRICS:
            base = np.var(plain[metric], ddof=1)
            means = np.array([mean for mean, _, _ in sobol[metric]])
            truth = np.mean([*means, *known[metric]])
            inside = np.mean([low <= truth <= high for _, low, high in sobol[metric]])
            print(
                f"| {name} | {len(h.tree.blocks)} | {metric} "
                f"| {base / np.var(known[metric], ddof=1):.1f} | {base / means.var(ddof=1):.1f} "
                f"| {inside:.0%} | {ordering / seconds:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
