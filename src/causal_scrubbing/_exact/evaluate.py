"""The distribution of each claim's value given its datum, from the leaves to the root."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace

import torch

from causal_scrubbing._data import Classes, Dataset
from causal_scrubbing._exact.budget import Meter
from causal_scrubbing._exact.distribution import OWN, Distribution, average, join, mix
from causal_scrubbing._exact.forecast import count_by_row, count_calls
from causal_scrubbing._exact.machine import Machine, clean_distribution
from causal_scrubbing._exact.pool import Pool, distinct
from causal_scrubbing._graph import evaluate_dataset
from causal_scrubbing._hypothesis import (
    REFERENCE,
    Block,
    ChildSource,
    Hypothesis,
    OtherSource,
    Tree,
    TreeClaim,
    ablated_node,
    formula,
    with_means,
)

VALUE = "value"


class Evaluator:
    """Laws of claims' values for one hypothesis on one dataset.

    A claim's value given its datum is F(u) of its blocks' values, which are independent given the
    datum; a block's values are those of its members given the block's datum, averaged over the
    rows that agree with the claim's datum. A datum shared between claims stays a condition of
    the distributions until the root, where it is averaged out; one shared below claims that are
    themselves drawn as one, until those are joined.

    Args:
        hypothesis: the hypothesis.
        data: the rows.
        meter: the budget.
        batch_size: rows or combinations evaluated at once.
        device: where they are evaluated; where the graph says if None.
    """

    def __init__(
        self,
        hypothesis: Hypothesis,
        data: Dataset,
        meter: Meter,
        batch_size: int,
        device: torch.device | str | None = None,
    ) -> None:
        hypothesis = with_means([hypothesis], data, batch_size=batch_size, device=device)[0]
        self.hypothesis = hypothesis
        self.graph = hypothesis.graph
        self.data = data
        self.weights = data.weights
        self.meter = meter
        self.batch_size = batch_size
        self.classes: Mapping[str, Classes] = hypothesis.classes(data)
        self.device = self.graph.device if device is None else torch.device(device)
        self.machine = Machine(self.graph, data, batch_size, self.device, meter)
        self.twins = _twins(hypothesis.tree)
        self._clean: dict[str, Pool] = {}

    def clean(self, node: str) -> Pool:
        """Distinct clean values of a node and which each row has."""
        if node not in self._clean:
            found = evaluate_dataset(self.graph, self.data, [node], self.batch_size, self.device)
            self._clean[node] = distinct(found[node])
        return self._clean[node]

    def swapped(self, node: str) -> tuple[Distribution, torch.Tensor]:
        """A node's clean value on another row, which agrees with the own in `within`."""
        pool = self.clean(node)
        within = self.data.classes(self.hypothesis.within)
        self.meter.where = f"the value of {node} on random rows"
        return self._mix(clean_distribution(OWN, {VALUE: pool}), within), pool.values

    def own(self, node: str) -> tuple[Distribution, torch.Tensor]:
        """The distribution of a node's clean value on the own row, which is certain."""
        pool = self.clean(node)
        return clean_distribution(OWN, {VALUE: pool}), pool.values

    def root(self) -> tuple[Distribution, torch.Tensor]:
        """The root's value given the reference row (as own draw): its distribution, its values."""
        dists: dict[int, tuple[Distribution, torch.Tensor]] = {}
        tree = self.hypothesis.tree
        for entry in reversed(tree.claims):
            self.at(entry)
            children = {i: dists.pop(i) for i in entry.children or ()}
            dists[entry.index] = self._claim(entry, children)
        dist, values = dists[0]
        within = self.data.classes(self.hypothesis.within)
        self.meter.where = "the draws that claims share"
        for draw in [one for one in dist.labels if one != OWN]:
            dist = average(dist, draw, within, self.weights, self.meter)
        self.meter.where = "the root's draw"
        dist = self._mix(dist, self.classes[tree.claims[0].draw])
        return dist, values

    def check_budget(self, randomize: str | None, *, by_row: bool) -> None:
        """Refuse a problem that is too large whatever the scrubbed values are, before the work.

        Args:
            randomize: the node whose value E_randomized takes on another row; None for none.
            by_row: whether the behaviour is evaluated for each reference row.

        Raises:
            ExactError: it does not fit the budget.
        """
        n = len(self.data)
        self.meter.where = "the metric on each reference row"
        self.meter.need(n)
        if randomize is not None:
            dist, _ = self.swapped(randomize)
            self.meter.where = "the metric on pairs of reference row and randomized value"
            inside = randomize == self.graph.output and not by_row
            self.meter.need(len(dist) if inside else count_by_row(dist, OWN, n))
        for entry in self.hypothesis.tree.claims:
            calls = () if entry.routes is None else formula(self.graph, entry.routes)
            self.at(entry)
            if not calls:
                if entry.parent is None and by_row:
                    dist = self._mix(self.own(entry.claim.node)[0], self.classes[entry.draw])
                    self.meter.need(count_by_row(dist, OWN, n))
                continue
            dists = self._others(entry, {})
            for number, child in enumerate(entry.children or ()):
                below = self.hypothesis.tree.claims[child]
                if below.routes is None and below.draw not in self.twins:
                    pool = self.clean(below.claim.node)
                    dist = clean_distribution(OWN, {ChildSource(number): pool})
                    if not any(c != child for c in self.hypothesis.block(below.draw).claims):
                        dists.append(self._mix(dist, self.classes[below.draw]))
            count_calls(self.graph, calls, dists, self.meter)

    def _claim(
        self, entry: TreeClaim, children: Mapping[int, tuple[Distribution, torch.Tensor]]
    ) -> tuple[Distribution, torch.Tensor]:
        calls = () if entry.routes is None else formula(self.graph, entry.routes)
        if not calls:
            return self.own(entry.claim.node)
        pools: dict[Hashable, torch.Tensor] = {}
        dists: list[Distribution] = []
        for block in self.hypothesis.tree.blocks:
            if block.of == entry.draw and set(block.claims) & set(entry.children or ()):
                dists.append(self._claims_block(entry, block, children, pools))
        dists += self._others(entry, pools)
        dist, values = self.machine.push(calls, dists, pools)
        return replace(dist, columns={VALUE: next(iter(dist.columns.values()))}), values

    def _others(self, entry: TreeClaim, pools: dict[Hashable, torch.Tensor]) -> list[Distribution]:
        """A claim's unimportant parents as distributions; their values are added to the pools."""
        dists: list[Distribution] = []
        others: dict[str, dict[Hashable, Pool]] = {}
        for node, key in entry.other_draws.items():
            pool = self.clean(node)
            pools[OtherSource(node)] = pool.values
            others.setdefault(key, {})[OtherSource(node)] = pool
        for node, fixed in entry.ablated.items():
            pool = self.clean(ablated_node(self.graph, node, fixed))
            pools[OtherSource(node)] = pool.values
            dists.append(clean_distribution(OWN, {OtherSource(node): pool}))
        for key, members in others.items():
            if self.hypothesis.block(key).of == REFERENCE:
                dists.append(clean_distribution(key, members))
            else:
                dist = clean_distribution(OWN, members)
                dists.append(
                    _known_as(dist, key)
                    if key in self.twins
                    else self._mix(dist, self.classes[key])
                )
        return dists

    def _claims_block(
        self,
        entry: TreeClaim,
        block: Block,
        children: Mapping[int, tuple[Distribution, torch.Tensor]],
        pools: dict[Hashable, torch.Tensor],
    ) -> Distribution:
        position = {child: i for i, child in enumerate(entry.children or ())}
        dist: Distribution | None = None
        for child in (c for c in block.claims if c in position):
            slot = ChildSource(position[child])
            one, pools[slot] = children[child]
            one = replace(one, columns={slot: one.columns[VALUE]})
            dist = one if dist is None else join(dist, one, self.meter)
        if dist is None:
            raise AssertionError("a block of claims has a claim")
        if block.key in self.twins:
            return _known_as(dist, block.key)
        for key in reversed(self.twins):
            if key not in dist.labels:
                continue  # what it feeds does not matter, or it lies elsewhere
            of = self.hypothesis.block(key).of
            of = OWN if of == block.key else of
            dist = average(
                dist,
                key,
                self.classes[key],
                self.weights,
                self.meter,
                of,
                self_draws=self.hypothesis.self_draws,
            )
        return self._mix(dist, self.classes[block.key])

    def _mix(self, dist: Distribution, classes: Classes) -> Distribution:
        """A distribution given the row that its own draw must agree with."""
        again = self.hypothesis.self_draws
        return mix(dist, classes, self.weights, self.meter, self_draws=again)

    def at(self, entry: TreeClaim) -> None:
        """Tell the meter where the work is, and what would make it less."""
        blocks = [b for b in self.hypothesis.tree.blocks if b.of == entry.draw]
        drawn = ", ".join(
            f"{b.key} ({_counted(self.classes[b.key].count)})" for b in blocks[:6]
        ) + (", ..." if len(blocks) > 6 else "")
        self.meter.where = f"claim {entry.path}" + (f", which combines {drawn}," if drawn else "")
        separate = self.hypothesis.unimportant == "separate" and len(entry.other_draws) > 1
        shared = [key for key in entry.other_draws.values() if key.startswith("~group/")]
        self.meter.hints = [
            *(["draw unimportant parents together (unimportant='per-claim')"] if separate else []),
            *(["draw unimportant parents per claim (unimportant='per-claim')"] if shared else []),
            *(
                ["write the node as a sum (cs.add) of parts, whose terms are convolved one by one"]
                if len(blocks) > 2
                else []
            ),
            *(["drop claims below it, which makes it a leaf"] if entry.parent is not None else []),
        ]


def _twins(tree: Tree) -> list[str]:
    """Draws shared below several claims that are themselves drawn as one, in drawing order."""
    found = []
    for block in tree.blocks[1:]:
        owners = {tree.claims[i].parent for i in block.claims} | {i for i, _ in block.others}
        if len(owners) > 1 and block.of != REFERENCE:
            found.append(block.key)
    return found


def _known_as(dist: Distribution, draw: str) -> Distribution:
    """The distribution given a draw's own row, kept as a condition under the draw's name."""
    if OWN not in dist.labels:
        return dist
    return replace(
        dist,
        labels={draw if k == OWN else k: v for k, v in dist.labels.items()},
        given={draw if k == OWN else k: v for k, v in dist.given.items()},
    )


def _counted(classes: int) -> str:
    return "1 class" if classes == 1 else f"{classes:,} classes"
