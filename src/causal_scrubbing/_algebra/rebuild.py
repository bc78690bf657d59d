"""From block form back to claims: ties, others= and the policy that say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from causal_scrubbing._algebra.block_form import (
    GROUP,
    BlockForm,
    Parts,
    Position,
    Wiring,
    block_form,
    normal,
    same_swaps,
)
from causal_scrubbing._algebra.join_errors import shared_feature
from causal_scrubbing._data import Feature, anything, flatten_feature
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._hypothesis import Claim, Hypothesis, node_label


def rebuild(
    form: BlockForm, policies: Sequence[str | Mapping[str, str]], name: str | None = None
) -> Hypothesis:
    """The hypothesis of a block form, made of ordinary claims, and checked to be it.

    Args:
        form: what the hypothesis shall permit.
        policies: for unimportant parents, those to try first.
        name: name of the hypothesis.

    Raises:
        HypothesisError: no claims say this: a draw shared across claims would need a feature, or a
            claim two via sets.
    """
    shared, twins = _shared(form)
    named = [p for p in policies if isinstance(p, str) and p != "together"]
    tries = dict.fromkeys([*named, "per-claim", "separate"]) if not shared else {"per-claim": None}
    best: Hypothesis | None = None
    faults: list[str] = []
    for one in (form, replace(form, root=normal(form.root))):
        for policy in tries:
            for spelled in (False, True):
                builder = _Builder(one, shared, twins, policy == "separate", spelled)
                root = builder.claim(one.root, one.root.node, {}, "")
                try:
                    h = Hypothesis(
                        form.graph,
                        root,
                        unimportant=builder.policy(),
                        within=_feature(form.within),
                        self_draws=form.self_draws,
                        name=name,
                    )
                except HypothesisError as error:
                    faults += error.faults
                    continue
                if same_swaps(block_form(h), form):
                    if best is None or len(h.tree.claims) < len(best.tree.claims):
                        best = h
                    break
        if best is not None:
            return best
    listed = "; ".join(dict.fromkeys(faults)) or "its routes overlap"
    raise HypothesisError(
        [f"the swaps wanted cannot be written as claims with via= and tie=: {listed}"], name=name
    )


def _shared(form: BlockForm) -> tuple[set[str], set[str]]:
    """Blocks that draw for positions below several claims; each must be expressible.

    Returns:
        Those that are unimportant everywhere and carry `anything`; and those below claims that are
        themselves drawn as one, where one row always fits all of them.
    """
    places: dict[str, list[Position]] = {form.root.block: [form.root]}
    drawn: dict[str, list[Position]] = {}
    for inner in form.inner():
        for member in inner.wiring.members if inner.wiring is not None else ():
            drawn.setdefault(member.block, []).append(member)
            above = places.setdefault(member.block, [])
            if not any(inner is one for one in above):
                above.append(inner)
    several = {block for block, above in places.items() if len(above) > 1}
    shared: set[str] = set()
    twins: set[str] = set()
    faults = []
    for block in several:
        paths = [one.paths[0] if one.paths else one.node for one in places[block]]
        claimed = [m.paths[0] for m in drawn[block] if not m.whole and m.paths]
        loose = not form.features[block] and not any(m.claims for m in drawn[block])
        if len({one.block for one in places[block]}) == 1 and not loose:
            twins.add(block)
            continue
        shared.add(block)
        if block == form.root.block:
            faults.append(shared_feature(block, paths, "with the datum of the root"))
        elif form.features[block]:
            names = _feature(form.features[block])
            faults.append(shared_feature(block, paths, f"agreeing on {names!r}"))
        elif claimed:
            faults.append(
                shared_feature(block, paths, f"and {claimed[0]}, which has claims of its own")
            )
    if faults:
        raise HypothesisError(faults)
    return shared, twins


def _feature(parts: Parts) -> Feature:
    flat = flatten_feature(tuple(parts))
    return anything if not flat else flat[0] if len(flat) == 1 else flat


class _Builder:
    """One attempt: which unimportant policy, and whether via= is copied or spelled out."""

    def __init__(
        self, form: BlockForm, shared: set[str], twins: set[str], separate: bool, spelled: bool
    ) -> None:
        self.form = form
        self.shared = shared
        self.twins = twins
        self.drawn: dict[str, str] = {}
        self.separate = separate
        self.spelled = spelled
        self.groups: dict[str, str] = {}
        self.inner: set[str] = set()

    def policy(self) -> str | dict[str, str]:
        """The value of `unimportant=`."""
        if self.separate or not self.groups:
            return "separate" if self.separate else "per-claim"
        if set(self.groups.values()) == {"together"} and set(self.groups) == self.inner:
            return "together"
        return self.groups

    def claim(
        self, position: Position, label: str, options: Mapping[str, Any], above: str
    ) -> Claim:
        """The claim of a position and all below it.

        Args:
            position: the position.
            label: its part of the path.
            options: feature, via and tie, where it is not the root.
            above: path of the claim above, with a slash; empty for the root.
        """
        own = position.claims[0] if position.claims else None
        if not above:
            label = own.label if own else label
            options = {"feature": _feature(self.form.features[position.block])}
        made = Claim(
            position.node, anything, name=None if label == node_label(position.node) else label
        )
        made = replace(made, **options)
        if position.wiring is None:
            return made
        path = above + label
        others, claimed = self.divide(position.wiring)
        if others:
            self.inner.add(path)
            block = others[0].block
            if block in self.shared or self.keeps_group(block):
                self.groups[path] = self.group_name(block)
            made = replace(made, others=_feature(self.form.features[block]))
        children = tuple(
            self.claim(member, one, self.draw(member, f"{path}/{one}", extra), f"{path}/")
            for member, one, extra in self.children(position.wiring, claimed)
        )
        return replace(made, children=children)

    def draw(self, member: Position, path: str, options: dict[str, Any]) -> dict[str, Any]:
        """The claim's arguments, with the key of its draw where another claim has drawn it."""
        if member.block not in self.twins:
            return options
        first = self.drawn.setdefault(member.block, path)
        return options if first == path else {**options, "draw": first}

    def keeps_group(self, block: str) -> bool:
        """Whether a group of one claim keeps its name, and with it its random numbers."""
        key = block[2:] if block[1:2] == ":" else block
        return not self.separate and key.startswith(GROUP) and not self.form.features[block]

    def group_name(self, block: str) -> str:
        """The name under which claims share a draw."""
        key = block[2:] if block[1:2] == ":" else block
        if key.startswith(GROUP):
            return key.removeprefix(GROUP)
        return f"shared{sorted(self.shared).index(block) + 1}"

    def divide(self, wiring: Wiring) -> tuple[list[Position], list[int]]:
        """The members left unclaimed, and the numbers of those that must be claimed."""
        members = wiring.members
        blocks: dict[str, list[Position]] = {}
        for member in members:
            blocks.setdefault(member.block, []).append(member)
        whole = {
            b: found
            for b, found in blocks.items()
            if b not in self.twins and all(m.whole for m in found)
        }
        if self.separate:
            single = [
                m for b, found in whole.items() for m in found
                if not m.claims and len({one.node for one in found}) == 1
            ]  # fmt: skip
            kinds = Counter(frozenset(self.form.features[m.block]) for m in single)
            common = max(kinds, key=lambda kind: kinds[kind], default=frozenset())
            others = [m for m in single if frozenset(self.form.features[m.block]) == common]
        else:
            ranked = {
                b: (
                    b in self.shared or self.keeps_group(b),
                    sum(not m.claims for m in found),
                )
                for b, found in whole.items()
            }
            best = max(ranked, key=lambda b: ranked[b], default=None)
            use = best is not None and any(ranked[best])
            others = whole[best] if best is not None and use else []
        chosen = {id(m) for m in others}
        return others, [i for i, m in enumerate(members) if id(m) not in chosen]

    def children(
        self, wiring: Wiring, claimed: Sequence[int]
    ) -> Iterator[tuple[Position, str, dict[str, Any]]]:
        """The claimed members in order, with their labels and their claims' arguments."""
        order = sorted(claimed, key=lambda i: (*wiring.members[i].rank, i))
        size = Counter(wiring.members[i].block for i in order)
        left = {b: list(self.form.features[b]) for b in size}
        for i in order:
            for claim in wiring.members[i].claims:
                carried = flatten_feature(claim.feature)
                block = wiring.members[i].block
                left[block] = [p for p in left[block] if p not in carried]
        ties: dict[str, str] = {}
        labels: set[str] = set()
        for i in order:
            member = wiring.members[i]
            parts = [
                p for p in self.form.features[member.block]
                if any(p in flatten_feature(c.feature) for c in member.claims)
            ]  # fmt: skip
            parts += left.pop(member.block, [])
            extra: dict[str, Any] = {"feature": _feature(tuple(parts))}
            if size[member.block] > 1:
                wanted = next((c.tie for c in member.claims if c.tie), None)
                if member.block not in ties:
                    ties[member.block] = _fresh(wanted or "tie", set(ties.values()))
                extra["tie"] = ties[member.block]
            own = member.claims[0] if member.claims else None
            if own is not None and not self.spelled:
                extra["via"] = own.via
            else:
                extra["via"] = wiring.routes(i)
            label = _fresh(own.label if own else node_label(member.node), labels)
            labels.add(label)
            yield member, label, extra


def _fresh(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}.{number}"
    return found
