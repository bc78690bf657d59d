"""Which room holds each public name: the first use of a name loads its room, and no other one.

`_public` says the same to type checkers.
"""

from collections.abc import Mapping
from typing import Final

ROOMS: Final[Mapping[str, tuple[str, ...]]] = {
    "_ablate": ("Ablation", "ablate"),
    "_algebra": ("free", "isomorphic", "join", "permits", "restate"),
    "_capture": ("capture", "load_graph"),
    "_claims": (
        "Check",
        "Diff",
        "Fault",
        "Ground",
        "Rerun",
        "RunFile",
        "RunFileError",
        "Verdict",
        "check",
        "diff",
        "rerun",
    ),
    "_controls": ("Control", "Controls", "controls"),
    "_data": (
        "Dataset",
        "Feature",
        "anything",
        "bins",
        "distinct",
        "exact",
        "quantiles",
        "rounded",
    ),
    "_discover": ("Discovery", "discover"),
    "_engine": ("Explanation",),
    "_exact": ("entropy", "theory"),
    "_executors": ("executors",),
    "_graph": ("Dictionary", "Equality", "Graph", "add", "check_equal", "dictionary", "of_sum"),
    "_hypothesis": ("Claim", "Hypothesis", "circuit", "claim", "each", "mean", "nothing"),
    "_interchange": ("Exchanged", "Interchange", "interchange"),
    "_metrics": ("metrics",),
    "_path_patch": ("PathEffect", "PathEffects", "path_patch"),
    "_places": ("site",),
    "_refute": ("Finding", "Refutation", "Where", "improve", "refute"),
    "_result": (
        "Comparison",
        "ExactResult",
        "Result",
        "Results",
        "Verification",
        "compare",
        "load",
        "merge",
        "verify",
    ),
    "_scrub": ("exact_scrub", "scrub"),
    "_simulate": ("Metric", "Options", "explain"),
    "_sites": ("SiteMap", "sites"),
    "_statistics": ("Estimate",),
}
"""A room -> the public names that it holds."""

ROOM_OF: Final[Mapping[str, str]] = {name: room for room, names in ROOMS.items() for name in names}
"""A public name -> its room."""
