"""Claims in words."""

from __future__ import annotations

from causal_scrubbing._data import Feature, feature_name, flatten_feature
from causal_scrubbing._format import printable
from causal_scrubbing._hypothesis.ablation import ablation_label
from causal_scrubbing._hypothesis.claim import Claim
from causal_scrubbing._hypothesis.each import family, fold_key


def describe(root: Claim, name: str | None, policy: str, within: Feature) -> str:
    """The claim tree as indented text, one claim a line; claims made by `each` share one."""
    head = f"hypothesis {name or '(unnamed)'}; unimportant: {policy}"
    if flatten_feature(within):
        head += f"; within {feature_name(within)}"
    lines = [head]
    stack = [(root, 1, root.label, 1)]
    while stack:
        claim, depth, path, count = stack.pop()
        lines.append("  " * depth + _line(claim, path, count))
        below: dict[object, list[Claim]] = {}
        for child in claim.children or ():
            kind = family(child)
            key = id(child) if kind is None else (*kind, *fold_key(child))
            below.setdefault(key, []).append(child)
        for alike in reversed(list(below.values())):
            stack.append((alike[0], depth + 1, f"{path}/{alike[0].label}", len(alike)))
    return "\n".join(lines)


def _line(claim: Claim, path: str, count: int) -> str:
    """One claim, or several of a family, in words."""
    extras = []
    if count > 1:
        extras.append(f"{count} claims")
    if claim.name is not None:
        extras.append(f"node {printable(claim.node)}")
    if claim.via:
        extras.append(f"via {', '.join(map(printable, claim.via))}")
    if flatten_feature(claim.others):
        idle = ", without effect on a leaf" if claim.children is None else ""
        extras.append(f"others {feature_name(claim.others)}{idle}")
    if claim.tie is not None:
        extras.append(f"tie {claim.tie}")
    if claim.draw not in (None, path) and count == 1:
        extras.append(f"drawn as {claim.draw}")
    if claim.cut:
        extras.append(f"not along {', '.join(f'{a} -> {b}' for a, b in claim.cut)}")
    if claim.ablation is not None:
        extras.append(f"ablation {ablation_label(claim.ablation)}")
    if claim.children == ():
        extras.append("computed from nothing")
    extra = f"  [{'; '.join(extras)}]" if extras else ""
    kind = family(claim) if count > 1 else None
    label, feature = kind or (claim.label, feature_name(claim.feature))
    return f"{printable(label)} carries {feature}{extra}"
