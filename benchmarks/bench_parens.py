"""The paren checker: published experiments, a pool on many rows, growth in N, peak memory."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import bench_models
import numpy as np
import torch
from common import Case, Line, compare

from causal_scrubbing._gallery.parens import HERE, load_weights
from causal_scrubbing._gallery.parens import _model as model
from causal_scrubbing._gallery.parens._experiments import dataset, hypotheses
from causal_scrubbing._gallery.parens._graph import build_graph
from causal_scrubbing._gallery.parens._strings import generate
from causal_scrubbing._hypothesis.tree import RANDOMIZED, REFERENCE

QUICK = os.environ.get("BENCH") == "quick"
"""BENCH=quick leaves out the long experiments and repeats."""


def problem(rows: int):
    weights = load_weights(HERE)
    return (
        weights,
        hypotheses(build_graph(weights)),
        dataset(generate(rows, np.random.default_rng(0)), weights),
    )


def user_of_hooks(weights, data, batch: int = 512):
    """Experiment 1b as one writes it with hooks: a cached run for each datum, then the sum.

    This is the work of `run_with_cache` or a `trace` for each of the six row sets, in plain
    PyTorch and without the libraries' own overhead.
    """
    important = {"a1.h0": "logits/a1.h0", "a2.h0": "logits/a2.h0", "a2.h1": "logits/a2.h1"}
    tokens = data["tokens"]

    def run(rows):
        found = []
        with torch.no_grad():
            for start in range(0, len(rows[REFERENCE]), batch):
                part = {key: tokens[r[start : start + batch]] for key, r in rows.items()}
                parts = model.contributions(weights, part["logits/~other"])
                for name, key in important.items():
                    parts[name] = model.contributions(weights, part[key])[name]
                total = torch.stack(list(parts.values())).sum(dim=0)
                found.append(model.read_out(weights, total))
                for key in (REFERENCE, RANDOMIZED):
                    model.logits(weights, part[key])
        return torch.cat(found)

    return run


def run() -> list[Line]:
    weights, experiments, data = problem(4000)
    lines = []
    for name in ("1b", "2b", "4"):
        h = experiments[name]
        for samples in (4000,) if QUICK else (4000, 40_000):
            lines.append(
                compare(
                    f"parens {name} ({len(h.tree.claims)} claims), 4,000 rows",
                    Case(h, data, samples),
                    naive_samples=256,
                    repeat=1 if QUICK else 4 if samples > 4000 else 6,
                    user=user_of_hooks(weights, data) if name == "1b" else None,
                )
            )
    return lines


def run_large() -> list[Line]:
    """Experiment 1b on 100,000 rows."""
    weights, experiments, data = problem(100_000)
    return [
        compare(
            "parens 1b, 100,000 rows",
            Case(experiments["1b"], data, 40_000),
            naive_samples=256,
            repeat=1,
            user=user_of_hooks(weights, data),
        )
    ]


def growth() -> dict[str, list[tuple[int, float]]]:
    """Seconds against N, and against the number of claims, each beyond the clean rows."""
    _, experiments, data = problem(1000)
    by_samples = []
    for samples in (2000, 4000, 8000) if QUICK else (4000, 8000, 16_000, 32_000):
        case = Case(experiments["2b"], data, samples)
        by_samples.append((samples, min(case.run()[0] for _ in range(1 if QUICK else 2))))
    return {"samples": by_samples, "claims": claims_growth()}


def claims_growth() -> list[tuple[int, float]]:
    """Seconds for 1 to 8 claimed MLPs, each with two claims of its own."""
    whole, rows = bench_models.synthetic(rows=200)
    found = []
    for count in (1, 3, 5, 7) if QUICK else (1, 2, 3, 4, 5, 6, 7):
        root = dataclasses.replace(whole.root, children=whole.root.children[:count])
        h = whole.with_(root=root)
        case = Case(h, rows, 1000 if QUICK else 2000)
        found.append((len(h.tree.claims), min(case.run()[0] for _ in range(1 if QUICK else 2))))
    return found


MEMORY = textwrap.dedent(
    """
    import resource, sys
    sys.path.insert(0, {here!r})
    import bench_parens, torch
    import causal_scrubbing as cs
    _, experiments, data = bench_parens.problem(4000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    metric = cs.metrics.cross_entropy("balanced")
    result = cs.scrub(experiments["1b"], data, metric=metric, samples={samples}, memory="1GiB",
                      keep_outputs=False, check=False)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(before * 1024, after * 1024, result.settings["seconds"])
    """
)


def peak_memory(samples: int = 1_000_000) -> tuple[float, float, float]:
    """Bytes resident before a run and at its peak, and its seconds, in a process of its own."""
    script = MEMORY.format(here=str(Path(__file__).parent), samples=samples)
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    before, after, seconds = map(float, done.stdout.split())
    return before, after, seconds
