"""Whether estimates are unbiased and intervals cover: random problems, known truths.

    python benchmarks/estimates.py [runs] > estimates.md

Prints two tables: z-scores of sampled runs against exact sums on 200 random problems, and the
coverage of 95% intervals on behaviours whose true mean is known.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch

import causal_scrubbing as cs
from causal_scrubbing._statistics import FloatArray, IntArray, KnownMeans, Triples

PROBLEMS = 200
ROWS = 400
SIZES = (100, 1000, 4000)


# --- against exact sums -----------------------------------------------------------------------


def problem(seed: int) -> tuple[cs.Hypothesis, cs.Dataset]:
    """A random graph of two paths with an interaction, and a claim about one of them."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    n = 20 + seed % 50
    weights = torch.rand(n, generator=g, dtype=torch.float64) + 0.1 if seed % 2 else None
    fields = {
        "x": normal(n),
        "z": normal(n),
        "y": normal(n),
        "part": torch.arange(n) % (2 + seed % 4),
    }
    data = cs.Dataset(fields, weights=weights)
    slope, mix = normal(2), normal(3)
    graph = cs.Graph.build(
        inputs=["x", "z"],
        nodes={
            "a": (lambda x: torch.tanh(slope[0] * x), ["x"]),
            "b": (lambda x, z: torch.relu(slope[1] * x + z), ["x", "z"]),
            "out": (lambda a, b: mix[0] * a + mix[1] * b + mix[2] * a * b, ["a", "b"]),
        },
        output="out",
    )
    below = [cs.claim("a", "part")]
    if seed % 3:
        below.append(cs.claim("b", cs.exact))
    return cs.Hypothesis(graph, cs.claim("out", cs.exact, *below)), data


def z_scores(draw: str) -> dict[str, FloatArray]:
    """(sampled - exact) / standard error of each problem, by metric."""
    metrics = {
        "squared error": cs.metrics.squared_error("y"),
        "correlation": cs.metrics.correlation("z"),
    }
    found: dict[str, list[float]] = {name: [] for name in metrics}
    for seed in range(PROBLEMS):
        h, data = problem(seed)
        exact = cs.exact_scrub(h, data, metrics, check=False)
        run = cs.scrub(h, data, metrics, samples=1000, seed=seed, check=False, draw=draw)
        for name, scores in found.items():
            one = run[name].scrubbed
            if one.se > 0:
                scores.append((one.mean - exact[name].scrubbed.mean) / one.se)
    return {name: np.array(scores) for name, scores in found.items()}


# --- coverage ---------------------------------------------------------------------------------


class Law:
    """A behaviour on 400 rows: the model's value, and the scrubbed one given the row."""

    def __init__(
        self,
        model: FloatArray,
        noise: Callable[[np.random.Generator, int], FloatArray],
        mean_noise: float,
        *,
        slope: float = 0.6,
        span: float = 2.0,
        weights: FloatArray | None = None,
        scrubbed: FloatArray | None = None,
    ) -> None:
        self.weights = np.full(ROWS, 1 / ROWS) if weights is None else weights / weights.sum()
        self.model, self.noise = model, noise
        self.scrubbed = slope * model + 0.2 if scrubbed is None else scrubbed
        self.known = KnownMeans(self.weights, model, (model + span)[None])
        self.truth = float(self.weights @ self.scrubbed) + mean_noise
        self.recovered = 100 * (1 - (self.truth - float(self.weights @ model)) / span)

    def sample(self, rows: IntArray, rng: np.random.Generator, *, balanced: bool) -> Triples:
        scrubbed = self.scrubbed[rows] + self.noise(rng, len(rows))
        return Triples(
            "loss", scrubbed, self.model[rows], rows=rows, known=self.known, balanced=balanced
        )


def laws() -> Iterator[tuple[str, Law]]:
    rng = np.random.default_rng(0)
    normal, skewed = rng.normal(size=ROWS), rng.exponential(1.0, ROWS)

    def gauss(sd: float) -> Callable[[np.random.Generator, int], FloatArray]:
        return lambda g, n: g.normal(0, sd, n)

    def rare(share: float) -> Callable[[np.random.Generator, int], FloatArray]:
        return lambda g, n: (g.random(n) < share) * g.normal(0, 1, n)

    yield "light tails, normal", Law(normal, gauss(0.5), 0.0)
    yield "light tails, exponential", Law(skewed, lambda g, n: g.exponential(0.5, n), 0.5)
    yield "tiny denominator (0.05)", Law(normal, gauss(0.5), 0.0, span=0.05)
    yield "near-true, small change", Law(skewed, gauss(0.05), 0.0, scrubbed=skewed)
    yield "near-true, 5% of draws change", Law(skewed, rare(0.05), 0.0, scrubbed=skewed)
    heavy = skewed.copy()
    heavy[7] = skewed.sum()
    broken = np.where(np.arange(ROWS) == 7, 0.4, 1.0) * heavy
    yield "one row holds half the mean", Law(heavy, gauss(0.3), 0.0, scrubbed=broken)
    weights = np.ones(ROWS)
    weights[3] = 150
    yield "one row weighs 150 times", Law(skewed, gauss(0.3), 0.0, weights=weights)


def balanced_rows(n: int, weights: FloatArray, rng: np.random.Generator) -> IntArray:
    sure = np.floor(n * weights + 1e-9).astype(np.int64)
    order = rng.permutation(len(weights))
    ends = np.concatenate([[0.0], np.cumsum((n * weights - sure)[order])])
    sure[order] += np.diff(np.floor(ends - rng.random() + 1e-9)).astype(np.int64)
    return np.repeat(np.arange(len(weights)), sure)


def coverage(law: Law, n: int, runs: int, *, balanced: bool) -> tuple[float, float, float]:
    """Shares of runs whose intervals cover scrubbed and recovered, and of misses with a note."""
    rng = np.random.default_rng(n)
    hits, recovered, missed, told = 0, 0, 0, 0
    for run in range(runs):
        rows = (
            balanced_rows(n, law.weights, rng)
            if balanced
            else rng.choice(ROWS, n, p=law.weights).astype(np.int64)
        )
        found = law.sample(rows, rng, balanced=balanced).estimate(seed=run, resamples=500)
        low, high = found.scrubbed.interval
        hit = low <= law.truth <= high
        hits += hit
        missed += not hit
        told += not hit and bool(found.notes)
        low, high = found.recovered.interval
        recovered += low <= law.recovered <= high
    return hits / runs, recovered / runs, told / missed if missed else 1.0


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print("| draw | metric | problems | mean z | variance of z |")
    print("| --- | --- | --- | --- | --- |")
    for draw in ("independent", "balanced"):
        for name, z in z_scores(draw).items():
            print(
                f"| {draw} | {name} | {len(z)} | {z.mean():+.2f} | {z.var(ddof=1):.2f} |",
                flush=True,
            )
    print("\n| behaviour | draw | N | scrubbed and gap | recovered | misses with a note |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, law in laws():
        for draw, sizes in (("independent", SIZES), ("balanced", (1200, 4000))):
            for n in sizes:
                shares = coverage(law, n, runs, balanced=draw == "balanced")
                text = " | ".join(f"{share:.1%}" for share in shares)
                print(f"| {name} | {draw} | {n:,} | {text} |", flush=True)


if __name__ == "__main__":
    main()
