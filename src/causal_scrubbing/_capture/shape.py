"""The shape of a saved graph's page: what every entry of ``graph.json`` must be."""

from __future__ import annotations

from typing import Final

from causal_scrubbing._files import COUNT, DictOf, Either, Fixed, ListOf, Optional, Shape

_STEP: Final[Shape] = Either((str, COUNT))
_PLACE: Final[Shape] = Fixed((str, str, str, Optional(_STEP), Optional(COUNT), ListOf(_STEP)))
_HOOKS: Final[Shape] = {
    "places": ListOf(_PLACE),
    "calls": ListOf(COUNT),
    "marks": DictOf(COUNT),
    "fields": Optional(Either((ListOf(str), DictOf(str))), missing=False),
    "picked": Optional(_STEP, missing=False),
    "whole": bool,
}
_NODE: Final[Shape] = {
    "name": str,
    "parents": ListOf(COUNT),
    "fn": Optional(dict, missing=False),
    "field": Optional(str, missing=False),
    "sizes": Optional(ListOf(Optional(COUNT)), missing=False),
    "shapes": ListOf(COUNT),
    "ignores": ListOf(COUNT),
}
PAGE: Final[Shape] = {
    "model": str,
    "output": str,
    "history": ListOf(str),
    "weights": DictOf(Fixed((str, str))),
    "strings": DictOf(ListOf(str)),
    "hooks": Optional(_HOOKS, missing=False),
    "nodes": ListOf(_NODE),
}
"""Functions of nodes are checked where they are decoded, operator by operator."""
