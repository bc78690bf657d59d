"""A hypothesis as boxes of a drawing."""

from __future__ import annotations

from causal_scrubbing._data import feature_name
from causal_scrubbing._display import Box
from causal_scrubbing._format import plural
from causal_scrubbing._hypothesis.each import families
from causal_scrubbing._hypothesis.tree import Tree, TreeClaim


def claim_boxes(tree: Tree) -> dict[str, Box]:
    """A box for each claim, and one for the unimportant parents of each; parents come first.

    Of claims that `each` made, the first stands for all, with what is below it.
    """
    folded = {paths[0]: len(paths) for paths in families(tree).values()}
    left_out = {path for paths in families(tree).values() for path in paths[1:]}

    def below(entry: TreeClaim) -> list[TreeClaim]:
        children = [tree.claims[child] for child in entry.children or ()]
        return [child for child in children if child.path not in left_out]

    order: list[TreeClaim] = []
    todo = [tree.claims[0]]
    while todo:
        order.append(todo.pop())
        todo += below(order[-1])
    found: dict[str, Box] = {}
    for entry in reversed(order):
        parents = [child.path for child in below(entry)]
        others = len(entry.other_draws)
        if others:
            key = f"{entry.path}/~other"
            found[key] = Box(text="unimportant", below=f"{others} {plural(others, 'node')}")
            parents.append(key)
        name, feature = entry.claim.label, feature_name(entry.claim.feature)
        if entry.path in folded and entry.claim.family is not None:
            node, feature = entry.claim.family[:2]
            name = f"{folded[entry.path]} of {node}"
        found[entry.path] = Box(text=feature, below=name, parents=tuple(parents), strong=True)
    return found
