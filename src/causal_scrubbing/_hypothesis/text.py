"""Claims in words."""

from __future__ import annotations

from typing import Any

from causal_scrubbing._data import Feature, feature_name, flatten_feature
from causal_scrubbing._hypothesis.claim import Claim


def describe(root: Claim, name: str | None, policy: str, within: Feature) -> str:
    """The claim tree as indented text, one claim a line."""
    head = f"hypothesis {name or '(unnamed)'}; unimportant: {policy}"
    if flatten_feature(within):
        head += f"; within {feature_name(within)}"
    lines = [head]

    def walk(claim: Claim, depth: int, path: str) -> None:
        extras = []
        if claim.name is not None:
            extras.append(f"node {claim.node}")
        if claim.via:
            extras.append(f"via {', '.join(claim.via)}")
        if flatten_feature(claim.others):
            idle = ", without effect on a leaf" if claim.children is None else ""
            extras.append(f"others {feature_name(claim.others)}{idle}")
        if claim.tie is not None:
            extras.append(f"tie {claim.tie}")
        if claim.draw not in (None, path):
            extras.append(f"drawn as {claim.draw}")
        if claim.cut:
            extras.append(f"not along {', '.join(f'{a} -> {b}' for a, b in claim.cut)}")
        if claim.children == ():
            extras.append("computed from nothing")
        extra = f"  [{'; '.join(extras)}]" if extras else ""
        lines.append(
            f"{'  ' * (depth + 1)}{claim.label} carries {feature_name(claim.feature)}{extra}"
        )
        for child in claim.children or ():
            walk(child, depth + 1, f"{path}/{child.label}")

    walk(root, 0, root.label)
    return "\n".join(lines)


def readable(claim: Claim) -> dict[str, Any]:
    """A claim and those below it as plain data, features by name."""
    entry: dict[str, Any] = {"node": claim.node, "feature": feature_name(claim.feature)}
    if claim.name is not None:
        entry["name"] = claim.name
    if claim.via:
        entry["via"] = list(claim.via)
    if flatten_feature(claim.others):
        entry["others"] = feature_name(claim.others)
    if claim.tie is not None:
        entry["tie"] = claim.tie
    if claim.draw is not None:
        entry["draw"] = claim.draw
    if claim.cut:
        entry["cut"] = [list(edge) for edge in claim.cut]
    if claim.children is not None:
        entry["children"] = [readable(child) for child in claim.children]
    return entry
