"""Driving a run: how many samples, in which blocks, kept where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from causal_scrubbing._data import Dataset
from causal_scrubbing._engine import Checkpoint
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._measure import Estimate, Triples
from causal_scrubbing._scrub.progress import Progress
from causal_scrubbing._scrub.work import Work, joined

BLOCK: Final = 1 << 16
"""Samples drawn at once; results do not depend on it."""

FIRST: Final = 1024
"""Samples of the first look with ``samples="auto"``."""

_PIECES: Final = 32
_SMALLEST: Final = 64


def block_size(samples: int, *, kept: bool) -> int:
    """Samples in a block; a function of nothing but the number of samples asked for.

    A run that is kept on disk is cut into about 32 blocks, so that little is lost with the last.
    """
    if not kept:
        return BLOCK
    return min(BLOCK, max(_SMALLEST, -(-samples // (_PIECES * _SMALLEST)) * _SMALLEST))


def drive(
    work: Work, samples: int, block: int, bar: Progress, checkpoint: Checkpoint | None
) -> None:
    """Run a fixed number of samples."""
    _blocks(work, 0, samples, block, bar, checkpoint)


def drive_until(
    work: Work,
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
        _blocks(work, done, target, FIRST, bar, checkpoint)
        done = target
        widths = [_half_width(recovered) for recovered in _recovered(work, seed)]
        widest = max(widths)
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
        target = min(most, -(-int(wanted) // FIRST) * FIRST)


def _blocks(
    work: Work,
    start: int,
    stop: int,
    block: int,
    bar: Progress,
    checkpoint: Checkpoint | None,
) -> None:
    for samples in work.look(start, stop, block, checkpoint):
        bar.advance(samples)


def _recovered(work: Work, seed: int) -> list[Estimate]:
    """Recovered by the first metric, a hypothesis each."""
    found = []
    for values in work.values:
        scrubbed, model = joined(values.scrubbed), joined(values.model)
        randomized = joined(values.randomized)
        name = next(iter(scrubbed))
        if name not in randomized:
            raise ScrubError(
                'samples="auto" stops when the interval of recovered is narrow, but recovered is '
                "undefined here: pass randomize='NODE' or baseline=, or a number of samples."
            )
        if scrubbed[name].ndim > 1:
            raise ScrubError(
                f'samples="auto" needs recovered, which a vector behaviour ({name!r}) has not; '
                "pass a number of samples, or put a metric of one number first."
            )
        triples = Triples(name, scrubbed[name], model[name], randomized[name])
        found.append(triples.estimate(seed=seed).recovered)
    return found


def _half_width(recovered: Estimate) -> float:
    if not recovered.defined:
        return float("inf")
    low, high = recovered.interval
    return (high - low) / 2


# --- on disk -----------------------------------------------------------------------------------


def identity(
    work: Work,
    hypotheses: Sequence[Hypothesis],
    data: Dataset,
    *,
    samples: int | str,
    block: int,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """What must be equal for finished blocks to be taken up again."""
    return {
        "hypotheses": [one.to_dict() for one in hypotheses],
        "data": data.fingerprint,
        "graph": hypotheses[0].graph.fingerprint,
        # Variables hash the classes drawn from, and so the features, whose code has no hash.
        "features": [sorted(sampler.variables.values()) for sampler in work.samplers],
        "metric": list(work.metrics),
        "samples": samples,
        "block": block,
        **settings,
    }


def open_checkpoint(
    folder: Path | None, what: Mapping[str, Any]
) -> AbstractContextManager[Checkpoint | None]:
    """The finished blocks of a run in a folder, or of none where there is no folder.

    Raises:
        ScrubError: the folder holds something else.
    """
    if folder is None:
        return nullcontext()
    parent = folder.parent
    if parent.is_dir() and not folder.exists() and (parent / "run.json").exists():
        raise ScrubError(
            f"{parent} holds a finished run that was not made with out=; give another folder."
        )
    return Checkpoint(folder, what)


def keep_sizes(work: Work, checkpoint: Checkpoint | None) -> None:
    """Take the sizes that the run began with: what is free may have changed since."""
    if checkpoint is None:
        return
    executor = work.executor
    noted = checkpoint.note(
        "sizes",
        {
            "batch_size": executor.batch_size,
            "row_batch": executor.layout.row_batch,
            "table_bytes": executor.layout.table_bytes,
        },
    )
    executor.batch_size = min(noted["batch_size"], executor.batch_size)
    executor.layout = replace(
        executor.layout,
        row_batch=min(noted["row_batch"], executor.layout.row_batch),
        table_bytes=min(noted["table_bytes"], executor.layout.table_bytes),
    )


def folder_name(hypothesis: Hypothesis, number: int) -> str:
    """A folder for one of several results: its number and name."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", hypothesis.name or "unnamed").strip("-.") or "unnamed"
    return f"{number}-{plain}"
