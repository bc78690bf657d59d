"""Changes of a hypothesis: claims edited, draws tied, claims taken whole, groups restated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from causal_scrubbing._algebra import GROUP, Position, block_form, join, rebuild
from causal_scrubbing._data import Feature, anything, exact, flatten_feature
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._hypothesis import Block, Claim, Hypothesis


def edit(h: Hypothesis, path: str, change: Callable[[Claim], Claim]) -> Hypothesis:
    """The hypothesis with the claim at a path changed."""
    return h.with_(root=_edited(h.root, path, change))


def _edited(root: Claim, path: str, change: Callable[[Claim], Claim]) -> Claim:
    def walk(claim: Claim, here: str) -> Claim:
        if here == path:
            return change(claim)
        if claim.children is None or not path.startswith(f"{here}/"):
            return claim
        return replace(claim, children=tuple(walk(c, f"{here}/{c.label}") for c in claim.children))

    return walk(root, root.label)


def merged(*features: Feature) -> Feature:
    """Features as one: the bare feature where there is one, a tuple where there are several."""
    parts = flatten_feature(features)
    return anything if not parts else parts[0] if len(parts) == 1 else parts


def with_feature(h: Hypothesis, block: Block, feature: Feature) -> Hypothesis:
    """The hypothesis with a feature added to a block.

    Raises:
        HypothesisError: no claims say this.
    """
    if block.claims:
        path = h.tree.claims[block.claims[0]].path
        return edit(h, path, lambda c: replace(c, feature=merged(c.feature, feature)))
    index, _ = block.others[0]
    if h.unimportant == "per-claim":
        path = h.tree.claims[index].path
        return edit(h, path, lambda c: replace(c, others=merged(c.others, feature)))
    form = block_form(h)
    features = {**form.features, block.key: flatten_feature((form.features[block.key], feature))}
    return rebuild(replace(form, features=features), (h.unimportant,), h.name)


def tied(h: Hypothesis, *groups: Sequence[str]) -> Hypothesis:
    """The blocks of each group of keys drawn as one.

    Raises:
        HypothesisError: no claims say this.
    """
    form = block_form(h)
    # A group's own key stays, and with it its random numbers.
    groups = tuple(sorted(keys, key=lambda key: group_of(key) is None) for keys in groups)
    first = {key: keys[0] for keys in groups for key in keys}

    def tie(position: Position) -> Position:
        wiring = position.wiring
        if wiring is not None:
            wiring = replace(wiring, members=tuple(tie(m) for m in wiring.members))
        return replace(position, block=first.get(position.block, position.block), wiring=wiring)

    features = dict(form.features)
    for keys in groups:
        features[keys[0]] = flatten_feature(tuple(form.features[key] for key in keys))
    changed = replace(form, root=tie(form.root), features=features)
    return rebuild(changed, (h.unimportant,), h.name)


def apart(h: Hypothesis, block: Block, node: str) -> Hypothesis:
    """One unimportant parent with a draw of its own.

    Raises:
        HypothesisError: its routes cannot be told from those of a sibling.
    """
    form = block_form(h)

    def cut(position: Position) -> Position:
        wiring = position.wiring
        if wiring is not None:
            wiring = replace(wiring, members=tuple(cut(m) for m in wiring.members))
        if position.block == block.key and position.node == node:
            # Marked as a claim, so that it is written as one.
            return replace(position, block=f"{block.key}/{node}", claims=(Claim(node, anything),))
        return replace(position, wiring=wiring)

    own = {f"{block.key}/{node}": form.features[block.key]}
    return rebuild(
        replace(form, root=cut(form.root), features={**form.features, **own}),
        ("per-claim",),
        h.name,
    )


def whole(h: Hypothesis, paths: Sequence[str]) -> Hypothesis:
    """The join of a hypothesis with itself having the claims at some paths as leaves.

    A leaf takes its node's clean value, so that all below it has its datum.

    Raises:
        HypothesisError: a draw below is shared with claims elsewhere, and cannot be tied.
    """
    root = h.root
    for path in paths:
        root = _edited(root, path, lambda claim: replace(claim, children=None))
    # `separate` ties nothing itself, so that the join has h's own ties and no other.
    return join(h, h.with_(root=root, unimportant="separate"), name=h.name)


def whole_and_tied(h: Hypothesis, paths: Sequence[str]) -> Hypothesis:
    """Claims of one parent taken whole, and drawn as one datum.

    Raises:
        HypothesisError: no claims say this.
    """
    made = whole(h, [path for path in paths if not h.tree[path].is_leaf])
    here = {entry.path: entry.draw for entry in made.tree.claims}
    lost = [path for path in paths if path not in here]
    if lost:
        raise HypothesisError([f"{lost[0]} is not told apart from a sibling once it is whole"])
    return tied(made, tuple(dict.fromkeys(here[path] for path in paths)))


def group_of(key: str) -> str | None:
    """The name of the group whose unimportant parents a key draws; None for other keys."""
    return key.removeprefix(GROUP) if key.startswith(GROUP) else None


def owners(block: Block) -> list[int]:
    """The claims, by index, whose unimportant parents a block draws."""
    return list(dict.fromkeys(index for index, _ in block.others))


def groups_of(h: Hypothesis, wanted: Callable[[Block], bool]) -> str | dict[str, str]:
    """The policy with only those groups of which `wanted` holds; other claims draw per claim."""
    kept = {
        h.tree.claims[i].path: name
        for block in h.tree.blocks
        if (name := group_of(block.key)) is not None and wanted(block)
        for i in owners(block)
    }
    return kept or "per-claim"


def without_lone_groups(h: Hypothesis) -> Hypothesis:
    """The same swaps, with claims that share their draw with no other drawing per claim.

    A group cannot carry a feature, a claim's own unimportant parents can.
    """
    shared = [b for b in h.tree.blocks if group_of(b.key) is not None]
    if all(len(owners(block)) > 1 for block in shared):
        return h
    return h.with_(unimportant=groups_of(h, lambda block: len(owners(block)) > 1))


def exact_group(h: Hypothesis, block: Block) -> Hypothesis:
    """The unimportant parents of several claims, that share one draw, on their claims' own datum.

    One row is the datum of all those claims only if the claims between them and the claim above all
    of them are `exact`, so these become so.

    Raises:
        HypothesisError: no claims say this.
    """
    chains = []
    for index in owners(block):
        chain: list[int] = []
        at: int | None = index
        while at is not None:
            chain.append(at)
            at = h.tree.claims[at].parent
        chains.append(chain[::-1])
    common = set(chains[0]).intersection(*chains[1:])
    below = dict.fromkeys(i for chain in chains for i in chain if i not in common)
    root = h.root
    for i in below:
        path = h.tree.claims[i].path
        root = _edited(root, path, lambda claim: replace(claim, feature=exact))
    for i in owners(block):
        path = h.tree.claims[i].path
        root = _edited(root, path, lambda claim: replace(claim, others=exact))
    rest = groups_of(h, lambda one: one.key != block.key)
    return h.with_(root=root, unimportant=rest)
