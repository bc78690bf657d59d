"""What a run measured and how it was made, as typed records."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np
import torch

from causal_scrubbing._data import Ints
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._simulate.self_check import Checked
from causal_scrubbing._simulate.swaps import Swaps
from causal_scrubbing._statistics import FloatArray, KnownMeans


@dataclass(frozen=True, eq=False)
class Measured:
    """Values of some samples of one hypothesis.

    Attributes:
        scrubbed, model, randomized: metric name -> values, [N] or [N, k]. `randomized` is empty
            where E_randomized is undefined.
        moved: kind of comparison -> of each scrubbed output with the model's own, [N].
        moved_randomized: the same for the outputs with another row's value.
    """

    scrubbed: Mapping[str, FloatArray] = field(default_factory=dict)
    model: Mapping[str, FloatArray] = field(default_factory=dict)
    randomized: Mapping[str, FloatArray] = field(default_factory=dict)
    moved: Mapping[str, FloatArray] = field(default_factory=dict)
    moved_randomized: Mapping[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Sequence[Measured]) -> Measured:
        """Values of samples that follow each other as one."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(_joined([getattr(part, kind) for part in parts]) for kind in _KINDS))


_KINDS: Final = tuple(one.name for one in fields(Measured))


def _joined(parts: Sequence[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
    names = parts[0] if parts else {}
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def to_columns(measured: Sequence[Measured]) -> dict[str, FloatArray]:
    """The values of several hypotheses as the columns of one table, as blocks on disk hold them."""
    return {
        f"{number}|{kind}|{name}": values
        for number, one in enumerate(measured)
        for kind in _KINDS
        for name, values in getattr(one, kind).items()
    }


def from_columns(columns: Mapping[str, FloatArray], count: int) -> tuple[Measured, ...]:
    """What `to_columns` made, of so many hypotheses.

    Raises:
        ValueError: the columns are of another table.
    """
    tables: list[dict[str, dict[str, FloatArray]]] = [
        {kind: {} for kind in _KINDS} for _ in range(count)
    ]
    for column, values in columns.items():
        number, kind, name = (*column.split("|", 2), "", "")[:3]
        if not number.isdecimal() or int(number) >= count or kind not in _KINDS:
            raise ValueError(f"it has a column {column!r}")
        tables[int(number)][kind][name] = values
    return tuple(Measured(**table) for table in tables)


@dataclass(frozen=True, eq=False)
class Sampled:
    """What a run found for one hypothesis.

    Attributes:
        hypothesis: the hypothesis, as given.
        measured: the values of its samples.
        draws: draw key -> row of each sample, with "~ref" the reference rows.
        outputs: scrubbed and own output of each sample, where they were kept.
        known: metric name -> what is known of it on every row of the data.
        of_means: metric name -> the function of means it is, for those that are one.
        notes: what a reader should know of these.
        swaps: what the swaps could change; None where checks were left out.
    """

    hypothesis: Hypothesis
    measured: Measured
    draws: Mapping[str, Ints]
    outputs: tuple[torch.Tensor, torch.Tensor] | None
    known: Mapping[str, KnownMeans] = field(default_factory=dict)
    of_means: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    swaps: Swaps | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """How a run was made and what it took.

    Attributes:
        samples: how many there are.
        rows: rows of the dataset.
        seed: of all draws.
        draw: how reference rows were drawn.
        order: of Sobol' draws, what rows were put in order by, and a digest of the orders.
        baseline: the hypothesis that stands in for E_randomized as plain data, or None.
        metric_in_graph: whether the graph's output is the behaviour.
        reads_logits: whether a metric reads the output as logits.
        randomize: the node whose value E_randomized takes on another row, or None.
        batch_size: samples computed at once.
        memory, store, store_dtype: as asked for.
        device: where it was computed.
        seconds: by the clock.
        actual: what each part of the run took.
        versions: of this package, torch, numpy, Python and the platform.
        environment: ambient state of torch: threads, TF32, autocast and the like.
        self_check: what the self-checks looked at; None where they were left out.
        start: number of the first sample.
        parts: of a merged run that is of several seeds or ranges, each: seed, start and stop.
        subset: name of the subset of reference rows the samples are on, or None for all.
    """

    samples: int
    rows: int
    seed: int
    baseline: Mapping[str, Any] | None
    metric_in_graph: bool
    reads_logits: bool
    randomize: str | None
    batch_size: int | None
    memory: Any
    store: str
    store_dtype: str | None
    device: str
    seconds: float
    actual: Mapping[str, Any]
    versions: Mapping[str, str]
    environment: Mapping[str, Any]
    self_check: Checked | None = None
    subset: str | None = None
    draw: str = "independent"
    order: Mapping[str, str] | None = None
    start: int = 0
    parts: tuple[Mapping[str, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, without what is not set."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        found["self_check"] = None if self.self_check is None else self.self_check.to_dict()
        for name, usual in (("subset", None), ("start", 0), ("parts", ())):
            if found[name] == usual:
                del found[name]
        if self.parts:
            found["parts"] = [dict(one) for one in self.parts]
        return found

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> RunRecord:
        """What `to_dict` made.

        Raises:
            TypeError: an entry is missing.
        """
        known = {one.name for one in fields(cls)}
        found = {name: value for name, value in entry.items() if name in known}
        if found.get("self_check") is not None:
            found["self_check"] = Checked(**found["self_check"])
        found["parts"] = tuple(found.get("parts", ()))
        return cls(**found)


def versions() -> dict[str, str]:
    """Versions of what numbers depend on."""
    try:
        own = version("causal-scrubbing")
    except PackageNotFoundError:
        own = "not installed"
    return {
        "causal-scrubbing": own,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
    }


@dataclass
class Gathered:
    """What is gathered for one hypothesis, block after block.

    Attributes:
        measured: values, a block each.
        draws: draw key -> rows, a block each.
        outputs: scrubbed and model's own outputs, a block each, where they are kept.
    """

    measured: list[Measured] = field(default_factory=list)
    draws: dict[str, list[Ints]] = field(default_factory=dict)
    outputs: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
