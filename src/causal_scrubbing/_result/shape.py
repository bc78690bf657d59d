"""The shape of a run's page: what every entry of ``run.json`` must be to be believed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from causal_scrubbing._engine import Explanation
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import (
    ADVICE,
    COUNT,
    NATURAL,
    NUMBER,
    SHARE,
    Between,
    Constant,
    DictOf,
    Either,
    Fixed,
    ListOf,
    Optional,
    Shape,
    check_shape,
    shape_of,
)
from causal_scrubbing._hypothesis import Agreement, AgreementRow, check_plain
from causal_scrubbing._simulate import RunRecord, Swaps
from causal_scrubbing._statistics import KINDS, Estimate

FORMAT: Final = 2
SAMPLES: Final = "samples.parquet"
DRAWS: Final = "draws.parquet"
OUTPUTS: Final = "outputs.safetensors"
KNOWN: Final = "rows.parquet"
ALONE: Final = "alone"
"""Column of the samples in which nothing could be swapped; runs saved before it have none."""
VALUES: Final = ("scrubbed", "model", "randomized")
MOVED: Final = ("moved", "moved randomized")

_END: Final[Shape] = Either((NUMBER, Constant(("inf", "-inf"))))
"""An end of an interval; versions before wrote an infinite one as a text."""
_ESTIMATE: Final[Shape] = {
    **shape_of(Estimate, level=SHARE, least_decimals=Between(0, 30, integer=True)),
    "mean": Optional(NUMBER, missing=False),
    "se": Optional(_END, missing=False),
    "interval": Fixed((Optional(_END, missing=False),) * 2),
}
_SCORES: Final[Shape] = {
    **dict.fromkeys((*KINDS, "log_recovered"), _ESTIMATE),
    "exact": ListOf(str),
    "factors": DictOf(_END),
    "notes": ListOf(str),
}
_SECONDS: Final = Between(0, 1e12)
_ACTUAL: Final[Shape] = {
    "samples": COUNT,
    "rows": COUNT,
    "seconds": _SECONDS,
    **dict.fromkeys(
        ("table_seconds", "sample_seconds", "drawing_seconds", "metrics_seconds",
         "comparing_seconds"), Optional(_SECONDS),
    ),
}  # fmt: skip
_SCALAR: Final[Shape] = Optional(Either((bool, int, float, str)))
_RECORD: Final[Shape] = {
    **shape_of(RunRecord, seed=NATURAL, memory=Optional(Either((int, float, str)))),
    "actual": _ACTUAL,
    "baseline": Optional(dict),
    "seconds": _SECONDS,
    "parts": Optional(ListOf({"seed": NATURAL, "start": COUNT, "stop": COUNT})),
    "environment": DictOf(_SCALAR),
}
_BODY: Final[Shape] = {
    "format": Constant((FORMAT,)),
    "metrics": ListOf(str),
    "hypothesis": dict,
    "settings": _RECORD,
    "fingerprints": {"data": str, "graph": str},
    "agreement": shape_of(
        Agreement,
        table=ListOf(shape_of(AgreementRow, one_row=SHARE, self_draw=SHARE, swappable=NUMBER)),
    ),
    "stuck": Optional(SHARE, missing=False),
    "notes": ListOf(str),
    "estimates": DictOf(_SCORES),
    "swaps": Optional(shape_of(Swaps)),
    "plan": Optional({**shape_of(Explanation), "actual": Optional(_ACTUAL)}),
    "known": Optional(DictOf({"pairs": COUNT, "parts": Between(0, 1024, integer=True)})),
    "of_means": Optional(DictOf(Optional(str))),
    "distance": Optional(str),
    "files": DictOf(str),
    "seal": str,
}


def check_page(page: Path, body: Mapping[str, Any]) -> None:
    """Refuse a page that does not say what a run says.

    Raises:
        ScrubError: names the file and what is wrong in it.
    """
    check_shape(page, body, _BODY)
    check_plain(page, body["hypothesis"], "hypothesis")
    baseline = body["settings"].get("baseline")
    if baseline is not None:
        check_plain(page, baseline, "settings.baseline")
    if not body["metrics"] or sorted(body["metrics"]) != sorted(body["estimates"]):
        raise ScrubError(
            f"{page} cannot be read: its estimates are not those of its metrics. {ADVICE}"
        )
    for name, scores in body["estimates"].items():
        for kind in (*KINDS, "log_recovered"):
            if scores[kind]["mean"] is None and scores[kind].get("reason") is None:
                place = f"estimates.{name}.{kind}"
                raise ScrubError(
                    f"{page} cannot be read: {place!r} has neither a number nor a reason. {ADVICE}"
                )
