"""Driving a run: how many samples, in which blocks, kept where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from causal_scrubbing._data import Dataset
from causal_scrubbing._engine import LAYOUT, Checkpoint, note_layout, take_layout
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import AbstractStore
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._simulate.block_ranges import FIRST, auto_spans, block_size, spans
from causal_scrubbing._simulate.fingerprint import PROBE, check_probe, probe
from causal_scrubbing._simulate.progress import Progress
from causal_scrubbing._simulate.simulation import Simulation
from causal_scrubbing._statistics import Estimate, Triples

_NEAR: Final = 1.5
"""How near to the tolerance, as a factor, a half-width must be for a look to bootstrap."""


def drive(
    work: Simulation, samples: int, bar: Progress, checkpoint: Checkpoint | None, start: int = 0
) -> None:
    """Run a fixed number of samples."""
    block = block_size(samples, kept=checkpoint is not None or work.workers is not None)
    _blocks(work, spans(samples, block, start), bar, checkpoint)


def drive_until(
    work: Simulation,
    tolerance: float,
    most: int,
    seed: int,
    bar: Progress,
    checkpoint: Checkpoint | None,
) -> tuple[int, str]:
    """Run until every hypothesis's interval of recovered is narrow enough.

    The number of samples is looked at a few times only, each look at least a quarter more samples
    than the last: stopping at the first narrow interval of many looks would favour intervals that
    are narrow by chance.

    Args:
        work: the work.
        tolerance: half-width of the 95% interval of recovered, in percentage points.
        most: samples at which to stop in any case.
        seed: of the bootstrap.
        bar: progress.
        checkpoint: where finished blocks are kept, or None.

    Returns:
        How many samples were run, and why they were enough.

    Raises:
        ScrubError: recovered is undefined for want of a baseline.
    """
    done, target = 0, min(FIRST, most)
    while True:
        _blocks(work, auto_spans(done, target), bar, checkpoint)
        done = target
        work.know()
        runs = _triples(work)
        widest = max(one.rough_half_width() for one in runs)
        if widest <= _NEAR * tolerance or done >= most:
            # The interval that a result would have decides; far from it a look need not bootstrap.
            widest = max(_half_width(one.estimate(seed=seed).recovered) for one in runs)
        if widest <= tolerance:
            return done, f"stopped at {done:,} samples: recovered is known to ±{widest:.2g}"
        if done >= most:
            known = "not defined" if widest == float("inf") else f"known to ±{widest:.2g}"
            return done, (
                f"stopped at the most samples allowed, {most:,}: recovered is {known}, not to the "
                f"±{tolerance:g} asked for. Raise max_samples=."
            )
        # Widths fall as one over the root of the number of samples.
        wanted = done * min(4.0, max(1.25, 1.1 * (widest / tolerance) ** 2))
        target = next(high for _, high in auto_spans(done, most) if high >= min(wanted, most))


def _blocks(
    work: Simulation, cuts: Iterable[tuple[int, int]], bar: Progress, checkpoint: Checkpoint | None
) -> None:
    for samples in work.look(list(cuts), checkpoint):
        bar.advance(samples)


def _triples(work: Simulation) -> list[Triples]:
    """What has been measured by the first metric, a hypothesis each."""
    found = []
    for number in range(len(work.roots)):
        values = work.measured(number)
        name = next(iter(values.scrubbed))
        if name not in values.randomized:
            raise ScrubError(
                'samples="auto" stops when the interval of recovered is narrow, but recovered is '
                "undefined here: pass randomize='NODE' or baseline=, or a number of samples."
            )
        of_means = work.of_means.get(name)
        if values.scrubbed[name].ndim > 1 and of_means is None:
            raise ScrubError(
                f'samples="auto" needs recovered, which a vector behaviour ({name!r}) has not; '
                "pass a number of samples, or put a metric of one number first."
            )
        found.append(
            Triples(
                name,
                values.scrubbed[name],
                values.model[name],
                values.randomized[name],
                rows=work.reference(number),
                known=work.known(number).means.get(name),
                pools=work.scramblings(number),
                balanced=work.draw_by == "balanced" and name in work.known(number).means,
                of_means=of_means,
            )
        )
    return found


def _half_width(recovered: Estimate) -> float:
    if not recovered.defined:
        return float("inf")
    low, high = recovered.interval
    return (high - low) / 2


# --- on disk -----------------------------------------------------------------------------------


def identity(
    work: Simulation,
    hypotheses: Sequence[Hypothesis],
    data: Dataset,
    *,
    samples: int | str,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """What must be equal for finished blocks to be taken up again.

    Models and metrics are code, which has no hash: see `probe`.
    """
    return {
        "hypotheses": [one.to_dict() for one in hypotheses],
        "data": data.fingerprint,
        "graph": hypotheses[0].graph.fingerprint,
        # Variables hash the classes drawn from, and so the features, whose code has no hash.
        "features": [sorted(sampler.variables.values()) for sampler in work.samplers],
        "metric": list(work.metrics),
        "samples": samples,
        "device": work.executor.device.type if work.executor.device else "cpu",
        **settings,
    }


def open_checkpoint(
    folder: AbstractStore | None, name: str, what: Mapping[str, Any]
) -> Checkpoint | None:
    """The finished blocks of a run in a folder, or of none where there is no folder.

    Args:
        folder: of the run.
        name: of the folder of blocks in it.
        what: they are, see `identity`.

    Raises:
        ScrubError: the folder holds something else.
    """
    if folder is None:
        return None
    blocks = folder.child(name)
    if folder.has("run.json") and not Checkpoint.begun(blocks):
        raise ScrubError(
            f"{folder} holds a finished run that was not made with out=; give another folder."
        )
    return Checkpoint(blocks, what)


def take_up(work: Simulation, checkpoint: Checkpoint | None) -> None:
    """Go on as the run began: what memory is free may have changed, the model must not have.

    Raises:
        ScrubError: the folder was begun with another model or metric.
    """
    if checkpoint is None:
        return
    # What is chosen for want of an argument depends on how many samples may be run.
    kept = checkpoint.note("outputs", {"kept": work.keep_outputs}, {"kept": bool})
    work.keep_outputs = bool(kept["kept"])
    layout = checkpoint.note("layout", note_layout(work.executor), LAYOUT)
    try:
        take_layout(work.executor, layout)
    except ScrubError as error:
        raise ScrubError(f"{checkpoint.store.path('layout.json')}: {error}") from error
    found = probe(work)
    noted = checkpoint.note("model", found, PROBE)
    check_probe(noted, found, str(checkpoint.store))


def folder_name(hypothesis: Hypothesis, number: int) -> str:
    """A folder for one of several results: its number and name."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", hypothesis.name or "unnamed").strip("-.") or "unnamed"
    return f"{number}-{plain}"
