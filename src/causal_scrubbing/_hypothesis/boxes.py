"""A hypothesis as boxes of a drawing."""

from __future__ import annotations

from causal_scrubbing._data import feature_name
from causal_scrubbing._display import Box
from causal_scrubbing._format import plural
from causal_scrubbing._hypothesis.tree import Tree


def claim_boxes(tree: Tree) -> dict[str, Box]:
    """A box for each claim, and one for the unimportant parents of each; parents come first."""
    found: dict[str, Box] = {}
    for entry in reversed(tree.claims):
        parents = [tree.claims[child].path for child in entry.children or ()]
        others = len(entry.other_draws)
        if others:
            key = f"{entry.path}/~other"
            found[key] = Box(text="unimportant", below=f"{others} {plural(others, 'node')}")
            parents.append(key)
        found[entry.path] = Box(
            text=feature_name(entry.claim.feature),
            below=entry.claim.label,
            parents=tuple(parents),
            strong=True,
        )
    return found
