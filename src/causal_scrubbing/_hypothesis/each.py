"""Many claims of one form: one for each position, folded to one line where claims are listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from causal_scrubbing._data import Feature, anything, feature_name
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._hypothesis.claim import Child, Claim, claim
from causal_scrubbing._hypothesis.tree import Tree


def each(
    node: str,
    feature: Feature,
    values: Iterable[object],
    *children: Child,
    via: str | Sequence[str] = (),
    others: Feature = anything,
    tie: str | None = None,
) -> tuple[Claim, ...]:
    """One claim for each value, as for each position of a sequence.

    Example:
        >>> import causal_scrubbing as cs
        >>> [one.node for one in cs.each("q.p{i}", "tokens[{i}]", range(3))]
        ['q.p0', 'q.p1', 'q.p2']

    They are children of one claim, ``cs.claim("z", cs.exact, *cs.each(...))``. Each has a draw of
    its own, as if it were written out; lists and pictures show them as one line.

    Args:
        node: name of the node, with ``{i}`` where the value stands.
        feature: what the node carries; ``{i}`` in a field's name stands for the value too.
        values: what ``{i}`` is in each claim.
        *children: the claims that each is computed from, as for `claim`.
        via: as for `claim`, ``{i}`` allowed.
        others: as for `claim`, ``{i}`` allowed.
        tie: as for `claim`.

    Returns:
        The claims, in the order of the values.

    Raises:
        HypothesisError: ``{i}`` is missing in the node's name, no value is given, or an argument is
            not of its kind.
    """
    if not isinstance(node, str) or "{i}" not in node:
        raise HypothesisError(
            [f"cs.each({node!r}, ...): the node's name has {{i}} where the value stands."]
        )
    given = list(values)
    if not given:
        raise HypothesisError([f"cs.each({node!r}, ...): give at least one value."])
    routes = (via,) if isinstance(via, str) else tuple(via)
    made = []
    for value in given:
        one = claim(
            _fill(node, value),
            _fill_feature(feature, value),
            *children,
            via=[_fill(name, value) for name in routes],
            others=_fill_feature(others, value),
            tie=tie,
        )
        made.append(one.in_family((node, feature_name(feature), str(value))))
    return tuple(made)


def _fill(text: Any, value: object) -> Any:
    return text.replace("{i}", str(value)) if isinstance(text, str) else text


def _fill_feature(feature: Feature, value: object) -> Feature:
    if isinstance(feature, tuple):
        return tuple(_fill_feature(part, value) for part in feature)
    return _fill(feature, value)  # type: ignore[no-any-return]


def family(claim: Claim) -> tuple[str, str] | None:
    """The node and feature of which a claim is one case, ``{i}`` in them; None if it is not.

    A claim that was changed since it was made by `each` is not.
    """
    if claim.family is None:
        return None
    node, feature, value = claim.family
    same = claim.name is None and _fill(node, value) == claim.node
    return (
        (node, feature) if same and _fill(feature, value) == feature_name(claim.feature) else None
    )


def families(tree: Tree) -> Mapping[str, tuple[str, ...]]:
    """Path with ``{i}`` -> paths of the claims that are its cases; only where there are several.

    Cases are folded where their ways to the parent claim and what they are computed from are alike.
    """
    found: dict[tuple[object, ...], list[str]] = {}
    for entry in tree.claims:
        kind = family(entry.claim)
        if kind is not None and entry.parent is not None:
            key = (entry.parent, *kind, *fold_key(entry.claim))
            found.setdefault(key, []).append(entry.path)
    return {
        f"{paths[0].rpartition('/')[0]}/{key[1]}": tuple(paths)
        for key, paths in found.items()
        if len(paths) > 1
    }


def fold_key(claim: Claim) -> tuple[object, ...]:
    """What must be alike for two claims of one family to be folded."""
    value = claim.family[2] if claim.family is not None else ""
    below = claim.children
    return (
        tuple(name.replace(value, "{i}") for name in claim.via),
        feature_name(claim.others).replace(value, "{i}"),
        claim.tie,
        claim.cut,
        str(claim.ablation),
        None if below is None else tuple(map(id, below)),
    )
