"""Hypotheses as plain data that JSON holds, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from causal_scrubbing._data import (
    Feature,
    feature_from_plain,
    feature_name,
    feature_to_plain,
    flatten_feature,
)
from causal_scrubbing._errors import DataError, HypothesisError, ScrubError
from causal_scrubbing._files import ADVICE, DEEPEST, depth_of
from causal_scrubbing._hypothesis.ablation import Ablation, Kind, ablation_text, read_kind
from causal_scrubbing._hypothesis.claim import Claim

_TEXTS: Final = ("name", "tie", "draw")
_CLAIM: Final = {
    "node",
    "feature",
    "others",
    "via",
    "cut",
    "ablation",
    "children",
    "family",
    *_TEXTS,
}
_MOST_CLAIMS: Final = 1_000_000
"""Claims by path; one that is used twice is there twice, so that a short list can say many."""

_WHOLE: Final = {
    "name",
    "unimportant",
    "within",
    "self_draws",
    "ablation",
    "ablates",
    "output",
    "claims",
}


def plain_feature(feature: Feature) -> Any:
    """A feature as plain data; a function, which is code, by its name alone."""
    if isinstance(feature, tuple):
        return [plain_feature(part) for part in feature]
    try:
        return feature_to_plain(feature)
    except DataError:
        return {"kind": "function", "name": feature_name(feature)}


def feature_words(plain: object) -> str:
    """A feature in words, from plain data."""
    if isinstance(plain, list):
        return "(" + ", ".join(map(feature_words, plain)) + ")"
    if isinstance(plain, Mapping) and plain.get("kind") == "function":
        return str(plain.get("name"))
    try:
        return feature_name(feature_from_plain(plain))
    except DataError:
        return str(plain)


def plain_claims(root: Claim) -> list[dict[str, Any]]:
    """The claims as flat entries, the root first, each before those it is computed from."""
    order: dict[int, Claim] = {}
    stack: list[tuple[Claim, bool]] = [(root, False)]
    while stack:
        claim, below_done = stack.pop()
        if id(claim) in order:
            continue
        if below_done:
            order[id(claim)] = claim
            continue
        stack.append((claim, True))
        stack += [(child, False) for child in claim.children or ()]
    claims = list(reversed(order.values()))
    place = {id(claim): i for i, claim in enumerate(claims)}
    return [_plain_claim(claim, place) for claim in claims]


def _plain_claim(claim: Claim, place: Mapping[int, int]) -> dict[str, Any]:
    entry: dict[str, Any] = {"node": claim.node, "feature": plain_feature(claim.feature)}
    entry |= {key: found for key in _TEXTS if (found := getattr(claim, key)) is not None}
    if claim.via:
        entry["via"] = list(claim.via)
    if flatten_feature(claim.others):
        entry["others"] = plain_feature(claim.others)
    if claim.cut:
        entry["cut"] = [list(edge) for edge in claim.cut]
    if claim.ablation is not None:
        entry["ablation"] = ablation_text(claim.ablation)
    if claim.family is not None:
        entry["family"] = list(claim.family)
    if claim.children is not None:
        entry["children"] = [place[id(child)] for child in claim.children]
    return entry


class Reader:
    """Reads a hypothesis from plain data and gathers what is wrong with it.

    Args:
        given: what `Hypothesis.to_dict` made.
        code: whether features that are functions, of which there is the name alone, are faults.
    """

    def __init__(self, given: object, *, code: bool = True) -> None:
        self.faults: list[str] = []
        self.code = code
        if depth_of(given) > DEEPEST:
            self.faults.append(f"a saved hypothesis is nested more than {DEEPEST} deep.")
            given = {}
        self.given = self._mapping(given, "a saved hypothesis", _WHOLE)

    def arguments(self) -> dict[str, Any]:
        """The arguments of `Hypothesis`, the graph left out.

        Raises:
            HypothesisError: lists every fault of the data.
        """
        found: dict[str, Any] = {}
        if self.given is not None:
            unimportant = self.given.get("unimportant", "per-claim")
            if not isinstance(unimportant, str | Mapping) or (
                isinstance(unimportant, Mapping)
                and not all(isinstance(one, str) for pair in unimportant.items() for one in pair)
            ):
                self.faults.append(f"unimportant is {unimportant!r}, not a policy or a mapping.")
            self_draws = self.given.get("self_draws", True)
            if not isinstance(self_draws, bool):
                self.faults.append(f"self_draws={self_draws!r}: give True or False.")
            name = self.given.get("name")
            if not (name is None or isinstance(name, str)):
                self.faults.append(f"name is {name!r}, not a text.")
            found = {
                "root": self._claims(self.given.get("claims")),
                "unimportant": unimportant,
                "within": self._feature(self.given.get("within", []), "within"),
                "name": name,
                "self_draws": self_draws,
                "ablation": self._ablation(self.given.get("ablation", "resample"), "ablation"),
            }
        if self.faults:
            raise HypothesisError(self.faults)
        return found

    def _mapping(self, given: object, what: str, known: set[str]) -> Mapping[str, Any] | None:
        if not isinstance(given, Mapping):
            self.faults.append(f"{what} is a dict, not {type(given).__name__}.")
            return None
        wrong = [str(key) for key in given if key not in known]
        if wrong:
            self.faults.append(f"{what} has no entry {', '.join(wrong)}.")
        return given

    def _claims(self, given: object) -> Claim | None:
        if not isinstance(given, list) or not given:
            self.faults.append("claims is not a list of claims, the root's first.")
            return None
        made: dict[int, Claim] = {}
        # Children stand after the claims computed from them.
        for number in reversed(range(len(given))):
            claim = self._claim(number, given[number], made)
            if claim is not None:
                made[number] = claim
        if not self.faults and _count(made) > _MOST_CLAIMS:
            self.faults.append(f"claims are more than {_MOST_CLAIMS:,}, by their paths.")
        return made.get(0)

    def _claim(self, number: int, given: object, made: Mapping[int, Claim]) -> Claim | None:
        entry = self._mapping(given, f"claim {number}", _CLAIM)
        if entry is None:
            return None
        node = entry.get("node")
        what = f"claim {number} ({node})"
        if not isinstance(node, str):
            self.faults.append(f"claim {number} lacks its node's name.")
            return None
        texts = {key: entry.get(key) for key in _TEXTS}
        for key, text in texts.items():
            if not (text is None or isinstance(text, str)):
                self.faults.append(f"{what}: {key} is {text!r}, not a text.")
        via, cut = entry.get("via", []), entry.get("cut", [])
        if not (isinstance(via, list) and all(isinstance(one, str) for one in via)):
            self.faults.append(f"{what}: via is {via!r}, not a list of names.")
            via = []
        if not (
            isinstance(cut, list)
            and all(isinstance(edge, list | tuple) and len(edge) == 2 for edge in cut)
        ):
            self.faults.append(f"{what}: cut is {cut!r}, not a list of edges.")
            cut = []
        below = entry.get("children")
        children: tuple[Claim, ...] | None = None
        if below is not None:
            if isinstance(below, list) and all(
                isinstance(one, int) and one > number and one in made for one in below
            ):
                children = tuple(made[one] for one in below)
            else:
                self.faults.append(f"{what}: children is {below!r}, not numbers of later claims.")
        family = entry.get("family")
        if family is not None and not (
            isinstance(family, list) and [type(one) for one in family] == [str, str, str]
        ):
            self.faults.append(f"{what}: family is {family!r}, not three texts.")
            family = None
        if "feature" not in entry:
            self.faults.append(f"{what} lacks its feature.")
        ablation = entry.get("ablation")
        return Claim(
            node=node,
            feature=self._feature(entry.get("feature", []), f"{what}: its feature"),
            children=children,
            via=tuple(via),
            others=self._feature(entry.get("others", {"kind": "anything"}), f"{what}: others"),
            cut=tuple((str(a), str(b)) for a, b in cut),
            ablation=None if ablation is None else self._ablation(ablation, f"{what}: ablation"),
            family=None if family is None else (family[0], family[1], family[2]),
            **texts,
        )

    def _feature(self, given: object, what: str) -> Feature:
        if isinstance(given, list):
            return tuple(self._feature(part, what) for part in given)
        if isinstance(given, Mapping) and given.get("kind") == "function":
            if not self.code and isinstance(given.get("name"), str):
                return ()
            self.faults.append(
                f"{what} is the function {given.get('name')!r}, which is code and is not saved. "
                "Make it a field, data.with_fields(name=function), and use the field's name."
            )
            return ()
        try:
            return feature_from_plain(given)
        except DataError as error:
            self.faults.append(f"{what}: {error}")
            return ()

    def _ablation(self, given: object, what: str) -> Ablation:
        if isinstance(given, Mapping):
            return {str(pattern): self._kind(kind, what) for pattern, kind in given.items()}
        return self._kind(given, what)

    def _kind(self, given: object, what: str) -> Kind:
        kind, faults = read_kind(given, what)
        self.faults += faults
        return "mean" if str(kind) == "mean" else kind


def _count(made: Mapping[int, Claim]) -> int:
    """How many claims there are by path, those below the first."""
    below: dict[int, int] = {}
    for claim in made.values():  # children first
        below[id(claim)] = 1 + sum(below[id(child)] for child in claim.children or ())
    return below[id(made[0])] if 0 in made else 0


def unsaved(plain: Mapping[str, Any]) -> list[str]:
    """Faults of features that are functions, by claim; none where everything can be saved."""
    faults: list[str] = []
    reader = Reader(plain)
    reader._feature(plain["within"], "within")
    for number, entry in enumerate(plain["claims"]):
        for key in ("feature", "others"):
            if key in entry:
                reader._feature(entry[key], f"claim {number} ({entry['node']}): its {key}")
    faults += reader.faults
    return faults


def check_plain(file: Path, given: object, where: str) -> None:
    """Refuse what `Hypothesis.to_dict` did not make. Functions may be there by name.

    Args:
        file: where it was read, for messages.
        given: the data.
        where: its place in the file.

    Raises:
        ScrubError: names the file and the first fault.
    """
    reader = Reader(given, code=False)
    try:
        reader.arguments()
        faults = [
            f"its {key} is not a text"
            for key in ("output",)
            if not isinstance(given, Mapping) or not isinstance(given.get(key), str)
        ]
    except HypothesisError as error:
        faults = list(error.faults)
    if faults:
        raise ScrubError(f"{file} cannot be read: {where}: {faults[0].rstrip('.')}. {ADVICE}")
