"""What can be added to a hypothesis: features, ties, rivals; and what can be cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from causal_scrubbing._data import Classes, Dataset, Feature, anything, exact
from causal_scrubbing._data.features import flatten_feature
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._hypothesis import Block, Claim, Hypothesis
from causal_scrubbing._hypothesis.blockform import BlockForm, Position, block_form
from causal_scrubbing._hypothesis.join import join
from causal_scrubbing._hypothesis.rebuild import rebuild
from causal_scrubbing._refute.pool import PoolFeature, with_exact

MOST_BLOCKS = 16
"""Blocks of one claim of which every pair is tried as a tie; beyond it, pairs with a claim."""


@dataclass(frozen=True, eq=False)
class Addition:
    """A change of a hypothesis, and the hypothesis it gives.

    Attributes:
        kind: "feature", "tie", "rival"; or "cut", which permits more swaps instead of fewer.
        text: what it says, readable.
        hypothesis: the hypothesis with it: for an addition, a join.
        bits: how much more it claims: the entropy of the draws it forbids, negative for a cut.
        where: keys of the blocks it changes.
        feature: name of the feature added, or None.
    """

    kind: str
    text: str
    hypothesis: Hypothesis
    bits: float
    where: tuple[str, ...]
    feature: str | None = None


def class_entropy(classes: Classes) -> float:
    """Entropy of the class of a row drawn from D, in bits."""
    mass = classes.mass[classes.mass > 0]
    return float(-(mass * np.log2(mass)).sum())


def draw_entropy(h: Hypothesis, data: Dataset) -> float:
    """Entropy of all data drawn, in bits: the sum over blocks of H(D) - H(feature).

    Theorem 2 of the method's appendix: among the laws of the data with the marginals that every
    hypothesis fixes, scrubbing's has this entropy. What an addition claims is by how much it falls.
    """
    whole = class_entropy(data.classes(exact))
    classes = h.classes(data)
    return sum(whole - class_entropy(classes[block.key]) for block in h.tree.blocks)


def block_text(h: Hypothesis, block: Block) -> str:
    """A block in words: its claims, or whose unimportant parents it draws."""
    if block.claims:
        return " + ".join(h.tree.claims[i].path for i in block.claims)
    owners = dict.fromkeys(h.tree.claims[i].path for i, _ in block.others)
    nodes = dict.fromkeys(node for _, node in block.others)
    if len(nodes) == 1:
        return f"unimportant {next(iter(nodes))} of {', '.join(owners)}"
    return f"the unimportant parents of {', '.join(owners)}"


def additions(
    h: Hypothesis, data: Dataset, pool: Sequence[PoolFeature], rivals: Sequence[Hypothesis]
) -> tuple[list[Addition], list[str]]:
    """All additions to a hypothesis from a pool, and notes on what cannot be said as one.

    Each is a join: it only forbids swaps. A feature claimed of an unimportant parent is carried by
    its whole block, since the rest of the block stays tied to it.
    """
    made: list[Addition] = []
    notes: list[str] = []
    before = draw_entropy(h, data)

    def add(
        kind: str, text: str, changed: Hypothesis, where: tuple[str, ...], f: str | None
    ) -> None:
        bits = before - draw_entropy(changed, data)
        made.append(Addition(kind, text, changed.with_(name=text), bits, where, f))

    for block in h.tree.blocks:
        if block.key.startswith("~group/") and len({i for i, _ in block.others}) > 1:
            notes.append(
                f"{block_text(h, block)} share one draw, which no feature can be added to: "
                "features were tried on claims only. unimportant='per-claim' lifts this."
            )
            continue
        seen = {data.classes(block.feature).digest}
        nodes = {h.tree.claims[i].claim.node for i in block.claims} | {n for _, n in block.others}
        for one in with_exact(pool):
            if one.node is not None and one.node not in nodes:
                continue
            digest = data.classes((block.feature, one.feature)).digest
            if digest in seen:
                continue
            seen.add(digest)
            changed = _with_feature(h, block, one.feature)
            verb = "agree" if block.is_unimportant else "carries"
            text = f"{block_text(h, block)} {verb} {'on ' if verb == 'agree' else ''}{one.name}"
            add("feature", text, changed, (block.key,), one.name)
    for keys, text in _ties(h, data):
        try:
            changed = _tied(h, keys)
        except HypothesisError as error:
            notes.append(f"{text}: {error.faults[0]}")
            continue
        add("tie", text, changed, keys, None)
    for number, rival in enumerate(rivals, 1):
        text = f"join with {rival.name or f'rival {number}'}"
        add("rival", text, join(h, rival), (), None)
    return made, notes


def cuts(h: Hypothesis, data: Dataset) -> list[Addition]:
    """Changes that permit more swaps: finer policies, ties cut. The first is `separate`."""
    found: list[tuple[str, Hypothesis, tuple[str, ...]]] = []
    unimportant = [b for b in h.tree.blocks if b.is_unimportant]
    if h.unimportant != "separate" and any(len({n for _, n in b.others}) > 1 for b in unimportant):
        found.append(
            ("all unimportant parents drawn apart (separate)", h.with_(unimportant="separate"), ())
        )
    if h.unimportant not in ("per-claim", "separate"):
        found.append(("unimportant parents drawn per claim", h.with_(unimportant="per-claim"), ()))
    for block in h.tree.blocks:
        if len(block.claims) > 1:
            for index in block.claims:
                entry = h.tree.claims[index]
                cut = edit(h, entry.path, lambda claim: replace(claim, tie=None))
                found.append((f"{entry.path} drawn apart from its tie", cut, (block.key,)))
    if h.unimportant == "per-claim":
        for block in unimportant:
            nodes = [n for _, n in block.others]
            if not 2 <= len(nodes) <= 2 * MOST_BLOCKS:
                continue
            for node in nodes:
                try:
                    apart = _apart(h, block, node)
                except HypothesisError:
                    continue  # its routes cannot be told from those of a sibling
                text = f"unimportant {node} drawn apart from {block_text(h, block)}"
                found.append((text, apart, (block.key,)))
    before = draw_entropy(h, data)
    return [
        Addition("cut", text, one.with_(name=text), before - draw_entropy(one, data), where)
        for text, one, where in found
    ]


# --- making the changes -----------------------------------------------------------------------


def edit(h: Hypothesis, path: str, change: Callable[[Claim], Claim]) -> Hypothesis:
    """The hypothesis with the claim at a path changed."""

    def walk(claim: Claim, here: str) -> Claim:
        if here == path:
            return change(claim)
        if claim.children is None or not path.startswith(f"{here}/"):
            return claim
        return replace(claim, children=tuple(walk(c, f"{here}/{c.label}") for c in claim.children))

    return h.with_(root=walk(h.root, h.root.label))


def merged(*features: Feature) -> Feature:
    """Features as one: the bare feature where there is one, a tuple where there are several."""
    parts = flatten_feature(features)
    return anything if not parts else parts[0] if len(parts) == 1 else parts


def _with_feature(h: Hypothesis, block: Block, feature: Feature) -> Hypothesis:
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


def _tied(h: Hypothesis, keys: tuple[str, ...]) -> Hypothesis:
    """The blocks of the given keys drawn as one."""
    form = block_form(h)
    first = keys[0]

    def tie(position: Position) -> Position:
        wiring = position.wiring
        if wiring is not None:
            wiring = replace(wiring, members=tuple(tie(m) for m in wiring.members))
        block = first if position.block in keys else position.block
        return replace(position, block=block, wiring=wiring)

    together = flatten_feature(tuple(form.features[key] for key in keys))
    return rebuild(
        BlockForm(form.graph, tie(form.root), {**form.features, first: together}, form.within),
        (h.unimportant,),
        h.name,
    )


def _apart(h: Hypothesis, block: Block, node: str) -> Hypothesis:
    """One unimportant parent with a draw of its own."""
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
        BlockForm(form.graph, cut(form.root), {**form.features, **own}, form.within),
        ("per-claim",),
        h.name,
    )


def _ties(h: Hypothesis, data: Dataset) -> Iterator[tuple[tuple[str, ...], str]]:
    """Keys of blocks that could be drawn as one: pairs at each claim, all unimportant ones."""
    free = {b.key: b for b in h.tree.blocks if not data.classes(b.feature).is_exact}
    for entry in h.tree.claims:
        if entry.children is None:
            continue
        keys = dict.fromkeys(
            [h.tree.claims[i].draw for i in entry.children] + list(entry.other_draws.values())
        )
        own = [key for key in keys if key in free and not key.startswith("~group/")]
        claimed = [key for key in own if free[key].claims]
        loose = [key for key in own if not free[key].claims]
        pairs = list(combinations(own, 2))
        if len(own) > MOST_BLOCKS:
            pairs = [pair for pair in pairs if pair[0] in claimed]
        for pair in pairs:
            one, two = (block_text(h, free[key]) for key in pair)
            yield pair, f"{one} drawn together with {two}"
        if len(loose) > 2:
            yield tuple(loose), f"all unimportant parents of {entry.path} drawn together"
    shared = [key for key, b in free.items() if b.is_unimportant and not flatten_feature(b.feature)]
    if h.unimportant == "per-claim" and len(shared) > 1:
        yield tuple(shared), "unimportant parents of all claims drawn together"
