"""What an adversarial search found, and what it could have found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from causal_scrubbing._display import Bar, Displayed, Tabular, plot_forest
from causal_scrubbing._files import write_page
from causal_scrubbing._format import plain, plural, short
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._refute.power import Power
from causal_scrubbing._report import align
from causal_scrubbing._statistics import Estimate, Scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


_NO_MORE: Final = "the pair did not promise more than its parts"


@dataclass(frozen=True)
class Where:
    """Inputs on which an addition moves the behaviour.

    Attributes:
        what: a class of rows ("mode = 1") or one row, as the dataset shows it.
        shift: mean shift on samples whose reference row is there.
        share: share of the samples.
    """

    what: str
    shift: float
    share: float


@dataclass(frozen=True, eq=False, repr=False)
class Finding(Displayed):
    """One addition, tested on samples that had no part in finding it.

    Attributes:
        text: what it says.
        kind: "feature", "tie", "whole" (a claim taken as a leaf), "rival", "both" (two additions)
            or "cut".
        hypothesis: the hypothesis with it.
        shift: estimate with it minus estimate without.
        towards_model: whether it moves the estimate nearer to the model's own.
        p: of "the shift is within the tolerance", corrected for the number tested (Holm) and the
            two looks.
        bits: entropy of the draws it forbids; negative where it permits more.
        gain_per_bit: how much nearer to the model the estimate comes for each bit claimed.
        groups: the field that tells best where it moves, class by class.
        rows: the single rows that move it most.
    """

    text: str
    kind: str
    hypothesis: Hypothesis
    shift: Estimate
    towards_model: bool
    p: float
    bits: float
    gain_per_bit: float
    groups: tuple[Where, ...] = ()
    rows: tuple[Where, ...] = ()

    def __repr__(self) -> str:
        return f"Finding({self.text}: shift {self.shift})"

    def to_dict(self) -> dict[str, Any]:
        """Everything but the hypothesis's graph, as plain data."""
        return {
            "text": self.text,
            "kind": self.kind,
            "hypothesis": self.hypothesis.to_dict(),
            "shift": self.shift.to_dict(),
            "towards_model": self.towards_model,
            "p": self.p,
            "bits": self.bits,
            "gain_per_bit": self.gain_per_bit,
            "groups": [vars(one) for one in self.groups],
            "rows": [vars(one) for one in self.rows],
        }


@dataclass(frozen=True)
class Tried:
    """One candidate of a search, found or not.

    Attributes:
        kind: "feature", "tie", "whole", "rival", "both" or "cut".
        text: what it says.
        bits: entropy of the draws it forbids; negative where it permits more.
        shift: mean shift when it was last looked at; None for pairs that did not promise more
            than their parts.
        se: its standard error.
        samples: samples that the shift is from.
        confirmed: whether these are held-out samples.
    """

    kind: str
    text: str
    bits: float
    shift: float | None
    se: float | None
    samples: int
    confirmed: bool


@dataclass(frozen=True, eq=False)
class Refutation(Tabular):
    """The outcome of `refute` or `improve`.

    Attributes:
        hypothesis: the hypothesis searched around.
        metric: name of the metric.
        scores: its estimates on the held-out samples.
        separate: its estimate with all unimportant parents drawn apart, on the same samples; None
            where that is the hypothesis itself or nothing is unimportant.
        findings: additions that move the estimate beyond the tolerance, as `order` says.
        order: "smallest first" or "most recovered per bit first".
        more_specific: changes that permit more swaps and move it; not refutations.
        tested: all additions that reached the confirmation, found or not.
        tried: kind -> how many were tried.
        candidates: each that was tried, with the shift it showed.
        stages: of the search: candidates, samples of each, and how many were kept.
        tolerance: shifts within it do not count.
        alpha: the chance of any false finding, at most, if no permitted swap changes a sample.
        power: which shifts would have been found.
        samples: held-out samples.
        seed: of the search.
        notes: what a reader should know.
    """

    hypothesis: Hypothesis
    metric: str
    scores: Scores
    separate: Estimate | None
    findings: tuple[Finding, ...]
    order: str
    more_specific: tuple[Finding, ...]
    tested: tuple[Finding, ...]
    tried: Mapping[str, int]
    candidates: tuple[Tried, ...]
    stages: tuple[Mapping[str, Any], ...]
    tolerance: float
    alpha: float
    power: Power
    samples: int
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def detectable(self) -> float | None:
        """The smallest shift found with a chance of 80%, as `power` says; None if not known."""
        return self.power.shift

    @property
    def refuted(self) -> bool:
        """Whether an addition that only forbids swaps moves the estimate beyond the tolerance."""
        return bool(self.findings)

    def to_frame(self) -> pd.DataFrame:
        """The additions that reached the confirmation: shift, interval, direction, p and bits."""
        import pandas as pd

        rows = [
            {
                "addition": one.text, "kind": one.kind, "shift": one.shift.mean,
                "low": one.shift.interval[0], "high": one.shift.interval[1],
                "towards_model": one.towards_model, "p": one.p, "bits": one.bits,
            }
            for one in self.tested
        ]  # fmt: skip
        columns = ["addition", "kind", "shift", "low", "high", "towards_model", "p", "bits"]
        return pd.DataFrame(rows, columns=columns)

    def plot(self) -> Figure:
        """The shift of each addition that reached the confirmation, findings standing out.

        Returns:
            A figure that a notebook shows by itself.
        """
        found = {one.text for one in self.findings}
        bars = [
            Bar(
                label=one.text, mean=one.shift.mean, low=one.shift.interval[0],
                high=one.shift.interval[1], text=one.shift.ranged(signed=True),
                strong=one.text in found,
            )
            for one in self.tested
        ]  # fmt: skip
        guides = (-self.tolerance, 0.0, self.tolerance)
        title = self.hypothesis.name or "the hypothesis"
        return plot_forest(bars, title=title, axis=f"shift of {self.metric}", guides=guides)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data; ``reason`` says why a number is None."""
        found: dict[str, Any] = {
            "hypothesis": self.hypothesis.to_dict(),
            "metric": self.metric,
            "scores": self.scores.to_dict(),
            "separate": None if self.separate is None else self.separate.to_dict(),
            "findings": [one.to_dict() for one in self.findings],
            "order": self.order,
            "more_specific": [one.to_dict() for one in self.more_specific],
            "tested": [one.to_dict() for one in self.tested],
            "tried": dict(self.tried),
            "candidates": [
                {**vars(one), "reason": _NO_MORE if one.shift is None else None}
                for one in self.candidates
            ],
            "stages": [dict(stage) for stage in self.stages],
            "tolerance": self.tolerance,
            "alpha": self.alpha,
            "power": {
                **vars(self.power),
                "reason": str(self.power) if self.power.shift is None else None,
            },
            "samples": self.samples,
            "seed": self.seed,
            "notes": list(self.notes),
        }
        values: dict[str, Any] = plain(found)
        return values

    def save(self, path: str | Path) -> Path:
        """Write `to_dict` as JSON, whole or not at all.

        Args:
            path: the file; an existing one is replaced.

        Raises:
            ScrubError: it cannot be written.
        """
        file = Path(path)
        write_page(file, json.dumps(self.to_dict(), indent=2) + "\n")
        return file

    def __repr__(self) -> str:
        found = plural(len(self.findings), "finding")
        return f"Refutation({len(self.findings)} {found}; print it to see them)"

    def __str__(self) -> str:
        name = self.hypothesis.name or "the hypothesis"
        tried = ", ".join(f"{_KINDS[kind]} {n}" for kind, n in self.tried.items())
        lines = [
            f"{name}; {self.metric}, {self.samples} held-out samples",
            f"model {self.scores.model}, scrubbed {self.scores.scrubbed}, "
            f"recovered {self.scores.recovered}",
        ]
        if self.separate is not None:
            lines.append(f"scrubbed with unimportant parents drawn apart: {self.separate}")
        lines.append(f"tried: {tried or 'nothing'}")
        if self.findings:
            lines += [
                "",
                f"Additions that move it by more than {short(self.tolerance, 3)}, {self.order}:",
            ]
            lines += _table(self.findings)
            for one in self.findings[:3]:
                if one.groups:
                    told = ", ".join(
                        f"{g.what}: {short(g.shift, 3, signed=True)}" for g in one.groups[:6]
                    )
                    lines.append(f"  {one.text}: {told}")
        else:
            lines += [
                "",
                f"No addition found that moves it by more than {short(self.tolerance)}. "
                f"{self.power}",
            ]
        if self.more_specific:
            lines += ["", "More specific (they permit more swaps; no refutation of this one):"]
            lines += _table(self.more_specific)
        lines.append("")
        lines.append(
            f"If no permitted swap changes a sample, the chance of any finding is at most "
            f"{self.alpha:.0%}; so it is for many samples if only the mean stays."
        )
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


_KINDS = {
    "feature": "features",
    "tie": "ties",
    "whole": "claims taken whole",
    "rival": "rivals",
    "both": "pairs of these",
    "cut": "changes that permit more",
}


def _table(findings: tuple[Finding, ...], most: int = 12) -> list[str]:
    rows = [
        [
            one.text,
            f"{one.shift.number(signed=True)} {one.shift.spread}",
            "towards the model" if one.towards_model else "away from it",
            f"{short(one.p, 2)}",
            f"{one.bits:.2f}",
        ]
        for one in findings[:most]
    ]
    table = align(("addition", "shift", "direction", "p (Holm)", "bits"), rows).split("\n")
    rest = len(findings) - most
    return table + ([f"... and {rest} more in .findings"] if rest > 0 else [])
