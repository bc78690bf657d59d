"""Test the published claims on the paren checkers that `train_unshaped_parens.py` kept.

    python scripts/measure_unshaped_parens.py checkers --every 2000

Adds to checkers/rungs.jsonl one line for each model and step that it does not hold yet, and draws
all of them as rungs.png. Which head is which is not known beforehand: the two heads of a layer are
exchanged (an exact symmetry) where that makes the claims fit better. Layers 1 and 2 are chosen by
experiment 1b, layer 0 by 2a, so that every rung is the best of a few assignments of the roles.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor
from train_paren_checker import exchange_heads

import causal_scrubbing as cs
from causal_scrubbing._gallery.parens._experiments import dataset, hypotheses
from causal_scrubbing._gallery.parens._graph import build_graph
from causal_scrubbing._gallery.parens._strings import generate

RUNGS = ("1a", "1b", "2a", "2b", "3b", "4")
MLP = "last MLP resampled"
ROWS, SAMPLES = 1000, 2000


def by_model(file: Path) -> dict[str, dict[str, Tensor]]:
    """The weights of every model in a file of the training."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in load_file(file).items():
        name, weight = key.split("/")
        found.setdefault(name, {})[weight] = value
    return found


def all_but(graph: cs.Graph, left_out: str) -> cs.Hypothesis:
    """Everything the logits read is the reference row's own, except one node."""
    kept = [cs.claim(name, cs.exact) for name in graph.parents("logits") if name != left_out]
    return cs.Hypothesis(graph, cs.claim("logits", cs.exact, *kept), name=MLP)


def scrub(
    weights: Mapping[str, Tensor], strings: list[str], names: Iterable[str]
) -> dict[str, cs.Result]:
    """Some of the experiments on one model, by name."""
    graph, data = build_graph(weights), dataset(strings, dict(weights))
    made = {**hypotheses(graph), MLP: all_but(graph, "m2")}
    results = cs.scrub(
        [made[name] for name in names],
        data,
        metric={
            "loss": cs.metrics.cross_entropy("balanced"),
            "right": cs.metrics.accuracy("balanced"),
        },
        samples=SAMPLES,
        seed=0,
        progress=False,
    )
    return dict(zip(names, results, strict=True))


def best_roles(weights: dict[str, Tensor], strings: list[str]) -> list[int]:
    """The layers whose heads are exchanged, so that 1b and then 2a recover most."""

    def recovered(layers: list[int], rung: str) -> float:
        (result,) = scrub(exchange_heads(weights, layers), strings, [rung]).values()
        return result.recovered.mean if result.recovered.defined else -np.inf

    later: list[list[int]] = [
        [layer for layer, yes in zip((1, 2), chosen, strict=True) if yes]
        for chosen in itertools.product((False, True), repeat=2)
    ]
    best = max(later, key=lambda layers: recovered(layers, "1b"))
    return max(best, [0, *best], key=lambda layers: recovered(layers, "2a"))


def measure(step: int, name: str, weights: dict[str, Tensor], strings: list[str]) -> dict[str, Any]:
    """One line of rungs.jsonl."""
    exchanged = best_roles(weights, strings)
    results = scrub(exchange_heads(weights, exchanged), strings, [*RUNGS, MLP])
    first = results[RUNGS[0]]
    return {
        "step": step,
        "model": name,
        "exchanged": exchanged,
        "loss": float(f"{first.model.mean:.3g}"),
        "right": round(100 * first["right"].model.mean, 2),
        "mlp2_in": round(float(weights["blocks.2.mlp.W_in"].norm()), 3),
        "mlp2_norm_scale": round(float(weights["blocks.2.ln2.w"].norm()), 3),
        "recovered": {n: _in_percent(result.recovered) for n, result in results.items()},
        "scrubbed_right": {
            n: round(100 * result["right"].scrubbed.mean, 1) for n, result in results.items()
        },
    }


def _in_percent(estimate: cs.Estimate) -> float | None:
    return round(estimate.mean, 1) if estimate.defined else None


def draw(lines: list[dict[str, Any]]) -> Figure:
    """Every rung of every model through training, and the size of the last MLP."""
    names = sorted({line["model"] for line in lines})
    panels = [*RUNGS, MLP, "last MLP, norm of W_in"]
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    grid = figure.subplots(2, 4, sharex=True)
    for axes, panel in zip(grid.flat, panels, strict=True):
        for name in names:
            own = sorted((x for x in lines if x["model"] == name), key=lambda x: x["step"])
            height = [x["recovered"].get(panel, x["mlp2_in"]) for x in own]
            axes.plot([x["step"] for x in own], height, ".-", linewidth=1, label=name)
        axes.set_title(panel, loc="left", fontsize=9, fontweight="bold")
        if panel in (*RUNGS, MLP):
            axes.axhline(100, color="#4a5568", linewidth=0.8, linestyle=":")
            axes.set_ylim(-20, 105)
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    grid[0, 0].set_ylabel("recovered, %", fontsize=8)
    grid[1, 0].set_ylabel("recovered, %", fontsize=8)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def main() -> None:
    """Measure what is new, then draw everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=2000, help="measure multiples of this step")
    parser.add_argument("--steps", type=int, nargs="*", default=[], help="and these")
    options = parser.parse_args()
    torch.set_num_threads(1)
    strings = generate(ROWS, np.random.default_rng(0))
    log = options.folder / "rungs.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {(line["step"], line["model"]) for line in lines}
    for file in sorted(
        options.folder.glob("step-*.safetensors"), key=lambda f: int(f.stem.split("-")[1])
    ):
        step = int(file.stem.split("-")[1])
        if step % options.every and step not in options.steps:
            continue
        for name, weights in by_model(file).items():
            if (step, name) in done:
                continue
            lines.append(measure(step, name, weights, strings))
            with log.open("a") as out:
                out.write(json.dumps(lines[-1]) + "\n")
            print(json.dumps(lines[-1]), flush=True)
    draw(lines).savefig(options.folder / "rungs.png", dpi=150)


if __name__ == "__main__":
    main()
