"""Whether swaps could matter: how often the activation on the row drawn is another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Floats, Ints
from causal_scrubbing._graph import Graph, evaluate, shorten
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._sampling import Sampler

if TYPE_CHECKING:
    import pandas as pd

_ALL: Final = 64
"""A dataset of at most so many rows is looked at whole."""
_ROWS: Final = 32
"""Rows looked at in any case; an eighth of the number of samples where that is more."""
_SAMPLES: Final = 1024
_FEWEST: Final = 10
"""Swaps looked at of which something is said."""
_BATCH: Final = 32
_RELATIVE: Final = {torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Differences taken for rounding; 1e-5 for other floats, none for integers."""


@dataclass(frozen=True)
class Swap:
    """How often a draw gave another row, and another activation.

    Attributes:
        draw: a claim's path, or the key of a draw of unimportant parents.
        nodes: whose activations are swapped.
        rows: share of the samples in which the row drawn was another one.
        activations: share in which the clean activation of a node was another one there, estimated
            from the swaps looked at; None where none was. It is 0 for a claim whose feature fixes
            the activation.
        looked: how many swaps with other rows were looked at.
        important: whether a claim is drawn.
    """

    draw: str
    nodes: tuple[str, ...]
    rows: float
    activations: float | None
    looked: int
    important: bool


@dataclass(frozen=True)
class Swaps:
    """What the swaps of a run could change.

    Attributes:
        table: one entry a claim, and one for each draw of unimportant parents.
        constant: nodes claimed or drawn whose activation is the same on every row looked at.
        rows: how many rows were looked at.
        samples: how many samples the shares of rows are of.
        every: whether the rows looked at are all rows of the data.
    """

    table: tuple[Swap, ...]
    constant: tuple[str, ...]
    rows: int
    samples: int
    every: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know: swaps that cannot change anything."""
        found = []
        if self.constant:
            which = "every row" if self.every else f"every row of {self.rows} looked at"
            verb = "is" if len(self.constant) == 1 else "are"
            found.append(
                f"{shorten(self.constant)} {verb} the same on {which}: taking the value of another "
                "row changes nothing, so that nothing about it is tested"
            )
        idle = [
            one.draw
            for one in self.table
            if not one.important
            and one.looked >= _FEWEST
            and one.activations == 0
            and not set(one.nodes) <= set(self.constant)
        ]
        if idle:
            found.append(
                f"{shorten(idle)}: other rows were drawn for unimportant parents, and in no swap "
                "looked at did an activation differ there"
            )
        return tuple(found)

    def to_frame(self) -> pd.DataFrame:
        """The shares as a table, one row a draw."""
        import pandas as pd

        return pd.DataFrame([asdict(one) for one in self.table])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Swaps:
        """What `to_dict` made."""
        table = tuple(Swap(**{**one, "nodes": tuple(one["nodes"])}) for one in entry["table"])
        rest = {name: entry[name] for name in ("rows", "samples", "every")}
        return cls(table, tuple(entry["constant"]), **rest)


def look_at_swaps(
    samplers: Sequence[Sampler], data: Dataset, samples: int, device: torch.device | None
) -> list[Swaps]:
    """Compare clean activations on the rows drawn with those on the rows they stand in for.

    Args:
        samplers: of hypotheses about one graph.
        data: the dataset.
        samples: how many samples the run has.
        device: where to compute; where the graph says if None.

    Returns:
        One for each hypothesis. Where the data has many rows, a part of them is looked at.
    """
    graph = samplers[0].hypothesis.graph
    most = max(_ROWS, samples // 8)
    total = count = min(samples, _SAMPLES)
    drawn = [sampler.draw(0, total).rows for sampler in samplers]
    every = len(data) <= max(_ALL, most)
    rows = np.arange(len(data)) if every else _rows(drawn, count)
    while not every and len(rows) > most and count > 1:
        count = max(1, min(count - 1, count * most // len(rows)))
        rows = _rows(drawn, count)
    draws = [_draws(sampler.hypothesis) for sampler in samplers]
    nodes = dict.fromkeys(n for one in draws for _, _, _, names in one for n in names)
    signs = _signatures(graph, data, rows, list(nodes), device)
    constant = {n for n, one in signs.items() if not _differ(one, one[:1]).any()}
    found = []
    for sampler, known, one in zip(samplers, drawn, draws, strict=True):
        paths = {entry.path for entry in sampler.hypothesis.tree.claims}
        table = []
        for name, key, of, names in one:
            drawn_row, kept_row = known[key], known[of]
            other = drawn_row != kept_row
            looked = other & np.isin(drawn_row, rows) & np.isin(kept_row, rows)
            here = np.searchsorted(rows, drawn_row[looked])
            there = np.searchsorted(rows, kept_row[looked])
            moved = np.zeros(len(here), dtype=bool)
            for node in names:
                moved |= _differ(signs[node][here], signs[node][there], signs[node])
            share = float(other.mean())
            # Of the swaps looked at; a draw of the row itself changes nothing.
            changed = share * float(moved.mean()) if len(moved) else 0.0 if not share else None
            table.append(Swap(name, names, share, changed, len(moved), name in paths))
        used = dict.fromkeys(n for _, _, _, names in one for n in names if n in constant)
        found.append(Swaps(tuple(table), tuple(used), len(rows), total, every))
    return found


def _rows(drawn: Sequence[Mapping[str, Ints]], count: int) -> Ints:
    return np.unique(np.concatenate([one[:count] for rows in drawn for one in rows.values()]))


def _draws(hypothesis: Hypothesis) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """For each claim and each draw of unimportant parents: name, key, key agreed with, nodes."""
    tree = hypothesis.tree
    of = {block.key: block.of for block in tree.blocks}
    found: list[tuple[str, str, str, tuple[str, ...]]] = [
        (entry.path, entry.draw, of[entry.draw], (entry.claim.node,)) for entry in tree.claims[1:]
    ]
    for block in tree.blocks:
        nodes = tuple(dict.fromkeys(node for _, node in block.others))
        if nodes:
            found.append((block.key, block.key, block.of, nodes))
    return found


def _signatures(
    graph: Graph, data: Dataset, rows: Ints, nodes: list[str], device: torch.device | None
) -> dict[str, Floats]:
    """Node -> a few numbers a row that differ where its values do, [rows, 4].

    The last is what is taken for rounding, relative to each number.
    """
    parts: dict[str, list[Floats]] = {node: [] for node in nodes}
    for start in range(0, len(rows), _BATCH):
        chosen = rows[start : start + _BATCH]
        with torch.no_grad():
            values = evaluate(graph, data.take(chosen), nodes, device=device)
        for node in nodes:
            parts[node].append(_numbers(values[node], len(chosen)))
    return {node: np.concatenate(some) for node, some in parts.items()}


def _numbers(value: torch.Tensor, rows: int) -> Floats:
    if value.ndim == 0 or len(value) != rows:  # a constant
        return np.zeros((rows, 4))
    flat = value.detach().reshape(rows, -1)
    rounding = _RELATIVE.get(value.dtype, 1e-5) if value.is_floating_point() else 0.0
    flat = torch.view_as_real(flat).reshape(rows, -1) if flat.is_complex() else flat
    flat = flat.double().nan_to_num()
    weights = torch.cos(torch.arange(flat.shape[1], dtype=torch.float64, device=flat.device))
    found = np.full((rows, 4), rounding)
    sums = (flat.square().sum(1), flat.sum(1), flat @ weights)
    found[:, :3] = torch.stack(sums, dim=1).cpu().numpy()
    return found


def _differ(one: Floats, other: Floats, among: Floats | None = None) -> np.ndarray:
    """Whether rows have different values, [rows]."""
    among = one if among is None else among
    allowed = among[:, 3].max(initial=0.0) * np.abs(among[:, :3]).max(axis=0, initial=0.0)
    with np.errstate(invalid="ignore"):  # infinite less infinite is no difference
        return np.asarray((np.abs(one[:, :3] - other[:, :3]) > allowed).any(axis=1))
