"""The table of path effects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from causal_scrubbing._display import Displayed, Tabular, plot_heatmap
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._format import plural
from causal_scrubbing._report import align
from causal_scrubbing._statistics import Estimate, Scores, ranked

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_NUMBER: Final = re.compile(r"\d+")

MOST_SHOWN = 20
"""Rows of a printed table."""


@dataclass(frozen=True, eq=False, repr=False)
class PathEffect(Displayed):
    """What one path does.

    Attributes:
        sender: the node whose value came from another row.
        receiver: the node that read it.
        scores: metric name -> estimates; `gap` is patched minus model, the effect.
    """

    sender: str
    receiver: str
    scores: Mapping[str, Scores]

    @property
    def effect(self) -> Estimate:
        """The mean change of the first metric, paired by reference row, with its interval."""
        return next(iter(self.scores.values())).gap

    def __repr__(self) -> str:
        return f"PathEffect({self.sender} -> {self.receiver}: {self.effect})"


@dataclass(frozen=True, eq=False)
class PathEffects(Tabular):
    """The effects of paths between senders and receivers.

    ``effects["a0.z.h1", "logits"]`` is one row; iterating gives all of them.

    Attributes:
        rows: one for each pair that a path joins.
        via: nodes that the paths could pass.
        samples: N, for each pair.
        seed: of the draws.
        notes: what a reader should know.
        onward: nodes through which a receiver's change went on to the output.
    """

    rows: tuple[PathEffect, ...]
    via: tuple[str, ...]
    samples: int
    seed: int
    notes: tuple[str, ...] = ()
    onward: tuple[str, ...] = ("*",)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, the main one first."""
        return tuple(self.rows[0].scores)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[PathEffect]:
        return iter(self.rows)

    def __getitem__(self, pair: tuple[str, str]) -> PathEffect:
        for row in self.rows:
            if (row.sender, row.receiver) == pair:
                return row
        raise ScrubError(f"no path from {pair[0]!r} to {pair[1]!r} was patched.")

    def ranked(self, metric: str | None = None) -> list[PathEffect]:
        """The rows by the size of their effect, the largest first."""
        name = self._metric(metric)
        sizes = [_size(row.scores[name].gap) for row in self.rows]
        return [self.rows[i] for i in ranked(sizes)]

    def plot(self, metric: str | None = None) -> Figure:
        """The effects as a heatmap of senders by receivers, or by layer and head.

        With one receiver and senders named by two numbers, such as ``a0.z.h1``, a line is the first
        number and a column the second.

        Args:
            metric: the first if None.

        Returns:
            A figure that a notebook shows by itself; grey where no path joins two nodes.
        """
        name = self._metric(metric)
        pairs = {(row.sender, row.receiver): row.scores[name].gap.mean for row in self.rows}
        receivers = list(dict.fromkeys(row.receiver for row in self.rows))
        numbers = [_NUMBER.findall(row.sender) for row in self.rows]
        shapes = {_NUMBER.sub("#", row.sender) for row in self.rows}
        title, down, across = "effects of paths", "sender", "receiver"
        if len(receivers) == 1 and len(shapes) == 1 and {len(one) for one in numbers} == {2}:
            shape = shapes.pop()
            title += f" from {shape} to {receivers[0]}"
            cut = shape.index("#") + 1
            down, across = shape[:cut], shape[cut:]
            pairs = {
                (first, second): row.scores[name].gap.mean
                for (first, second), row in zip(numbers, self.rows, strict=True)
            }
        rows = list(dict.fromkeys(first for first, _ in pairs))
        columns = list(dict.fromkeys(second for _, second in pairs))
        values = np.array([[pairs.get((r, c), np.nan) for c in columns] for r in rows])
        return plot_heatmap(
            values, rows, columns, title=title, label=f"change of {name}", down=down, across=across
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a pair: sender, receiver, and each metric's effect, error and interval."""
        import pandas as pd

        return pd.DataFrame([self._record(row) for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """Every estimate as plain data."""
        return {
            "via": list(self.via),
            "onward": list(self.onward),
            "samples": self.samples,
            "seed": self.seed,
            "notes": list(self.notes),
            "effects": [
                {
                    "sender": row.sender,
                    "receiver": row.receiver,
                    "metrics": {name: one.gap.to_dict() for name, one in row.scores.items()},
                }
                for row in self.rows
            ],
        }

    def __str__(self) -> str:
        name = self.metrics[0]
        head = ("sender", "receiver", *self.metrics, f"95% interval of {name}")
        shown = self.ranked()[:MOST_SHOWN]
        table = align(head, [self._line(row) for row in shown])
        allowed = ", ".join(self.via) or "direct edges"
        if "*" not in self.onward:
            allowed += f", onward by {', '.join(self.onward) or 'the receiver itself alone'}"
        size = f"{self.samples} {plural(self.samples, 'sample')} each"
        lines = [f"path patching via {allowed}; {size}, seed {self.seed}; largest effect first"]
        lines.append(table)
        if len(self.rows) > len(shown):
            lines.append(f"... and {len(self.rows) - len(shown)} more; to_frame() has all")
        return "\n".join([*lines, *self.notes])

    def __repr__(self) -> str:
        return f"PathEffects({len(self.rows)} {plural(len(self.rows), 'path')})"

    def _line(self, row: PathEffect) -> list[str]:
        effects = [str(row.scores[name].gap) for name in self.metrics]
        bounds = row.effect.bounds()
        return [
            row.sender,
            row.receiver,
            *effects,
            "" if bounds is None else f"[{', '.join(bounds)}]",
        ]

    def _record(self, row: PathEffect) -> dict[str, Any]:
        record: dict[str, Any] = {"sender": row.sender, "receiver": row.receiver}
        for name, one in row.scores.items():
            low, high = one.gap.interval or (float("nan"), float("nan"))
            record |= {
                f"{name} effect": one.gap.mean, f"{name} se": one.gap.se,
                f"{name} low": low, f"{name} high": high,
            }  # fmt: skip
        return record

    def _metric(self, metric: str | None) -> str:
        name = self.metrics[0] if metric is None else metric
        if name not in self.metrics:
            raise ScrubError(f"no metric is called {name!r}; there is {', '.join(self.metrics)}.")
        return name


def _size(effect: Estimate) -> float:
    return abs(float(effect.mean)) if effect.defined else 0.0
