"""The paren checker: a small transformer that decides whether parentheses are balanced."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

import causal_scrubbing as cs
from causal_scrubbing.gallery import Entry, Options, Outcome, write_claims

from . import _features as features  # noqa: F401
from . import _model as model
from . import _module as in_torch
from . import _outcome as outcome
from ._experiments import CAPTURED as CAPTURED
from ._experiments import STATEMENTS as STATEMENTS
from ._experiments import captured as captured
from ._experiments import dataset as dataset
from ._experiments import hypotheses as hypotheses
from ._experiments import side_weights as side_weights
from ._graph import build_graph as build_graph
from ._graph import open_direction as open_direction
from ._strings import PAD as PAD
from ._strings import generate as generate
from ._strings import tokenize as tokenize

SAMPLES = 4000
ROWS = 5000
HERE = Path(__file__).parent


def load_weights(folder: Path) -> model.Weights:
    """The weights in a folder's weights.safetensors.

    Raises:
        DataError: there is no such file, or it does not hold this architecture.
    """
    file = folder / "weights.safetensors"
    if not file.is_file():
        raise cs.DataError(f"{file} does not exist; name the folder that holds the weights.")
    weights = load_file(file)
    found = {name: tuple(value.shape) for name, value in weights.items()}
    wrong = [
        f"{name} is {found.get(name, 'missing')}, wanted {shape}"
        for name, shape in model.shapes().items()
        if found.get(name) != shape
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise cs.DataError(f"{file} is not a paren checker: {'; '.join(wrong[:5])}{more}.")
    return weights


def load_strings(file: Path) -> list[str]:
    """The strings of a JSON list of pairs [string, is it balanced], gzipped if it ends in .gz.

    Raises:
        DataError: there is no such file, or it holds something else.
    """
    if not file.is_file():
        raise cs.DataError(f"{file} does not exist; name a JSON file of [string, balanced] pairs.")
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as stream:
        pairs = json.load(stream)
    wrong = [p for p in pairs if not (isinstance(p, list) and p and isinstance(p[0], str))]
    if wrong:
        raise cs.DataError(f"{file} is to hold pairs [string, is it balanced], not {wrong[0]!r}.")
    return [string for string, *_ in pairs]


def make_data(options: Options, weights: model.Weights, rows: int = ROWS) -> cs.Dataset:
    """Generated strings, or a random part of those in a file, with what is said of them."""
    rng = np.random.default_rng(options.seed)
    if options.data is None:
        return dataset(generate(rows, rng), weights)
    strings = load_strings(options.data)
    if len(strings) > rows:
        strings = [strings[i] for i in sorted(rng.choice(len(strings), rows, replace=False))]
    return dataset(strings, weights)


def run(options: Options) -> Outcome:
    """All experiments on the shipped weights and generated strings, or on others."""
    weights = load_weights(options.weights or HERE)
    data = make_data(options, weights)
    experiments = hypotheses(build_graph(weights))
    options.progress("capturing the module")
    module = captured(in_torch.capture(in_torch.module(weights), data[:8]))
    options.progress(f"scrubbing {len(experiments) + 1} hypotheses")
    results = [
        result
        for made in (list(experiments.values()), [module])
        for result in cs.scrub(
            made,
            data,
            metric={
                "loss": cs.metrics.cross_entropy("balanced"),
                "accuracy": cs.metrics.accuracy("balanced"),
            },
            samples=options.samples or SAMPLES,
            seed=options.seed,
        )
    ]
    options.progress("estimating")
    named = dict(zip([*experiments, CAPTURED], results, strict=True))
    return outcome.outcome({name: named[name] for name in STATEMENTS})


def graph(weights: str | None = None) -> cs.Graph:
    """The graph of the shipped weights, or of a folder's, for files that name it."""
    return build_graph(load_weights(HERE if weights is None else Path(weights)))


def write(options: Options, folder: Path) -> list[Path]:
    """The experiments as files, but for the one on the PyTorch module."""
    weights = load_weights(options.weights or HERE)
    own = {} if options.weights is None else {"weights": str(options.weights.resolve())}
    return [
        write_claims(
            folder,
            "parens",
            hypotheses(build_graph(weights)),
            make_data(options, weights),
            options,
            samples=SAMPLES,
            model={"kind": "code", "call": f"{__name__}:graph", "arguments": own},
            metrics={
                "loss": {"kind": "cross_entropy", "label": "balanced"},
                "accuracy": {"kind": "accuracy", "label": "balanced"},
            },
            at_least=50,
        )
    ]


ENTRY = Entry(
    name="parens",
    title="A transformer that checks whether parentheses are balanced",
    summary=(
        "Heads 1.0 and 2.0 are said to check the counts, head 2.1 the horizon; the claims are "
        "then refined down to the positions and directions they read."
    ),
    run=run,
    page="gallery/parens.md",
    takes=frozenset({"weights", "data"}),
    claims=write,
)
