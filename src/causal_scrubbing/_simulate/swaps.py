"""Whether swaps could matter: how often the activation on the row drawn is another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Floats, Ints
from causal_scrubbing._display import Tabular
from causal_scrubbing._graph import Graph, evaluate, shorten
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._sampling import Sampler

if TYPE_CHECKING:
    import pandas as pd

_ALL: Final = 64
"""A dataset of at most so many rows is looked at whole."""
_ROWS: Final = 32
"""Rows looked at in any case; a sixteenth of the number of samples where that is more."""
_SAMPLES: Final = 1024
_FEWEST: Final = 10
"""Swaps looked at of which something is said."""
_BATCH: Final = 32
_TOGETHER: Final = 16
"""Nodes compared at once."""
_RELATIVE: Final = {torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Differences taken for rounding; 1e-5 for other floats, none for integers."""

_Draw: TypeAlias = tuple[str, str, str, tuple[str, ...]]
"""Name, key of the draw, key it agrees with, nodes."""


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


@dataclass(frozen=True, repr=False)
class Swaps(Tabular):
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

    def __repr__(self) -> str:
        return f"Swaps({len(self.table)} draws, {self.rows} rows looked at; to_frame() has them)"

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
    samplers: Sequence[Sampler],
    data: Dataset,
    span: tuple[int, int],
    device: torch.device | None,
    worth: int | None = None,
) -> list[Swaps]:
    """Compare clean activations on the rows drawn with those on the rows they stand in for.

    Args:
        samplers: of hypotheses about one graph.
        data: the dataset.
        span: the first sample of the run, and one past its last.
        device: where to compute; where the graph says if None.
        worth: rows that may be evaluated, where each costs much; None for no limit.

    Returns:
        One for each hypothesis. Where the data has many rows, a part of them is looked at.
    """
    graph, samples = samplers[0].hypothesis.graph, span[1] - span[0]
    limit = len(data) if worth is None else worth
    most = min(max(_ROWS, samples // 16), limit)
    total = min(samples, _SAMPLES)
    drawn = [sampler.draw(span[0], span[0] + total).rows for sampler in samplers]
    draws = [_draws(sampler.hypothesis) for sampler in samplers]
    every = len(data) <= min(max(_ALL, most), limit)
    rows = np.arange(len(data)) if every else _rows(drawn, draws, total, most)
    nodes = list(dict.fromkeys(n for one in draws for _, _, _, names in one for n in names))
    signs = _signatures(graph, data, rows, nodes, device)
    place = {node: i for i, node in enumerate(nodes)}
    allowed = _allowed(signs)
    same = _same(signs, allowed)
    constant = {node for node, one in zip(nodes, same, strict=True) if one}
    where = np.full(len(data), -1)
    where[rows] = np.arange(len(rows))
    found = []
    for sampler, known, one in zip(samplers, drawn, draws, strict=True):
        paths = {entry.path for entry in sampler.hypothesis.tree.claims}
        table = []
        for name, key, of, names in one:
            drawn_row, kept_row = known[key], known[of]
            other = drawn_row != kept_row
            here, there = where[drawn_row], where[kept_row]
            looked = other & (here >= 0) & (there >= 0)
            some = np.array([place[node] for node in names])
            moved = _moved(signs, allowed, some, here[looked], there[looked])
            share = float(other.mean())
            # Of the swaps looked at; a draw of the row itself changes nothing.
            changed = share * float(moved.mean()) if len(moved) else 0.0 if not share else None
            table.append(Swap(name, names, share, changed, len(moved), name in paths))
        used = dict.fromkeys(n for _, _, _, names in one for n in names if n in constant)
        found.append(Swaps(tuple(table), tuple(used), len(rows), total, every))
    return found


def _rows(
    drawn: Sequence[Mapping[str, Ints]], draws: Sequence[Sequence[_Draw]], total: int, most: int
) -> Ints:
    """Rows of the first samples, as many samples as have at most so many rows in all.

    Where one sample has more, the rows of some of its swaps.
    """
    count = min(total, most)
    while count:
        rows = np.unique(np.concatenate([one[:count] for key in drawn for one in key.values()]))
        if len(rows) <= most:
            return rows
        count = min(count - 1, count * most // len(rows))
    pairs = [
        (known[key][0], known[of][0])
        for known, one in zip(drawn, draws, strict=True)
        for _, key, of, _ in one
    ]
    chosen = np.unique(np.linspace(0, len(pairs) - 1, max(1, most // 2)).astype(np.int64))
    return np.unique(np.array(pairs, dtype=np.int64)[chosen])


def _draws(hypothesis: Hypothesis) -> list[_Draw]:
    """For each claim and each draw of unimportant parents: name, key, key agreed with, nodes."""
    tree = hypothesis.tree
    of = {block.key: block.of for block in tree.blocks}
    found: list[_Draw] = [
        (entry.path, entry.draw, of[entry.draw], (entry.claim.node,)) for entry in tree.claims[1:]
    ]
    for block in tree.blocks:
        nodes = tuple(dict.fromkeys(node for _, node in block.others))
        if nodes:
            found.append((block.key, block.key, block.of, nodes))
    return found


def _signatures(
    graph: Graph, data: Dataset, rows: Ints, nodes: Sequence[str], device: torch.device | None
) -> Floats:
    """A few numbers for each row of a node that differ where its values do, [nodes, rows, 4].

    The last is what is taken for rounding, relative to each number.
    """
    found = np.empty((len(nodes), len(rows), 4))
    for start in range(0, len(rows), _BATCH):
        chosen = rows[start : start + _BATCH]
        with torch.no_grad():
            values = evaluate(graph, data.take(chosen), list(nodes), device=device)
        for number, node in enumerate(nodes):
            found[number, start : start + len(chosen)] = _numbers(values[node], len(chosen))
    return found


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


def _allowed(signs: Floats) -> Floats:
    """How much numbers may differ by rounding, [nodes, 1, 3]."""
    largest = np.abs(signs[:, :, :3]).max(axis=1, keepdims=True, initial=0.0)
    return np.asarray(signs[:, :, 3:].max(axis=1, keepdims=True, initial=0.0) * largest)


def _same(signs: Floats, allowed: Floats) -> np.ndarray:
    """Whether a node has the value of the first row on every row, [nodes]."""
    with np.errstate(invalid="ignore"):  # infinite less infinite is no difference
        differ = np.abs(signs[:, :, :3] - signs[:, :1, :3]) > allowed
    return np.asarray(~differ.any(axis=(1, 2)))


def _moved(signs: Floats, allowed: Floats, nodes: Ints, here: Ints, there: Ints) -> np.ndarray:
    """Whether the value of one of some nodes differs between two rows, [swaps]."""
    moved = np.zeros(len(here), dtype=bool)
    for start in range(0, len(nodes), _TOGETHER):
        left = np.flatnonzero(~moved)
        if not len(left):
            break
        some = nodes[start : start + _TOGETHER, None]
        one, other = signs[some, here[left], :3], signs[some, there[left], :3]
        with np.errstate(invalid="ignore"):
            moved[left] = (np.abs(one - other) > allowed[some[:, 0]]).any(axis=(0, 2))
    return moved
