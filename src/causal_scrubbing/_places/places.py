"""Where sites are: names and module paths with patterns, found in a module tree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph import number, substitute

INSIDE: Final = ("q", "k", "v", "pattern", "h", "c")
"""Tensors inside an attention, and states of a recurrent network, that a place can name."""

_PLACE: Final = re.compile(
    r"^(?P<path>[^:#]*)(?::(?P<side>input|output|q|k|v|pattern|h|c)(?:\.(?P<key>\w+(?:\.\w+)*))?)?(?:#(?P<call>\d+))?$"
)


@dataclass(frozen=True)
class Place:
    """One tensor that flows into or out of one module.

    Attributes:
        name: the node's name.
        path: the module's path in the model; "" is the model itself.
        side: "input" or "output"; of an attention also "q", "k", "v", "pattern",
            and of a recurrent network "h", "c".
        key: which argument or entry: a position, a name, or None for the only or first one.
        inner: which entry in that one, and so on, where tuples lie in tuples.
        call: which call of a module that is called several times; None for every call.
    """

    name: str
    path: str
    side: str
    key: int | str | None = None
    call: int | None = None
    inner: tuple[int | str, ...] = ()

    @property
    def text(self) -> str:
        """The place as a person writes it."""
        side = "" if self.side == "output" and self.key is None else f":{self.side}"
        key = "" if self.key is None else "".join(f".{k}" for k in (self.key, *self.inner))
        return f"{self.path}{side}{key}" + ("" if self.call is None else f"#{self.call}")


def find_places(
    sites: Mapping[str, str] | Sequence[str], paths: Iterable[str]
) -> tuple[list[Place], list[str]]:
    """Sites, patterns included, as places in a module tree.

    Args:
        sites: node name -> place, or places whose paths are the names. A place is a module path,
            optionally ``:input``, ``:input.1``, ``:input.name``, ``:output.0``, ``:output.1.0``,
            ``:pattern`` and the call, ``#1``. ``{i}`` stands for a number, ``*`` for anything; both
            carry into the name.
        paths: paths of all modules.

    Returns:
        The places, and what is wrong with the sites, in words.
    """
    if isinstance(sites, str):
        return [], [f"sites={sites!r} is one string; write a list, sites=[{sites!r}]."]
    known = list(paths)
    entries = sites if isinstance(sites, Mapping) else {place: place for place in sites}
    found: list[Place] = []
    faults: list[str] = []
    for name, text in entries.items():
        if not isinstance(name, str) or not isinstance(text, str):
            what = text if isinstance(name, str) else name
            faults.append(
                f"{name!r}: {type(what).__name__} is no place; give a name and a module's path in "
                "the model, as model.named_modules() tells it."
            )
            continue
        parsed = _PLACE.match(text)
        if parsed is None or name.startswith("~") or not name:
            faults.append(
                f"{name!r}: {text!r} is no place. Write a module path, with :input, :input.1, "
                ":input.name, :output.0, :output.1.0 or :pattern behind it where that is meant; "
                "names do not begin with ~."
            )
            continue
        side, key = parsed["side"] or "output", parsed["key"]
        call = None if parsed["call"] is None else int(parsed["call"])
        pattern = parsed["path"]
        hits = [(path, substitute(pattern, path, name)) for path in known]
        if pattern in known:
            hits = [(pattern, name)]
        hits = [(path, filled) for path, filled in hits if filled is not None]
        if not hits:
            faults.append(
                f"{name!r}: no module is called {parsed['path']!r}. {_near(parsed['path'], known)}"
            )
        entry, *inner = [int(k) if k.isdigit() else k for k in key.split(".")] if key else [None]
        within = tuple(k for k in inner if k is not None)
        found += [Place(str(filled), path, side, entry, call, within) for path, filled in hits]
    return found, faults + _repeated(found)


def _repeated(places: list[Place]) -> list[str]:
    by_name: dict[str, list[Place]] = {}
    for place in places:
        by_name.setdefault(place.name, []).append(place)
    return [
        f"{name!r} names {len(same)} places ({same[0].text}, {same[1].text}, ...): put the "
        "pattern's {i} or * into the name too."
        for name, same in by_name.items()
        if len(same) > 1
    ]


def _near(path: str, known: Sequence[str]) -> str:
    plain = number(path, 0).replace("*", "0")
    near = get_close_matches(plain, known, n=5, cutoff=0.5)
    if not near:
        last = plain.rsplit(".", 1)[-1]
        near = [one for one in known if one and last and last in one][:5]
    if near:
        return "The nearest are " + ", ".join(near) + "."
    return "The model has " + ", ".join([one for one in known if one][:12]) + ", ..."


def check_faults(faults: Sequence[str]) -> None:
    """Raise all faults of the sites at once.

    Raises:
        GraphError: there is any.
    """
    if faults:
        listed = faults[0] if len(faults) == 1 else "\n  " + "\n  ".join(faults)
        raise GraphError(f"sites: {listed}")
